//! What was done lately, over all sessions and tasks: sums, not rows. They cost as much as the time that they span.

use super::{Db, Result, on};
use crate::domain::time::Timestamp;

const CALLS: &str = "SELECT timestamp / 3600000, status, COUNT(*) FROM command_logs \
     WHERE timestamp >= $1 GROUP BY timestamp / 3600000, status";
const DURATIONS: &str = "SELECT CAST(CASE WHEN duration_ms < 100 THEN 0 WHEN duration_ms < 1000 THEN 1 \
     WHEN duration_ms < 10000 THEN 2 WHEN duration_ms < 60000 THEN 3 WHEN duration_ms < 600000 THEN 4 ELSE 5 END AS BIGINT), \
     COUNT(*) FROM command_logs WHERE timestamp >= $1 AND duration_ms IS NOT NULL GROUP BY 1";
const ATTEMPTS: &str = "SELECT ended_at / 3600000, outcome, COUNT(*) FROM task_attempts \
     WHERE ended_at >= $1 AND outcome IS NOT NULL GROUP BY ended_at / 3600000, outcome";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[CALLS, DURATIONS, ATTEMPTS];

/// How many steps [`durations`] has.
pub const STEPS: usize = 6;

/// How many of something were in an hour: the hour since the epoch, what they are, and how many.
pub type Hourly = (i64, String, i64);

/// Counts tool calls by hour and status.
pub async fn calls(db: &Db, since: Timestamp) -> Result<Vec<Hourly>> {
    Ok(on!(read db, c => sqlx::query_as(CALLS).bind(since.0).fetch_all(c).await?))
}

/// Counts attempts at tasks that have ended, by hour and outcome.
pub async fn attempts(db: &Db, since: Timestamp) -> Result<Vec<Hourly>> {
    Ok(on!(read db, c => sqlx::query_as(ATTEMPTS).bind(since.0).fetch_all(c).await?))
}

/// Counts tool calls by how long they took: less than 0.1, 1, 10, 60, 600 seconds, and more, as 0 to 5: see [`STEPS`].
pub async fn durations(db: &Db, since: Timestamp) -> Result<Vec<(i64, i64)>> {
    Ok(on!(read db, c => sqlx::query_as(DURATIONS).bind(since.0).fetch_all(c).await?))
}
