//! The words of the tmux module.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How to reach the tmux server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The tmux program.
    pub binary: PathBuf,
    /// The server's socket, private to Chorus. Its folder is made (0700) if missing.
    pub socket: PathBuf,
    /// The name of the session that holds the control client; hidden from every listing.
    pub keeper: String,
    /// Lines of scrollback that each pane keeps.
    pub history_limit: u32,
    /// How long a command may take.
    pub command_timeout: Duration,
    /// The environment of a server that has to be started, which every pane inherits; `None`
    /// passes on Chorus's own.
    pub env: Option<Vec<(OsString, OsString)>>,
}

impl Config {
    /// The defaults, for a server on `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            binary: "tmux".into(),
            socket: socket.into(),
            keeper: "_chorus".into(),
            history_limit: 20_000,
            command_timeout: Duration::from_secs(5),
            env: None,
        }
    }
}

/// A pane's id, unique in the life of one tmux server (`%3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaneId(pub u32);

impl fmt::Display for PaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl FromStr for PaneId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix('%').and_then(|n| n.parse().ok());
        number.map(Self).ok_or_else(|| format!("{text:?} is no pane id (%0, %1, …)"))
    }
}

impl TryFrom<String> for PaneId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PaneId> for String {
    fn from(pane: PaneId) -> Self {
        pane.to_string()
    }
}

/// A pane as tmux describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pane {
    /// The session it is in.
    pub session: String,
    /// Its id.
    pub pane: PaneId,
    /// The process that was started in it (which may have ended: see `dead`).
    pub pid: u32,
    /// The program has ended and the pane remains.
    pub dead: bool,
    /// Its exit status. Like `dead_signal` it can be missing for a second after the end.
    pub dead_status: Option<i32>,
    /// The signal that ended it (tmux 3.3 and newer).
    pub dead_signal: Option<i32>,
    /// The title that the program set.
    pub title: String,
    /// The cursor: column and row, from 0.
    pub cursor: (u32, u32),
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The program uses the alternate screen, which has no scrollback.
    pub alternate_on: bool,
    /// How many clients look at its session.
    pub attached: u32,
}

/// What changed in a pane, as the subscription tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaneChange {
    /// The pane.
    pub pane: PaneId,
    /// The session it is in.
    pub session: String,
    /// The program has ended.
    pub dead: bool,
    /// Its exit status; may come in a later change than `dead`.
    pub dead_status: Option<i32>,
    /// The signal that ended it; may come in a later change than `dead`.
    pub dead_signal: Option<i32>,
    /// The title.
    pub title: String,
    /// How many clients look at its session.
    pub attached: u32,
}

/// News from tmux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TmuxEvent {
    /// The connection is there. What happened before it is unknown: list the panes.
    Connected {
        /// The server's process. Another one than before has none of the old sessions.
        server_pid: u32,
    },
    /// The connection is lost and is being made again.
    Disconnected {
        /// Why, in a few words.
        reason: String,
    },
    /// Sessions, windows or panes came or went: list the panes.
    SessionsChanged,
    /// Something about a pane changed, at most once a second for each.
    PaneChanged(PaneChange),
}

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its name: ASCII letters, digits, `-` and `_`, beginning with a letter or digit.
    pub name: String,
    /// The folder to start in; absolute.
    pub cwd: PathBuf,
    /// The program and its arguments; executed directly, no shell reads them.
    pub argv: Vec<OsString>,
    /// Variables to add to the server's environment for this session.
    pub env: Vec<(OsString, OsString)>,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl NewSession {
    /// A session of 200 x 50.
    pub fn new(name: impl Into<String>, cwd: impl Into<PathBuf>, argv: Vec<OsString>) -> Self {
        let (name, cwd) = (name.into(), cwd.into());
        Self { name, cwd, argv, env: Vec::new(), width: 200, height: 50 }
    }
}

/// What to read from a pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Keep colours and attributes as escape sequences.
    pub escapes: bool,
    /// Lines above the visible ones; as many as there are if there are fewer.
    pub scrollback: u32,
}

/// A key to press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Key {
    Enter,
    Escape,
    Tab,
    BackTab,
    Space,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    CtrlC,
    CtrlD,
    CtrlU,
}

impl Key {
    /// The name tmux knows it by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Enter => "Enter",
            Self::Escape => "Escape",
            Self::Tab => "Tab",
            Self::BackTab => "BTab",
            Self::Space => "Space",
            Self::Backspace => "BSpace",
            Self::Up => "Up",
            Self::Down => "Down",
            Self::Left => "Left",
            Self::Right => "Right",
            Self::CtrlC => "C-c",
            Self::CtrlD => "C-d",
            Self::CtrlU => "C-u",
        }
    }
}

/// Whose option is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The server's.
    Server,
    /// Every session's, unless it has its own.
    Global,
    /// Every window's, unless it has its own.
    GlobalWindow,
    /// One session's, by name.
    Session(String),
    /// One pane's.
    Pane(PaneId),
}

/// A tmux version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// In tmux's own words (`3.3a`, `next-3.6`).
    pub text: String,
    /// `(3, 3)`; `None` for builds that do not say (`master`, `openbsd-7.1`), taken as new.
    pub number: Option<(u32, u32)>,
}

impl Version {
    /// Reads `3.3a`, `tmux 3.3a`, `next-3.6`, `master`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let text = text.strip_prefix("tmux ").unwrap_or(text);
        let digits = text.strip_prefix("next-").unwrap_or(text);
        let number = digits.split_once('.').and_then(|(major, minor)| {
            let end = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
            Some((major.parse().ok()?, minor[..end].parse().ok()?))
        });
        Self { text: text.to_owned(), number }
    }

    /// Whether Chorus works with it: 3.2 or newer.
    pub fn is_supported(&self) -> bool {
        self.number.is_none_or(|number| number >= (3, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let number = |text| Version::parse(text).number;
        assert_eq!(number("tmux 3.3a\n"), Some((3, 3)));
        assert_eq!(number("next-3.6"), Some((3, 6)));
        assert_eq!(number("3.10-rc2"), Some((3, 10)));
        assert_eq!(number("master"), None);
        assert!(
            Version::parse("3.2").is_supported() && Version::parse("openbsd-7.1").is_supported()
        );
        assert!(!Version::parse("3.1c").is_supported() && !Version::parse("2.9").is_supported());
    }

    #[test]
    fn pane_ids_are_read_and_written() {
        assert_eq!("%17".parse::<PaneId>().unwrap().to_string(), "%17");
        for bad in ["", "%", "17", "%-1", "%1;"] {
            assert!(bad.parse::<PaneId>().is_err(), "{bad}");
        }
    }
}
