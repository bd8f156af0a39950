//! The append-only log of events.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::bulk::Bulk;
use super::{Db, Result, StoreError, Tx, key, named, on};
use crate::domain::event::{Event, EventKind, NewEvent};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

static APPEND: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new("INSERT INTO events (at, kind, session_id, data)", 4, ""));
static APPEND_ONCE: LazyLock<Bulk> = LazyLock::new(|| {
    let head = "INSERT INTO events (at, kind, session_id, data, dedupe_key)";
    Bulk::new(head, 5, "ON CONFLICT (dedupe_key) DO NOTHING RETURNING id, dedupe_key")
});
const AFTER: &str = "SELECT id, at, kind, session_id, data FROM events WHERE id > $1 \
     ORDER BY id LIMIT $2";
const LAST_OF: &str = "SELECT id, at, kind, session_id, data FROM events WHERE session_id = $1 \
     ORDER BY id DESC LIMIT $2";
const LAST: &str = "SELECT COALESCE(MAX(id), 0) FROM events";
const FIRST: &str = "SELECT COALESCE(MIN(id), 0) FROM events";
const BY_MINUTE: &str = "SELECT session_id, at / 60000, COUNT(*) FROM events \
     WHERE id > $1 AND id <= $2 AND at >= $3 AND session_id IS NOT NULL GROUP BY session_id, at / 60000";

#[cfg(test)]
pub(super) fn statements(db: &Db) -> impl Iterator<Item = &'static str> {
    APPEND
        .statements(db)
        .chain(APPEND_ONCE.statements(db))
        .chain([AFTER, LAST_OF, LAST, FIRST, BY_MINUTE])
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    at: i64,
    kind: String,
    session_id: Option<String>,
    data: String,
}

impl Row {
    fn event(self) -> Result<Event> {
        let session = self.session_id.map(|s| super::id("events.session_id", &s)).transpose()?;
        let event = NewEvent {
            kind: named("events.kind", &self.kind, EventKind::parse)?,
            session_id: session,
            at: Timestamp(self.at),
            dedupe_key: None,
            data: self.data.into(),
        };
        Ok(Event { id: self.id, event })
    }
}

/// Counts the events after one and up to another that happened since: the session, the minute since the epoch, and
/// how many.
pub async fn by_minute(
    db: &Db,
    (after, up_to): (i64, i64),
    since: Timestamp,
) -> Result<Vec<(SessionId, i64, i64)>> {
    let rows: Vec<(String, i64, i64)> = on!(read db, c => sqlx::query_as(BY_MINUTE)
        .bind(after).bind(up_to).bind(since.0).fetch_all(c).await?);
    rows.into_iter()
        .map(|(session, minute, count)| {
            Ok((super::id("events.session_id", &session)?, minute, count))
        })
        .collect()
}

/// Reads at most `limit` events after `id`, in order.
pub async fn after(db: &Db, id: i64, limit: u32) -> Result<Vec<Event>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(AFTER)
        .bind(id).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(Row::event).collect()
}

/// Reads a session's last events, the newest first.
pub async fn last_of(db: &Db, session: SessionId, limit: u32) -> Result<Vec<Event>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LAST_OF)
        .bind(session.to_string()).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(Row::event).collect()
}

/// The last event's id; 0 if there is none.
pub async fn last_id(db: &Db) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(LAST).fetch_one(c).await?))
}

/// The oldest kept event's id; 0 if there is none.
pub async fn first_id(db: &Db) -> Result<i64> {
    Ok(on!(read db, c => sqlx::query_scalar(FIRST).fetch_one(c).await?))
}

/// Appends events in order. Those whose key is there already are left out.
pub(super) async fn append(tx: &mut Tx, new: Vec<NewEvent>) -> Result<Vec<Event>> {
    let mut appended = Vec::with_capacity(new.len());
    let mut left = new;
    while let Some(first) = left.first() {
        let is_keyed = first.dedupe_key.is_some();
        let end = left.iter().position(|e| e.dedupe_key.is_some() != is_keyed);
        let later = left.split_off(end.unwrap_or(left.len()));
        let events = if is_keyed { once(tx, left).await? } else { all(tx, left).await? };
        appended.extend(events);
        left = later;
    }
    Ok(appended)
}

/// Appends events that come once. It is this transaction's turn, so their ids follow one another;
/// rows that come back one by one would cost more than all the rest.
async fn all(tx: &mut Tx, new: Vec<NewEvent>) -> Result<Vec<Event>> {
    let mut last = None;
    for (sql, events) in APPEND.parts(tx, &new) {
        last = on!(write tx, c => {
            let mut query = sqlx::query(sql);
            for e in events {
                query = query.bind(e.at.0).bind(e.kind.as_str())
                    .bind(e.session_id.map(|s| s.to_string())).bind(e.data.clone());
            }
            query.execute(c).await?.last_id()
        });
    }
    let last = match last {
        Some(last) => last,
        None => on!(write tx, c => sqlx::query_scalar(LAST).fetch_one(c).await?),
    };
    let before = last - i64::try_from(new.len()).unwrap_or(i64::MAX);
    Ok((before + 1..).zip(new).map(|(id, event)| Event { id, event }).collect())
}

/// What a database tells of an `INSERT` besides.
trait Inserted {
    /// The id of the last row, where it tells that.
    fn last_id(&self) -> Option<i64>;
}

impl Inserted for sqlx::sqlite::SqliteQueryResult {
    fn last_id(&self) -> Option<i64> {
        Some(self.last_insert_rowid())
    }
}

impl Inserted for sqlx::postgres::PgQueryResult {
    fn last_id(&self) -> Option<i64> {
        None
    }
}

/// Appends events that may have come before.
async fn once(tx: &mut Tx, new: Vec<NewEvent>) -> Result<Vec<Event>> {
    let mut ids = Vec::with_capacity(new.len());
    let mut keys = HashSet::new();
    for (sql, events) in APPEND_ONCE.parts(tx, &new) {
        let rows: Vec<(i64, Option<String>)> = on!(write tx, c => {
            let mut query = sqlx::query_as(sql);
            for e in events {
                query = query.bind(e.at.0).bind(e.kind.as_str())
                    .bind(e.session_id.map(|s| s.to_string())).bind(e.data.clone())
                    .bind(e.dedupe_key.as_deref().map(key));
            }
            query.fetch_all(c).await?
        });
        let (new_ids, new_keys): (Vec<i64>, Vec<Option<String>>) = rows.into_iter().unzip();
        ids.extend(new_ids);
        keys.extend(new_keys.into_iter().flatten());
    }
    // Rows get their ids in the order they are given in; they may be told of in another.
    ids.sort_unstable();
    let is_new =
        |e: &NewEvent| e.dedupe_key.as_deref().is_none_or(|k| keys.take(key(k).as_ref()).is_some());
    let new: Vec<NewEvent> = new.into_iter().filter(is_new).collect();
    if ids.len() != new.len() {
        return Err(StoreError::Corrupt { what: "events.id", value: ids.len().to_string() });
    }
    Ok(ids.into_iter().zip(new).map(|(id, event)| Event { id, event }).collect())
}
