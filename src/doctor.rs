//! stub
use crate::config::Config;
/// s
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// s
    Ok,
    /// s
    Warn,
    /// s
    Fail,
}
/// s
#[derive(Debug, serde::Serialize)]
pub struct Finding {
    /// s
    pub level: Level,
    /// s
    pub what: String,
    /// s
    pub remedy: Option<String>,
}
/// s
pub async fn examine(_: &Config) -> Vec<Finding> {
    Vec::new()
}
