//! A server with everything of its own, in a folder that goes with it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::wire::{self, Wire};

/// Stands in for Claude Code: says which version it is, leaves its environment where the driver
/// finds it, and sleeps. A session with `REAL` in its environment gets the real one.
const STAND_IN: &str = r#"#!/bin/sh
if [ -n "$REAL" ]; then exec "$REAL_CLAUDE" "$@"; fi
if [ "$1" = --version ]; then echo '2.1.329 (Claude Code)'; exit; fi
env > "$HOME/$CHORUS_SESSION.part" && mv "$HOME/$CHORUS_SESSION.part" "$HOME/$CHORUS_SESSION.env"
exec sleep 1000000
"#;

/// A folder with a home, a data folder and a project, and the environment that goes with it.
pub struct Sandbox {
    dir: TempDir,
    env: BTreeMap<String, String>,
    chorus: PathBuf,
}

impl Sandbox {
    /// Makes one whose sessions run `claude`, or a stand-in.
    pub fn new(chorus: &Path, claude: Option<&Path>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("chorus-bench-").tempdir()?;
        let root = dir.path();
        for folder in ["home/.claude/sessions", "project", "data"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let stand_in = root.join("stand-in");
        fs::write(&stand_in, STAND_IN)?;
        fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755))?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let env = BTreeMap::from([
            ("HOME".to_owned(), text(&root.join("home"))),
            ("PATH".to_owned(), std::env::var("PATH")?),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TERM".to_owned(), "xterm-256color".to_owned()),
            ("CHORUS_DATA_DIR".to_owned(), text(&root.join("data"))),
            ("CHORUS_PROJECT_ROOT".to_owned(), text(&root.join("project"))),
            ("CHORUS_CLAUDE".to_owned(), text(claude.unwrap_or(&stand_in))),
        ]);
        Ok(Self { dir, env, chorus: chorus.to_owned() })
    }

    /// Sets a variable of everything that is started in here.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.env.insert(name.to_owned(), value.into());
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command with this environment and no other.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).current_dir(self.path("project")).stdin(Stdio::null());
        command
    }

    /// Runs tmux on a socket in here.
    pub fn tmux(&self, socket: &str, args: &[&str]) -> Result<Output> {
        let mut command = self.command("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(self.path(socket)).args(args);
        command.output().context("tmux")
    }

    /// Runs git in a directory, and tells what it says.
    pub fn git(&self, dir: &Path, args: &[&str]) -> Result<String> {
        let done = self.command("git").args(args).current_dir(dir).output().context("git")?;
        ensure!(done.status.success(), "git: {}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// Starts the server and waits until it answers.
    pub fn serve(&self) -> Result<Server<'_>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = fs::File::options().create(true).append(true).open(self.path("server.log"))?;
        let mut command = self.command(&self.chorus);
        command.args(["serve", "--port", &port.to_string()]).stdout(Stdio::null()).stderr(log);
        let begun = Instant::now();
        let process = command.spawn().context("chorus serve")?;
        let mut server = Server { sandbox: self, process, port, ready_after: Duration::ZERO };
        while !server.answers()? {
            let patient = begun.elapsed() < Duration::from_secs(10);
            ensure!(patient, "the server does not answer:\n{}", server.log());
            sleep(Duration::from_micros(100));
        }
        server.ready_after = begun.elapsed();
        Ok(server)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for socket in ["data/tmux.sock", "bare.sock"] {
            if self.path(socket).exists() {
                let _ = self.tmux(socket, &["kill-server"]);
            }
        }
    }
}

/// A running server. Dropped, it is ended.
pub struct Server<'a> {
    /// Where it runs.
    pub sandbox: &'a Sandbox,
    process: Child,
    port: u16,
    /// From the start of its process to its first answer.
    pub ready_after: Duration,
}

impl Server<'_> {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its address for browsers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Opens a connection over loopback.
    pub fn tcp(&self) -> Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        Ok(Wire::Tcp(stream))
    }

    /// Opens a connection over the Unix socket.
    pub fn unix(&self) -> Result<Wire> {
        Ok(Wire::Unix(UnixStream::connect(self.sandbox.path("data/api.sock"))?))
    }

    /// Makes one request.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        wire::call(self.unix()?, method, path, body)
            .with_context(|| format!("the server's log:\n{}", self.log()))
    }

    /// Kills it as nothing survives.
    pub fn kill(mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn answers(&mut self) -> Result<bool> {
        ensure!(self.process.try_wait()?.is_none(), "the server ended:\n{}", self.log());
        let Ok(Wire::Tcp(mut stream)) = self.tcp() else { return Ok(false) };
        use std::io::{Read as _, Write as _};
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"HTTP/1.1 200")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.sandbox.path("server.log")).unwrap_or_default()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let runs = matches!(self.process.try_wait(), Ok(None));
        let pid = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| runs) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let asked = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if asked.elapsed() > Duration::from_secs(5) {
                let _ = self.process.kill();
            }
            sleep(Duration::from_millis(5));
        }
    }
}
