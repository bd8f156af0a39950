//! Hard use for a long time: many sessions at work while server, Claudes and terminals are killed.
//!
//! What is looked for: a call that was acknowledged and is not in the command log; a session whose
//! state is wrong ten seconds after a kill; memory that grows; anything that is left over.

mod fleet;
mod leftovers;

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::claude::Real;
use crate::sandbox::Server;
use crate::table::Target;
use crate::{Bench, machine};
use fleet::Fleet;

/// Sessions of the stand-in, and of the real Claude Code.
const STAND_INS: usize = 40;
const REALS: usize = 4;
/// From a kill to the next, in seconds: between these.
const PAUSE: (u64, u64) = (12, 25);
/// After so long a state that does not fit is wrong.
const SETTLED: Duration = Duration::from_secs(10);
/// Between two calls of stand-ins.
const TICK: Duration = Duration::from_millis(12);
/// The most memory that the server may take. MB.
const MEMORY: f64 = 80.0;

/// A small generator (SplitMix64, Steele et al. 2014): what is random here need not be secret, and
/// its seed is printed, so that a run can be had again.
pub struct Random(u64);

impl Random {
    /// A number below `below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// How often what was killed.
#[derive(Default)]
struct Kills {
    servers: u32,
    claudes: u32,
    panes: u32,
}

/// Runs it.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let minutes = bench.minutes;
    let seed = u64::from(std::process::id());
    eprintln!("  {minutes} minutes, seed {seed}");
    let mut random = Random(seed);
    let real = Real::beside_a_stand_in(bench)?;
    let mut server = real.sandbox.serve()?;
    let files = leftovers::open_files(server.pid())?;
    let mut fleet = Fleet::new(&real, bench.chorus.clone());
    for _ in 0..STAND_INS {
        fleet.start(&server, false)?;
    }
    for _ in 0..REALS {
        fleet.start(&server, true)?;
    }
    let (mut kills, mut wrong) = (Kills::default(), Vec::new());
    let (mut memory, mut looked) = (Vec::new(), Instant::now());
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut next = Instant::now() + Duration::from_secs(PAUSE.0);
    let mut check = None;
    while Instant::now() < end {
        let began = Instant::now();
        fleet.work(&server, &mut random)?;
        if looked.elapsed() > Duration::from_secs(5) {
            memory.push(machine::resident(server.pid())?);
            looked = Instant::now();
        }
        if check.is_some_and(|at| Instant::now() >= at) {
            check = None;
            wrong.extend(fleet.wrong_states(&server)?);
            fleet.replace_the_dead(&server)?;
        }
        if check.is_none() && Instant::now() >= next {
            server = kill(server, &real, &mut fleet, &mut random, &mut kills)?;
            check = Some(Instant::now() + SETTLED);
            next = Instant::now() + Duration::from_secs(PAUSE.0 + random.below(PAUSE.1 - PAUSE.0));
        }
        std::thread::sleep(TICK.saturating_sub(began.elapsed()));
    }
    std::thread::sleep(SETTLED);
    wrong.extend(fleet.wrong_states(&server)?);
    let (acknowledged, lost) = fleet.lost(&server)?;
    fleet.end_all(&server)?;
    let mut left = leftovers::of_a_running_server(&server, files)?;
    drop(server);
    left.extend(leftovers::of_a_stopped_server(&real.sandbox)?);
    report(bench, &kills, acknowledged, &lost, &wrong, &memory, &left);
    Ok(())
}

fn kill<'a>(
    server: Server<'a>,
    real: &'a Real,
    fleet: &mut Fleet<'a>,
    random: &mut Random,
    kills: &mut Kills,
) -> Result<Server<'a>> {
    match random.below(10) {
        0..4 => {
            server.kill();
            kills.servers += 1;
            // Hooks run meanwhile, and find nobody.
            let away = Instant::now();
            let pause = Duration::from_millis(random.below(2_000));
            while away.elapsed() < pause {
                fleet.work_alone(random)?;
            }
            return real.sandbox.serve();
        }
        4..7 => {
            fleet.kill_claude(random)?;
            kills.claudes += 1;
        }
        _ => {
            fleet.kill_pane(random)?;
            kills.panes += 1;
        }
    }
    Ok(server)
}

fn report(
    bench: &mut Bench,
    kills: &Kills,
    acknowledged: usize,
    lost: &[String],
    wrong: &[String],
    memory: &[f64],
    left: &[String],
) {
    for (what, list) in [("lost", lost), ("wrong", wrong), ("left over", left)] {
        list.iter().take(20).for_each(|one| eprintln!("  {what}: {one}"));
    }
    let none = |list: &[String]| Target { words: "0", peer: "", met: Some(list.is_empty()) };
    let Kills { servers, claudes, panes } = kills;
    let minutes = bench.minutes;
    let sessions = format!("{STAND_INS} stand-in and {REALS} real sessions");
    bench.table.add(
        format!("soak, {minutes} min, {sessions}: acknowledged calls lost"),
        format!("{} of {acknowledged}", lost.len()),
        none(lost),
    );
    bench.table.add(
        "soak: wrong states 10 s after a kill",
        format!(
            "{} ({servers} kills of the server, {claudes} of Claude, {panes} of panes)",
            wrong.len()
        ),
        none(wrong),
    );
    let most = memory.iter().copied().fold(0.0, f64::max);
    bench.table.add(
        "soak: the server's memory at most",
        format!("{most:.1} MB"),
        Target::at_most(most, MEMORY, "≤ 80 MB", ""),
    );
    bench.table.add(
        "soak: processes, panes, files and locks left over",
        left.len().to_string(),
        none(left),
    );
}
