//! The command log.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use sha2::{Digest, Sha256};

use super::bulk::Bulk;
use super::text::containing;
use super::{Cursor, Db, Order, Page, Result, Tx, id, json, key, named, on, text, to_json};
use crate::domain::hex::hex;
use crate::domain::ids::{ConversationId, SessionId, TaskId, ToolUseId};
use crate::domain::record::{CommandLog, ToolCall, ToolStatus};
use crate::domain::time::Timestamp;
use crate::domain::todo::TodoCall;

/// Results are kept in the row up to this length; longer ones whole in a table of their own.
/// Bytes.
pub const RESULT_LIMIT: usize = 50 * 1024;

macro_rules! select {
    ($($rest:expr),*) => {
        concat!(
            "SELECT id, session_id, conversation_id, tool_use_id, tool, input, result, ",
            "result_bytes, result_sha256, status, duration_ms, agent_id, timestamp, task_id ",
            "FROM command_logs WHERE session_id = $1 ",
            $($rest),*
        )
    };
}

macro_rules! list {
    ($after:literal, $order:literal) => {
        select!(
            "AND (timestamp, id) ",
            $after,
            " ($2, $3) ",
            "AND (CAST($4 AS TEXT) IS NULL OR tool = $4) ",
            "AND (CAST($5 AS TEXT) IS NULL OR status = $5) ",
            "AND (CAST($6 AS TEXT) IS NULL OR LOWER(input) LIKE LOWER($6) ESCAPE '!' ",
            "OR LOWER(result) LIKE LOWER($6) ESCAPE '!') ",
            "ORDER BY ",
            $order,
            " LIMIT $7"
        )
    };
}

const LIST: &str = list!(">", "timestamp, id");
const LIST_NEWEST: &str = list!("<", "timestamp DESC, id DESC");
const BEFORE: &str = select!(
    "AND COALESCE(agent_id, '') = $2 AND (timestamp, id) < ($3, $4) \
     ORDER BY timestamp DESC, id DESC LIMIT $5"
);
const BY_CALL: &str = select!("AND tool_use_id = $2");
const AGENTS: &str = "SELECT agent_id, MIN(timestamp), COUNT(*) FROM \
     (SELECT agent_id, timestamp FROM command_logs WHERE session_id = $1 AND timestamp >= $2 AND timestamp <= $3 \
     UNION ALL SELECT agent_id, timestamp FROM session_messages WHERE session_id = $1 AND timestamp >= $2 AND timestamp <= $3) \
     AS steps WHERE agent_id IS NOT NULL GROUP BY agent_id ORDER BY 2, 1 LIMIT $4";

// What is known of calls already, as far as it decides whether there is news of them.
static KNOWN: LazyLock<Bulk> = LazyLock::new(|| {
    let what = "session_id, tool_use_id, tool, status, input <> 'null', result IS NOT NULL, \
         duration_ms IS NOT NULL, timestamp";
    Bulk::select(what, "command_logs", ["session_id", "tool_use_id"])
});
// A later source fills in what an earlier one did not know. A final status is never taken back.
static UPSERT: LazyLock<Bulk> = LazyLock::new(|| {
    let task = |session: &str| format!("(SELECT task_id FROM sessions WHERE id = {session})");
    Bulk::with(UPSERT_INTO, 13, task, UPSERT_DO)
});
const UPSERT_INTO: &str = "INSERT INTO command_logs (session_id, conversation_id, tool_use_id, \
     tool, input, result, result_bytes, result_sha256, status, duration_ms, agent_id, timestamp, task_id)";
const UPSERT_DO: &str = "ON CONFLICT (session_id, tool_use_id) DO UPDATE SET \
     input = CASE WHEN command_logs.input = 'null' THEN excluded.input ELSE command_logs.input END, \
     result = COALESCE(command_logs.result, excluded.result), \
     result_bytes = COALESCE(command_logs.result_bytes, excluded.result_bytes), \
     result_sha256 = COALESCE(command_logs.result_sha256, excluded.result_sha256), \
     status = CASE WHEN command_logs.status = 'running' OR excluded.status = 'denied' \
     THEN excluded.status ELSE command_logs.status END, \
     tool = CASE WHEN command_logs.tool = '' THEN excluded.tool ELSE command_logs.tool END, \
     duration_ms = COALESCE(command_logs.duration_ms, excluded.duration_ms), \
     agent_id = COALESCE(command_logs.agent_id, excluded.agent_id), \
     conversation_id = COALESCE(command_logs.conversation_id, excluded.conversation_id), \
     timestamp = CASE WHEN excluded.timestamp < command_logs.timestamp THEN excluded.timestamp ELSE command_logs.timestamp END";
const KEEP_OUTPUT: &str = "INSERT INTO command_outputs (session_id, tool_use_id, output, created_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (session_id, tool_use_id) DO NOTHING";
const OUTPUT: &str =
    "SELECT output FROM command_outputs WHERE session_id = $1 AND tool_use_id = $2";
// The tools are named as in the index `command_logs_todos`, so that it is used.
const TODOS: &str = "SELECT tool, input, result FROM command_logs WHERE session_id = $1 \
     AND tool IN ('TodoWrite', 'TaskCreate', 'TaskUpdate') AND conversation_id = $2 \
     AND status = 'completed' ORDER BY id DESC LIMIT $3";

#[cfg(test)]
pub(super) fn statements(db: &Db) -> impl Iterator<Item = &'static str> {
    let others = [LIST, LIST_NEWEST, BEFORE, BY_CALL, AGENTS, KEEP_OUTPUT, OUTPUT, TODOS];
    KNOWN.statements(db).chain(UPSERT.statements(db)).chain(others)
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: i64,
    session_id: String,
    conversation_id: Option<String>,
    tool_use_id: String,
    tool: String,
    input: String,
    result: Option<String>,
    result_bytes: Option<i64>,
    result_sha256: Option<String>,
    status: String,
    duration_ms: Option<i64>,
    agent_id: Option<String>,
    timestamp: i64,
    task_id: Option<i64>,
}

impl Row {
    fn log(self) -> Result<CommandLog> {
        Ok(CommandLog {
            id: self.id,
            session_id: id("command_logs.session_id", &self.session_id)?,
            conversation_id: self.conversation_id.map(ConversationId),
            tool_use_id: ToolUseId(self.tool_use_id),
            tool: self.tool,
            input: json("command_logs.input", &self.input)?,
            result: self.result,
            result_bytes: self.result_bytes,
            result_sha256: self.result_sha256,
            status: named("command_logs.status", &self.status, ToolStatus::parse)?,
            duration_ms: self.duration_ms,
            agent_id: self.agent_id,
            timestamp: Timestamp(self.timestamp),
            task_id: self.task_id.map(TaskId),
        })
    }
}

/// Which rows to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this tool.
    pub tool: Option<String>,
    /// Only with this status.
    pub status: Option<String>,
    /// Only with this text in the input or the result, as far as that is kept in the row; in any case.
    pub text: Option<String>,
}

/// Lists a session's tool calls in the order they were made, or the other way round.
pub async fn list(
    db: &Db,
    session: SessionId,
    filter: &Filter,
    order: Order,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<CommandLog>> {
    let sql = match order {
        Order::Oldest => LIST,
        Order::Newest => LIST_NEWEST,
    };
    let (at, last) = after.map_or((order.start(), 0), |c| (c.at, c.id.parse().unwrap_or(0)));
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(sql)
        .bind(session.to_string()).bind(at).bind(last)
        .bind(filter.tool.as_deref().map(text)).bind(filter.status.as_deref().map(text))
        .bind(filter.text.as_deref().map(containing)).bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let logs = rows.into_iter().map(Row::log).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(logs, limit, |l| Cursor { at: l.timestamp.0, id: l.id.to_string() }))
}

/// What was called before a place, the newest first: by the session itself, or by one of its sub-agents.
pub async fn before(
    db: &Db,
    session: SessionId,
    agent: Option<&str>,
    before: &Cursor,
    limit: u32,
) -> Result<Vec<CommandLog>> {
    let id: i64 = before.id.parse().unwrap_or(0);
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(BEFORE)
        .bind(session.to_string()).bind(text(agent.unwrap_or_default()))
        .bind(before.at).bind(id).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(Row::log).collect()
}

/// Finds a call by Claude Code's id of it.
pub async fn by_call(db: &Db, session: SessionId, call: &ToolUseId) -> Result<Option<CommandLog>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_CALL)
        .bind(session.to_string()).bind(key(&call.0)).fetch_optional(c).await?);
    row.map(Row::log).transpose()
}

/// What a sub-agent did within some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// When it did something first.
    pub since: Timestamp,
    /// What it said and called.
    pub steps: i64,
}

/// The sub-agents of a session that did something between two times, both inclusive; the first so many.
pub async fn agents(
    db: &Db,
    session: SessionId,
    from: Timestamp,
    to: Timestamp,
    limit: u32,
) -> Result<Vec<Agent>> {
    let rows: Vec<(String, i64, i64)> = on!(read db, c => sqlx::query_as(AGENTS)
        .bind(session.to_string()).bind(from.0).bind(to.0).bind(i64::from(limit))
        .fetch_all(c).await?);
    let agent = |(id, since, steps)| Agent { id, since: Timestamp(since), steps };
    Ok(rows.into_iter().map(agent).collect())
}

/// Reads the last calls that changed a conversation's own list of what is to be done, oldest first.
pub async fn todos(
    db: &Db,
    session: SessionId,
    conversation: &ConversationId,
    limit: u32,
) -> Result<Vec<TodoCall>> {
    let rows: Vec<(String, String, Option<String>)> = on!(read db, c => sqlx::query_as(TODOS)
        .bind(session.to_string()).bind(&conversation.0).bind(i64::from(limit))
        .fetch_all(c).await?);
    rows.into_iter()
        .rev()
        .map(|(tool, input, result)| {
            Ok(TodoCall { tool, input: json("command_logs.input", &input)?, result })
        })
        .collect()
}

/// Reads the whole text of a result that was cut in its row.
pub async fn output(db: &Db, session: SessionId, call: &ToolUseId) -> Result<Option<String>> {
    Ok(on!(read db, c => sqlx::query_scalar(OUTPUT)
        .bind(session.to_string()).bind(key(&call.0)).fetch_optional(c).await?))
}

/// What a source tells of a call.
#[derive(Debug)]
pub(super) struct Told {
    pub session: SessionId,
    pub conversation: Option<ConversationId>,
    pub call: Box<ToolCall>,
    /// There is to be no event of it.
    pub past: bool,
}

impl Told {
    /// What the row is known by.
    fn key(&self) -> (String, String) {
        (self.session.to_string(), key(&self.call.id.0).into_owned())
    }
}

/// What is known of a call already.
struct Known {
    tool: String,
    status: ToolStatus,
    input: bool,
    result: bool,
    duration: bool,
    at: i64,
}

impl Known {
    /// Whether a source tells more than this.
    fn lacks(&self, call: &ToolCall) -> bool {
        let ends = self.status == ToolStatus::Running && call.status != ToolStatus::Running;
        let is_denied = call.status == ToolStatus::Denied && self.status != ToolStatus::Denied;
        ends || is_denied
            || (self.tool.is_empty() && !call.tool.is_empty())
            || (!self.result && call.result.is_some())
            || (!self.duration && call.duration_ms.is_some())
            || (!self.input && call.input.as_ref().is_some_and(|input| !input.is_null()))
            || call.at.0 < self.at
    }
}

/// Writes what sources tell of calls, in order. Returns of each the tool's name, if it was news: a
/// transcript names the tool with the call and not with its result.
pub(super) async fn upsert(tx: &mut Tx, told: &[Told]) -> Result<Vec<Option<String>>> {
    let mut tools = Vec::with_capacity(told.len());
    let mut left = told;
    while !left.is_empty() {
        let (now, later) = left.split_at(distinct(left));
        let known = known(tx, now).await?;
        let tool = |t: &Told| match known.get(&t.key()) {
            None => Some(t.call.tool.clone()),
            Some(known) if !known.lacks(&t.call) => None,
            Some(known) if known.tool.is_empty() => Some(t.call.tool.clone()),
            Some(known) => Some(known.tool.clone()),
        };
        let before = tools.len();
        tools.extend(now.iter().map(tool));
        let news = now.iter().zip(&tools[before..]).filter(|(_, tool)| tool.is_some());
        let news: Vec<&Told> = news.map(|(told, _)| told).collect();
        for (sql, part) in UPSERT.parts(tx, &news) {
            upsert_part(tx, sql, part).await?;
        }
        for told in news {
            keep_output(tx, told).await?;
        }
        left = later;
    }
    Ok(tools)
}

async fn known(tx: &mut Tx, told: &[Told]) -> Result<HashMap<(String, String), Known>> {
    let mut known = HashMap::new();
    for (sql, part) in KNOWN.parts(tx, told) {
        type Row = (String, String, String, String, bool, bool, bool, i64);
        let rows: Vec<Row> = on!(write tx, c => {
            let mut query = sqlx::query_as(sql);
            for (session, call) in part.iter().map(Told::key) {
                query = query.bind(session).bind(call);
            }
            query.fetch_all(c).await?
        });
        for (session, call, tool, status, input, result, duration, at) in rows {
            let status = named("command_logs.status", &status, ToolStatus::parse)?;
            known.insert((session, call), Known { tool, status, input, result, duration, at });
        }
    }
    Ok(known)
}

/// How many calls there are before one comes again: a statement cannot change a row twice.
fn distinct(told: &[Told]) -> usize {
    let mut seen = HashSet::with_capacity(told.len());
    told.iter().position(|t| !seen.insert((t.session, key(&t.call.id.0)))).unwrap_or(told.len())
}

async fn upsert_part(tx: &mut Tx, sql: &'static str, told: &[&Told]) -> Result<()> {
    on!(write tx, c => {
        let mut query = sqlx::query(sql);
        for Told { session, conversation, call, .. } in told {
            let result = call.result.as_ref().map(whole);
            let result = result.as_ref();
            query = query
                .bind(session.to_string()).bind(conversation.as_ref().map(|c| key(&c.0)))
                .bind(key(&call.id.0)).bind(text(&call.tool))
                .bind(call.input.as_ref().map_or_else(|| "null".to_owned(), to_json))
                .bind(result.map(|r| match cut(r) {
                    Some(_) => r[..r.floor_char_boundary(RESULT_LIMIT)].into(),
                    None => r.clone(),
                }))
                .bind(result.map(|r| i64::try_from(r.len()).unwrap_or(i64::MAX)))
                .bind(result.and_then(cut).map(|r| hex(&Sha256::digest(r.as_bytes()))))
                .bind(call.status.as_str()).bind(call.duration_ms)
                .bind(call.agent_id.as_deref().map(text))
                .bind(call.at.0).bind(session.to_string());
        }
        query.execute(c).await?;
    });
    Ok(())
}

/// A result as it can be kept.
fn whole(result: &Arc<str>) -> Arc<str> {
    match text(result) {
        Cow::Borrowed(_) => result.clone(),
        Cow::Owned(text) => text.into(),
    }
}

/// A result that is too long for its row.
fn cut(result: &Arc<str>) -> Option<&Arc<str>> {
    Some(result).filter(|r| r.len() > RESULT_LIMIT)
}

async fn keep_output(tx: &mut Tx, Told { session, call, .. }: &Told) -> Result<()> {
    let result = call.result.as_ref().map(whole);
    if let Some(whole) = result.as_ref().and_then(cut) {
        on!(execute tx, sqlx::query(KEEP_OUTPUT)
            .bind(session.to_string()).bind(key(&call.id.0)).bind(whole.clone()).bind(call.at.0));
    }
    Ok(())
}
