//! What a conversation holds, as it is shown: words, calls, sub-agents.

use serde_json::Value;

use crate::domain::message::{Delivery, Direction, MessageSource};
use crate::domain::permission::{
    DecidedBy, PermissionRequest, PermissionStatus, Verdict, summarise,
};
use crate::domain::record::{CommandLog, Message, ToolStatus};
use crate::domain::time::Timestamp;
use crate::services::timeline::{Agent, Call, Entry};
use crate::web::markdown::{self, SafeHtml};
use crate::web::plain::plain;

/// The longest text that is shown; a longer one ends with a word that says so. Characters.
const LONGEST: usize = 100_000;

/// One thing of a conversation.
pub(super) struct Line {
    /// The element's id.
    pub id: String,
    /// The place that "what comes before" begins at.
    pub place: String,
    /// Changes when what is shown of it does.
    pub version: String,
    /// When.
    pub at: Timestamp,
    pub view: View,
}

pub(super) enum View {
    Said(Said),
    Call(CallView),
    Agent(AgentView),
}

/// Words.
pub(super) struct Said {
    pub who: &'static str,
    /// Where they came from, if that is worth a word.
    pub by: String,
    pub text: Words,
    pub delivery: Option<DeliveryView>,
}

pub(super) enum Words {
    /// Markdown, rendered.
    Html(SafeHtml),
    /// Just as it was written.
    Plain(String),
}

/// Whether a prompt arrived.
pub(super) struct DeliveryView {
    pub status: Delivery,
    pub words: &'static str,
    pub why: String,
    /// The text, to be taken back into the input box.
    pub text: String,
}

/// A call, folded.
pub(super) struct CallView {
    /// Claude Code's id of it.
    pub call: String,
    pub tool: String,
    /// What it is about, in a line.
    pub line: String,
    pub status: ToolStatus,
    pub duration: String,
    /// Who decided that it may run.
    pub decided: String,
    /// The sub-agent that it began.
    pub agent: String,
}

/// A sub-agent at work.
pub(super) struct AgentView {
    pub agent: String,
    pub steps: i64,
}

pub(super) fn lines(entries: Vec<Entry>) -> Vec<Line> {
    entries.into_iter().map(line).collect()
}

fn line(entry: Entry) -> Line {
    match entry {
        Entry::Said(message) => said(*message),
        Entry::Called(call) => called(*call),
        Entry::Agent(Agent { id, since, steps }) => Line {
            id: format!("agent-{id}"),
            place: format!("c{}_0", since.0),
            version: steps.to_string(),
            at: since,
            view: View::Agent(AgentView { agent: id, steps }),
        },
    }
}

fn said(message: Message) -> Line {
    let Message { id, direction, source, timestamp, .. } = message;
    let text = shown(&message.content);
    let delivery = message.delivery_status.map(|status| DeliveryView {
        status,
        words: match status {
            Delivery::Queued => "queued until Claude is idle",
            Delivery::Sending => "on its way",
            Delivery::Delivered => "delivered",
            Delivery::Undelivered => "not delivered",
        },
        why: message.delivery_error.clone().unwrap_or_default(),
        text: if status == Delivery::Undelivered { message.content.clone() } else { String::new() },
    });
    let (who, text) = match direction {
        Direction::User => ("You", Words::Plain(text)),
        Direction::Assistant => ("Claude", Words::Html(markdown::render(&text))),
        Direction::System => ("System", Words::Plain(text)),
    };
    let by = match source {
        MessageSource::Terminal if direction == Direction::User => "in the terminal".to_owned(),
        MessageSource::Hook | MessageSource::Dashboard | MessageSource::Terminal => String::new(),
        other => format!("by {other}"),
    };
    Line {
        id: format!("m-{id}"),
        place: format!("m{}_{id}", timestamp.0),
        version: message.delivery_status.map(|d| d.to_string()).unwrap_or_default(),
        at: timestamp,
        view: View::Said(Said { who, by, text, delivery }),
    }
}

fn called(Call { log, request, agent }: Call) -> Line {
    let decided = request.as_ref().map(decided).unwrap_or_default();
    let view = CallView {
        call: log.tool_use_id.0.clone(),
        line: about(&log),
        status: log.status,
        duration: log.duration_ms.map(duration).unwrap_or_default(),
        decided,
        agent: agent.unwrap_or_default(),
        tool: log.tool,
    };
    Line {
        id: format!("c-{}", log.id),
        place: format!("c{}_{}", log.timestamp.0, log.id),
        version: [log.status.as_str(), &view.duration, &view.decided, &view.agent].join("|"),
        at: log.timestamp,
        view: View::Call(view),
    }
}

/// What a call is about, without the tool's name.
pub(super) fn about(log: &CommandLog) -> String {
    let described = log.input.get("description").and_then(Value::as_str);
    match (log.tool.as_str(), described) {
        ("Agent" | "Task", Some(words)) => plain(words),
        _ => {
            let line = plain(&summarise(&log.tool, &log.input));
            line.strip_prefix(&format!("{}: ", log.tool)).unwrap_or(&line).to_owned()
        }
    }
}

/// Text as it can be shown: without escape sequences, not without end.
pub(super) fn shown(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… (there is more; the API gives all of it)", &text[..end]),
        None => text,
    }
}

/// Milliseconds in words as short as they can be.
pub(super) fn duration(ms: i64) -> String {
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// Who decided a request, and how.
fn decided(request: &PermissionRequest) -> String {
    let verb = match request.verdict {
        Some(Verdict::Allow) => "approved",
        Some(Verdict::Deny) => "denied",
        None => {
            return match request.status {
                PermissionStatus::Pending => "waits for a decision".to_owned(),
                PermissionStatus::AnsweredInTerminal => "answered in the terminal".to_owned(),
                PermissionStatus::Expired => "nobody answered".to_owned(),
                _ => "not asked any more".to_owned(),
            };
        }
    };
    let by = match (request.decided_by, &request.rule) {
        (Some(DecidedBy::Rule), Some(rule)) => format!("by the rule {}", plain(rule)),
        (Some(DecidedBy::Rule), None) => "by a rule".to_owned(),
        (Some(DecidedBy::Dashboard), _) => "at the dashboard".to_owned(),
        (Some(DecidedBy::Cli), _) => "at the command line".to_owned(),
        (Some(DecidedBy::Api), _) => "by the API".to_owned(),
        (Some(DecidedBy::Terminal), _) => "in the terminal".to_owned(),
        (None, _) => String::new(),
    };
    let message = request.message.as_deref().map(|m| format!(": {}", plain(m)));
    format!("{verb} {by}{}", message.unwrap_or_default()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let words = [5, 1_234, 61_000, 7_260_000].map(duration);
        assert_eq!(words, ["5 ms", "1.2 s", "1 min 1 s", "2 h 1 min"]);
    }
}
