//! Linux: `/proc` and pidfds.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub(super) use super::net::{holders_of, peer_of_tcp};
use super::{MAX_DESCENDANTS, Usage};
use crate::domain::session::Process;

pub(super) const TELLS_ENVIRONMENTS: bool = true;
pub(super) const KNOWS_PEERS: bool = true;

/// What `/proc/<pid>/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// `R`, `S`, `D`, `Z`, …
    pub state: u8,
    /// Field 4.
    pub parent: u32,
    /// Field 22.
    pub start: u64,
}

impl Stat {
    /// Reads a line of the form `1234 (name) S 1 …`, where the name may hold `)`, blanks and
    /// newlines: it ends at the last `)`, for only numbers follow.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let name_end = line.iter().rposition(|&b| b == b')')?;
        let rest = std::str::from_utf8(&line[name_end + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        // Fields 3 and 4 are read; 22 is the eighteenth from there.
        let start = fields.nth(17)?.parse().ok()?;
        Some(Self { state, parent, start })
    }

    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn runs(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

pub(super) fn own_usage() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    // Fields 14 and 15 in clock ticks, field 24 in pages; the first one here is field 3.
    let (user, system): (u64, u64) = (fields.nth(11)?.parse().ok()?, fields.next()?.parse().ok()?);
    let resident: u64 = fields.nth(8)?.parse().ok()?;
    Some(Usage {
        resident: resident * rustix::param::page_size() as u64,
        cpu: (user + system) as f64 / rustix::param::clock_ticks_per_second() as f64,
        open_files: fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1),
    })
}

pub(super) fn peer_of_unix(stream: &UnixStream) -> Option<u32> {
    rustix::net::sockopt::socket_peercred(stream).ok().map(|peer| peer.uid.as_raw())
}

pub(super) fn identify(pid: u32) -> Option<Process> {
    let stat = Stat::read(pid).filter(Stat::runs)?;
    Some(Process { pid, start: stat.start })
}

pub(super) fn parent(pid: u32) -> Option<u32> {
    Stat::read(pid).map(|stat| stat.parent)
}

pub(super) fn environ_has(pid: u32, key: &str) -> Option<bool> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environ.split(|&b| b == 0);
    let is_key = |rest: &[u8]| rest.first() == Some(&b'=');
    Some(variables.any(|variable| variable.strip_prefix(key.as_bytes()).is_some_and(is_key)))
}

pub(super) fn descendants(pid: u32) -> Vec<Process> {
    // Not every kernel has the lists of children.
    if Path::new("/proc/thread-self/children").exists() {
        collect(pid, children)
    } else {
        let parents = parents();
        collect(pid, |pid| parents.iter().filter(|(_, p)| *p == pid).map(|(c, _)| *c).collect())
    }
}

/// Follows `children` from `pid`, breadth first.
pub(super) fn collect(pid: u32, children: impl Fn(u32) -> Vec<u32>) -> Vec<Process> {
    let mut seen = HashSet::from([pid]);
    let mut found = Vec::new();
    let mut level = vec![pid];
    while !level.is_empty() && found.len() < MAX_DESCENDANTS {
        let next: Vec<u32> = level.iter().flat_map(|&pid| children(pid)).collect();
        level = next.into_iter().filter(|&child| seen.insert(child)).collect();
        // A zombie has no children: they hang elsewhere already.
        found.extend(level.iter().filter_map(|&child| identify(child)));
    }
    found
}

/// The children that each thread of a process has started.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect()
}

/// Every process with its parent.
pub(super) fn parents() -> Vec<(u32, u32)> {
    pids().filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// Every process.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A handle on one process, which no other can get by taking its pid.
enum Handle {
    Open(OwnedFd),
    Gone,
    /// The kernel has no pidfds, or there are no descriptors left.
    Unavailable,
}

fn open(process: Process) -> Handle {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return Handle::Gone };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // Checked after opening: from here on the handle cannot come to mean another process.
        Ok(fd) if identify(process.pid) == Some(process) => Handle::Open(fd),
        Ok(_) | Err(Errno::SRCH) => Handle::Gone,
        Err(_) => Handle::Unavailable,
    }
}

/// Waits for the end of a process; `false` if that has to be done by looking.
#[expect(
    deprecated,
    reason = "its successor is `unsafe` for types that may close or change their descriptor; an \
              `OwnedFd` that moves in does neither, and this crate has no unsafe code"
)]
pub(super) async fn wait_gone(process: Process) -> bool {
    match open(process) {
        Handle::Gone => true,
        Handle::Unavailable => false,
        Handle::Open(fd) => match AsyncFd::with_interest(fd, Interest::READABLE) {
            Ok(fd) => fd.readable().await.is_ok(),
            Err(_) => false,
        },
    }
}

pub(super) fn signal(process: Process, signal: Signal) -> io::Result<bool> {
    match open(process) {
        Handle::Gone => Ok(false),
        Handle::Unavailable => super::signal_by_pid(process, signal),
        Handle::Open(fd) => match pidfd_send_signal(&fd, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(Errno::NOSYS) => super::signal_by_pid(process, signal),
            Err(error) => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_do_not_confuse() {
        let tail = "S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 1";
        for name in ["cat", "a b", ") S 1 (", "((", ")))", "x) Z 3", "a\nb", ""] {
            let line = format!("4711 ({name}) {tail}\n");
            let expected = Stat { state: b'S', parent: 7, start: 98765 };
            assert_eq!(Stat::parse(line.as_bytes()), Some(expected), "{name:?}");
        }
        assert_eq!(Stat::parse(b"1 (x) S 1 2 3"), None);
    }

    #[test]
    fn both_ways_to_find_children_agree() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let me = std::process::id();
        assert!(children(me).contains(&child.id()));
        assert!(parents().contains(&(child.id(), me)));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    proptest! {
        #[test]
        fn anything_is_survived(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Stat::parse(&line);
        }
    }
}
