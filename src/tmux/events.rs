//! From notifications to events: the subscription that watches every pane, and an outbox which
//! never holds more than one entry for each.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::format::{self, SUBSCRIPTION_FORMAT};
use super::quote::CommandLine;
use super::types::{PaneChange, PaneId, TmuxEvent};

/// The subscription's name.
pub(super) const SUBSCRIPTION: &str = "chorus";

/// The command that subscribes: one format over all panes of all sessions, which tmux evaluates
/// once a second and sends when its value differs from the last.
pub(super) fn subscribe() -> CommandLine {
    let what = format!("{SUBSCRIPTION}::#{{S:#{{W:#{{P:{SUBSCRIPTION_FORMAT}}}}}}}");
    CommandLine::new("refresh-client").raw("-B").arg(what)
}

/// The panes as the subscription told them last.
#[derive(Debug, Default)]
pub(super) struct Watch {
    panes: BTreeMap<PaneId, PaneChange>,
}

impl Watch {
    /// Takes a new value of the subscription and puts what differs into `outbox`.
    ///
    /// Returns whether a pane has died and nobody knows how: see `Server::reap`.
    pub fn update(&mut self, value: &[u8], keeper: &str, outbox: &Outbox) -> bool {
        let Some(list) = format::read_subscription(value) else {
            tracing::warn!("tmux sent a subscription value that cannot be read; asking for a look");
            outbox.sessions_changed();
            return false;
        };
        let new: BTreeMap<PaneId, PaneChange> =
            list.into_iter().filter(|p| p.session != keeper).map(|p| (p.pane, p)).collect();
        if !new.keys().eq(self.panes.keys()) {
            outbox.sessions_changed();
        }
        let mut unexplained = false;
        for (id, change) in &new {
            if self.panes.get(id) != Some(change) {
                unexplained |=
                    change.dead && change.dead_status.is_none() && change.dead_signal.is_none();
                outbox.pane(change.clone());
            }
        }
        self.panes = new;
        unexplained
    }
}

/// Events on their way to the receiver. Bounded by the number of panes however slow that is.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// At most one `Disconnected`, then at most one `Connected`.
    link: Vec<TmuxEvent>,
    sessions: bool,
    panes: BTreeMap<PaneId, PaneChange>,
    closed: bool,
}

impl Outbox {
    /// The connection is there.
    pub fn connected(&self, server_pid: u32) {
        let mut waiting = self.lock();
        waiting.link.retain(|event| matches!(event, TmuxEvent::Disconnected { .. }));
        waiting.link.push(TmuxEvent::Connected { server_pid });
        drop(waiting);
        self.news.notify_one();
    }

    /// The connection is lost; what was still to be told of it no longer matters.
    pub fn disconnected(&self, reason: String) {
        let mut waiting = self.lock();
        let closed = waiting.closed;
        let link = vec![TmuxEvent::Disconnected { reason }];
        *waiting = Waiting { link, closed, ..Waiting::default() };
        drop(waiting);
        self.news.notify_one();
    }

    /// Sessions came or went.
    pub fn sessions_changed(&self) {
        self.lock().sessions = true;
        self.news.notify_one();
    }

    /// A pane changed; an older change of it that still waits is replaced.
    pub fn pane(&self, change: PaneChange) {
        self.lock().panes.insert(change.pane, change);
        self.news.notify_one();
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Hands events over until the outbox is closed or nobody listens.
    pub async fn deliver(&self, receiver: mpsc::Sender<TmuxEvent>) {
        loop {
            // A place first, then the events: while there is no place they go on coalescing.
            let Ok(place) = receiver.reserve().await else { return };
            let (event, closed) = {
                let mut waiting = self.lock();
                (waiting.next(), waiting.closed)
            };
            match event {
                Some(event) => place.send(event),
                None if closed => return,
                None => {
                    drop(place);
                    tokio::select! {
                        () = self.news.notified() => {}
                        () = receiver.closed() => return,
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn next(&mut self) -> Option<TmuxEvent> {
        if !self.link.is_empty() {
            return Some(self.link.remove(0));
        }
        if mem::take(&mut self.sessions) {
            return Some(TmuxEvent::SessionsChanged);
        }
        self.panes.pop_first().map(|(_, change)| TmuxEvent::PaneChanged(change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(pane: u32, title: &str) -> PaneChange {
        PaneChange {
            pane: PaneId(pane),
            session: "a".into(),
            dead: false,
            dead_status: None,
            dead_signal: None,
            title: title.into(),
            attached: 0,
        }
    }

    async fn delivered(outbox: &Outbox) -> Vec<TmuxEvent> {
        outbox.close();
        let (tx, mut rx) = mpsc::channel(64);
        outbox.deliver(tx).await;
        let mut events = Vec::new();
        while let Ok(event) = rx.try_recv() {
            events.push(event);
        }
        events
    }

    #[tokio::test]
    async fn a_slow_receiver_gets_the_latest_of_each() {
        let outbox = Outbox::default();
        outbox.connected(1);
        for n in 0..1000 {
            outbox.pane(change(n % 2, &n.to_string()));
            outbox.sessions_changed();
        }
        let expected = vec![
            TmuxEvent::Connected { server_pid: 1 },
            TmuxEvent::SessionsChanged,
            TmuxEvent::PaneChanged(change(0, "998")),
            TmuxEvent::PaneChanged(change(1, "999")),
        ];
        assert_eq!(delivered(&outbox).await, expected);
    }

    #[tokio::test]
    async fn a_reconnection_is_told_once_and_drops_older_news() {
        let outbox = Outbox::default();
        outbox.connected(1);
        outbox.pane(change(0, "old"));
        for pid in 2..5 {
            outbox.disconnected("x".into());
            outbox.connected(pid);
        }
        let lost = TmuxEvent::Disconnected { reason: "x".into() };
        assert_eq!(delivered(&outbox).await, [lost, TmuxEvent::Connected { server_pid: 4 }]);
    }

    #[test]
    fn only_what_differs_is_news() {
        let (outbox, mut watch) = (Outbox::default(), Watch::default());
        let value = b"%0 0 s g 1 2:_k2:vm;%1 0 s g 0 1:a1:x;%2 0 s g 0 1:b3:a;%;";
        assert!(!watch.update(value, "_k", &outbox));
        assert_eq!(outbox.lock().panes.len(), 2);
        *outbox.lock() = Waiting::default();
        watch.update(b"%1 1 s3 g 0 1:a1:x;%2 0 s g 0 1:b3:a;%;", "_k", &outbox);
        let waiting = outbox.lock();
        assert!(!waiting.sessions);
        assert_eq!(waiting.panes.len(), 1);
        assert_eq!(waiting.panes[&PaneId(1)].dead_status, Some(3));
        drop(waiting);
        assert!(watch.update(b"%1 1 s g 0 1:a1:x;", "_k", &outbox));
        assert!(outbox.lock().sessions);
    }
}
