//! The record: what was said and done, as rows that hooks and transcripts both write.
//!
//! Either source may come first and either may be missing. Rows are unique by Claude Code's own
//! ids, so that one utterance or tool call is one row however often it is heard of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{ConversationId, MessageId, SessionId, TaskId, ToolUseId};
use super::message::{Delivery, Direction, MessageSource};
use super::names::names;
use super::time::Timestamp;
use super::usage::Usd;

/// How far a tool call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// Asked for by the model; not finished.
    Running,
    /// Ran.
    Completed,
    /// Ran and failed.
    Error,
    /// Was not allowed to run.
    Denied,
    /// Was cut off.
    Interrupted,
}

names!(ToolStatus {
    Running => "running", Completed => "completed", Error => "error", Denied => "denied",
    Interrupted => "interrupted",
});

/// What one source knows of one tool call. `None` means that the source does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Claude Code's id of the call.
    pub id: ToolUseId,
    /// The tool.
    pub tool: String,
    /// Its input.
    pub input: Option<serde_json::Value>,
    /// How far it has come.
    pub status: ToolStatus,
    /// Its result as text, which goes into the store as it is.
    pub result: Option<Arc<str>>,
    /// How long the tool itself ran, without any wait for a permission. Milliseconds.
    pub duration_ms: Option<i64>,
    /// The sub-agent that called.
    pub agent_id: Option<String>,
    /// When the source says that this happened.
    pub at: Timestamp,
}

/// One utterance, as a source tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// Unique within the conversation: made of Claude Code's ids (message id and block, or prompt
    /// id and text digest), never of ours.
    pub key: String,
    /// Who spoke.
    pub direction: Direction,
    /// The text.
    pub text: String,
    /// The sub-agent it belongs to.
    pub agent_id: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Tokens of one response of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Input tokens that were not cached.
    pub input_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
    /// Input tokens written to the cache.
    pub cache_creation_input_tokens: i64,
    /// Input tokens read from the cache.
    pub cache_read_input_tokens: i64,
}

/// One thing for the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A tool call began or ended.
    Tool(ToolCall),
    /// Somebody said something.
    Said(Utterance),
    /// What a response of the model used.
    Usage(Response),
    /// What all responses of one model in a conversation used, as Claude Code sums it up at its end.
    Total(Total),
}

/// What all responses of one model in a conversation used and cost, as Claude Code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The model.
    pub model: String,
    /// The tokens.
    pub usage: Usage,
    /// The cost.
    pub cost: Usd,
}

/// What one source knows of one response of the model. The transcript knows its message, Claude Code's
/// own log its cost; both know the request, by which they are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The model's id of the response.
    pub message_id: Option<String>,
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// The model.
    pub model: String,
    /// Its tokens.
    pub usage: Usage,
    /// Those among the tokens written to the cache that are kept for an hour, which costs more.
    pub cached_for_an_hour: i64,
    /// It was not billed by the list (a fast mode, say).
    pub off_list: bool,
    /// What it cost, as Claude Code says.
    pub told: Option<Usd>,
    /// What it cost, by the list of prices.
    pub estimated: Option<Usd>,
    /// When it came.
    pub at: Timestamp,
}

/// A row of the command log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandLog {
    /// Ascending within the store.
    pub id: i64,
    /// The session.
    pub session_id: SessionId,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// Claude Code's id of the call.
    pub tool_use_id: ToolUseId,
    /// The tool.
    pub tool: String,
    /// Its input, scrubbed of secrets.
    #[schema(value_type = Object)]
    pub input: serde_json::Value,
    /// Its result, scrubbed and cut to 50 KB.
    pub result: Option<String>,
    /// The result's whole length in bytes before it was cut.
    pub result_bytes: Option<i64>,
    /// SHA-256 of the whole scrubbed result, if it was cut.
    pub result_sha256: Option<String>,
    /// How far it has come.
    pub status: ToolStatus,
    /// How long the tool ran, in milliseconds. Unknown if its beginning was not seen.
    pub duration_ms: Option<i64>,
    /// The sub-agent that called.
    pub agent_id: Option<String>,
    /// When the call was made.
    pub timestamp: Timestamp,
    /// The task that the session worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}

/// A row of the conversation's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The session.
    pub session_id: SessionId,
    /// The conversation.
    pub conversation_id: Option<ConversationId>,
    /// Who spoke.
    pub direction: Direction,
    /// The text, scrubbed of secrets.
    pub content: String,
    /// Where it came from.
    pub source: MessageSource,
    /// For a prompt sent by Chorus: whether it arrived.
    pub delivery_status: Option<Delivery>,
    /// Why it did not arrive.
    pub delivery_error: Option<String>,
    /// The sub-agent it belongs to.
    pub agent_id: Option<String>,
    /// When it was said.
    pub timestamp: Timestamp,
    /// The task that the session worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
}
