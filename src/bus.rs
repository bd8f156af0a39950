//! The live hub: hands every event to everyone who listens, in order, without gap or duplicate.
//!
//! The last events are kept in a ring. Publishing and subscribing take the same lock, so a
//! listener who asks for everything after event N gets the ring's rest and then the stream, with
//! nothing between them lost. Who asks for more than the ring holds reads the table first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::domain::event::{Event, EventKind};
use crate::domain::ids::SessionId;

/// Events kept for listeners who come back.
const RING: usize = 1_024;
/// Events that a listener may lag behind before it is told to start over.
const LAG: usize = 4_096;

/// An event as it goes over the wire, rendered once for all listeners.
#[derive(Debug)]
pub struct Frame {
    /// The event's id.
    pub id: i64,
    /// What it is about.
    pub kind: EventKind,
    /// The session.
    pub session_id: Option<SessionId>,
    /// Its data, as JSON.
    pub data: Bytes,
    /// In the `text/event-stream` format, the closing blank line included.
    pub wire: Bytes,
}

impl From<&Event> for Frame {
    fn from(e: &Event) -> Self {
        // JSON as we render it has no line breaks, so one `data:` line holds it.
        let wire = format!("id: {}\nevent: {}\ndata: {}\n\n", e.id, e.event.kind, e.event.data);
        let wire = Bytes::from(wire);
        let data = wire.slice(wire.len() - 2 - e.event.data.len()..wire.len() - 2);
        Self { id: e.id, kind: e.event.kind, session_id: e.event.session_id, data, wire }
    }
}

/// Where a new listener stands.
pub enum Backlog {
    /// These come first; then the stream.
    Frames(Vec<Arc<Frame>>),
    /// The ring does not hold all of it: read the table up to this id (inclusive), then stream. If
    /// the listener claims to be further than that, start over from there.
    Table {
        /// The last event before the stream begins.
        up_to: i64,
    },
}

/// The hub.
pub struct Hub {
    inner: Mutex<Inner>,
}

struct Inner {
    ring: VecDeque<Arc<Frame>>,
    /// The last event ever published, also when the ring is empty after a start.
    last: i64,
    sender: broadcast::Sender<Arc<Frame>>,
}

impl Hub {
    /// Makes a hub that goes on after the table's last event.
    pub fn new(last: i64) -> Self {
        let (sender, _) = broadcast::channel(LAG);
        Self { inner: Mutex::new(Inner { ring: VecDeque::with_capacity(RING), last, sender }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held left at worst a frame unpublished: go on.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out committed events.
    pub fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let frames: Vec<Arc<Frame>> = events.iter().map(|e| Arc::new(Frame::from(e))).collect();
        let mut inner = self.lock();
        for frame in frames {
            if inner.ring.len() == RING {
                inner.ring.pop_front();
            }
            inner.last = frame.id;
            inner.ring.push_back(frame.clone());
            // No listener is no error.
            let _ = inner.sender.send(frame);
        }
    }

    /// Begins to listen. With `after`, everything later than that event is owed; without, what
    /// comes from now on. Returns what is owed, the event after which the stream goes on, and the
    /// stream.
    pub fn subscribe(&self, after: Option<i64>) -> (Backlog, i64, broadcast::Receiver<Arc<Frame>>) {
        let inner = self.lock();
        let receiver = inner.sender.subscribe();
        let after = after.unwrap_or(inner.last).max(0);
        let oldest = inner.ring.front().map_or(inner.last + 1, |f| f.id);
        // An id that is still to come is of another log: who has it knows nothing of this one.
        let backlog = if (oldest - 1..=inner.last).contains(&after) {
            let start = inner.ring.partition_point(|f| f.id <= after);
            Backlog::Frames(inner.ring.range(start..).cloned().collect())
        } else {
            Backlog::Table { up_to: inner.last }
        };
        (backlog, after, receiver)
    }

    /// How many listen now.
    pub fn listeners(&self) -> usize {
        self.lock().sender.receiver_count()
    }

    /// The last event's id; 0 if there was none.
    pub fn last_id(&self) -> i64 {
        self.lock().last
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, Hub, RING};
    use crate::domain::event::{Event, EventKind, NewEvent};
    use crate::domain::time::Timestamp;

    fn events(ids: std::ops::Range<i64>) -> Vec<Event> {
        ids.map(|id| Event {
            id,
            event: NewEvent {
                kind: EventKind::Hook,
                session_id: None,
                at: Timestamp(0),
                dedupe_key: None,
                data: "{}".into(),
            },
        })
        .collect()
    }

    #[test]
    fn who_comes_back_gets_the_rest_and_then_the_stream() {
        let hub = Hub::new(0);
        hub.publish(&events(1..11));
        let (Backlog::Frames(first), 7, mut rx) = hub.subscribe(Some(7)) else {
            panic!("in the ring")
        };
        assert_eq!(first.iter().map(|f| f.id).collect::<Vec<_>>(), [8, 9, 10]);
        hub.publish(&events(11..12));
        assert_eq!(rx.try_recv().expect("a frame").id, 11);
        assert!(rx.try_recv().is_err());
    }

    #[test]
    fn who_was_away_for_longer_reads_the_table() {
        let hub = Hub::new(0);
        hub.publish(&events(1..RING as i64 + 10));
        assert!(
            matches!(hub.subscribe(Some(3)).0, Backlog::Table { up_to } if up_to == RING as i64 + 9)
        );
        let restarted = Hub::new(50);
        assert!(matches!(restarted.subscribe(Some(50)).0, Backlog::Frames(f) if f.is_empty()));
        assert!(matches!(restarted.subscribe(Some(49)).0, Backlog::Table { up_to: 50 }));
        assert!(matches!(restarted.subscribe(Some(51)), (Backlog::Table { up_to: 50 }, 51, _)));
        assert!(matches!(restarted.subscribe(Some(i64::MIN)), (Backlog::Table { .. }, 0, _)));
    }
}
