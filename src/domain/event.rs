//! Events: the append-only log that the live stream, webhooks and notifications are made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::ids::SessionId;
use super::names::names;
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
    /// A hook that Chorus has no other event for, raw.
    Hook,
}

names!(EventKind {
    SessionStatus => "session_status", ClaudeStatus => "claude_status",
    PermissionRequest => "permission_request", PermissionResolved => "permission_resolved",
    Message => "message", ToolUse => "tool_use", Hook => "hook",
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
    /// Its data, rendered once.
    pub data: String,
}

/// An event as the log holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the log. Ascending without gaps that a reader could skip over.
    pub id: i64,
    /// The rest.
    pub event: NewEvent,
}
