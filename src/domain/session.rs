//! Sessions: the two states that are never mixed, what they rest on, and how Claude is launched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{ConversationId, MessageId, PermissionId, ToolUseId};
use super::names::names;
use super::permission::Verdict;
use super::time::Timestamp;

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Claude runs, is being started, or can be resumed.
    Active,
    /// Set aside by a person; resumable.
    Paused,
    /// Ended on purpose.
    Completed,
    /// Ended otherwise: it could not start, crashed or was killed.
    Error,
}

/// What Claude does at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaudeStatus {
    /// The process is there or coming; no conversation yet.
    Starting,
    /// Waits for a prompt.
    Idle,
    /// Works.
    Busy,
    /// Waits for a person's decision.
    Waiting,
    /// No process.
    Stopped,
}

names!(Status { Active => "active", Paused => "paused", Completed => "completed", Error => "error" });
names!(ClaudeStatus {
    Starting => "starting", Idle => "idle", Busy => "busy", Waiting => "waiting", Stopped => "stopped",
});

/// Who told us a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Chorus itself did it (launched, ended).
    Chorus,
    /// A Claude Code hook.
    Hook,
    /// Claude Code's own `sessions/<pid>.json`.
    StateFile,
    /// Claude Code's transcript.
    Transcript,
    /// The operating system's process table.
    Process,
    /// What the terminal shows.
    Screen,
}

names!(Source {
    Chorus => "chorus", Hook => "hook", StateFile => "state_file", Transcript => "transcript",
    Process => "process", Screen => "screen",
});

/// What a status rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Who said so.
    pub source: Source,
    /// In a few words, what they said ("Stop", "idle", "exited").
    pub what: String,
    /// When the source says it happened.
    pub at: Timestamp,
}

/// More about the status, for people and for programs that care.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Detail {
    /// The tool that runs or is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Sub-agents and other background work still running after the last turn's end.
    #[serde(skip_serializing_if = "is_zero")]
    pub background: u32,
    /// The conversation is being compacted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compacting: bool,
    /// What Claude Code waits for, in its own words ("permission prompt", "input needed").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Why the last turn or the start failed, or how the process ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person can do about `error` or about a dialog that blocks the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// One process of Claude Code. A pid alone may be reused; with its start time it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (Linux: field 22 of `/proc/<pid>/stat`).
    pub start: u64,
}

/// What Claude Code's state file said last, with its own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// Its `status`.
    pub status: ClaudeStatus,
    /// Its `statusUpdatedAt`.
    pub at: Timestamp,
    /// Its `waitingFor`.
    pub waiting_for: Option<String>,
}

/// A permission request that is not settled yet, as the reducer follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// Its id.
    pub id: PermissionId,
    /// When Claude asked.
    pub asked_at: Timestamp,
    /// The tool.
    pub tool: String,
    /// Digest of the input, to find the tool call it belongs to.
    pub input_digest: String,
    /// The call it belongs to, once known.
    pub tool_use_id: Option<ToolUseId>,
    /// The sub-agent that asks.
    pub agent_id: Option<String>,
    /// What was decided, by whom it matters not here.
    pub verdict: Option<Verdict>,
    /// The answer was written to the waiting hook.
    pub delivered: bool,
    /// The waiting hook has gone: only the keyboard can answer now.
    pub hook_gone: bool,
    /// The state file has said `waiting` since this was asked: leaving it means an answer.
    pub seen_waiting: bool,
}

/// A prompt under way into the terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// The message.
    pub message: MessageId,
    /// What UserPromptSubmit must say, as a digest of the normalised text.
    pub digest: String,
    /// When the paste began.
    pub since: Timestamp,
    /// Sent with `raw`: a command of Claude Code's, which may be confirmed by its effect.
    pub raw: bool,
}

/// A session's state: what the reducer reads and writes, kept whole in one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    /// Where it is in its life.
    pub status: Status,
    /// What Claude does.
    pub claude_status: ClaudeStatus,
    /// More about it.
    pub detail: Detail,
    /// What `claude_status` rests on.
    pub evidence: Evidence,
    /// The sources disagree, or the evidence is old for a state that should move.
    pub unsure: bool,
    /// The running process, if any.
    pub process: Option<Process>,
    /// Counts the processes this session has had; a fact of an older one never moves the state.
    pub generation: u32,
    /// When the present process was launched.
    pub launched_at: Timestamp,
    /// The conversation of the running (or last) process.
    pub conversation: Option<ConversationId>,
    /// The state file's last word about the present process.
    pub file: Option<FileView>,
    /// Open permission requests, oldest first.
    pub open: Vec<OpenRequest>,
    /// The prompt that is being sent.
    pub sending: Option<Sending>,
    /// A person asked for the end: the exit that follows is `completed`, not `error`.
    pub ending: bool,
}

impl SessionState {
    /// A session that is about to be launched for the first time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            status: Status::Active,
            claude_status: ClaudeStatus::Starting,
            detail: Detail::default(),
            evidence: Evidence { source: Source::Chorus, what: "created".into(), at: now },
            unsure: false,
            process: None,
            generation: 0,
            launched_at: now,
            conversation: None,
            file: None,
            open: Vec::new(),
            sending: None,
            ending: false,
        }
    }

    /// Requests that nobody has decided yet.
    pub fn undecided(&self) -> impl Iterator<Item = &OpenRequest> {
        self.open.iter().filter(|r| r.verdict.is_none())
    }
}

/// How Claude runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// Interactive, in a tmux pane of Chorus's.
    #[default]
    Tmux,
}

names!(Runtime { Tmux => "tmux" });

/// How Claude is launched. The same for every runtime; kept with the session and used again on
/// every restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Launch {
    /// `--model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `--permission-mode`; `default` unless chosen, so that Claude asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// `--allowedTools`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_tools: Vec<String>,
    /// `--disallowedTools`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disallowed_tools: Vec<String>,
    /// `--mcp-config`, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub mcp_config: Option<serde_json::Value>,
    /// `--add-dir`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_dirs: Vec<String>,
    /// Extra environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `CLAUDE_CONFIG_DIR`: another account or configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claude_config_dir: Option<String>,
    /// `--append-system-prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_system_prompt: Option<String>,
    /// Further arguments, passed as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
}

/// Claude Code's permission modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// Ask for whatever is not allowed.
    Default,
    /// Edits inside the project need no permission.
    AcceptEdits,
    /// Read and plan only.
    Plan,
    /// Claude Code's own classifier decides.
    Auto,
    /// Deny instead of asking.
    DontAsk,
    /// Ask for nothing.
    BypassPermissions,
}

names!(PermissionMode {
    Default => "default", AcceptEdits => "acceptEdits", Plan => "plan", Auto => "auto",
    DontAsk => "dontAsk", BypassPermissions => "bypassPermissions",
});
