//! Pages in browsers that show notices themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::domain::ids::SessionId;
use crate::domain::notice::Notice;

/// Notices that wait for one page. One that does not take them does not show them.
const WAITING: usize = 32;

/// The pages that are open.
#[derive(Clone, Default)]
pub struct Tabs(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    by_number: HashMap<u64, (Option<SessionId>, mpsc::Sender<Arc<Notice>>)>,
}

/// One page. Dropped when it has gone.
pub struct Tab {
    tabs: Tabs,
    number: u64,
    notices: mpsc::Receiver<Arc<Notice>>,
}

impl Tabs {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // Every operation is a single insertion or removal: nothing can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a page that shows notices, all or those of one session.
    pub fn open(&self, only: Option<SessionId>) -> Tab {
        let (sender, notices) = mpsc::channel(WAITING);
        let mut open = self.lock();
        open.next += 1;
        let number = open.next;
        open.by_number.insert(number, (only, sender));
        Tab { tabs: self.clone(), number, notices }
    }

    /// Gives a notice to every page that shows its session's, and tells how many took it.
    pub fn show(&self, notice: &Arc<Notice>) -> usize {
        let open = self.lock();
        let of = |only: &Option<SessionId>| {
            only.is_none() || notice.session_id.is_none() || *only == notice.session_id
        };
        let listening = open.by_number.values().filter(|(only, _)| of(only));
        listening.filter(|(_, tab)| tab.try_send(notice.clone()).is_ok()).count()
    }
}

impl Tab {
    /// The next notice to show.
    pub async fn next(&mut self) -> Arc<Notice> {
        match self.notices.recv().await {
            Some(notice) => notice,
            // The sender goes with this place, not before it.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.tabs.lock().by_number.remove(&self.number);
    }
}
