//! All tasks: a list in an order of one's choice, or a board with a column for each status.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;

use super::moves::{self, Column};
use crate::api::list::Paging;
use crate::api::problem::{Problem, Query};
use crate::domain::ids::{ProjectId, SessionId, TaskId};
use crate::domain::project::Project;
use crate::domain::task::{TaskSort, TaskStatus};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::{App, projects, sessions, tasks};
use crate::store;
use crate::web::address::{self, filled};
use crate::web::plain::plain;
use crate::web::shell::Shell;
use crate::web::{html, no_such_part};

/// Tasks on a page of the list, and in a column of the board.
const PAGE: u32 = 100;
const COLUMN: u32 = 50;

/// The two ways to look at them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum View {
    #[default]
    List,
    Board,
}

/// Which tasks, and which part of the page.
#[derive(Deserialize)]
pub struct Wanted {
    part: Option<String>,
    #[serde(default)]
    view: View,
    #[serde(default, deserialize_with = "filled")]
    status: Option<TaskStatus>,
    #[serde(default, deserialize_with = "filled")]
    project_id: Option<ProjectId>,
    #[serde(default, deserialize_with = "filled")]
    label: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    session: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    q: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    sort: Option<TaskSort>,
}

#[derive(Template)]
#[template(path = "tasks/page.html", blocks = ["tasks"])]
struct Page {
    shell: Shell,
    wanted: Asked,
    projects: Vec<Project>,
    /// All moves, for the script.
    moves: String,
    /// Where the tasks come from, anew.
    source: String,
    as_list: String,
    as_board: String,
    rows: Vec<Row>,
    columns: Vec<Lane>,
    next: String,
    is_board: bool,
    /// A task can be put before another one: in no other order than theirs.
    orderable: bool,
}

/// What was asked for, as the form says it.
struct Asked {
    status: String,
    project: String,
    label: String,
    session: String,
    q: String,
    sort: &'static str,
    any: bool,
}

/// A column of the board.
struct Lane {
    column: Column,
    rows: Vec<Row>,
    more: bool,
}

/// A task in a list.
pub struct Row {
    id: TaskId,
    title: String,
    status: TaskStatus,
    priority: i64,
    labels: Vec<String>,
    queued: bool,
    ready: bool,
    attempts: i64,
    session: Option<(SessionId, String)>,
    result: String,
    project: String,
    at: Timestamp,
}

pub async fn page(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(wanted): Query<Wanted>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "tasks").await?;
    let projects = projects::list(&app).await?;
    // The form's field may hold the name of a session that is gone; then there are no tasks of it.
    let (session, unknown) = match sessions::find_id(&app, wanted.session.as_deref()).await {
        Ok(found) => (found, false),
        Err(Error::NotFound { .. }) => (None, true),
        Err(e) => return Err(e.into()),
    };
    let filter = store::tasks::Filter {
        status: wanted.status,
        project: wanted.project_id,
        label: wanted.label.clone(),
        session,
        q: wanted.q.clone(),
    };
    let sort = wanted.sort.unwrap_or_default();
    let is_board = wanted.view == View::Board;
    let (mut rows, mut columns, mut next) = (Vec::new(), Vec::new(), String::new());
    let look = Look::new(&app, &projects).await?;
    if is_board {
        for column in Column::ALL {
            columns.push(if unknown {
                Lane::empty(column)
            } else {
                lane(&app, &look, &filter, column).await?
            });
        }
    } else if !unknown {
        let (_, cursor) = paging.check()?;
        let page = tasks::list(&app, &filter, sort, cursor.as_ref(), PAGE).await?;
        rows = page.items.into_iter().map(|t| look.row(t)).collect();
        let go_on = |c: store::Cursor| {
            address::with(&uri, &[("cursor", &c.to_string()), ("part", ""), ("new", "")])
        };
        next = page.next.map(go_on).unwrap_or_default();
    }
    let page = Page {
        shell,
        moves: moves::all(),
        source: address::with(&uri, &[("part", "tasks"), ("new", "")]),
        as_list: address::with(&uri, &[("view", ""), ("cursor", ""), ("new", "")]),
        as_board: address::with(&uri, &[("view", "board"), ("cursor", ""), ("new", "")]),
        wanted: Asked::of(&wanted, sort),
        projects,
        rows,
        columns,
        next,
        is_board,
        orderable: is_board || sort == TaskSort::Priority,
    };
    match wanted.part.as_deref() {
        None => html(page),
        Some("tasks") => html(page.as_tasks()),
        Some(part) => Err(no_such_part(part)),
    }
}

async fn lane(
    app: &App,
    look: &Look,
    filter: &store::tasks::Filter,
    column: Column,
) -> Result<Lane, Problem> {
    let sort = if column.is_over() { TaskSort::CreatedAt } else { TaskSort::Priority };
    let mut lane = Lane::empty(column);
    for status in column.statuses() {
        let filter = store::tasks::Filter { status: Some(*status), ..filter.clone() };
        let page = tasks::list(app, &filter, sort, None, COLUMN).await?;
        lane.more |= page.next.is_some();
        lane.rows.extend(page.items.into_iter().map(|t| look.row(t)));
    }
    if !column.is_over() {
        lane.rows.sort_by_key(|row| std::cmp::Reverse(row.priority));
    }
    Ok(lane)
}

impl Lane {
    fn empty(column: Column) -> Self {
        Self { column, rows: Vec::new(), more: false }
    }
}

impl Asked {
    fn of(wanted: &Wanted, sort: TaskSort) -> Self {
        let Wanted { status, project_id, label, session, q, .. } = wanted;
        let words = [label, session, q];
        Self {
            any: status.is_some() || project_id.is_some() || words.iter().any(|w| w.is_some()),
            q: q.clone().unwrap_or_default(),
            status: status.map(|s| s.to_string()).unwrap_or_default(),
            project: project_id.map(|p| p.to_string()).unwrap_or_default(),
            label: label.clone().unwrap_or_default(),
            session: session.clone().unwrap_or_default(),
            sort: sort.as_str(),
        }
    }
}

/// What rows are made with: the names of what they belong to.
struct Look {
    sessions: HashMap<SessionId, String>,
    /// Only if there is more than one.
    projects: HashMap<ProjectId, String>,
}

impl Look {
    async fn new(app: &App, projects: &[Project]) -> Result<Self, Error> {
        let several = projects.iter().filter(|_| projects.len() > 1);
        Ok(Self {
            sessions: sessions::names(app).await?,
            projects: several.map(|p| (p.id, p.name.clone())).collect(),
        })
    }

    fn row(&self, tasks::View { task, ready }: tasks::View) -> Row {
        let named = |id: SessionId| self.sessions.get(&id).map(|name| (id, name.clone()));
        Row {
            id: task.id,
            status: task.status,
            priority: task.priority,
            queued: task.queued && task.status == TaskStatus::Pending,
            ready,
            attempts: task.attempts,
            session: task.session_id.filter(|_| task.status.is_at_work()).and_then(named),
            result: plain(&task.result.unwrap_or_default()).chars().take(300).collect(),
            project: self.projects.get(&task.project_id).cloned().unwrap_or_default(),
            at: task.updated_at,
            title: task.title,
            labels: task.labels,
        }
    }
}
