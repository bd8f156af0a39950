//! What the engine does to tasks: every change of one, in the transaction of what it follows from.

use serde_json::json;

use crate::domain::audit::{Act, Actor};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::session::{ClaudeStatus, Status};
use crate::domain::task::{self, Attempt, AttemptOutcome, Heard, Move, Task, TaskStatus};
use crate::domain::time::Timestamp;
use crate::services::engine::{Effect, Unit};
use crate::services::error::{Error, Thing};
use crate::services::live::{Known, Live};
use crate::store::Write;

/// There is no such task.
pub(super) fn unknown(id: TaskId) -> Error {
    Error::NotFound { what: Thing::Task, name: id.to_string() }
}

/// What the audit log keeps of something that was done to a task.
pub(super) fn act(at: Timestamp, actor: Actor, action: &'static str, task: &Task) -> Act {
    let data = json!({ "title": task.title, "status": task.status, "result": task.result });
    let act = Act::new(at, actor, action, data).subject(task.id);
    match task.session_id {
        Some(session) => act.session(session),
        None => act,
    }
}

/// Checks that a task may become this.
pub(super) fn check(task: &Task, to: TaskStatus) -> Result<(), Error> {
    task.status.to(to).map_err(|e| Error::conflict(format!("task {}: {e}", task.id)))?;
    Ok(())
}

/// Changes a task that is in memory, and tells of it: its status by `task_status`, else what has
/// changed by `task_update`.
pub(super) fn change(
    live: &mut Live,
    unit: &mut Unit,
    id: TaskId,
    changed: &[&str],
    apply: impl FnOnce(&mut Task, &mut Option<Attempt>, Timestamp),
) -> Result<Task, Error> {
    let mut known = live.tasks.get(id).cloned().ok_or_else(|| unknown(id))?;
    let before = known.clone();
    apply(&mut known.task, &mut known.attempt, unit.now);
    let task = &mut known.task;
    task.updated_at = unit.now;
    if task.labels != before.task.labels || task.depends_on != before.task.depends_on {
        unit.write(Write::RelinkTask(Box::new(task.clone())));
    } else {
        unit.write(Write::SaveTask(Box::new(task.clone())));
    }
    if let Some(attempt) = known.attempt.clone().filter(|_| known.attempt != before.attempt) {
        unit.write(Write::SaveAttempt { task: id, attempt: Box::new(attempt) });
    }
    tell(unit, Some(before.task.status), task, changed);
    let task = task.clone();
    live.tasks.put(known);
    // Room, a task that is ready, or one that waited for this.
    unit.then(Effect::WakeQueue);
    Ok(task)
}

/// Tells of a task: of its status if it has another one than `before`, else of what has changed.
pub(super) fn tell(unit: &mut Unit, before: Option<TaskStatus>, task: &Task, changed: &[&str]) {
    let mut data = json!({
        "task_id": task.id,
        "session_id": task.session_id,
        "project_id": task.project_id,
        "title": task.title,
        "queued": task.queued,
        "result": task.result,
        "at": unit.now,
    });
    let kind = match before.filter(|before| *before != task.status) {
        None => {
            data["status"] = json!(task.status);
            data["changed"] = json!(changed);
            EventKind::TaskUpdate
        }
        Some(before) => {
            data["old_status"] = json!(before);
            data["new_status"] = json!(task.status);
            EventKind::TaskStatus
        }
    };
    unit.write(Write::Event(NewEvent::of(kind, task.session_id, unit.now, &data)));
}

/// Notes what a session works on.
pub(super) fn set_task(live: &mut Live, unit: &mut Unit, session: SessionId, task: Option<TaskId>) {
    if let Some(known) = live.session_mut(session)
        && known.task_id != task
    {
        known.task_id = task;
        unit.touch(session);
    }
    unit.write(Write::SetTask { session, task });
}

/// Ends a task's attempt and with it what goes on in its session. Tells the session that was made for
/// it, which is to be ended.
pub(super) fn end(
    live: &mut Live,
    unit: &mut Unit,
    id: TaskId,
    to: TaskStatus,
    outcome: AttemptOutcome,
    result: Option<String>,
) -> Result<(Task, Option<SessionId>), Error> {
    let known = live.tasks.get(id).ok_or_else(|| unknown(id))?;
    check(&known.task, to)?;
    let open = known.attempt.as_ref().filter(|a| a.outcome.is_none());
    let place = open.map(|a| (a.session_id, a.own_session));
    let task = change(live, unit, id, &[], |task, attempt, now| {
        task.status = to;
        task.queued = false;
        task.result.clone_from(&result);
        task.completed_at = (to != TaskStatus::Pending).then_some(now);
        if let Some(attempt) = attempt.as_mut().filter(|a| a.outcome.is_none()) {
            attempt.outcome = Some(outcome);
            attempt.result = result;
            attempt.ended_at = Some(now);
        }
    })?;
    match place {
        Some((session, false)) => {
            set_task(live, unit, session, None);
            Ok((task, None))
        }
        Some((session, true)) => Ok((task, Some(session))),
        None => Ok((task, None)),
    }
}

/// Lets a session's task follow what was heard of the session.
pub fn follow(live: &mut Live, unit: &mut Unit, id: SessionId, heard: &Heard) {
    let Some(session) = live.session(id) else { return };
    let Some(known) = session.task_id.and_then(|task| live.tasks.get(task)) else { return };
    let Known { task, attempt: Some(attempt) } = known else { return };
    let stopped = session.state.claude_status == ClaudeStatus::Stopped;
    if !task.status.is_at_work()
        || attempt.session_id != id
        || attempt.outcome.is_some()
        || stopped && live.tasks.restarting.contains(&id)
    {
        return;
    }
    let task_id = task.id;
    let step = task::follow(task, attempt, session, heard, unit.now);
    let turn = turn(task, attempt, session, heard, unit.now);
    let done = match step {
        Some(Move::Becomes(status)) => {
            change(live, unit, task_id, &[], |task, _, _| task.status = status).map(drop)
        }
        Some(Move::Back(why)) => back(live, unit, task_id, id, why),
        Some(Move::Interrupted(why)) => interrupted(live, unit, task_id, why),
        None => Ok(()),
    };
    debug_assert!(done.is_ok(), "{done:?}");
    if let Some(ended_at) = turn {
        note_turn(live, unit, task_id, ended_at);
    }
}

/// If a task is to complete by itself: whether its turn has ended, where that is news.
fn turn(
    task: &Task,
    attempt: &Attempt,
    session: &crate::domain::session::Session,
    heard: &Heard,
    now: Timestamp,
) -> Option<Option<Timestamp>> {
    if !task.options.complete_on_idle {
        return None;
    }
    let state = &session.state;
    let failed = state.detail.error.is_some() && !state.is_limited();
    match state.claude_status {
        ClaudeStatus::Idle if heard.turn_ended => Some(Some(now)),
        ClaudeStatus::Idle if failed && attempt.turn_ended_at.is_none() => Some(Some(now)),
        // What was queued did not arrive: nothing follows any more.
        ClaudeStatus::Idle if !heard.undelivered.is_empty() => attempt.turn_ended_at.map(Some),
        ClaudeStatus::Busy | ClaudeStatus::Waiting => attempt.turn_ended_at.map(|_| None),
        _ => None,
    }
}

fn note_turn(live: &mut Live, unit: &mut Unit, id: TaskId, ended_at: Option<Timestamp>) {
    let Some(mut known) = live.tasks.get(id).cloned() else { return };
    let Some(attempt) = known.attempt.as_mut().filter(|a| a.outcome.is_none()) else { return };
    attempt.turn_ended_at = ended_at;
    unit.write(Write::SaveAttempt { task: id, attempt: Box::new(attempt.clone()) });
    live.tasks.put(known);
    if ended_at.is_some() {
        unit.then(Effect::Settle(id));
    }
}

/// The prompt did not arrive: the task is pending again, with the reason. One whose launch was lost
/// with an earlier server is started again.
fn back(
    live: &mut Live,
    unit: &mut Unit,
    id: TaskId,
    session: SessionId,
    why: String,
) -> Result<(), Error> {
    let lost = live.tasks.lost.remove(&session);
    let outcome = AttemptOutcome::Undelivered;
    let (_, own) = end(live, unit, id, TaskStatus::Pending, outcome, Some(why))?;
    if lost {
        change(live, unit, id, &["queued"], |task, _, _| {
            task.queued = true;
            task.result = None;
        })?;
    }
    unit.then(Effect::Finish(id));
    let runs = live.session(session).is_some_and(|s| s.state.process.is_some());
    if let Some(session) = own.filter(|_| lost || runs) {
        unit.then(Effect::EndSession(session));
    }
    Ok(())
}

fn interrupted(live: &mut Live, unit: &mut Unit, id: TaskId, why: String) -> Result<(), Error> {
    let session = live.tasks.get(id).and_then(|k| k.task.session_id);
    let outcome = AttemptOutcome::Interrupted;
    end(live, unit, id, TaskStatus::Failed, outcome, Some(why))?;
    unit.then(Effect::Finish(id));
    // If it is started again, the task goes on in it, whoever made it.
    if let Some(session) = session {
        set_task(live, unit, session, Some(id));
    }
    Ok(())
}

/// A session is started again: its last task goes on, if it was interrupted by the session's end; else
/// the session is free.
pub fn session_begins(live: &mut Live, unit: &mut Unit, id: SessionId, recalled: Option<Known>) {
    live.tasks.restarting.remove(&id);
    let Some(recalled) = recalled else { return };
    let task_id = recalled.task.id;
    live.tasks.admit(recalled);
    let Some(Known { task, attempt: Some(attempt) }) = live.tasks.get(task_id) else { return };
    let last = attempt.session_id == id;
    if last && task.status.is_at_work() && attempt.outcome.is_none() {
        return;
    }
    let interrupted = attempt.outcome == Some(AttemptOutcome::Interrupted);
    if !(last && interrupted && task.status == TaskStatus::Failed) {
        return set_task(live, unit, id, None);
    }
    let reopened = change(live, unit, task_id, &[], |task, attempt, _| {
        task.status = TaskStatus::Running;
        task.result = None;
        task.completed_at = None;
        if let Some(attempt) = attempt {
            attempt.outcome = None;
            attempt.result = None;
            attempt.ended_at = None;
            attempt.turn_ended_at = None;
        }
    });
    debug_assert!(reopened.is_ok(), "{reopened:?}");
}

/// A session that ended unasked is not started again after all: its task is interrupted.
pub(super) fn abandon(live: &mut Live, unit: &mut Unit, id: SessionId) {
    live.tasks.restarting.remove(&id);
    let Some(session) = live.session(id) else { return };
    let state = &session.state;
    let gone = state.claude_status == ClaudeStatus::Stopped
        && state.process.is_none()
        && state.status != Status::Paused;
    let why = state.detail.error.clone().unwrap_or_else(|| "its session was ended".into());
    let Some(known) = session.task_id.and_then(|task| live.tasks.get(task)) else { return };
    let (task, ours) = (&known.task, known.attempt.as_ref().is_some_and(|a| a.session_id == id));
    if !gone || !ours || !task.status.is_at_work() {
        return;
    }
    let (task_id, status) = (task.id, task.status);
    let done = match status {
        TaskStatus::Assigned => back(live, unit, task_id, id, why),
        _ => interrupted(live, unit, task_id, why),
    };
    debug_assert!(done.is_ok(), "{done:?}");
}
