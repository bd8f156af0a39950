//! What Chorus costs the real Claude Code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use scripted_model::{Kind, Script, ScriptedModel};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, Server};
use crate::table::{Target, ms};
use crate::wire::Stream;
use crate::{Bench, costs, machine};

/// Calls of the scenario `fifty`.
const CALLS: usize = 50;
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Notes when it is run.
const STAMP: &str = include_str!("stamp.c");

/// What Claude Code writes below its input box.
const INPUT_BOX: &str = "? for shortcuts";

/// Measures the delay added to each tool call.
pub fn tool_call(bench: &mut Bench) -> Result<()> {
    let real = Real::new(bench)?;
    let server = real.sandbox.serve()?;
    let nothing = json!([{ "hooks": [{ "type": "command", "command": real.stamp, "args": [] }] }]);
    let two = json!({ "hooks": { "PreToolUse": nothing, "PostToolUse": nothing } });
    let (mut bare, mut floor, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    // The first turns are slower for everybody.
    real.bare_turn(&json!({}))?;
    real.turn(&server)?;
    for _ in 0..bench.count(16) {
        bare.push(real.bare_turn(&json!({}))?);
        ours.push(real.turn(&server)?);
        floor.push(real.bare_turn(&two)?);
    }
    let [bare, floor, ours] = [bare, floor, ours].map(costs::middle);
    bench.table.add(
        "delay added per tool call in the real Claude Code",
        format!("{:.1} ms ({bare:.1} → {ours:.1} ms a call)", ours - bare),
        Target::at_most(
            ours - bare,
            12.0,
            "≤ 12 ms",
            "http hooks 11.3, curl 26.8, peers 57 to 106 ms",
        ),
    );
    bench.table.add(
        "the same with two C hooks that do nothing",
        format!("{:.1} ms", floor - bare),
        Target { words: "", peer: "9.7 ms", met: None },
    );
    Ok(())
}

/// What Chorus has Claude Code do, so that its terminal can be scrolled and read.
const PLAIN_SCREEN: &str = "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN=1";

/// When a Claude had run its `SessionStart` hook, and when its input box was on the screen.
struct Start {
    hook: Duration,
    box_drawn: Duration,
}

/// Measures the way from the API call to `SessionStart`.
///
/// Chorus has Claude Code use the plain screen, and there it runs that hook after its first picture, not
/// before. So the same screen is what the hook is compared on; and what a person waits for, the input
/// box, is compared with Claude Code as it is.
pub fn launch(bench: &mut Bench) -> Result<()> {
    let real = Real::new(bench)?;
    let stamps = real.sandbox.path("started");
    real.user_hook("SessionStart", &stamps)?;
    let server = real.sandbox.serve()?;
    let (mut own, mut plain, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=bench.count(16) {
        for (env, starts) in [(&[][..], &mut own), (&[PLAIN_SCREEN][..], &mut plain)] {
            let begun = now();
            let id = real.bare_with(env, &json!({}), None)?;
            starts.push(real.start("bare.sock", &id, &stamps, begun)?);
            real.end_bare(&id)?;
        }
        let begun = now();
        let session = server.call("POST", "/api/sessions", Some(&json!({ "name": "bench" })))?;
        let pane = session["tmux_session"].as_str().context("no terminal")?;
        ours.push(real.start("data/tmux.sock", pane, &stamps, begun)?);
        server.call("DELETE", &path(&session)?, None)?;
        // The first ones start both tmux servers.
        if round == 0 {
            for starts in [&mut own, &mut plain, &mut ours] {
                starts.clear();
            }
        }
    }
    let hook =
        |starts: &[Start]| ms(costs::median(&starts.iter().map(|s| s.hook).collect::<Vec<_>>()));
    let drawn = |starts: &[Start]| {
        ms(costs::median(&starts.iter().map(|s| s.box_drawn).collect::<Vec<_>>()))
    };
    let mut add = |what: &str, bare: f64, ours: f64, peer| {
        bench.table.add(
            what,
            format!("{:+.0} ms ({bare:.0} → {ours:.0} ms)", ours - bare),
            Target::at_most(ours - bare, 150.0, "≤ 150 ms", peer),
        );
    };
    add(
        "API call → SessionStart, over bare `claude` with the same screen",
        hook(&plain),
        hook(&ours),
        "bare 550 ms",
    );
    add("API call → input box, over bare `claude`", drawn(&own), drawn(&ours), "");
    bench.table.add(
        "SessionStart of bare `claude`: its own screen, the plain one",
        format!("{:.0}, {:.0} ms", hook(&own), hook(&plain)),
        Target::NONE,
    );
    Ok(())
}

/// Measures the ways of a question and of its answer.
pub fn permission(bench: &mut Bench) -> Result<()> {
    let real = Real::new(bench)?;
    let stamps = real.sandbox.path("asked");
    real.user_hook("PermissionRequest", &stamps)?;
    let server = real.sandbox.serve()?;
    let (mut asked, mut gone, mut ran) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.count(16) {
        let mut stream = Stream::open(server.tcp()?)?;
        let made = real.sandbox.path("project/made-by-bash.txt");
        let new = json!({ "name": "bench", "initial_prompt": "scenario:bash please" });
        let session = server.call("POST", "/api/sessions", Some(&new))?;
        let request = loop {
            let (kind, data) = stream.next()?;
            if kind == "permission_request" {
                break data;
            }
        };
        let seen = now();
        asked.push(seen.saturating_sub(stamped(&stamps)?));
        let state = real.state_file(session["pid"].as_u64().context("no process")?);
        until("the dialog", || Ok(status(&state).is_some_and(|s| s == "waiting")))?;
        let id = request["id"].as_str().context("no request")?;
        let decided = now();
        let answer = json!({ "decision": "allow" });
        server.call("POST", &format!("/api/permissions/{id}/respond"), Some(&answer))?;
        until("the dialog's end", || Ok(status(&state).is_some_and(|s| s != "waiting")))?;
        gone.push(now().saturating_sub(decided));
        until("the tool", || Ok(made.exists()))?;
        ran.push(now().saturating_sub(decided));
        fs::remove_file(&made)?;
        server.call("DELETE", &path(&session)?, None)?;
    }
    let line = |times: &[Duration]| {
        let (median, most) = (costs::median(times), costs::percentile(times, 1.0));
        format!("{:.1} ms (median; slowest {:.1})", ms(median), ms(most))
    };
    bench.table.add("permission hook begins → on the live stream", line(&asked), Target::NONE);
    bench.table.add("decided → Claude's state file leaves `waiting`", line(&gone), Target::NONE);
    bench.table.add("decided → the tool has run", line(&ran), Target::NONE);
    Ok(())
}

/// The real Claude Code, with a home and a model of its own.
pub struct Real {
    /// Where everything of it is.
    pub sandbox: Sandbox,
    model: ScriptedModel,
    claude: PathBuf,
    stamp: PathBuf,
}

impl Real {
    fn new(bench: &Bench) -> Result<Self> {
        Self::with(bench, true)
    }

    /// The same, but only for sessions with `REAL` in their environment; the others get the stand-in.
    pub fn beside_stand_ins(bench: &Bench) -> Result<Self> {
        Self::with(bench, false)
    }

    fn with(bench: &Bench, always: bool) -> Result<Self> {
        let claude = bench.claude.clone().context("$CHORUS_TEST_CLAUDE is not set")?;
        let mut sandbox = Sandbox::new(&bench.chorus, always.then_some(claude.as_path()))?;
        sandbox.set("REAL_CLAUDE", claude.to_string_lossy());
        let model = ScriptedModel::start(Script::standard())?;
        let key = "sk-ant-dummy";
        for (name, value) in [
            ("ANTHROPIC_BASE_URL", model.url().as_str()),
            ("ANTHROPIC_API_KEY", key),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ] {
            sandbox.set(name, value);
        }
        let project = fs::canonicalize(sandbox.path("project"))?;
        let trusted = json!({
            "hasCompletedOnboarding": true,
            "customApiKeyResponses": { "approved": [key], "rejected": [] },
            "projects": { project.to_string_lossy(): { "hasTrustDialogAccepted": true } },
        });
        fs::write(sandbox.path("home/.claude.json"), trusted.to_string())?;
        let stamp = sandbox.path("stamp");
        machine::compile(STAMP, &stamp)?;
        Ok(Self { sandbox, model, claude, stamp })
    }

    /// The same, but only sessions whose names begin with `real-` run it; others run a stand-in.
    pub fn beside_a_stand_in(bench: &Bench) -> Result<Self> {
        let mut real = Self::new(bench)?;
        let either = real.sandbox.path("either");
        let script = format!(
            "#!/bin/sh\nfor word in \"$@\"; do case $word in real-*) exec '{}' \"$@\" ;; esac; done\n\
             exec '{}' \"$@\"\n",
            real.claude.display(),
            real.sandbox.path("stand-in").display(),
        );
        fs::write(&either, script)?;
        fs::set_permissions(&either, fs::Permissions::from_mode(0o755))?;
        real.sandbox.set("CHORUS_CLAUDE", either.to_string_lossy());
        Ok(real)
    }

    /// Has a hook of the user's note when it is run: it goes beside whatever else there is.
    fn user_hook(&self, event: &str, file: &Path) -> Result<()> {
        let hook = json!({ "type": "command", "command": self.stamp, "args": [file] });
        let settings = json!({ "hooks": { event: [{ "hooks": [hook] }] } });
        fs::write(self.sandbox.path("home/.claude/settings.json"), settings.to_string())?;
        Ok(())
    }

    fn state_file(&self, pid: u64) -> PathBuf {
        self.sandbox.path(&format!("home/.claude/sessions/{pid}.json"))
    }

    /// Starts a Claude Code in tmux without Chorus; returns its session's id.
    fn bare(&self, settings: &Value, prompt: Option<&str>) -> Result<String> {
        self.bare_with(&[], settings, prompt)
    }

    /// The same with further variables in its environment.
    fn bare_with(&self, env: &[&str], settings: &Value, prompt: Option<&str>) -> Result<String> {
        let id = uuid::Uuid::new_v4().to_string();
        let claude = self.claude.to_string_lossy();
        let mut settings = settings.clone();
        settings["permissions"] = json!({ "disableAutoMode": "disable" });
        let settings = settings.to_string();
        let mut args = vec!["new-session", "-d", "-s", &id, "-x", "200", "-y", "50"];
        // Or Chorus would list and follow it, as one that somebody started elsewhere.
        args.extend(["-e", "CHORUS_SESSION=of-nobody"]);
        env.iter().for_each(|variable| args.extend(["-e", variable]));
        args.extend([
            claude.as_ref(),
            "--session-id",
            &id,
            "--name",
            "bench",
            "--permission-mode",
            "default",
        ]);
        args.extend(["--settings", &settings, "--allowedTools", "Bash", "--"]);
        args.extend(prompt);
        let started = self.sandbox.tmux("bare.sock", &args)?;
        ensure!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Ok(id)
    }

    /// Follows a start in a pane of the tmux at `socket` that began at `begun`.
    fn start(&self, socket: &str, pane: &str, stamps: &Path, begun: Duration) -> Result<Start> {
        let seen = self.sandbox.path("screen");
        let pipe = format!("cat > '{}'", seen.display());
        self.sandbox.tmux(socket, &["pipe-pane", "-t", &format!("={pane}:"), &pipe])?;
        until("the input box", || {
            let drawn = fs::read(&seen).unwrap_or_default();
            Ok(drawn.windows(INPUT_BOX.len()).any(|text| text == INPUT_BOX.as_bytes()))
        })?;
        let box_drawn = now().saturating_sub(begun);
        let hook = stamped(stamps)?.saturating_sub(begun);
        fs::remove_file(&seen)?;
        Ok(Start { hook, box_drawn })
    }

    fn end_bare(&self, id: &str) -> Result<()> {
        // So that the next one finds a server, as it does in Chorus.
        self.sandbox.tmux("bare.sock", &["new-session", "-d", "-s", "keep", "sleep", "1000000"])?;
        self.sandbox.tmux("bare.sock", &["kill-session", "-t", id])?;
        Ok(())
    }

    /// How long each call of a turn takes without Chorus, in milliseconds.
    fn bare_turn(&self, settings: &Value) -> Result<f64> {
        let id = self.bare(settings, Some("scenario:fifty please"))?;
        let took = self.a_call(&id)?;
        self.end_bare(&id)?;
        Ok(took)
    }

    /// The same in a session of Chorus's.
    fn turn(&self, server: &Server<'_>) -> Result<f64> {
        let new = json!({
            "name": "bench", "initial_prompt": "scenario:fifty please",
            "launch": { "allowed_tools": ["Bash"] },
        });
        let session = server.call("POST", "/api/sessions", Some(&new))?;
        let took =
            self.a_call(session["claude_session_id"].as_str().context("no conversation")?)?;
        let path = path(&session)?;
        let whole = || {
            Ok(server
                .call("GET", &format!("{path}/logs?limit=100"), None)?
                .as_array()
                .is_some_and(|logs| logs.len() == CALLS))
        };
        until("the whole command log", whole)?;
        server.call("DELETE", &path, None)?;
        Ok(took)
    }

    /// From the first request of a turn to its last, for each call.
    fn a_call(&self, session: &str) -> Result<f64> {
        let at = |turn: usize| {
            let requests = self.model.requests();
            let mine = |r: &&scripted_model::Request| {
                r.kind == Kind::Main
                    && r.session == session
                    && r.scenario == "fifty"
                    && r.turn == turn
            };
            requests.iter().find(mine).map(|r| r.at)
        };
        until("the end of the turn", || Ok(at(CALLS).is_some()))?;
        let (first, last) = at(0).zip(at(CALLS)).context("no first request")?;
        Ok((last - first) as f64 / CALLS as f64)
    }
}

fn path(session: &Value) -> Result<String> {
    Ok(format!("/api/sessions/{}", session["id"].as_str().context("not a session")?))
}

fn status(state: &Path) -> Option<String> {
    let file: Value = serde_json::from_slice(&fs::read(state).ok()?).ok()?;
    Some(file["status"].as_str()?.to_owned())
}

/// The time that a hook noted, which is taken away.
fn stamped(file: &Path) -> Result<Duration> {
    let read = || fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'));
    until("a hook's note", || Ok(read().is_some()))?;
    let text = read().context("no note")?;
    fs::remove_file(file)?;
    Ok(Duration::from_nanos(text.lines().next().unwrap_or_default().parse()?))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Looks until something is so.
fn until(what: &str, so: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = now();
    while !so()? {
        if now().saturating_sub(begun) > PATIENCE {
            bail!("{what} did not come within {PATIENCE:?}");
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}
