//! Tasks: making them, starting them, and what becomes of them.

mod checks;
mod ending;
mod finding;
mod follow;
mod making;
mod queue;
mod starting;
pub mod templates;
mod workspace;

use std::future::Future;
use std::sync::Arc;

pub use ending::{complete, fail, restart_claude, retry};
pub use finding::{Detail, View, get, list, session_of};
pub use follow::{follow, session_begins};
pub use making::{New, Patch, create, order, remove, update};
pub use queue::{Desk, start};
pub use starting::{Preview, assign, preview, start as begin};

use super::App;
use super::engine::Effect;
use super::error::Error;
use super::live::{Known, Live};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::session::Session;
use crate::store::sessions;

/// Reads a task with its last attempt, to be taken into memory by the job that changes it.
async fn load(app: &App, id: TaskId) -> Result<Known, Error> {
    let known = app.engine.read(move |live| live.tasks.get(id).cloned()).await?;
    match known {
        Some(known) => Ok(known),
        None => Known::read(&app.db, id).await?.ok_or_else(|| follow::unknown(id)),
    }
}

/// The task that a session works on or worked on last, to be taken into memory.
pub async fn recall(app: &App, session: &Session) -> Result<Option<Known>, Error> {
    match session.task_id {
        Some(id) => Ok(Known::read(&app.db, id).await?),
        None => Ok(None),
    }
}

/// Ends a session and starts it again: its task goes on meanwhile. If it cannot be started again, the
/// task is interrupted.
pub async fn going_on<T>(
    app: &App,
    id: SessionId,
    again: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let note = move |live: &mut Live| live.tasks.restarting.insert(id);
    app.engine.run(move |live, _| Ok::<_, Error>(note(live))).await?;
    let done = again.await;
    if done.is_err() {
        give_up(app, id).await;
    }
    done
}

/// A session that ended is not started again after all: its task is interrupted.
pub async fn give_up(app: &App, id: SessionId) {
    let abandoned = app.engine.run(move |live, unit| {
        follow::abandon(live, unit, id);
        Ok::<_, Error>(())
    });
    if let Err(e) = abandoned.await {
        tracing::warn!(session = %id, error = %e, "the task of {id} was not told of its end");
    }
}

/// A launch was begun by an earlier server, and nothing came of it: its task is to be started again.
pub async fn launch_lost(app: &App, id: SessionId) {
    let noted = app.engine.run(move |live, _| {
        let at_work = live.tasks.at_work().any(|k| k.task.session_id == Some(id));
        if at_work {
            live.tasks.lost.insert(id);
        }
        Ok::<_, Error>(())
    });
    if let Err(e) = noted.await {
        tracing::warn!(session = %id, error = %e, "a lost launch was not noted");
    }
}

/// Takes up tasks again after a start of the server: what happened to their sessions while none ran.
pub async fn recover(app: &Arc<App>) {
    let at_work = |live: &Live| -> Vec<_> {
        let known = live.tasks.at_work();
        known.map(|k| (k.task.id, k.task.session_id, k.attempt.clone())).collect()
    };
    for (id, session, attempt) in app.engine.read(at_work).await.unwrap_or_default() {
        if attempt.is_some_and(|a| a.turn_ended_at.is_some()) {
            app.desk.settle(id);
        }
        let Some(session) = session else { continue };
        // One that has ended is not in memory after a start.
        if let Ok(Some(session)) = sessions::by_id(&app.db, session).await {
            let started_at = app.started_at;
            let abandon = move |live: &mut Live, unit: &mut super::engine::Unit| {
                let id = session.id;
                live.admit(session);
                let comes_back = live
                    .session(id)
                    .is_some_and(|s| s.starts_again(unit.now) && s.state.evidence.at >= started_at);
                if !comes_back {
                    follow::abandon(live, unit, id);
                }
                if live.session(id).is_some_and(|s| !s.is_live()) {
                    live.retire(id);
                }
                Ok::<_, Error>(())
            };
            if let Err(e) = app.engine.run(abandon).await {
                tracing::warn!(task = %id, error = %e, "task {id} was not taken up again");
            }
        }
    }
    end_what_is_over(app).await;
    app.desk.wake();
}

/// Ends sessions whose task was over when an earlier server died, before it could end them.
async fn end_what_is_over(app: &App) {
    let live = |live: &Live| -> Vec<Session> {
        let made = live.sessions().filter(|s| s.is_live() && s.task_id.is_some());
        made.cloned().collect()
    };
    for session in app.engine.read(live).await.unwrap_or_default() {
        let Ok(Some(Known { task, attempt: Some(attempt) })) = recall(app, &session).await else {
            continue;
        };
        if attempt.own_session && attempt.session_id == session.id && !task.status.is_at_work() {
            app.desk.finish(task.id);
        }
    }
}

/// Wakes the queue from outside of the engine.
fn wake(unit: &mut super::engine::Unit) {
    unit.then(Effect::WakeQueue);
}
