//! Giving tasks to sessions: to one made for the task, or to one that is there.

use std::sync::Arc;

use super::finding::{View, view};
use super::follow::{act, change, check, set_task, unknown};
use super::{load, workspace};
use crate::claude::profile::Profile;
use crate::domain::ids::{MessageId, SessionId, TaskId};
use crate::domain::message::MessageSource;
use crate::domain::prompt::Prompt;
use crate::domain::session::{ClaudeStatus, Launch, Session, SessionName, Status};
use crate::domain::task::{self, Attempt, PromptAs, Task, TaskStatus};
use crate::domain::time::Timestamp;
use crate::services::engine::{Effect, Unit};
use crate::services::error::Error;
use crate::services::git::Prepared;
use crate::services::live::{Known, Live};
use crate::services::{App, couriers, elsewhere, git, launch, projects, references, sessions};
use crate::store::messages::Outgoing;
use crate::store::{Write, tasks};

/// What Claude would be told.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The text, byte for byte as Claude gets it.
    pub prompt: String,
}

/// What is wrong with a session's field is wrong with the task's option.
pub(super) fn in_options(e: Error) -> Error {
    match e {
        Error::Invalid { field, problem } => Error::Invalid {
            field: match field.as_str() {
                "initial_prompt" => "description".into(),
                field => format!("options.{field}"),
            },
            problem,
        },
        e => e,
    }
}

/// Shows what Claude would be told.
pub async fn preview(app: &Arc<App>, id: TaskId) -> Result<Preview, Error> {
    let task = tasks::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))?;
    let claude = launch::installed(app).await.map(|claude| claude.version).unwrap_or_default();
    let prompt = told(app, &task, &claude).await?;
    Ok(Preview { prompt: prompt.expected().to_owned() })
}

/// What Claude of this version is told of a task.
async fn told(app: &App, task: &Task, version: &str) -> Result<Prompt, Error> {
    let excerpts = references::excerpts(app, task.id, task.options.use_stored_text).await?;
    let text = task::prompt::prompt(task, &excerpts);
    let profile = Profile::of(version);
    Prompt::new(&text, false, profile.leading_blank_disarms_slash)
        .map_err(|e| Error::invalid("description", e.to_string()))
}

// --- room ---

/// How many places for sessions are taken: by those that run or start, and by those whose task goes on
/// although they are just being started again.
fn taken(live: &Live) -> usize {
    let takes = |s: &&Session| {
        let runs = s.state.process.is_some() || s.state.claude_status != ClaudeStatus::Stopped;
        let task = s.task_id.and_then(|task| live.tasks.get(task));
        let goes_on =
            task.is_some_and(|k| k.task.status.is_at_work() && k.task.session_id == Some(s.id));
        !s.is_elsewhere() && (runs || goes_on && s.state.status != Status::Paused)
    };
    live.sessions().filter(takes).count()
}

/// Whether there is room for one more session.
pub(super) fn has_room(live: &Live, most: u32) -> bool {
    most == 0 || taken(live) < most as usize
}

/// Whose usage limit a launch would meet: as far as can be told, an account is a configuration folder
/// and a key.
fn account(launch: &Launch) -> (Option<&String>, [Option<&String>; 3]) {
    let folder = launch.claude_config_dir.as_ref().or(launch.env.get("CLAUDE_CONFIG_DIR"));
    let names = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
    (folder, names.map(|name| launch.env.get(name)))
}

/// Until when a usage limit holds tasks of this launch's account, if it does.
pub(super) fn limited(live: &Live, launch: &Launch) -> Option<Option<Timestamp>> {
    let limited = |s: &&Session| {
        s.state.is_limited() && s.state.process.is_some() && account(&s.launch) == account(launch)
    };
    live.sessions().find(limited).map(|s| s.state.limit.and_then(|limit| limit.until))
}

/// What keeps a task in the queue that waits for no other task, in words.
pub(super) async fn held_up(app: &App, task: &Task) -> Result<Option<String>, Error> {
    let (most, launch) = (app.config.max_sessions, task.options.launch.clone());
    let why = app
        .engine
        .read(move |live| match limited(live, &launch) {
            Some(Some(until)) => Some(format!("a usage limit until {until}")),
            Some(None) => Some("a usage limit".to_owned()),
            None if !has_room(live, most) => {
                Some(format!("a place: {} of {most} sessions run", taken(live)))
            }
            None => None,
        })
        .await?;
    Ok(why)
}

// --- start ---

/// Starts a task in a session of its own; or puts it into the queue if there is no room, a usage limit
/// holds it, or it waits for other tasks.
///
/// `use_stored`: of a reference whose text is not there any more, Claude gets the text it was made for.
pub async fn start(
    app: &Arc<App>,
    id: TaskId,
    use_stored: bool,
    by: MessageSource,
) -> Result<View, Error> {
    let known = load(app, id).await?;
    check(&known.task, TaskStatus::Assigned)?;
    let needs = tasks::needs(&app.db, id).await?;
    let waits = needs.iter().any(|n| n.status != TaskStatus::Completed);
    let (most, held) = (app.config.max_sessions, known.clone());
    let queued = app
        .engine
        .run(move |live, unit| {
            live.tasks.admit(held);
            let task = &live.tasks.get(id).ok_or_else(|| unknown(id))?.task;
            check(task, TaskStatus::Assigned)?;
            let free = has_room(live, most) && limited(live, &task.options.launch).is_none();
            if free && !waits {
                return Ok(false);
            }
            enqueue(live, unit, id, use_stored, by)?;
            Ok::<_, Error>(true)
        })
        .await?;
    if !queued && let Some(start) = begin(app, known, use_stored, by).await? {
        launch(app, id, start).await?;
    }
    view(app, id).await
}

fn enqueue(
    live: &mut Live,
    unit: &mut Unit,
    id: TaskId,
    use_stored: bool,
    by: MessageSource,
) -> Result<(), Error> {
    let changed: &[&str] = if use_stored { &["queued", "options"] } else { &["queued"] };
    let task = change(live, unit, id, changed, |task, _, _| {
        task.queued = true;
        task.result = None;
        task.options.use_stored_text |= use_stored;
    })?;
    unit.write(Write::Audit(act(unit.now, by.into(), "task.queued", &task)));
    Ok(())
}

/// Makes the session of a task's next attempt, if there is still room, in one transaction with the task;
/// if there is none, it waits in the queue.
pub(super) async fn begin(
    app: &Arc<App>,
    known: Known,
    use_stored: bool,
    by: MessageSource,
) -> Result<Option<launch::Start>, Error> {
    let mut task = known.task.clone();
    task.options.use_stored_text |= use_stored;
    let project = projects::get(app, task.project_id).await?;
    let claude = launch::installed(app).await?;
    let prompt = told(app, &task, &claude.version).await?.text().to_owned();
    let place = workspace::prepare(app, &task, &project).await?;
    let mut launch = task.options.launch.clone();
    if task.options.prompt_as == PromptAs::SystemPrompt {
        let before = launch.append_system_prompt.take().map(|text| format!("{text}\n\n"));
        launch.append_system_prompt = Some(format!("{}{prompt}", before.unwrap_or_default()));
    }
    let like = SessionName::from_text(&task.title).filter(|_| !task.options.plain);
    let new = sessions::New {
        name: task.options.session_name.clone(),
        like,
        project: Some(task.project_id),
        prompt: Some(task::prompt::first_prompt(&task, &prompt)),
        source: by,
        workspace: Some(place.workspace.to_string_lossy().into_owned()),
        managed: place.worktree.is_some(),
        launch,
        metadata: serde_json::Map::new(),
        fork_of: None,
        idempotency_key: None,
    };
    let (prepared, start) = match sessions::prepare(app, new).await {
        Ok(made) => made,
        Err(e) => {
            git::take_back(app, &task, &place).await;
            return Err(in_options(e));
        }
    };
    let (id, session) = (task.id, prepared.id);
    let (most, seen) = (app.config.max_sessions, task.updated_at);
    let kept = place.clone();
    let begun = app
        .engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let task = &live.tasks.get(id).ok_or_else(|| unknown(id))?.task;
            check(task, TaskStatus::Assigned)?;
            // Somebody else may have taken the room, or have changed the task, in the meantime.
            let free = has_room(live, most) && limited(live, &task.options.launch).is_none();
            if !free || task.queued && task.updated_at != seen {
                if !task.queued {
                    enqueue(live, unit, id, use_stored, by)?;
                }
                return Ok(false);
            }
            let message = prepared.begin(live, unit, Some(id))?;
            let attempt = attempt(session, true, &kept, message, prompt, unit.now);
            give(live, unit, id, (attempt, use_stored), by, "task.started")?;
            Ok::<_, Error>(true)
        })
        .await;
    if !matches!(begun, Ok(true)) {
        git::take_back(app, &task, &place).await;
    }
    Ok(begun?.then_some(start))
}

/// Launches Claude in the session that was made for a task. If that fails, the task is pending again.
pub(super) async fn launch(
    app: &Arc<App>,
    task: TaskId,
    start: launch::Start,
) -> Result<(), Error> {
    let launched = launch::run(app, start).await;
    if let Err(e) = &launched {
        tracing::warn!(%task, error = %e, "task {task} could not be started");
    }
    launched
}

fn attempt(
    session: SessionId,
    own_session: bool,
    place: &Prepared,
    message: Option<MessageId>,
    prompt: String,
    now: Timestamp,
) -> Attempt {
    Attempt {
        number: 0,
        session_id: session,
        own_session,
        git_backend: place.backend,
        branch: place.branch.clone(),
        base_commit: place.base_commit.clone(),
        worktree: place.worktree.clone(),
        prompt,
        message_id: message,
        turn_ended_at: None,
        head_commit: None,
        git_problem: None,
        outcome: None,
        result: None,
        started_at: now,
        ended_at: None,
    }
}

/// Gives a task to a session: its next attempt begins, with the text that references were made for if
/// that is wanted.
fn give(
    live: &mut Live,
    unit: &mut Unit,
    id: TaskId,
    (attempt, use_stored): (Attempt, bool),
    by: MessageSource,
    action: &'static str,
) -> Result<(), Error> {
    let task = change(live, unit, id, &[], |task, last, now| {
        task.status = TaskStatus::Assigned;
        task.queued = false;
        task.options.use_stored_text |= use_stored;
        task.attempts += 1;
        task.session_id = Some(attempt.session_id);
        task.result = None;
        task.started_at = Some(now);
        task.completed_at = None;
        *last = Some(Attempt { number: task.attempts, ..attempt });
    })?;
    unit.write(Write::Audit(act(unit.now, by.into(), action, &task)));
    Ok(())
}

// --- assign ---

/// Gives a task to a session that is idle and works on no task: its prompt is sent there.
pub async fn assign(
    app: &Arc<App>,
    id: TaskId,
    session: &Session,
    by: MessageSource,
) -> Result<View, Error> {
    let known = load(app, id).await?;
    check(&known.task, TaskStatus::Assigned)?;
    elsewhere::leave_alone(session)?;
    free(session)?;
    if known.task.project_id != session.project_id {
        return Err(Error::invalid("session_id", "the session belongs to another project"));
    }
    let version = session.claude_version.clone().unwrap_or_default();
    let prompt = told(app, &known.task, &version).await?.text().to_owned();
    couriers::refuse_draft(app, session).await?;
    let session_id = session.id;
    let (task, project) = (known.task.clone(), projects::get(app, session.project_id).await?);
    let place = workspace::join(app, &task, &project, &session.workspace_path).await?;
    let kept = place.clone();
    let given = app
        .engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let task = &live.tasks.get(id).ok_or_else(|| unknown(id))?.task;
            check(task, TaskStatus::Assigned)?;
            let no_session = || Error::no_session(&session_id.to_string());
            let session = live.session(session_id).ok_or_else(no_session)?;
            free(session)?;
            couriers::admissible(session, false, live.queue(session_id).count())?;
            let outgoing = Outgoing::queued(session_id, &prompt, by, unit.now);
            let message = outgoing.message.id;
            // Before its message, which is stamped with it.
            set_task(live, unit, session_id, Some(id));
            live.queue_mut(session_id).push_back(outgoing.clone());
            unit.write(Write::AddMessage { message: Box::new(outgoing), idempotency_key: None });
            unit.then(Effect::WakeCourier(session_id));
            let attempt = attempt(session_id, false, &kept, Some(message), prompt, unit.now);
            give(live, unit, id, (attempt, false), by, "task.assigned")
        })
        .await;
    if let Err(e) = given {
        git::take_back(app, &task, &place).await;
        return Err(e);
    }
    view(app, id).await
}

/// Refuses a session that works on a task, or is not idle.
fn free(session: &Session) -> Result<(), Error> {
    if let Some(task) = session.task_id {
        return Err(Error::conflict(format!(
            "{} works on task {task}; choose a session that works on none",
            session.name
        )));
    }
    if session.state.claude_status != ClaudeStatus::Idle || !session.state.started {
        return Err(Error::conflict(format!(
            "Claude is {} in {}: a task is given to an idle session",
            session.state.claude_status, session.name
        )));
    }
    Ok(())
}
