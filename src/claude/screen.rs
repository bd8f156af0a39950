//! stub
/// s
pub enum InputBox {
    /// s
    Empty,
    /// s
    Draft(String),
    /// s
    Hidden(String),
}
/// s
pub struct StartDialog {
    /// s
    pub name: String,
    /// s
    pub remedy: String,
}
/// s
pub fn input_box(_: &str, _: (u32, u32)) -> InputBox {
    InputBox::Empty
}
/// s
pub fn blocking_dialog(_: &str) -> Option<StartDialog> {
    None
}
