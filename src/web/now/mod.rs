//! **Now**: what needs a person first, then what went wrong, what is finished, and all that runs.

mod row;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::cards::{self, Card, What};
use super::diff::LineKind;
use super::shell::Shell;
use super::{html, no_such_part};
use crate::api::problem::{Problem, Query};
use crate::clock;
use crate::domain::project::Project;
use crate::domain::session::{ClaudeStatus, Session, SessionSort};
use crate::services::sessions::Beside;
use crate::services::{App, glance, projects, sessions};
use crate::store;
use row::Row;

/// Live sessions and pending requests on the page at most; beyond that it says so.
const MOST: u32 = 200;
/// Sessions that ended otherwise than on purpose, at most.
const FAILED: u32 = 20;
/// How long ago a turn may have ended to be shown as finished. Milliseconds.
const FINISHED_MS: i64 = 12 * 3_600_000;
/// Finished sessions that are shown with what they said.
const FINISHED: usize = 12;

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
    problems: Vec<Row>,
    finished: Vec<Row>,
    rows: Vec<Row>,
    more_rows: bool,
    projects: Vec<Project>,
}

#[derive(Template)]
#[template(path = "now/cards.html")]
struct Cards {
    cards: Vec<Card>,
    more_cards: bool,
}

#[derive(Template)]
#[template(path = "now/attention.html")]
struct Attention {
    problems: Vec<Row>,
    finished: Vec<Row>,
}

#[derive(Template)]
#[template(path = "now/sessions.html")]
struct Sessions {
    rows: Vec<Row>,
    more_rows: bool,
}

#[derive(Template)]
#[template(path = "now/rows.html")]
struct Rows {
    rows: Vec<Row>,
}

async fn page(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    match wanted.part.as_deref() {
        None => {
            let shell = Shell::of(&app, "now").await?;
            let Cards { cards, more_cards } = cards(&app).await?;
            let (rows, more_rows) = all(&app).await?;
            let Attention { problems, finished } = attention(&rows);
            let projects = projects::list(&app).await?;
            html(Page {
                shell,
                cards,
                more_cards,
                problems,
                finished,
                rows: live(rows),
                more_rows,
                projects,
            })
        }
        Some("cards") => html(cards(&app).await?),
        Some("attention") => html(attention(&all(&app).await?.0)),
        Some("sessions") => {
            let (rows, more_rows) = all(&app).await?;
            html(Sessions { rows: live(rows), more_rows })
        }
        Some("rows") => html(Rows { rows: some(&app, &wanted.ids).await? }),
        Some(part) => Err(no_such_part(part)),
    }
}

async fn cards(app: &Arc<App>) -> Result<Cards, Problem> {
    let (cards, more_cards) = cards::pending(app, None, MOST).await?;
    Ok(Cards { cards, more_cards })
}

/// All rows: those that run by their names, so that none moves when its state does, then those that failed.
async fn all(app: &Arc<App>) -> Result<(Vec<Row>, bool), Problem> {
    let sort = SessionSort::default();
    let filter = store::sessions::Filter { status: Some("active".into()), ..Default::default() };
    let (mut active, mut beside) = sessions::list(app, &filter, sort, None, MOST).await?;
    let filter = store::sessions::Filter { status: Some("error".into()), ..Default::default() };
    let (failed, more) = sessions::list(app, &filter, sort, None, FAILED).await?;
    beside.extend(more);
    active.items.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    let mut rows = Vec::with_capacity(active.items.len() + failed.items.len());
    for session in active.items.into_iter().chain(failed.items) {
        let beside = beside.remove(&session.id).unwrap_or_default();
        rows.push(look(app, session, beside).await?);
    }
    Ok((rows, active.next.is_some()))
}

async fn some(app: &Arc<App>, ids: &str) -> Result<Vec<Row>, Problem> {
    let mut rows = Vec::new();
    for id in ids.split(',').filter_map(|id| id.parse().ok()).take(100) {
        if let Ok(session) = sessions::by_id(app, id).await {
            let beside = sessions::beside(app, id).await?;
            rows.push(look(app, session, beside).await?);
        }
    }
    Ok(rows)
}

async fn look(app: &Arc<App>, session: Session, beside: Beside) -> Result<Row, Problem> {
    let glance = glance::at(app, session.id, session.state.conversation.as_ref()).await?;
    Ok(Row::new(session, beside, glance))
}

fn live(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().filter(|r| r.active).collect()
}

/// What went wrong, and what has ended well and waits for the next word.
fn attention(rows: &[Row]) -> Attention {
    let problems = rows.iter().filter(|r| r.has_problem()).cloned().collect();
    let now = clock::now();
    let lately = |r: &&Row| {
        !r.has_problem()
            && r.status == ClaudeStatus::Idle
            && !r.said.is_empty()
            && now.ms_since(r.at) < FINISHED_MS
    };
    let mut finished: Vec<Row> = rows.iter().filter(lately).cloned().collect();
    finished.sort_by_key(|r| std::cmp::Reverse(r.at));
    finished.truncate(FINISHED);
    Attention { problems, finished }
}
