//! `chorus run` and `chorus new`: starting a session, and telling whether it has started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::args::{Launch, Wait};
use super::client::{Client, Events};
use super::commands::{attach_to, path};
use super::exit::Exit;
use super::show;
use super::wait::{Prompt, Waiter};
use crate::api::projects::NewProject;
use crate::api::sessions::{NewSession, SessionDetail, SessionView};
use crate::api::tasks::{NewTask, TaskDetail, TaskView};
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::project::Project;
use crate::domain::session::{self, ClaudeStatus, SessionName, Status};
use crate::domain::task::TaskStatus;

/// How long a start is waited for. Claude Code takes about a second.
const START: Duration = Duration::from_secs(20);

/// Starts a session without a prompt, and tells whether Claude has begun, or what is in its way.
pub async fn session(
    client: &Client,
    launch: Launch,
    attach: bool,
    wait: &Wait,
    json: bool,
) -> Result<Exit> {
    let new = order(client, launch).await?;
    // Before the start, so that no event can be missed.
    if wait.wait.is_some() {
        let waiter = Waiter::begin(client, None).await?;
        let session: SessionView = client.post("/api/sessions", &new).await?;
        eprintln!("chorus: {} has started", session.name);
        return waiter.finish(session.id, None, wait, json).await;
    }
    let events = client.events("", None).await?;
    let session: SessionView = client.post("/api/sessions", &new).await?;
    begun(client, events, session, attach, json).await
}

/// Starts a task in a session of its own, and tells whether Claude has begun, what is in its way, or
/// what the task waits for.
pub async fn task(
    client: &Client,
    new: NewTask,
    attach: bool,
    wait: &Wait,
    json: bool,
) -> Result<Exit> {
    // Before the start, so that no event can be missed.
    let waiter = match wait.wait {
        Some(_) => Some(Waiter::begin(client, None).await?),
        None => None,
    };
    let mut events = client.events("", None).await?;
    let task = started_task(client, &new).await?;
    let Some(waiter) = waiter else {
        if task.queued {
            return queued(client, task.id, json).await;
        }
        let session = session_of(client, &task).await?;
        return begun(client, events, session, attach, json).await;
    };
    let task = if task.queued {
        eprintln!("chorus: task {} is queued", task.id);
        let start = out_of_queue(client, &mut events, task.id);
        match wait.timeout {
            None => start.await?,
            Some(limit) => timeout(limit, start).await.map_err(|_| {
                Exit::TimedOut.error(format!("task {} waits in the queue still", task.id))
            })??,
        }
    } else {
        task
    };
    let session = session_of(client, &task).await?;
    eprintln!("chorus: {} has started", session.name);
    waiter.finish(session.id, Some(Prompt::First), wait, json).await
}

/// Makes a task and starts it. If it cannot be started, nothing is left of it.
async fn started_task(client: &Client, new: &NewTask) -> Result<TaskView> {
    let task: TaskView = client.post("/api/tasks", new).await?;
    let path = format!("/api/tasks/{}", task.id);
    match client.post(&format!("{path}/start"), &json!({})).await {
        Ok(task) => Ok(task),
        Err(e) => {
            // What kept it from starting is what counts.
            let _ = client.call::<Value>(Method::DELETE, &path, None::<&Value>).await;
            Err(e)
        }
    }
}

/// Tells of a task that waits in the queue.
pub(super) async fn queued(client: &Client, id: TaskId, json: bool) -> Result<Exit> {
    let task: TaskDetail = client.get(&format!("/api/tasks/{id}")).await?;
    let waits_for = task.waits_for.as_deref().unwrap_or("its turn");
    let text = format!("task {id} is queued: it waits for {}", show::safe(waits_for));
    let value = json!({ "task_id": id, "queued": true, "waits_for": task.waits_for });
    show::done(&text, &value, json)?;
    Ok(Exit::Ok)
}

/// Waits until the queue has started a task.
async fn out_of_queue(client: &Client, events: &mut Events, id: TaskId) -> Result<TaskView> {
    loop {
        let task: TaskView = client.get(&format!("/api/tasks/{id}")).await?;
        if task.status != TaskStatus::Pending {
            return Ok(task);
        }
        if !task.queued {
            let why = task.result.unwrap_or_else(|| "somebody took it out of the queue".into());
            return Err(Exit::Refused.error(format!("task {id} was not started: {why}")));
        }
        let ours = async {
            while let Some(event) = events.next().await? {
                let data: Value = serde_json::from_str(&event.data)?;
                if data["task_id"] == json!(id) {
                    return Ok(true);
                }
            }
            Ok::<_, anyhow::Error>(false)
        };
        if !ours.await? {
            return Err(Exit::NoServer.error("the server went away; the task waits in its queue"));
        }
    }
}

/// The session that a task was given to.
async fn session_of(client: &Client, task: &TaskView) -> Result<SessionView> {
    let session = task.session_id.ok_or_else(|| anyhow!("task {} has no session", task.id))?;
    Ok(client.get::<SessionDetail>(&path(&session.to_string(), "")?).await?.session)
}

/// Tells whether a session's Claude has begun, or what is in its way.
async fn begun(
    client: &Client,
    mut events: Events,
    session: SessionView,
    attach: bool,
    json: bool,
) -> Result<Exit> {
    if attach {
        attach_to(client, session.name.as_str(), json).await?;
        return Ok(Exit::Ok);
    }
    // A start that takes longer is no failure; it is told as it is.
    let session = match timeout(START, started(client, &mut events, &session)).await {
        Ok(session) => session?,
        Err(_) => session,
    };
    let name = &session.name;
    let detail = &session.detail;
    let trouble = detail.error.as_ref().or(detail.waiting_for.as_ref());
    let text = match trouble.filter(|_| session.permission_prompt.is_none()) {
        Some(trouble) => {
            let remedy = detail.remedy.as_deref().unwrap_or("`chorus attach` shows its terminal");
            let what = if session.status == Status::Error { "failed" } else { "is held up" };
            format!("{name} {what}: {}\n  → {}", show::safe(trouble), show::safe(remedy))
        }
        None if session.claude_status == ClaudeStatus::Starting => format!(
            "{name} is still starting; `chorus show {name}` tells more, `chorus attach {name}` shows its terminal"
        ),
        None => {
            let task = session.task_id.map(|id| format!(" on task {id}")).unwrap_or_default();
            format!(
                "{name} has started{task}; `chorus attach {name}`, `chorus logs {name}`, `chorus permissions`"
            )
        }
    };
    let held_up = trouble.is_some() && session.permission_prompt.is_none();
    show::done(&text, &session, json)?;
    Ok(match (session.status, held_up) {
        (Status::Error, _) => Exit::Ended,
        (_, true) => Exit::Waiting,
        _ => Exit::Ok,
    })
}

/// Waits until a new session's Claude has begun, has failed, or waits for somebody.
async fn started(
    client: &Client,
    events: &mut Events,
    session: &SessionView,
) -> Result<SessionView> {
    let path = path(&session.id.to_string(), "")?;
    loop {
        let detail: SessionDetail = client.get(&path).await?;
        let now = detail.session;
        if now.claude_status != ClaudeStatus::Starting || now.status == Status::Error {
            return Ok(now);
        }
        let ours = async {
            while let Some(event) = events.next().await? {
                let data: Value = serde_json::from_str(&event.data)?;
                if data["session_id"] == session.id.to_string() {
                    return Ok(true);
                }
            }
            Ok::<_, anyhow::Error>(false)
        };
        if !ours.await? {
            return Ok(now);
        }
    }
}

async fn order(client: &Client, launch: Launch) -> Result<NewSession> {
    let wanted = wanted(client, launch, session::Launch::default()).await?;
    Ok(NewSession {
        name: wanted.name,
        project_id: Some(wanted.project),
        workspace_path: Some(wanted.workspace),
        launch: wanted.launch,
        ..NewSession::default()
    })
}

/// What the options of a start mean here.
pub(super) struct Wanted {
    /// The session's name.
    pub name: Option<SessionName>,
    /// The project of the directory.
    pub project: ProjectId,
    /// The directory.
    pub workspace: String,
    /// How Claude is launched.
    pub launch: session::Launch,
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| anyhow!("{} is not valid UTF-8", path.display()))
}

/// The project of a directory, which is made if there is none.
pub(super) async fn project(client: &Client, directory: &Path) -> Result<Project> {
    let root = text(&project_root(&directory.canonicalize()?))?;
    client.post("/api/projects", &NewProject { root, name: None }).await
}

/// Finds out what the options of a start mean here; the directory's project is made if there is none.
/// How Claude is launched is as in `base`, where nothing else is said.
pub(super) async fn wanted(
    client: &Client,
    launch: Launch,
    base: session::Launch,
) -> Result<Wanted> {
    let directory = match &launch.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir()?,
    };
    let directory = directory.canonicalize().with_context(|| directory.display().to_string())?;
    let project = project(client, &directory).await?;
    let env = launch.env.iter().map(|pair| {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Exit::Usage.error(format!("--env wants NAME=VALUE, not {pair:?}")))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let mut all_env = base.env;
    all_env.extend(env.collect::<Result<Vec<_>>>()?);
    let said = |said: Vec<String>, base| if said.is_empty() { base } else { said };
    Ok(Wanted {
        name: launch.name,
        project: project.id,
        workspace: text(&directory)?,
        launch: session::Launch {
            model: launch.model.or(base.model),
            permission_mode: launch.permission_mode.or(base.permission_mode),
            allowed_tools: said(launch.allowed_tools, base.allowed_tools),
            env: all_env,
            extra_args: said(launch.extra, base.extra_args),
            claude_config_dir: launch.claude_config_dir.or(base.claude_config_dir),
            crash_restarts: launch.crash_restarts.unwrap_or(base.crash_restarts),
            budget_usd: launch.budget.or(base.budget_usd),
            ..base
        },
    })
}

/// The project of a directory: the git repository around it, else the directory itself.
fn project_root(directory: &Path) -> PathBuf {
    let git = directory.ancestors().find(|d| d.join(".git").exists());
    git.unwrap_or(directory).to_owned()
}
