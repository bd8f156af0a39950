//! From the start of the process to the first answer.

use anyhow::Result;

use crate::sandbox::Sandbox;
use crate::table::{Target, ms};
use crate::{Bench, costs};

/// Measures it on a fresh and on an existing data folder.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let rounds = bench.count(20);
    let mut fresh = Vec::new();
    let mut again = Vec::new();
    for _ in 0..rounds {
        let sandbox = Sandbox::new(&bench.chorus, None)?;
        fresh.push(sandbox.serve()?.ready_after);
        again.push(sandbox.serve()?.ready_after);
    }
    for (folder, times) in [("a fresh", fresh), ("an existing", again)] {
        let median = ms(costs::median(&times));
        let most = ms(costs::percentile(&times, 1.0));
        bench.table.add(
            format!("exec → first /healthz 200, {folder} data folder"),
            format!("{median:.1} ms (median; slowest {most:.1})"),
            Target::at_most(median, 50.0, "≤ 50 ms", "209 ms"),
        );
    }
    Ok(())
}
