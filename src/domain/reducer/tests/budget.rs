//! Budgets, and what the model's responses tell.

use super::{Story, TICK, conversation};
use crate::domain::observation::{Fact, StartSource};
use crate::domain::reducer::Change;
use crate::domain::session::{ClaudeStatus, Source};
use crate::domain::usage::{BudgetLevel, Context, Spending, Usd};

const LIMIT: Usd = Usd(1_000_000_000);

/// A session at work that may cost a dollar.
fn limited() -> Story {
    let mut s = Story::busy();
    assert_eq!(s.tell(Source::Chorus, 2_100, Fact::BudgetSet(Some(LIMIT))), []);
    s
}

fn spent(dollars: f64) -> Fact {
    let told = Usd::from_dollars(dollars).expect("a sum");
    Fact::Spent(Spending { responses: 1, told, ..Spending::default() })
}

fn stops(changes: &[Change]) -> usize {
    changes.iter().filter(|c| **c == Change::Stop).count()
}

#[test]
fn a_budget_is_warned_of_then_spent_and_the_turn_is_stopped_once() {
    let mut s = limited();
    assert_eq!(s.tell(Source::Chorus, 2_200, spent(0.79)), []);
    let close = s.tell(Source::Chorus, 2_300, spent(0.8));
    assert_eq!(stops(&close), 0);
    assert_eq!(s.state.detail.budget.as_deref(), Some("80 % of its budget of $1.00 is spent"));
    let over = s.tell(Source::Chorus, 2_400, spent(1.0));
    assert!(over.contains(&Change::BudgetSpent), "{over:?}");
    assert_eq!(stops(&over), 1);
    assert!(s.state.is_out_of_budget());
    // It takes a moment to show, in which nothing more is pressed.
    let more = s.tell(Source::Chorus, 3_000, spent(1.1));
    assert_eq!((stops(&more), more.contains(&Change::BudgetSpent)), (0, false));
    s.file(4_000, ClaudeStatus::Idle);
    assert!(s.state.detail.budget.is_some(), "the reason outlasts the turn");
    // Idle costs nothing. A turn that somebody begins at the terminal is stopped again.
    assert_eq!(stops(&s.tell(Source::Chorus, 20_000, TICK)), 0);
    let typed = Fact::PromptSubmitted { digest: "d".into(), automatic: false };
    assert_eq!(stops(&s.hook(21_000, typed)), 1);
    s.file(21_050, ClaudeStatus::Busy);
    // One that goes on all the same is stopped by the sweep.
    assert_eq!(stops(&s.tell(Source::Chorus, 25_000, TICK)), 0);
    assert_eq!(stops(&s.tell(Source::Chorus, 31_000, TICK)), 1);
}

#[test]
fn a_raise_sets_it_free_and_a_lower_limit_stops_it() {
    let mut s = limited();
    s.tell(Source::Chorus, 2_400, spent(1.5));
    s.file(4_000, ClaudeStatus::Idle);
    let raised = s.tell(Source::Chorus, 5_000, Fact::BudgetSet(Some(Usd(1_600_000_000))));
    assert!(raised.contains(&Change::MaySend), "{raised:?}");
    assert_eq!(s.state.budget.map(|b| b.level), Some(BudgetLevel::Close));
    // Claude Code's word may be less than the estimate; what is spent stays spent.
    s.tell(Source::Chorus, 6_000, spent(1.7));
    s.tell(Source::Chorus, 7_000, spent(1.5));
    assert!(s.state.is_out_of_budget());
    let freed = s.tell(Source::Chorus, 8_000, Fact::BudgetSet(None));
    assert!(freed.contains(&Change::MaySend));
    assert_eq!((s.state.budget, s.state.detail.budget.clone()), (None, None));
    let lowered = s.tell(Source::Chorus, 9_000, Fact::BudgetSet(Some(LIMIT)));
    assert!(lowered.contains(&Change::BudgetSpent), "{lowered:?}");
}

#[test]
fn a_budget_outlasts_the_process() {
    let mut s = limited();
    s.tell(Source::Chorus, 2_400, spent(1.5));
    s.tell(Source::Process, 3_000, Fact::ProcessGone { how: None, orderly: false });
    s.tell(Source::Chorus, 9_000, Fact::LaunchBegan { conversation: conversation("c1") });
    s.hook(9_500, Fact::ConversationStarted { source: StartSource::Resume });
    assert!(s.state.is_out_of_budget() && s.state.detail.budget.is_some());
}

#[test]
fn the_context_is_that_of_the_present_conversation() {
    let mut s = Story::busy();
    let context = Context { model: "m".into(), used: 10, window: Some(100) };
    let responded = || Fact::Responded(context.clone());
    s.tell(Source::Transcript, 2_500, responded());
    assert_eq!(s.state.context, Some(context.clone()));
    s.hook(2_600, Fact::Compacting { began: true });
    assert!(s.state.context.is_some());
    s.hook(2_700, Fact::Compacting { began: false });
    assert_eq!(s.state.context, None, "the next response tells");
    s.tell(Source::Transcript, 2_800, responded());
    s.tell(Source::Chorus, 3_000, Fact::LaunchBegan { conversation: conversation("c1") });
    assert!(s.state.context.is_some(), "it goes on");
    s.tell(Source::Chorus, 4_000, Fact::LaunchBegan { conversation: conversation("c2") });
    assert_eq!(s.state.context, None);
}
