//! Tasks, their labels, what they depend on, and their attempts.

mod attempts;
mod list;

use super::{Db, Result, Tx, id, json, key, named, on, text, to_json};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::task::{Task, TaskStatus};
use crate::domain::time::Timestamp;

pub(super) use attempts::save as save_attempt;
pub use attempts::{last as last_attempt, of as attempts};
pub use list::{Filter, Listed, Sort, list};

/// The counter of tasks' ids.
const COUNTER: &str = "tasks";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, title, description, rank, position, status, queued, session_id, \
             attempts, labels, depends_on, options, result, restarts, created_at, updated_at, \
             started_at, completed_at FROM tasks ",
            $rest
        )
    };
}
use select;

const BY_ID: &str = select!("WHERE id = $1");
const BY_IDEMPOTENCY_KEY: &str = select!("WHERE idempotency_key = $1");
const AT_WORK: &str =
    select!("WHERE status IN ('assigned', 'running', 'waiting') ORDER BY rank, position, id");
// Nothing that it depends on is open.
const QUEUED: &str = select!(
    "WHERE queued = 1 AND (rank, position, id) > ($1, $2, $3) \
     AND NOT EXISTS (SELECT 1 FROM task_dependencies d JOIN tasks n ON n.id = d.depends_on \
     WHERE d.task_id = tasks.id AND n.status <> 'completed') \
     ORDER BY rank, position, id LIMIT $4"
);
// One whose prompt did not arrive is a person's to look at.
const READY: &str = select!(
    "WHERE project_id = $1 AND status = 'pending' AND result IS NULL \
     AND NOT EXISTS (SELECT 1 FROM task_dependencies d JOIN tasks n ON n.id = d.depends_on \
     WHERE d.task_id = tasks.id AND n.status <> 'completed') \
     ORDER BY rank, position, id LIMIT 1"
);
const LAST_ID: &str = "SELECT value FROM counters WHERE name = $1";
const COUNT: &str = "INSERT INTO counters (name, value) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const INSERT: &str = "INSERT INTO tasks (id, project_id, title, description, rank, position, status, \
     queued, session_id, attempts, labels, depends_on, options, result, restarts, created_at, \
     updated_at, started_at, completed_at, idempotency_key) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
const UPDATE: &str = "UPDATE tasks SET title = $2, description = $3, rank = $4, position = $5, \
     status = $6, queued = $7, session_id = $8, attempts = $9, labels = $10, depends_on = $11, \
     options = $12, result = $13, restarts = $14, updated_at = $15, started_at = $16, \
     completed_at = $17 WHERE id = $1";
const DELETE: &str = "DELETE FROM tasks WHERE id = $1";
const DELETE_ATTEMPTS: &str = "DELETE FROM task_attempts WHERE task_id = $1";
const DELETE_LABELS: &str = "DELETE FROM task_labels WHERE task_id = $1";
const ADD_LABEL: &str = "INSERT INTO task_labels (task_id, label, task_rank, task_position, task_status, \
     task_project) VALUES ($1, $2, $3, $4, $5, $6)";
const MOVE_LABELS: &str = "UPDATE task_labels SET task_rank = $2, task_position = $3, task_status = $4 \
     WHERE task_id = $1";
const DELETE_NEEDS: &str = "DELETE FROM task_dependencies WHERE task_id = $1";
const ADD_NEED: &str = "INSERT INTO task_dependencies (task_id, depends_on) VALUES ($1, $2)";
const NEEDS: &str = "SELECT n.id, n.title, n.status FROM task_dependencies d \
     JOIN tasks n ON n.id = d.depends_on WHERE d.task_id = $1 ORDER BY n.id";
const NEEDED_BY: &str =
    "SELECT task_id FROM task_dependencies WHERE depends_on = $1 ORDER BY task_id LIMIT 10";
const EDGES: &str = "WITH RECURSIVE needs(id) AS (SELECT CAST($1 AS BIGINT) UNION \
     SELECT d.depends_on FROM task_dependencies d JOIN needs ON d.task_id = needs.id) \
     SELECT d.task_id, d.depends_on FROM task_dependencies d JOIN needs ON d.task_id = needs.id";
const IN_PROJECT: &str = "SELECT COUNT(*) FROM tasks WHERE project_id = $1";

#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let fixed = [
        BY_ID,
        BY_IDEMPOTENCY_KEY,
        AT_WORK,
        QUEUED,
        READY,
        LAST_ID,
        COUNT,
        INSERT,
        UPDATE,
        DELETE,
        DELETE_ATTEMPTS,
        DELETE_LABELS,
        ADD_LABEL,
        MOVE_LABELS,
        DELETE_NEEDS,
        ADD_NEED,
        NEEDS,
        NEEDED_BY,
        EDGES,
        IN_PROJECT,
    ];
    fixed.into_iter().chain(attempts::STATEMENTS.iter().copied()).chain(list::statements())
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    project_id: String,
    title: String,
    description: String,
    rank: i64,
    position: i64,
    status: String,
    queued: i64,
    session_id: Option<String>,
    attempts: i64,
    labels: String,
    depends_on: String,
    options: String,
    result: Option<String>,
    restarts: i64,
    created_at: i64,
    updated_at: i64,
    started_at: Option<i64>,
    completed_at: Option<i64>,
}

impl Row {
    fn task(self) -> Result<Task> {
        Ok(Task {
            id: TaskId(self.id),
            project_id: id("tasks.project_id", &self.project_id)?,
            title: self.title,
            description: self.description,
            priority: -self.rank,
            position: self.position,
            status: named("tasks.status", &self.status, TaskStatus::parse)?,
            queued: self.queued != 0,
            session_id: self
                .session_id
                .map(|s| id::<SessionId>("tasks.session_id", &s))
                .transpose()?,
            attempts: self.attempts,
            options: json("tasks.options", &self.options)?,
            labels: json("tasks.labels", &self.labels)?,
            depends_on: json("tasks.depends_on", &self.depends_on)?,
            result: self.result,
            restarts: self.restarts,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            started_at: self.started_at.map(Timestamp),
            completed_at: self.completed_at.map(Timestamp),
        })
    }
}

/// What a task depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which task.
    pub id: TaskId,
    /// Its title.
    pub title: String,
    /// Where it is in its life.
    pub status: TaskStatus,
}

/// Finds a task.
pub async fn by_id(db: &Db, task: TaskId) -> Result<Option<Task>> {
    let row: Option<Row> =
        on!(read db, c => sqlx::query_as(BY_ID).bind(task.0).fetch_optional(c).await?);
    row.map(Row::task).transpose()
}

/// Finds the task that an earlier request with the same `Idempotency-Key` made.
pub async fn by_idempotency_key(db: &Db, wanted: &str) -> Result<Option<Task>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_IDEMPOTENCY_KEY)
        .bind(key(wanted)).fetch_optional(c).await?);
    row.map(Row::task).transpose()
}

/// Reads every task that a session works on.
pub async fn at_work(db: &Db) -> Result<Vec<Task>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(AT_WORK).fetch_all(c).await?);
    rows.into_iter().map(Row::task).collect()
}

/// Reads tasks that wait in the queue for nothing but room, the first ones after another.
pub async fn queued(db: &Db, after: Option<&Task>, limit: u32) -> Result<Vec<Task>> {
    let (rank, position, last) =
        after.map_or((i64::MIN, 0, 0), |t| (-t.priority, t.position, t.id.0));
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(QUEUED)
        .bind(rank).bind(position).bind(last).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(Row::task).collect()
}

/// Reads the first task of a project that could be started now, queued or not, and whose last start did
/// not come to nothing.
pub async fn ready(db: &Db, project: crate::domain::ids::ProjectId) -> Result<Option<Task>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(READY)
        .bind(project.to_string()).fetch_optional(c).await?);
    row.map(Row::task).transpose()
}

/// The last id that was ever given to a task.
pub async fn last_id(db: &Db) -> Result<i64> {
    let last: Option<i64> =
        on!(read db, c => sqlx::query_scalar(LAST_ID).bind(COUNTER).fetch_optional(c).await?);
    Ok(last.unwrap_or(0))
}

/// What a task depends on, in the order of the ids.
pub async fn needs(db: &Db, task: TaskId) -> Result<Vec<Need>> {
    let rows: Vec<(i64, String, String)> =
        on!(read db, c => sqlx::query_as(NEEDS).bind(task.0).fetch_all(c).await?);
    let need = |(id, title, status): (i64, String, String)| {
        let status = named("tasks.status", &status, TaskStatus::parse)?;
        Ok(Need { id: TaskId(id), title, status })
    };
    rows.into_iter().map(need).collect()
}

/// Some of the tasks that depend on this one.
pub async fn needed_by(db: &Db, task: TaskId) -> Result<Vec<TaskId>> {
    let ids: Vec<i64> =
        on!(read db, c => sqlx::query_scalar(NEEDED_BY).bind(task.0).fetch_all(c).await?);
    Ok(ids.into_iter().map(TaskId).collect())
}

/// All pairs of a task and what it depends on that can be reached from one.
pub async fn edges(db: &Db, from: TaskId) -> Result<Vec<(TaskId, TaskId)>> {
    let rows: Vec<(i64, i64)> =
        on!(read db, c => sqlx::query_as(EDGES).bind(from.0).fetch_all(c).await?);
    Ok(rows.into_iter().map(|(task, need)| (TaskId(task), TaskId(need))).collect())
}

/// Counts the tasks of a project.
pub async fn of_project(db: &Db, project: crate::domain::ids::ProjectId) -> Result<i64> {
    Ok(on!(read db, c => {
        sqlx::query_scalar(IN_PROJECT).bind(project.to_string()).fetch_one(c).await?
    }))
}

pub(super) async fn insert(tx: &mut Tx, t: &Task, idempotency_key: Option<&str>) -> Result<()> {
    on!(execute tx, sqlx::query(COUNT).bind(COUNTER).bind(t.id.0));
    on!(execute tx, sqlx::query(INSERT)
        .bind(t.id.0).bind(t.project_id.to_string()).bind(text(&t.title)).bind(text(&t.description))
        .bind(-t.priority).bind(t.position).bind(t.status.as_str()).bind(i64::from(t.queued))
        .bind(t.session_id.map(|s| s.to_string())).bind(t.attempts)
        .bind(to_json(&t.labels)).bind(to_json(&t.depends_on)).bind(to_json(&t.options))
        .bind(t.result.as_deref().map(text)).bind(t.restarts)
        .bind(t.created_at.0).bind(t.updated_at.0).bind(t.started_at.map(|at| at.0))
        .bind(t.completed_at.map(|at| at.0)).bind(idempotency_key.map(key)));
    link(tx, t).await
}

pub(super) async fn update(tx: &mut Tx, t: &Task) -> Result<()> {
    on!(execute tx, sqlx::query(UPDATE)
        .bind(t.id.0).bind(text(&t.title)).bind(text(&t.description))
        .bind(-t.priority).bind(t.position).bind(t.status.as_str()).bind(i64::from(t.queued))
        .bind(t.session_id.map(|s| s.to_string())).bind(t.attempts)
        .bind(to_json(&t.labels)).bind(to_json(&t.depends_on)).bind(to_json(&t.options))
        .bind(t.result.as_deref().map(text)).bind(t.restarts)
        .bind(t.updated_at.0).bind(t.started_at.map(|at| at.0))
        .bind(t.completed_at.map(|at| at.0)));
    if !t.labels.is_empty() {
        on!(execute tx, sqlx::query(MOVE_LABELS)
            .bind(t.id.0).bind(-t.priority).bind(t.position).bind(t.status.as_str()));
    }
    Ok(())
}

pub(super) async fn relink(tx: &mut Tx, t: &Task) -> Result<()> {
    update(tx, t).await?;
    on!(execute tx, sqlx::query(DELETE_LABELS).bind(t.id.0));
    on!(execute tx, sqlx::query(DELETE_NEEDS).bind(t.id.0));
    link(tx, t).await
}

async fn link(tx: &mut Tx, t: &Task) -> Result<()> {
    for label in &t.labels {
        on!(execute tx, sqlx::query(ADD_LABEL).bind(t.id.0).bind(text(label))
            .bind(-t.priority).bind(t.position).bind(t.status.as_str())
            .bind(t.project_id.to_string()));
    }
    for need in &t.depends_on {
        on!(execute tx, sqlx::query(ADD_NEED).bind(t.id.0).bind(need.0));
    }
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, task: TaskId) -> Result<()> {
    for sql in [DELETE_ATTEMPTS, DELETE_LABELS, DELETE_NEEDS, DELETE] {
        on!(execute tx, sqlx::query(sql).bind(task.0));
    }
    Ok(())
}
