//! The reducer: one pure function from a session's state and one observation to the next state
//! and what follows from it.
//!
//! No source is right about everything, so each fact has an authority (`ARCHITECTURE.md` has the
//! table). Hooks make a status immediate; the state file, which also covers the turns that end
//! without any hook, has the last word; the process table alone says who is dead. Time decides
//! between two claims about the same thing: an older one never replaces a newer one.

mod budget;
mod clock;
mod limits;
mod permissions;
mod sources;

use super::ids::{ConversationId, MessageId, PermissionId, ToolUseId};
use super::observation::{Fact, Observation, StartSource};
use super::permission::{DecidedBy, PermissionStatus, Verdict};
use super::session::{ClaudeStatus, Detail, Evidence, SessionState, Source, Status};
use super::time::Timestamp;

/// A status from a hook that the state file contradicts is given up after this long. Milliseconds.
///
/// Both describe the same moment, but the file is written a little before or after the hook runs.
pub const FILE_WINS_AFTER_MS: i64 = 3_000;

/// A start that nothing has confirmed for this long has failed. Milliseconds.
pub const START_LIMIT_MS: i64 = 120_000;

/// How long a start is left to its hook before the screen may confirm it: longer than Claude Code lets
/// that hook run. Milliseconds.
const START_HOOK_MS: i64 = 6_000;

/// The state file's time and a hook's time of the same moment differ by up to this, in either
/// direction (measured: -118 to +90). Milliseconds.
const SKEW_MS: i64 = 250;

/// The transcript shows that a decision was obeyed up to 0.4 s after the turn has ended (measured);
/// after this long it will not. Milliseconds.
const PROOF_LIMIT_MS: i64 = 5_000;

/// Claude Code may be heard to have taken a prompt that was given up for lost. After this long since its
/// sending, the same text is somebody's who typed it. Milliseconds.
const LATE_MS: i64 = 60_000;

/// Without a state file, a status that should move is doubted after this long. Milliseconds.
const DOUBT_AFTER_MS: i64 = 60_000;

/// What follows from an observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The session's life moved.
    Status {
        /// From.
        old: Status,
        /// To.
        new: Status,
    },
    /// Claude's activity, or what is known about it, moved.
    Activity {
        /// From; equal to `new` if only the detail moved, or the doubt.
        old: ClaudeStatus,
        /// To.
        new: ClaudeStatus,
    },
    /// A conversation began in this session.
    ConversationStarted(ConversationId),
    /// A conversation ended.
    ConversationEnded {
        /// Which.
        id: ConversationId,
        /// Why.
        reason: String,
    },
    /// A permission request moved on.
    Permission {
        /// Which.
        id: PermissionId,
        /// To.
        status: PermissionStatus,
        /// If it was decided by this: the verdict, as far as it is known, and who.
        decided: Option<(Option<Verdict>, DecidedBy)>,
    },
    /// The call that a request belongs to became known.
    RequestMatched {
        /// The request.
        id: PermissionId,
        /// The call.
        tool_use: ToolUseId,
    },
    /// A prompt arrived.
    Delivered(MessageId),
    /// A prompt that was given up for lost has arrived all the same.
    TakenBack(MessageId),
    /// The session's budget is spent.
    BudgetSpent,
    /// The turn that is going on is to be interrupted.
    Stop,
    /// Prompts that were held back may be sent.
    MaySend,
    /// The usage limit that was waited for is over: Claude is to go on.
    LimitOver,
    /// A prompt did not arrive.
    Undelivered {
        /// Which.
        message: MessageId,
        /// Why.
        error: String,
    },
}

/// Whether an observation is of the present process, so that it may move the state.
pub fn is_current(state: &SessionState, o: &Observation) -> bool {
    o.generation.is_none_or(|g| g == state.generation)
}

/// Moves `state` by one observation made known at `now`, and tells what follows.
pub fn reduce(state: &mut SessionState, o: &Observation, now: Timestamp) -> Vec<Change> {
    clock::set_back(state, now);
    let mut step = Step {
        old: (state.status, state.claude_status, state.detail.clone(), state.unsure),
        state,
        changes: Vec::new(),
    };
    if is_current(step.state, o) {
        step.apply(o, now);
        let limit = step.state.limit.filter(|limit| !limit.over);
        step.state.detail.limit_until = limit.and_then(|limit| limit.until);
        step.look_at_budget(now);
    }
    step.finish()
}

struct Step<'a> {
    state: &'a mut SessionState,
    old: (Status, ClaudeStatus, Detail, bool),
    changes: Vec<Change>,
}

impl Step<'_> {
    fn apply(&mut self, o: &Observation, now: Timestamp) {
        match &o.fact {
            Fact::LaunchBegan { conversation } => self.launch_began(conversation, o.at),
            Fact::Launched { process } => self.state.process = Some(*process),
            Fact::LaunchFailed { error, remedy } => {
                self.claim(ClaudeStatus::Stopped, o, "launch failed");
                self.state.status = Status::Error;
                self.state.detail.error = Some(error.clone());
                self.state.detail.remedy = remedy.clone();
            }
            Fact::EndRequested => self.state.ending = true,
            Fact::PauseRequested => {
                self.state.pausing = true;
                if self.state.process.is_none() {
                    self.state.status = Status::Paused;
                }
            }
            Fact::ConversationStarted { source } => self.conversation_started(*source, o),
            Fact::ConversationEnded { reason } => self.conversation_ended(reason, o),
            Fact::PermissionAsked { id, tool, input_digest, agent_id, .. } => {
                self.asked(*id, tool, input_digest, agent_id.as_deref(), o);
            }
            Fact::PermissionDecided { id, decision, by } => {
                if let Some(r) =
                    self.state.open.iter_mut().find(|r| r.id == *id && r.verdict.is_none())
                {
                    r.verdict = Some(decision.verdict);
                    self.changes.push(Change::Permission {
                        id: *id,
                        status: PermissionStatus::Decided,
                        decided: Some((Some(decision.verdict), *by)),
                    });
                }
            }
            Fact::AnswerDelivered { id } => self.answer_delivered(*id, o),
            Fact::HookGone { id } => self.hook_gone(*id),
            Fact::DecisionHonoured { tool_use, verdict } => self.honoured(tool_use, *verdict),
            Fact::ToolStarted { tool_use, tool, input_digest, agent_id } => {
                self.tool_started(tool_use, tool, input_digest, agent_id.as_deref(), o);
            }
            Fact::ToolFinished { tool_use, denied } => self.tool_finished(tool_use, *denied, o),
            Fact::WindowTold(window) => self.state.window = *window,
            Fact::Spent(spending) => self.state.spending = *spending,
            Fact::BudgetSet(limit) => self.budget_set(*limit),
            _ if !self.of_this_conversation(o) => {}
            Fact::Responded(context) => self.state.context = Some(context.clone()),
            Fact::PromptSubmitted { digest, .. } => self.prompt_submitted(digest, o),
            Fact::CommandRun => {
                if self.state.sending.as_ref().is_some_and(|s| s.raw && o.at >= s.since) {
                    self.delivered();
                }
            }
            Fact::TurnEnded { background } => self.turn_ended(*background, o),
            Fact::TurnFailed { kind, message, resets_at } => {
                if self.ends(o, "turn failed") {
                    if kind == "rate_limit" || resets_at.is_some() {
                        self.limited(*resets_at, o);
                    }
                    self.settle_undecided(PermissionStatus::Cancelled, o.at);
                    self.state.detail.error = Some(format!("{kind}: {message}"));
                    self.state.detail.remedy = Some(turn_remedy(kind).to_owned());
                }
            }
            Fact::Interrupted => {
                // With a queue, Claude Code goes on at once, and its file says so a moment before
                // the transcript tells of the interruption.
                let goes_on = self.state.file.as_ref().is_some_and(|f| {
                    f.status == ClaudeStatus::Busy && f.at.plus_ms(SKEW_MS) >= o.at
                });
                if !goes_on && self.claim(ClaudeStatus::Idle, o, "interrupted") {
                    self.answered_in_terminal(o.at);
                }
            }
            Fact::Compacting { began } => {
                if *began {
                    self.claim(ClaudeStatus::Busy, o, "compacting");
                    if self.state.sending.as_ref().is_some_and(|s| s.raw) {
                        self.delivered();
                    }
                }
                self.state.detail.compacting = *began;
                if !*began {
                    // The next response tells.
                    self.state.context = None;
                }
            }
            Fact::Subagent { began } => {
                if o.at >= self.state.evidence.at {
                    let n = &mut self.state.detail.background;
                    // Only a Stop counts what runs in the background; in between, keep in step.
                    if !*began {
                        *n = n.saturating_sub(1);
                    }
                }
            }
            Fact::Notified { kind, message } => self.notified(kind, message, o),
            Fact::StateFile { status, waiting_for } => {
                self.state_file(*status, waiting_for.clone(), o, now)
            }
            Fact::ProcessGone { how, orderly } => self.process_gone(how.as_deref(), *orderly, o),
            Fact::StartBlocked { dialog, remedy } => {
                if !self.state.started {
                    self.claim(ClaudeStatus::Waiting, o, dialog);
                    self.state.detail.waiting_for = Some(dialog.clone());
                    self.state.detail.remedy = Some(remedy.clone());
                } else if self.state.claude_status == ClaudeStatus::Idle {
                    // Without a login Claude Code is idle as well, but no prompt gets an answer.
                    self.state.detail.error = Some(dialog.clone());
                    self.state.detail.remedy = Some(remedy.clone());
                }
            }
            Fact::StartSeen { status } => {
                if !self.state.started && o.at.ms_since(self.state.launched_at) >= START_HOOK_MS {
                    self.begun();
                    self.claim(*status, o, "input box");
                }
            }
            Fact::SendBegan(sending) => {
                // Of two with the same text, the one that is sent now is what Claude Code takes.
                self.state.lost.take_if(|lost| lost.digest == sending.digest);
                self.state.sending = Some(sending.clone());
            }
            Fact::SendFailed { message, error } => {
                if self.state.sending.as_ref().is_some_and(|s| s.message == *message) {
                    self.undelivered(error);
                }
            }
            Fact::Tick { quiet_since, limit_retry_ms, decision_limit_ms } => {
                self.tick(*quiet_since, *decision_limit_ms, now);
                self.look_at_limit(*limit_retry_ms, now);
            }
            Fact::Noted => {}
        }
    }

    /// Takes over a status, unless a newer claim stands. Tells whether it did.
    fn claim(&mut self, status: ClaudeStatus, o: &Observation, what: &str) -> bool {
        let s = &mut *self.state;
        if o.at < s.evidence.at
            || (s.claude_status == ClaudeStatus::Stopped
                && s.process.is_none()
                && s.generation > 0
                && o.source != Source::Chorus)
        {
            return false;
        }
        if s.claude_status != status || status == ClaudeStatus::Busy && what == "UserPromptSubmit" {
            let background = if status == ClaudeStatus::Busy { s.detail.background } else { 0 };
            s.detail = Detail {
                background,
                compacting: s.detail.compacting && status == ClaudeStatus::Busy,
                ..Detail::default()
            };
        }
        s.claude_status = status;
        s.evidence = Evidence { source: o.source, what: what.to_owned(), at: o.at };
        s.unsure = false;
        true
    }

    /// A turn's end. The state file may have told of the very same one already, and its time may be
    /// a little later than the hook's, which says more.
    fn ends(&mut self, o: &Observation, what: &str) -> bool {
        let e = &self.state.evidence;
        let told = self.state.claude_status == ClaudeStatus::Idle
            && e.source == Source::StateFile
            && (e.at.0 - SKEW_MS..=e.at.0).contains(&o.at.0);
        told || self.claim(ClaudeStatus::Idle, o, what)
    }

    fn of_this_conversation(&self, o: &Observation) -> bool {
        match (&o.conversation, &self.state.conversation) {
            (Some(theirs), Some(ours)) => theirs == ours || o.source == Source::StateFile,
            _ => true,
        }
    }

    fn launch_began(&mut self, conversation: &ConversationId, at: Timestamp) {
        self.settle_undecided(PermissionStatus::Cancelled, Timestamp(i64::MAX));
        self.settle_unproved();
        self.state.calls.clear();
        let s = &mut *self.state;
        s.generation += 1;
        s.status = Status::Active;
        s.claude_status = ClaudeStatus::Starting;
        s.detail = Detail::default();
        s.evidence = Evidence { source: Source::Chorus, what: "launched".into(), at };
        s.unsure = false;
        s.process = None;
        s.launched_at = at;
        s.started = false;
        s.file = None;
        s.ending = false;
        s.pausing = false;
        s.limit = None;
        s.lost = None;
        if s.conversation.as_ref() == Some(conversation) {
            // It has ended with the process, and goes on.
            self.changes.push(Change::ConversationStarted(conversation.clone()));
        }
        self.switch_conversation(conversation);
    }

    fn switch_conversation(&mut self, to: &ConversationId) {
        if self.state.conversation.as_ref() != Some(to) {
            self.state.conversation = Some(to.clone());
            self.state.context = None;
            self.changes.push(Change::ConversationStarted(to.clone()));
        }
    }

    fn conversation_started(&mut self, source: StartSource, o: &Observation) {
        if o.at < self.state.launched_at {
            return;
        }
        if let Some(id) = &o.conversation {
            if self.state.conversation.as_ref() != Some(id) {
                self.settle_undecided(PermissionStatus::Cancelled, o.at);
            }
            self.switch_conversation(id);
        }
        if source == StartSource::Clear {
            // `/clear` has no hook of its own before this: it is how a raw send is confirmed.
            if self.state.sending.as_ref().is_some_and(|s| s.raw) {
                self.delivered();
            }
        }
        self.begun();
        if source != StartSource::Compact {
            self.claim(ClaudeStatus::Idle, o, "SessionStart");
        }
    }

    /// The start is confirmed: Claude is past every dialog that could block it.
    fn begun(&mut self) {
        self.state.started = true;
        if self.state.status == Status::Error {
            self.state.status = Status::Active;
        }
    }

    fn conversation_ended(&mut self, reason: &str, o: &Observation) {
        if let Some(id) = o.conversation.clone().or_else(|| self.state.conversation.clone()) {
            self.changes.push(Change::ConversationEnded { id, reason: reason.to_owned() });
        }
        let ours = self.of_this_conversation(o);
        // After `/clear` and `/resume` the process goes on with another conversation.
        if ours
            && !matches!(reason, "clear" | "resume")
            && self.claim(ClaudeStatus::Stopped, o, "SessionEnd")
        {
            self.settle_undecided(PermissionStatus::Cancelled, o.at);
            if reason == "prompt_input_exit" || reason == "logout" {
                self.state.ending = true;
            }
        }
    }

    fn prompt_submitted(&mut self, digest: &str, o: &Observation) {
        if o.at >= self.state.launched_at {
            self.begun();
        }
        self.claim(ClaudeStatus::Busy, o, "UserPromptSubmit");
        if self.state.sending.as_ref().is_some_and(|s| s.digest == digest && o.at >= s.since) {
            self.delivered();
        } else if let Some(lost) = self
            .state
            .lost
            .take_if(|s| s.digest == digest && (0..LATE_MS).contains(&o.at.ms_since(s.since)))
        {
            self.changes.push(Change::TakenBack(lost.message));
        }
    }

    fn turn_ended(&mut self, background: u32, o: &Observation) {
        let ended = if background > 0 {
            self.claim(ClaudeStatus::Busy, o, "Stop with background work")
        } else {
            self.ends(o, "Stop")
        };
        if ended {
            self.state.detail.background = background;
            self.state.detail.tool = None;
            self.state.limit = None;
            if background == 0 {
                self.state.calls.clear();
                self.answered_in_terminal(o.at);
            }
        }
    }

    fn notified(&mut self, kind: &str, message: &str, o: &Observation) {
        match kind {
            // Says only that the user has been quiet for a minute: never evidence of a new state.
            "idle_prompt"
                if self.state.claude_status == ClaudeStatus::Busy && self.state.file.is_none() =>
            {
                self.claim(ClaudeStatus::Idle, o, "idle_prompt");
            }
            // Six seconds late by design, so it may well arrive after the answer.
            "permission_prompt" | "agent_needs_input"
                if self.state.file.is_none() && self.claim(ClaudeStatus::Waiting, o, kind) =>
            {
                self.state.detail.waiting_for = Some(message.to_owned());
            }
            _ => {}
        }
    }

    // --- prompts under way -----------------------------------------------------------------

    fn delivered(&mut self) {
        if let Some(s) = self.state.sending.take() {
            self.changes.push(Change::Delivered(s.message));
        }
    }

    fn undelivered(&mut self, error: &str) {
        if let Some(s) = self.state.sending.take() {
            self.changes.push(Change::Undelivered { message: s.message, error: error.to_owned() });
            self.state.lost = Some(s);
        }
    }

    fn finish(mut self) -> Vec<Change> {
        let (status, activity, detail, unsure) = &self.old;
        if *status != self.state.status {
            self.changes.push(Change::Status { old: *status, new: self.state.status });
        }
        let s = &*self.state;
        if *activity != s.claude_status || *detail != s.detail || *unsure != s.unsure {
            self.changes.push(Change::Activity { old: *activity, new: s.claude_status });
        }
        self.changes
    }
}

fn turn_remedy(kind: &str) -> &'static str {
    match kind {
        "rate_limit" => "the session goes on by itself when the limit is over",
        "overloaded" | "server_error" => "the service had trouble: send the prompt again",
        "authentication_failed" | "oauth_org_not_allowed" => {
            "log in again: `chorus attach`, then /login"
        }
        "billing_error" => "check the account's credit, then send the prompt again",
        "model_not_found" => "restart the session with another --model",
        "max_output_tokens" => "ask for a shorter answer",
        _ => "read the error, then send the prompt again",
    }
}

#[cfg(test)]
mod tests;
