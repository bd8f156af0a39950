//! What sessions cost in which nothing happens.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::sandbox::Sandbox;
use crate::session::Session;
use crate::table::Target;
use crate::{Bench, machine};

/// Measures the processor time of server and tmux with ever more idle sessions.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let (settle, watch) = if bench.quick { (12, 20) } else { (25, 60) };
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let mut sessions = Vec::new();
    for count in [5, 50, 100] {
        while sessions.len() < count {
            sessions.push(Session::start(&server, &format!("idle-{}", sessions.len()))?);
        }
        sleep(Duration::from_secs(settle));
        let tmux = sandbox.tmux("data/tmux.sock", &["display-message", "-p", "#{pid}"])?;
        let tmux = String::from_utf8_lossy(&tmux.stdout).trim().parse()?;
        let used = || Ok::<_, anyhow::Error>((machine::cpu(server.pid())?, machine::cpu(tmux)?));
        let before = used()?;
        sleep(Duration::from_secs(watch));
        let after = used()?;
        let a_minute = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 60.0 / watch as f64
        };
        let (ours, theirs) = (a_minute(before.0, after.0), a_minute(before.1, after.1));
        bench.table.add(
            format!("CPU with {count} idle sessions"),
            format!("{ours:.2} s a minute (tmux itself {theirs:.2})"),
            Target::at_most(ours, 0.3, "≤ 0.3 s a minute, not growing", "57 s"),
        );
    }
    Ok(())
}
