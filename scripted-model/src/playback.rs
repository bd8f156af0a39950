//! A streamed answer: its events one by one, paced, and cut off when the script says so.

use std::io;
use std::time::Duration;
use std::vec::IntoIter;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::sleep;

use crate::events::Event;

/// A cut stream ends after so many events: the message and its first block have begun.
const EVENTS_BEFORE_CUT: usize = 3;
/// Long enough for the events before a cut to leave; the server would drop them otherwise.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// A stream being played.
struct Playback {
    events: IntoIter<Event>,
    /// After each piece of a block.
    pause: Duration,
    /// The pause owed before the next event.
    owed: Option<Duration>,
    /// Events left before the connection is dropped.
    until_cut: Option<usize>,
}

/// The body that plays `events`, waiting `pause` after each piece; with `cut` it fails in the
/// middle, which makes the server drop the connection.
pub(crate) fn body(events: Vec<Event>, pause: Duration, cut: bool) -> Body {
    let playback = Playback {
        events: events.into_iter(),
        pause,
        owed: None,
        until_cut: cut.then_some(EVENTS_BEFORE_CUT),
    };
    Body::from_stream(stream::unfold(playback, |mut playback| async move {
        let next = playback.next().await?;
        Some((next, playback))
    }))
}

impl Playback {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(pause) = self.owed.take() {
            sleep(pause).await;
        }
        match &mut self.until_cut {
            Some(0) => {
                sleep(BEFORE_CUT).await;
                return Some(Err(io::Error::other("cut by the script")));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let event = self.events.next()?;
        if event.is_piece() && !self.pause.is_zero() {
            self.owed = Some(self.pause);
        }
        Some(event.frame().map_err(io::Error::from))
    }
}
