//! A live view of one pane: what is on the screen and before it, then what its program writes.
//!
//! Each view is a control-mode client of its own, attached to the pane's session. Against the
//! alternatives: the one client that steers all sessions is attached to the keeper, and tmux tells a
//! client only of its own session's panes; `tmux attach` in a pseudo-terminal draws tmux's screen
//! instead of the program's output, which leaves no scrollback to scroll and needs the viewer's size.
//!
//! - Nothing queues without end. tmux drops what a view has not taken for [`PAUSE_AFTER`] and says
//!   so (`%pause`); the view begins again with the screen as it is then. Neither the program nor
//!   anybody else's view waits for a slow one.
//! - A screen and the output after it fit together without a gap: tmux runs the commands of one line
//!   without reading from any pane between them, and keeps replies and output in order.
//! - It does not count for the window's size until it is told to (`View::resize`).

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Tmux;
use super::connection::{Connection, News};
use super::error::TmuxError;
use super::protocol::{Block, Notification};
use super::quote::CommandLine;
use super::screen::{PROCESS_FORMAT, STATE_FORMAT, Screen};
use super::sessions::{check_name, paste};
use super::types::PaneId;

/// After how many seconds what a view has not taken is dropped.
const PAUSE_AFTER: u32 = 2;
/// tmux (seen in 3.3a) keeps what it has to say to a view, its `%pause` above all, when the last bytes
/// before that went out all at once, until it is told something. After output, or a screen that was
/// asked for, a view tells it something when it has heard nothing for so long.
const QUIET: Duration = Duration::from_millis(500);
/// Bytes in one `send-keys`; more go in several.
const KEYS: usize = 1_024;
/// Typed bytes that tmux has not taken yet, at most.
const MAX_UNSENT: usize = 8 << 20;
/// The sizes that a window can be given; tmux takes no smaller and no larger ones.
const SIZES: std::ops::RangeInclusive<u16> = 2..=1_000;

/// What a view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Everything from the beginning: first of all, after a change of size, and after a gap.
    Screen(Screen),
    /// What the program has written since.
    Output(Vec<u8>),
}

/// A live view of a pane; ends when dropped.
#[derive(Debug)]
pub struct View {
    connection: Connection,
    pane: PaneId,
    scrollback: u32,
    /// Whose the last screen is: that a program has ended, or another has begun in the pane, is no
    /// output, and seen by a new screen.
    process: String,
    /// The screen that was asked for: output until it comes is in it.
    asked: Option<oneshot::Receiver<Vec<Block>>>,
    seen: VecDeque<Seen>,
    /// tmux may be keeping something back, see [`QUIET`].
    expecting: bool,
}

impl Tmux {
    /// Opens a view of a pane in session `name`, with so many lines from before the screen.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] without the session, or as for a first connection.
    pub async fn view(&self, name: &str, pane: PaneId, scrollback: u32) -> Result<View, TmuxError> {
        check_name(name)?;
        let flags = format!("ignore-size,pause-after={PAUSE_AFTER}");
        let connection = Connection::attach(&self.config, name, &flags).await?;
        let mut view = View {
            connection,
            pane,
            scrollback,
            process: String::new(),
            asked: None,
            seen: VecDeque::new(),
            expecting: false,
        };
        // By way of the session: a pane's own subscription is silent once its program has ended.
        let process = format!("process::#{{W:#{{P:#{{pane_id}} {PROCESS_FORMAT};}}}}");
        view.submit(CommandLine::new("refresh-client").raw("-B").arg(process))?;
        view.ask();
        Ok(view)
    }
}

impl View {
    /// Waits for what is to be seen next. May be cancelled without losing anything.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone, [`TmuxError::Disconnected`] when tmux has ended
    /// the view: with its session, or the server.
    pub async fn next(&mut self) -> Result<Seen, TmuxError> {
        loop {
            if let Some(seen) = self.seen.pop_front() {
                return Ok(seen);
            }
            self.step().await?;
        }
    }

    async fn step(&mut self) -> Result<(), TmuxError> {
        let Self { connection, pane, process, asked, seen, expecting, .. } = self;
        let quiet = if *expecting { QUIET } else { Duration::MAX };
        let pane = *pane;
        let mut taken = Taken { process, asked, seen, expecting, pane, failed: None, stale: false };
        let mut take = |news| taken.take(news);
        let Ok(outcome) = timeout(quiet, connection.step(&mut take)).await else {
            self.expecting = false;
            let (anything, _) = oneshot::channel();
            let line = CommandLine::new("display-message").raw("-p").arg("");
            self.connection.submit(line, anything);
            return Ok(());
        };
        taken.screen();
        let Taken { failed, stale, .. } = taken;
        if let Some(error) = failed {
            return Err(error);
        }
        outcome.map_err(|reason| {
            tracing::debug!(reason, "a view of a terminal has ended");
            TmuxError::Disconnected
        })?;
        if stale {
            self.ask();
        }
        Ok(())
    }

    /// Asks for the whole screen, once.
    fn ask(&mut self) {
        let pane = self.pane;
        let line = CommandLine::new("refresh-client").raw("-A").arg(format!("{pane}:continue"));
        let line = line.then("display-message").raw(format!("-p -t {pane}")).arg(STATE_FORMAT);
        let line = line.then("capture-pane").raw(format!("-p -e -N -t {pane}"));
        let line = line.raw(format!("-S -{}", self.scrollback)).fenced();
        let (reply, answer) = oneshot::channel();
        self.connection.submit(line, reply);
        self.asked = Some(answer);
        self.expecting = true;
    }

    /// Types bytes as they are. A person's copy mode in the pane is left first, or it would take
    /// them; a program that has ended gets nothing.
    ///
    /// # Errors
    /// [`TmuxError::Invalid`] when tmux has not taken what was typed before.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), TmuxError> {
        let pane = self.pane;
        for keys in bytes.chunks(KEYS) {
            let hex: String = keys.iter().map(|key| format!(" {key:02x}")).collect();
            let line = CommandLine::new("copy-mode").raw(format!("-q -t {pane}"));
            self.submit(line.then_if_alive(pane, &format!("send-keys -t {pane} -H{hex}")))?;
        }
        Ok(())
    }

    /// Pastes text: bracketed if the program has asked for that, which tmux knows.
    ///
    /// # Errors
    /// As for [`Tmux::paste`] of a text that cannot be pasted.
    pub fn paste(&mut self, text: &str) -> Result<(), TmuxError> {
        if text.is_empty() {
            return Ok(());
        }
        let (line, _) = paste(self.pane, text)?;
        self.submit(line)
    }

    /// Lets the view count for the window's size, as one of so many columns and rows, or no longer.
    /// A screen follows if that changes it.
    ///
    /// # Errors
    /// [`TmuxError::Invalid`] for a size that no window can have.
    pub fn resize(&mut self, size: Option<(u16, u16)>) -> Result<(), TmuxError> {
        let Some((columns, rows)) = size else {
            return self.submit(CommandLine::new("refresh-client").raw("-f ignore-size"));
        };
        if !SIZES.contains(&columns) || !SIZES.contains(&rows) {
            let why = format!("{columns} x {rows}: expected 2 to 1000 of each");
            return Err(TmuxError::Invalid { what: "the size", why });
        }
        let line = CommandLine::new("refresh-client").raw("-f").arg("!ignore-size");
        self.submit(line.then("refresh-client").raw(format!("-C {columns}x{rows}")))
    }

    /// Sends a line whose reply matters to nobody: what it does is seen.
    fn submit(&mut self, line: CommandLine) -> Result<(), TmuxError> {
        if self.connection.unsent() + line.bytes.len() > MAX_UNSENT {
            let why = "tmux has not taken what was typed before; try again in a moment".into();
            return Err(TmuxError::Invalid { what: "what was typed", why });
        }
        let (reply, _) = oneshot::channel();
        self.connection.submit(line, reply);
        Ok(())
    }
}

/// What one step brings, in the order in which tmux sent it.
struct Taken<'v> {
    process: &'v mut String,
    asked: &'v mut Option<oneshot::Receiver<Vec<Block>>>,
    seen: &'v mut VecDeque<Seen>,
    expecting: &'v mut bool,
    pane: PaneId,
    failed: Option<TmuxError>,
    /// The screen must be asked for again.
    stale: bool,
}

impl Taken<'_> {
    fn take(&mut self, news: News) {
        // Replies come before what follows them.
        self.screen();
        match news {
            News::Output { pane, data } if pane == self.pane.to_string().as_bytes() => {
                *self.expecting = true;
                if self.asked.is_some() || self.stale {
                    return;
                }
                match self.seen.back_mut() {
                    Some(Seen::Output(before)) => before.extend(data),
                    _ => self.seen.push_back(Seen::Output(data)),
                }
            }
            News::Notification(Notification::Paused | Notification::Layout) => self.stale = true,
            News::Notification(Notification::Subscription { value, .. }) => {
                let mut panes = value.split(|&b| b == b';');
                let own = format!("{} ", self.pane);
                let now = panes.find_map(|pane| pane.strip_prefix(own.as_bytes()));
                // Before the first screen nothing needs a newer one.
                let known = !self.process.is_empty();
                self.stale |= known && now.is_some_and(|now| now != self.process.as_bytes());
            }
            News::Output { .. } | News::Notification(_) | News::Refused(_) => {}
        }
    }

    /// Takes the screen that was asked for, if it is there by now.
    fn screen(&mut self) {
        let Some(blocks) = self.asked.as_mut().and_then(|asked| asked.try_recv().ok()) else {
            return;
        };
        *self.asked = None;
        match Screen::read(&blocks) {
            // A newer one is to come.
            Ok(_) if self.stale => {}
            Ok((screen, process)) => {
                *self.process = process;
                // What was not taken yet is in it.
                self.seen.clear();
                self.seen.push_back(Seen::Screen(screen));
            }
            Err(error) => self.failed = Some(error),
        }
    }
}
