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

/// A tool call that has not ended, as the reducer remembers it: the question about it may be heard
/// of later than the call itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedCall {
    /// The call.
    pub id: ToolUseId,
    /// The tool.
    pub tool: String,
    /// Digest of the input.
    pub input_digest: String,
    /// The sub-agent that calls.
    pub agent_id: Option<String>,
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
    /// Its start was confirmed: a conversation began in it.
    pub started: bool,
    /// The conversation of the running (or last) process.
    pub conversation: Option<ConversationId>,
    /// The state file's last word about the present process.
    pub file: Option<FileView>,
    /// Open permission requests, oldest first.
    pub open: Vec<OpenRequest>,
    /// Tool calls that have not ended and that no request is known for, oldest first.
    pub calls: Vec<StartedCall>,
    /// The last calls that ended: a hook may tell of the end before the transcript of the beginning.
    #[serde(default)]
    pub ended_calls: Vec<ToolUseId>,
    /// When Claude was given an answer last.
    #[serde(default)]
    pub answered_at: Option<Timestamp>,
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
            started: false,
            conversation: None,
            file: None,
            open: Vec::new(),
            calls: Vec::new(),
            ended_calls: Vec::new(),
            answered_at: None,
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

/// A session, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: super::ids::SessionId,
    /// The project it belongs to.
    pub project_id: super::ids::ProjectId,
    /// Its name, unique among live sessions.
    pub name: SessionName,
    /// Its tmux session's name.
    pub tmux_session: String,
    /// How Claude runs.
    pub runtime: Runtime,
    /// The directory that Claude works in.
    pub workspace_path: String,
    /// How Claude is launched.
    pub launch: Launch,
    /// Whatever its creator wants to keep with it.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// What `claude --version` said at the last launch.
    pub claude_version: Option<String>,
    /// Its state.
    pub state: SessionState,
    /// A person removed it: lists leave it out.
    pub hidden: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
}

impl Session {
    /// Whether its name is taken: it runs, starts or is set aside.
    pub fn is_live(&self) -> bool {
        !self.hidden
            && (self.state.claude_status != ClaudeStatus::Stopped
                || self.state.status == Status::Paused
                || self.state.process.is_some())
    }
}

/// One Claude Code conversation inside a session. `/clear`, a fork and a fresh restart begin
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Claude Code's session id.
    pub id: ConversationId,
    /// The session it runs in.
    pub session_id: super::ids::SessionId,
    /// Its transcript, once known.
    pub transcript_path: Option<String>,
    /// How far the transcript has been read into the record. Bytes.
    pub transcript_offset: u64,
    /// Which file that offset belongs to, so that a replaced file is read from its beginning.
    pub transcript_file: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

/// A session's name: safe in a tmux target, a file name, a URL and a branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
pub struct SessionName(String);

impl SessionName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let mut bytes = name.bytes();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ok = bytes.next().is_some_and(plain) && bytes.all(|b| plain(b) || b == b'-');
        if ok && name.len() <= 63 { Ok(Self(name.to_owned())) } else { Err(BadName) }
    }

    /// Makes a name out of any text, such as a prompt: its first words.
    pub fn from_text(text: &str) -> Option<Self> {
        let words: String = text
            .chars()
            .take(400)
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
            .collect();
        let mut name = String::new();
        for word in words.split_whitespace().take(5) {
            if name.len() + word.len() > 40 {
                break;
            }
            if !name.is_empty() {
                name.push('-');
            }
            name.push_str(word);
        }
        Self::new(&name).ok()
    }

    /// The name for a session about which nothing is known yet.
    pub fn fallback() -> Self {
        Self("session".to_owned())
    }

    /// The name with a number after it, for when it is taken.
    pub fn numbered(&self, n: u32) -> Self {
        let stem: String = self.0.chars().take(56).collect();
        Self(format!("{}-{n}", stem.trim_end_matches('-')))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not a session name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen")]
pub struct BadName;

impl TryFrom<String> for SessionName {
    type Error = BadName;
    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(&name)
    }
}

impl From<SessionName> for String {
    fn from(name: SessionName) -> String {
        name.0
    }
}

impl std::fmt::Display for SessionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadName, SessionName};

    #[test]
    fn names_are_checked() {
        for good in ["a", "0", "feature-auth", &"x".repeat(63)] {
            assert!(SessionName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a.b", "a:b", "é", &"x".repeat(64), "a\n", "$(x)"] {
            assert_eq!(SessionName::new(bad), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn names_are_made_of_text() {
        let name = |t| SessionName::from_text(t).map(|n| n.as_str().to_owned());
        assert_eq!(name("Fix the flaky test!"), Some("fix-the-flaky-test".into()));
        assert_eq!(name("¿¡"), None);
        let long = SessionName::new(&"x".repeat(63)).expect("a name").numbered(2);
        assert!(SessionName::new(long.as_str()).is_ok());
    }
}
