//! Hooks that are durable before they are answered: how fast, how many, and what they leave behind.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::sandbox::{Sandbox, Server};
use crate::session::{Hook, Session};
use crate::table::{Target, ms, percentiles};
use crate::wire::{self, Wire};
use crate::{Bench, costs, machine};

/// Connections of the busy case.
const CONNECTIONS: usize = 64;
/// Sessions that the hooks come from.
const SESSIONS: usize = 8;

/// Measures latency on one connection and throughput on many.
pub fn measure(bench: &mut Bench) -> Result<()> {
    // What `full` cannot be faster than: a commit waits for one of these.
    let flushes = machine::flushes(&Sandbox::new(&bench.chorus, None)?.path("flushed"))?;
    bench.table.add("the disk itself: 64 KB and a flush", percentiles(&flushes), Target::NONE);
    for synchronous in ["normal", "full"] {
        let mut sandbox = Sandbox::new(&bench.chorus, None)?;
        sandbox.set("CHORUS_SYNCHRONOUS", synchronous);
        let server = sandbox.serve()?;
        let mut load = Load::new(&server)?;
        for (socket, connect) in SOCKETS {
            let mut wires = [connect(&server)?];
            load.run(&mut wires, bench.count(400))?;
            let times = load.run(&mut wires, bench.count(4_000))?.times;
            bench.table.add(
                format!("hook ingest, 1 connection, {socket}, synchronous {synchronous}"),
                percentiles(&times),
                Target::at_most(ms(costs::percentile(&times, 0.99)), 1.5, "p99 ≤ 1.5 ms", "3.1 ms"),
            );
            let mut wires =
                (0..CONNECTIONS).map(|_| connect(&server)).collect::<Result<Vec<_>>>()?;
            load.run(&mut wires, bench.count(8_000))?;
            let rounds = (0..5)
                .map(|_| load.run(&mut wires, bench.count(24_000)))
                .collect::<Result<Vec<_>>>()?;
            let rate = costs::middle(rounds.iter().map(Round::rate).collect());
            let used = costs::middle(rounds.iter().map(|r| r.cpu).collect());
            let times: Vec<Duration> = rounds.into_iter().flat_map(|r| r.times).collect();
            bench.table.add(
                format!(
                    "hook ingest, {CONNECTIONS} connections, {socket}, synchronous {synchronous}"
                ),
                format!(
                    "{rate:.0} events/s ({used:.0} µs of server CPU each; {})",
                    percentiles(&times)
                ),
                Target::at_least(rate, 12_000.0, "≥ 12,000/s", "1,125/s"),
            );
        }
    }
    Ok(())
}

/// Measures the server's memory after many events.
pub fn memory(bench: &mut Bench) -> Result<()> {
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let before = machine::resident(server.pid())?;
    let mut load = Load::new(&server)?;
    let mut wires = (0..CONNECTIONS).map(|_| server.unix()).collect::<Result<Vec<_>>>()?;
    for (more, in_all) in [(20_000, "20,000"), (40_000, "60,000")] {
        load.run(&mut wires, more)?;
        let resident = machine::resident(server.pid())?;
        bench.table.add(
            format!("memory after {in_all} events"),
            format!("{resident:.1} MB (at the start {before:.1})"),
            Target::at_most(resident, 35.0, "≤ 35 MB, flat", "134 MB"),
        );
    }
    Ok(())
}

type Connect = fn(&Server<'_>) -> Result<Wire>;
const SOCKETS: [(&str, Connect); 2] = [("Unix socket", |s| s.unix()), ("TCP", |s| s.tcp())];

/// One run.
struct Round {
    /// How long each hook waited for its answer.
    times: Vec<Duration>,
    took: Duration,
    /// What the server used for each, in microseconds.
    cpu: f64,
}

impl Round {
    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }
}

/// Sends hooks, each for a call of its own.
struct Load<'a> {
    server: &'a Server<'a>,
    hooks: Vec<Hook>,
    sent: u64,
}

impl<'a> Load<'a> {
    fn new(server: &'a Server<'a>) -> Result<Self> {
        let hooks = (0..SESSIONS)
            .map(|n| Session::start(server, &format!("stand-in-{n}"))?.hook())
            .collect::<Result<_>>()?;
        Ok(Self { server, hooks, sent: 0 })
    }

    /// Sends `count` hooks, one at a time on each connection.
    fn run(&mut self, wires: &mut [Wire], count: usize) -> Result<Round> {
        let first = self.sent;
        let cpu = machine::cpu(self.server.pid())?;
        let begun = Instant::now();
        let mut times = Vec::with_capacity(count);
        let mut since = Vec::with_capacity(wires.len());
        for i in 0..wires.len().min(count) {
            since.push(Instant::now());
            self.send(wires, i)?;
        }
        while times.len() < count {
            for i in wire::readable(wires.iter())? {
                wire::taken(&mut wires[i])?;
                times.push(since[i].elapsed());
                if ((self.sent - first) as usize) < count {
                    since[i] = Instant::now();
                    self.send(wires, i)?;
                }
            }
        }
        let took = begun.elapsed();
        ensure!(times.len() == count, "every hook is answered once");
        let used = machine::cpu(self.server.pid())?.saturating_sub(cpu);
        Ok(Round { times, took, cpu: used.as_secs_f64() * 1e6 / count as f64 })
    }

    fn send(&mut self, wires: &mut [Wire], i: usize) -> Result<()> {
        let sessions = self.hooks.len();
        self.sent += 1;
        self.hooks[i % sessions].send(&mut wires[i], self.sent)
    }
}
