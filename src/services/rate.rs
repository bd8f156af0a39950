//! How many hooks a session may send: one that has run wild must not starve the others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::ids::SessionId;

/// Seconds of the full rate that may come at once.
const BURST: f64 = 5.0;
/// Sessions beyond which those that were quiet are forgotten.
const REMEMBERED: usize = 1_024;

/// A rate for each session, by the generic cell rate algorithm (ITU-T I.371): for each it keeps
/// when the next hook would be due if they came evenly.
pub struct RateLimit {
    every: Duration,
    burst: Duration,
    due: Mutex<HashMap<SessionId, Instant>>,
}

impl RateLimit {
    /// Lets `rate` hooks a second pass; all of them if it is 0.
    pub fn new(rate: u32) -> Self {
        let every = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        Self { every, burst: Duration::from_secs_f64(BURST), due: Mutex::default() }
    }

    /// Lets a session's hook pass, or tells how long it has to wait.
    pub fn pass(&self, session: SessionId, now: Instant) -> Result<(), Duration> {
        if self.every.is_zero() {
            return Ok(());
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.len() >= REMEMBERED && !due.contains_key(&session) {
            due.retain(|_, due| *due > now);
        }
        let next = due.get(&session).copied().unwrap_or(now).max(now);
        match (next - now).checked_sub(self.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                due.insert(session, next + self.every);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::RateLimit;
    use crate::domain::ids::SessionId;

    #[test]
    fn a_burst_passes_then_the_rate_holds_for_each_session_alone() {
        let limit = RateLimit::new(10);
        let (a, b) = (SessionId::new(), SessionId::new());
        let begin = Instant::now();
        let passed = (0..1_000).take_while(|_| limit.pass(a, begin).is_ok()).count();
        assert_eq!(passed, 51, "five seconds of it, and the one that is due");
        assert_eq!(limit.pass(a, begin), Err(Duration::from_millis(100)));
        assert_eq!(limit.pass(b, begin), Ok(()));
        let later = begin + Duration::from_millis(100);
        assert_eq!(limit.pass(a, later), Ok(()));
        assert!(limit.pass(a, later).is_err());
    }

    #[test]
    fn no_limit_is_none() {
        let (limit, a, now) = (RateLimit::new(0), SessionId::new(), Instant::now());
        assert!((0..100_000).all(|_| limit.pass(a, now).is_ok()));
    }
}
