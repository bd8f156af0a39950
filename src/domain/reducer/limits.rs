//! Usage limits: the session waits, and goes on by itself when the limit is over.

use super::{Change, Step};
use crate::domain::observation::Observation;
use crate::domain::session::{ClaudeStatus, Limit};
use crate::domain::time::Timestamp;

/// The longest wait for a limit whose end is not known. Milliseconds.
const LONGEST_RETRY_MS: i64 = 3_600_000;

impl Step<'_> {
    /// Notes that a turn has met a usage limit.
    pub(super) fn limited(&mut self, resets_at: Option<Timestamp>, o: &Observation) {
        let tries = self.state.limit.map_or(0, |limit| limit.tries) + 1;
        let until = resets_at.filter(|at| *at > o.at);
        self.state.limit = Some(Limit { since: o.at, until, tries, over: false });
    }

    /// Looks whether a limit is over. One whose end is not known is tried again after a while, each
    /// time a longer one.
    pub(super) fn look_at_limit(&mut self, retry_ms: i64, now: Timestamp) {
        let Some(limit) = self.state.limit.as_mut().filter(|limit| !limit.over) else { return };
        if limit.until.is_none() && retry_ms <= 0 {
            self.state.limit = None;
            return;
        }
        let until = *limit.until.get_or_insert_with(|| {
            let doubled = retry_ms.saturating_mul(1 << (limit.tries - 1).min(20));
            limit.since.plus_ms(doubled.min(LONGEST_RETRY_MS.max(retry_ms)))
        });
        if until <= now
            && self.state.claude_status == ClaudeStatus::Idle
            && self.state.process.is_some()
        {
            limit.over = true;
            self.changes.push(Change::LimitOver);
        }
    }
}
