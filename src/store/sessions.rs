//! Sessions.

use std::sync::LazyLock;

use super::bulk::Bulk;
use super::text::containing;
use super::{Cursor, Db, Page, Result, Tx, id, json, named, on, text, to_json};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::session::{BadName, Runtime, Session, SessionName, SessionState};
use crate::domain::time::Timestamp;

pub use crate::domain::session::SessionSort as Sort;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, tmux_session, runtime, workspace_path, launch, metadata, ",
            "claude_version, state, hidden, task_id, created_at, updated_at FROM sessions ",
            $rest
        )
    };
}

const LIVE: &str = select!("WHERE live = 1 ORDER BY created_at, id");
const BY_ID: &str = select!("WHERE id = $1");
const BY_IDEMPOTENCY_KEY: &str = select!("WHERE idempotency_key = $1");
const BY_NAME: &str =
    select!("WHERE name = $1 OR tmux_session = $1 ORDER BY live DESC, created_at DESC LIMIT 1");
macro_rules! list {
    ($listed:literal, $by:literal) => {
        concat!(
            select!("WHERE "),
            $listed,
            "(",
            $by,
            ", id) < ($1, $2) \
             AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR claude_status = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR project_id = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR LOWER(name) LIKE LOWER($6) ESCAPE '!') \
             ORDER BY ",
            $by,
            " DESC, id DESC LIMIT $7"
        )
    };
}

// As in the indexes `sessions_listed` and `sessions_listed_by_age`, so that those that have left the list
// cost nothing.
const LIST: &str = list!("hidden = 0 AND ", "updated_at");
const LIST_BY_AGE: &str = list!("hidden = 0 AND ", "created_at");
const LIST_ALL: &str = list!("", "updated_at");
const LIST_ALL_BY_AGE: &str = list!("", "created_at");
const INSERT: &str = "INSERT INTO sessions (id, project_id, name, tmux_session, runtime, \
     workspace_path, launch, metadata, claude_version, state, status, \
     claude_status, live, hidden, created_at, updated_at, idempotency_key, task_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
const SET_TASK: &str = "UPDATE sessions SET task_id = $2 WHERE id = $1";
static SAVE: LazyLock<Bulk> = LazyLock::new(|| Bulk::update(SAVE_SET, &SAVE_TYPES, SAVE_ON));
const SAVE_SET: &str = "UPDATE sessions SET launch = v.column2, metadata = v.column3, \
     claude_version = v.column4, state = v.column5, status = v.column6, \
     claude_status = v.column7, live = v.column8, hidden = v.column9, updated_at = v.column10, \
     runtime = v.column11, tmux_session = v.column12, name = v.column13";
const SAVE_TYPES: [&str; 13] = [
    "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT", "TEXT",
    "TEXT", "TEXT",
];
const SAVE_ON: &str = "WHERE sessions.id = v.column1";
static END: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::update("UPDATE sessions SET live = 0", &["TEXT"], SAVE_ON));

#[cfg(test)]
pub(super) fn statements(db: &Db) -> impl Iterator<Item = &'static str> {
    SAVE.statements(db).chain(END.statements(db)).chain([
        LIVE,
        BY_ID,
        BY_IDEMPOTENCY_KEY,
        BY_NAME,
        LIST,
        LIST_BY_AGE,
        LIST_ALL,
        LIST_ALL_BY_AGE,
        INSERT,
        SET_TASK,
    ])
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    project_id: String,
    name: String,
    tmux_session: String,
    runtime: String,
    workspace_path: String,
    launch: String,
    metadata: String,
    claude_version: Option<String>,
    state: String,
    hidden: i64,
    task_id: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn session(self) -> Result<Session> {
        let name = SessionName::new(&self.name).map_err(|BadName| super::StoreError::Corrupt {
            what: "sessions.name",
            value: self.name.clone(),
        })?;
        Ok(Session {
            id: id("sessions.id", &self.id)?,
            project_id: id("sessions.project_id", &self.project_id)?,
            name,
            tmux_session: self.tmux_session,
            runtime: named("sessions.runtime", &self.runtime, Runtime::parse)?,
            workspace_path: self.workspace_path,
            launch: json("sessions.launch", &self.launch)?,
            metadata: json("sessions.metadata", &self.metadata)?,
            claude_version: self.claude_version,
            state: json::<SessionState>("sessions.state", &self.state)?,
            hidden: self.hidden != 0,
            task_id: self.task_id.map(TaskId),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only with this `status`.
    pub status: Option<String>,
    /// Only with this `claude_status`.
    pub claude_status: Option<String>,
    /// Only of this project.
    pub project: Option<String>,
    /// Only with this in the name, in any case.
    pub q: Option<String>,
    /// Those too that were ended and have left the list.
    pub all: bool,
}

/// Reads every session that runs, starts or is set aside.
pub async fn live(db: &Db) -> Result<Vec<Session>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIVE).fetch_all(c).await?);
    rows.into_iter().map(Row::session).collect()
}

/// Finds a session by its id.
pub async fn by_id(db: &Db, session: SessionId) -> Result<Option<Session>> {
    let row: Option<Row> =
        on!(read db, c => sqlx::query_as(BY_ID).bind(session.to_string()).fetch_optional(c).await?);
    row.map(Row::session).transpose()
}

/// Finds the session that an earlier request with the same `Idempotency-Key` made.
pub async fn by_idempotency_key(db: &Db, key: &str) -> Result<Option<Session>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_IDEMPOTENCY_KEY)
        .bind(super::key(key)).fetch_optional(c).await?);
    row.map(Row::session).transpose()
}

/// Finds a session by its name or its tmux session's: the live one, else the newest.
pub async fn by_name(db: &Db, name: &str) -> Result<Option<Session>> {
    let row: Option<Row> =
        on!(read db, c => sqlx::query_as(BY_NAME).bind(text(name)).fetch_optional(c).await?);
    row.map(Row::session).transpose()
}

/// Lists sessions.
pub async fn list(
    db: &Db,
    filter: &Filter,
    sort: Sort,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Session>> {
    let (at, id) = after.map_or((i64::MAX, "~"), |c| (c.at, c.id.as_str()));
    let sql = match (sort, filter.all) {
        (Sort::UpdatedAt, false) => LIST,
        (Sort::UpdatedAt, true) => LIST_ALL,
        (Sort::CreatedAt, false) => LIST_BY_AGE,
        (Sort::CreatedAt, true) => LIST_ALL_BY_AGE,
    };
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(sql)
        .bind(at).bind(id)
        .bind(&filter.status).bind(&filter.claude_status).bind(&filter.project)
        .bind(filter.q.as_deref().map(containing))
        .bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let sessions = rows.into_iter().map(Row::session).collect::<Result<Vec<_>>>()?;
    let place = |s: &Session| match sort {
        Sort::UpdatedAt => s.updated_at,
        Sort::CreatedAt => s.created_at,
    };
    Ok(Page::of(sessions, limit, |s| Cursor { at: place(s).0, id: s.id.to_string() }))
}

pub(super) async fn insert(tx: &mut Tx, s: &Session, idempotency_key: Option<&str>) -> Result<()> {
    on!(execute tx, sqlx::query(INSERT)
        .bind(s.id.to_string()).bind(s.project_id.to_string()).bind(s.name.as_str())
        .bind(text(&s.tmux_session)).bind(s.runtime.as_str()).bind(text(&s.workspace_path))
        .bind(to_json(&s.launch)).bind(to_json(&s.metadata))
        .bind(s.claude_version.as_deref().map(text)).bind(to_json(&s.state))
        .bind(s.state.status.as_str()).bind(s.state.claude_status.as_str())
        .bind(i64::from(s.is_live())).bind(i64::from(s.hidden))
        .bind(s.created_at.0).bind(s.updated_at.0).bind(idempotency_key.map(super::key))
        .bind(s.task_id.map(|task| task.0)));
    Ok(())
}

/// Notes what a session works on. What is written for it from here on is stamped with that.
pub(super) async fn set_task(tx: &mut Tx, session: SessionId, task: Option<TaskId>) -> Result<()> {
    on!(execute tx, sqlx::query(SET_TASK).bind(session.to_string()).bind(task.map(|task| task.0)));
    Ok(())
}

/// Notes that sessions have ended: their names are free from here on.
pub(super) async fn end(tx: &mut Tx, ended: &[SessionId]) -> Result<()> {
    for (sql, part) in END.parts(tx, ended) {
        on!(write tx, c => {
            let query = part.iter().fold(sqlx::query(sql), |q, id| q.bind(id.to_string()));
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Saves sessions, each of them once; not what they work on.
pub(super) async fn save(tx: &mut Tx, sessions: &[Session]) -> Result<()> {
    for (sql, part) in SAVE.parts(tx, sessions) {
        on!(write tx, c => {
            let mut query = sqlx::query(sql);
            for s in part {
                query = query
                    .bind(s.id.to_string()).bind(to_json(&s.launch)).bind(to_json(&s.metadata))
                    .bind(s.claude_version.as_deref().map(text)).bind(to_json(&s.state))
                    .bind(s.state.status.as_str()).bind(s.state.claude_status.as_str())
                    .bind(i64::from(s.is_live())).bind(i64::from(s.hidden)).bind(s.updated_at.0)
                    .bind(s.runtime.as_str()).bind(text(&s.tmux_session)).bind(s.name.as_str());
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}
