//! A session: its conversation, its terminal, what it called and changed, and what it is.

mod about;
mod changes;
mod conversation;
mod entries;
mod highlight;
mod patch;
mod tools;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::cards::{Ask, Card};
use super::diff::LineKind;
use super::shell::Shell;
use super::{html, no_such_part};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::permission::PermissionStatus;
use crate::domain::session::{ClaudeStatus, Session, Status};
use crate::domain::time::Timestamp;
use crate::domain::usage::CostSource;
use crate::services::error::Error;
use crate::services::{App, permissions, sessions, spending};
use crate::store::tasks;

/// Requests of one session on its pages at most.
const ASKS: u32 = 50;

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sessions/{id}", get(conversation::page))
        .route("/sessions/{id}/terminal", get(terminal))
        .route("/sessions/{id}/tools", get(tools::page))
        .route("/sessions/{id}/changes", get(changes::page))
        .route("/sessions/{id}/about", get(about::page))
}

/// Which part of a page.
#[derive(Default, Deserialize)]
struct Wanted {
    part: Option<String>,
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
        let about = [
            detail.error.clone(),
            detail.waiting_for.clone(),
            detail.tool.clone(),
            (detail.background > 0).then(|| format!("{} in the background", detail.background)),
            detail.compacting.then(|| "compacting".to_owned()),
            detail.budget.clone(),
            beside.elsewhere_pid.map(|pid| format!("process {pid} goes on with it elsewhere")),
        ];
        let used = spending::used(session);
        let cost = used.cost.map(|cost| match cost.source {
            CostSource::Claude => cost.usd.to_string(),
            CostSource::Estimated | CostSource::Mixed => format!("about {}", cost.usd),
        });
        let budget = used.budget.map(|budget| format!(" of {}", budget.usd));
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
            evidence: format!("{}: {}", state.evidence.source, state.evidence.what),
            at: state.evidence.at,
            about: about.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            remedy: detail.remedy.clone().unwrap_or_default(),
            task,
            branch,
            cost: cost.unwrap_or_default() + &budget.unwrap_or_default(),
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
    let pending = Some(PermissionStatus::Pending);
    let page = permissions::list(app, pending, Some(session.id), None, ASKS).await?;
    let card = |request| Card::new(request, session.name.to_string());
    let mut cards: Vec<Card> = page.items.into_iter().map(card).collect();
    // Who has waited longest comes first.
    cards.reverse();
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
const TERMINAL_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

async fn terminal(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    if let Some(part) = wanted.part {
        return frame_part(&app, &session, &part).await?.ok_or_else(|| no_such_part(&part));
    }
    let Frame { shell, head, asks, tab } = Frame::of(&app, &session, "terminal").await?;
    let mut page = html(Terminal { shell, head, asks, tab })?;
    let policy = HeaderValue::from_static(TERMINAL_POLICY);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(page)
}
