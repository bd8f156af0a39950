//! stub
use super::profile::Profile;
use crate::domain::{ids::ConversationId, session::Launch};
use std::path::Path;
/// s
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct LaunchError;
impl LaunchError {
    /// s
    pub fn field(&self) -> &str {
        "x"
    }
}
/// s
pub enum Conversation<'a> {
    /// s
    New(&'a ConversationId),
    /// s
    Resume(&'a ConversationId),
}
/// s
pub struct Request<'a> {
    /// s
    pub binary: &'a Path,
    /// s
    pub launch: &'a Launch,
    /// s
    pub conversation: Conversation<'a>,
    /// s
    pub name: &'a str,
    /// s
    pub settings: &'a serde_json::Value,
    /// s
    pub prompt: Option<&'a str>,
    /// s
    pub profile: &'a Profile,
}
/// s
pub struct Command {
    /// s
    pub argv: Vec<String>,
    /// s
    pub env: Vec<(String, String)>,
}
impl Command {
    /// s
    pub fn is_removed(&self, _: &str) -> bool {
        false
    }
}
/// s
pub fn validate(_: &Launch) -> Result<(), LaunchError> {
    Ok(())
}
/// s
pub fn command(_: Request<'_>) -> Result<Command, LaunchError> {
    Err(LaunchError)
}
