//! Permission requests: what Claude asks, what people answer, what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{ConversationId, PermissionId, RuleId, SessionId, ToolUseId};
use super::names::names;
use super::rule::RuleMatch;
use super::time::Timestamp;

/// Where a permission request is.
///
/// `pending → decided → delivered → honoured`, or one of the other ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PermissionStatus {
    /// Nobody has decided.
    Pending,
    /// Decided here; Claude has not heard yet.
    Decided,
    /// The answer was given to Claude.
    Delivered,
    /// Claude did as it was told: the transcript or the tool's own hook shows it.
    Honoured,
    /// Somebody answered at the terminal.
    AnsweredInTerminal,
    /// Nobody answered in time.
    Expired,
    /// Claude no longer waits: its process or conversation ended, or its turn without a trace of the answer.
    Cancelled,
}

names!(PermissionStatus {
    Pending => "pending", Decided => "decided", Delivered => "delivered", Honoured => "honoured",
    AnsweredInTerminal => "answered_in_terminal", Expired => "expired", Cancelled => "cancelled",
});

impl PermissionStatus {
    /// Whether a later status may still follow.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Decided | Self::Delivered)
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The tool may run.
    Allow,
    /// It may not.
    Deny,
}

names!(Verdict { Allow => "allow", Deny => "deny" });

/// A person's decision on a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// With a denial: what Claude is told instead. Claude goes on with it.
    pub message: Option<String>,
    /// With a denial: end the turn.
    pub interrupt: bool,
    /// With an allowance: do not ask again for the same in this session.
    pub for_session: bool,
    /// With an allowance: the whole input that is used instead of Claude's. A question's answers
    /// are in here.
    pub updated_input: Option<serde_json::Value>,
    /// The rule that decided, if one did.
    pub rule: Option<RuleMatch>,
}

impl Decision {
    /// Plainly yes, once.
    pub fn allow() -> Self {
        Self {
            verdict: Verdict::Allow,
            message: None,
            interrupt: false,
            for_session: false,
            updated_input: None,
            rule: None,
        }
    }

    /// What a rule decides.
    pub fn by(rule: &super::rule::Rule) -> Option<Self> {
        use super::rule::RuleAction;
        let rule_match = Some(RuleMatch::of(rule));
        match rule.action {
            RuleAction::Allow => Some(Self { rule: rule_match, ..Self::allow() }),
            RuleAction::Deny => Some(Self {
                verdict: Verdict::Deny,
                message: Some(rule.refusal()),
                rule: rule_match,
                ..Self::allow()
            }),
            RuleAction::Ask => None,
        }
    }
}

/// Where a decision came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// Somebody at the web page.
    Dashboard,
    /// A program on the API.
    Api,
    /// Somebody at Chorus's command line.
    Cli,
    /// A rule: the request's `rule_id` says which.
    Rule,
    /// Somebody at Claude's own terminal dialog.
    Terminal,
}

names!(DecidedBy {
    Dashboard => "dashboard", Api => "api", Cli => "cli", Rule => "rule", Terminal => "terminal",
});

/// A permission request, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PermissionRequest {
    /// Its id.
    pub id: PermissionId,
    /// The session that asks.
    pub session_id: SessionId,
    /// The conversation that asks.
    pub conversation_id: Option<ConversationId>,
    /// The tool.
    pub tool: String,
    /// The tool's input, exactly as Claude wants to run it while the request is open; scrubbed of
    /// secrets afterwards.
    #[schema(value_type = Object)]
    pub input: serde_json::Value,
    /// One line that says what would happen.
    pub summary: String,
    /// The call it belongs to, once known.
    pub tool_use_id: Option<ToolUseId>,
    /// The sub-agent that asks, if one does.
    pub agent_type: Option<String>,
    /// What "allow for the session" would allow from then on, in words.
    pub session_rule: Option<String>,
    /// Where it is.
    pub status: PermissionStatus,
    /// The decision, once made.
    pub verdict: Option<Verdict>,
    /// What Claude was told with a denial.
    pub message: Option<String>,
    /// What was used instead of `input`, a question's answers included. Scrubbed once settled.
    #[schema(value_type = Option<Object>)]
    pub updated_input: Option<serde_json::Value>,
    /// Who decided.
    pub decided_by: Option<DecidedBy>,
    /// The rule that decided it, or that left it to people.
    pub rule_id: Option<RuleId>,
    /// That rule in words, as it was then.
    pub rule: Option<String>,
    /// When Claude asked.
    pub requested_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// When the last status was reached.
    pub updated_at: Timestamp,
}

/// What a tool call acts on: the command, the path, the address.
pub fn subject(tool: &str, input: &serde_json::Value) -> Option<String> {
    input.get(subject_key(tool)?)?.as_str().map(str::to_owned)
}

/// Which input that is.
pub(super) fn subject_key(tool: &str) -> Option<&'static str> {
    Some(match tool {
        "Bash" => "command",
        "Write" | "Edit" | "MultiEdit" | "Read" => "file_path",
        "NotebookEdit" => "notebook_path",
        "WebFetch" => "url",
        "WebSearch" => "query",
        _ => return None,
    })
}

/// What a dialog about a call shows of it for certain, so that it can be told from another's: the
/// beginning of the command, the file's name, the address; else the tool's own name.
pub fn landmark(tool: &str, input: &serde_json::Value) -> String {
    let Some(subject) = subject(tool, input) else {
        // `mcp__server__tool` is shown as its parts.
        return tool.rsplit("__").next().unwrap_or(tool).to_owned();
    };
    let words = match tool {
        "Bash" | "WebFetch" | "WebSearch" => subject.trim_start(),
        _ => subject.rsplit('/').next().unwrap_or(&subject),
    };
    words.lines().next().unwrap_or_default().chars().take(40).collect()
}

/// Whether a tool call is a question to people, a plan or a question: no rule allows it, and "allow
/// for the session" means nothing.
pub fn is_dialogue(tool: &str) -> bool {
    matches!(tool, PLAN | QUESTION)
}

/// The tool by which Claude shows people a plan.
pub const PLAN: &str = "ExitPlanMode";
/// The tool by which Claude asks people a question.
pub const QUESTION: &str = "AskUserQuestion";

/// One line that says what a call would do.
pub fn summarise(tool: &str, input: &serde_json::Value) -> String {
    let text = match subject(tool, input) {
        Some(s) => s,
        None if tool == PLAN => "a plan to approve".to_owned(),
        None if tool == QUESTION => super::question::summary(input),
        None => input.to_string(),
    };
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 200 {
        line = line.chars().take(199).chain(['…']).collect();
    }
    format!("{tool}: {line}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{landmark, summarise};

    #[test]
    fn a_landmark_is_what_the_dialog_shows() {
        let bash = json!({"command": "  touch x && echo ran\nls"});
        assert_eq!(landmark("Bash", &bash), "touch x && echo ran");
        assert_eq!(landmark("Write", &json!({"file_path": "/p/src/a.rs"})), "a.rs");
        assert_eq!(landmark("mcp__demo__echo", &json!({"text": "hi"})), "echo");
    }

    #[test]
    fn a_summary_is_one_bounded_line() {
        let s = summarise("Bash", &json!({"command": "a\n".repeat(500)}));
        assert!(!s.contains('\n') && s.chars().count() <= 210, "{s}");
    }
}
