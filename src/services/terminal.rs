//! Looking at a session's terminal.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::App;
use super::error::Error;
use crate::claude::screen::{self, InputBox};
use crate::domain::ids::SessionId;
use crate::tmux::{Capture, Key, PaneId};

/// Captures what a session's terminal shows, with its colours if asked for.
pub async fn capture(app: &Arc<App>, session: SessionId, what: Capture) -> Result<String, Error> {
    let pane = app
        .pane(session)
        .ok_or_else(|| Error::conflict("the session has no terminal: it does not run"))?;
    let text = app.tmux().await?.capture(pane, what).await;
    text.map_err(|e| Error::Unavailable { problem: e.to_string() })
}

/// What stands in the input box.
pub async fn input_box(app: &Arc<App>, session: SessionId) -> Result<InputBox, Error> {
    let text = capture(app, session, Capture { escapes: true, scrollback: 0 }).await?;
    let pane = app.tmux().await?.list_panes().await;
    let cursor = pane
        .ok()
        .and_then(|panes| panes.into_iter().find(|p| Some(p.pane) == app.pane(session)))
        .map(|p| p.cursor);
    Ok(screen::input_box(&text, cursor.unwrap_or_default()))
}

/// Clears the input box with one Ctrl+C: a second one would end Claude Code. Tells whether the box
/// was empty within `limit`.
pub async fn clear_draft(
    app: &Arc<App>,
    session: SessionId,
    pane: PaneId,
    limit: Duration,
) -> bool {
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
