//! `chorus hook` as Claude Code runs it: a process for each event.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::sandbox::Sandbox;
use crate::session::Session;
use crate::table::{Target, ms, percentiles};
use crate::{Bench, costs, machine};

/// The least that could do the same.
const BARE: &str = include_str!("hook.c");

/// Measures it, and a bare C program that does the same.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let session = Session::start(&server, "stand-in")?;
    let bare = sandbox.path("bare-hook");
    machine::compile(BARE, &bare)?;
    let payload = session.payload();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let run = |program: &std::path::Path, n: usize| -> Result<Duration> {
        let payload = payload.replace(&format!("{:024x}", 0), &format!("{n:024x}"));
        let mut command = sandbox.command(program);
        command.args(["hook", "PostToolUse"]).envs(&session.env).stdin(Stdio::piped());
        // Without it the process is made in the cheapest way.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = command.spawn()?;
        child.stdin.take().map(|mut stdin| stdin.write_all(payload.as_bytes())).transpose()?;
        let status = child.wait()?;
        let took = begun.elapsed();
        ensure!(status.success(), "{} failed", program.display());
        Ok(took)
    };
    for n in 0..bench.count(400) {
        ours.push(run(&bench.chorus, 2 * n + 1)?);
        theirs.push(run(&bare, 2 * n + 2)?);
    }
    let p50 = ms(costs::median(&ours));
    bench.table.add(
        "`chorus hook` as a process",
        percentiles(&ours),
        Target::at_most(p50, 3.0, "p50 ≤ 3 ms", "bare C 1.2, curl 7.3, node 110 ms"),
    );
    bench.table.add("a bare C program that does the same", percentiles(&theirs), Target::NONE);
    Ok(())
}
