//! Forgetting: what is older than anybody wants to keep goes, a few rows at a time, so that no
//! commit has to wait for long.

use super::{Db, Result, StoreError, Tx, id, on, sqlite};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// What belongs to a session, each of its tables after those that refer to it. All of it, or so
/// many rows.
const OF_SESSION: [&str; 11] = [
    "DELETE FROM command_outputs WHERE session_id = $1 AND tool_use_id IN \
     (SELECT tool_use_id FROM command_outputs WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM command_logs WHERE id IN \
     (SELECT id FROM command_logs WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM session_messages WHERE id IN \
     (SELECT id FROM session_messages WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM token_usage WHERE (conversation_id, message_id) IN \
     (SELECT u.conversation_id, u.message_id FROM token_usage u \
     JOIN conversations c ON c.id = u.conversation_id WHERE c.session_id = $1 LIMIT $2)",
    "DELETE FROM usage_days WHERE session_id = $1 AND (day, model) IN \
     (SELECT day, model FROM usage_days WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM session_usage WHERE session_id IN \
     (SELECT session_id FROM session_usage WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM permission_requests WHERE id IN \
     (SELECT id FROM permission_requests WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM permission_rules WHERE id IN \
     (SELECT id FROM permission_rules WHERE session_id = $1 LIMIT $2)",
    "DELETE FROM subagent_transcripts WHERE (conversation_id, agent_id) IN \
     (SELECT t.conversation_id, t.agent_id FROM subagent_transcripts t \
     JOIN conversations c ON c.id = t.conversation_id WHERE c.session_id = $1 LIMIT $2)",
    "DELETE FROM conversations WHERE id IN (SELECT c.id FROM conversations c \
     WHERE c.session_id = $1 AND NOT EXISTS \
     (SELECT 1 FROM subagent_transcripts t WHERE t.conversation_id = c.id) LIMIT $2)",
    // The newest event stays: it is what the next one's id follows.
    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE session_id = $1 \
     AND id < (SELECT MAX(id) FROM events) LIMIT $2)",
];
const SESSION: &str = "DELETE FROM sessions WHERE id = $1 AND live = 0";
const ENDED: &str = "SELECT id, updated_at FROM sessions WHERE live = 0 \
     AND updated_at < $1 AND (updated_at, id) > ($2, $3) ORDER BY updated_at, id LIMIT $4";
const BYTES: &str = "SELECT CAST(\
     COALESCE((SELECT SUM(LENGTH(content)) FROM session_messages WHERE session_id = $1), 0) + \
     COALESCE((SELECT SUM(LENGTH(input) + COALESCE(LENGTH(result), 0)) FROM command_logs WHERE session_id = $1), 0) + \
     COALESCE((SELECT SUM(LENGTH(output)) FROM command_outputs WHERE session_id = $1), 0) + \
     COALESCE((SELECT SUM(LENGTH(input)) FROM permission_requests WHERE session_id = $1), 0) + \
     COALESCE((SELECT SUM(LENGTH(data)) FROM events WHERE session_id = $1), 0) AS BIGINT)";
const FIRST_EVENT_SINCE: &str = "SELECT id FROM events WHERE at >= $1 ORDER BY id LIMIT 1";
const LAST_EVENT: &str = "SELECT COALESCE(MAX(id), 0) FROM events";
const COUNT_EVENTS: &str = "SELECT COUNT(*) FROM events WHERE id < $1";
const DELETE_EVENTS: &str = "DELETE FROM events WHERE id IN \
     (SELECT id FROM events WHERE id < $1 ORDER BY id LIMIT $2)";
const COUNT_OUTPUTS: &str = "SELECT COUNT(*) FROM command_outputs WHERE created_at < $1";
const DELETE_OUTPUTS: &str = "DELETE FROM command_outputs WHERE (session_id, tool_use_id) IN \
     (SELECT session_id, tool_use_id FROM command_outputs WHERE created_at < $1 LIMIT $2)";

#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let rest = [
        SESSION,
        ENDED,
        BYTES,
        FIRST_EVENT_SINCE,
        LAST_EVENT,
        COUNT_EVENTS,
        DELETE_EVENTS,
        COUNT_OUTPUTS,
        DELETE_OUTPUTS,
    ];
    OF_SESSION.into_iter().chain(rest)
}

/// A session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub id: SessionId,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// Reads ended sessions that did not change since `before`, the longest ended first, after another
/// one.
pub async fn ended(
    db: &Db,
    before: Timestamp,
    after: Option<Ended>,
    limit: u32,
) -> Result<Vec<Ended>> {
    let (at, last) =
        after.map_or((i64::MIN, String::new()), |e| (e.updated_at.0, e.id.to_string()));
    let rows: Vec<(String, i64)> = on!(read db, c => sqlx::query_as(ENDED)
        .bind(before.0).bind(at).bind(last).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter()
        .map(|(session, at)| {
            Ok(Ended { id: id("sessions.id", &session)?, updated_at: Timestamp(at) })
        })
        .collect()
}

/// How many characters a session's record has, roughly what it takes on disk.
pub async fn bytes(db: &Db, session: SessionId) -> Result<i64> {
    Ok(on!(read db, c =>
        sqlx::query_scalar(BYTES).bind(session.to_string()).fetch_one(c).await?))
}

/// Deletes up to `limit` rows of each table that belong to a session. Tells how many there were;
/// 0 if only the session itself is left.
pub async fn thin_out(db: &Db, session: SessionId, limit: i64) -> Result<u64> {
    let mut rows = 0;
    for sql in OF_SESSION {
        let mut tx = db.begin().await?;
        rows += delete(&mut tx, sql, session, limit).await?;
        tx.commit().await?;
    }
    Ok(rows)
}

/// Deletes an ended session and whatever of it is left.
pub(super) async fn purge(tx: &mut Tx, session: SessionId) -> Result<()> {
    for sql in OF_SESSION {
        delete(tx, sql, session, i64::MAX).await?;
    }
    on!(execute tx, sqlx::query(SESSION).bind(session.to_string()));
    Ok(())
}

async fn delete(tx: &mut Tx, sql: &'static str, session: SessionId, limit: i64) -> Result<u64> {
    Ok(on!(write tx, c => sqlx::query(sql)
        .bind(session.to_string()).bind(limit).execute(c).await?.rows_affected()))
}

/// The first event that is to be kept if those go that come before any newer than `before`. The
/// newest always stays: it is what the next one's id follows.
pub async fn first_event_to_keep(db: &Db, before: Timestamp) -> Result<i64> {
    let first: Option<i64> = on!(read db, c => sqlx::query_scalar(FIRST_EVENT_SINCE)
        .bind(before.0).fetch_optional(c).await?);
    match first {
        Some(id) => Ok(id),
        None => Ok(on!(read db, c => sqlx::query_scalar(LAST_EVENT).fetch_one(c).await?)),
    }
}

/// How many events come before this one.
pub async fn count_events(db: &Db, before: i64) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(COUNT_EVENTS).bind(before).fetch_one(c).await?))
}

/// Deletes up to `limit` of them, the oldest first. Tells how many.
pub async fn delete_events(db: &Db, before: i64, limit: i64) -> Result<u64> {
    in_one(db, DELETE_EVENTS, before, limit).await
}

/// How many whole texts of results were kept before a time.
pub async fn count_outputs(db: &Db, before: Timestamp) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(COUNT_OUTPUTS).bind(before.0).fetch_one(c).await?))
}

/// Deletes up to `limit` of them. Tells how many. Their beginnings stay in the command log.
pub async fn delete_outputs(db: &Db, before: Timestamp, limit: i64) -> Result<u64> {
    in_one(db, DELETE_OUTPUTS, before.0, limit).await
}

async fn in_one(db: &Db, sql: &'static str, before: i64, limit: i64) -> Result<u64> {
    let mut tx = db.begin().await?;
    let rows = on!(write &mut tx, c => sqlx::query(sql)
        .bind(before).bind(limit).execute(c).await?.rows_affected());
    tx.commit().await?;
    Ok(rows)
}

/// How many bytes of the database's file are in use. The file itself shrinks with [`give_back`].
///
/// # Errors
/// On PostgreSQL, which does not tell: what was deleted still counts there.
pub async fn size(db: &Db) -> Result<i64> {
    match db {
        Db::Sqlite(pools) => Ok(sqlx::query_scalar(sqlite::SIZE).fetch_one(&pools.read).await?),
        Db::Postgres(_) => Err(StoreError::Unfit(
            "PostgreSQL does not tell how much of its size is still in use; use an age instead"
                .into(),
        )),
    }
}

/// Gives free pages of the database's file back to the disk. PostgreSQL does so by itself.
pub async fn give_back(db: &Db) -> Result<()> {
    if let Db::Sqlite(pools) = db {
        pools.give_back().await?;
    }
    Ok(())
}
