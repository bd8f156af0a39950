//! The desk: what goes on with tasks unasked. It starts what waits in the queue when there is room,
//! completes tasks whose last turn is over, and sees to what they leave behind.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{MutexGuard, Notify};
use tokio::time::sleep;

use super::follow::{act, change, end};
use super::{ending, starting};
use crate::domain::audit::Actor;
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::message::{Direction, MessageSource};
use crate::domain::session::{ClaudeStatus, Session};
use crate::domain::task::{AttemptOutcome, Task, TaskStatus};
use crate::services::error::Error;
use crate::services::live::{Known, Live};
use crate::services::{App, life};
use crate::store::{Order as Sorted, Write, messages, tasks};

/// How long a task's turn must have been over before it counts as the last one: what Claude Code has
/// queued itself follows at once, and its last words reach the record a moment later.
const SETTLED: Duration = Duration::from_millis(600);
/// How long Claude's last words are waited for at most.
const LAST_WORDS: Duration = Duration::from_secs(4);
/// Tasks of the queue that are looked at together.
const PAGE: u32 = 50;
/// How long to wait until what is missing on this machine is looked for again.
const AGAIN: Duration = Duration::from_secs(10);
/// Characters of Claude's last words that are kept as a task's result.
const WORDS: usize = 10_000;

/// Something to see to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Settle(TaskId),
    End(SessionId),
    Finish(TaskId),
}

/// Where tasks are looked after. Cheap to clone.
#[derive(Clone, Default)]
pub struct Desk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queue: Notify,
    /// What is to be seen to: each task and session once, however often it was said.
    orders: Mutex<BTreeSet<Order>>,
    ordered: Notify,
    linking: tokio::sync::Mutex<()>,
    naming: tokio::sync::Mutex<()>,
}

impl Desk {
    /// The queue may be able to start its next task.
    pub fn wake(&self) {
        self.0.queue.notify_one();
    }

    /// A task's turn has ended: see in a moment whether it was the last one.
    pub fn settle(&self, task: TaskId) {
        self.order(Order::Settle(task));
    }

    /// End a session that was made for a task.
    pub fn end(&self, session: SessionId) {
        self.order(Order::End(session));
    }

    /// See to what a task's attempt leaves behind.
    pub fn finish(&self, task: TaskId) {
        self.order(Order::Finish(task));
    }

    fn order(&self, order: Order) {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner).insert(order);
        self.0.ordered.notify_one();
    }

    fn take_orders(&self) -> BTreeSet<Order> {
        std::mem::take(&mut *self.0.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Held while it is decided what a task depends on, so that no circle is made of two halves.
    pub(super) async fn linking(&self) -> MutexGuard<'_, ()> {
        self.0.linking.lock().await
    }

    /// Held while a name for a template is looked for and taken, and while a project is removed.
    pub async fn naming(&self) -> MutexGuard<'_, ()> {
        self.0.naming.lock().await
    }
}

/// Begins to look after tasks.
pub fn start(app: &Arc<App>) {
    let desk = app.clone();
    app.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = desk.shutdown.cancelled() => return,
                () = desk.desk.0.ordered.notified() => {}
            }
            for order in desk.desk.take_orders() {
                let app = desk.clone();
                desk.tasks.spawn(async move { see_to(&app, order).await });
            }
        }
    });
    let queue = app.clone();
    app.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = queue.shutdown.cancelled() => return,
                () = queue.desk.0.queue.notified() => {}
            }
            serve(&queue).await;
        }
    });
}

async fn see_to(app: &Arc<App>, order: Order) {
    match order {
        Order::Settle(task) => {
            let shutdown = app.shutdown.clone();
            if shutdown.run_until_cancelled(sleep(SETTLED)).await.is_some()
                && let Err(e) = settle(app, task).await
            {
                tracing::warn!(%task, error = %e, "whether task {task} is done could not be seen");
            }
        }
        Order::End(session) => {
            if let Err(e) = life::end(app, &session.to_string(), Actor::chorus()).await {
                tracing::warn!(%session, error = %e, "{session} could not be ended");
            }
        }
        Order::Finish(task) => ending::finish(app, task).await,
    }
}

// --- tasks that complete by themselves ---

/// Completes a task if its turn has been over for a while and nothing is to follow it.
async fn settle(app: &Arc<App>, id: TaskId) -> Result<(), Error> {
    let session = app.engine.read(move |live| live.tasks.get(id).and_then(is_over)).await?;
    let Some(session) = session else { return Ok(()) };
    let mut words = last_words(app, session).await?;
    let asked = std::time::Instant::now();
    while words.is_none() && asked.elapsed() < LAST_WORDS {
        // They reach the record a little after the turn's end: a busy machine takes longer.
        sleep(SETTLED).await;
        words = last_words(app, session).await?;
    }
    let over = app
        .engine
        .run(move |live, unit| {
            let settled = |known: &Known| {
                let ended = known.attempt.as_ref().and_then(|a| a.turn_ended_at);
                ended.is_some_and(|at| unit.now.ms_since(at) >= SETTLED.as_millis() as i64)
            };
            let still = live.tasks.get(id).filter(|k| settled(k)).and_then(is_over);
            let Some(error) = still.and_then(|session| nothing_follows(live, session)) else {
                return Ok(false);
            };
            let (to, outcome, action, result) = match error {
                None => {
                    let outcome = AttemptOutcome::Completed;
                    (TaskStatus::Completed, outcome, "task.completed", words)
                }
                Some(error) => {
                    (TaskStatus::Failed, AttemptOutcome::Failed, "task.failed", Some(error))
                }
            };
            let (task, _) = end(live, unit, id, to, outcome, result)?;
            unit.write(Write::Audit(act(unit.now, Actor::chorus(), action, &task)));
            Ok::<_, Error>(true)
        })
        .await?;
    if over {
        ending::finish(app, id).await;
    }
    Ok(())
}

/// The session of a task whose turn has ended.
fn is_over(known: &Known) -> Option<SessionId> {
    let attempt = known.attempt.as_ref()?;
    let over = known.task.options.complete_on_idle
        && known.task.status == TaskStatus::Running
        && attempt.turn_ended_at.is_some();
    over.then_some(attempt.session_id)
}

/// If Claude has nothing more to do in a session: why its turn failed, or nothing if it did not.
fn nothing_follows(live: &Live, id: SessionId) -> Option<Option<String>> {
    let state = &live.session(id)?.state;
    let quiet = state.claude_status == ClaudeStatus::Idle
        && state.detail.background == 0
        && state.sending.is_none()
        && !state.is_limited()
        && live.queue(id).next().is_none()
        && !live.open.values().any(|o| o.request.session_id == id && o.decision.is_none());
    quiet.then(|| state.detail.error.clone())
}

/// What Claude said last in a session.
async fn last_words(app: &App, session: SessionId) -> Result<Option<String>, Error> {
    let said = messages::list(&app.db, session, Sorted::Newest, None, 20).await?.items;
    let last = said.into_iter().find(|m| m.agent_id.is_none() && m.direction != Direction::System);
    let last = last.filter(|m| m.direction == Direction::Assistant);
    Ok(last.map(|m| m.content.chars().take(WORDS).collect()))
}

// --- the queue ---

/// Starts tasks as long as there is room for them.
async fn serve(app: &Arc<App>) {
    if app.config.auto_assign {
        hand_out(app).await;
    }
    while !app.shutdown.is_cancelled() {
        match next(app).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(e) => {
                tracing::warn!(error = %e, "the queue could not start its next task");
                let (app, shutdown) = (app.clone(), app.shutdown.clone());
                app.clone().tasks.spawn(async move {
                    if shutdown.run_until_cancelled(sleep(AGAIN)).await.is_some() {
                        app.desk.wake();
                    }
                });
                return;
            }
        }
    }
}

/// Starts the next task of the queue. Tells whether there may be another one to start.
async fn next(app: &Arc<App>) -> Result<bool, Error> {
    let Some(task) = candidate(app).await? else { return Ok(false) };
    let id = task.id;
    let attempt = tasks::last_attempt(&app.db, id).await?;
    match starting::begin(app, Known { task, attempt }, false, MessageSource::Chorus).await {
        Ok(Some(start)) => {
            let launching = app.clone();
            // Its failure is told to the task.
            app.tasks.spawn(async move {
                let _ = starting::launch(&launching, id, start).await;
            });
            Ok(true)
        }
        // Changed in the meantime: look again, if there still is room.
        Ok(None) => Ok(true),
        Err(e @ Error::Unavailable { .. }) => Err(e),
        Err(e) => {
            let why = format!("it could not be started: {e}");
            app.engine
                .run(move |live, unit| {
                    if live.tasks.get(id).is_some_and(|k| k.task.queued) {
                        change(live, unit, id, &["queued", "result"], |task, _, _| {
                            task.queued = false;
                            task.result = Some(why);
                        })?;
                    }
                    Ok::<_, Error>(())
                })
                .await?;
            Ok(true)
        }
    }
}

/// The first task of the queue that nothing holds, if there is room for it.
async fn candidate(app: &Arc<App>) -> Result<Option<Task>, Error> {
    let most = app.config.max_sessions;
    if !app.engine.read(move |live| starting::has_room(live, most)).await? {
        return Ok(None);
    }
    let mut after: Option<Task> = None;
    loop {
        let page = tasks::queued(&app.db, after.as_ref(), PAGE).await?;
        let Some(last) = page.last().cloned() else { return Ok(None) };
        let free = app
            .engine
            .read(move |live| {
                page.into_iter().find(|t| starting::limited(live, &t.options.launch).is_none())
            })
            .await?;
        if free.is_some() {
            return Ok(free);
        }
        after = Some(last);
    }
}

/// Gives tasks that are ready to sessions that are free.
async fn hand_out(app: &Arc<App>) {
    let free = |live: &Live| -> Vec<Session> {
        let free = live.sessions().filter(|s| {
            !s.is_elsewhere()
                && s.task_id.is_none()
                && s.state.started
                && s.state.claude_status == ClaudeStatus::Idle
                && !s.state.is_limited()
                && live.queue(s.id).next().is_none()
        });
        free.cloned().collect()
    };
    for session in app.engine.read(free).await.unwrap_or_default() {
        let task = match tasks::ready(&app.db, session.project_id).await {
            Ok(Some(task)) => task,
            Ok(None) => continue,
            Err(e) => return tracing::warn!(error = %e, "the tasks cannot be read"),
        };
        // Somebody's draft is in the way, say: when that session has moved, this is tried again.
        if let Err(e) = starting::assign(app, task.id, &session, MessageSource::Chorus).await {
            tracing::info!(task = %task.id, session = %session.id, error = %e, "task {} was not given to {}", task.id, session.name);
        }
    }
}
