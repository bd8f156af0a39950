//! All sessions, ended ones too: to find again what was said and done in one.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;

use crate::api::list::Paging;
use crate::api::problem::{Problem, Query};
use crate::domain::ids::{ProjectId, SessionId};
use crate::domain::session::{Session, SessionSort, Status};
use crate::domain::time::Timestamp;
use crate::services::{App, projects, sessions};
use crate::store;
use crate::web::address::{self, filled};
use crate::web::shell::Shell;
use crate::web::{html, no_such_part};

/// Sessions on a page.
const PAGE: u32 = 100;

/// Which sessions, and which part of the page.
#[derive(Deserialize)]
pub struct Wanted {
    part: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    project_id: Option<ProjectId>,
    #[serde(default, deserialize_with = "filled")]
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "session/all.html", blocks = ["sessions"])]
struct Page {
    shell: Shell,
    q: String,
    project: String,
    projects: Vec<(ProjectId, String)>,
    /// Where the sessions come from, anew.
    source: String,
    rows: Vec<Row>,
    next: String,
}

struct Row {
    id: SessionId,
    name: String,
    /// What it does, or that it has ended.
    state: String,
    /// Only if there is more than one project.
    project: String,
    folder: String,
    at: Timestamp,
}

impl Row {
    fn of(session: Session, projects: &HashMap<ProjectId, String>) -> Self {
        let is_over = session.hidden || session.state.status == Status::Completed;
        let state = session.state.claude_status.to_string();
        Self {
            id: session.id,
            state: if is_over { "ended".to_owned() } else { state },
            project: projects.get(&session.project_id).cloned().unwrap_or_default(),
            name: session.name.into(),
            folder: session.workspace_path,
            at: session.updated_at,
        }
    }
}

pub async fn page(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "sessions").await?;
    let projects = projects::list(&app).await?;
    let projects: Vec<_> = projects.into_iter().map(|p| (p.id, p.name)).collect();
    let (_, cursor) = paging.check()?;
    let filter = store::sessions::Filter {
        project: wanted.project_id.map(|p| p.to_string()),
        q: wanted.q.clone(),
        all: true,
        ..Default::default()
    };
    let (page, _) =
        sessions::list(&app, &filter, SessionSort::default(), cursor.as_ref(), PAGE).await?;
    let named = projects.iter().filter(|_| projects.len() > 1).cloned().collect();
    let next = |c: store::Cursor| address::with(&uri, &[("cursor", &c.to_string()), ("part", "")]);
    let page = Page {
        shell,
        q: wanted.q.unwrap_or_default(),
        project: wanted.project_id.map(|p| p.to_string()).unwrap_or_default(),
        source: address::with(&uri, &[("part", "sessions")]),
        next: page.next.map(next).unwrap_or_default(),
        rows: page.items.into_iter().map(|s| Row::of(s, &named)).collect(),
        projects,
    };
    match wanted.part.as_deref() {
        None => html(page),
        Some("sessions") => html(page.as_sessions()),
        Some(part) => Err(no_such_part(part)),
    }
}
