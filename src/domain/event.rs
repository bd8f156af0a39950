//! Events: the append-only log that the live stream, webhooks and notifications are made of.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use serde_json::json;

use super::document::FileChange;
use super::ids::{DocumentId, MessageId, ProjectId, SessionId, ToolUseId};
use super::message::MessageSource;
use super::names::names;
use super::record::{Message, ToolCall, ToolStatus, Utterance};
use super::time::Timestamp;

/// What an event is about. The names are the stream's `event:` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A session's life moved: `{session_id, name, old_status, new_status}`.
    SessionStatus,
    /// Claude's activity moved: `{session_id, task_id, old, new, permission_prompt, restarts, …}`.
    ClaudeStatus,
    /// Claude asks: a permission request, whole.
    PermissionRequest,
    /// A request moved on: a permission request, whole.
    PermissionResolved,
    /// Somebody spoke, or a prompt's delivery moved.
    Message,
    /// A tool call began or ended.
    ToolUse,
    /// A session used something, its context filled, or its budget moved: `{session_id, name, cost,
    /// tokens, context, budget, …}`.
    Usage,
    /// A task's edits: `{kind, task_id, session_id, …}`, where `kind` is `committed`, `problem`, `settled`,
    /// `discarded`, `edit_denied` or `two_writers`.
    Git,
    /// A document's file was created, changed, moved or deleted, or what is kept about it or refers to it
    /// was changed: `{document_id, project_id, path, change, old_path?, task_id?}`.
    DocumentChange,
    /// A task's status moved: `{task_id, session_id, old_status, new_status, title, result, …}`.
    TaskStatus,
    /// Anything else about a task changed: `{task_id, session_id, title, changed, …}`.
    TaskUpdate,
    /// A hook that Chorus has no other event for, raw.
    Hook,
}

names!(EventKind {
    SessionStatus => "session_status", ClaudeStatus => "claude_status",
    PermissionRequest => "permission_request", PermissionResolved => "permission_resolved",
    Message => "message", ToolUse => "tool_use", Usage => "usage", TaskStatus => "task_status",
    TaskUpdate => "task_update", Git => "git", DocumentChange => "document_change", Hook => "hook",
});

/// An event that is about to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// What it is about.
    pub kind: EventKind,
    /// The session.
    pub session_id: Option<SessionId>,
    /// When it happened.
    pub at: Timestamp,
    /// Set where a source may deliver the same event twice: the second one is dropped.
    pub dedupe_key: Option<String>,
    /// Its data as JSON, rendered once.
    pub data: Arc<str>,
}

/// An event as the log holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the log. Ascending without gaps that a reader could skip over.
    pub id: i64,
    /// The rest.
    pub event: NewEvent,
}

/// How much of a message's text its event repeats. Characters.
const PREVIEW: usize = 2_000;

fn preview(text: &str) -> String {
    text.chars().take(PREVIEW).collect()
}

/// The event of a tool call's beginning or end. `tool` is its name, which `call` may not tell.
pub fn tool_use(session: SessionId, tool: &str, call: &ToolCall) -> NewEvent {
    // As most events are this one, its data is not made a value first.
    #[derive(Serialize)]
    struct Data<'a> {
        session_id: SessionId,
        tool_use_id: &'a ToolUseId,
        tool: &'a str,
        status: ToolStatus,
        duration_ms: Option<i64>,
        agent_id: Option<&'a str>,
        at: Timestamp,
    }
    let data = Data {
        session_id: session,
        tool_use_id: &call.id,
        tool,
        status: call.status,
        duration_ms: call.duration_ms,
        agent_id: call.agent_id.as_deref(),
        at: call.at,
    };
    NewEvent::new(EventKind::ToolUse, session, call.at, &data)
}

/// The event of an utterance.
pub fn said(session: SessionId, id: MessageId, source: MessageSource, u: &Utterance) -> NewEvent {
    let data = json!({
        "session_id": session,
        "id": id,
        "direction": u.direction,
        "source": source,
        "content": preview(&u.text),
        "delivery_status": null,
        "agent_id": u.agent_id,
        "at": u.at,
    });
    NewEvent::new(EventKind::Message, session, u.at, &data)
}

/// The event of a prompt of ours, whenever its delivery moves.
pub fn message(m: &Message) -> NewEvent {
    let data = json!({
        "session_id": m.session_id,
        "id": m.id,
        "direction": m.direction,
        "source": m.source,
        "content": preview(&m.content),
        "delivery_status": m.delivery_status,
        "delivery_error": m.delivery_error,
        "agent_id": m.agent_id,
        "at": m.timestamp,
    });
    NewEvent::new(EventKind::Message, m.session_id, m.timestamp, &data)
}

/// The event of a change to a document. `old_path` is where a file was that was moved.
pub fn document_change(
    project: ProjectId,
    document: DocumentId,
    path: &str,
    change: FileChange,
    old_path: Option<&str>,
    at: Timestamp,
) -> NewEvent {
    let mut data = json!({
        "document_id": document, "project_id": project, "path": path, "change": change,
    });
    if let Some(old) = old_path {
        data["old_path"] = json!(old);
    }
    NewEvent::of(EventKind::DocumentChange, None, at, &data)
}

impl NewEvent {
    /// Makes an event of a session.
    pub fn new(kind: EventKind, session: SessionId, at: Timestamp, data: &impl Serialize) -> Self {
        Self::of(kind, Some(session), at, data)
    }

    /// The same of something that need not have a session.
    pub fn of(
        kind: EventKind,
        session: Option<SessionId>,
        at: Timestamp,
        data: &impl Serialize,
    ) -> Self {
        // Data of ours has string keys and serialisers that do not fail.
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        Self { kind, session_id: session, at, dedupe_key: None, data: data.into() }
    }
}
