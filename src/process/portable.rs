//! Where there is no `/proc`: `ps`, whose columns used here are the same on macOS, the BSDs and
//! Linux.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{MAX_DESCENDANTS, PeerSocket, Usage};
use crate::domain::session::Process;

/// `ps -E` shows the environment mixed with the arguments, which proves nothing.
pub(super) const TELLS_ENVIRONMENTS: bool = false;
/// `lsof` would know, in seconds; nobody may be kept waiting for that.
pub(super) const KNOWS_PEERS: bool = false;

/// One line of `ps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    process: Process,
    parent: u32,
    zombie: bool,
}

impl Entry {
    /// Reads `12 1 Ss Thu Nov 20 19:19:00 2025`. The start is in seconds since the epoch: whole
    /// ones, which two processes with one pid cannot share in practice.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let zombie = words.next()?.starts_with('Z');
        let date = words.collect::<Vec<_>>().join(" ");
        let date = jiff::civil::DateTime::strptime("%a %b %d %H:%M:%S %Y", date).ok()?;
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        let process = Process { pid, start: start.try_into().ok()? };
        Some(Self { process, parent, zombie })
    }
}

fn ps(which: &[&str]) -> Vec<Entry> {
    let mut command = Command::new("ps");
    command.args(which).args(["-o", "pid=,ppid=,stat=,lstart="]);
    // Dates in one form and one zone, whatever the user's are.
    command.env("LC_ALL", "C").env("TZ", "UTC0").stdin(Stdio::null()).stderr(Stdio::null());
    let Ok(output) = command.output() else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout).lines().filter_map(Entry::parse).collect()
}

fn entry(pid: u32) -> Option<Entry> {
    ps(&["-p", &pid.to_string()]).into_iter().find(|entry| entry.process.pid == pid)
}

pub(super) fn own_usage() -> Option<Usage> {
    None
}

pub(super) fn peer_of_unix(_stream: &UnixStream) -> Option<u32> {
    None
}

pub(super) fn identify(pid: u32) -> Option<Process> {
    entry(pid).filter(|entry| !entry.zombie).map(|entry| entry.process)
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    entry(pid).map(|entry| entry.parent)
}

pub(super) fn environ_has(_pid: u32, _key: &str) -> Option<bool> {
    None
}

pub(super) fn descendants(pid: u32) -> Vec<Process> {
    let all = ps(&["-A"]);
    let mut seen = HashSet::from([pid]);
    let mut found = Vec::new();
    let mut level = vec![pid];
    while !level.is_empty() && found.len() < MAX_DESCENDANTS {
        let next = all.iter().filter(|e| level.contains(&e.parent) && !e.zombie);
        let next: Vec<Process> = next.map(|e| e.process).filter(|p| seen.insert(p.pid)).collect();
        level = next.iter().map(|process| process.pid).collect();
        found.extend(next);
    }
    found
}

/// Nothing tells of the end of a process that is no child: it has to be looked at.
pub(super) async fn wait_gone(_process: Process) -> bool {
    false
}

pub(super) fn signal(process: Process, signal: Signal) -> io::Result<bool> {
    super::signal_by_pid(process, signal)
}

pub(super) fn peer_of_tcp(_local: SocketAddr, _peer: SocketAddr) -> Option<PeerSocket> {
    None
}

pub(super) fn holders_of(_inode: u64, _uid: u32) -> Vec<u32> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let entry = Entry::parse("  12     1 Ss   Thu Nov  6 01:02:03 2025").unwrap();
        assert_eq!(entry.process, Process { pid: 12, start: 1_762_390_923 });
        assert_eq!((entry.parent, entry.zombie), (1, false));
        assert!(Entry::parse("12 1 Z+ Thu Nov 20 19:19:00 2025").unwrap().zombie);
        assert_eq!(Entry::parse("nonsense"), None);
    }

    #[tokio::test]
    async fn a_child_is_known() {
        let me = std::process::id();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = identify(child.id()).unwrap();
        assert_eq!(parent(child.id()), Some(me));
        assert!(descendants(me).contains(&process));
        assert_eq!((environ_has(me, "PATH"), own_usage()), (None, None));
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(peer_of_unix(&one), None);
        assert_eq!((TELLS_ENVIRONMENTS, KNOWS_PEERS), (false, false));
        let address = "127.0.0.1:1".parse().unwrap();
        assert_eq!((peer_of_tcp(address, address), holders_of(1, 0)), (None, vec![]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(identify(process.pid), None);
        assert!(!signal(process, Signal::TERM).unwrap());
        assert!(!wait_gone(process).await);
    }
}
