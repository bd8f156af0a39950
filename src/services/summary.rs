//! How many sessions do what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::error::Error;
use super::live::Live;
use crate::domain::permission::PermissionStatus;
use crate::domain::session::{ClaudeStatus, Status};

/// Live sessions by what Claude does in them. One that is set aside does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionCounts {
    /// It waits for a person's decision.
    pub waiting: usize,
    /// It works.
    pub busy: usize,
    /// It waits for a prompt.
    pub idle: usize,
    /// It is being started.
    pub starting: usize,
    /// Permission requests that nobody has decided.
    pub permissions: usize,
}

/// Counts.
///
/// # Errors
/// If the store is away.
pub async fn get(app: &App) -> Result<SessionCounts, Error> {
    Ok(app.engine.read(count).await?)
}

/// The same of a live state.
pub(super) fn count(live: &Live) -> SessionCounts {
    let mut summary = SessionCounts::default();
    for session in live.sessions().filter(|s| s.is_live() && s.state.status != Status::Paused) {
        match session.state.claude_status {
            ClaudeStatus::Waiting => summary.waiting += 1,
            ClaudeStatus::Busy => summary.busy += 1,
            ClaudeStatus::Idle => summary.idle += 1,
            ClaudeStatus::Starting => summary.starting += 1,
            ClaudeStatus::Stopped => {}
        }
    }
    let requests = live.open.values().map(|open| open.request.status);
    summary.permissions = requests.filter(|s| *s == PermissionStatus::Pending).count();
    summary
}
