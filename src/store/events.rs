//! The append-only log of events.

use super::{Db, Result, Tx, named, on};
use crate::domain::event::{Event, EventKind, NewEvent};
use crate::domain::time::Timestamp;

const APPEND: &str = "INSERT INTO events (at, kind, session_id, dedupe_key, data) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (dedupe_key) DO NOTHING RETURNING id";
const AFTER: &str = "SELECT id, at, kind, session_id, data FROM events WHERE id > $1 \
     ORDER BY id LIMIT $2";
const LAST: &str = "SELECT COALESCE(MAX(id), 0) FROM events";
const FIRST: &str = "SELECT COALESCE(MIN(id), 0) FROM events";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[APPEND, AFTER, LAST, FIRST];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    at: i64,
    kind: String,
    session_id: Option<String>,
    data: String,
}

/// Reads at most `limit` events after `id`, in order.
pub async fn after(db: &Db, id: i64, limit: u32) -> Result<Vec<Event>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(AFTER)
        .bind(id).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter()
        .map(|r| {
            Ok(Event {
                id: r.id,
                event: NewEvent {
                    kind: named("events.kind", &r.kind, EventKind::parse)?,
                    session_id: r
                        .session_id
                        .map(|s| super::id("events.session_id", &s))
                        .transpose()?,
                    at: Timestamp(r.at),
                    dedupe_key: None,
                    data: r.data,
                },
            })
        })
        .collect()
}

/// The last event's id; 0 if there is none.
pub async fn last_id(db: &Db) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(LAST).fetch_one(c).await?))
}

/// The oldest kept event's id; 0 if there is none.
pub async fn first_id(db: &Db) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(FIRST).fetch_one(c).await?))
}

/// Appends an event. Returns its id, or `None` if one with its key is there already.
pub(super) async fn append(tx: &mut Tx, e: &NewEvent) -> Result<Option<i64>> {
    Ok(on!(write tx, c => sqlx::query_scalar(APPEND)
        .bind(e.at.0).bind(e.kind.as_str()).bind(e.session_id.map(|s| s.to_string()))
        .bind(&e.dedupe_key).bind(&e.data)
        .fetch_optional(c).await?))
}
