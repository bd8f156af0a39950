//! stub
/// s
pub fn scrub_json(_: &mut serde_json::Value) {}
/// s
pub fn scrub(s: &str) -> std::borrow::Cow<'_, str> {
    s.into()
}
