//! Those who watch a session's terminal live.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::error::Error;
use super::{App, terminal};
use crate::domain::session::Session;
use crate::tmux::{self, View};

pub use crate::tmux::{Screen, Seen};

/// Terminals that are watched at the same time: each is a process of tmux's.
pub(super) const PLACES: usize = 64;
/// The longest text that is pasted. Bytes.
pub const MAX_PASTE: usize = tmux::MAX_PASTE;

/// A terminal that somebody watches.
#[derive(Debug)]
pub struct Viewer {
    view: View,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    /// Begins to watch a session's terminal, with so many lines from before its screen.
    pub async fn open(app: &Arc<App>, session: &Session, scrollback: u32) -> Result<Self, Error> {
        let pane = terminal::pane(app, session.id)?;
        let place = app.viewers.clone().try_acquire_owned().map_err(|_| Error::Unavailable {
            problem: format!("{PLACES} terminals are watched already; close one of them"),
        })?;
        let view = app.tmux().await?.view(&session.tmux_session, pane, scrollback).await?;
        Ok(Self { view, _place: place })
    }

    /// Waits for what is to be seen next. May be cancelled without losing anything; an error is the
    /// terminal's end.
    pub async fn next(&mut self) -> Result<Seen, Error> {
        Ok(self.view.next().await?)
    }

    /// Types bytes as they are.
    pub fn write(&mut self, keys: &[u8]) -> Result<(), Error> {
        Ok(self.view.write(keys)?)
    }

    /// Pastes text, in brackets if the program has asked for that.
    pub fn paste(&mut self, text: &str) -> Result<(), Error> {
        Ok(self.view.paste(text)?)
    }

    /// Gives the terminal this size (columns, rows), or leaves it to others again.
    pub fn resize(&mut self, size: Option<(u16, u16)>) -> Result<(), Error> {
        Ok(self.view.resize(size)?)
    }
}
