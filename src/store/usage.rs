//! What the model's responses used: each response is one row, whoever tells of it, and every change of
//! one is added to running sums in the same transaction.

mod settle;

use super::{Db, Result, Tx, key, on, text};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::record::{Response, Usage};
use crate::domain::time::{Day, Timestamp};
use crate::domain::usage::{Spending, Usd};

pub(super) use settle::settle;

macro_rules! sums {
    ($($before:literal)?) => {
        concat!($($before,)? "responses, unpriced, input_tokens, output_tokens, \
            cache_creation_input_tokens, cache_read_input_tokens, told_nanos, estimated_nanos")
    };
}

/// Adds to the sums of a row that may not be there yet.
macro_rules! add {
    ($table:literal, $columns:literal, $values:literal, $key:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (",
            $columns,
            ", ",
            sums!(),
            ") VALUES (",
            $values,
            ") \
             ON CONFLICT (",
            $key,
            ") DO UPDATE SET \
             responses = ",
            $table,
            ".responses + excluded.responses, \
             unpriced = ",
            $table,
            ".unpriced + excluded.unpriced, \
             input_tokens = ",
            $table,
            ".input_tokens + excluded.input_tokens, \
             output_tokens = ",
            $table,
            ".output_tokens + excluded.output_tokens, \
             cache_creation_input_tokens = ",
            $table,
            ".cache_creation_input_tokens + excluded.cache_creation_input_tokens, \
             cache_read_input_tokens = ",
            $table,
            ".cache_read_input_tokens + excluded.cache_read_input_tokens, \
             told_nanos = ",
            $table,
            ".told_nanos + excluded.told_nanos, \
             estimated_nanos = ",
            $table,
            ".estimated_nanos + excluded.estimated_nanos"
        )
    };
}

/// Sums over the days of sessions, each grouped by one thing.
macro_rules! report {
    ($key:literal, $name:literal, $order:literal) => {
        concat!(
            "SELECT ", $key, ", ", $name, ", \
             CAST(COALESCE(SUM(d.responses), 0) AS BIGINT), CAST(COALESCE(SUM(d.unpriced), 0) AS BIGINT), \
             CAST(COALESCE(SUM(d.input_tokens), 0) AS BIGINT), CAST(COALESCE(SUM(d.output_tokens), 0) AS BIGINT), \
             CAST(COALESCE(SUM(d.cache_creation_input_tokens), 0) AS BIGINT), \
             CAST(COALESCE(SUM(d.cache_read_input_tokens), 0) AS BIGINT), \
             CAST(COALESCE(SUM(d.told_nanos), 0) AS BIGINT), CAST(COALESCE(SUM(d.estimated_nanos), 0) AS BIGINT) \
             FROM usage_days d JOIN sessions s ON s.id = d.session_id JOIN projects p ON p.id = s.project_id \
             WHERE d.day BETWEEN $1 AND $2 AND (CAST($3 AS TEXT) IS NULL OR s.project_id = $3) ",
            $order
        )
    };
}

const FIND: &str = "SELECT message_id, model, input_tokens, output_tokens, \
     cache_creation_input_tokens, cache_read_input_tokens, told_nanos, estimated_nanos, responded_at, request_id \
     FROM token_usage WHERE conversation_id = $1 AND (message_id = $2 OR request_id = $3) \
     ORDER BY CASE WHEN message_id = $2 THEN 0 ELSE 1 END LIMIT 1";
// Known by its request; by its time where there is none, as a message's id alone may be a gateway's.
const IS_COPY: &str = "SELECT message_id FROM token_usage WHERE message_id = $1 \
     AND conversation_id <> $2 AND (request_id = $3 OR responded_at = $4) LIMIT 1";
const INSERT: &str = "INSERT INTO token_usage (conversation_id, message_id, session_id, model, \
     input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens, \
     told_nanos, estimated_nanos, responded_at, request_id, task_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
     (SELECT task_id FROM sessions WHERE id = $3))";
const UPDATE: &str = "UPDATE token_usage SET output_tokens = $3, told_nanos = $4, estimated_nanos = $5, \
     request_id = $6, message_id = $7 WHERE conversation_id = $1 AND message_id = $2";
const ADD_TO_SESSION: &str =
    add!("session_usage", "session_id", "$1, $2, $3, $4, $5, $6, $7, $8, $9", "session_id");
const ADD_TO_DAY: &str = add!(
    "usage_days",
    "session_id, model, day",
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11",
    "session_id, day, model"
);
const OF_SESSION: &str = concat!("SELECT ", sums!(), " FROM session_usage WHERE session_id = $1");

const BY_DAY: &str =
    report!("CAST(d.day AS TEXT)", "''", "GROUP BY d.day ORDER BY d.day DESC LIMIT $4");
const BY_MODEL: &str = report!(
    "d.model",
    "''",
    "GROUP BY d.model ORDER BY SUM(d.told_nanos + d.estimated_nanos) DESC, d.model LIMIT $4"
);
const BY_PROJECT: &str = report!(
    "p.id",
    "p.name",
    "GROUP BY p.id, p.name ORDER BY SUM(d.told_nanos + d.estimated_nanos) DESC, p.id LIMIT $4"
);
const BY_SESSION: &str = report!(
    "s.id",
    "s.name",
    "GROUP BY s.id, s.name ORDER BY SUM(d.told_nanos + d.estimated_nanos) DESC, s.id LIMIT $4"
);
const ALL: &str = report!("''", "''", "LIMIT $4");

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    FIND,
    IS_COPY,
    INSERT,
    UPDATE,
    ADD_TO_SESSION,
    ADD_TO_DAY,
    OF_SESSION,
    BY_DAY,
    BY_MODEL,
    BY_PROJECT,
    BY_SESSION,
    ALL,
    settle::BY_DAY,
    settle::TELL,
    settle::CORRECT,
];

/// What usage is summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Days, in UTC; the key is the day's number since the Unix epoch.
    Day,
    /// Models.
    Model,
    /// Projects; the key is the project's id.
    Project,
    /// Sessions; the key is the session's id.
    Session,
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// What it is the sum of.
    pub key: String,
    /// Its name, if it is a project or a session.
    pub name: String,
    /// The sum.
    pub spending: Spending,
}

type Sums = (i64, i64, i64, i64, i64, i64, i64, i64);

fn spending(s: Sums) -> Spending {
    Spending {
        responses: s.0,
        unpriced: s.1,
        tokens: Usage {
            input_tokens: s.2,
            output_tokens: s.3,
            cache_creation_input_tokens: s.4,
            cache_read_input_tokens: s.5,
        },
        told: Usd(s.6),
        estimated: Usd(s.7),
    }
}

/// Reads what a session has used.
pub async fn of_session(db: &Db, session: SessionId) -> Result<Spending> {
    let sums: Option<Sums> = on!(read db, c => sqlx::query_as(OF_SESSION)
        .bind(session.to_string()).fetch_optional(c).await?);
    Ok(sums.map(spending).unwrap_or_default())
}

/// Sums up what was used on these days, both included: the latest days, or else what cost most, first.
pub async fn report(
    db: &Db,
    by: Option<Group>,
    (since, until): (Day, Day),
    project: Option<&str>,
    limit: u32,
) -> Result<Vec<Sum>> {
    let sql = match by {
        Some(Group::Day) => BY_DAY,
        Some(Group::Model) => BY_MODEL,
        Some(Group::Project) => BY_PROJECT,
        Some(Group::Session) => BY_SESSION,
        None => ALL,
    };
    type Line = (String, String, i64, i64, i64, i64, i64, i64, i64, i64);
    let lines: Vec<Line> = on!(read db, c => sqlx::query_as(sql)
        .bind(since.0).bind(until.0).bind(project).bind(i64::from(limit)).fetch_all(c).await?);
    let sum = |l: Line| Sum {
        key: l.0,
        name: l.1,
        spending: spending((l.2, l.3, l.4, l.5, l.6, l.7, l.8, l.9)),
    };
    Ok(lines.into_iter().map(sum).collect())
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    message_id: String,
    model: String,
    input_tokens: i64,
    output_tokens: i64,
    cache_creation_input_tokens: i64,
    cache_read_input_tokens: i64,
    told_nanos: Option<i64>,
    estimated_nanos: Option<i64>,
    responded_at: i64,
    request_id: Option<String>,
}

impl Row {
    /// A row of what a source tells first.
    fn new(r: &Response) -> Option<Self> {
        let message_id = match (&r.message_id, &r.request_id) {
            (Some(id), _) => key(id).into_owned(),
            // Until the transcript tells of its message.
            (None, Some(id)) => key(&format!("request:{id}")).into_owned(),
            (None, None) => return None,
        };
        Some(Self {
            message_id,
            model: text(&r.model).into_owned(),
            input_tokens: r.usage.input_tokens,
            output_tokens: r.usage.output_tokens,
            cache_creation_input_tokens: r.usage.cache_creation_input_tokens,
            cache_read_input_tokens: r.usage.cache_read_input_tokens,
            told_nanos: r.told.map(|usd| usd.0),
            estimated_nanos: r.estimated.map(|usd| usd.0),
            responded_at: r.at.0,
            request_id: r.request_id.as_deref().map(|id| key(id).into_owned()),
        })
    }

    /// The same with what another line or source tells. A response's lines repeat its usage, and the
    /// number of its output tokens is final on the last of them only; what was told once stands.
    fn with(&self, r: &Response) -> Self {
        let known = r.message_id.as_deref().map(|id| key(id).into_owned());
        let longer = r.usage.output_tokens > self.output_tokens;
        let estimated = r.estimated.map(|usd| usd.0);
        Self {
            message_id: known.unwrap_or_else(|| self.message_id.clone()),
            model: self.model.clone(),
            output_tokens: self.output_tokens.max(r.usage.output_tokens),
            told_nanos: self.told_nanos.or(r.told.map(|usd| usd.0)),
            estimated_nanos: if longer { estimated } else { self.estimated_nanos.or(estimated) },
            request_id: self
                .request_id
                .clone()
                .or_else(|| r.request_id.as_deref().map(|id| key(id).into_owned())),
            ..*self
        }
    }

    /// What it adds to the sums.
    fn spending(&self) -> Spending {
        let estimated = self.estimated_nanos.filter(|_| self.told_nanos.is_none());
        Spending {
            responses: 1,
            unpriced: i64::from(self.told_nanos.is_none() && estimated.is_none()),
            tokens: Usage {
                input_tokens: self.input_tokens,
                output_tokens: self.output_tokens,
                cache_creation_input_tokens: self.cache_creation_input_tokens,
                cache_read_input_tokens: self.cache_read_input_tokens,
            },
            told: Usd(self.told_nanos.unwrap_or(0)),
            estimated: Usd(estimated.unwrap_or(0)),
        }
    }
}

/// Takes in what a source tells of a response. What it has told before, and what a fork's transcript
/// repeats of another conversation's, counts nothing.
pub(super) async fn add(
    tx: &mut Tx,
    session: SessionId,
    conversation: &ConversationId,
    r: &Response,
) -> Result<()> {
    let Some(new) = Row::new(r) else { return Ok(()) };
    let conversation = key(&conversation.0);
    let message = r.message_id.as_deref().map(key);
    let known: Option<Row> = on!(write tx, c => sqlx::query_as(FIND)
        .bind(&conversation).bind(&message).bind(&new.request_id).fetch_optional(c).await?);
    let (row, before) = match known {
        Some(known) => {
            let row = known.with(r);
            on!(execute tx, sqlx::query(UPDATE)
                .bind(&conversation).bind(&known.message_id).bind(row.output_tokens)
                .bind(row.told_nanos).bind(row.estimated_nanos).bind(&row.request_id).bind(&row.message_id));
            (row, known.spending())
        }
        None => {
            let copy: Option<String> = on!(write tx, c => sqlx::query_scalar(IS_COPY)
                .bind(&message).bind(&conversation).bind(&new.request_id).bind(new.responded_at)
                .fetch_optional(c).await?);
            if copy.is_some() {
                return Ok(());
            }
            on!(execute tx, sqlx::query(INSERT)
                .bind(&conversation).bind(&new.message_id).bind(session.to_string()).bind(&new.model)
                .bind(new.input_tokens).bind(new.output_tokens)
                .bind(new.cache_creation_input_tokens).bind(new.cache_read_input_tokens)
                .bind(new.told_nanos).bind(new.estimated_nanos).bind(new.responded_at).bind(&new.request_id));
            (new, Spending::default())
        }
    };
    let day = Day::of(Timestamp(row.responded_at));
    move_sums(tx, session, &row.model, day, &before, &row.spending()).await
}

/// Brings the sums from one state of what they are made of to the next.
async fn move_sums(
    tx: &mut Tx,
    session: SessionId,
    model: &str,
    day: Day,
    before: &Spending,
    after: &Spending,
) -> Result<()> {
    if after == before {
        return Ok(());
    }
    let (was, is) = (&before.tokens, &after.tokens);
    let moved = [
        after.responses - before.responses,
        after.unpriced - before.unpriced,
        is.input_tokens - was.input_tokens,
        is.output_tokens - was.output_tokens,
        is.cache_creation_input_tokens - was.cache_creation_input_tokens,
        is.cache_read_input_tokens - was.cache_read_input_tokens,
        after.told.0 - before.told.0,
        after.estimated.0 - before.estimated.0,
    ];
    macro_rules! add {
        ($query:expr) => {
            on!(execute tx, moved.iter().fold($query, |query, by| query.bind(*by)))
        };
    }
    add!(sqlx::query(ADD_TO_SESSION).bind(session.to_string()));
    add!(sqlx::query(ADD_TO_DAY).bind(session.to_string()).bind(key(model)).bind(day.0));
    Ok(())
}
