//! Looking at a session's terminal.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::App;
use super::error::Error;
use crate::claude::screen::{self, Cursor, InputBox};
use crate::domain::ids::SessionId;
use crate::tmux::{Capture, Key, PaneId};

/// The pane of a session that runs.
pub(super) fn pane(app: &App, session: SessionId) -> Result<PaneId, Error> {
    let no_terminal = || Error::conflict("the session has no terminal: it does not run");
    app.pane(session).ok_or_else(no_terminal)
}

/// Captures what a session's terminal shows.
pub async fn capture(app: &Arc<App>, session: SessionId, what: Capture) -> Result<String, Error> {
    let pane = pane(app, session)?;
    Ok(app.tmux().await?.capture(pane, what).await?)
}

/// What stands in the input box.
pub async fn input_box(app: &Arc<App>, session: SessionId) -> Result<InputBox, Error> {
    let pane = pane(app, session)?;
    let (text, (x, y)) = app.tmux().await?.look(pane).await?;
    Ok(screen::input_box(&text, Cursor { x: x as usize, y: y as usize }))
}

/// What a dialog on the terminal is, in words, if one can be told.
pub async fn dialog(app: &Arc<App>, session: SessionId) -> Option<String> {
    let text = capture(app, session, Capture::default()).await.ok()?;
    app.screens.dialog(&text).map(|d| format!("a dialog ({:?})", d.kind))
}

/// Clears the input box with one Ctrl+C: a second one would end Claude Code, and while Claude is busy
/// even one would interrupt it, so the caller knows it to be idle. Tells whether the box was empty
/// within `limit`.
pub async fn clear_draft(app: &Arc<App>, session: SessionId, limit: Duration) -> bool {
    let Ok(pane) = pane(app, session) else { return false };
    if !matches!(input_box(app, session).await, Ok(InputBox::Draft(_))) {
        return false;
    }
    let Ok(tmux) = app.tmux().await else { return false };
    if tmux.send_key(pane, Key::CtrlC).await.is_err() {
        return false;
    }
    let began = Instant::now();
    while began.elapsed() < limit {
        if matches!(input_box(app, session).await, Ok(InputBox::Empty)) {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}
