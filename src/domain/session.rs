//! Sessions: the two states that are never mixed, what they rest on, and how Claude is launched.

mod launch;
mod name;

pub use launch::{Launch, PermissionMode};
pub use name::{BadName, SessionName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{ConversationId, MessageId, PermissionId, TaskId, ToolUseId};
use super::names::names;
use super::permission::Verdict;
use super::time::Timestamp;
use super::usage::{Budget, BudgetLevel, Context, Spending};

/// Crashes within this time count against a session's `crash_restarts`. Milliseconds.
const CRASH_WINDOW_MS: i64 = 3_600_000;

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

/// In which order sessions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionSort {
    /// The last changed first.
    #[default]
    UpdatedAt,
    /// The last created first.
    CreatedAt,
}

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
    /// Claude Code's own log of its requests.
    Telemetry,
}

names!(Source {
    Chorus => "chorus", Hook => "hook", StateFile => "state_file", Transcript => "transcript",
    Process => "process", Screen => "screen", Telemetry => "telemetry",
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
    /// A usage limit is waited for until then; the session goes on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_until: Option<Timestamp>,
    /// How much of its budget is spent, if that is much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Claude is busy, but nothing has been heard of it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
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

/// A usage limit that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// When it was met.
    pub since: Timestamp,
    /// When it ends, or when to try again if Claude Code did not say.
    pub until: Option<Timestamp>,
    /// How often in a row it was met.
    pub tries: u32,
    /// That time has come, and Claude was asked to go on.
    pub over: bool,
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
    /// The prompt that was given up for lost last: it may turn out that Claude Code has taken it.
    #[serde(default)]
    pub lost: Option<Sending>,
    /// A person asked for the end: the exit that follows is `completed`, not `error`.
    pub ending: bool,
    /// A person asked for a pause: the exit that follows is one.
    #[serde(default)]
    pub pausing: bool,
    /// The usage limit that was met last, until a turn has ended well.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// When Claude has ended unasked, the last times.
    #[serde(default)]
    pub crashes: Vec<Timestamp>,
    /// What it has used, as the store summed it up last.
    #[serde(default)]
    pub spending: Spending,
    /// How full the model's context is; unknown before a conversation's first response.
    #[serde(default)]
    pub context: Option<Context>,
    /// Tokens that fit into the context, if Claude Code has said that they are more than usual.
    #[serde(default)]
    pub window: Option<i64>,
    /// What it may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
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
            lost: None,
            ending: false,
            pausing: false,
            limit: None,
            crashes: Vec::new(),
            spending: Spending::default(),
            context: None,
            window: None,
            budget: None,
        }
    }

    /// Whether Claude runs, starts or is set aside.
    pub fn is_live(&self) -> bool {
        self.claude_status != ClaudeStatus::Stopped
            || self.status == Status::Paused
            || self.process.is_some()
    }

    /// Whether its budget is spent: no prompt is sent then.
    pub fn is_out_of_budget(&self) -> bool {
        self.budget.is_some_and(|budget| budget.level == BudgetLevel::Spent)
    }

    /// Whether a usage limit is waited for.
    pub fn is_limited(&self) -> bool {
        self.limit.is_some_and(|limit| !limit.over)
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
    /// A person started it in a terminal of theirs; Chorus listens.
    External,
}

names!(Runtime { Tmux => "tmux", External => "external" });

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
    /// The task that it works on, or was made for.
    pub task_id: Option<TaskId>,
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
    /// Whether a person runs it in a terminal of theirs: Chorus listens and touches nothing.
    pub fn is_elsewhere(&self) -> bool {
        self.runtime == Runtime::External
    }

    /// How often it has ended unasked within the last hour.
    pub fn crashes(&self, now: Timestamp) -> u32 {
        let lately = self.state.crashes.iter().filter(|at| now.ms_since(**at) < CRASH_WINDOW_MS);
        u32::try_from(lately.count()).unwrap_or(u32::MAX)
    }

    /// Whether it has ended unasked and is to be started again by itself.
    pub fn starts_again(&self, now: Timestamp) -> bool {
        let unasked = self.state.status == Status::Error && self.state.started && !self.hidden;
        unasked && (1..=self.launch.crash_restarts).contains(&self.crashes(now))
    }

    /// Whether its name is taken: it runs, starts or is set aside.
    pub fn is_live(&self) -> bool {
        !self.hidden && self.state.is_live()
    }

    /// Whether its process of this generation, whose launch has begun, is still wanted: nobody has
    /// ended it or set it aside since.
    pub fn wants(&self, generation: u32) -> bool {
        let state = &self.state;
        let called_off = self.hidden || state.ending || state.pausing;
        state.generation == generation
            && state.claude_status != ClaudeStatus::Stopped
            && !called_off
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
