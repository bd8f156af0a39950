//! `chorus run` and `chorus new`: starting a session, and telling whether it has started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use tokio::time::timeout;

use super::args::{Launch, Wait};
use super::client::{Client, Events};
use super::commands::{attach_to, path};
use super::exit::Exit;
use super::show;
use super::wait::{Prompt, Waiter};
use crate::api::projects::NewProject;
use crate::api::sessions::{NewSession, SessionDetail, SessionView};
use crate::domain::project::Project;
use crate::domain::session::{self, ClaudeStatus, Status};

/// How long a start is waited for. Claude Code takes about a second.
const START: Duration = Duration::from_secs(20);

/// Starts a session, and tells whether Claude has begun, or what is in its way.
pub async fn create(
    client: &Client,
    launch: Launch,
    prompt: Option<String>,
    attach: bool,
    wait: &Wait,
    json: bool,
) -> Result<Exit> {
    let first = prompt.as_ref().map(|_| Prompt::First);
    let new = order(client, launch, prompt).await?;
    // Before the start, so that no event can be missed.
    if wait.wait.is_some() {
        let waiter = Waiter::begin(client, None).await?;
        let session: SessionView = client.post("/api/sessions", &new).await?;
        eprintln!("chorus: {} has started", session.name);
        return waiter.finish(session.id, first, wait, json).await;
    }
    let mut events = client.events("", None).await?;
    let session: SessionView = client.post("/api/sessions", &new).await?;
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
        None => format!(
            "{name} has started; `chorus attach {name}`, `chorus logs {name}`, `chorus permissions`"
        ),
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

async fn order(client: &Client, launch: Launch, prompt: Option<String>) -> Result<NewSession> {
    let directory = match &launch.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir()?,
    };
    let directory = directory.canonicalize().with_context(|| directory.display().to_string())?;
    let text = |p: &Path| {
        p.to_str().map(str::to_owned).ok_or_else(|| anyhow!("{} is not valid UTF-8", p.display()))
    };
    let root = text(&project_root(&directory))?;
    let project: Project = client.post("/api/projects", &NewProject { root, name: None }).await?;
    let env = launch.env.iter().map(|pair| {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Exit::Usage.error(format!("--env wants NAME=VALUE, not {pair:?}")))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    Ok(NewSession {
        name: launch.name,
        project_id: Some(project.id),
        initial_prompt: prompt,
        workspace_path: Some(text(&directory)?),
        launch: session::Launch {
            model: launch.model,
            permission_mode: launch.permission_mode,
            allowed_tools: launch.allowed_tools,
            env: env.collect::<Result<_>>()?,
            extra_args: launch.extra,
            claude_config_dir: launch.claude_config_dir,
            crash_restarts: launch.crash_restarts,
            budget_usd: launch.budget,
            ..session::Launch::default()
        },
        ..NewSession::default()
    })
}

/// The project of a directory: the git repository around it, else the directory itself.
fn project_root(directory: &Path) -> PathBuf {
    let git = directory.ancestors().find(|d| d.join(".git").exists());
    git.unwrap_or(directory).to_owned()
}
