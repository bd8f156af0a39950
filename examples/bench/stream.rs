//! From a hook to the live stream's listeners.

use std::io::Read as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::sandbox::{Sandbox, Server};
use crate::session::{Hook, Session, calls};
use crate::table::{Target, ms, percentiles};
use crate::wire::{self, Wire};
use crate::{Bench, costs};

/// Between two events: nothing of one is left when the next comes.
const PAUSE: Duration = Duration::from_millis(3);

/// Measures it with one listener and with a hundred.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let session = Session::start(&server, "stand-in")?;
    let mut number = 0;
    for (listeners, limit, words, peer, events) in [
        (1, 1.5, "p99 ≤ 1.5 ms", "1.9 ms", bench.count(2_000)),
        (100, 5.0, "p99 ≤ 5 ms", "7.7 ms", bench.count(600)),
    ] {
        let mut run = Run::new(&server, session.hook()?, listeners, number)?;
        for _ in 0..events / 10 {
            run.event()?;
        }
        run.arrived.clear();
        run.answered.clear();
        for _ in 0..events {
            run.event()?;
            sleep(PAUSE);
        }
        number = run.number;
        bench.table.add(
            format!("event → live stream, {listeners} listener(s)"),
            format!(
                "{}; answer to the hook {}",
                percentiles(&run.arrived),
                percentiles(&run.answered)
            ),
            Target::at_most(ms(costs::percentile(&run.arrived, 0.99)), limit, words, peer),
        );
    }
    Ok(())
}

struct Run {
    hook: Hook,
    /// The hook's connection, and then the listeners'.
    wires: Vec<Wire>,
    /// What has come to each and is not understood yet.
    seen: Vec<Vec<u8>>,
    number: u64,
    arrived: Vec<Duration>,
    answered: Vec<Duration>,
}

impl Run {
    fn new(server: &Server<'_>, hook: Hook, listeners: usize, number: u64) -> Result<Self> {
        let mut wires = vec![server.unix()?.patient()?];
        for _ in 0..listeners {
            wires.push(wire::subscribe(server.tcp()?)?);
        }
        let seen = vec![Vec::new(); wires.len()];
        Ok(Self { hook, wires, seen, number, arrived: Vec::new(), answered: Vec::new() })
    }

    /// Sends one hook, and waits for its answer and for everyone to hear of it.
    fn event(&mut self) -> Result<()> {
        self.number += 1;
        let sent = Instant::now();
        self.hook.send(&mut self.wires[0], self.number)?;
        let mut left = self.wires.len();
        let mut buf = [0; 8192];
        while left > 0 {
            for i in wire::readable(&self.wires)? {
                if i == 0 {
                    wire::taken(&mut self.wires[0])?;
                    self.answered.push(sent.elapsed());
                    left -= 1;
                    continue;
                }
                let n = self.wires[i].read(&mut buf)?;
                let at = sent.elapsed();
                ensure!(n > 0, "the stream ended");
                self.seen[i].extend_from_slice(&buf[..n]);
                let mut heard = false;
                calls(&mut self.seen[i], |n| heard |= n == self.number);
                if heard {
                    self.arrived.push(at);
                    left -= 1;
                }
            }
        }
        Ok(())
    }
}
