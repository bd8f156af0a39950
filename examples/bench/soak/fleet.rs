//! The sessions of the soak: what they do, what was acknowledged of it, and what is true of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::Random;
use crate::claude::Real;
use crate::machine;
use crate::sandbox::Server;
use crate::session::{Hook, Session};
use crate::wire::{self, Wire};

/// Every so many calls one is brought by a real `chorus hook`.
const BY_PROCESS: u64 = 25;
/// Every so many calls a stand-in changes its state.
const TURNS: u64 = 10;
/// Every so many a real one is asked for something, if it is idle.
const ASKS: u64 = 150;

/// One session.
struct Member {
    id: String,
    name: String,
    pid: u32,
    started: String,
    /// What it brings, if it is a stand-in.
    stand_in: Option<(Session, Hook)>,
    /// The calls of it that were acknowledged.
    acknowledged: BTreeSet<u64>,
}

impl Member {
    fn alive(&self) -> bool {
        machine::started(self.pid).is_ok_and(|started| started == self.started)
            && !machine::is_zombie(self.pid)
    }
}

/// All of them.
pub struct Fleet<'a> {
    real: &'a Real,
    chorus: PathBuf,
    living: Vec<Member>,
    ended: Vec<Member>,
    wire: Option<Wire>,
    calls: u64,
    names: u32,
}

impl<'a> Fleet<'a> {
    /// None yet.
    pub fn new(real: &'a Real, chorus: PathBuf) -> Self {
        let (living, ended) = (Vec::new(), Vec::new());
        Self { real, chorus, living, ended, wire: None, calls: 0, names: 0 }
    }

    /// Starts another session.
    pub fn start(&mut self, server: &Server<'_>, is_real: bool) -> Result<()> {
        self.names += 1;
        let n = self.names;
        let member = if is_real {
            let name = format!("real-{n}");
            let new = json!({
                "name": name, "initial_prompt": "scenario:fifty please",
                "launch": { "allowed_tools": ["Bash"] },
            });
            let view = server.call("POST", "/api/sessions", Some(&new))?;
            let id = view["id"].as_str().context("not a session")?.to_owned();
            let pid = view["pid"].as_u64().and_then(|p| p.try_into().ok()).context("no process")?;
            let started = machine::started(pid)?;
            Member { id, name, pid, started, stand_in: None, acknowledged: BTreeSet::new() }
        } else {
            let name = format!("stand-in-{n}");
            let session = Session::start(server, &name)?;
            let (id, pid) = (session.id.clone(), session.pid);
            let started = machine::started(pid)?;
            let hook = session.hook()?;
            let stand_in = Some((session, hook));
            Member { id, name, pid, started, stand_in, acknowledged: BTreeSet::new() }
        };
        self.living.push(member);
        Ok(())
    }

    /// Does the next thing.
    pub fn work(&mut self, server: &Server<'_>, random: &mut Random) -> Result<()> {
        self.calls += 1;
        let n = self.calls;
        if n.is_multiple_of(ASKS) {
            self.ask(server, random)?;
        }
        let Some(at) = self.some_stand_in(random) else { return Ok(()) };
        if n.is_multiple_of(TURNS)
            && let Some((session, _)) = &self.living[at].stand_in
        {
            let status = if random.below(2) == 0 { "busy" } else { "idle" };
            // It may have been killed in this moment.
            let _ = session.say(&self.real.sandbox, status);
        }
        if n.is_multiple_of(BY_PROCESS) {
            return self.by_process(at, n);
        }
        let member = &mut self.living[at];
        let Some((_, hook)) = &mut member.stand_in else { return Ok(()) };
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => server.unix()?.patient()?,
        };
        // One that was not acknowledged is not counted: it is told again by what Claude Code keeps.
        if hook.send(&mut wire, n).and_then(|()| wire::taken(&mut wire)).is_ok() {
            member.acknowledged.insert(n);
            self.wire = Some(wire);
        }
        Ok(())
    }

    /// Does the next thing while there is no server.
    pub fn work_alone(&mut self, random: &mut Random) -> Result<()> {
        self.wire = None;
        self.calls += 1;
        let Some(at) = self.some_stand_in(random) else { return Ok(()) };
        self.by_process(at, self.calls)
    }

    /// Brings a call as Claude Code does. One that the hook has taken must arrive.
    fn by_process(&mut self, at: usize, n: u64) -> Result<()> {
        let member = &mut self.living[at];
        let Some((session, _)) = &member.stand_in else { return Ok(()) };
        let mut command = self.real.sandbox.command(&self.chorus);
        command.args(["hook", "PostToolUse"]).env_clear().envs(&session.env);
        let mut hook = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let payload = session.payload_of(n);
        hook.stdin.take().context("no pipe")?.write_all(payload.as_bytes())?;
        ensure!(hook.wait()?.success(), "a hook failed");
        member.acknowledged.insert(n);
        Ok(())
    }

    fn some_stand_in(&self, random: &mut Random) -> Option<usize> {
        let those = |(_, m): &(usize, &Member)| m.stand_in.is_some() && m.alive();
        let at: Vec<usize> = self.living.iter().enumerate().filter(those).map(|(i, _)| i).collect();
        (!at.is_empty()).then(|| at[random.below(at.len() as u64) as usize])
    }

    fn ask(&mut self, server: &Server<'_>, random: &mut Random) -> Result<()> {
        let idle: Vec<&Member> = self
            .living
            .iter()
            .filter(|m| m.stand_in.is_none() && self.truth(m).as_deref() == Some("idle"))
            .collect();
        if idle.is_empty() {
            return Ok(());
        }
        let member = idle[random.below(idle.len() as u64) as usize];
        let prompt = json!({ "text": "scenario:fifty please", "queue": true });
        // It may have died in this moment; the state says so later.
        let _ = server.call("POST", &format!("/api/sessions/{}/send", member.id), Some(&prompt));
        Ok(())
    }

    /// What Claude does, as its own process and state file say. `None` if that cannot be told.
    fn truth(&self, member: &Member) -> Option<String> {
        if !member.alive() {
            return Some("stopped".into());
        }
        let file = self.real.sandbox.path(&format!("home/.claude/sessions/{}.json", member.pid));
        let state: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        Some(state["status"].as_str()?.to_owned())
    }

    /// The sessions whose state is not what it is in truth.
    pub fn wrong_states(&self, server: &Server<'_>) -> Result<Vec<String>> {
        let truths = || -> BTreeMap<&str, Option<String>> {
            self.living.iter().map(|m| (m.id.as_str(), self.truth(m))).collect()
        };
        let mut wrong = Vec::new();
        // What changes in the moment of looking is looked at again.
        for _ in 0..20 {
            let before = truths();
            let told = server.call("GET", "/api/sessions?limit=500", None)?;
            let after = truths();
            let told: BTreeMap<&str, &Value> = told
                .as_array()
                .context("no list")?
                .iter()
                .filter_map(|s| Some((s["id"].as_str()?, s)))
                .collect();
            let is_wrong = |m: &&Member| {
                let (id, told) = (m.id.as_str(), told.get(m.id.as_str()));
                let truth = &before[id];
                truth == &after[id]
                    && truth
                        .as_deref()
                        .is_some_and(|t| told.is_none_or(|s| s["claude_status"] != t))
            };
            wrong = self
                .living
                .iter()
                .filter(is_wrong)
                .map(|m| {
                    let told = told.get(m.id.as_str()).copied().unwrap_or(&Value::Null);
                    format!(
                        "{} is {:?}, told is {} by {}",
                        m.name,
                        before[m.id.as_str()],
                        told["claude_status"],
                        told["evidence"]
                    )
                })
                .collect();
            if wrong.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(wrong)
    }

    /// Ends what was killed, and starts others for it.
    pub fn replace_the_dead(&mut self, server: &Server<'_>) -> Result<()> {
        let (living, dead): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.living).into_iter().partition(Member::alive);
        self.living = living;
        for member in dead {
            server.call("DELETE", &format!("/api/sessions/{}", member.id), None)?;
            self.start(server, member.stand_in.is_none())?;
            self.ended.push(member);
        }
        Ok(())
    }

    /// Kills some Claude.
    pub fn kill_claude(&self, random: &mut Random) -> Result<()> {
        let member = &self.living[random.below(self.living.len() as u64) as usize];
        let pid = i32::try_from(member.pid).ok().and_then(Pid::from_raw).context("no pid")?;
        if member.alive() {
            kill_process(pid, Signal::KILL)?;
        }
        Ok(())
    }

    /// Kills some Claude's pane.
    pub fn kill_pane(&self, random: &mut Random) -> Result<()> {
        let member = &self.living[random.below(self.living.len() as u64) as usize];
        let target = format!("=claude-{}", member.name);
        self.real.sandbox.tmux("data/tmux.sock", &["kill-session", "-t", &target])?;
        Ok(())
    }

    /// How many calls were acknowledged (or written down by the real Claude Code), and those that
    /// are not on the record.
    pub fn lost(&self, server: &Server<'_>) -> Result<(usize, Vec<String>)> {
        let (mut all, mut lost) = (0, Vec::new());
        for member in self.living.iter().chain(&self.ended) {
            let known = logged(server, &member.id)?;
            let mut should: BTreeSet<String> =
                member.acknowledged.iter().map(|n| format!("toolu_{n:024x}")).collect();
            if member.stand_in.is_none() {
                should.extend(written(server, &member.id)?);
            }
            all += should.len();
            lost.extend(should.difference(&known).map(|id| format!("{id} of {}", member.name)));
        }
        Ok((all, lost))
    }

    /// Ends every session.
    pub fn end_all(&mut self, server: &Server<'_>) -> Result<()> {
        for member in self.living.drain(..) {
            server.call("DELETE", &format!("/api/sessions/{}", member.id), None)?;
        }
        Ok(())
    }
}

/// The calls in a session's command log.
fn logged(server: &Server<'_>, session: &str) -> Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    let mut path = Some(format!("/api/sessions/{session}/logs?limit=500"));
    while let Some(page) = path {
        let (rows, next) = wire::page(server.unix()?, &page)?;
        let ids = rows.iter().filter_map(|row| row["tool_use_id"].as_str());
        known.extend(ids.map(str::to_owned));
        path = next;
    }
    Ok(known)
}

/// The calls in the transcripts of a session's conversations.
fn written(server: &Server<'_>, session: &str) -> Result<BTreeSet<String>> {
    let path = format!("/api/sessions/{session}/conversations");
    let conversations = server.call("GET", &path, None)?;
    let mut calls = BTreeSet::new();
    for conversation in conversations.as_array().context("no list")? {
        let Some(file) = conversation["transcript_path"].as_str().map(Path::new) else { continue };
        let Ok(text) = fs::read_to_string(file) else { continue };
        for line in text.lines() {
            // The last line of one that was killed may be torn.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let blocks = line["message"]["content"].as_array().into_iter().flatten();
            let ids = blocks.filter(|b| b["type"] == "tool_use").filter_map(|b| b["id"].as_str());
            calls.extend(ids.map(str::to_owned));
        }
    }
    Ok(calls)
}
