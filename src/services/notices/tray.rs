//! Where sessions wait until they are told of.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::domain::ids::SessionId;
use crate::domain::notice::News;

/// Sessions that wait at the same time.
const MOST: usize = 256;

/// Sessions that wait to be told of, each with its news and the time when they are due.
#[derive(Default)]
pub struct Tray {
    waiting: Mutex<HashMap<SessionId, (Instant, News)>>,
    more: Notify,
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, (Instant, News)>> {
        // Every operation is a single insertion or removal: nothing can be half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds news of a session, due then, or earlier with what waits of it already. Tells whether
    /// there was room.
    pub fn push(&self, session: SessionId, news: News, due: Instant) -> bool {
        let mut waiting = self.lock();
        let full = waiting.len() >= MOST;
        match waiting.entry(session) {
            Entry::Occupied(mut known) => known.get_mut().1.add(news),
            Entry::Vacant(_) if full => return false,
            Entry::Vacant(place) => {
                place.insert((due, news));
            }
        }
        drop(waiting);
        self.more.notify_one();
        true
    }

    /// Waits for the session that is due next.
    pub async fn next(&self) -> (SessionId, News) {
        loop {
            let first = self.lock().iter().map(|(id, (due, _))| (*due, *id)).min();
            match first {
                Some((due, id)) if due <= Instant::now() => {
                    if let Some((_, news)) = self.lock().remove(&id) {
                        return (id, news);
                    }
                }
                Some((due, _)) => {
                    // What comes meanwhile is not due before.
                    sleep_until(due).await;
                }
                None => self.more.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{MOST, Tray};
    use crate::domain::ids::{PermissionId, SessionId};
    use crate::domain::notice::News;

    #[tokio::test]
    async fn what_joins_does_not_put_off_and_what_is_due_first_comes_first() {
        let tray = Tray::default();
        let (a, b) = (SessionId::new(), SessionId::new());
        let soon = Instant::now() + Duration::from_millis(20);
        let asked = |event| News::asked(event, PermissionId::new());
        assert!(tray.push(b, asked(1), soon + Duration::from_millis(20)));
        assert!(tray.push(a, asked(2), soon));
        assert!(tray.push(a, asked(3), soon + Duration::from_secs(3_600)));
        let (first, news) = tray.next().await;
        assert_eq!((first, news.asked.len(), news.event_id), (a, 2, 3));
        assert_eq!(tray.next().await.0, b);
    }

    #[tokio::test]
    async fn it_holds_so_many() {
        let tray = Tray::default();
        let news = || News { event_id: 1, failed: true, ..News::default() };
        let known = SessionId::new();
        assert!(tray.push(known, news(), Instant::now()));
        for _ in 1..MOST {
            assert!(tray.push(SessionId::new(), news(), Instant::now()));
        }
        assert!(!tray.push(SessionId::new(), news(), Instant::now()));
        assert!(tray.push(known, news(), Instant::now()), "it joins what waits");
    }
}
