//! The operating system's processes: who one is, whether it lives, what it started, who is behind
//! a connection. Everything that depends on the system is in this module.
//!
//! - Linux reads `/proc` and waits with pidfds: no polling, no reused pid is ever signalled.
//! - Elsewhere (macOS) `ps` answers, at some milliseconds a question; waiting asks twice a second;
//!   between checking who a process is and signalling it another could take its pid; and
//!   [`environ_has`], [`peer_of_tcp`], [`holders_of`] and [`is_anothers`] know nothing, as [`TELLS_ENVIRONMENTS`] and
//!   [`KNOWS_PEERS`] say.
//!
//! All functions but the `async` ones block for as long as reading `/proc` (or `ps`) takes.

mod end;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod net;
// Compiled for tests everywhere, so that it cannot rot.
#[cfg(any(test, not(target_os = "linux")))]
mod portable;

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(target_os = "linux"))]
use portable as os;

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::domain::session::Process;

pub use end::end_tree;

/// The most ancestors that are followed, in case a system shows a cycle.
const MAX_ANCESTORS: usize = 128;
/// The most descendants that are collected.
const MAX_DESCENDANTS: usize = 10_000;
/// How often a process is looked at where nothing tells of its end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Identifies the running process `pid`. A zombie has ended: `None`.
pub fn identify(pid: u32) -> Option<Process> {
    os::identify(pid)
}

/// Tells whether this very process still runs (not another with its pid, not its zombie).
pub fn alive(process: Process) -> bool {
    identify(process.pid) == Some(process)
}

/// Returns the parent of a running process.
pub fn parent(pid: u32) -> Option<u32> {
    os::parent(pid).filter(|&parent| parent != 0)
}

/// Returns the ancestors of a running process, its parent first, at most 128.
///
/// A process whose parent has ended hangs below process 1 (or a subreaper), so descent can be
/// shaken off; [`environ_has`] may still tell where it comes from.
pub fn ancestors(pid: u32) -> Vec<u32> {
    let mut line = Vec::new();
    let mut next = parent(pid);
    while let Some(pid) = next.filter(|pid| line.len() < MAX_ANCESTORS && !line.contains(pid)) {
        line.push(pid);
        next = parent(pid);
    }
    line
}

/// Returns what a process has started and what that has started, parents before children.
///
/// Also those in sessions and process groups of their own. Not those whose parent has ended: so
/// collect before ending anything.
pub fn descendants(pid: u32) -> Vec<Process> {
    os::descendants(pid)
}

/// Whether the system tells other processes' environments at all: where it does, one that is not told
/// is hidden.
pub const TELLS_ENVIRONMENTS: bool = os::TELLS_ENVIRONMENTS;

/// Whether the system tells who is at the other end of a TCP connection.
pub const KNOWS_PEERS: bool = os::KNOWS_PEERS;

/// Tells whether a process was started with the environment variable `key`.
///
/// `None` if that cannot be known: it has ended, belongs to somebody else, or the system does not
/// tell. A process can change what is read here.
pub fn environ_has(pid: u32, key: &str) -> Option<bool> {
    os::environ_has(pid, key)
}

/// Waits until a process has ended; returns at once if it has. May be dropped at any time.
///
/// # Panics
/// Outside a tokio runtime with I/O and time.
pub async fn wait_gone(process: Process) {
    if !os::wait_gone(process).await {
        look_until_gone(process).await;
    }
}

async fn look_until_gone(process: Process) {
    while alive(process) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Asks a process to end (SIGTERM). Returns whether it was there to be asked.
///
/// # Errors
/// It belongs to somebody else, or is process 0 or 1.
pub fn terminate(process: Process) -> io::Result<bool> {
    signal(process, Signal::TERM)
}

/// Ends a process (SIGKILL). Returns whether it was there to be ended.
///
/// # Errors
/// It belongs to somebody else, or is process 0 or 1.
pub fn kill(process: Process) -> io::Result<bool> {
    signal(process, Signal::KILL)
}

fn signal(process: Process, signal: Signal) -> io::Result<bool> {
    if process.pid <= 1 {
        let refused = format!("process {} is the system's", process.pid);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, refused));
    }
    os::signal(process, signal)
}

/// Signals by pid, right after checking who that is.
fn signal_by_pid(process: Process, signal: Signal) -> io::Result<bool> {
    let pid = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw);
    let Some(pid) = pid.filter(|_| alive(process)) else { return Ok(false) };
    match rustix::process::kill_process(pid, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether another user listens at the other end of a connection to a Unix socket. `false` where the
/// system does not tell.
pub fn is_anothers(stream: &UnixStream) -> bool {
    os::peer_of_unix(stream).is_some_and(|uid| uid != rustix::process::getuid().as_raw())
}

/// The client's end of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSocket {
    /// The user that opened it.
    pub uid: u32,
    /// The socket's inode: see [`holders_of`].
    pub inode: u64,
}

/// Finds the client's socket of a connection within this machine, by the address `local` at which
/// it was accepted and the address `peer` it comes from.
///
/// `None` if the client is elsewhere (another machine or network namespace), has closed its end,
/// or the system does not tell.
pub fn peer_of_tcp(local: SocketAddr, peer: SocketAddr) -> Option<PeerSocket> {
    os::peer_of_tcp(local, peer)
}

/// Returns the processes of user `uid` that hold the socket `inode` open.
///
/// Empty if they cannot be known: they may have ended, or hide their descriptors.
pub fn holders_of(inode: u64, uid: u32) -> Vec<u32> {
    os::holders_of(inode, uid)
}

/// What this very process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Memory that is in RAM, shared pages included. Bytes.
    pub resident: u64,
    /// CPU time since its start. Seconds.
    pub cpu: f64,
    /// Files, sockets and pipes that are open.
    pub open_files: usize,
}

/// What this very process uses. `None` if the system does not tell.
pub fn own_usage() -> Option<Usage> {
    os::own_usage()
}

#[cfg(test)]
mod tests;
