//! Processes: starting them in a world's clean environment, and leaving none behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What a program did.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// Goes on only if it went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// Runs a program to its end.
pub async fn run(mut command: tokio::process::Command) -> Output {
    let began = Instant::now();
    let output = command.kill_on_drop(true).output().await.expect("a program that starts");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: began.elapsed(),
    }
}

/// Sends a signal. That the process is gone already is as good.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The environment that a process was started with.
pub fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The arguments that a process was started with, its program first.
pub fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Every process that was started with this `HOME`: a world's home is its own, so they are all its
/// children, whatever they did to leave the family.
pub fn living_in(home: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| environment(*pid).get("HOME").is_some_and(|h| Path::new(h) == home)).collect()
}

/// Ends every process that was started with this `HOME`.
pub fn end_all(home: &Path) {
    // A process may be starting another in this very moment.
    for _ in 0..50 {
        let pids = living_in(home);
        if pids.is_empty() {
            return;
        }
        pids.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        std::thread::sleep(Duration::from_millis(5));
    }
}
