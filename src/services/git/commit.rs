//! Commits at the ends of turns.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;

use super::super::App;
use super::super::engine::Unit;
use super::super::error::Error;
use super::super::live::{Known, Live};
use super::{attribute, backend, claims};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::message::Direction;
use crate::domain::project::Project;
use crate::domain::scrub::scrub;
use crate::domain::session::ClaudeStatus;
use crate::domain::time::Timestamp;
use crate::git::{Backend, Branch, Committed, GitError, What};
use crate::store::{Order, Write, messages};

/// How long after a turn's end its commit is made: the transcript tells the last calls later than the
/// hook tells the end.
const SETTLE: Duration = Duration::from_millis(500);
/// Repositories in which something is committed at the same time.
const AT_ONCE: usize = 4;
/// What a commit's message repeats of Claude's last words. Characters.
const WORDS: usize = 1_500;
/// Messages among which they are looked for, the last ones.
const LOOKED_AT: u32 = 20;
/// Edits that may wait to be claimed.
const EDITS: usize = 10_000;

/// What is to be done: tasks whose turn has ended, and edits that nobody has asked about before.
#[derive(Clone, Default)]
pub struct Due(Arc<(Mutex<Waiting>, Notify)>);

#[derive(Default)]
struct Waiting {
    tasks: BTreeSet<TaskId>,
    edits: Vec<(SessionId, String)>,
}

impl Due {
    /// A task's turn has ended. To say so again costs nothing.
    pub fn add(&self, task: TaskId) {
        self.with(|waiting| waiting.tasks.insert(task));
    }

    /// A session edits a file. If too many wait, the edit shows as nobody's.
    pub fn edited(&self, session: SessionId, file: String) {
        self.with(|waiting| {
            if waiting.edits.len() < EDITS {
                waiting.edits.push((session, file));
            }
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut Waiting) -> T) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_one();
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Commits what turns have left, from now on; and at once what an earlier server was to commit.
pub fn start(app: &Arc<App>) {
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        take_up(&app).await;
        let room = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            tokio::select! {
                () = app.shutdown.cancelled() => return,
                () = app.git.due.0.1.notified() => {}
            }
            tokio::select! {
                () = app.shutdown.cancelled() => return,
                () = sleep(SETTLE) => {}
            }
            let Waiting { mut tasks, edits } = app.git.due.take();
            for (session, file) in edits {
                match claims::edited(&app, session, file).await {
                    Ok(task) => tasks.extend(task),
                    Err(e) => tracing::warn!(%session, error = %e, "an edit was not claimed"),
                }
            }
            for task in tasks {
                let Ok(place) = room.clone().acquire_owned().await else { return };
                let app = app.clone();
                app.clone().tasks.spawn(async move {
                    if let Err(e) = turn_ended(&app, task).await {
                        tracing::warn!(%task, error = %e, "what a turn left was not committed");
                    }
                    drop(place);
                });
            }
        }
    });
}

/// Takes up what an earlier server has left: turns whose end was not followed by a commit, and tasks that
/// were over while their files were still claimed.
async fn take_up(app: &App) {
    let look = app.engine.read(|live| {
        let open: BTreeSet<TaskId> = live.tasks.at_work().map(|k| k.task.id).collect();
        let over: Vec<TaskId> = live.claims.tasks().filter(|t| !open.contains(t)).collect();
        (open, over)
    });
    let (open, over) = look.await.unwrap_or_default();
    open.into_iter().for_each(|task| app.git.due.add(task));
    for task in over {
        match Known::read(&app.db, task).await {
            Ok(Some(Known { task, attempt: Some(attempt) })) => {
                super::finish(app, &task, &attempt).await;
            }
            Ok(_) => {}
            Err(e) => {
                tracing::warn!(%task, error = %e, "the files of task {task} are still claimed")
            }
        }
    }
}

/// Commits what a turn has left, unless the next one has begun.
async fn turn_ended(app: &App, task: TaskId) -> Result<(), Error> {
    let Some((known, project)) = open(app, task).await? else { return Ok(()) };
    let Some(session) = known.attempt.as_ref().map(|a| a.session_id) else { return Ok(()) };
    let rests = app
        .engine
        .read(move |live| {
            let status = live.session(session).map(|s| s.state.claude_status);
            !matches!(status, Some(ClaudeStatus::Busy | ClaudeStatus::Waiting))
        })
        .await?;
    if rests {
        commit(app, &known, &project).await?;
    }
    Ok(())
}

/// A task that is worked on, with its project.
async fn open(app: &App, task: TaskId) -> Result<Option<(Known, Project)>, Error> {
    let found = app.engine.read(move |live| {
        let known = live.tasks.get(task).filter(|k| k.attempt.is_some())?;
        Some((known.clone(), live.project(known.task.project_id)?.clone()))
    });
    Ok(found.await?)
}

/// Commits what is a task's, and notes on its attempt what came of it. Tells the branch's last commit.
/// What stands in the way is noted, and no error: nothing else has to wait for it.
pub async fn commit(app: &App, known: &Known, project: &Project) -> Result<Option<String>, Error> {
    let Some(attempt) = &known.attempt else { return Ok(None) };
    let task = known.task.id;
    let place = match backend::of(app, project, attempt).await {
        Ok(Some(place)) => place,
        Ok(None) => return Ok(None),
        Err(e) => {
            note(app, task, attempt.number, None, Err(e)).await?;
            return Ok(attempt.head_commit.clone());
        }
    };
    let (backend, branch) = place;
    let message = message(app, known).await?;
    let _turn = app.git.turns.take(&backend.repository().common).await;
    let done = step(app, known, project, (&backend, &branch), &message).await;
    let head = backend.repository().tip(&branch.name).await.ok().flatten();
    note(app, task, attempt.number, head.clone(), done).await?;
    Ok(head)
}

async fn step(
    app: &App,
    known: &Known,
    project: &Project,
    (backend, branch): (&Backend, &Branch),
    message: &str,
) -> Result<Committed, GitError> {
    if !backend.is_shared() {
        return backend.commit(branch, What::Everything, message).await;
    }
    let task = known.task.id;
    let root = &backend.repository().root;
    let changes = backend.repository().status().await?.changes;
    let failed =
        |e: Error| GitError::Unexpected { command: "claims".into(), problem: e.to_string() };
    attribute::attribute(app, (project.id, task), root, &changes).await.map_err(failed)?;
    let read = app.engine.read(move |live| live.claims.paths_of(task)).await;
    let paths = read.map_err(|e| failed(e.into()))?;
    if paths.is_empty() {
        return Ok(Committed::default());
    }
    backend.commit(branch, What::These(&paths), message).await
}

/// The message of a commit: the title, and what Claude said last.
async fn message(app: &App, known: &Known) -> Result<String, Error> {
    let task = &known.task;
    let mut words = String::new();
    if let Some(attempt) = &known.attempt {
        let session = attempt.session_id;
        let last = messages::list(&app.db, session, Order::Newest, None, LOOKED_AT).await?;
        let said = last.items.into_iter().find(|m| {
            m.direction == Direction::Assistant
                && m.agent_id.is_none()
                && m.timestamp >= attempt.started_at
        });
        words = said.map(|m| m.content).unwrap_or_default();
    }
    Ok(compose(&task.title, &words, task.id))
}

/// Text of Claude's becomes text of a message, and nothing else: no trailer, no control character.
fn compose(title: &str, words: &str, task: TaskId) -> String {
    let words = scrub(words);
    let plain: String =
        words.chars().filter(|c| *c == '\n' || !c.is_control()).take(WORDS).collect();
    let plain = plain.trim();
    let body = if plain.is_empty() { String::new() } else { format!("\n\n{plain}") };
    format!("{}{body}\n\nChorus-Task: {task}", title.trim())
}

/// Notes on an attempt what came of a step.
async fn note(
    app: &App,
    task: TaskId,
    number: i64,
    head: Option<String>,
    done: Result<Committed, GitError>,
) -> Result<(), Error> {
    let (committed, problem) = match done {
        Ok(done) => (Some((done.commit, done.paths)), done.left.map(|e| e.to_string())),
        Err(e) => (None, Some(e.to_string())),
    };
    if let Some(problem) = &problem {
        tracing::warn!(%task, %problem, "git");
    }
    app.engine
        .run(move |live, unit| {
            noted(live, unit, task, number, |known, now| {
                let attempt = known.attempt.as_mut()?;
                let before = (attempt.head_commit.clone(), attempt.git_problem.clone());
                attempt.head_commit = head.or(attempt.head_commit.take());
                attempt.git_problem.clone_from(&problem);
                let same = before == (attempt.head_commit.clone(), attempt.git_problem.clone());
                let (commit, paths) = committed.unwrap_or_default();
                if same && commit.is_none() {
                    return None;
                }
                let kind = match (&commit, &problem) {
                    (Some(_), _) => "committed",
                    (None, Some(_)) => "problem",
                    (None, None) => "settled",
                };
                let data = json!({
                    "kind": kind,
                    "task_id": task,
                    "session_id": attempt.session_id,
                    "branch": attempt.branch,
                    "commit": commit,
                    "files": paths.len(),
                    "problem": problem,
                    "at": now,
                });
                Some(NewEvent::new(EventKind::Git, attempt.session_id, now, &data))
            });
            Ok(())
        })
        .await
}

/// Changes a task's attempt in memory and in the store, if it is still the last one, with an event. No
/// event is no change.
pub(super) fn noted(
    live: &mut Live,
    unit: &mut Unit,
    task: TaskId,
    number: i64,
    change: impl FnOnce(&mut Known, Timestamp) -> Option<NewEvent>,
) {
    let Some(mut known) = live.tasks.get(task).cloned() else { return };
    if known.attempt.as_ref().is_none_or(|a| a.number != number) {
        return;
    }
    let Some(event) = change(&mut known, unit.now) else { return };
    if let Some(attempt) = &known.attempt {
        let attempt = Box::new(attempt.clone());
        unit.write(Write::SaveAttempt { task, attempt });
    }
    unit.write(Write::Event(event));
    live.tasks.put(known);
}

#[cfg(test)]
mod tests {
    use super::compose;
    use crate::domain::ids::TaskId;

    #[test]
    fn a_message_has_the_title_and_what_was_said() {
        assert_eq!(compose("Fix it", "", TaskId(7)), "Fix it\n\nChorus-Task: 7");
        let said = compose("Fix it ", "Done:\u{1b}[2J\n- a\n\n", TaskId(7));
        assert_eq!(said, "Fix it\n\nDone:[2J\n- a\n\nChorus-Task: 7");
    }
}
