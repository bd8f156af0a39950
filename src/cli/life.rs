//! What is done to a session: interrupt, pause, resume, restart, fork, end.

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};

use super::args::{Interrupt, Life, Until, Wait};
use super::client::Client;
use super::commands::path;
use super::exit::Exit;
use super::wait::{self, Waiter};
use super::{import, show};
use crate::api::sessions::{ConversationView, Fork, Restart, SessionView};
use crate::domain::ids::SessionId;
use crate::domain::session::ClaudeStatus;

/// The most sessions that are looked through.
const MOST: usize = 10_000;

/// Carries out such a command.
pub async fn run(what: Life, client: &Client, json: bool) -> Result<Exit> {
    match what {
        Life::Interrupt(Interrupt { session, wait }) => {
            if wait.wait == Some(Until::Permission) {
                let text = "--wait=permission does not go with an interruption: it ends the turn";
                return Err(Exit::Usage.error(text));
            }
            // Escape closes an open dialog: that one is not what is waited for.
            let wait = Wait { wait: wait.wait.map(|_| Until::Done), ..wait };
            return post(client, &session, "interrupt", "interrupted", &wait, json).await;
        }
        Life::Pause(s) => {
            return post(client, &s.session, "pause", "paused", &Wait::default(), json).await;
        }
        Life::Adopt(s) => {
            return post(client, &s.session, "adopt", "adopted", &Wait::default(), json).await;
        }
        Life::Resume { session: Some(s), wait, .. } => {
            return post(client, &s, "resume", "resumed", &wait, json).await;
        }
        Life::Resume { session: None, .. } => return resume_all(client, json).await,
        Life::Restart { session, fresh, wait } => {
            let waiter = wait::before(client, &session, &wait).await?;
            let session: SessionView =
                client.post(&path(&session, "/restart")?, &Restart { fresh }).await?;
            return done(waiter, "restarted", &session, &wait, json).await;
        }
        Life::Fork { session, prompt, name } => {
            let new = Fork { name, initial_prompt: prompt };
            let made: SessionView = client.post(&path(&session, "/fork")?, &new).await?;
            show::done(&format!("forked {session} as {}", made.name), &made, json)?;
        }
        Life::Conversations(s) => {
            let known: Vec<ConversationView> =
                client.get(&path(&s.session, "/conversations")?).await?;
            show::conversations(&known, json)?;
        }
        Life::Kill(s) => {
            let _: Value =
                client.call(Method::DELETE, &path(&s.session, "")?, None::<&Value>).await?;
            let ended = json!({ "ended": s.session });
            show::done(&format!("ended {}", s.session), &ended, json)?;
        }
        Life::Import(args) => return import::run(client, args, json).await,
    }
    Ok(Exit::Ok)
}

async fn post(
    client: &Client,
    session: &str,
    what: &str,
    did: &str,
    wait: &Wait,
    json: bool,
) -> Result<Exit> {
    let waiter = wait::before(client, session, wait).await?;
    let session: SessionView =
        client.post(&path(session, &format!("/{what}"))?, &Value::Null).await?;
    done(waiter, did, &session, wait, json).await
}

/// Tells that it is done, or waits for what follows from it.
async fn done(
    waiter: Option<(Waiter, SessionId)>,
    did: &str,
    session: &SessionView,
    wait: &Wait,
    json: bool,
) -> Result<Exit> {
    let text = format!("{did} {}", session.name);
    let Some((waiter, id)) = waiter else {
        show::done(&text, session, json)?;
        return Ok(Exit::Ok);
    };
    eprintln!("chorus: {text}");
    waiter.finish(id, None, wait, json).await
}

/// Goes on with every session that ended unasked, and tells which could not.
async fn resume_all(client: &Client, as_json: bool) -> Result<Exit> {
    let ended: Vec<SessionView> =
        client.list("/api/sessions?status=error&sort=created_at", MOST).await?;
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
    Ok(if failed.is_empty() { Exit::Ok } else { Exit::Failed })
}
