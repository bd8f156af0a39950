//! Hooks: what Claude Code tells while it works, and what it is told back.
//!
//! Payloads are JSON objects; the fields were recorded from 2.1.197 and 2.1.329 (one recording per
//! event is in `tests/fixtures/claude/hooks`). A field that an event needs and that is missing or
//! of another kind is an error that names it; any other field may be anything.

mod answer;
mod event;
mod settings;
pub mod user;

pub use answer::{Answer, answer, refusal, with_answers};
pub use event::HookEvent;
use serde_json::{Map, Value};
pub use settings::{SUBSCRIBED, settings};
pub use user::UserHooksError;

use super::json::{self, kind, text};
use super::result::result_text;
use super::text::{is_automatic, unwrap_paste};
use super::{limit, models};
use crate::domain::ids::{ConversationId, PermissionId, Stamp, ToolUseId};
use crate::domain::message::Direction;
use crate::domain::observation::{Fact, StartSource};
use crate::domain::prompt::digest;
use crate::domain::record::{Record, ToolCall, ToolStatus, Utterance};
use crate::domain::time::Timestamp;

/// Why a payload cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It is no JSON.
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A field is missing or of the wrong kind.
    #[error("{event}: `{field}` must be {expected}, found {found}")]
    Field {
        /// The event.
        event: HookEvent,
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
}

/// What one hook told.
#[derive(Clone, Debug, PartialEq)]
pub struct HookReport {
    /// The event.
    pub event: HookEvent,
    /// The conversation it speaks of (`session_id`). Only an unknown event may lack it.
    pub conversation: Option<ConversationId>,
    /// Where the conversation's transcript is.
    pub transcript_path: Option<String>,
    /// Claude's working directory.
    pub cwd: Option<String>,
    /// Claude Code's id of the prompt that is worked on. A queued prompt may carry another one's.
    pub prompt_id: Option<String>,
    /// The permission mode, as Claude Code names it.
    pub permission_mode: Option<String>,
    /// The sub-agent it happened in.
    pub agent_id: Option<String>,
    /// That sub-agent's type.
    pub agent_type: Option<String>,
    /// Where that sub-agent's transcript is (`SubagentStop` only).
    pub agent_transcript_path: Option<String>,
    /// The facts; never empty, but for [`Self::permission`], whose fact needs the caller's ids.
    pub facts: Vec<Fact>,
    /// What belongs into the record.
    pub records: Vec<Record>,
    /// The prompt that was taken. **The transcript tells of every prompt exactly once; this is for
    /// a conversation whose transcript cannot be read.** The two cannot be matched by id: a queued
    /// prompt's hook carries the running prompt's id (2.1.329) or one of its own (2.1.197), and is
    /// absent if the prompt is taken up within the turn (2.1.197).
    pub prompt: Option<Utterance>,
    /// The permission that is asked for.
    pub permission: Option<PermissionAsk>,
}

/// A permission that Claude Code asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionAsk {
    /// The tool.
    pub tool: String,
    /// Its input, exactly.
    pub input: Value,
    /// The [`input_digest`](super::input_digest) by which the call is found; the payload has no
    /// `tool_use_id`.
    pub input_digest: String,
    /// What Claude Code itself offers to allow from now on, as it came.
    pub suggestions: Vec<Value>,
    /// The sub-agent that asks.
    pub agent_id: Option<String>,
    /// That sub-agent's type.
    pub agent_type: Option<String>,
}

impl PermissionAsk {
    /// Makes the fact, once the caller has given the request its ids.
    pub fn fact(&self, id: PermissionId, stamp: Stamp) -> Fact {
        Fact::PermissionAsked {
            id,
            stamp,
            tool: self.tool.clone(),
            input_digest: self.input_digest.clone(),
            agent_id: self.agent_id.clone(),
        }
    }
}

/// Reads the payload of `event`, which happened `at` (the payload itself does not say when).
///
/// # Errors
/// If the body is no JSON object, or a field that the event needs is missing or of another kind.
pub fn parse(event: HookEvent, body: &[u8], at: Timestamp) -> Result<HookReport, HookError> {
    let mut payload = match json::parse(body)? {
        Value::Object(map) => Payload { event, map, at },
        other => {
            let found = kind(&other);
            return Err(HookError::Field { event, field: "body", expected: "an object", found });
        }
    };
    let conversation = match payload.event {
        HookEvent::Unknown(_) => payload.optional("session_id"),
        _ => Some(payload.required("session_id")?),
    };
    let mut report = HookReport {
        event: payload.event.clone(),
        conversation: conversation.map(ConversationId),
        transcript_path: payload.optional("transcript_path"),
        cwd: payload.optional("cwd"),
        prompt_id: payload.optional("prompt_id"),
        permission_mode: payload.optional("permission_mode"),
        agent_id: payload.optional("agent_id"),
        agent_type: payload.optional("agent_type"),
        agent_transcript_path: payload.optional("agent_transcript_path"),
        facts: Vec::new(),
        records: Vec::new(),
        prompt: None,
        permission: None,
    };
    payload.tell(&mut report)?;
    Ok(report)
}

struct Payload {
    event: HookEvent,
    map: Map<String, Value>,
    at: Timestamp,
}

impl Payload {
    fn optional(&self, field: &str) -> Option<String> {
        text(&self.map, field).map(str::to_owned)
    }

    fn required(&self, field: &'static str) -> Result<String, HookError> {
        self.optional(field).ok_or_else(|| {
            let found = match self.map.get(field) {
                None => "nothing",
                Some(Value::String(_)) => "an empty string",
                Some(other) => kind(other),
            };
            let event = self.event.clone();
            HookError::Field { event, field, expected: "a string", found }
        })
    }

    /// A field's value, which may be large.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.map.get_mut(field).map(Value::take)
    }

    fn word(&self, field: &str) -> String {
        self.optional(field).unwrap_or_default()
    }

    fn flag(&self, field: &str) -> bool {
        self.map.get(field).and_then(Value::as_bool).unwrap_or_default()
    }

    fn tell(&mut self, report: &mut HookReport) -> Result<(), HookError> {
        let fact = match self.event {
            HookEvent::SessionStart => {
                if let Some(model) = self.optional("model") {
                    report.facts.push(Fact::WindowTold(models::marked_window(&model)));
                }
                Fact::ConversationStarted { source: self.start_source() }
            }
            HookEvent::SessionEnd => Fact::ConversationEnded { reason: self.word("reason") },
            HookEvent::UserPromptSubmit => self.prompt(report)?,
            HookEvent::PermissionRequest => {
                report.permission = Some(self.permission(report)?);
                return Ok(());
            }
            HookEvent::PreToolUse => {
                let call = self.call(report, ToolStatus::Running)?;
                let input = call.input.as_ref().unwrap_or(&Value::Null);
                let fact = Fact::ToolStarted {
                    tool_use: call.id.clone(),
                    tool: call.tool.clone(),
                    input_digest: json::input_digest(&call.tool, input),
                    agent_id: call.agent_id.clone(),
                };
                report.records.push(Record::Tool(call));
                fact
            }
            HookEvent::PostToolUse => {
                let mut call = self.call(report, ToolStatus::Completed)?;
                let response = self.map.get("tool_response");
                call.result = response.and_then(|r| result_text(&call.tool, r)).map(Into::into);
                finished(call, report)
            }
            HookEvent::PostToolUseFailure => {
                let interrupted = self.flag("is_interrupt");
                let status = if interrupted { ToolStatus::Interrupted } else { ToolStatus::Error };
                let mut call = self.call(report, status)?;
                call.result = self.optional("error").map(Into::into);
                finished(call, report)
            }
            HookEvent::Stop => Fact::TurnEnded { background: self.background() },
            HookEvent::StopFailure => {
                let message = self
                    .optional("last_assistant_message")
                    .or_else(|| self.optional("error_details"))
                    .unwrap_or_default();
                let kind = self.optional("error").unwrap_or_else(|| "unknown".to_owned());
                let resets_at = limit::resets_at(&message, self.at);
                Fact::TurnFailed { kind, message, resets_at }
            }
            HookEvent::Notification => Fact::Notified {
                kind: self.word("notification_type"),
                message: self.word("message"),
            },
            HookEvent::PreCompact => Fact::Compacting { began: true },
            HookEvent::PostCompact => Fact::Compacting { began: false },
            HookEvent::SubagentStart => Fact::Subagent { began: true },
            // Compaction ends with the stop of an agent that has no type and never started.
            HookEvent::SubagentStop if report.agent_type.is_some() => {
                Fact::Subagent { began: false }
            }
            _ => Fact::Noted,
        };
        report.facts.push(fact);
        Ok(())
    }

    fn start_source(&self) -> StartSource {
        match text(&self.map, "source") {
            Some("startup") => StartSource::Startup,
            Some("resume") => StartSource::Resume,
            Some("clear") => StartSource::Clear,
            Some("compact") => StartSource::Compact,
            Some("fork") => StartSource::Fork,
            _ => StartSource::Other,
        }
    }

    fn prompt(&self, report: &mut HookReport) -> Result<Fact, HookError> {
        let prompt = self.required("prompt")?;
        let text = unwrap_paste(&prompt);
        let digest = digest(&text);
        let automatic = is_automatic(&prompt);
        if !automatic {
            report.prompt = Some(Utterance {
                key: format!("prompt:{}:{digest}", report.prompt_id.as_deref().unwrap_or_default()),
                direction: Direction::User,
                text: text.into_owned(),
                agent_id: report.agent_id.clone(),
                at: self.at,
            });
        }
        Ok(Fact::PromptSubmitted { digest, automatic })
    }

    fn permission(&mut self, report: &HookReport) -> Result<PermissionAsk, HookError> {
        let tool = self.required("tool_name")?;
        let input = self.take("tool_input").unwrap_or_default();
        let suggestions = self.map.get("permission_suggestions").and_then(Value::as_array);
        Ok(PermissionAsk {
            input_digest: json::input_digest(&tool, &input),
            tool,
            input,
            suggestions: suggestions.cloned().unwrap_or_default(),
            agent_id: report.agent_id.clone(),
            agent_type: report.agent_type.clone(),
        })
    }

    fn call(&mut self, report: &HookReport, status: ToolStatus) -> Result<ToolCall, HookError> {
        Ok(ToolCall {
            id: ToolUseId(self.required("tool_use_id")?),
            tool: self.required("tool_name")?,
            input: self.take("tool_input"),
            status,
            result: None,
            duration_ms: self.map.get("duration_ms").and_then(Value::as_i64),
            agent_id: report.agent_id.clone(),
            at: self.at,
        })
    }

    /// Background work that has not ended; an entry without a status counts as running.
    fn background(&self) -> u32 {
        let tasks = self.map.get("background_tasks").and_then(Value::as_array);
        let running = tasks.into_iter().flatten().filter(|task| {
            let status = task.get("status").and_then(Value::as_str);
            !matches!(status, Some("completed" | "failed" | "killed" | "stopped" | "cancelled"))
        });
        u32::try_from(running.count()).unwrap_or(u32::MAX)
    }
}

fn finished(call: ToolCall, report: &mut HookReport) -> Fact {
    let fact = Fact::ToolFinished { tool_use: call.id.clone(), denied: false };
    report.records.push(Record::Tool(call));
    fact
}

#[cfg(test)]
mod tests;
