//! tmux: where interactive Claudes run.
//!
//! One control-mode client (`tmux -C`) on a server of Chorus's own carries every command and every
//! notification; nothing is forked per command and nothing is polled. The client keeps a hidden
//! session of its own, the keeper. When the server dies it is started again and the receiver is
//! told; the sessions that were in it are gone then.
//!
//! - [`Tmux`] is the handle; [`TmuxEvent`] what happens by itself.
//! - `protocol` reads the stream, `quote` writes it: both pure.
//! - `connection` is one client process, `client` the task that replaces it when it is lost.
//! - [`View`] shows one pane as it is written, by a client of its own.

mod alert;
mod attach;
mod client;
mod connection;
mod error;
mod events;
mod format;
mod protocol;
mod quote;
mod screen;
mod sessions;
mod types;
mod view;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

pub use attach::attach_command;
pub use error::TmuxError;
pub use screen::Screen;
pub use sessions::MAX_PASTE;
pub use types::{
    Capture, Config, Key, NewSession, Pane, PaneChange, PaneId, Scope, TmuxEvent, Version,
};
pub use view::{Seen, View};

use client::{Request, Server};
use quote::CommandLine;

/// How many events wait for a slow receiver; then they coalesce.
const EVENTS: usize = 256;
/// The longest socket path that every supported system takes, without its ending NUL.
const MAX_SOCKET_PATH: usize = 103;

/// A handle on the tmux server; clones share one connection, which ends with the last of them.
///
/// Every method fails with [`TmuxError::Disconnected`] at once while the connection is down and
/// with [`TmuxError::Timeout`] when tmux is too slow. Commands of one task run in the order in
/// which they are called; a dropped future may still have its effect.
#[derive(Clone, Debug)]
pub struct Tmux {
    config: Arc<Config>,
    requests: mpsc::Sender<Request>,
    server: Arc<Server>,
    version: Version,
}

impl Tmux {
    /// Connects to the server on the configured socket, starting it if there is none.
    ///
    /// The receiver gets `Connected` first. It may be dropped if events are of no interest.
    ///
    /// # Errors
    /// [`TmuxError::NotInstalled`], [`TmuxError::TooOld`], [`TmuxError::Invalid`] (the socket's
    /// path), or [`TmuxError::Connect`] with tmux's reason.
    pub async fn start(config: Config) -> Result<(Self, mpsc::Receiver<TmuxEvent>), TmuxError> {
        check_config(&config)?;
        let found = installed_version(&config.binary).await?;
        if !found.is_supported() {
            return Err(TmuxError::TooOld { found: found.text });
        }
        let outbox = Arc::new(events::Outbox::default());
        let (requests, server, version) =
            client::start(config.clone(), Arc::clone(&outbox)).await?;
        let (sender, receiver) = mpsc::channel(EVENTS);
        tokio::spawn(async move { outbox.deliver(sender).await });
        Ok((Self { config: Arc::new(config), requests, server, version }, receiver))
    }

    /// Returns the version of the server that was connected to first.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Returns the server's process id, or `None` while there is no connection.
    pub fn server_pid(&self) -> Option<u32> {
        Some(self.server.pid.load(Ordering::Acquire)).filter(|&pid| pid != 0)
    }

    /// Returns the arguments of the command by which a person's terminal shows session `name`.
    ///
    /// `tmux_env` is `$TMUX` of that terminal: see [`attach_command`].
    pub fn attach_command(&self, name: &str, tmux_env: Option<&str>) -> Vec<String> {
        attach_command(&self.config.binary, &self.config.socket, name, tmux_env)
    }

    async fn run(&self, line: CommandLine) -> Result<Vec<Vec<u8>>, TmuxError> {
        client::call(&self.requests, line, self.config.command_timeout).await
    }
}

/// Asks the program for its version.
///
/// # Errors
/// [`TmuxError::NotInstalled`] when it cannot be run.
pub async fn installed_version(binary: &Path) -> Result<Version, TmuxError> {
    let failed = |source| TmuxError::NotInstalled { binary: binary.to_owned(), source };
    let mut command = tokio::process::Command::new(binary);
    let output = command.arg("-V").kill_on_drop(true).output().await.map_err(failed)?;
    Ok(Version::parse(&String::from_utf8_lossy(&output.stdout)))
}

fn check_config(config: &Config) -> Result<(), TmuxError> {
    let invalid = |why: String| TmuxError::Invalid { what: "the tmux socket's path", why };
    let length = config.socket.as_os_str().as_bytes().len();
    if !config.socket.is_absolute() {
        return Err(invalid("it must be absolute".into()));
    }
    if length > MAX_SOCKET_PATH {
        let advice = "choose a data folder with a shorter path";
        return Err(invalid(format!("{length} bytes, at most {MAX_SOCKET_PATH}: {advice}")));
    }
    sessions::check_name(&config.keeper)?;
    if let Some(folder) = config.socket.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| invalid(format!("its folder cannot be made: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
