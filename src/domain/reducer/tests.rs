//! The reducer's table: what each source may say, and what it may not.

mod budget;
mod clock;

use super::{Change, reduce};
use crate::domain::ids::{ConversationId, MessageId, PermissionId, Stamp, ToolUseId};
use crate::domain::observation::{Fact, Observation, StartSource};
use crate::domain::permission::{DecidedBy, Decision, PermissionStatus};
use crate::domain::session::{ClaudeStatus, Process, Sending, SessionState, Source, Status};
use crate::domain::time::Timestamp;

/// Time passes, and nothing expires.
const TICK: Fact =
    Fact::Tick { quiet_since: None, limit_retry_ms: 60_000, decision_limit_ms: 86_400_000 };

/// A session and a clock that its tests move by hand. Milliseconds.
struct Story {
    state: SessionState,
    now: i64,
}

fn conversation(name: &str) -> ConversationId {
    ConversationId(name.to_owned())
}

impl Story {
    /// A session whose Claude has started and is idle at 1,000 ms.
    fn idle() -> Self {
        let mut story = Self { state: SessionState::new(Timestamp(0)), now: 0 };
        story.tell(Source::Chorus, 0, Fact::LaunchBegan { conversation: conversation("c1") });
        story.tell(Source::Chorus, 10, Fact::Launched { process: Process { pid: 7, start: 1 } });
        story.tell(Source::Hook, 1_000, Fact::ConversationStarted { source: StartSource::Startup });
        assert_eq!(story.state.claude_status, ClaudeStatus::Idle);
        story
    }

    fn busy() -> Self {
        let mut story = Self::idle();
        story.hook(2_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
        assert_eq!(story.state.claude_status, ClaudeStatus::Busy);
        story
    }

    fn tell(&mut self, source: Source, at: i64, fact: Fact) -> Vec<Change> {
        self.now = self.now.max(at);
        let o =
            Observation { at: Timestamp(at), source, generation: None, conversation: None, fact };
        reduce(&mut self.state, &o, Timestamp(self.now))
    }

    fn hook(&mut self, at: i64, fact: Fact) -> Vec<Change> {
        self.tell(Source::Hook, at, fact)
    }

    fn file(&mut self, at: i64, status: ClaudeStatus) -> Vec<Change> {
        self.tell(Source::StateFile, at, Fact::StateFile { status, waiting_for: None })
    }

    fn ask(&mut self, at: i64) -> PermissionId {
        let id = PermissionId::new();
        self.hook(
            at,
            Fact::PermissionAsked {
                id,
                stamp: Stamp::new(),
                tool: "Bash".into(),
                input_digest: "i".into(),
                agent_id: None,
            },
        );
        assert_eq!(self.state.claude_status, ClaudeStatus::Waiting);
        id
    }

    fn allow(&mut self, at: i64, id: PermissionId) {
        let fact = Fact::PermissionDecided { id, decision: Decision::allow(), by: DecidedBy::Api };
        self.tell(Source::Chorus, at, fact);
        self.hook(at + 1, Fact::AnswerDelivered { id });
    }

    fn status(&self) -> ClaudeStatus {
        self.state.claude_status
    }
}

fn fates(changes: &[Change]) -> Vec<PermissionStatus> {
    let fate = |c: &Change| match c {
        Change::Permission { status, .. } => Some(*status),
        _ => None,
    };
    changes.iter().filter_map(fate).collect()
}

#[test]
fn a_turn_that_ends_without_any_hook_is_ended_by_the_state_file() {
    let mut s = Story::busy();
    s.file(2_050, ClaudeStatus::Busy);
    s.file(9_000, ClaudeStatus::Idle);
    assert_eq!((s.status(), s.state.evidence.source), (ClaudeStatus::Idle, Source::StateFile));
}

#[test]
fn a_late_notification_changes_nothing() {
    let mut s = Story::busy();
    s.file(2_050, ClaudeStatus::Busy);
    let late = Fact::Notified { kind: "permission_prompt".into(), message: "?".into() };
    assert_eq!(s.hook(1_500, late.clone()), []);
    assert_eq!(s.hook(2_500, late), []);
    assert_eq!(s.status(), ClaudeStatus::Busy);
}

#[test]
fn a_hook_of_an_older_process_is_history() {
    let mut s = Story::busy();
    let o = Observation {
        at: Timestamp(9_000),
        source: Source::Hook,
        generation: Some(0),
        conversation: None,
        fact: Fact::TurnEnded { background: 0 },
    };
    assert_eq!(reduce(&mut s.state, &o, Timestamp(9_000)), []);
    assert_eq!(s.status(), ClaudeStatus::Busy);
}

#[test]
fn a_hook_of_an_older_conversation_is_history() {
    let mut s = Story::busy();
    let o = Observation {
        at: Timestamp(9_000),
        source: Source::Hook,
        generation: Some(1),
        conversation: Some(conversation("before /clear")),
        fact: Fact::TurnEnded { background: 0 },
    };
    reduce(&mut s.state, &o, Timestamp(9_000));
    assert_eq!(s.status(), ClaudeStatus::Busy);
}

#[test]
fn a_stop_with_work_in_the_background_is_still_busy() {
    let mut s = Story::busy();
    s.hook(3_000, Fact::TurnEnded { background: 2 });
    assert_eq!((s.status(), s.state.detail.background), (ClaudeStatus::Busy, 2));
    s.hook(4_000, Fact::TurnEnded { background: 0 });
    assert_eq!(s.status(), ClaudeStatus::Idle);
}

#[test]
fn a_later_hook_of_a_sub_agent_does_not_hide_an_open_question() {
    let mut s = Story::busy();
    s.ask(3_000);
    s.hook(3_500, Fact::ToolFinished { tool_use: ToolUseId("other".into()), denied: false });
    assert_eq!(s.status(), ClaudeStatus::Waiting);
    // The main agent's file may say busy meanwhile: the waiting hook proves the question.
    s.file(3_600, ClaudeStatus::Busy);
    assert_eq!(s.status(), ClaudeStatus::Waiting);
}

#[test]
fn an_allowance_is_followed_until_claude_has_obeyed() {
    let mut s = Story::busy();
    let tool_use = ToolUseId("t1".into());
    s.tell(
        Source::Transcript,
        2_900,
        Fact::ToolStarted {
            tool_use: tool_use.clone(),
            tool: "Bash".into(),
            input_digest: "i".into(),
            agent_id: None,
        },
    );
    let id = s.ask(3_000);
    s.allow(4_000, id);
    assert_eq!(s.status(), ClaudeStatus::Busy);
    let changes = s.hook(4_500, Fact::ToolFinished { tool_use, denied: false });
    assert_eq!(fates(&changes), [PermissionStatus::Honoured]);
    assert!(s.state.open.is_empty());
}

#[test]
fn an_answer_without_a_trace_is_settled_some_time_after_the_turn_or_the_process() {
    let cancelled = [PermissionStatus::Cancelled];
    let ends: [fn(&mut Story); 2] = [
        |s| drop(s.hook(4_000, Fact::TurnEnded { background: 0 })),
        |s| drop(s.tell(Source::Process, 4_000, Fact::ProcessGone { how: None, orderly: false })),
    ];
    for end in ends {
        let mut s = Story::busy();
        let id = s.ask(3_000);
        s.allow(3_500, id);
        end(&mut s);
        assert_eq!(fates(&s.tell(Source::Chorus, 8_900, TICK)), [], "the transcript may tell");
        assert_eq!(fates(&s.tell(Source::Chorus, 9_100, TICK)), cancelled);
        assert_eq!(s.state.open, []);
        assert_eq!(fates(&s.tell(Source::Chorus, 9_200, TICK)), []);
    }
    let mut s = Story::busy();
    let id = s.ask(3_000);
    s.allow(3_500, id);
    s.tell(Source::Process, 4_000, Fact::ProcessGone { how: None, orderly: false });
    let launch = Fact::LaunchBegan { conversation: conversation("c1") };
    assert_eq!(fates(&s.tell(Source::Chorus, 5_000, launch)), cancelled);
}

#[test]
fn the_end_of_the_dialog_without_us_is_an_answer_at_the_terminal() {
    let mut s = Story::busy();
    s.ask(3_000);
    s.file(3_050, ClaudeStatus::Waiting);
    let changes = s.file(8_000, ClaudeStatus::Idle);
    assert_eq!(fates(&changes), [PermissionStatus::AnsweredInTerminal]);
    assert_eq!(s.status(), ClaudeStatus::Idle);
}

#[test]
fn a_dialog_that_the_file_tells_of_after_our_answer_is_the_answered_one() {
    let mut s = Story::busy();
    let id = s.ask(3_000);
    s.allow(3_020, id);
    s.file(3_090, ClaudeStatus::Waiting);
    assert_eq!(s.status(), ClaudeStatus::Busy);
}

#[test]
fn a_new_question_settles_the_one_before() {
    let mut s = Story::busy();
    s.ask(3_000);
    let id = PermissionId::new();
    let changes = s.hook(
        5_000,
        Fact::PermissionAsked {
            id,
            stamp: Stamp::new(),
            tool: "Write".into(),
            input_digest: "j".into(),
            agent_id: None,
        },
    );
    assert_eq!(fates(&changes), [PermissionStatus::AnsweredInTerminal]);
    assert_eq!(s.state.open.len(), 1);
}

#[test]
fn a_file_that_contradicts_a_hook_for_long_wins() {
    let mut s = Story::idle();
    s.file(1_500, ClaudeStatus::Idle);
    // Another hook blocked the prompt: Claude never became busy, and no file was written.
    s.hook(2_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
    assert_eq!(s.status(), ClaudeStatus::Busy);
    s.tell(Source::Chorus, 4_000, TICK);
    assert_eq!(s.status(), ClaudeStatus::Busy);
    s.tell(Source::Chorus, 6_000, TICK);
    assert_eq!(s.status(), ClaudeStatus::Idle);
}

#[test]
fn an_interruption_with_a_queue_goes_on() {
    let mut s = Story::busy();
    s.file(5_000, ClaudeStatus::Busy);
    s.tell(Source::Transcript, 5_044, Fact::Interrupted);
    assert_eq!(s.status(), ClaudeStatus::Busy);
    s.tell(Source::Transcript, 9_000, Fact::Interrupted);
    assert_eq!(s.status(), ClaudeStatus::Idle);
}

#[test]
fn a_death_nobody_asked_for_is_an_error_with_a_remedy() {
    let mut s = Story::busy();
    s.ask(3_000);
    let how = Some("killed by signal 9".to_owned());
    let changes = s.tell(Source::Process, 4_000, Fact::ProcessGone { how, orderly: false });
    assert_eq!(fates(&changes), [PermissionStatus::Cancelled]);
    assert_eq!((s.status(), s.state.status), (ClaudeStatus::Stopped, Status::Error));
    assert!(s.state.detail.error.is_some() && s.state.detail.remedy.is_some());
}

#[test]
fn a_death_that_is_noticed_twice_counts_once() {
    let mut s = Story::idle();
    for at in [3_000, 3_001] {
        let how = Some("killed by signal 9".to_owned());
        s.tell(Source::Process, at, Fact::ProcessGone { how, orderly: false });
    }
    assert_eq!(s.state.crashes, [Timestamp(3_000)]);
    assert_eq!(s.state.evidence.at, Timestamp(3_000));
}

#[test]
fn an_exit_by_its_user_is_no_error() {
    let mut s = Story::idle();
    s.hook(3_000, Fact::ConversationEnded { reason: "prompt_input_exit".into() });
    assert_eq!(s.status(), ClaudeStatus::Stopped);
    s.tell(Source::Process, 3_100, Fact::ProcessGone { how: None, orderly: false });
    assert_eq!(s.state.status, Status::Completed);
}

#[test]
fn a_prompt_is_delivered_by_the_very_text_only() {
    let mut s = Story::idle();
    let message = MessageId::new();
    let sending = Sending { message, digest: "ours".into(), since: Timestamp(2_000), raw: false };
    s.tell(Source::Chorus, 2_000, Fact::SendBegan(sending));
    let submitted =
        |digest: &str| Fact::PromptSubmitted { digest: digest.into(), automatic: false };
    assert!(!s.hook(2_100, submitted("theirs")).contains(&Change::Delivered(message)));
    assert!(s.hook(2_200, submitted("ours")).contains(&Change::Delivered(message)));
    assert!(!s.hook(2_300, submitted("ours")).contains(&Change::Delivered(message)));
}

fn sending(digest: &str, since: i64) -> Sending {
    let message = MessageId::new();
    Sending { message, digest: digest.into(), since: Timestamp(since), raw: false }
}

impl Story {
    /// Sends a prompt and gives it up after 10 s.
    fn lose(&mut self, at: i64) -> MessageId {
        let sent = sending("d", at);
        let message = sent.message;
        self.tell(Source::Chorus, at, Fact::SendBegan(sent));
        let failed = Fact::SendFailed { message, error: "not confirmed".into() };
        self.tell(Source::Chorus, at + 10_000, failed);
        message
    }

    fn take(&mut self, at: i64) -> Vec<Change> {
        let mut changes =
            self.hook(at, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
        changes.retain(|c| matches!(c, Change::Delivered(_) | Change::TakenBack(_)));
        changes
    }
}

#[test]
fn a_prompt_that_was_given_up_for_lost_is_taken_back_once_and_soon_only() {
    let mut s = Story::idle();
    let lost = s.lose(2_000);
    assert_eq!(s.take(30_000), [Change::TakenBack(lost)]);
    assert_eq!(s.take(30_400), [], "the transcript tells of the same one");
    let mut s = Story::idle();
    s.lose(2_000);
    assert_eq!(s.take(62_000), [], "somebody has typed it");
    let mut s = Story::idle();
    s.lose(2_000);
    assert_eq!(s.take(1_900), [], "what was said before it was sent is another's");
}

#[test]
fn of_two_prompts_with_the_same_text_the_one_that_was_sent_again_arrives() {
    let mut s = Story::idle();
    s.lose(2_000);
    let again = sending("d", 20_000);
    s.tell(Source::Chorus, 20_000, Fact::SendBegan(again.clone()));
    assert_eq!(s.take(20_100), [Change::Delivered(again.message)]);
    assert_eq!(s.take(20_500), [], "the transcript tells of the same one");
}

#[test]
fn a_start_that_nothing_confirms_has_failed_and_may_still_succeed() {
    let mut s = Story { state: SessionState::new(Timestamp(0)), now: 0 };
    s.tell(Source::Chorus, 0, Fact::LaunchBegan { conversation: conversation("c1") });
    let blocked = Fact::StartBlocked { dialog: "trust".into(), remedy: "answer".into() };
    s.tell(Source::Screen, 5_000, blocked);
    assert_eq!(s.status(), ClaudeStatus::Waiting);
    s.hook(200_000, Fact::ConversationStarted { source: StartSource::Startup });
    assert_eq!((s.status(), s.state.status), (ClaudeStatus::Idle, Status::Active));
    let mut silent = Story { state: SessionState::new(Timestamp(0)), now: 0 };
    silent.tell(Source::Chorus, 0, Fact::LaunchBegan { conversation: conversation("c2") });
    silent.tell(Source::Chorus, 121_000, TICK);
    assert_eq!(silent.state.status, Status::Error);
}

#[test]
fn a_start_whose_hook_was_lost_is_confirmed_by_the_screen_or_by_a_prompt() {
    let launched = || {
        let mut s = Story { state: SessionState::new(Timestamp(0)), now: 0 };
        s.tell(Source::Chorus, 0, Fact::LaunchBegan { conversation: conversation("c1") });
        s.file(4_000, ClaudeStatus::Idle);
        assert_eq!(s.status(), ClaudeStatus::Starting, "a start-up dialog may be open");
        s
    };
    let shown = || Fact::StartSeen { status: ClaudeStatus::Idle };
    let mut seen = launched();
    seen.tell(Source::Screen, 5_000, shown());
    assert_eq!(seen.status(), ClaudeStatus::Starting, "the hook may still come");
    seen.tell(Source::Screen, 7_000, shown());
    assert_eq!((seen.status(), seen.state.started), (ClaudeStatus::Idle, true));
    seen.file(8_000, ClaudeStatus::Busy);
    seen.tell(Source::Screen, 9_000, shown());
    assert_eq!(seen.status(), ClaudeStatus::Busy, "the screen has no further word");
    let mut late = launched();
    late.tell(Source::Chorus, 121_000, TICK);
    assert_eq!(late.state.status, Status::Error);
    late.tell(Source::Screen, 122_000, shown());
    assert_eq!((late.status(), late.state.status), (ClaudeStatus::Idle, Status::Active));
    assert_eq!(late.state.detail.error, None);
    let mut prompted = launched();
    prompted.hook(5_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
    prompted.file(6_000, ClaudeStatus::Idle);
    assert_eq!((prompted.status(), prompted.state.started), (ClaudeStatus::Idle, true));
}

fn limited(at: i64, resets_at: Option<i64>) -> Story {
    let mut s = Story::busy();
    let failed = Fact::TurnFailed {
        kind: "rate_limit".into(),
        message: "limit reached".into(),
        resets_at: resets_at.map(Timestamp),
    };
    s.hook(at, failed);
    s
}

#[test]
fn a_usage_limit_is_waited_for_until_claude_code_said_it_ends() {
    let mut s = limited(5_000, Some(90_000));
    assert_eq!(s.state.detail.limit_until, Some(Timestamp(90_000)));
    assert!(s.state.is_limited());
    assert!(!s.tell(Source::Chorus, 80_000, TICK).contains(&Change::LimitOver));
    assert!(s.tell(Source::Chorus, 95_000, TICK).contains(&Change::LimitOver));
    assert!(!s.state.is_limited());
    assert_eq!(s.state.detail.limit_until, None);
    assert!(!s.tell(Source::Chorus, 99_000, TICK).contains(&Change::LimitOver), "once");
}

#[test]
fn a_failure_is_heard_though_the_state_file_told_of_the_turns_end_first() {
    let mut s = Story::busy();
    s.file(5_050, ClaudeStatus::Idle);
    assert_eq!(s.state.claude_status, ClaudeStatus::Idle);
    let failed = |message: &str| Fact::TurnFailed {
        kind: "rate_limit".into(),
        message: message.into(),
        resets_at: Some(Timestamp(90_000)),
    };
    s.hook(5_000, failed("limit reached"));
    assert_eq!(s.state.detail.error.as_deref(), Some("rate_limit: limit reached"));
    assert_eq!(s.state.detail.limit_until, Some(Timestamp(90_000)));
    // One of an earlier turn says nothing of this one.
    s.hook(6_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
    s.file(8_000, ClaudeStatus::Idle);
    s.hook(5_500, failed("again"));
    assert_eq!(s.state.detail.error, None);
}

#[test]
fn a_limit_without_an_end_is_tried_again_and_each_time_later() {
    let mut s = limited(5_000, None);
    s.tell(Source::Chorus, 6_000, TICK);
    assert_eq!(s.state.detail.limit_until, Some(Timestamp(65_000)));
    assert!(s.tell(Source::Chorus, 65_000, TICK).contains(&Change::LimitOver));
    s.hook(66_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
    let again =
        Fact::TurnFailed { kind: "rate_limit".into(), message: String::new(), resets_at: None };
    s.hook(70_000, again);
    s.tell(Source::Chorus, 71_000, TICK);
    assert_eq!(s.state.detail.limit_until, Some(Timestamp(190_000)));
    s.hook(100_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
    s.hook(101_000, Fact::TurnEnded { background: 0 });
    assert_eq!(s.state.limit, None, "a turn went well");
}

#[test]
fn a_silence_is_shown_while_claude_is_busy_and_ends_with_the_next_word() {
    let quiet = Fact::Tick {
        quiet_since: Some(Timestamp(2_000)),
        limit_retry_ms: 0,
        decision_limit_ms: 86_400_000,
    };
    let mut s = Story::busy();
    s.tell(Source::Chorus, 700_000, quiet.clone());
    assert_eq!(s.state.detail.quiet_since, Some(Timestamp(2_000)));
    assert!(s.state.unsure);
    assert!(s.tell(Source::Chorus, 701_000, quiet.clone()).is_empty(), "told once");
    s.hook(702_000, Fact::TurnEnded { background: 0 });
    assert!(!s.state.unsure && s.state.detail.quiet_since.is_none());
    s.tell(Source::Chorus, 703_000, quiet);
    assert_eq!(s.state.detail.quiet_since, None, "idle may be quiet");
}

#[test]
fn a_pause_ends_the_process_and_keeps_the_session() {
    let mut s = Story::idle();
    s.tell(Source::Chorus, 2_000, Fact::PauseRequested);
    s.tell(Source::Process, 2_100, Fact::ProcessGone { how: None, orderly: false });
    assert_eq!((s.state.status, s.state.claude_status), (Status::Paused, ClaudeStatus::Stopped));
    assert!(s.state.crashes.is_empty());
    s.tell(Source::Chorus, 3_000, Fact::LaunchBegan { conversation: conversation("c1") });
    assert_eq!(s.state.status, Status::Active);
    s.hook(3_500, Fact::ConversationStarted { source: StartSource::Resume });
    s.tell(Source::Process, 4_000, Fact::ProcessGone { how: None, orderly: false });
    assert_eq!(s.state.status, Status::Error);
    assert_eq!(s.state.crashes, [Timestamp(4_000)]);
}
