//! The commands that speak to the server.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use tokio::time::timeout;

use super::args::{New, Run, Send, Served, Tasks};
use super::client::Client;
use super::exit::Exit;
use super::follow::Follow;
use super::wait::{self, Prompt};
use super::{
    attach, audit, docs, git, launch, life, notify, permissions, rules, show, start, task, usage,
};
use crate::api::sessions::{Attach, NewMessage, SessionDetail, SessionView};
use crate::config::{DataDir, Loaded};
use crate::domain::message::Delivery;
use crate::domain::record::{CommandLog, Message};

/// Rows of `ps` and `permissions`.
pub(super) const MOST: usize = 1_000;
/// How long `send` waits for the confirmation.
const CONFIRMATION: Duration = Duration::from_secs(30);
/// How long a program that opens a page may take to fail.
const OPENED_WITHIN: Duration = Duration::from_secs(2);

/// Starts Claude on a prompt.
pub async fn begin_task(run: Run, loaded: &Loaded, data: &DataDir, json: bool) -> Result<Exit> {
    let Run { prompt, title, ask, launch, attach, wait } = run;
    let client = start::server(loaded, data).await?;
    let prompt = prompt.map(text_or_stdin).transpose()?;
    let new = task::run_order(&client, prompt, title, ask, launch).await?;
    launch::task(&client, new, attach, &wait, json).await
}

/// Starts Claude without a prompt.
pub async fn begin(new: New, loaded: &Loaded, data: &DataDir, json: bool) -> Result<Exit> {
    let New { launch, attach, wait } = new;
    let client = start::server(loaded, data).await?;
    launch::session(&client, launch, attach, &wait, json).await
}

/// Carries out a command about tasks. Only making one starts a server.
pub async fn tasks(what: Tasks, loaded: &Loaded, data: &DataDir, json: bool) -> Result<Exit> {
    let client = match what {
        Tasks::New(_) => start::server(loaded, data).await?,
        _ => Client::find(data).await?,
    };
    task::run(&client, what, json).await
}

/// Carries out what a running server is asked for.
pub async fn served(what: Served, client: &Client, json: bool) -> Result<Exit> {
    match what {
        Served::Ps { all } => {
            let which = format!("/api/sessions?sort=created_at&all={all}");
            let mut sessions: Vec<SessionView> = client.list(&which, MOST).await?;
            sessions.sort_by_key(|s| std::cmp::Reverse(s.updated_at));
            let shown = |s: &SessionView| all || show::is_listed(s);
            show::sessions(&sessions.into_iter().filter(shown).collect::<Vec<_>>(), json)?;
        }
        Served::Show(s) => {
            let detail: SessionDetail = client.get(&path(&s.session, "")?).await?;
            show::session(&detail, json)?;
        }
        Served::Send(send) => return send_prompt(client, send, json).await,
        Served::Wait(wanted) => return wait::run(client, wanted, json).await,
        Served::Approve(approve) => return permissions::approve(client, approve, json).await,
        Served::Deny(deny) => return permissions::deny(client, deny, json).await,
        Served::Permissions { all } => permissions::list(client, all, json).await?,
        Served::Rules { what } => rules::run(client, what, json).await?,
        Served::Git { what } => return git::run(client, what, json).await,
        Served::Worktrees { what } => return git::worktrees(client, what, json).await,
        Served::Docs { what } => docs::run(client, what, json).await?,
        Served::Usage(wanted) => usage::report(client, wanted, json).await?,
        Served::Budget { session, usd: None } => usage::spent(client, &session, json).await?,
        Served::Budget { session, usd: Some(limit) } => {
            usage::budget(client, &session, limit, json).await?;
        }
        Served::Audit(audit) => return audit::run(client, audit, json).await,
        Served::Life(what) => return life::run(what, client, json).await,
        Served::Attach(s) => attach_to(client, &s.session, json).await?,
        Served::Logs { session, tools, last } => logs(client, &session, tools, last, json).await?,
        Served::Events { session, after } => events(client, session, after, json).await?,
        Served::Notify { what } => return notify::run(client, &what, json).await,
    }
    Ok(Exit::Ok)
}

/// A session's path in the API. Its name comes from the command line, so it is checked.
pub(super) fn path(session: &str, rest: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if session.is_empty() || !session.chars().all(plain) {
        let text = format!("{session:?} is not a session's name or id; `chorus ps` lists them");
        return Err(Exit::Usage.error(text));
    }
    Ok(format!("/api/sessions/{session}{rest}"))
}

/// A text, or what standard input says if it is `-`.
pub(super) fn text_or_stdin(text: String) -> Result<String> {
    if text != "-" {
        return Ok(text);
    }
    let mut all = String::new();
    std::io::stdin().read_to_string(&mut all).context("standard input")?;
    Ok(all)
}

async fn send_prompt(client: &Client, send: Send, json: bool) -> Result<Exit> {
    let message = NewMessage {
        text: text_or_stdin(send.text)?,
        queue: send.queue,
        force: send.force,
        raw: send.raw,
        source: None,
    };
    let send_to = path(&send.session, "/send")?;
    if send.no_wait {
        show::sent(&client.post(&send_to, &message).await?, json)?;
        return Ok(Exit::Ok);
    }
    // Before sending, so that no event can be missed.
    if let Some((waiter, session)) = wait::before(client, &send.session, &send.wait).await? {
        let sent: Message = client.post(&send_to, &message).await?;
        return waiter.finish(session, Some(Prompt::Sent(sent.id)), &send.wait, json).await;
    }
    let mut events = client.events("", None).await?;
    let mut sent: Message = client.post(&send_to, &message).await?;
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
        let text = "the server went away; `chorus logs` tells later whether the prompt arrived";
        Err(Exit::NoServer.error(text))
    };
    match timeout(CONFIRMATION, settled).await {
        Ok(settled) => settled?,
        // Queued behind other work: that is no failure.
        Err(_) if send.queue => {}
        Err(_) => {
            return Err(Exit::TimedOut.error(format!(
                "the prompt is neither confirmed nor given up after {} s",
                CONFIRMATION.as_secs()
            )));
        }
    }
    show::sent(&sent, json)?;
    let lost = sent.delivery_status == Some(Delivery::Undelivered);
    Ok(if lost { Exit::Undelivered } else { Exit::Ok })
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
    let mut tools: Vec<CommandLog> =
        client.list(&path(session, "/logs?sort=newest")?, last).await?;
    let mut said: Vec<Message> = if tools_only {
        Vec::new()
    } else {
        client.list(&path(session, "/messages?sort=newest")?, last).await?
    };
    tools.reverse();
    said.reverse();
    show::story(&said, &tools, json)
}

async fn events(
    client: &Client,
    session: Option<String>,
    after: Option<i64>,
    json: bool,
) -> Result<()> {
    let session = match session {
        Some(name) => Some(client.get::<SessionDetail>(&path(&name, "")?).await?.session.id),
        None => None,
    };
    let mut follow = Follow::begin(client, session, after).await?;
    loop {
        while let Some(event) = follow.next().await {
            show::event(&event, json)?;
        }
        // The server went away: go on where it broke off when it is back.
        eprintln!("chorus: the stream ended; connecting again…");
        follow.again(None).await?;
    }
}

/// Opens the page.
pub async fn open(client: &Client, data: &DataDir, json: bool) -> Result<()> {
    let url = match client {
        Client::Tcp(host) => format!("http://{host}"),
        // The socket is not always in the data folder, so it does not lead there.
        Client::Unix(_) => crate::server::Running::find(data)
            .map(|r| r.url)
            .ok_or_else(|| anyhow!("the server does not say where it is"))?,
    };
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = tokio::process::Command::new(opener)
        .arg(&url)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let opened = match opened {
        // One that goes on is the browser itself; without any, it ends at once with an error.
        Ok(mut opener) => match timeout(OPENED_WITHIN, opener.wait()).await {
            Ok(ended) => ended.is_ok_and(|status| status.success()),
            Err(_) => true,
        },
        Err(_) => false,
    };
    let text = if opened { format!("opened {url}") } else { format!("open {url} in a browser") };
    show::done(&text, &serde_json::json!({ "url": url, "opened": opened }), json)
}
