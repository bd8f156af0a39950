//! The commands that speak to the server.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use tokio::time::timeout;

use super::args::{Command, New, Run, Send};
use super::client::Client;
use super::{attach, audit, launch, life, notify, permissions, rules, show, start};
use crate::api::sessions::{Attach, NewMessage, SessionDetail, SessionView};
use crate::config::{DataDir, Loaded};
use crate::domain::message::Delivery;
use crate::domain::project::Project;
use crate::domain::record::{CommandLog, Message};
use crate::domain::session::{ClaudeStatus, Status};

/// Rows of `ps` and `permissions`.
pub(super) const MOST: usize = 1_000;
/// How long `send` waits for the confirmation.
const CONFIRMATION: Duration = Duration::from_secs(30);

/// Carries out a command.
pub async fn run(
    command: Command,
    loaded: &Loaded,
    data: &DataDir,
    json: bool,
) -> Result<ExitCode> {
    match command {
        Command::Run(Run { prompt, launch, attach }) => {
            let client = start::server(loaded, data).await?;
            let prompt = text_or_stdin(prompt)?;
            return launch::create(&client, launch, Some(prompt), attach, json).await;
        }
        Command::New(New { launch, attach }) => {
            let client = start::server(loaded, data).await?;
            return launch::create(&client, launch, None, attach, json).await;
        }
        Command::StatusLine => notify::status_line(data, json).await?,
        Command::Open => open(&Client::find(data).await?, data, json)?,
        other => return known(other, &Client::find(data).await?, json).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn known(command: Command, client: &Client, json: bool) -> Result<ExitCode> {
    match command {
        Command::Ps { all } => {
            let sessions: Vec<SessionView> = client.list("/api/sessions", MOST).await?;
            // One that ended by itself is news until somebody ends it.
            let shown = |s: &SessionView| {
                all || s.claude_status != ClaudeStatus::Stopped || s.status == Status::Error
            };
            show::sessions(&sessions.into_iter().filter(shown).collect::<Vec<_>>(), json)?;
        }
        Command::Show(s) => {
            let detail: SessionDetail = client.get(&path(&s.session, "")?).await?;
            show::session(&detail, json)?;
        }
        Command::Send(send) => return send_prompt(client, send, json).await,
        Command::Approve(approve) => return permissions::approve(client, approve, json).await,
        Command::Deny(deny) => return permissions::deny(client, deny, json).await,
        Command::Permissions { all } => permissions::list(client, all, json).await?,
        Command::Rules { what } => rules::run(client, what, json).await?,
        Command::Audit(audit) => return audit::run(client, audit, json).await,
        Command::Interrupt(_)
        | Command::Pause(_)
        | Command::Resume { .. }
        | Command::Fork { .. }
        | Command::Adopt(_)
        | Command::Conversations(_)
        | Command::Restart { .. }
        | Command::Kill(_) => return life::run(command, client, json).await,
        Command::Attach(s) => attach_to(client, &s.session, json).await?,
        Command::Logs { session, tools, last } => logs(client, &session, tools, last, json).await?,
        Command::Events { session, after } => events(client, session, after, json).await?,
        Command::Notify { what } => return notify::run(client, &what, json).await,
        Command::Run(_)
        | Command::New(_)
        | Command::Open
        | Command::StatusLine
        | Command::Serve(_)
        | Command::Config
        | Command::Db(_)
        | Command::Hooks { .. }
        | Command::Doctor => {
            bail!("this command is carried out elsewhere")
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A session's path in the API. Its name comes from the command line, so it is checked.
pub(super) fn path(session: &str, rest: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if session.is_empty() || !session.chars().all(plain) {
        bail!("{session:?} is not a session's name or id; `chorus ps` lists them");
    }
    Ok(format!("/api/sessions/{session}{rest}"))
}

fn text_or_stdin(text: String) -> Result<String> {
    if text != "-" {
        return Ok(text);
    }
    let mut all = String::new();
    std::io::stdin().read_to_string(&mut all).context("standard input")?;
    Ok(all)
}

async fn send_prompt(client: &Client, send: Send, json: bool) -> Result<ExitCode> {
    let message = NewMessage {
        text: text_or_stdin(send.text)?,
        queue: send.queue,
        force: send.force,
        raw: send.raw,
        source: None,
    };
    // Before sending, so that no event can be missed.
    let mut events = client.events("", None).await?;
    let mut sent: Message = client.post(&path(&send.session, "/send")?, &message).await?;
    if send.no_wait {
        show::sent(&sent, json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settled = async {
        while let Some(event) = events.next().await? {
            let data: Value = serde_json::from_str(&event.data)?;
            if event.kind != "message" || data["id"] != sent.id.to_string() {
                continue;
            }
            sent.delivery_status = serde_json::from_value(data["delivery_status"].clone())?;
            sent.delivery_error = data["delivery_error"].as_str().map(str::to_owned);
            if matches!(sent.delivery_status, Some(Delivery::Delivered | Delivery::Undelivered)) {
                return Ok(());
            }
        }
        bail!("the server went away; `chorus logs` tells later whether the prompt arrived")
    };
    match timeout(CONFIRMATION, settled).await {
        Ok(settled) => settled?,
        // Queued behind other work: that is no failure.
        Err(_) if send.queue => {}
        Err(_) => {
            bail!("the prompt is neither confirmed nor given up after {} s", CONFIRMATION.as_secs())
        }
    }
    show::sent(&sent, json)?;
    Ok(if sent.delivery_status == Some(Delivery::Undelivered) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

pub(super) async fn attach_to(client: &Client, session: &str, json: bool) -> Result<()> {
    let how: Attach = client.post(&path(session, "/attach")?, &Value::Null).await?;
    if json {
        return show::json(&how);
    }
    attach::become_tmux(&how)?;
    Ok(())
}

async fn logs(
    client: &Client,
    session: &str,
    tools_only: bool,
    last: usize,
    json: bool,
) -> Result<()> {
    let tools: Vec<CommandLog> = client.list(&path(session, "/logs")?, usize::MAX).await?;
    let said: Vec<Message> = if tools_only {
        Vec::new()
    } else {
        client.list(&path(session, "/messages")?, usize::MAX).await?
    };
    let tools = &tools[tools.len().saturating_sub(last)..];
    let said = &said[said.len().saturating_sub(last)..];
    show::story(said, tools, json)
}

async fn events(
    client: &Client,
    session: Option<String>,
    after: Option<i64>,
    json: bool,
) -> Result<()> {
    let query = match session {
        Some(name) => {
            let detail: SessionDetail = client.get(&path(&name, "")?).await?;
            format!("?session_id={}", detail.session.id)
        }
        None => String::new(),
    };
    let mut after = after;
    loop {
        let mut stream = client.events(&query, after).await?;
        while let Ok(Some(event)) = stream.next().await {
            after = Some(event.id);
            show::event(&event, json)?;
        }
        // The server went away: go on where it broke off when it is back.
        eprintln!("chorus: the stream ended; connecting again…");
        while client.get::<Vec<Project>>("/api/projects").await.is_err() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn open(client: &Client, data: &DataDir, json: bool) -> Result<()> {
    let url = match client {
        Client::Tcp(host) => format!("http://{host}"),
        // The socket is not always in the data folder, so it does not lead there.
        Client::Unix(_) => crate::server::Running::find(data)
            .map(|r| r.url)
            .ok_or_else(|| anyhow!("the server does not say where it is"))?,
    };
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = std::process::Command::new(opener)
        .arg(&url)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .is_ok();
    let text = if opened { format!("opened {url}") } else { format!("open {url} in a browser") };
    show::done(&text, &serde_json::json!({ "url": url, "opened": opened }), json)
}
