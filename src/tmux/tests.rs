//! Against a real tmux, each test on a server of its own.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

mod panes;
mod pasting;
mod server;
mod views;

/// A server on a private socket in a folder that goes with it.
struct Server {
    tmux: Tmux,
    events: mpsc::Receiver<TmuxEvent>,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (tmux, events) = Tmux::start(Config::new(folder.path().join("s"))).await.unwrap();
        Self { tmux, events, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn session(&self, name: &str, argv: &[&str]) -> Pane {
        let argv = argv.iter().map(Into::into).collect();
        let new = NewSession::new(name, self.folder.path(), argv);
        self.tmux.new_session(new).await.unwrap()
    }

    async fn pane(&self, pane: PaneId) -> Option<Pane> {
        self.tmux.list_panes().await.unwrap().into_iter().find(|p| p.pane == pane)
    }

    /// Waits for an event that `fits`.
    async fn event(&mut self, fits: impl Fn(&TmuxEvent) -> bool) -> TmuxEvent {
        let mut others = Vec::new();
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("events end too early");
                if fits(&event) {
                    return event;
                }
                others.push(event);
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(10), wait).await;
        found.unwrap_or_else(|_| panic!("no such event, only {others:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = std::process::Command::new("tmux");
        command.arg("-S").arg(self.path("s")).arg("kill-server");
        let _ = command.output();
    }
}

/// Waits up to 10 s until `fact` yields something.
async fn until<T>(what: &str, mut fact: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = fact().await {
            return value;
        }
        assert!(Instant::now() < end, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a file holds at least `length` bytes.
async fn bytes_of(path: &Path, length: usize) -> Vec<u8> {
    until(&format!("{length} bytes in {}", path.display()), async || {
        fs::read(path).ok().filter(|bytes| bytes.len() >= length)
    })
    .await
}
