//! A clock that was set back.

use crate::domain::session::SessionState;
use crate::domain::time::Timestamp;

/// Lets nothing have happened after `now`. What is told from now on has the new clock's times: beside
/// times of the old one it would count as overtaken, for as long as the clock was set back.
///
/// When a usage limit ends is not among them: that is yet to come.
pub(super) fn set_back(state: &mut SessionState, now: Timestamp) {
    let bound = |at: &mut Timestamp| *at = (*at).min(now);
    bound(&mut state.evidence.at);
    bound(&mut state.launched_at);
    state.file.iter_mut().for_each(|file| bound(&mut file.at));
    state.open.iter_mut().for_each(|request| bound(&mut request.asked_at));
    state.answered_at.iter_mut().for_each(bound);
    state.sending.iter_mut().for_each(|sending| bound(&mut sending.since));
    state.limit.iter_mut().for_each(|limit| bound(&mut limit.since));
    state.crashes.iter_mut().for_each(bound);
    state.detail.quiet_since.iter_mut().for_each(bound);
    state.budget.iter_mut().flat_map(|b| &mut b.interrupted_at).for_each(bound);
}
