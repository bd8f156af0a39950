//! What the session endpoints take and give.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::permissions::Answer;
use crate::api::problem::{Problem, given};
use crate::domain::ids::{ConversationId, ProjectId, SessionId, TaskId};
use crate::domain::message::MessageSource;
use crate::domain::permission::Verdict;
use crate::domain::record::Usage;
use crate::domain::session::{
    ClaudeStatus, Conversation, Detail, Evidence, Launch, Runtime, Session, SessionName, Status,
};
use crate::domain::shell;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Cost, Usd};
use crate::services::sessions;
use crate::services::spending::{self, BudgetView, ContextView};

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Its name, unique among live sessions.
    pub name: SessionName,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// The tmux session it runs in.
    pub tmux_session: String,
    /// How Claude runs.
    pub runtime: Runtime,
    /// The directory that Claude works in.
    pub workspace_path: String,
    /// Where it is in its life.
    pub status: Status,
    /// What Claude does.
    pub claude_status: ClaudeStatus,
    /// More about that.
    pub detail: Detail,
    /// What `claude_status` rests on, and since when.
    pub evidence: Evidence,
    /// The sources disagree, or have been silent for long.
    pub unsure: bool,
    /// The conversation's id in Claude Code.
    pub claude_session_id: Option<ConversationId>,
    /// The Claude Code it was launched with.
    pub claude_version: Option<String>,
    /// How often Claude was started again.
    pub restarts: u32,
    /// The running process.
    pub pid: Option<u32>,
    /// The task it works on.
    pub task_id: Option<TaskId>,
    /// The branch that its task's edits go to, while it works on it.
    #[serde(default)]
    pub branch: Option<String>,
    /// The permission that it waits for longest, in one line.
    pub permission_prompt: Option<String>,
    /// Permission requests that nobody has decided.
    pub pending_permissions: usize,
    /// Prompts that wait to be sent.
    pub queued_messages: usize,
    /// A process of somebody's own, in a terminal of theirs, that goes on with the same conversation:
    /// neither knows what the other is told. It can be resumed here when that one has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere_pid: Option<u32>,
    /// What it cost so far; nothing as long as that is not known.
    pub cost: Option<Cost>,
    /// Its tokens so far.
    pub tokens: Usage,
    /// How full the model's context is; nothing before a conversation's first response.
    pub context: Option<ContextView>,
    /// What it may cost; nothing if that is any sum.
    pub budget: Option<BudgetView>,
    /// How Claude is launched.
    pub launch: Launch,
    /// Whatever its creator wants to keep with it.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
}

impl SessionView {
    /// A session with what the live state knows beside it.
    pub fn of(s: Session, beside: &sessions::Beside) -> Self {
        let spending::Used { cost, context, budget } = spending::used(&s);
        Self {
            id: s.id,
            name: s.name,
            project_id: s.project_id,
            tmux_session: s.tmux_session,
            runtime: s.runtime,
            workspace_path: s.workspace_path,
            status: s.state.status,
            claude_status: s.state.claude_status,
            detail: s.state.detail,
            evidence: s.state.evidence,
            unsure: s.state.unsure,
            claude_session_id: s.state.conversation,
            claude_version: s.claude_version,
            restarts: s.state.generation.saturating_sub(1),
            pid: s.state.process.map(|p| p.pid),
            task_id: s.task_id,
            branch: beside.branch.clone(),
            permission_prompt: beside.permission_prompt.clone(),
            pending_permissions: beside.pending_permissions,
            queued_messages: beside.queued_messages,
            elsewhere_pid: beside.elsewhere_pid,
            cost,
            tokens: s.state.spending.tokens,
            context,
            budget,
            launch: s.launch,
            metadata: s.metadata,
            created_at: s.created_at,
            updated_at: s.updated_at,
        }
    }
}

/// A session with the end of its terminal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: SessionView,
    /// The last lines of its terminal, if it runs.
    pub last_output: Option<String>,
}

/// A session to create.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewSession {
    /// Its name. Made of the prompt unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<SessionName>,
    /// The project. The default one unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The first prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_prompt: Option<String>,
    /// The directory to work in: absolute, inside the project. Its root unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_path: Option<String>,
    /// How Claude is launched.
    pub launch: Launch,
    /// Whatever you want to keep with it.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What may be changed about a session.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionPatch {
    /// Replaces what is kept with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// Pauses, resumes or ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Wanted>,
    /// What it may cost in all from now on, in US dollars; `null` is any sum. One that has spent its
    /// budget takes prompts again when this is more than that.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<Usd>)]
    pub budget_usd: Option<Option<Usd>>,
}

/// What a session is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Claude runs; started with its conversation if it does not.
    Active,
    /// Set aside.
    Paused,
    /// Ended, as by `DELETE`.
    Completed,
}

/// A conversation inside a session.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConversationView {
    /// Claude Code's session id.
    pub id: ConversationId,
    /// Its transcript, once known.
    pub transcript_path: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended: `clear`, `prompt_input_exit`, `process ended`, …
    pub end_reason: Option<String>,
}

impl From<Conversation> for ConversationView {
    fn from(c: Conversation) -> Self {
        Self {
            id: c.id,
            transcript_path: c.transcript_path,
            started_at: c.started_at,
            ended_at: c.ended_at,
            end_reason: c.end_reason,
        }
    }
}

/// A prompt.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewMessage {
    /// The text.
    #[serde(alias = "content")]
    pub text: String,
    /// If Claude is not idle, keep it here and send it when it is. Else that is a conflict.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub queue: bool,
    /// Send it as it is even if it begins with `/`: a command of Claude Code's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
    /// If somebody's draft is in the input box, clear it instead of refusing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Where it comes from; `api` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<MessageSource>,
}

/// An answer to the oldest pending permission request: either just `confirm`, or `decision` with
/// all that may go with it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Yes or no.
    #[serde(default)]
    pub confirm: Option<bool>,
    /// Yes or no.
    #[serde(default)]
    pub decision: Option<Verdict>,
    /// As with a request of its own.
    #[serde(default)]
    pub message: Option<String>,
    /// As with a request of its own.
    #[serde(default)]
    pub interrupt: bool,
    /// As with a request of its own.
    #[serde(default)]
    pub for_session: bool,
    /// As with a request of its own.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub updated_input: Option<serde_json::Map<String, serde_json::Value>>,
    /// As with a request of its own.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub answers: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Confirm {
    /// The answer, if it says yes or no once.
    pub(in crate::api) fn answer(self) -> Result<Answer, Problem> {
        let decision = match (self.decision, self.confirm) {
            (Some(decision), None) => decision,
            (None, Some(true)) => Verdict::Allow,
            (None, Some(false)) => Verdict::Deny,
            (None, None) => {
                return Err(Problem::field("confirm", "missing field `confirm`, or `decision`"));
            }
            (Some(_), Some(_)) => {
                return Err(Problem::field("confirm", "goes without `decision`"));
            }
        };
        Ok(Answer {
            decision,
            message: self.message,
            interrupt: self.interrupt,
            for_session: self.for_session,
            updated_input: self.updated_input,
            answers: self.answers,
        })
    }
}

/// How to restart.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Restart {
    /// Begin a new conversation instead of resuming the last.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

/// How to fork.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fork {
    /// The new session's name; `<name>-fork` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<SessionName>,
    /// Its first prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_prompt: Option<String>,
}

/// How to attach a terminal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Attach {
    /// The command, to be pasted into a shell.
    pub command: String,
    /// The same as words.
    pub argv: Vec<String>,
    /// The tmux server's socket.
    pub socket: String,
    /// The tmux session.
    pub tmux_session: String,
}

impl Attach {
    /// The command of these words, which shows a tmux session.
    pub(in crate::api) fn of(tmux_session: String, argv: Vec<String>, socket: &Path) -> Self {
        let command = shell::command(&argv);
        Self { command, argv, socket: socket.display().to_string(), tmux_session }
    }
}

/// The end of a terminal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The text: terminal output, so hostile.
    pub output: String,
}
