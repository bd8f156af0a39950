//! What is done to a session: interrupt, pause, resume, restart, fork, end.

use std::process::ExitCode;

use anyhow::{Result, bail};
use hyper::Method;
use serde_json::{Value, json};

use super::args::Command;
use super::client::Client;
use super::commands::path;
use super::show;
use crate::api::sessions::{ConversationView, Fork, Restart, SessionView};
use crate::domain::session::ClaudeStatus;

/// The most sessions that are looked through.
const MOST: usize = 10_000;

/// Carries out such a command.
pub async fn run(command: Command, client: &Client, json: bool) -> Result<ExitCode> {
    match command {
        Command::Interrupt(s) => post(client, &s.session, "interrupt", "interrupted", json).await?,
        Command::Pause(s) => post(client, &s.session, "pause", "paused", json).await?,
        Command::Adopt(s) => post(client, &s.session, "adopt", "adopted", json).await?,
        Command::Resume { session: Some(s), .. } => {
            post(client, &s, "resume", "resumed", json).await?
        }
        Command::Resume { session: None, .. } => return resume_all(client, json).await,
        Command::Restart { session, fresh } => {
            let session: SessionView =
                client.post(&path(&session, "/restart")?, &Restart { fresh }).await?;
            show::done(&format!("restarted {}", session.name), &session, json)?;
        }
        Command::Fork { session, prompt, name } => {
            let new = Fork { name, initial_prompt: prompt };
            let made: SessionView = client.post(&path(&session, "/fork")?, &new).await?;
            show::done(&format!("forked {session} as {}", made.name), &made, json)?;
        }
        Command::Conversations(s) => {
            let known: Vec<ConversationView> =
                client.get(&path(&s.session, "/conversations")?).await?;
            show::conversations(&known, json)?;
        }
        Command::Kill(s) => {
            let _: Value =
                client.call(Method::DELETE, &path(&s.session, "")?, None::<&Value>).await?;
            let ended = json!({ "ended": s.session });
            show::done(&format!("ended {}", s.session), &ended, json)?;
        }
        _ => bail!("this command is carried out elsewhere"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn post(client: &Client, session: &str, what: &str, done: &str, json: bool) -> Result<()> {
    let session: SessionView =
        client.post(&path(session, &format!("/{what}"))?, &Value::Null).await?;
    show::done(&format!("{done} {}", session.name), &session, json)
}

/// Goes on with every session that ended unasked, and tells which could not.
async fn resume_all(client: &Client, as_json: bool) -> Result<ExitCode> {
    let ended: Vec<SessionView> = client.list("/api/sessions?status=error", MOST).await?;
    let (mut resumed, mut failed) = (Vec::new(), Vec::new());
    for session in ended.iter().filter(|s| s.claude_status == ClaudeStatus::Stopped) {
        let path = path(&session.id.to_string(), "/resume")?;
        match client.post::<SessionView>(&path, &Value::Null).await {
            Ok(session) => resumed.push(session),
            Err(e) => failed.push(json!({ "session": session.name, "problem": format!("{e:#}") })),
        }
    }
    let result = json!({ "resumed": resumed, "failed": failed });
    let mut lines: Vec<String> = resumed.iter().map(|s| format!("resumed {}", s.name)).collect();
    lines.extend(failed.iter().map(|f| {
        let word = |key| show::safe(f[key].as_str().unwrap_or_default());
        format!("{} could not be resumed: {}", word("session"), word("problem"))
    }));
    if lines.is_empty() {
        lines.push("no session has ended unasked".into());
    }
    show::done(&lines.join("\n"), &result, as_json)?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
