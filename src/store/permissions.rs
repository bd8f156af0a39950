//! Permission requests.

use super::{Cursor, Db, Page, Result, Tx, id, json, key, named, on, text, to_json};
use crate::domain::ids::{ConversationId, PermissionId, ProjectId, SessionId, ToolUseId};
use crate::domain::permission::{
    DecidedBy, Decision, PermissionRequest, PermissionStatus, Verdict,
};
use crate::domain::rule::{Pattern, RuleMatch};
use crate::domain::time::Timestamp;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, session_id, conversation_id, tool, input, summary, tool_use_id, agent_type, ",
            "status, verdict, message, interrupts, updated_input, decided_by, rule_id, rule, ",
            "requested_at, decided_at, updated_at FROM permission_requests ",
            $rest
        )
    };
}

const BY_ID: &str = select!("WHERE id = $1");
const OPEN: &str =
    select!("WHERE status IN ('pending', 'decided', 'delivered') ORDER BY requested_at, id");
const LIST: &str = select!(
    "WHERE (requested_at, id) < ($1, $2) \
     AND (CAST($3 AS TEXT) IS NULL OR status = $3) \
     AND (CAST($4 AS TEXT) IS NULL OR session_id = $4) \
     ORDER BY requested_at DESC, id DESC LIMIT $5"
);
const OF_CALLS: &str = select!(
    "WHERE session_id = $1 AND requested_at >= $2 AND requested_at <= $3 \
     AND tool_use_id IS NOT NULL ORDER BY requested_at, id LIMIT $4"
);
const INSERT: &str = "INSERT INTO permission_requests (id, session_id, conversation_id, tool, \
     input, summary, tool_use_id, agent_type, status, requested_at, updated_at, task_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     (SELECT task_id FROM sessions WHERE id = $2)) ON CONFLICT (id) DO NOTHING";
const MOVE: &str = "UPDATE permission_requests SET status = $2, updated_at = $3, \
     input = COALESCE(CAST($4 AS TEXT), input), summary = $5, updated_input = $6, rule_id = $7, \
     rule = $8 WHERE id = $1";
const DECIDE: &str = "UPDATE permission_requests SET verdict = $2, message = $3, interrupts = $4, \
     decided_by = $5, decided_at = $6 WHERE id = $1";
const MATCH: &str = "UPDATE permission_requests SET tool_use_id = $2 WHERE id = $1";
const PLACES: &str = "SELECT id, project_id, workspace_path FROM sessions WHERE id IN \
     (SELECT session_id FROM permission_requests ORDER BY requested_at DESC, id DESC LIMIT $1)";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[BY_ID, OPEN, LIST, OF_CALLS, INSERT, MOVE, DECIDE, MATCH, PLACES];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    session_id: String,
    conversation_id: Option<String>,
    tool: String,
    input: String,
    summary: String,
    tool_use_id: Option<String>,
    agent_type: Option<String>,
    status: String,
    verdict: Option<String>,
    message: Option<String>,
    interrupts: i64,
    updated_input: Option<String>,
    decided_by: Option<String>,
    rule_id: Option<String>,
    rule: Option<String>,
    requested_at: i64,
    decided_at: Option<i64>,
    updated_at: i64,
}

impl Row {
    fn request(self) -> Result<(PermissionRequest, bool)> {
        let input: serde_json::Value = json("permission_requests.input", &self.input)?;
        let session_rule = Pattern::exactly(&self.tool, &input).map(|p| p.words());
        let request = PermissionRequest {
            id: id("permission_requests.id", &self.id)?,
            session_id: id("permission_requests.session_id", &self.session_id)?,
            conversation_id: self.conversation_id.map(ConversationId),
            session_rule,
            tool: self.tool,
            input,
            summary: self.summary,
            tool_use_id: self.tool_use_id.map(ToolUseId),
            agent_type: self.agent_type,
            status: named("permission_requests.status", &self.status, PermissionStatus::parse)?,
            verdict: self
                .verdict
                .map(|v| named("permission_requests.verdict", &v, Verdict::parse))
                .transpose()?,
            message: self.message,
            decided_by: self
                .decided_by
                .map(|v| named("permission_requests.decided_by", &v, DecidedBy::parse))
                .transpose()?,
            updated_input: self
                .updated_input
                .map(|v| json("permission_requests.updated_input", &v))
                .transpose()?,
            rule_id: self.rule_id.map(|v| id("permission_requests.rule_id", &v)).transpose()?,
            rule: self.rule,
            requested_at: Timestamp(self.requested_at),
            decided_at: self.decided_at.map(Timestamp),
            updated_at: Timestamp(self.updated_at),
        };
        Ok((request, self.interrupts != 0))
    }
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only with this status.
    pub status: Option<String>,
    /// Only of this session.
    pub session: Option<SessionId>,
}

/// Finds a request.
pub async fn by_id(db: &Db, request: PermissionId) -> Result<Option<PermissionRequest>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_ID)
        .bind(request.to_string()).fetch_optional(c).await?);
    Ok(row.map(Row::request).transpose()?.map(|(r, _)| r))
}

/// Reads all requests that are not settled, with the decision if there is one, oldest first.
pub async fn open(db: &Db) -> Result<Vec<(PermissionRequest, Option<Decision>)>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(OPEN).fetch_all(c).await?);
    rows.into_iter()
        .map(|row| {
            let (request, interrupt) = row.request()?;
            let decision = request.verdict.map(|verdict| Decision {
                verdict,
                message: request.message.clone(),
                interrupt,
                for_session: false,
                updated_input: request.updated_input.clone(),
                rule: request
                    .rule_id
                    .zip(request.rule.clone())
                    .map(|(id, words)| RuleMatch { id, words }),
            });
            Ok((request, decision))
        })
        .collect()
}

/// Lists requests, the newest first.
pub async fn list(
    db: &Db,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<PermissionRequest>> {
    let (at, last) = after.map_or((i64::MAX, "~"), |c| (c.at, c.id.as_str()));
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(LIST)
        .bind(at).bind(last)
        .bind(&filter.status).bind(filter.session.map(|s| s.to_string()))
        .bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let requests = rows.into_iter().map(|r| Ok(r.request()?.0)).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(requests, limit, |r| Cursor { at: r.requested_at.0, id: r.id.to_string() }))
}

/// A session's requests about known calls that were asked for between two times, both inclusive; the
/// first so many.
pub async fn of_calls(
    db: &Db,
    session: SessionId,
    from: Timestamp,
    to: Timestamp,
    limit: u32,
) -> Result<Vec<PermissionRequest>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(OF_CALLS)
        .bind(session.to_string()).bind(from.0).bind(to.0).bind(i64::from(limit))
        .fetch_all(c).await?);
    rows.into_iter().map(|r| Ok(r.request()?.0)).collect()
}

/// Where the sessions of the last so many requests are: project and workspace.
pub async fn places(db: &Db, last: u32) -> Result<Vec<(SessionId, ProjectId, String)>> {
    let rows: Vec<(String, String, String)> = on!(read db, c => sqlx::query_as(PLACES)
        .bind(i64::from(last)).fetch_all(c).await?);
    rows.into_iter()
        .map(|(session, project, workspace)| {
            Ok((id("sessions.id", &session)?, id("sessions.project_id", &project)?, workspace))
        })
        .collect()
}

pub(super) async fn insert(tx: &mut Tx, r: &PermissionRequest) -> Result<()> {
    on!(execute tx, sqlx::query(INSERT)
        .bind(r.id.to_string()).bind(r.session_id.to_string())
        .bind(r.conversation_id.as_ref().map(|c| key(&c.0)))
        .bind(text(&r.tool)).bind(to_json(&r.input)).bind(text(&r.summary))
        .bind(r.tool_use_id.as_ref().map(|t| key(&t.0))).bind(r.agent_type.as_deref().map(text))
        .bind(r.status.as_str()).bind(r.requested_at.0).bind(r.updated_at.0));
    Ok(())
}

/// Writes where a request is; the decision too, if there is one.
pub(super) async fn save(tx: &mut Tx, r: &PermissionRequest, interrupts: bool) -> Result<()> {
    on!(execute tx, sqlx::query(MOVE)
        .bind(r.id.to_string()).bind(r.status.as_str()).bind(r.updated_at.0)
        .bind((!r.status.is_open()).then(|| to_json(&r.input))).bind(text(&r.summary))
        .bind(r.updated_input.as_ref().map(to_json))
        .bind(r.rule_id.map(|id| id.to_string())).bind(r.rule.as_deref().map(text)));
    if r.decided_by.is_some() {
        on!(execute tx, sqlx::query(DECIDE)
            .bind(r.id.to_string()).bind(r.verdict.map(Verdict::as_str))
            .bind(r.message.as_deref().map(text))
            .bind(i64::from(interrupts)).bind(r.decided_by.map(DecidedBy::as_str))
            .bind(r.decided_at.map(|t| t.0)));
    }
    Ok(())
}

pub(super) async fn set_tool_use(
    tx: &mut Tx,
    request: PermissionId,
    call: &ToolUseId,
) -> Result<()> {
    on!(execute tx, sqlx::query(MATCH)
        .bind(request.to_string()).bind(key(&call.0)));
    Ok(())
}
