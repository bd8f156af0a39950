//! Where a task is worked on, and what keeps its edits apart. The one place where an attempt's
//! workspace is made before its session, and left when it ends.

use std::sync::Arc;

use crate::domain::project::Project;
use crate::domain::task::{Attempt, GitBackend, Task};
use crate::services::App;
use crate::services::error::Error;

/// A directory for an attempt.
pub struct Workspace {
    /// The directory.
    pub path: String,
    /// What keeps its edits apart.
    pub backend: GitBackend,
    /// The branch that they go to.
    pub branch: Option<String>,
    /// The commit that the branch is based on.
    pub base_commit: Option<String>,
    /// The directory, if it is the attempt's own.
    pub worktree: Option<String>,
}

/// Makes ready the directory in which a task's next attempt works.
pub async fn prepare(_app: &Arc<App>, task: &Task, project: &Project) -> Result<Workspace, Error> {
    let path = task.options.workspace_path.clone().unwrap_or_else(|| project.root.clone());
    Ok(Workspace {
        path,
        backend: GitBackend::None,
        branch: None,
        base_commit: None,
        worktree: None,
    })
}

/// An attempt has ended, and its session with it if that was its own.
pub async fn finish(_app: &Arc<App>, task: &Task, attempt: &Attempt) {
    tracing::debug!(task = %task.id, attempt = attempt.number, outcome = ?attempt.outcome, "an attempt is over");
}
