//! Waiting for Claude: `--wait`, and `chorus wait`.
//!
//! The stream is listened to before anything is set off; whenever it says that something has moved,
//! the session is looked at. What counts is what the server knows then, so nothing is missed,
//! nothing is asked for in between, and a server that starts again does no harm.

mod tell;

use std::time::Duration;

use anyhow::Result;
use futures_util::future::{join_all, select_all};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::args::{Until, Wait, WaitFor};
use super::client::Client;
use super::commands::path;
use super::exit::Exit;
use super::follow::Follow;
use crate::api::sessions::{SessionDetail, SessionView};
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::message::{Delivery, Direction};
use crate::domain::permission::PermissionRequest;
use crate::domain::record::{CommandLog, Message};
use crate::domain::session::{ClaudeStatus, Status};

/// How long a server that went away is waited for.
const SERVER: Duration = Duration::from_secs(30);
/// Claude's last words reach the record a moment after its turn has ended; no longer than this.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a wait has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Claude has finished, and waits for a prompt.
    Idle,
    /// Claude waits for somebody.
    Waiting,
    /// The turn ended with an error.
    Failed,
    /// Claude has ended, or could not start.
    Ended,
    /// The prompt did not arrive.
    Undelivered,
    /// It is not over within the time allowed.
    TimedOut,
}

/// What a wait has come to, and what goes with it.
#[derive(Debug, Serialize)]
pub struct Waited {
    /// How it ended.
    pub outcome: Outcome,
    /// The session, as it was then.
    pub session: SessionView,
    /// What Claude said last in its turn; the prompt, if that did not arrive.
    pub message: Option<Message>,
    /// What waits for a decision.
    pub requests: Vec<PermissionRequest>,
}

/// The prompt whose turn is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Prompt {
    /// The one that the session was made with.
    First,
    /// This one.
    Sent(MessageId),
}

/// Somebody who listens already.
pub struct Waiter {
    client: Client,
    follow: Follow,
}

/// Begins to listen to a session, if its end is to be waited for.
pub async fn before(
    client: &Client,
    session: &str,
    wait: &Wait,
) -> Result<Option<(Waiter, SessionId)>> {
    if wait.wait.is_none() {
        return Ok(None);
    }
    let id = client.get::<SessionDetail>(&path(session, "")?).await?.session.id;
    Ok(Some((Waiter::begin(client, Some(id)).await?, id)))
}

/// `chorus wait`: for all of these sessions, or for one of them.
pub async fn run(client: &Client, wanted: WaitFor, json: bool) -> Result<Exit> {
    let WaitFor { sessions, until, any, timeout } = wanted;
    let mut waiters = Vec::new();
    // One that is not there is told at once, and not when the others have ended.
    for session in &sessions {
        let id = client.get::<SessionDetail>(&path(session, "")?).await?.session.id;
        waiters.push((id, Waiter::begin(client, Some(id)).await?));
    }
    let all = waiters.into_iter().map(|(id, w)| Box::pin(w.wait(id, None, until, timeout)));
    let ended = if any { vec![select_all(all).await.0] } else { join_all(all).await };
    let ended = ended.into_iter().collect::<Result<Vec<Waited>>>()?;
    tell::all(&ended, until, json)?;
    let exits = ended.iter().map(|waited| waited.exit(until));
    Ok(exits.into_iter().find(|exit| *exit != Exit::Ok).unwrap_or(Exit::Ok))
}

impl Waited {
    /// The exit code that goes with it.
    pub fn exit(&self, until: Until) -> Exit {
        match self.outcome {
            Outcome::Idle => Exit::Ok,
            Outcome::Waiting if until == Until::Permission => Exit::Ok,
            Outcome::Waiting => Exit::Waiting,
            Outcome::Failed | Outcome::Ended => Exit::Ended,
            Outcome::Undelivered => Exit::Undelivered,
            Outcome::TimedOut => Exit::TimedOut,
        }
    }
}

impl Waiter {
    /// Begins to listen: to one session, or to all for one that is still to be made.
    pub async fn begin(client: &Client, session: Option<SessionId>) -> Result<Self> {
        let follow = Follow::begin(client, session, None).await?;
        Ok(Self { client: client.clone(), follow })
    }

    /// Waits, and prints what it has come to: Claude's last words if a prompt was sent.
    pub async fn finish(
        self,
        session: SessionId,
        prompt: Option<Prompt>,
        wait: &Wait,
        json: bool,
    ) -> Result<Exit> {
        let until = wait.wait.unwrap_or_default();
        let waited = self.wait(session, prompt, until, wait.timeout).await?;
        tell::one(&waited, prompt.is_some(), json)?;
        Ok(waited.exit(until))
    }

    /// Waits.
    pub async fn wait(
        mut self,
        session: SessionId,
        prompt: Option<Prompt>,
        until: Until,
        limit: Option<Duration>,
    ) -> Result<Waited> {
        let over = self.over(session, prompt, until);
        let outcome = match limit {
            None => over.await?,
            Some(limit) => timeout(limit, over).await.unwrap_or(Ok(Outcome::TimedOut))?,
        };
        let view = self.look(session).await?;
        let message = match outcome {
            Outcome::Idle | Outcome::Failed => self.last_words(&view).await?,
            Outcome::Undelivered => self.prompt(session, prompt).await?,
            _ => None,
        };
        let requests = match outcome {
            Outcome::Waiting => self.requests(session).await?,
            _ => Vec::new(),
        };
        Ok(Waited { outcome, session: view, message, requests })
    }

    async fn over(
        &mut self,
        session: SessionId,
        prompt: Option<Prompt>,
        until: Until,
    ) -> Result<Outcome> {
        let mut arrived = prompt.is_none();
        loop {
            if !arrived {
                match self.prompt(session, prompt).await?.and_then(|m| m.delivery_status) {
                    Some(Delivery::Undelivered) => return Ok(Outcome::Undelivered),
                    status => arrived = status == Some(Delivery::Delivered),
                }
            }
            // After the prompt: a state from before it says nothing about its turn.
            let view = self.look(session).await?;
            if let Some(outcome) = judge(&view, until, arrived) {
                return Ok(outcome);
            }
            self.moved(session, until).await?;
        }
    }

    /// Waits until something about a session has moved that may be what is waited for.
    async fn moved(&mut self, session: SessionId, until: Until) -> Result<()> {
        let ours = session.to_string();
        loop {
            let Some(event) = self.follow.next().await else {
                return self.follow.again(Some(SERVER)).await;
            };
            if event.kind == "reset" {
                return Ok(());
            }
            let data: Value = serde_json::from_str(&event.data)?;
            if data["session_id"] != ours {
                continue;
            }
            match event.kind.as_str() {
                "session_status" => return Ok(()),
                "claude_status" if data["new"] != ClaudeStatus::Busy.as_str() => return Ok(()),
                "message" if !data["delivery_status"].is_null() => return Ok(()),
                "permission_request" if until == Until::Done => {
                    tell::meanwhile(&self.exactly(serde_json::from_value(data)?).await);
                }
                _ => {}
            }
        }
    }

    async fn look(&self, session: SessionId) -> Result<SessionView> {
        let detail: SessionDetail = self.client.get(&of(session, "")).await?;
        Ok(detail.session)
    }

    /// The prompt as it is now.
    async fn prompt(&self, session: SessionId, which: Option<Prompt>) -> Result<Option<Message>> {
        let known = async |order| {
            let query = of(session, &format!("/messages?sort={order}&limit=100"));
            self.client.get::<Vec<Message>>(&query).await
        };
        Ok(match which {
            None => None,
            Some(Prompt::First) => {
                known("oldest").await?.into_iter().find(|m| m.delivery_status.is_some())
            }
            Some(Prompt::Sent(id)) => known("newest").await?.into_iter().find(|m| m.id == id),
        })
    }

    /// A request exactly as it is: events tell of it without its secrets.
    async fn exactly(&self, told: PermissionRequest) -> PermissionRequest {
        self.client.get(&format!("/api/permissions/{}", told.id)).await.unwrap_or(told)
    }

    async fn requests(&self, session: SessionId) -> Result<Vec<PermissionRequest>> {
        let query = format!("/api/permissions?status=pending&session={session}&limit=100");
        let mut requests: Vec<PermissionRequest> = self.client.get(&query).await?;
        requests.reverse();
        Ok(requests)
    }

    /// What Claude said last in the turn that has just ended.
    async fn last_words(&mut self, view: &SessionView) -> Result<Option<Message>> {
        let fresh = crate::clock::now().ms_since(view.evidence.at) < 3_000;
        let end = Instant::now() + if fresh { LAST_WORDS } else { Duration::ZERO };
        let session = view.id;
        loop {
            let said: Vec<Message> =
                self.client.get(&of(session, "/messages?sort=newest&limit=20")).await?;
            let done: Vec<CommandLog> =
                self.client.get(&of(session, "/logs?sort=newest&limit=20")).await?;
            let spoken = said
                .into_iter()
                .find(|m| m.agent_id.is_none() && m.direction != Direction::System)
                .filter(|m| m.direction == Direction::Assistant);
            let acted = done.iter().find(|call| call.agent_id.is_none()).map(|call| call.timestamp);
            // What was said before the last tool call was not the end of it.
            if spoken.as_ref().is_some_and(|m| acted.is_none_or(|at| at < m.timestamp)) {
                return Ok(spoken);
            }
            let more = async {
                while let Some(event) = self.follow.next().await {
                    if event.kind == "message" && event.data.contains(&session.to_string()) {
                        return true;
                    }
                }
                false
            };
            if timeout_at(end, more).await != Ok(true) {
                return Ok(spoken);
            }
        }
    }
}

fn of(session: SessionId, rest: &str) -> String {
    format!("/api/sessions/{session}{rest}")
}

/// Whether a session is where somebody waits for it to be. Its prompt, if there is one, has
/// `arrived`.
fn judge(s: &SessionView, until: Until, arrived: bool) -> Option<Outcome> {
    match s.claude_status {
        ClaudeStatus::Stopped => Some(Outcome::Ended),
        ClaudeStatus::Starting if s.status == Status::Error => Some(Outcome::Ended),
        ClaudeStatus::Waiting if until != Until::Done => Some(Outcome::Waiting),
        // It goes on by itself: with what is queued, or when the limit is over.
        ClaudeStatus::Idle if s.queued_messages > 0 || s.detail.limit_until.is_some() => None,
        ClaudeStatus::Idle if !arrived || until == Until::Permission => None,
        ClaudeStatus::Idle if s.detail.error.is_some() => Some(Outcome::Failed),
        ClaudeStatus::Idle => Some(Outcome::Idle),
        ClaudeStatus::Starting | ClaudeStatus::Busy | ClaudeStatus::Waiting => None,
    }
}

#[cfg(test)]
mod tests;
