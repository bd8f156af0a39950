//! Looking at a session's terminal.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::App;
use super::error::Error;
use crate::claude::screen::{self, Cursor, InputBox};
use crate::domain::ids::SessionId;
use crate::domain::session::Process;
use crate::tmux::{Capture, Key, Pane, PaneId};

/// The pane of a session that runs.
pub(super) fn pane(app: &App, session: SessionId) -> Result<PaneId, Error> {
    let no_terminal = || Error::conflict("the session has no terminal: it does not run");
    app.pane(session).ok_or_else(no_terminal)
}

/// The pane of a session among all panes: the one that its Claude runs in, or is to run in. People split
/// its window, and what runs beside Claude is theirs.
pub(super) fn pane_of<'p>(
    panes: &'p [Pane],
    tmux_session: &str,
    claude: Option<Process>,
) -> Option<&'p Pane> {
    let mut panes = panes.iter().filter(|p| p.session == tmux_session);
    match claude {
        Some(claude) => panes.find(|p| p.pid == claude.pid),
        None => panes.min_by_key(|p| p.pane),
    }
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

#[cfg(test)]
mod tests {
    use super::pane_of;
    use crate::domain::session::Process;
    use crate::tmux::{Pane, PaneId};

    fn pane(session: &str, number: u32, pid: u32) -> Pane {
        Pane {
            session: session.into(),
            pane: PaneId(number),
            pid,
            dead: false,
            dead_status: None,
            dead_signal: None,
            title: String::new(),
            cursor: (0, 0),
            width: 80,
            height: 24,
            alternate_on: false,
            attached: 0,
        }
    }

    #[test]
    fn a_split_window_does_not_hide_where_claude_runs() {
        // As tmux lists them after a split above, and a window more.
        let panes = [pane("b", 1, 9), pane("a", 4, 40), pane("a", 2, 20), pane("a", 3, 30)];
        let found = |claude: Option<u32>| {
            let claude = claude.map(|pid| Process { pid, start: 1 });
            pane_of(&panes, "a", claude).map(|p| p.pane)
        };
        assert_eq!(found(Some(20)), Some(PaneId(2)));
        assert_eq!(found(Some(30)), Some(PaneId(3)), "it was started there");
        assert_eq!(found(None), Some(PaneId(2)), "the first one is where it is started");
        assert_eq!(found(Some(50)), None, "its pane was closed; the others are not Claude's");
    }
}
