//! The audit log. Rows are only ever added.

use super::{Cursor, Db, Page, Result, Tx, on, text};
use crate::domain::audit::{Act, Actor, Entry, GENESIS};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, at, actor_kind, actor_name, action, session_id, subject_id, data, prev, ",
            "hash FROM audit_log ",
            $rest
        )
    };
}

const LIST: &str = select!(
    "WHERE id < $1 \
     AND (CAST($2 AS TEXT) IS NULL OR action = $2) \
     AND (CAST($3 AS TEXT) IS NULL OR actor_kind = $3) \
     AND (CAST($4 AS TEXT) IS NULL OR session_id = $4) \
     AND (CAST($5 AS TEXT) IS NULL OR subject_id = $5) \
     ORDER BY id DESC LIMIT $6"
);
const AFTER: &str = select!("WHERE id > $1 ORDER BY id LIMIT $2");
const LAST: &str = "SELECT id, hash FROM audit_log ORDER BY id DESC LIMIT 1";
const INSERT: &str = "INSERT INTO audit_log (id, at, actor_kind, actor_name, action, session_id, \
     subject_id, data, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LIST, AFTER, LAST, INSERT];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    at: i64,
    actor_kind: String,
    actor_name: Option<String>,
    action: String,
    session_id: Option<String>,
    subject_id: Option<String>,
    data: String,
    prev: String,
    hash: String,
}

impl From<Row> for Entry {
    fn from(r: Row) -> Self {
        Self {
            id: r.id,
            at: Timestamp(r.at),
            actor: Actor { kind: r.actor_kind, name: r.actor_name },
            action: r.action,
            session_id: r.session_id,
            subject_id: r.subject_id,
            data: r.data,
            prev: r.prev,
            hash: r.hash,
        }
    }
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this action.
    pub action: Option<String>,
    /// Only by actors of this kind.
    pub actor: Option<String>,
    /// Only what concerns this session.
    pub session: Option<SessionId>,
    /// Only what was done to this.
    pub subject: Option<String>,
}

/// Lists entries, the newest first.
pub async fn list(
    db: &Db,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Entry>> {
    let before = after.map_or(i64::MAX, |c| c.at);
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIST)
        .bind(before)
        .bind(filter.action.as_deref().map(text)).bind(filter.actor.as_deref().map(text))
        .bind(filter.session.map(|s| s.to_string())).bind(filter.subject.as_deref().map(text))
        .bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let entries = rows.into_iter().map(Entry::from).collect();
    Ok(Page::of(entries, limit, |e: &Entry| Cursor { at: e.id, id: "0".into() }))
}

/// Reads at most `limit` entries after `id`, in order.
pub async fn after(db: &Db, id: i64, limit: u32) -> Result<Vec<Entry>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(AFTER)
        .bind(id).bind(i64::from(limit)).fetch_all(c).await?);
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Appends acts in order. The caller is the only writer until its transaction ends: nobody else can
/// follow the same last entry.
pub(super) async fn append(tx: &mut Tx, acts: Vec<Act>) -> Result<()> {
    if acts.is_empty() {
        return Ok(());
    }
    let last: Option<(i64, String)> =
        on!(write tx, c => sqlx::query_as(LAST).fetch_optional(c).await?);
    let mut last = last.unwrap_or_else(|| (0, GENESIS.to_owned()));
    for act in acts {
        let e = Entry::after((last.0, &last.1), act);
        on!(execute tx, sqlx::query(INSERT)
            .bind(e.id).bind(e.at.0).bind(&e.actor.kind).bind(&e.actor.name).bind(&e.action)
            .bind(&e.session_id).bind(&e.subject_id).bind(&e.data).bind(&e.prev).bind(&e.hash));
        last = (e.id, e.hash);
    }
    Ok(())
}
