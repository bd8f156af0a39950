//! Claims: which task has edited which file.

use super::{Db, Result, Tx, id, named, on, text};
use crate::domain::claim::{Claim, ClaimSource};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::record::ToolStatus;
use crate::domain::time::Timestamp;

const ALL: &str = "SELECT project_id, path, task_id, session_id, source, claimed_at \
     FROM path_claims ORDER BY project_id, path";
const INSERT: &str = "INSERT INTO path_claims (project_id, path, task_id, session_id, source, \
     claimed_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project_id, path) DO NOTHING";
const RAN: &str = "SELECT timestamp, duration_ms, status FROM command_logs \
     WHERE session_id = $1 AND tool = $2 ORDER BY timestamp DESC, id DESC LIMIT $3";
const OF_WORKTREE: &str = "SELECT task_id, session_id, base_commit FROM task_attempts \
     WHERE worktree = $1 ORDER BY task_id DESC, number DESC LIMIT 1";
const RELEASE: &str = "DELETE FROM path_claims WHERE task_id = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ALL, INSERT, OF_WORKTREE, RAN, RELEASE];

#[derive(sqlx_macros::FromRow)]
struct Row {
    project_id: String,
    path: String,
    task_id: i64,
    session_id: String,
    source: String,
    claimed_at: i64,
}

impl Row {
    fn claim(self) -> Result<Claim> {
        Ok(Claim {
            project_id: id("path_claims.project_id", &self.project_id)?,
            path: self.path,
            task_id: TaskId(self.task_id),
            session_id: id("path_claims.session_id", &self.session_id)?,
            source: named("path_claims.source", &self.source, ClaimSource::parse)?,
            claimed_at: Timestamp(self.claimed_at),
        })
    }
}

/// Reads all claims: those of tasks that are not over, each of which has a limited number.
pub async fn all(db: &Db) -> Result<Vec<Claim>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(ALL).fetch_all(c).await?);
    rows.into_iter().map(Row::claim).collect()
}

pub(super) async fn insert(tx: &mut Tx, c: &Claim) -> Result<()> {
    on!(execute tx, sqlx::query(INSERT)
        .bind(c.project_id.to_string()).bind(text(&c.path)).bind(c.task_id.0)
        .bind(c.session_id.to_string()).bind(c.source.as_str()).bind(c.claimed_at.0));
    Ok(())
}

pub(super) async fn release(tx: &mut Tx, task: TaskId) -> Result<()> {
    on!(execute tx, sqlx::query(RELEASE).bind(task.0));
    Ok(())
}

/// When a call ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// When it was asked for.
    pub from: Timestamp,
    /// When it ended; none if it has not, or nobody knows.
    pub to: Option<Timestamp>,
    /// It runs.
    pub running: bool,
}

/// When a session's last calls of a tool ran, the last one first.
pub async fn ran(db: &Db, session: SessionId, tool: &str, limit: u32) -> Result<Vec<Ran>> {
    let rows: Vec<(i64, Option<i64>, String)> = on!(read db, c => {
        sqlx::query_as(RAN).bind(session.to_string()).bind(tool).bind(i64::from(limit))
            .fetch_all(c).await?
    });
    let ran = rows.into_iter().map(|(from, duration, status)| Ran {
        from: Timestamp(from),
        to: duration.map(|ms| Timestamp(from + ms)),
        running: status == ToolStatus::Running.as_str(),
    });
    Ok(ran.collect())
}

/// For which task, in which session and from which commit on a worktree was made.
pub async fn of_worktree(
    db: &Db,
    dir: &str,
) -> Result<Option<(TaskId, SessionId, Option<String>)>> {
    let row: Option<(i64, String, Option<String>)> = on!(read db, c => {
        sqlx::query_as(OF_WORKTREE).bind(text(dir)).fetch_optional(c).await?
    });
    row.map(|(task, session, base)| {
        Ok((TaskId(task), id("task_attempts.session_id", &session)?, base))
    })
    .transpose()
}
