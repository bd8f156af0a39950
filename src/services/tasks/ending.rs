//! What people do with a task that was started: complete it, give it up, try it again, start its
//! Claude again.

use std::sync::Arc;

use super::checks::check_result;
use super::finding::{View, view};
use super::follow::{act, change, check, end, unknown};
use super::load;
use crate::domain::audit::Actor;
use crate::domain::ids::TaskId;
use crate::domain::message::MessageSource;
use crate::domain::task::{AttemptOutcome, TaskStatus};
use crate::services::error::Error;
use crate::services::live::Known;
use crate::services::{App, couriers, git, life, sessions};
use crate::store::{Write, tasks};

/// Completes a task: the session that was made for it ends, another one is free again.
pub async fn complete(
    app: &Arc<App>,
    id: TaskId,
    result: Option<String>,
    actor: Actor,
) -> Result<View, Error> {
    let to = TaskStatus::Completed;
    over(app, id, to, AttemptOutcome::Completed, result, ("task.completed", actor)).await
}

/// Gives a task up.
pub async fn fail(
    app: &Arc<App>,
    id: TaskId,
    reason: Option<String>,
    actor: Actor,
) -> Result<View, Error> {
    let to = TaskStatus::Failed;
    over(app, id, to, AttemptOutcome::Failed, reason, ("task.failed", actor)).await
}

async fn over(
    app: &Arc<App>,
    id: TaskId,
    to: TaskStatus,
    outcome: AttemptOutcome,
    result: Option<String>,
    (action, actor): (&'static str, Actor),
) -> Result<View, Error> {
    let result = check_result(result)?;
    let known = load(app, id).await?;
    check(&known.task, to)?;
    if let Some(attempt) = known.attempt.as_ref().filter(|a| a.outcome.is_none()) {
        git::settle(app, &known.task, attempt).await;
    }
    app.engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let (task, _) = end(live, unit, id, to, outcome, result)?;
            unit.write(Write::Audit(act(unit.now, actor, action, &task)));
            Ok::<_, Error>(())
        })
        .await?;
    finish(app, id).await;
    view(app, id).await
}

/// Sees to what a task's last attempt leaves behind: the session that was made for it, and its
/// workspace. Doing it again does nothing.
pub(super) async fn finish(app: &Arc<App>, id: TaskId) {
    let Ok(Some(Known { task, attempt: Some(attempt) })) = Known::read(&app.db, id).await else {
        return;
    };
    let done = matches!(attempt.outcome, Some(AttemptOutcome::Completed | AttemptOutcome::Failed));
    if done && attempt.own_session {
        let session = attempt.session_id.to_string();
        if let Err(e) = life::end(app, &session, Actor::chorus()).await {
            tracing::warn!(task = %id, %session, error = %e, "the session of task {id} could not be ended");
        }
    }
    if attempt.outcome.is_some() {
        git::finish(app, &task, &attempt).await;
    }
}

/// Makes a failed task pending again. Why it failed stays with its attempt.
pub async fn retry(app: &Arc<App>, id: TaskId, actor: Actor) -> Result<View, Error> {
    let known = load(app, id).await?;
    app.engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let task = &live.tasks.get(id).ok_or_else(|| unknown(id))?.task;
            if task.status != TaskStatus::Failed {
                let status = task.status;
                return Err(Error::conflict(format!(
                    "task {id} is {status}: only a failed one can be tried again"
                )));
            }
            check(task, TaskStatus::Pending)?;
            let task = change(live, unit, id, &[], |task, _, _| {
                task.status = TaskStatus::Pending;
                task.result = None;
                task.completed_at = None;
            })?;
            unit.write(Write::Audit(act(unit.now, actor, "task.retried", &task)));
            Ok::<_, Error>(())
        })
        .await?;
    view(app, id).await
}

/// Starts the Claude of a task again: with its conversation, or with a fresh one; and tells it of the
/// task again, if that is wanted or nothing else would.
pub async fn restart_claude(
    app: &Arc<App>,
    id: TaskId,
    resend_context: Option<bool>,
    fresh: bool,
    by: MessageSource,
) -> Result<View, Error> {
    let known = load(app, id).await?;
    let (task, attempt) = (known.task.clone(), known.attempt.clone());
    let interrupted =
        attempt.as_ref().is_some_and(|a| a.outcome == Some(AttemptOutcome::Interrupted));
    let Some(session) = task
        .session_id
        .filter(|_| task.status.is_at_work() || interrupted && task.status == TaskStatus::Failed)
    else {
        return Err(Error::conflict(format!(
            "task {id} is {}: it has no Claude to start again; `chorus task start {id}` starts it",
            task.status
        )));
    };
    let session = sessions::by_id(app, session).await?;
    life::restart(app, &session.id.to_string(), fresh, by.into()).await?;
    app.engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let task = change(live, unit, id, &["restarts"], |task, _, _| task.restarts += 1)?;
            unit.write(Write::Audit(act(unit.now, by.into(), "task.restarted", &task)));
            Ok::<_, Error>(())
        })
        .await?;
    if resend_context.unwrap_or(task.options.resend_context)
        && let Some(attempt) = tasks::last_attempt(&app.db, id).await?
    {
        let order = couriers::Order {
            text: attempt.prompt,
            source: by,
            queue: true,
            raw: false,
            force: false,
            idempotency_key: None,
        };
        couriers::submit(app, session.id, order).await?;
    }
    view(app, id).await
}
