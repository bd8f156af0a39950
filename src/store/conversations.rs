//! Conversations, and how far their transcripts have been read.

use std::collections::HashMap;

use super::{Db, Result, Tx, id, key, on, text};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::session::Conversation;
use crate::domain::time::Timestamp;

const OF_SESSION: &str = "SELECT id, session_id, transcript_path, transcript_offset, \
     transcript_file, started_at, ended_at, end_reason FROM conversations \
     WHERE session_id = $1 ORDER BY started_at, id";
const BY_ID: &str = "SELECT id, session_id, transcript_path, transcript_offset, \
     transcript_file, started_at, ended_at, end_reason FROM conversations WHERE id = $1";
const SESSION_OF: &str = "SELECT session_id FROM conversations WHERE id = $1";
// One that goes on in another session is that one's, unless the one before still runs.
const START: &str = "INSERT INTO conversations (id, session_id, transcript_path, started_at) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET ended_at = NULL, end_reason = NULL, \
     session_id = CASE WHEN EXISTS \
     (SELECT 1 FROM sessions s WHERE s.id = conversations.session_id AND s.live = 1) \
     THEN conversations.session_id ELSE excluded.session_id END, \
     transcript_path = COALESCE(excluded.transcript_path, conversations.transcript_path)";
const LOCATE: &str = "UPDATE conversations SET transcript_path = $2 WHERE id = $1";
const END: &str = "UPDATE conversations SET ended_at = $2, end_reason = $3 \
     WHERE id = $1 AND ended_at IS NULL";
const READ_TO: &str =
    "UPDATE conversations SET transcript_offset = $2, transcript_file = $3 WHERE id = $1";
const SUBAGENTS: &str = "SELECT agent_id, transcript_offset, transcript_file \
     FROM subagent_transcripts WHERE conversation_id = $1";
const READ_SUBAGENT_TO: &str = "INSERT INTO subagent_transcripts \
     (conversation_id, agent_id, transcript_offset, transcript_file) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (conversation_id, agent_id) DO UPDATE SET \
     transcript_offset = excluded.transcript_offset, transcript_file = excluded.transcript_file";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[OF_SESSION, BY_ID, SESSION_OF, START, LOCATE, END, READ_TO, SUBAGENTS, READ_SUBAGENT_TO];

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    session_id: String,
    transcript_path: Option<String>,
    transcript_offset: i64,
    transcript_file: Option<String>,
    started_at: i64,
    ended_at: Option<i64>,
    end_reason: Option<String>,
}

impl Row {
    fn conversation(self) -> Result<Conversation> {
        Ok(Conversation {
            id: ConversationId(self.id),
            session_id: id("conversations.session_id", &self.session_id)?,
            transcript_path: self.transcript_path,
            transcript_offset: u64::try_from(self.transcript_offset).unwrap_or(0),
            transcript_file: self.transcript_file,
            started_at: Timestamp(self.started_at),
            ended_at: self.ended_at.map(Timestamp),
            end_reason: self.end_reason,
        })
    }
}

/// Reads a session's conversations in the order they began.
pub async fn of_session(db: &Db, session: SessionId) -> Result<Vec<Conversation>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(OF_SESSION)
        .bind(session.to_string()).fetch_all(c).await?);
    rows.into_iter().map(Row::conversation).collect()
}

/// Finds a conversation.
pub async fn by_id(db: &Db, conversation: &ConversationId) -> Result<Option<Conversation>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_ID)
        .bind(key(&conversation.0)).fetch_optional(c).await?);
    row.map(Row::conversation).transpose()
}

/// Finds the session that a conversation runs in.
pub async fn session_of(db: &Db, conversation: &ConversationId) -> Result<Option<SessionId>> {
    let found: Option<String> = on!(read db, c => sqlx::query_scalar(SESSION_OF)
        .bind(&conversation.0).fetch_optional(c).await?);
    found.map(|found| id("conversations.session_id", &found)).transpose()
}

pub(super) async fn start(
    tx: &mut Tx,
    conversation: &ConversationId,
    session: SessionId,
    path: Option<&str>,
    at: Timestamp,
) -> Result<()> {
    on!(execute tx, sqlx::query(START)
        .bind(key(&conversation.0)).bind(session.to_string()).bind(path.map(text)).bind(at.0));
    Ok(())
}

pub(super) async fn locate(tx: &mut Tx, conversation: &ConversationId, path: &str) -> Result<()> {
    on!(execute tx, sqlx::query(LOCATE)
        .bind(key(&conversation.0)).bind(text(path)));
    Ok(())
}

pub(super) async fn end(
    tx: &mut Tx,
    conversation: &ConversationId,
    reason: &str,
    at: Timestamp,
) -> Result<()> {
    on!(execute tx, sqlx::query(END)
        .bind(key(&conversation.0)).bind(at.0).bind(text(reason)));
    Ok(())
}

pub(super) async fn read_to(
    tx: &mut Tx,
    conversation: &ConversationId,
    offset: u64,
    file: &str,
) -> Result<()> {
    on!(execute tx, sqlx::query(READ_TO)
        .bind(key(&conversation.0)).bind(i64::try_from(offset).unwrap_or(i64::MAX)).bind(text(file)));
    Ok(())
}

/// Reads how far the transcripts of a conversation's sub-agents have been read: by agent, the offset
/// and the file.
pub async fn subagents(
    db: &Db,
    conversation: &ConversationId,
) -> Result<HashMap<String, (u64, String)>> {
    let rows: Vec<(String, i64, String)> = on!(read db, c => sqlx::query_as(SUBAGENTS)
        .bind(key(&conversation.0)).fetch_all(c).await?);
    let position = |offset| u64::try_from(offset).unwrap_or(0);
    Ok(rows.into_iter().map(|(agent, offset, file)| (agent, (position(offset), file))).collect())
}

pub(super) async fn read_subagent_to(
    tx: &mut Tx,
    conversation: &ConversationId,
    agent: &str,
    offset: u64,
    file: &str,
) -> Result<()> {
    on!(execute tx, sqlx::query(READ_SUBAGENT_TO)
        .bind(key(&conversation.0)).bind(key(agent)).bind(i64::try_from(offset).unwrap_or(i64::MAX))
        .bind(text(file)));
    Ok(())
}
