//! Pages of a long list of tasks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use serde_json::json;

use crate::sandbox::{Sandbox, Server};
use crate::table::{Target, ms, percentiles};
use crate::{Bench, costs, wire};

/// Connections that make tasks at the same time.
const MAKERS: usize = 16;

/// Measures pages of fifty, from the beginning and deep in the list, in every order and by filters.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let all = bench.count(100_000);
    make(&server, all)?;
    let mut times = Vec::new();
    for query in [
        "sort=priority",
        "sort=created_at",
        "sort=status",
        "status=pending",
        "label=rare",
        "status=completed",
    ] {
        let mut next = Some(format!("/api/tasks?{query}"));
        for _ in 0..bench.count(400) {
            let Some(path) = next else { break };
            let began = Instant::now();
            let (_, after) = wire::page(server.unix()?, &path)?;
            times.push(began.elapsed());
            next = after;
        }
    }
    bench.table.add(
        format!("page of 50 of {all} tasks, every order and filter"),
        percentiles(&times),
        Target::at_most(ms(costs::percentile(&times, 0.99)), 10.0, "p99 ≤ 10 ms", ""),
    );
    Ok(())
}

fn make(server: &Server<'_>, all: usize) -> Result<()> {
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        let makers = (0..MAKERS).map(|_| {
            scope.spawn(|| -> Result<()> {
                loop {
                    let n = made.fetch_add(1, Ordering::Relaxed);
                    if n >= all {
                        return Ok(());
                    }
                    let label = if n.is_multiple_of(1_000) { "rare" } else { "common" };
                    let body = json!({ "title": format!("task {n}"), "priority": n % 10,
                        "description": "what is to be done, in a few lines of text", "labels": [label] });
                    wire::call(server.unix()?, "POST", "/api/tasks", Some(&body))?;
                }
            })
        });
        let makers: Vec<_> = makers.collect();
        makers.into_iter().try_for_each(|m| m.join().map_err(|_| anyhow!("a maker died"))?)
    })
}
