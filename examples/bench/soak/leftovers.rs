//! What is still there when everything should be gone.

use std::fs::{self, File};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::sandbox::{Sandbox, Server};

/// Files that a server may have open beyond those it had at its start: connections to its store
/// and to tmux are made when they are needed.
const MORE_FILES: usize = 24;
/// How long ended processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many files, sockets and pipes a process has open.
pub fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// What a server holds on to that had `files` open when it was new, after all sessions have ended.
pub fn of_a_running_server(server: &Server<'_>, files: usize) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let began = Instant::now();
    let open = loop {
        let open = open_files(server.pid())?;
        if open <= files + MORE_FILES || began.elapsed() > PATIENCE {
            break open;
        }
        sleep(Duration::from_millis(100));
    };
    if open > files + MORE_FILES {
        left.push(format!("{open} open files, where there were {files} at the start"));
    }
    let panes =
        server.sandbox.tmux("data/tmux.sock", &["list-panes", "-a", "-F", "#{session_name}"])?;
    let panes = String::from_utf8_lossy(&panes.stdout).into_owned();
    left.extend(panes.lines().filter(|l| l.starts_with("claude-")).map(|l| format!("pane of {l}")));
    Ok(left)
}

/// What is left in a sandbox whose server was stopped.
pub fn of_a_stopped_server(sandbox: &Sandbox) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let home = sandbox.path("home");
    let mine = format!("HOME={}", home.display());
    let began = Instant::now();
    loop {
        let processes = living(&mine)?;
        if processes.is_empty() || began.elapsed() > PATIENCE {
            left.extend(processes);
            break;
        }
        sleep(Duration::from_millis(100));
    }
    for folder in ["data/spool", "data/launch"] {
        for entry in fs::read_dir(sandbox.path(folder)).context(folder)?.flatten() {
            left.push(entry.path().display().to_string());
        }
    }
    for file in ["data/api.sock", "data/server.json"] {
        if sandbox.path(file).exists() {
            left.push(file.to_owned());
        }
    }
    for entry in fs::read_dir(sandbox.path("data"))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "lock") && File::open(&path)?.try_lock().is_err() {
            left.push(format!("the lock {}", path.display()));
        }
    }
    Ok(left)
}

/// What stays on purpose: the tmux server, and what keeps it there without a session.
const STAYS: [&str; 2] = ["tmux ", "tail -f /dev/null"];

/// Processes with this in their environment, apart from those that stay.
fn living(variable: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(environ) = fs::read(entry.path().join("environ")) else { continue };
        if !environ.split(|b| *b == 0).any(|v| v == variable.as_bytes()) {
            continue;
        }
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if !line.is_empty() && !STAYS.iter().any(|known| line.starts_with(known)) {
            found.push(format!("process {}: {line}", entry.file_name().to_string_lossy()));
        }
    }
    Ok(found)
}
