//! Observations: single facts about a session, each with its source and its source's time.

use super::ids::{ConversationId, PermissionId, Stamp, ToolUseId};
use super::permission::{DecidedBy, Decision, Verdict};
use super::session::{ClaudeStatus, Process, Sending, Source};
use super::time::Timestamp;
use super::usage::{Context, Spending, Usd};

/// One fact about one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// When it happened, by the source's clock.
    pub at: Timestamp,
    /// Who says so.
    pub source: Source,
    /// Which of the session's processes the source speaks of, if it says so. A fact of an older
    /// process is history: kept in the record, without influence on the state.
    pub generation: Option<u32>,
    /// The conversation that the source speaks of.
    pub conversation: Option<ConversationId>,
    /// The fact.
    pub fact: Fact,
}

/// Why a conversation begins (SessionStart's `source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartSource {
    /// A new process.
    Startup,
    /// An earlier conversation goes on.
    Resume,
    /// `/clear`.
    Clear,
    /// After a compaction, within the same conversation.
    Compact,
    /// Branched off from another.
    Fork,
    /// One this version of Chorus does not know.
    Other,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Chorus is about to launch a process. Everything earlier is history from here on.
    LaunchBegan {
        /// The conversation it is told to use.
        conversation: ConversationId,
    },
    /// The process runs in the session's pane.
    Launched {
        /// The process.
        process: Process,
    },
    /// Chorus could not launch one.
    LaunchFailed {
        /// Why.
        error: String,
        /// What to do about it.
        remedy: Option<String>,
    },
    /// A person asked for the session's end.
    EndRequested,
    /// A person asked for a pause.
    PauseRequested,
    /// A conversation began or goes on.
    ConversationStarted {
        /// Why.
        source: StartSource,
    },
    /// Claude Code took a prompt.
    PromptSubmitted {
        /// Digest of the prompt's exact text.
        digest: String,
        /// Nobody typed it: a background task's report.
        automatic: bool,
    },
    /// Claude Code ran one of its own commands (`/compact`), as the transcript tells.
    CommandRun,
    /// Claude asks for a permission and a hook waits for the answer.
    PermissionAsked {
        /// The id it has, or gets.
        id: PermissionId,
        /// The delivery.
        stamp: Stamp,
        /// The tool.
        tool: String,
        /// Digest of the input.
        input_digest: String,
        /// The sub-agent that asks.
        agent_id: Option<String>,
    },
    /// Somebody or a rule decided.
    PermissionDecided {
        /// Which request.
        id: PermissionId,
        /// What.
        decision: Decision,
        /// Who.
        by: DecidedBy,
    },
    /// The answer was written to the waiting hook.
    AnswerDelivered {
        /// Which request.
        id: PermissionId,
    },
    /// The waiting hook left without an answer (Claude Code ended it).
    HookGone {
        /// Which request.
        id: PermissionId,
    },
    /// The model responded, as the transcript tells; its context is that full now.
    Responded(Context),
    /// Claude Code has named its model, and with it the size of the context if that is a special one.
    WindowTold(Option<i64>),
    /// The store has summed up what the session used so far.
    Spent(Spending),
    /// Somebody set the session's budget, or took it away.
    BudgetSet(Option<Usd>),
    /// The transcript shows that Claude Code obeyed a hook's decision.
    DecisionHonoured {
        /// The call.
        tool_use: ToolUseId,
        /// Yes or no.
        verdict: Verdict,
    },
    /// The model asked for a tool.
    ToolStarted {
        /// The call.
        tool_use: ToolUseId,
        /// The tool.
        tool: String,
        /// Digest of its input.
        input_digest: String,
        /// The sub-agent that calls.
        agent_id: Option<String>,
    },
    /// A tool call ended.
    ToolFinished {
        /// The call.
        tool_use: ToolUseId,
        /// It did not run, because it was refused.
        denied: bool,
    },
    /// The turn ended.
    TurnEnded {
        /// Work that goes on in the background.
        background: u32,
    },
    /// The turn ended in an error.
    TurnFailed {
        /// Claude Code's kind (`rate_limit`, `server_error`, …).
        kind: String,
        /// The text it showed.
        message: String,
        /// When the usage limit ends that it met, if the text says so.
        resets_at: Option<Timestamp>,
    },
    /// Somebody interrupted the turn, as the transcript tells.
    Interrupted,
    /// A conversation ended.
    ConversationEnded {
        /// `clear`, `prompt_input_exit`, `other`, …
        reason: String,
    },
    /// Compaction began or ended.
    Compacting {
        /// Began.
        began: bool,
    },
    /// A sub-agent began or ended.
    Subagent {
        /// Began.
        began: bool,
    },
    /// Claude Code notifies its user.
    Notified {
        /// `permission_prompt`, `idle_prompt`, `agent_needs_input`, …
        kind: String,
        /// Its words.
        message: String,
    },
    /// The state file says.
    StateFile {
        /// Its status.
        status: ClaudeStatus,
        /// What it waits for.
        waiting_for: Option<String>,
    },
    /// The process is gone.
    ProcessGone {
        /// How it ended, in words, if known.
        how: Option<String>,
        /// It left with exit code 0 or by a command of its user's.
        orderly: bool,
    },
    /// A dialog blocks the start, as the screen shows.
    StartBlocked {
        /// Which.
        dialog: String,
        /// What to do about it.
        remedy: String,
    },
    /// The screen shows a conversation's input box, while nothing else has confirmed the start.
    StartSeen {
        /// What Claude does, as the screen shows.
        status: ClaudeStatus,
    },
    /// A prompt is about to be pasted.
    SendBegan(Sending),
    /// It could not be delivered.
    SendFailed {
        /// Which message.
        message: super::ids::MessageId,
        /// Why.
        error: String,
    },
    /// Time has passed: what is overdue becomes true now.
    Tick {
        /// Since when nothing has been heard of Claude, if that is long.
        quiet_since: Option<Timestamp>,
        /// How long to wait for a usage limit whose end is not known. Milliseconds; 0 is for ever.
        limit_retry_ms: i64,
        /// A request that nobody has decided for this long has expired. Milliseconds.
        decision_limit_ms: i64,
    },
    /// A hook that this version of Chorus knows nothing of, or that needs no reaction.
    Noted,
}
