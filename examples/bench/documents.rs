//! What documents cost: finding ten thousand of them, and watching them while nothing happens.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::sandbox::Sandbox;
use crate::table::Target;
use crate::{Bench, machine};

/// Measures the time from a project's being added to its last document's being listed, and the processor
/// time of a minute after that.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let folders = bench.count(100);
    let watch = if bench.quick { 20 } else { 60 };
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let root = sandbox.path("many");
    let text = "# Title\n\nSome words.\n\n## Section\n\nMore words.\n".repeat(20);
    for folder in 0..folders {
        let folder = root.join(format!("docs/{folder:03}"));
        fs::create_dir_all(&folder)?;
        for n in 0..100 {
            fs::write(folder.join(format!("{n:02}.md")), &text)?;
        }
    }
    // So that the default project is not in the way.
    server.call("GET", "/api/documents?discover=true&limit=1", None)?;
    let last = format!("/api/documents?limit=1&q=docs/{:03}/99.md", folders - 1);
    let began = Instant::now();
    server.call("POST", "/api/projects", Some(&json!({ "root": root })))?;
    while server.call("GET", &last, None)?.as_array().is_none_or(Vec::is_empty) {
        ensure!(began.elapsed() < Duration::from_secs(30), "the documents are not found");
        sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    bench.table.add(
        format!("discovery of {} documents, none of them known", folders * 100),
        format!("{} ms", took.as_millis()),
        Target::at_most(took.as_secs_f64(), 1.0, "≤ 1 s", ""),
    );
    let began = Instant::now();
    server.call("GET", "/api/documents?discover=true&limit=1&project=many", None)?;
    let again = began.elapsed();
    bench.table.add(
        "the same again, all of them known",
        format!("{} ms", again.as_millis()),
        Target::NONE,
    );
    sleep(Duration::from_secs(2));
    let before = machine::cpu(server.pid())?;
    sleep(Duration::from_secs(watch));
    let used = machine::cpu(server.pid())?.saturating_sub(before);
    let a_minute = used.as_secs_f64() * 60.0 / watch as f64;
    bench.table.add(
        format!("CPU while {} documents are watched", folders * 100),
        format!("{a_minute:.2} s a minute"),
        Target::at_most(a_minute, 0.1, "≤ 0.1 s a minute", ""),
    );
    Ok(())
}
