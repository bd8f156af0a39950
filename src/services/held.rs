//! Hooks that wait for a decision.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::ids::PermissionId;
use crate::domain::permission::Decision;

/// The waiting hooks of this process, by the request they wait for.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    by_request: HashMap<PermissionId, (u64, oneshot::Sender<Option<Decision>>)>,
}

/// One waiting hook's place. Dropped when the hook leaves.
pub struct Place {
    held: Held,
    request: PermissionId,
    ticket: u64,
    told: oneshot::Receiver<Option<Decision>>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every operation is a single insertion or removal: nothing can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a hook. A hook that comes again takes over its earlier place.
    pub fn wait_for(&self, request: PermissionId) -> Place {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.next += 1;
        let ticket = waiting.next;
        waiting.by_request.insert(request, (ticket, tell));
        Place { held: self.clone(), request, ticket, told }
    }

    /// Tells the waiting hook, if there is one: a decision, or that it need not wait.
    pub fn tell(&self, request: PermissionId, decision: Option<Decision>) -> bool {
        let waiting = self.lock().by_request.remove(&request);
        waiting.is_some_and(|(_, tell)| tell.send(decision).is_ok())
    }

    /// Whether a hook waits for this request.
    pub fn is_waiting(&self, request: PermissionId) -> bool {
        self.lock().by_request.contains_key(&request)
    }
}

impl Place {
    /// Waits for what is to be told. `None` means no opinion.
    pub async fn told(&mut self) -> Option<Decision> {
        (&mut self.told).await.unwrap_or(None)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.held.lock();
        // Only its own: the same hook may be back already on another connection.
        if waiting.by_request.get(&self.request).is_some_and(|(t, _)| *t == self.ticket) {
            waiting.by_request.remove(&self.request);
        }
    }
}
