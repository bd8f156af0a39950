//! Attempts: each start of a task.

use super::super::{Db, Result, Tx, id, named, on, text};
use crate::domain::ids::{MessageId, TaskId};
use crate::domain::task::{Attempt, AttemptOutcome, GitBackend};
use crate::domain::time::Timestamp;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT number, session_id, own_session, git_backend, branch, base_commit, worktree, \
             prompt, message_id, turn_ended_at, outcome, result, started_at, ended_at, head_commit, \
             git_problem FROM task_attempts ",
            $rest
        )
    };
}

/// Attempts that are read of a task; older ones stay in the store.
const MOST: i64 = 100;

const OF: &str = select!("WHERE task_id = $1 ORDER BY number DESC LIMIT $2");
const SAVE: &str = "INSERT INTO task_attempts (task_id, number, session_id, own_session, git_backend, \
     branch, base_commit, worktree, prompt, message_id, turn_ended_at, outcome, result, started_at, \
     ended_at, head_commit, git_problem) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
     ON CONFLICT (task_id, number) DO UPDATE SET branch = excluded.branch, \
     base_commit = excluded.base_commit, worktree = excluded.worktree, \
     git_backend = excluded.git_backend, message_id = excluded.message_id, \
     turn_ended_at = excluded.turn_ended_at, outcome = excluded.outcome, \
     result = excluded.result, ended_at = excluded.ended_at, \
     head_commit = excluded.head_commit, git_problem = excluded.git_problem";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[OF, SAVE];

#[derive(sqlx_macros::FromRow)]
struct Row {
    number: i64,
    session_id: String,
    own_session: i64,
    git_backend: String,
    branch: Option<String>,
    base_commit: Option<String>,
    worktree: Option<String>,
    prompt: String,
    message_id: Option<String>,
    turn_ended_at: Option<i64>,
    outcome: Option<String>,
    result: Option<String>,
    started_at: i64,
    ended_at: Option<i64>,
    head_commit: Option<String>,
    git_problem: Option<String>,
}

impl Row {
    fn attempt(self) -> Result<Attempt> {
        Ok(Attempt {
            number: self.number,
            session_id: id("task_attempts.session_id", &self.session_id)?,
            own_session: self.own_session != 0,
            git_backend: named("task_attempts.git_backend", &self.git_backend, GitBackend::parse)?,
            branch: self.branch,
            base_commit: self.base_commit,
            worktree: self.worktree,
            prompt: self.prompt,
            message_id: self
                .message_id
                .map(|m| id::<MessageId>("task_attempts.message_id", &m))
                .transpose()?,
            turn_ended_at: self.turn_ended_at.map(Timestamp),
            outcome: self
                .outcome
                .map(|o| named("task_attempts.outcome", &o, AttemptOutcome::parse))
                .transpose()?,
            result: self.result,
            started_at: Timestamp(self.started_at),
            ended_at: self.ended_at.map(Timestamp),
            head_commit: self.head_commit,
            git_problem: self.git_problem,
        })
    }
}

/// A task's attempts, the last one first.
pub async fn of(db: &Db, task: TaskId) -> Result<Vec<Attempt>> {
    read(db, task, MOST).await
}

/// A task's last attempt.
pub async fn last(db: &Db, task: TaskId) -> Result<Option<Attempt>> {
    Ok(read(db, task, 1).await?.pop())
}

async fn read(db: &Db, task: TaskId, limit: i64) -> Result<Vec<Attempt>> {
    let rows: Vec<Row> =
        on!(read db, c => sqlx::query_as(OF).bind(task.0).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(Row::attempt).collect()
}

pub(in crate::store) async fn save(tx: &mut Tx, task: TaskId, a: &Attempt) -> Result<()> {
    on!(execute tx, sqlx::query(SAVE)
        .bind(task.0).bind(a.number).bind(a.session_id.to_string()).bind(i64::from(a.own_session))
        .bind(a.git_backend.as_str()).bind(a.branch.as_deref().map(text))
        .bind(a.base_commit.as_deref().map(text)).bind(a.worktree.as_deref().map(text))
        .bind(text(&a.prompt)).bind(a.message_id.map(|m| m.to_string()))
        .bind(a.turn_ended_at.map(|at| at.0)).bind(a.outcome.map(AttemptOutcome::as_str))
        .bind(a.result.as_deref().map(text)).bind(a.started_at.0).bind(a.ended_at.map(|at| at.0))
        .bind(a.head_commit.as_deref().map(text)).bind(a.git_problem.as_deref().map(text)));
    Ok(())
}
