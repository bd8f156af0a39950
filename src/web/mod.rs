//! The web page: one plain page of what runs and what needs a person.
//!
//! Rendered on the server; a small script replaces the parts that changed when the event stream
//! says so. No inline script, nothing from elsewhere, works offline.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::api::problem::Problem;
use crate::domain::document;
use crate::domain::permission::{PermissionStatus, in_full};
use crate::domain::question;
use crate::domain::session::{ClaudeStatus, Session};
use crate::domain::task::{TaskSort, TaskStatus};
use crate::domain::time::Timestamp;
use crate::domain::usage::CostSource;
use crate::services::{App, documents, permissions, sessions, spending, tasks};
use crate::store;

/// What every page may load and do.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Live sessions and pending requests on the page at most; beyond that it says so.
const MOST: u32 = 200;

/// Pinned documents on the page at most.
const PINNED: u32 = 20;
/// Tasks that are looked at for the page.
const TASKS: u32 = 100;

#[derive(rust_embed::Embed)]
#[folder = "assets/"]
struct Assets;

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(page))
        .route("/partials/now", get(partial))
        .route("/assets/{file}", get(asset))
}

struct Card {
    id: String,
    session: String,
    tool: String,
    /// The whole thing that would happen.
    what: String,
    description: String,
    /// What a question asks: it is answered, not approved.
    question: String,
    session_rule: String,
    agent: String,
    at: Timestamp,
}

struct TaskRow {
    id: i64,
    title: String,
    state: String,
    about: String,
    at: Timestamp,
}

struct Row {
    id: String,
    name: String,
    status: ClaudeStatus,
    unsure: bool,
    about: String,
    remedy: String,
    evidence: String,
    at: Timestamp,
    workspace: String,
    used: String,
    attach: String,
}

/// A document that somebody has pinned.
struct Document {
    id: String,
    path: String,
    about: String,
    edit: String,
}

#[derive(Template)]
#[template(path = "now.html", blocks = ["now"])]
struct Now {
    version: &'static str,
    cards: Vec<Card>,
    tasks: Vec<TaskRow>,
    rows: Vec<Row>,
    documents: Vec<Document>,
    more: bool,
}

async fn page(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let now = look(&app).await?;
    rendered(now.render())
}

async fn partial(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let now = look(&app).await?;
    rendered(now.as_now().render())
}

fn rendered(html: askama::Result<String>) -> Result<Response, Problem> {
    let html = html.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Html(html)).into_response())
}

async fn look(app: &Arc<App>) -> Result<Now, Problem> {
    let pending = permissions::list(app, Some(PermissionStatus::Pending), None, None, MOST).await?;
    let filter = store::sessions::Filter { status: Some("active".into()), ..Default::default() };
    let (active, _) = sessions::list(app, &filter, None, MOST).await?;
    let filter = store::sessions::Filter { status: Some("error".into()), ..Default::default() };
    let (failed, _) = sessions::list(app, &filter, None, 20).await?;
    let tasks = at_work(app).await?;
    let names: std::collections::HashMap<_, _> =
        active.items.iter().chain(&failed.items).map(|s| (s.id, s.name.to_string())).collect();
    let more = pending.next.is_some() || active.next.is_some();
    let mut cards: Vec<Card> = pending
        .items
        .into_iter()
        .map(|r| Card {
            id: r.id.to_string(),
            session: names.get(&r.session_id).cloned().unwrap_or_default(),
            what: in_full(&r.tool, &r.input),
            description: r
                .input
                .get("description")
                .and_then(|d| d.as_str())
                .unwrap_or_default()
                .to_owned(),
            question: question::listing(&question::questions(&r.tool, &r.input)),
            session_rule: r.session_rule.unwrap_or_default(),
            agent: r.agent_type.unwrap_or_default(),
            tool: r.tool,
            at: r.requested_at,
        })
        .collect();
    // Who has waited longest comes first.
    cards.reverse();
    let mut rows: Vec<Row> = active.items.into_iter().chain(failed.items).map(row).collect();
    let rank = |s: ClaudeStatus| match s {
        ClaudeStatus::Waiting => 0,
        ClaudeStatus::Stopped => 1,
        ClaudeStatus::Idle => 2,
        ClaudeStatus::Busy => 3,
        ClaudeStatus::Starting => 4,
    };
    rows.sort_by_key(|r| (rank(r.status), r.name.clone()));
    let documents = pinned(app).await?;
    Ok(Now { version: env!("CARGO_PKG_VERSION"), cards, tasks, rows, documents, more })
}

/// The pinned documents, which come first in their list.
async fn pinned(app: &Arc<App>) -> Result<Vec<Document>, Problem> {
    let filter = store::documents::Filter::default();
    let page = documents::list(app, &filter, None, PINNED).await?;
    let about = |d: &document::Document| {
        let said = [
            d.missing.then(|| "its file is missing".to_owned()),
            d.description.clone(),
            (d.references > 0).then(|| format!("references: {}", d.references)),
        ];
        said.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    };
    let row = |d: document::Document| Document {
        id: d.id.to_string(),
        about: about(&d),
        edit: format!("chorus docs edit {}", d.id),
        path: d.path,
    };
    Ok(page.items.into_iter().filter(|d| d.pinned).map(row).collect())
}

/// The tasks that sessions work on, and those that wait to be started.
async fn at_work(app: &Arc<App>) -> Result<Vec<TaskRow>, Problem> {
    let filter = store::tasks::Filter::default();
    let page = tasks::list(app, &filter, TaskSort::Status, None, TASKS).await?;
    let row = |view: tasks::View| {
        let task = view.task;
        let waits = task.status == TaskStatus::Pending && task.queued;
        (waits || task.status.is_at_work()).then(|| TaskRow {
            id: task.id.0,
            title: task.title,
            state: match (waits, view.ready) {
                (true, true) => "queued".into(),
                (true, false) => "blocked".into(),
                _ => task.status.to_string(),
            },
            about: task.labels.join(", "),
            at: task.updated_at,
        })
    };
    Ok(page.items.into_iter().filter_map(row).collect())
}

fn row(s: Session) -> Row {
    let d = &s.state.detail;
    let about = [
        s.task_id.map(|id| format!("task {id}")),
        d.error.clone(),
        d.waiting_for.clone(),
        d.tool.clone(),
        (d.background > 0).then(|| format!("{} in the background", d.background)),
        d.compacting.then(|| "compacting".to_owned()),
        d.budget.clone(),
    ];
    Row {
        used: used(&s),
        id: s.id.to_string(),
        status: s.state.claude_status,
        unsure: s.state.unsure,
        about: about.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        remedy: d.remedy.clone().unwrap_or_default(),
        evidence: format!("{}: {}", s.state.evidence.source, s.state.evidence.what),
        at: s.state.evidence.at,
        workspace: s.workspace_path,
        attach: format!("chorus attach {}", s.name),
        name: s.name.to_string(),
    }
}

/// What a session cost, and how full its context is, in one line.
fn used(session: &Session) -> String {
    let spending::Used { cost, context, budget } = spending::used(session);
    let cost = cost.map(|cost| match cost.source {
        CostSource::Claude => cost.usd.to_string(),
        CostSource::Estimated | CostSource::Mixed => format!("about {}", cost.usd),
    });
    let of = budget.map(|budget| format!("of {}", budget.usd));
    let full = context.and_then(|c| Some(format!("context {} % full", c.percent?)));
    let cost = cost.into_iter().chain(of).collect::<Vec<_>>().join(" ");
    [Some(cost).filter(|cost| !cost.is_empty()), full]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · ")
}

async fn asset(Path(file): Path<String>) -> Response {
    let Some(asset) = Assets::get(&file) else {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such asset").into_response();
    };
    let kind = match file.rsplit_once('.').map(|(_, e)| e) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The page is always fresh, so what it loads must be.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, asset.data.into_owned()).into_response()
}
