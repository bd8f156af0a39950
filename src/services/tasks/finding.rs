//! Finding tasks, and showing them with what belongs to them.

use std::sync::Arc;

use super::follow::unknown;
use super::{load, starting};
use crate::domain::ids::TaskId;
use crate::domain::session::Session;
use crate::domain::task::{Attempt, Task, TaskStatus};
use crate::services::error::Error;
use crate::services::references::{self, Shown};
use crate::services::{App, sessions};
use crate::store::tasks::{Filter, Need, Sort};
use crate::store::{Cursor, Page, tasks};

/// A task in a list.
#[derive(Clone, Debug)]
pub struct View {
    /// The task.
    pub task: Task,
    /// Nothing that it depends on is open.
    pub ready: bool,
}

/// A task with what belongs to it.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The task.
    pub view: View,
    /// What it depends on.
    pub needs: Vec<Need>,
    /// Its attempts, the last one first.
    pub attempts: Vec<Attempt>,
    /// The lines of documents that matter for it, as they are now.
    pub references: Vec<Shown>,
    /// What keeps it from being started, if it waits in the queue.
    pub waits_for: Option<String>,
}

/// Shows a task as a list would.
pub(super) async fn view(app: &App, id: TaskId) -> Result<View, Error> {
    let task = tasks::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))?;
    let needs = tasks::needs(&app.db, id).await?;
    Ok(View { ready: needs.iter().all(|n| n.status == TaskStatus::Completed), task })
}

/// Shows a task with what belongs to it.
pub async fn get(app: &Arc<App>, id: TaskId) -> Result<Detail, Error> {
    let task = tasks::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))?;
    let needs = tasks::needs(&app.db, id).await?;
    let attempts = tasks::attempts(&app.db, id).await?;
    let references = references::of_task(app, id).await?;
    let open: Vec<&Need> = needs.iter().filter(|n| n.status != TaskStatus::Completed).collect();
    let ready = open.is_empty();
    let waits = task.queued && task.status == TaskStatus::Pending;
    let waits_for = match (waits, ready) {
        (false, _) => None,
        (true, false) => {
            let named: Vec<String> =
                open.iter().map(|n| format!("task {} ({})", n.id, n.status)).collect();
            Some(named.join(", "))
        }
        (true, true) => starting::held_up(app, &task).await?,
    };
    Ok(Detail { view: View { task, ready }, needs, attempts, references, waits_for })
}

/// Lists tasks.
pub async fn list(
    app: &App,
    filter: &Filter,
    sort: Sort,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<View>, Error> {
    let page = tasks::list(&app.db, filter, sort, after, limit).await?;
    let page = page.map_err(|e| Error::invalid("cursor", e.to_string()))?;
    let view = |l: tasks::Listed| View { task: l.task, ready: l.ready };
    Ok(Page { items: page.items.into_iter().map(view).collect(), next: page.next })
}

/// The session that a task is worked on in.
pub async fn session_of(app: &App, id: TaskId) -> Result<Session, Error> {
    let known = load(app, id).await?;
    let task = known.task;
    let session = task.session_id.filter(|_| task.status.is_at_work());
    match session {
        Some(session) => sessions::by_id(app, session).await,
        None => Err(Error::conflict(format!(
            "task {id} is {}: no session works on it; `chorus task start {id}` starts it",
            task.status
        ))),
    }
}
