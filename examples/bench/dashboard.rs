//! The dashboard in a real browser: how soon a request is seen, how soon a page is painted, and what it takes to follow
//! everything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, Server};
use crate::session::Session;
use crate::table::{Target, ms};
use crate::wire;
use crate::{Bench, claude, costs};

/// Sessions of the stand-in while requests are asked.
const SESSIONS: usize = 49;
/// Listeners to the stream beside the browser's.
const LISTENERS: usize = 18;
/// Sessions on the page that is painted.
const PAINTED: usize = 100;

/// Measures the time from a request to its card in two tabs, with many others at work.
pub fn card(bench: &mut Bench) -> Result<()> {
    let real = claude::Real::beside_stand_ins(bench)?;
    let server = real.sandbox.serve()?;
    let sessions: Vec<Session> = (0..SESSIONS)
        .map(|n| Session::start(&server, &format!("stand-in-{n}")))
        .collect::<Result<_>>()?;
    let _listeners: Vec<_> = (0..LISTENERS).map(|_| listen(&server)).collect::<Result<_>>()?;
    let mut browser = Browser::open(&server, 2)?;
    let mut times = Vec::new();
    for n in 0..bench.count(60) {
        let session = &sessions[n % SESSIONS];
        // What the others do meanwhile.
        for other in sessions.iter().skip(n % 7).step_by(7) {
            let mut wire = server.unix()?.patient()?;
            wire.write_all(&other.tool_call(n as u64)?)?;
            wire::taken(&mut wire)?;
        }
        let asked = now_ms();
        let ask = json!({ "tool_name": "Bash", "tool_input": { "command": format!("echo request-{n}") } });
        // The hook waits for a decision: its connection stays open until then.
        let mut held = server.unix()?;
        held.write_all(&session.event("PermissionRequest", &ask))?;
        let (id, seen) = browser.card()?;
        times.push(after(asked, seen));
        let answer = json!({ "decision": "deny" });
        server.call("POST", &format!("/api/permissions/{id}/respond"), Some(&answer))?;
        sleep(Duration::from_millis(150));
    }
    let mut of_real = Vec::new();
    for n in 0..bench.count(8) {
        let asks = json!({ "name": format!("real-{n}"), "initial_prompt": "scenario:bash please", "launch": { "env": { "REAL": "1" } } });
        server.call("POST", "/api/sessions", Some(&asks))?;
        let (id, seen) = browser.card()?;
        let request = server.call("GET", &format!("/api/permissions/{id}"), None)?;
        let asked = request["requested_at"].as_str().context("no time")?;
        let asked: jiff::Timestamp = asked.parse()?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century")]
        of_real.push(after(asked.as_millisecond() as f64, seen));
        let answer = json!({ "decision": "deny" });
        server.call("POST", &format!("/api/permissions/{id}/respond"), Some(&answer))?;
        server.call("DELETE", &format!("/api/sessions/real-{n}"), None)?;
    }
    let line = |times: &[Duration]| {
        let (median, p95) = (ms(costs::median(times)), ms(costs::percentile(times, 0.95)));
        (format!("{median:.0} / {p95:.0} ms (p50 / p95)"), p95)
    };
    let (words, p95) = line(&times);
    bench.table.add(
        "a stand-in asks → its card is in the last of 2 tabs (50 sessions, 18 more listeners)",
        words,
        Target::at_most(p95, 200.0, "p95 ≤ 200 ms", ""),
    );
    let (words, p95) = line(&of_real);
    bench.table.add(
        "the real Claude Code asks → its card is in the last of 2 tabs",
        words,
        Target::at_most(p95, 200.0, "p95 ≤ 200 ms", ""),
    );
    Ok(())
}

/// Measures the page Now with many sessions, and what following very many events takes.
pub fn page(bench: &mut Bench) -> Result<()> {
    let sandbox = Sandbox::new(&bench.chorus, None)?;
    let server = sandbox.serve()?;
    let sessions: Vec<Session> = (0..PAINTED)
        .map(|n| Session::start(&server, &format!("stand-in-{n}")))
        .collect::<Result<_>>()?;
    let mut browser = Browser::open(&server, 2)?;
    let mut paints = Vec::new();
    let mut bytes = 0.0;
    for _ in 0..bench.count(16) {
        let paint = browser.ask(&json!({ "paint": true }))?;
        paints.push(after(0.0, paint["paint"].as_f64().context("nothing was painted")?));
        bytes = paint["bytes"].as_f64().context("no size")?;
    }
    let (median, most) = (ms(costs::median(&paints)), ms(costs::percentile(&paints, 1.0)));
    bench.table.add(
        format!("first paint of Now with {PAINTED} sessions"),
        format!("{median:.0} ms (median; slowest {most:.0})"),
        Target::at_most(median, 300.0, "≤ 300 ms", ""),
    );
    bench.table.add(
        "its HTML",
        format!("{:.0} KB", bytes / 1e3),
        Target::at_most(bytes, 200e3, "≤ 200 KB", ""),
    );
    let (events, time) =
        (bench.count(36_000), Duration::from_secs(if bench.quick { 22 } else { 180 }));
    let before = browser.ask(&json!({ "heard": true }))?;
    let heard = |said: &Value| {
        said["heard"].as_array().map(|h| h.iter().filter_map(Value::as_u64).collect::<Vec<_>>())
    };
    let before = heard(&before).context("no counts")?;
    let began = Instant::now();
    let mut wire = server.unix()?.patient()?;
    for n in 0..events {
        let due = time.mul_f64(n as f64 / events as f64);
        sleep(due.saturating_sub(began.elapsed()));
        wire.write_all(&sessions[n % PAINTED].tool_call(n as u64)?)?;
        wire::taken(&mut wire)?;
    }
    // What is on its way arrives; what is lost does not.
    let ended = Instant::now();
    let (mut least, mut same) = (0, false);
    while ended.elapsed() < Duration::from_secs(20) && !(least >= events as u64 && same) {
        sleep(Duration::from_millis(500));
        let after = heard(&browser.ask(&json!({ "heard": true }))?).context("no counts")?;
        least = after.iter().zip(&before).map(|(a, b)| a - b).min().unwrap_or(0);
        same = browser.ask(&json!({ "compare": true }))?["same"].as_bool().unwrap_or(false);
    }
    let settled = ended.elapsed();
    let heap = browser.ask(&json!({ "heap": true }))?["heap"].as_f64().context("no heap")?;
    bench.table.add(
        format!("{events} events in {} s: a tab's heap after collection", time.as_secs()),
        format!("{:.1} MB", heap / 1e6),
        Target::at_most(heap, 100e6, "≤ 100 MB", ""),
    );
    let all = least >= events as u64 && same;
    bench.table.add(
        "every event heard by both tabs, and the page as the server would render it",
        format!(
            "{least} of {events}; {} after {:.1} s",
            if same { "the same" } else { "different" },
            settled.as_secs_f64()
        ),
        Target { words: "all", peer: "", met: Some(all) },
    );
    Ok(())
}

fn listen(server: &Server<'_>) -> Result<std::thread::JoinHandle<()>> {
    let mut wire = server.tcp()?;
    wire.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    Ok(std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while std::io::Read::read(&mut wire, &mut buffer).is_ok_and(|n| n > 0) {}
    }))
}

/// From one time to another, both in milliseconds. The clocks of two programs may differ by less than one.
fn after(from: f64, to: f64) -> Duration {
    Duration::from_secs_f64((to - from).max(0.0) / 1e3)
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// Chromium with some tabs on the page, driven by `dashboard.js`, which is told and tells a line of JSON each.
struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    tabs: usize,
}

impl Browser {
    fn open(server: &Server<'_>, tabs: usize) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = root.join("tests/dashboard/node_modules");
        ensure!(modules.exists(), "Playwright is not there: `make bench` installs it");
        let mut command = server.sandbox.command("node");
        command
            .arg(root.join("examples/bench/dashboard.js"))
            .env("NODE_PATH", modules)
            .env("CHROMIUM", chromium()?)
            .env("URL", server.url())
            .env("TABS", tabs.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().context("node")?;
        let to = process.stdin.take().context("no stdin")?;
        let from = BufReader::new(process.stdout.take().context("no stdout")?);
        let mut browser = Self { process, to, from, tabs };
        ensure!(browser.line()?["ready"] == true, "the browser does not start");
        Ok(browser)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.from.read_line(&mut line)? > 0, "the browser has ended");
        Ok(serde_json::from_str(&line)?)
    }

    fn ask(&mut self, what: &Value) -> Result<Value> {
        writeln!(self.to, "{what}")?;
        loop {
            let said = self.line()?;
            if said.get("card").is_none() {
                return Ok(said);
            }
        }
    }

    /// Waits until a new card is in all tabs: its id, and when it was in the last of them.
    fn card(&mut self) -> Result<(String, f64)> {
        let mut last: f64 = 0.0;
        let mut id = String::new();
        for _ in 0..self.tabs {
            let said = self.line()?;
            id = said["card"].as_str().context("no card")?.to_owned();
            last = last.max(said["at"].as_f64().context("no time")?);
        }
        Ok((id, last))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = writeln!(self.to, "{}", json!({ "end": true }));
        let began = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if began.elapsed() > Duration::from_secs(10) {
                let _ = self.process.kill();
            }
            sleep(Duration::from_millis(20));
        }
    }
}

fn chromium() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|p| p.exists())
        .context("no Chromium: `make bench` installs it")
}
