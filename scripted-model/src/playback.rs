//! A streamed answer: its events one by one, paced, and ended early when the script says so.

use std::io;
use std::time::Duration;
use std::vec::IntoIter;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::sleep;

use crate::events::Event;

/// A stream that does not come to its end stops after so many events: the message and its
/// first block have begun.
const EVENTS_BEFORE_STOP: usize = 3;
/// Long enough for the events before a break to leave; the server would drop them otherwise.
const BEFORE_BREAK: Duration = Duration::from_millis(20);

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With its last event.
    Whole,
    /// In the middle, without an error of the connection.
    Cut,
    /// In the middle, with the connection.
    Broken,
}

/// A stream being played.
struct Playback {
    events: IntoIter<Event>,
    /// After each piece of a block.
    pause: Duration,
    /// The pause owed before the next event.
    owed: Option<Duration>,
    end: End,
    sent: usize,
}

/// The body that plays `events`, waiting `pause` after each piece, up to its `end`.
pub(crate) fn body(events: Vec<Event>, pause: Duration, end: End) -> Body {
    let playback = Playback { events: events.into_iter(), pause, owed: None, end, sent: 0 };
    Body::from_stream(stream::unfold(playback, |mut playback| async move {
        let next = playback.next().await?;
        Some((next, playback))
    }))
}

impl Playback {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.sent == EVENTS_BEFORE_STOP {
            match self.end {
                End::Whole => {}
                End::Cut => return None,
                End::Broken => {
                    sleep(BEFORE_BREAK).await;
                    // A body that fails makes the server close the connection.
                    return Some(Err(io::Error::other("broken off by the script")));
                }
            }
        }
        if let Some(pause) = self.owed.take() {
            sleep(pause).await;
        }
        let event = self.events.next()?;
        self.sent += 1;
        if event.is_piece() && !self.pause.is_zero() {
            self.owed = Some(self.pause);
        }
        Some(event.frame().map_err(io::Error::from))
    }
}
