//! `make bench`: measures what docs/BENCHMARKS.md keeps.
//!
//! One program drives the real `chorus serve` of the same build, on the same machine, over
//! loopback and the Unix socket. Everything it starts gets a home, a data folder and a tmux socket
//! of its own, and is ended again. Its own cost is in the figures, so it does as little as it can:
//! requests are rendered beforehand, and answers are only looked at as far as is needed.
//!
//! `make bench ARGS='--quick ingest stream'` measures less of less; `make bench
//! ARGS='--minutes=5 soak'` soaks for five minutes instead of thirty.

mod claude;
mod commits;
mod costs;
mod dashboard;
mod documents;
mod hook;
mod idle;
mod ingest;
mod machine;
mod sandbox;
mod session;
mod soak;
mod start;
mod stream;
mod table;
mod tasks;
mod wire;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use table::Table;

/// What the figures share.
pub struct Bench {
    /// The program that is measured.
    pub chorus: PathBuf,
    /// The real Claude Code.
    pub claude: Option<PathBuf>,
    /// Measure less, for a quick look.
    pub quick: bool,
    /// How long the soak takes.
    pub minutes: u64,
    /// What was measured.
    pub table: Table,
}

impl Bench {
    /// `full`, or less of it if this is to be quick.
    pub fn count(&self, full: usize) -> usize {
        if self.quick { (full / 8).max(3) } else { full }
    }
}

type Figure = fn(&mut Bench) -> Result<()>;

/// The figures by name, in the order they are measured in.
const FIGURES: [(&str, Figure); 15] = [
    ("start", start::measure),
    ("ingest", ingest::measure),
    ("memory", ingest::memory),
    ("stream", stream::measure),
    ("tasks", tasks::measure),
    ("commits", commits::measure),
    ("hook", hook::measure),
    ("toolcall", claude::tool_call),
    ("launch", claude::launch),
    ("permission", claude::permission),
    ("documents", documents::measure),
    ("dashboard", dashboard::page),
    ("card", dashboard::card),
    ("idle", idle::measure),
    ("soak", soak::measure),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (options, names): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|a| a.starts_with('-'));
    let (mut quick, mut minutes) = (false, None);
    for option in &options {
        match option.split_once('=') {
            None if option == "--quick" => quick = true,
            Some(("--minutes", n)) => minutes = Some(n.parse().context("--minutes")?),
            _ => bail!(
                "{option} is no option; there are --quick, --minutes=30 for the soak, and the names {}",
                known()
            ),
        }
    }
    if let Some(unknown) = names.iter().find(|n| FIGURES.iter().all(|(name, _)| name != n)) {
        bail!("{unknown} is no figure; there are {}", known());
    }
    let mut bench = Bench {
        chorus: chorus()?,
        claude: env::var_os("CHORUS_TEST_CLAUDE").map(PathBuf::from),
        quick,
        minutes: minutes.unwrap_or(if quick { 2 } else { 30 }),
        table: Table::default(),
    };
    let before = machine::describe();
    eprintln!("{before}");
    let mut failed = Vec::new();
    for (name, measure) in FIGURES {
        if !names.is_empty() && !names.iter().any(|n| n == name) {
            continue;
        }
        eprintln!("{name} … (load {})", machine::load());
        if let Err(e) = measure(&mut bench) {
            eprintln!("bench: {name}: {e:#}");
            failed.push(name);
        }
    }
    println!("{before}\nLoad after: {}\n\n{}", machine::load(), bench.table);
    if !failed.is_empty() {
        bail!("could not be measured: {}", failed.join(", "));
    }
    Ok(())
}

fn known() -> String {
    FIGURES.map(|(name, _)| name).join(", ")
}

/// The `chorus` of the same build: examples stand one folder below it.
fn chorus() -> Result<PathBuf> {
    let me = env::current_exe()?;
    let target = me.parent().and_then(|p| p.parent()).context("this program's own folder")?;
    let chorus = target.join("chorus");
    if !chorus.is_file() {
        bail!("{} is missing; `make bench` builds it", chorus.display());
    }
    Ok(chorus)
}
