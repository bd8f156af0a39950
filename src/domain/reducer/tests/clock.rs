//! A clock that was set back: nothing that was known before stands in the way of what is told now.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::session::{FileView, Limit};
use crate::domain::usage::{Budget, Usd};

/// All times in a state, wherever they are.
fn times(value: &Value) -> Vec<Timestamp> {
    match value {
        Value::String(text) => Timestamp::parse(text).into_iter().collect(),
        Value::Array(all) => all.iter().flat_map(times).collect(),
        Value::Object(all) => all.values().flat_map(times).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_frozen_idle_takes_no_prompt_for_a_working_claude() {
    for by in [1, 3_600_000, 86_400_000] {
        let mut s = Story::idle();
        s.hook(90_000_000, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
        s.file(90_000_100, ClaudeStatus::Busy);
        s.hook(90_000_200, Fact::TurnEnded { background: 0 });
        s.file(90_000_300, ClaudeStatus::Idle);
        s.now -= by;
        s.hook(s.now + 10, Fact::PromptSubmitted { digest: "d".into(), automatic: false });
        assert_eq!(s.status(), ClaudeStatus::Busy, "set back by {by} ms");
        s.file(s.now + 20, ClaudeStatus::Busy);
        s.tell(Source::Chorus, s.now + 5_000, TICK);
        assert_eq!(s.status(), ClaudeStatus::Busy, "set back by {by} ms");
        let asked = s.ask(s.now + 10);
        s.file(s.now + 10, ClaudeStatus::Waiting);
        s.now -= by;
        s.file(s.now + 10, ClaudeStatus::Busy);
        s.file(s.now + 20, ClaudeStatus::Idle);
        assert_eq!(s.status(), ClaudeStatus::Idle, "set back by {by} ms");
        assert!(s.state.open.iter().all(|r| r.id != asked), "it was answered in the terminal");
    }
}

#[test]
fn a_launch_before_the_step_is_confirmed_after_it() {
    let mut s = Story { state: SessionState::new(Timestamp(0)), now: 0 };
    s.tell(Source::Chorus, 90_000, Fact::LaunchBegan { conversation: conversation("c1") });
    s.now = 10_000;
    s.hook(10_500, Fact::ConversationStarted { source: StartSource::Startup });
    assert_eq!((s.status(), s.state.started), (ClaudeStatus::Idle, true));
}

proptest! {
    #[test]
    fn nothing_has_happened_after_now(at in prop::array::uniform10(0..2_000_i64), now in 0..2_000_i64) {
        let mut s = Story::idle();
        s.ask(1_001);
        let state = &mut s.state;
        let time = |i: usize| Timestamp(at[i]);
        state.evidence.at = time(0);
        state.launched_at = time(1);
        state.file = Some(FileView { status: ClaudeStatus::Idle, at: time(2), waiting_for: None });
        state.open[0].asked_at = time(3);
        state.answered_at = Some(time(4));
        let (message, since) = (MessageId::new(), time(5));
        state.sending = Some(Sending { message, digest: "d".into(), since, raw: false });
        let until = Some(Timestamp(1_000_000));
        state.limit = Some(Limit { since: time(6), until, tries: 1, over: false });
        state.crashes = vec![time(7)];
        state.detail.quiet_since = Some(time(8));
        state.budget = Some(Budget { interrupted_at: Some(time(9)), ..Budget::of(Usd::default()) });
        let o = Observation {
            at: Timestamp(now),
            source: Source::Chorus,
            generation: Some(99),
            conversation: None,
            fact: Fact::Noted,
        };
        let before = state.clone();
        reduce(state, &o, Timestamp(now));
        let known = times(&serde_json::to_value(&*state).expect("JSON"));
        prop_assert_eq!(known.len(), 11);
        let to_come: Vec<_> = known.into_iter().filter(|at| at.0 > now).collect();
        prop_assert_eq!(to_come, [Timestamp(1_000_000)], "only the end of the limit");
        if at.iter().all(|at| *at <= now) {
            prop_assert_eq!(&before, &*state);
        }
    }
}
