//! A session: its conversation, its terminal, what it called and changed, and what it is. And the list of all of them.

mod about;
mod all;
mod changes;
mod conversation;
mod entries;
mod highlight;
mod patch;
mod tools;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;

use super::cards::{self, Card, What};
use super::diff::LineKind;
use super::shell::Shell;
use super::{CONTENT_SECURITY_POLICY, Part, html, no_such_part, words};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::session::{ClaudeStatus, Session, Status};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::{App, sessions, spending};
use crate::store::tasks;

/// Requests of one session on its pages at most.
const ASKS: u32 = 50;

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sessions", get(all::page))
        .route("/sessions/{id}", get(conversation::page))
        .route("/sessions/{id}/terminal", get(terminal))
        .route("/sessions/{id}/tools", get(tools::page))
        .route("/sessions/{id}/changes", get(changes::page))
        .route("/sessions/{id}/about", get(about::page))
}

/// What stands above every tab.
struct Head {
    id: String,
    name: String,
    status: ClaudeStatus,
    /// Where it is in its life, if that is worth a word.
    life: String,
    unsure: bool,
    /// What the state rests on.
    evidence: String,
    at: Timestamp,
    about: String,
    remedy: String,
    task: Option<(i64, String)>,
    branch: String,
    cost: String,
    /// How full the context is, in per cent.
    context: Option<i64>,
    workspace: String,
    /// The command that attaches a terminal, if it runs here.
    attach: String,
    queued: usize,
    can: Can,
}

/// What can be done with a session now.
#[derive(Default)]
struct Can {
    interrupt: bool,
    pause: bool,
    resume: bool,
    restart: bool,
    fork: bool,
    adopt: bool,
    end: bool,
}

impl Can {
    fn of(session: &Session) -> Self {
        let state = &session.state;
        let fork = state.conversation.is_some();
        if session.is_elsewhere() {
            return Self { adopt: true, fork, ..Self::default() };
        }
        let stopped = state.claude_status == ClaudeStatus::Stopped;
        let over = session.hidden || state.status == Status::Completed;
        Self {
            interrupt: matches!(state.claude_status, ClaudeStatus::Busy | ClaudeStatus::Waiting),
            pause: !stopped && !over,
            resume: stopped,
            restart: !stopped,
            fork,
            adopt: false,
            end: !session.hidden,
        }
    }
}

impl Head {
    async fn of(app: &Arc<App>, session: &Session) -> Result<Self, Problem> {
        let beside = sessions::beside(app, session.id).await?;
        let (mut task, mut branch) = (None, String::new());
        if let Some(id) = session.task_id {
            let known = tasks::by_id(&app.db, id).await.map_err(Error::from)?;
            task = known.map(|task| (task.id.0, task.title));
            let attempt = tasks::last_attempt(&app.db, id).await.map_err(Error::from)?;
            branch = attempt.and_then(|attempt| attempt.branch).unwrap_or_default();
        }
        let state = &session.state;
        let detail = &state.detail;
        let doing = Some(words::doing(session, &beside)).filter(|doing| !doing.is_empty());
        let about: Vec<String> = detail.error.clone().into_iter().chain(doing).collect();
        let used = spending::used(session);
        let budget = used.budget.as_ref().map(|budget| format!(" of {}", budget.usd));
        let attach = !session.is_elsewhere() && app.pane(session.id).is_some();
        Ok(Self {
            id: session.id.to_string(),
            name: session.name.to_string(),
            status: state.claude_status,
            life: match state.status {
                Status::Active => String::new(),
                other => other.to_string(),
            },
            unsure: state.unsure,
            evidence: words::evidence(state),
            at: state.evidence.at,
            about: about.join(" · "),
            remedy: detail.remedy.clone().unwrap_or_default(),
            task,
            branch,
            cost: words::cost(&used) + &budget.unwrap_or_default(),
            context: used.context.and_then(|context| context.percent),
            workspace: session.workspace_path.clone(),
            attach: if attach { format!("chorus attach {}", session.name) } else { String::new() },
            queued: beside.queued_messages,
            can: Can::of(session),
        })
    }
}

#[derive(Template)]
#[template(path = "session/head.html")]
struct HeadPart {
    head: Head,
}

/// The requests of the session that wait.
#[derive(Template)]
#[template(path = "session/asks.html")]
struct Asks {
    id: String,
    cards: Vec<Card>,
}

async fn asks(app: &Arc<App>, session: &Session) -> Result<Asks, Problem> {
    let (cards, _) = cards::pending(app, Some(session.id), ASKS).await?;
    Ok(Asks { id: session.id.to_string(), cards })
}

/// What surrounds a tab.
struct Frame {
    shell: Shell,
    head: Head,
    asks: Asks,
    tab: &'static str,
}

impl Frame {
    async fn of(app: &Arc<App>, session: &Session, tab: &'static str) -> Result<Self, Problem> {
        let shell = Shell::of(app, "session").await?;
        Ok(Self {
            shell,
            head: Head::of(app, session).await?,
            asks: asks(app, session).await?,
            tab,
        })
    }
}

/// The parts that every tab has; `None` if it is another one.
async fn frame_part(
    app: &Arc<App>,
    session: &Session,
    part: &str,
) -> Result<Option<Response>, Problem> {
    match part {
        "head" => html(HeadPart { head: Head::of(app, session).await? }).map(Some),
        "asks" => html(asks(app, session).await?).map(Some),
        _ => Ok(None),
    }
}

#[derive(Template)]
#[template(path = "session/terminal.html")]
struct Terminal {
    shell: Shell,
    head: Head,
    asks: Asks,
    tab: &'static str,
}

/// xterm.js sizes and colours its rows by style elements of its own.
static TERMINAL_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy =
        CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'");
    // Invariant: it is plain ASCII, as the one that it is made of.
    HeaderValue::from_str(&policy).expect("a policy")
});

async fn terminal(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    if let Some(part) = wanted.part {
        return frame_part(&app, &session, &part).await?.ok_or_else(|| no_such_part(&part));
    }
    let Frame { shell, head, asks, tab } = Frame::of(&app, &session, "terminal").await?;
    let mut page = html(Terminal { shell, head, asks, tab })?;
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, TERMINAL_POLICY.clone());
    Ok(page)
}
