//! Ending several processes for good.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{alive, descendants, identify, kill, terminate, wait_gone};
use crate::domain::session::Process;

/// How long a killed process may take to go; one that hangs in the kernel takes longer.
const GO_WITHIN: Duration = Duration::from_secs(2);

/// Ends processes and their descendants: SIGTERM, and after `grace` SIGKILL.
///
/// Returns those that are still there two seconds later: they belong to somebody else or hang in
/// the kernel. This process is spared, whatever the list says.
pub async fn end_tree(processes: Vec<Process>, grace: Duration) -> Vec<Process> {
    let mut all = with_descendants(processes);
    for &process in &all {
        log(process, terminate(process));
    }
    // The end of the wait is no failure.
    let _ = timeout(grace, join_all(all.iter().copied().map(wait_gone))).await;
    all.retain(|&process| alive(process));
    if all.is_empty() {
        return all;
    }
    // They may have started more, and will not clean up.
    all = with_descendants(all);
    for &process in &all {
        log(process, kill(process));
    }
    let _ = timeout(GO_WITHIN, join_all(all.iter().copied().map(wait_gone))).await;
    all.retain(|&process| alive(process));
    all
}

fn with_descendants(processes: Vec<Process>) -> Vec<Process> {
    let mut all: HashSet<Process> = HashSet::new();
    for process in processes.into_iter().filter(|&process| alive(process)) {
        all.extend(descendants(process.pid));
        all.insert(process);
    }
    if let Some(this) = identify(std::process::id()) {
        all.remove(&this);
    }
    all.into_iter().collect()
}

fn log(process: Process, signalled: std::io::Result<bool>) {
    if let Err(error) = signalled {
        tracing::warn!(pid = process.pid, %error, "a process cannot be ended");
    }
}
