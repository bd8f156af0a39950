//! What one sees of a session without opening it: its last words, how far it is with its own list, how busy it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::App;
use super::error::Error;
use crate::clock;
use crate::domain::event::{Event, EventKind};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::message::Direction;
use crate::domain::time::Timestamp;
use crate::domain::todo::{self, Progress};
use crate::store::{Db, Order, StoreError, events, logs, messages};

/// Minutes that activity is shown for.
pub const MINUTES: usize = 30;
/// Sessions that are remembered; when there are more, those that were quiet longest are forgotten.
const REMEMBERED: usize = 1_000;
/// Calls that are read to know a session's list.
const CALLS: u32 = 200;
/// Characters of the last words.
const WORDS: usize = 280;
/// Events from before the start that are counted.
const COUNTED: i64 = 20_000;

const MINUTE_MS: i64 = 60_000;

/// What one sees of a session without opening it.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    /// Who spoke last, and the beginning of what they said.
    pub last: Option<(Direction, String)>,
    /// How far Claude is with its own list.
    pub progress: Option<Progress>,
    /// Events in each of the last [`MINUTES`] minutes, the present one last.
    pub activity: Vec<u16>,
}

/// What is remembered of the sessions.
#[derive(Default)]
pub struct Glances(Mutex<HashMap<SessionId, Known>>);

#[derive(Default)]
struct Known {
    /// Ring of counts by minute.
    counts: [u16; MINUTES],
    /// The minute (since the epoch) of the newest count.
    minute: i64,
    /// What was read from the store; none if it has changed since.
    words: Option<Option<(Direction, String)>>,
    progress: Option<Option<Progress>>,
    /// Counts what makes these old, so that a reading that was overtaken is not kept.
    changes: u64,
}

impl Known {
    fn count(&mut self, minute: i64, events: u16) {
        if minute > self.minute {
            let passed = usize::try_from(minute - self.minute).unwrap_or(MINUTES).min(MINUTES);
            for step in 1..=passed {
                let at =
                    (minute - i64::try_from(passed - step).unwrap_or(0)).rem_euclid(MINUTES as i64);
                self.counts[usize::try_from(at).unwrap_or(0)] = 0;
            }
            self.minute = minute;
        }
        if self.minute - minute < MINUTES as i64 {
            let at = usize::try_from(minute.rem_euclid(MINUTES as i64)).unwrap_or(0);
            self.counts[at] = self.counts[at].saturating_add(events);
        }
    }

    fn activity(&mut self, now: i64) -> Vec<u16> {
        self.count(now, 0);
        let oldest = now + 1 - MINUTES as i64;
        (oldest..=now)
            .map(|m| self.counts[usize::try_from(m.rem_euclid(MINUTES as i64)).unwrap_or(0)])
            .collect()
    }
}

impl Glances {
    /// Counts what happened a short while before the server started, up to the event `last`.
    async fn look_back(&self, db: &Db, last: i64) -> Result<(), StoreError> {
        let since = Timestamp(clock::now().0 - MINUTE_MS * MINUTES as i64);
        for (session, minute, count) in events::by_minute(db, (last - COUNTED, last), since).await?
        {
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            self.lock().entry(session).or_default().count(minute, count);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Known>> {
        // A panic while it was held left at worst a count too few.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts events, and forgets what they may have changed.
    pub fn hear(&self, events: &[Event]) {
        let mut all = self.lock();
        for Event { event, .. } in events {
            let Some(session) = event.session_id else { continue };
            if all.len() >= REMEMBERED && !all.contains_key(&session) {
                let quietest = all.iter().min_by_key(|(_, k)| k.minute).map(|(id, _)| *id);
                quietest.map(|id| all.remove(&id));
            }
            let known = all.entry(session).or_default();
            known.count(event.at.0.div_euclid(MINUTE_MS), 1);
            match event.kind {
                EventKind::Message => known.words = None,
                EventKind::ToolUse => known.progress = None,
                _ => continue,
            }
            known.changes += 1;
        }
    }
}

/// Counts beside the start what happened before it: nobody waits for that. `last` is the last event of those.
pub(super) fn start(app: &Arc<App>, last: i64) {
    let looking = app.clone();
    app.tasks.spawn(async move {
        if let Err(e) = looking.glances.look_back(&looking.db, last).await {
            tracing::debug!(error = %e, "what was done before the start is not shown");
        }
    });
}

/// Looks at a session whose conversation is known.
///
/// # Errors
/// If the store cannot be read.
pub async fn at(
    app: &App,
    session: SessionId,
    conversation: Option<&ConversationId>,
) -> Result<Glance, Error> {
    let minute = clock::now().0.div_euclid(MINUTE_MS);
    let (words, progress, activity, changes) = {
        let mut all = app.glances.lock();
        let known = all.get_mut(&session);
        known.map_or((None, None, vec![0; MINUTES], 0), |k| {
            (k.words.clone(), k.progress.clone(), k.activity(minute), k.changes)
        })
    };
    let last = match words {
        Some(known) => known,
        None => {
            let page = messages::list(&app.db, session, Order::Newest, None, 1).await?;
            let last = page.items.into_iter().next();
            last.map(|m| (m.direction, beginning(&m.content)))
        }
    };
    let progress = match progress {
        Some(known) => known,
        None => match conversation {
            Some(id) => todo::progress(&logs::todos(&app.db, session, id, CALLS).await?),
            None => None,
        },
    };
    if let Some(known) = app.glances.lock().get_mut(&session).filter(|k| k.changes == changes) {
        known.words = Some(last.clone());
        known.progress = Some(progress.clone());
    }
    Ok(Glance { last, progress, activity })
}

fn beginning(text: &str) -> String {
    let words = text.split_whitespace().take(WORDS).collect::<Vec<_>>().join(" ");
    words.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::{Known, MINUTES};

    #[test]
    fn activity_is_counted_by_minute_and_forgotten_after_half_an_hour() {
        let mut known = Known::default();
        known.count(1_000, 3);
        known.count(1_002, 1);
        known.count(1_001, 2);
        let activity = known.activity(1_002);
        assert_eq!(activity[MINUTES - 3..], [3, 2, 1]);
        assert_eq!(known.activity(1_003)[MINUTES - 4..], [3, 2, 1, 0]);
        // Too old to be shown.
        known.count(900, 7);
        assert_eq!(known.activity(1_003).iter().sum::<u16>(), 6);
        assert_eq!(known.activity(1_031).iter().sum::<u16>(), 1);
        assert_eq!(known.activity(2_000).iter().sum::<u16>(), 0);
    }
}
