//! Where a task is worked on, and what keeps its edits apart: an attempt's workspace is made before its
//! session. What is left in it when the attempt ends is `git`'s to see to.

use std::path::Path;
use std::sync::Arc;

use crate::domain::project::Project;
use crate::domain::task::Task;
use crate::services::error::Error;
use crate::services::git::{self, Prepared};
use crate::services::{App, projects};

/// Makes ready the directory in which a task's next attempt works, in a session of its own.
pub async fn prepare(app: &Arc<App>, task: &Task, project: &Project) -> Result<Prepared, Error> {
    let workspace = match &task.options.workspace_path {
        Some(path) => projects::inside(project, "options.workspace_path", path)?,
        None => projects::folder("project", Path::new(&project.root))?,
    };
    git::prepare(app, project, (task.id, &task.title), task.options.git, &workspace, true).await
}

/// The same for a task that is given to a session which is there already, in its directory.
pub async fn join(
    app: &Arc<App>,
    task: &Task,
    project: &Project,
    directory: &str,
) -> Result<Prepared, Error> {
    let directory = Path::new(directory);
    git::prepare(app, project, (task.id, &task.title), task.options.git, directory, false).await
}
