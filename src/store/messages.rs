//! Messages: what was said, and the prompts that are still to be sent.

use super::{Cursor, Db, Order, Page, Result, Tx, id, key, named, on, text};
use crate::domain::ids::{ConversationId, MessageId, SessionId, TaskId};
use crate::domain::message::{Delivery, Direction, MessageSource};
use crate::domain::prompt;
use crate::domain::record::{Message, Utterance};
use crate::domain::scrub::scrub;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, session_id, conversation_id, direction, content, source, outgoing, raw, clear_draft, \
         delivery_status, delivery_error, agent_id, timestamp, task_id"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM session_messages ", $rest)
    };
}

const LIST: &str =
    select!("WHERE session_id = $1 AND (timestamp, id) > ($2, $3) ORDER BY timestamp, id LIMIT $4");
const LIST_NEWEST: &str = select!(
    "WHERE session_id = $1 AND (timestamp, id) < ($2, $3) ORDER BY timestamp DESC, id DESC LIMIT $4"
);
// Prompts that are still to be sent may stand after it.
const LAST_SAID: &str = select!(
    "WHERE session_id = $1 AND agent_id IS NULL \
     AND (delivery_status IS NULL OR delivery_status = 'delivered') \
     ORDER BY timestamp DESC, id DESC LIMIT 1"
);
const BEFORE: &str = select!(
    "WHERE session_id = $1 AND COALESCE(agent_id, '') = $2 AND (timestamp, id) < ($3, $4) \
     ORDER BY timestamp DESC, id DESC LIMIT $5"
);
const BY_ID: &str = select!("WHERE id = $1");
const BY_IDEMPOTENCY_KEY: &str = select!("WHERE session_id = $1 AND idempotency_key = $2");
const UNDER_WAY: &str = select!("WHERE delivery_status IN ('queued', 'sending') ORDER BY id");
const INSERT: &str = "INSERT INTO session_messages (id, session_id, conversation_id, direction, \
     content, source, outgoing, raw, clear_draft, prompt_digest, delivery_status, agent_id, \
     idempotency_key, timestamp, task_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
     (SELECT task_id FROM sessions WHERE id = $2))";
const SAY: &str = "INSERT INTO session_messages (id, session_id, conversation_id, utterance_key, \
     direction, content, source, agent_id, timestamp, task_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT task_id FROM sessions WHERE id = $2)) \
     ON CONFLICT (conversation_id, utterance_key) DO NOTHING RETURNING id";
const DELIVER: &str = "UPDATE session_messages SET delivery_status = $2, delivery_error = $3, \
     outgoing = CASE WHEN $2 IN ('delivered', 'undelivered') THEN NULL ELSE outgoing END \
     WHERE id = $1";
const TAKE_BACK: &str = concat!(
    "UPDATE session_messages SET delivery_status = 'delivered', delivery_error = NULL \
     WHERE id = $1 AND delivery_status = 'undelivered' RETURNING ",
    columns!()
);
// A prompt that Chorus sent and that the transcript tells of now: the oldest one with this text, as
// Claude Code takes them in order. One that did not arrive is none of them.
const CLAIM: &str = "UPDATE session_messages SET conversation_id = $2, utterance_key = $3, \
     timestamp = $4, delivery_status = 'delivered', delivery_error = NULL, outgoing = NULL \
     WHERE id = (SELECT id FROM session_messages WHERE session_id = $1 AND prompt_digest = $5 \
     AND utterance_key IS NULL AND delivery_status IN ('sending', 'delivered') ORDER BY id LIMIT 1) \
     AND NOT EXISTS (SELECT 1 FROM session_messages WHERE conversation_id = $2 AND utterance_key = $3) \
     RETURNING id";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    LIST,
    LIST_NEWEST,
    BEFORE,
    LAST_SAID,
    BY_ID,
    BY_IDEMPOTENCY_KEY,
    UNDER_WAY,
    INSERT,
    SAY,
    DELIVER,
    TAKE_BACK,
    CLAIM,
];

/// A message with what only the sending of it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The message.
    pub message: Message,
    /// The exact text to send, not scrubbed. Gone once it arrived.
    pub text: Option<String>,
    /// To be sent as a command of Claude Code's.
    pub raw: bool,
    /// Clear somebody's draft first.
    pub force: bool,
}

impl Outgoing {
    /// A prompt that waits to be sent.
    pub fn queued(session: SessionId, text: &str, source: MessageSource, at: Timestamp) -> Self {
        let message = Message {
            id: MessageId::new(),
            session_id: session,
            conversation_id: None,
            direction: Direction::User,
            content: scrub(text).into_owned(),
            source,
            delivery_status: Some(Delivery::Queued),
            delivery_error: None,
            agent_id: None,
            timestamp: at,
            task_id: None,
        };
        Self { message, text: Some(text.to_owned()), raw: false, force: false }
    }
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    session_id: String,
    conversation_id: Option<String>,
    direction: String,
    content: String,
    source: String,
    outgoing: Option<String>,
    raw: i64,
    clear_draft: i64,
    delivery_status: Option<String>,
    delivery_error: Option<String>,
    agent_id: Option<String>,
    timestamp: i64,
    task_id: Option<i64>,
}

impl Row {
    fn outgoing(self) -> Result<Outgoing> {
        let message = Message {
            id: id("session_messages.id", &self.id)?,
            session_id: id("session_messages.session_id", &self.session_id)?,
            conversation_id: self.conversation_id.map(ConversationId),
            direction: named("session_messages.direction", &self.direction, Direction::parse)?,
            content: self.content,
            source: named("session_messages.source", &self.source, MessageSource::parse)?,
            delivery_status: self
                .delivery_status
                .map(|d| named("session_messages.delivery_status", &d, Delivery::parse))
                .transpose()?,
            delivery_error: self.delivery_error,
            agent_id: self.agent_id,
            timestamp: Timestamp(self.timestamp),
            task_id: self.task_id.map(TaskId),
        };
        Ok(Outgoing {
            message,
            text: self.outgoing,
            raw: self.raw != 0,
            force: self.clear_draft != 0,
        })
    }
}

/// Lists a session's messages in the order they were said, or the other way round.
pub async fn list(
    db: &Db,
    session: SessionId,
    order: Order,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Message>> {
    let sql = match order {
        Order::Oldest => LIST,
        Order::Newest => LIST_NEWEST,
    };
    let (at, last) = after.map_or((order.start(), ""), |c| (c.at, c.id.as_str()));
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(sql)
        .bind(session.to_string()).bind(at).bind(last).bind(i64::from(limit) + 1)
        .fetch_all(c).await?);
    let messages =
        rows.into_iter().map(|r| Ok(r.outgoing()?.message)).collect::<Result<Vec<_>>>()?;
    Ok(Page::of(messages, limit, |m| Cursor { at: m.timestamp.0, id: m.id.to_string() }))
}

/// The newest message that was said, by the session itself or to it.
pub async fn last_said(db: &Db, session: SessionId) -> Result<Option<Message>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(LAST_SAID)
        .bind(session.to_string()).fetch_optional(c).await?);
    Ok(row.map(Row::outgoing).transpose()?.map(|o| o.message))
}

/// What was said before a place, the newest first: by the session itself, or by one of its sub-agents.
pub async fn before(
    db: &Db,
    session: SessionId,
    agent: Option<&str>,
    before: &Cursor,
    limit: u32,
) -> Result<Vec<Message>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(BEFORE)
        .bind(session.to_string()).bind(text(agent.unwrap_or_default()))
        .bind(before.at).bind(&before.id).bind(i64::from(limit)).fetch_all(c).await?);
    rows.into_iter().map(|r| Ok(r.outgoing()?.message)).collect()
}

/// Finds a message.
pub async fn by_id(db: &Db, message: MessageId) -> Result<Option<Outgoing>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_ID)
        .bind(message.to_string()).fetch_optional(c).await?);
    row.map(Row::outgoing).transpose()
}

/// Finds the message that an earlier request with the same `Idempotency-Key` made.
pub async fn by_idempotency_key(
    db: &Db,
    session: SessionId,
    key: &str,
) -> Result<Option<Outgoing>> {
    let row: Option<Row> = on!(read db, c => sqlx::query_as(BY_IDEMPOTENCY_KEY)
        .bind(session.to_string()).bind(super::key(key)).fetch_optional(c).await?);
    row.map(Row::outgoing).transpose()
}

/// Reads all prompts that are queued or were being sent, oldest first.
pub async fn under_way(db: &Db) -> Result<Vec<Outgoing>> {
    let rows: Vec<Row> = on!(read db, c => sqlx::query_as(UNDER_WAY).fetch_all(c).await?);
    rows.into_iter().map(Row::outgoing).collect()
}

pub(super) async fn insert(tx: &mut Tx, o: &Outgoing, idempotency_key: Option<&str>) -> Result<()> {
    let m = &o.message;
    on!(execute tx, sqlx::query(INSERT)
        .bind(m.id.to_string()).bind(m.session_id.to_string())
        .bind(m.conversation_id.as_ref().map(|c| key(&c.0)))
        .bind(m.direction.as_str()).bind(text(&m.content)).bind(m.source.as_str())
        .bind(o.text.as_deref().map(text)).bind(i64::from(o.raw)).bind(i64::from(o.force))
        .bind(o.text.as_deref().map(prompt::digest))
        .bind(m.delivery_status.map(Delivery::as_str))
        .bind(m.agent_id.as_deref().map(text)).bind(idempotency_key.map(key)).bind(m.timestamp.0));
    Ok(())
}

/// Records an utterance. Tells whether it was not known yet.
pub(super) async fn say(
    tx: &mut Tx,
    new: MessageId,
    session: SessionId,
    conversation: &ConversationId,
    source: MessageSource,
    u: &Utterance,
) -> Result<bool> {
    let inserted: Option<String> = on!(write tx, c => sqlx::query_scalar(SAY)
        .bind(new.to_string()).bind(session.to_string()).bind(key(&conversation.0)).bind(key(&u.key))
        .bind(u.direction.as_str()).bind(text(&u.text)).bind(source.as_str())
        .bind(u.agent_id.as_deref().map(text)).bind(u.at.0)
        .fetch_optional(c).await?);
    Ok(inserted.is_some())
}

pub(super) async fn deliver(
    tx: &mut Tx,
    message: MessageId,
    status: Delivery,
    error: Option<&str>,
) -> Result<()> {
    on!(execute tx, sqlx::query(DELIVER)
        .bind(message.to_string()).bind(status.as_str()).bind(error.map(text)));
    Ok(())
}

/// Notes that a prompt has arrived which was given up for lost, and tells it.
pub(super) async fn take_back(tx: &mut Tx, message: MessageId) -> Result<Option<Message>> {
    let row: Option<Row> = on!(write tx, c => sqlx::query_as(TAKE_BACK)
        .bind(message.to_string()).fetch_optional(c).await?);
    Ok(row.map(Row::outgoing).transpose()?.map(|o| o.message))
}

/// Ties a prompt that Chorus sent to the utterance that Claude Code made of it. Tells whether there
/// was one.
pub(super) async fn claim(
    tx: &mut Tx,
    session: SessionId,
    conversation: &ConversationId,
    digest: &str,
    u: &Utterance,
) -> Result<bool> {
    let claimed: Option<String> = on!(write tx, c => sqlx::query_scalar(CLAIM)
        .bind(session.to_string()).bind(key(&conversation.0)).bind(key(&u.key)).bind(u.at.0).bind(digest)
        .fetch_optional(c).await?);
    Ok(claimed.is_some())
}
