//! **Now**: what needs a person first, then what went wrong, what is finished, and all that runs.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::cards::{Ask, Card};
use super::diff::LineKind;
use super::shell::Shell;
use super::{html, no_such_part};
use crate::api::problem::{Problem, Query};
use crate::domain::ids::SessionId;
use crate::domain::permission::PermissionStatus;
use crate::domain::session::{ClaudeStatus, Session, Status};
use crate::domain::time::Timestamp;
use crate::domain::usage::CostSource;
use crate::services::{App, permissions, sessions, spending};
use crate::store;

/// Live sessions and pending requests on the page at most; beyond that it says so.
const MOST: u32 = 200;
/// Sessions that ended otherwise than on purpose, at most.
const FAILED: u32 = 20;

/// The page's routes.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/", get(page))
}

/// Which part of the page.
#[derive(Deserialize)]
struct Wanted {
    part: Option<String>,
    /// With `part=rows`: which, by commas.
    #[serde(default)]
    ids: String,
}

#[derive(Template)]
#[template(path = "now/page.html")]
struct Page {
    shell: Shell,
    cards: Vec<Card>,
    more_cards: bool,
    rows: Vec<Row>,
    more_rows: bool,
    counts: Counts,
}

#[derive(Template)]
#[template(path = "now/cards.html")]
struct Cards {
    cards: Vec<Card>,
    more_cards: bool,
}

#[derive(Template)]
#[template(path = "now/sessions.html")]
struct Sessions {
    rows: Vec<Row>,
    more_rows: bool,
    counts: Counts,
}

#[derive(Template)]
#[template(path = "now/rows.html")]
struct Rows {
    rows: Vec<Row>,
}

/// How many sessions do what.
#[derive(Default)]
struct Counts {
    waiting: usize,
    busy: usize,
    idle: usize,
}

/// A session in the list.
struct Row {
    id: SessionId,
    name: String,
    status: ClaudeStatus,
    life: Status,
    unsure: bool,
    about: String,
    remedy: String,
    evidence: String,
    at: Timestamp,
    cost: String,
    context: Option<i64>,
    workspace: String,
}

async fn page(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    match wanted.part.as_deref() {
        None => {
            let shell = Shell::of(&app, "now").await?;
            let Cards { cards, more_cards } = cards(&app).await?;
            let Sessions { rows, more_rows, counts } = list(&app).await?;
            html(Page { shell, cards, more_cards, rows, more_rows, counts })
        }
        Some("cards") => html(cards(&app).await?),
        Some("sessions") => html(list(&app).await?),
        Some("rows") => html(rows(&app, &wanted.ids).await?),
        Some(part) => Err(no_such_part(part)),
    }
}

async fn cards(app: &Arc<App>) -> Result<Cards, Problem> {
    let pending = permissions::list(app, Some(PermissionStatus::Pending), None, None, MOST).await?;
    let names: HashMap<SessionId, String> = app
        .engine
        .read(|live| live.sessions().map(|s| (s.id, s.name.to_string())).collect())
        .await
        .map_err(crate::services::error::Error::from)?;
    let name = |id| names.get(&id).cloned().unwrap_or_default();
    let more_cards = pending.next.is_some();
    let mut cards: Vec<Card> = pending
        .items
        .into_iter()
        .map(|r| (name(r.session_id), r))
        .map(|(n, r)| Card::new(r, n))
        .collect();
    // Who has waited longest comes first.
    cards.reverse();
    Ok(Cards { cards, more_cards })
}

async fn list(app: &Arc<App>) -> Result<Sessions, Problem> {
    let filter = store::sessions::Filter { status: Some("active".into()), ..Default::default() };
    let (active, _) = sessions::list(app, &filter, None, MOST).await?;
    let filter = store::sessions::Filter { status: Some("error".into()), ..Default::default() };
    let (failed, _) = sessions::list(app, &filter, None, FAILED).await?;
    let more_rows = active.next.is_some();
    let mut rows: Vec<Row> = active.items.into_iter().chain(failed.items).map(row).collect();
    let rank = |s: ClaudeStatus| match s {
        ClaudeStatus::Waiting => 0,
        ClaudeStatus::Stopped => 1,
        ClaudeStatus::Idle => 2,
        ClaudeStatus::Busy => 3,
        ClaudeStatus::Starting => 4,
    };
    rows.sort_by(|a, b| (rank(a.status), &a.name).cmp(&(rank(b.status), &b.name)));
    let count = |status| rows.iter().filter(|r| r.status == status).count();
    let counts = Counts {
        waiting: count(ClaudeStatus::Waiting),
        busy: count(ClaudeStatus::Busy),
        idle: count(ClaudeStatus::Idle),
    };
    Ok(Sessions { rows, more_rows, counts })
}

async fn rows(app: &Arc<App>, ids: &str) -> Result<Rows, Problem> {
    let mut rows = Vec::new();
    for id in ids.split(',').filter_map(|id| id.parse().ok()).take(100) {
        if let Ok(session) = sessions::by_id(app, id).await {
            rows.push(row(session));
        }
    }
    Ok(Rows { rows })
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
    let used = spending::used(&s);
    let cost = used.cost.map(|cost| match cost.source {
        CostSource::Claude => cost.usd.to_string(),
        CostSource::Estimated | CostSource::Mixed => format!("about {}", cost.usd),
    });
    Row {
        id: s.id,
        status: s.state.claude_status,
        life: s.state.status,
        unsure: s.state.unsure,
        about: about.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        remedy: d.remedy.clone().unwrap_or_default(),
        evidence: format!("{}: {}", s.state.evidence.source, s.state.evidence.what),
        at: s.state.evidence.at,
        cost: cost.unwrap_or_default(),
        context: used.context.and_then(|c| c.percent),
        workspace: s.workspace_path,
        name: s.name.to_string(),
    }
}
