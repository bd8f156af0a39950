//! How often a turn with `times` has failed already.

use std::collections::{HashMap, VecDeque};

/// The most counters kept; past it the oldest goes.
const KEPT: usize = 10_000;

/// One turn of one session: its session, its scenario, its index.
type Key = (String, String, usize);

/// Counts the requests for each turn that fails only so many times.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    counts: HashMap<Key, u32>,
    oldest_first: VecDeque<Key>,
}

impl Failures {
    /// Counts one more request for this turn; 1 for the first.
    pub(crate) fn count(&mut self, session: &str, scenario: &str, turn: usize) -> u32 {
        let key = (session.to_owned(), scenario.to_owned(), turn);
        if let Some(count) = self.counts.get_mut(&key) {
            *count = count.saturating_add(1);
            return *count;
        }
        if self.oldest_first.len() >= KEPT
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.oldest_first.push_back(key.clone());
        self.counts.insert(key, 1);
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_and_turn_has_its_own_count() {
        let mut failures = Failures::default();
        assert_eq!(failures.count("s", "rate", 0), 1);
        assert_eq!(failures.count("s", "rate", 0), 2);
        assert_eq!(failures.count("s", "rate", 1), 1);
        assert_eq!(failures.count("t", "rate", 0), 1);
        assert_eq!(failures.count("s", "rate", 0), 3);
    }

    #[test]
    fn the_oldest_counter_goes_first() {
        let mut failures = Failures::default();
        for turn in 0..=KEPT {
            failures.count("s", "rate", turn);
        }
        assert_eq!(failures.counts.len(), KEPT);
        assert_eq!(failures.count("s", "rate", KEPT), 2);
        assert_eq!(failures.count("s", "rate", 0), 1);
    }
}
