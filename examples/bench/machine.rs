//! What the kernel tells of the machine and of processes.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The machine and how busy it is, in a line.
pub fn describe() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|l| l.starts_with(name));
        line.and_then(|l| l.split_once(':')).map_or("?", |(_, v)| v.trim()).to_owned()
    };
    let model = format!("{} (model {})", field("model name"), field("model\t"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cpus} cores, Linux {}. Load before: {}", kernel.trim(), load())
}

/// The load averages over 1, 5 and 15 minutes.
pub fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// A process's memory in use, in MB.
pub fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kb: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kb / 1024.0)
}

/// The processor time that a process has used, its ended children's left out.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat_fields(&stat);
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    // The unit of /proc is a hundredth of a second on every Linux.
    Ok(Duration::from_millis(ticks.context("no times")? * 10))
}

/// When a process was started, in the kernel's ticks.
pub fn started(pid: u32) -> Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok((*stat_fields(&stat).get(19).context("no start time")?).to_owned())
}

/// Whether a process has ended and only waits to be asked for how.
pub fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat_fields(&stat).first().is_none_or(|state| matches!(*state, "Z" | "X"))
}

/// The fields after the name, which may hold anything.
fn stat_fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split_ascii_whitespace().collect()
}

/// How long the disk takes to keep 64 KB in a file that is there, again and again.
pub fn flushes(file: &std::path::Path) -> Result<Vec<Duration>> {
    let mut open = fs::OpenOptions::new().write(true).create_new(true).open(file)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        open.rewind()?;
        let begun = Instant::now();
        open.write_all(&[1; 64 << 10])?;
        open.sync_data()?;
        times.push(begun.elapsed());
    }
    // The first one makes the file.
    Ok(times.split_off(1))
}

/// Compiles a small C program.
pub fn compile(source: &str, to: &std::path::Path) -> Result<()> {
    let file = to.with_extension("c");
    fs::write(&file, source)?;
    let done = Command::new("cc").arg("-O2").arg("-o").arg(to).arg(&file).status();
    anyhow::ensure!(done.context("cc")?.success(), "cc failed");
    Ok(())
}
