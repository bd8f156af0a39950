//! What can go wrong with tmux, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use super::types::PaneId;

/// A failed tmux operation. Its text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// The program cannot be run.
    #[error(
        "cannot run {}: {source}. Install tmux 3.2 or newer (apt install tmux, brew install tmux) \
         or configure its path",
        binary.display()
    )]
    NotInstalled {
        /// What was run.
        binary: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The program or the running server is too old.
    #[error("tmux {found} is too old: install 3.2 or newer, then end the old server")]
    TooOld {
        /// Its version, in its own words.
        found: String,
    },
    /// No connection could be made.
    #[error(
        "cannot connect to the tmux server on {}: {message}. \
         `tmux -S {} list-sessions` shows whether it answers", socket.display(), socket.display()
    )]
    Connect {
        /// The server's socket.
        socket: PathBuf,
        /// What tmux said.
        message: String,
    },
    /// The connection is being made again. What was asked may or may not have been done.
    #[error(
        "the connection to tmux is down and is being made again; \
         try again in a few seconds, and look at what is there before repeating an action"
    )]
    Disconnected,
    /// tmux did not answer in time. What was asked may still be done.
    #[error(
        "tmux did not answer `{command}` within {after:?}: the machine or the tmux server is \
         overloaded; try again"
    )]
    Timeout {
        /// The command's name.
        command: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// There is no such session or pane.
    #[error("tmux has no such target ({message}): it has ended or was closed; list what is there")]
    NotFound {
        /// tmux's words, which name it.
        message: String,
    },
    /// A session of this name exists.
    #[error("a tmux session named {name} exists already: choose another name or end that one")]
    Exists {
        /// The name.
        name: String,
    },
    /// The program in the pane has ended, so nothing can be typed into it.
    #[error("the program in pane {0} has ended: restart it first")]
    PaneDead(PaneId),
    /// An argument that tmux or the system cannot take.
    #[error("{what} cannot be used: {why}")]
    Invalid {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it, and the bound where there is one.
        why: String,
    },
    /// tmux refused for another reason.
    #[error("tmux refused `{command}`: {message}")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// tmux's words.
        message: String,
    },
    /// tmux answered something that this version of Chorus does not understand.
    #[error("tmux answered `{command}` with something unexpected ({output:?}); please report it")]
    Unexpected {
        /// The command's name.
        command: &'static str,
        /// The beginning of its answer.
        output: String,
    },
}

impl TmuxError {
    /// Sorts tmux's own words about a failed command.
    pub(super) fn refused(command: &'static str, message: &[u8]) -> Self {
        let message = shorten(message);
        if message.starts_with("can't find") || message.starts_with("no such") {
            return Self::NotFound { message };
        }
        match message.strip_prefix("duplicate session: ") {
            Some(name) => Self::Exists { name: name.into() },
            None => Self::Refused { command, message },
        }
    }

    /// An answer that could not be read.
    pub(super) fn unexpected(command: &'static str, output: &[u8]) -> Self {
        Self::Unexpected { command, output: shorten(output) }
    }
}

/// The first 400 bytes as text: tmux repeats arguments in its messages, however long.
pub(super) fn shorten(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(400)]).trim().to_owned()
}
