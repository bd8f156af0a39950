//! Where the files of a data folder are.

use std::path::PathBuf;

use crate::domain::hex::hex;

/// The files of a data folder.
#[derive(Clone, Debug)]
pub struct DataDir(pub PathBuf);

impl DataDir {
    /// The SQLite file.
    pub fn database(&self) -> PathBuf {
        self.0.join("chorus.db")
    }

    /// The lock that keeps a second server out: it is locked, and empty.
    pub fn lock(&self) -> PathBuf {
        self.0.join("server.lock")
    }

    /// Where hooks leave what they could not deliver.
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// What people were told of, and which ways of telling them have failed lately.
    pub fn notices(&self) -> PathBuf {
        self.0.join("notices.json")
    }

    /// What a starting Claude is told: arguments, environment and system prompt, read once and removed.
    pub fn launches(&self) -> PathBuf {
        self.0.join("launch")
    }

    /// Where the worktrees of tasks are made.
    pub fn worktrees(&self) -> PathBuf {
        self.0.join("worktrees")
    }

    /// The server's own log, when the CLI started it.
    pub fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    /// The port that Claude Code's logs are taken in at: a Claude that runs keeps to it.
    pub fn log_port(&self) -> PathBuf {
        self.0.join("log.port")
    }

    /// The API's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.short("api.sock")
    }

    /// tmux's socket.
    pub fn tmux_socket(&self) -> PathBuf {
        self.short("tmux.sock")
    }

    /// A socket's path: in the data folder, unless that is too long for the kernel (about 104
    /// bytes), else in a folder of this user's that is derived from it.
    fn short(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        if path.as_os_str().len() <= 100 {
            return path;
        }
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.0.as_os_str().as_encoded_bytes());
        let short = hex(&digest[..8]);
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(
            || PathBuf::from(format!("/tmp/chorus-{}", rustix::process::getuid().as_raw())),
            |d| PathBuf::from(d).join("chorus"),
        );
        base.join(format!("{short}-{name}"))
    }
}
