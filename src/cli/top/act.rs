//! What is done outside the model, and what became of it.

use anyhow::{Error, Result};
use serde_json::Value;

use super::feed::projects;
use super::state::{Action, News};
use crate::api::sessions::{NewMessage, SessionDetail, SessionView};
use crate::cli::client::Client;
use crate::cli::show;
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::permission::PermissionRequest;
use crate::domain::record::{CommandLog, Message};

/// Messages and tool calls that are read of a session, of each the last.
const STORY: usize = 100;

/// Carries out what concerns the server. What concerns the terminal is the view's.
pub async fn carry_out(client: &Client, action: Action) -> Vec<News> {
    match action {
        Action::Quit | Action::Suspend | Action::Attach(_) => Vec::new(),
        Action::Load(id) => {
            let found = client.get::<SessionDetail>(&of(id, "")).await;
            let names = projects(client).await.map(News::Projects);
            // One that is gone again by now is not worth a word.
            let session = found.map(|detail| News::Session(Box::new(detail.session)));
            names.into_iter().chain(session).collect()
        }
        Action::LoadRequest(id) => request(client, id).await,
        Action::Story(id) => match story(client, id).await {
            Ok(text) => vec![News::Story(id, text)],
            Err(e) => vec![News::Story(id, format!("{e:#}"))],
        },
        Action::Decide(id, answer) => {
            let path = format!("/api/permissions/{id}/respond");
            match client.post::<PermissionRequest>(&path, &answer).await {
                Ok(request) => vec![News::Decided(Box::new(request))],
                Err(e) => {
                    // Somebody else may have been first.
                    let mut news = request(client, id).await;
                    news.push(News::NotDecided(id, words(&e)));
                    news
                }
            }
        }
        Action::Send { session, text, queue } => {
            let message = NewMessage { text: text.clone(), queue, ..NewMessage::default() };
            match client.post::<Message>(&of(session, "/send"), &message).await {
                Ok(sent) => vec![News::Sent(Box::new(sent), text)],
                Err(e) => vec![News::NotSent(session, text, words(&e))],
            }
        }
        Action::Interrupt(id) => {
            let done = client.post::<SessionView>(&of(id, "/interrupt"), &Value::Null).await;
            let done = done.map(|session| format!("interrupted {}", session.name));
            vec![News::Done(done.map_err(|e| words(&e)))]
        }
    }
}

/// A request as it is now.
async fn request(client: &Client, id: PermissionId) -> Vec<News> {
    let found = client.get::<PermissionRequest>(&format!("/api/permissions/{id}")).await;
    found.map(|request| News::Request(Box::new(request))).into_iter().collect()
}

fn of(session: SessionId, rest: &str) -> String {
    format!("/api/sessions/{session}{rest}")
}

fn words(e: &Error) -> String {
    show::safe(&format!("{e:#}"))
}

async fn story(client: &Client, id: SessionId) -> Result<String> {
    let said: Vec<Message> = client.list(&of(id, "/messages?sort=newest"), STORY).await?;
    let tools: Vec<CommandLog> = client.list(&of(id, "/logs?sort=newest"), STORY).await?;
    let lines = show::told(&said, &tools);
    if lines.is_empty() {
        return Ok("nothing was said or done yet".to_owned());
    }
    Ok(lines.into_iter().map(|(at, text)| format!("{at}  {text}")).collect::<Vec<_>>().join("\n"))
}
