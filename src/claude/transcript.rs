//! Transcripts: the JSON lines in which Claude Code keeps a conversation.
//!
//! A line is written 50–270 ms after what it tells of, so hooks are always faster; but it is
//! complete, and the only source that tells of every prompt exactly once. Line types and fields
//! were recorded from 2.1.197 and 2.1.329 (`tests/fixtures/claude/transcript*.jsonl`); types that
//! are not known are skipped, as new versions add some.
//!
//! Facts told here may be older than what hooks and the state file have said meanwhile: a `Stop`
//! can precede the lines of its own turn by 200 ms.

mod timing;
mod user;

use serde_json::{Map, Value};

use super::json::{self, kind, text};
use super::models;
use super::text::{is_automatic, tagged};
use crate::domain::ids::{ConversationId, ToolUseId};
use crate::domain::message::Direction;
use crate::domain::observation::Fact;
use crate::domain::permission::Verdict;
use crate::domain::prompt::digest;
use crate::domain::record::{Record, Response, ToolCall, ToolStatus, Utterance};
use crate::domain::time::Timestamp;

pub use timing::Timing;

/// Why a line cannot be used. The next lines are not affected.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but no object.
    #[error("expected an object, found {0}")]
    NoObject(&'static str),
}

/// What one line tells.
#[derive(Clone, Debug, PartialEq)]
pub struct TranscriptItem {
    /// The line's own time, or the time of reading if it has none.
    pub at: Timestamp,
    /// The conversation it belongs to.
    pub conversation: Option<ConversationId>,
    /// The sub-agent it belongs to.
    pub agent_id: Option<String>,
    /// The facts.
    pub facts: Vec<Fact>,
    /// What belongs into the record.
    ///
    /// - A user's prompt is keyed by the line, because Claude Code's prompt ids are not unique
    ///   among queued prompts; what Chorus itself sent is recognised by the text's
    ///   [`digest`].
    /// - A call's result comes without the tool's name ([`ToolCall::tool`] is empty), and a denial
    ///   may be told before or after the result: a call that was denied stays denied.
    /// - A response's usage is told on each of its lines; the last one counts.
    pub records: Vec<Record>,
}

/// Reads one line, which was read at `now`. `None` if it tells nothing that Chorus needs.
///
/// # Errors
/// If the line is no JSON object.
pub fn parse_line(line: &[u8], now: Timestamp) -> Result<Option<TranscriptItem>, LineError> {
    let map = match json::parse(line)? {
        Value::Object(map) => map,
        other => return Err(LineError::NoObject(kind(&other))),
    };
    let at = text(&map, "timestamp").and_then(Timestamp::parse).unwrap_or(now);
    let mut line = Line {
        uuid: text(&map, "uuid").unwrap_or_default(),
        item: TranscriptItem {
            at,
            conversation: text(&map, "sessionId").map(|id| ConversationId(id.to_owned())),
            agent_id: text(&map, "agentId").map(str::to_owned),
            facts: Vec::new(),
            records: Vec::new(),
        },
        map: &map,
    };
    match text(&map, "type") {
        Some("user") => line.user(),
        Some("assistant") => line.assistant(),
        Some("attachment") => line.attachment(),
        Some("queue-operation") => line.queue(),
        Some("cost-state") => line.cost_state(),
        _ => {}
    }
    let item = line.item;
    Ok((!item.facts.is_empty() || !item.records.is_empty()).then_some(item))
}

struct Line<'a> {
    map: &'a Map<String, Value>,
    uuid: &'a str,
    item: TranscriptItem,
}

impl Line<'_> {
    fn flag(&self, field: &str) -> bool {
        self.map.get(field) == Some(&Value::Bool(true))
    }

    fn content(&self) -> Option<&Value> {
        self.map.get("message")?.get("content")
    }

    /// Keyed by the line: Claude Code gives each a `uuid`, and each block its own line.
    fn say(&mut self, block: usize, direction: Direction, text: impl Into<String>) {
        let text = text.into();
        if text.trim().is_empty() {
            return;
        }
        let key = match self.uuid {
            "" => format!("{}:{}:{block}", self.item.at.0, digest(&text)),
            uuid => format!("{uuid}:{block}"),
        };
        self.item.records.push(Record::Said(Utterance {
            key,
            direction,
            text,
            agent_id: self.item.agent_id.clone(),
            at: self.item.at,
        }));
    }

    fn assistant(&mut self) {
        let Some(message) = self.map.get("message").and_then(Value::as_object) else { return };
        let model = text(message, "model").unwrap_or_default();
        let synthetic = model == "<synthetic>" || self.flag("isApiErrorMessage");
        let direction = if synthetic { Direction::System } else { Direction::Assistant };
        let blocks = match message.get("content") {
            Some(Value::Array(blocks)) => blocks.as_slice(),
            Some(Value::String(said)) => return self.say(0, direction, said),
            _ => &[],
        };
        for (i, block) in blocks.iter().filter_map(Value::as_object).enumerate() {
            match (text(block, "type"), text(block, "text")) {
                // What Claude Code writes when it has nothing to ask the model.
                (Some("text"), Some("No response requested.")) if synthetic => {}
                (Some("text"), Some(said)) => self.say(i, direction, said),
                (Some("tool_use"), _) => self.tool_use(block),
                _ => {}
            }
        }
        if let (Some(id), Some(usage), false) =
            (text(message, "id"), message.get("usage").and_then(Value::as_object), synthetic)
        {
            let response = Response {
                message_id: Some(id.to_owned()),
                request_id: text(self.map, "requestId").map(str::to_owned),
                ..models::response(model, usage, self.item.at)
            };
            self.item.facts.push(Fact::Responded(models::context(model, &response.usage)));
            self.item.records.push(Record::Usage(response));
        }
    }

    fn tool_use(&mut self, block: &Map<String, Value>) {
        let (Some(id), Some(tool)) = (text(block, "id"), text(block, "name")) else { return };
        let input = block.get("input").cloned().unwrap_or_default();
        self.item.facts.push(Fact::ToolStarted {
            tool_use: ToolUseId(id.to_owned()),
            tool: tool.to_owned(),
            input_digest: json::input_digest(tool, &input),
            agent_id: self.item.agent_id.clone(),
        });
        let call = self.call(id, ToolStatus::Running);
        self.item.records.push(Record::Tool(ToolCall {
            tool: tool.to_owned(),
            input: Some(input),
            ..call
        }));
    }

    fn call(&self, id: &str, status: ToolStatus) -> ToolCall {
        ToolCall {
            id: ToolUseId(id.to_owned()),
            tool: String::new(),
            input: None,
            status,
            result: None,
            duration_ms: None,
            agent_id: self.item.agent_id.clone(),
            at: self.item.at,
        }
    }

    fn attachment(&mut self) {
        let Some(attachment) = self.map.get("attachment").and_then(Value::as_object) else {
            return;
        };
        match text(attachment, "type") {
            // Written for a hook's answer only, never for one at the keyboard; and not for a
            // denial that interrupts.
            Some("hook_permission_decision") => {
                let Some(id) = text(attachment, "toolUseID") else { return };
                let verdict = match text(attachment, "decision") {
                    Some("allow") => Verdict::Allow,
                    Some("deny") => Verdict::Deny,
                    _ => return,
                };
                let tool_use = ToolUseId(id.to_owned());
                self.item.facts.push(Fact::DecisionHonoured { tool_use, verdict });
                if verdict == Verdict::Deny {
                    let call = self.call(id, ToolStatus::Denied);
                    self.item.records.push(Record::Tool(call));
                }
            }
            // A queued prompt that was taken up within the turn; there is no user line for it.
            Some("queued_command") => {
                let Some(said) = attachment.get("prompt").and_then(json::block_text) else {
                    return;
                };
                match text(attachment, "commandMode") {
                    Some("prompt") | None => self.prompt(&said),
                    Some("task-notification") => self.notification(&said),
                    Some(_) => {}
                }
            }
            _ => {}
        }
    }

    /// A prompt entered the queue: in 2.1.197 the only sign of a prompt that is taken up within
    /// the turn; in 2.1.329 the hook tells the same.
    fn queue(&mut self) {
        if let (Some("enqueue"), Some(said)) =
            (text(self.map, "operation"), text(self.map, "content"))
        {
            let digest = digest(&super::text::unwrap_paste(said));
            self.item.facts.push(Fact::PromptSubmitted { digest, automatic: is_automatic(said) });
        }
    }

    /// What the conversation has used, over all its processes; written at an orderly end (2.1.329).
    fn cost_state(&mut self) {
        if self.flag("hasUnknownModelCost") {
            return;
        }
        let models = self.map.get("modelUsage").and_then(Value::as_object);
        self.item.records.extend(models.into_iter().flatten().filter_map(|(model, sum)| {
            Some(Record::Total(models::total(model, sum.as_object()?)?))
        }));
    }

    /// A background task's report, which Claude Code gives to the model as if it were a prompt.
    fn notification(&mut self, said: &str) {
        if let Some(summary) = tagged(said, "summary") {
            self.say(0, Direction::System, summary);
        }
    }
}

#[cfg(test)]
mod tests;
