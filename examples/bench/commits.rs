//! What a commit costs those who wait for a hook: the time of a Stop hook's answer while a task's edits
//! are committed in a repository of five thousand files, against the same while nothing is committed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::sandbox::{Sandbox, Server};
use crate::session::Session;
use crate::table::{Target, ms, percentiles};
use crate::wire::{self, Wire};
use crate::{Bench, costs};

/// Files that a turn changes.
const CHANGED: usize = 20;
/// After a turn's end so long nothing is committed yet: the server waits for the transcript.
const BEFORE: Duration = Duration::from_millis(500);
/// Between two hooks.
const PAUSE: Duration = Duration::from_millis(2);

/// Measures it, turn about: a turn that is committed, and one that is not.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let folders = bench.count(50);
    repository(&sandbox, folders)?;
    let server = sandbox.serve()?;
    let other = Session::start(&server, "other")?;
    let mut wire = server.unix()?.patient()?;
    let (kept, kept_dir) = task(&server, "worktree")?;
    let (free, free_dir) = task(&server, "none")?;
    let (mut commits, mut own) = (Vec::new(), Vec::new());
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..bench.count(40) {
        let head = || sandbox.git(&kept_dir, &["rev-parse", "HEAD"]);
        let before = head()?;
        let log = kept_dir.join(sandbox.git(&kept_dir, &["rev-parse", "--git-path", "logs/HEAD"])?);
        let length = || fs::metadata(&log).map(|m| m.len());
        let known = length()?;
        own.push(turn(&mut wire, &kept, &kept_dir, round)?);
        sleep(BEFORE);
        let began = Instant::now();
        // A commit is under way until the branch's log has another line.
        while length()? == known {
            ensure!(began.elapsed() < Duration::from_secs(20), "nothing is committed");
            with.push(stop(&mut wire, &other)?);
            sleep(PAUSE);
        }
        let took = began.elapsed();
        ensure!(head()? != before, "the branch stays where it was");
        commits.push(took);
        turn(&mut wire, &free, &free_dir, round)?;
        sleep(BEFORE);
        let began = Instant::now();
        while began.elapsed() < took {
            without.push(stop(&mut wire, &other)?);
            sleep(PAUSE);
        }
    }
    let p50 = |times: &[Duration]| ms(costs::median(times));
    let more = p50(&with) - p50(&without);
    bench.table.add(
        format!(
            "a Stop hook's answer while {CHANGED} of {} files are committed ({:.0} ms)",
            folders * 100,
            p50(&commits)
        ),
        format!(
            "{more:+.2} ms: {}, of its own task {:.2} ms; without {}",
            percentiles(&with),
            p50(&own),
            percentiles(&without)
        ),
        Target::at_most(more, 1.0, "p50 + < 1 ms", ""),
    );
    Ok(())
}

/// Makes the project a repository.
fn repository(sandbox: &Sandbox, folders: usize) -> Result<()> {
    let root = sandbox.path("project");
    let text = "fn of_some_length() -> usize {\n    42\n}\n\n".repeat(50);
    for folder in 0..folders {
        let folder = root.join(format!("src/{folder:02}"));
        fs::create_dir_all(&folder)?;
        for n in 0..100 {
            fs::write(folder.join(format!("{n:02}.rs")), &text)?;
        }
    }
    fs::write(sandbox.path("home/.gitconfig"), "[user]\n\tname = A B\n\temail = a@example.org\n")?;
    for args in [&["init", "-q"][..], &["add", "--all"], &["commit", "-q", "-m", "all"]] {
        sandbox.git(&root, args)?;
    }
    Ok(())
}

/// Starts a task whose edits are kept apart by this, and tells where it is worked on.
fn task(server: &Server<'_>, git: &str) -> Result<(Session, std::path::PathBuf)> {
    let new = json!({ "title": format!("by {git}"), "options": { "git": git } });
    let task = server.call("POST", "/api/tasks", Some(&new))?;
    let start = format!("/api/tasks/{}/start", task["id"]);
    let task = server.call("POST", &start, Some(&json!({})))?;
    let id = task["session_id"].as_str().context("no session")?;
    let view = server.call("GET", &format!("/api/sessions/{id}"), None)?;
    let dir = view["workspace_path"].as_str().context("no directory")?.into();
    let session = Session::of(server, &view)?;
    let said = format!("## Task: by {git}");
    let mut wire = server.unix()?.patient()?;
    tell(&mut wire, &session, "UserPromptSubmit", &json!({ "prompt": said }))?;
    tell(&mut wire, &session, "Stop", &json!({}))?;
    sleep(2 * BEFORE);
    Ok((session, dir))
}

/// Plays a turn that changes files. Tells how long its Stop hook has taken.
fn turn(wire: &mut Wire, session: &Session, dir: &Path, round: usize) -> Result<Duration> {
    tell(wire, session, "UserPromptSubmit", &json!({ "prompt": "go on" }))?;
    for n in 0..CHANGED {
        fs::write(dir.join(format!("src/00/{n:02}.rs")), format!("// round {round}\n"))?;
    }
    tell(wire, session, "Stop", &json!({}))
}

/// Plays the end of another session's turn. Tells how long its Stop hook has taken.
fn stop(wire: &mut Wire, session: &Session) -> Result<Duration> {
    tell(wire, session, "UserPromptSubmit", &json!({ "prompt": "go on" }))?;
    tell(wire, session, "Stop", &json!({}))
}

fn tell(
    wire: &mut Wire,
    session: &Session,
    event: &str,
    more: &serde_json::Value,
) -> Result<Duration> {
    let bytes = session.event(event, more);
    let began = Instant::now();
    wire.write_all(&bytes)?;
    wire::taken(wire)?;
    Ok(began.elapsed())
}
