//! Watching what Claude Code leaves behind: its state files, its transcripts, its processes.
//!
//! Files are watched by the kernel's notifications, processes by the kernel too. A sweep, every
//! `poll_interval`, repairs what no event told. One task does all the reading, in order.

mod folders;
mod transcripts;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use folders::Folders;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use transcripts::Transcripts;

use super::engine::Unit;
use super::error::Error;
use super::live::Live;
use super::observe::{self, Report};
use super::{App, elsewhere, ingest, recover};
use crate::claude::paths;
use crate::claude::state_file::{self, StateFile};
use crate::clock;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::session::{ClaudeStatus, Conversation, Process, Session, Source};
use crate::domain::time::Timestamp;
use crate::process;
use crate::store::conversations;

/// Orders that may wait. Each names what to look at, so a dropped one is made up by the sweep.
const ORDERS: usize = 1_024;

/// How long after its end a conversation's last lines may be written. Milliseconds.
const LAST_LINES_MS: i64 = 10_000;

/// A handle on the watching task.
#[derive(Clone)]
pub struct Watcher(mpsc::Sender<Order>);

/// What to look at.
#[derive(Debug)]
pub enum Order {
    /// A session's process, conversation or transcript changed.
    Look(SessionId),
    /// Everything.
    Sweep,
    /// The kernel reports these files.
    Files(Vec<PathBuf>),
    /// These are gone, or have other names now.
    Gone(Vec<PathBuf>),
}

impl Watcher {
    /// Makes a handle, and the orders' other end.
    pub fn new() -> (Self, mpsc::Receiver<Order>) {
        let (sender, orders) = mpsc::channel(ORDERS);
        (Self(sender), orders)
    }

    /// Has a session looked at.
    pub fn look(&self, session: SessionId) {
        let _ = self.0.try_send(Order::Look(session));
    }

    /// Has everything looked at.
    pub fn sweep(&self) {
        let _ = self.0.try_send(Order::Sweep);
    }
}

/// Begins to watch.
pub fn start(app: &Arc<App>, orders: mpsc::Receiver<Order>) {
    let watching = Watching {
        app: app.clone(),
        folders: Folders::default(),
        pids: HashMap::new(),
        transcripts: Transcripts::new(app),
        finished: HashSet::new(),
        waited_for: HashSet::new(),
        elsewhere: None,
    };
    app.tasks.spawn(watching.run(orders));
}

struct Watching {
    app: Arc<App>,
    folders: Folders,
    /// Whose state file `<pid>.json` is.
    pids: HashMap<u32, SessionId>,
    transcripts: Transcripts,
    /// Conversations of live sessions that are over and read to their ends.
    finished: HashSet<ConversationId>,
    waited_for: HashSet<Process>,
    /// Where the Claudes that people start themselves keep their files.
    elsewhere: Option<PathBuf>,
}

impl Watching {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let sender = self.app.watcher.0.clone();
        // If the queue is full the sweep sees it.
        let tell = move |order| drop(sender.try_send(order));
        if let Err(e) = self.folders.start(tell) {
            tracing::warn!(error = %e, "files cannot be watched; the sweep alone looks at them");
        }
        let mut sweep = interval(Duration::from_secs_f64(self.app.config.poll_interval));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.app.shutdown.clone();
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = sweep.tick() => batch.push(Order::Sweep),
                n = orders.recv_many(&mut batch, ORDERS) => if n == 0 { return },
            }
            self.obey(&mut batch).await;
        }
    }

    /// Does what was ordered, each thing once.
    async fn obey(&mut self, batch: &mut Vec<Order>) {
        let (mut looks, mut files, mut sweep) = (HashSet::new(), HashSet::new(), false);
        for order in batch.drain(..) {
            match order {
                Order::Look(session) => {
                    looks.insert(session);
                }
                Order::Files(paths) => files.extend(paths),
                // Who needs it asks for the one that is made in its place.
                Order::Gone(paths) => {
                    sweep |= paths.iter().any(|path| self.folders.gone(path));
                }
                Order::Sweep => sweep = true,
            }
        }
        if sweep {
            self.sweep().await;
        }
        for session in looks {
            self.look(session).await;
        }
        for file in files {
            self.file(&file).await;
        }
    }

    async fn file(&mut self, path: &Path) {
        for session in self.folders.appeared(path) {
            self.look(session).await;
        }
        match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => match self.transcripts.newcomer(path) {
                Some(session) => self.look(session).await,
                None => self.transcripts.read(path).await,
            },
            Some("json") => {
                let pid = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
                match pid.and_then(|pid: u32| self.pids.get(&pid).copied()) {
                    Some(session) => self.read_state(session, path).await,
                    None => self.look_elsewhere(path).await,
                }
            }
            Some("hook") => ingest::drain_spool(&self.app).await,
            _ => {}
        }
    }

    /// Looks at the state file of a Claude that is not known.
    async fn look_elsewhere(&self, path: &Path) {
        if let Some(config) = &self.elsewhere
            && path.parent() == Some(&paths::sessions_dir(config))
        {
            elsewhere::look(&self.app, config, path).await;
        }
    }

    // --- sessions ---

    async fn session(&self, id: SessionId) -> Option<Session> {
        self.app.engine.read(move |live| live.session(id).cloned()).await.ok().flatten()
    }

    /// Watches what belongs to a session now, and reads it once.
    async fn look(&mut self, id: SessionId) {
        let Some(session) = self.session(id).await else { return };
        let config = self.app.claude_config_dir(&session).await;
        let sessions = paths::sessions_dir(&config);
        if let Some(process) = session.state.process {
            self.pids.retain(|_, s| *s != id);
            self.pids.insert(process.pid, id);
            self.wait_for(id, process, session.state.generation);
            self.folders.watch_for(id, &sessions);
            self.read_state(id, &sessions.join(format!("{}.json", process.pid))).await;
        }
        let known = self.conversations(&session).await;
        for conversation in &known {
            let path = transcript(&session, &config, conversation);
            let current = runs(&session, &conversation.id);
            if current {
                self.finished.remove(&conversation.id);
            } else if self.finished.contains(&conversation.id) {
                continue;
            }
            self.transcripts.follow(conversation, &path);
            if let Some(folder) = path.parent() {
                self.folders.watch_for(id, folder);
            }
            if current {
                self.folders.watch_for(id, &paths::subagents(&path));
            }
            self.transcripts.read(&path).await;
            self.transcripts.read_subagents(conversation, &path).await;
            if !current {
                self.transcripts.forget(&conversation.id);
                let ended = conversation.ended_at.map_or(0, |at| clock::now().ms_since(at));
                if session.is_live() && ended > LAST_LINES_MS {
                    self.finished.insert(conversation.id.clone());
                }
            }
        }
        if !session.is_live() {
            self.pids.retain(|_, s| *s != id);
            known.iter().for_each(|conversation| {
                self.finished.remove(&conversation.id);
            });
        }
    }

    /// The conversations to follow: the session's own, but for those that another one runs now, and the one
    /// that it alone runs, whoever's that was.
    async fn conversations(&self, session: &Session) -> Vec<Conversation> {
        let known = conversations::of_session(&self.app.db, session.id).await;
        let mut known = known.unwrap_or_default();
        let id = session.id;
        let others = move |live: &Live| -> HashSet<ConversationId> {
            let others = live.sessions().filter(|s| s.id != id && s.is_live());
            others.filter_map(|s| s.state.conversation.clone()).collect()
        };
        let others = self.app.engine.read(others).await.unwrap_or_default();
        known.retain(|c| runs(session, &c.id) || !others.contains(&c.id));
        if let Some(current) = session.state.conversation.as_ref().filter(|c| runs(session, c))
            && !others.contains(current)
            && known.iter().all(|c| c.id != *current)
            && let Ok(Some(theirs)) = conversations::by_id(&self.app.db, current).await
        {
            known.push(Conversation { session_id: id, ..theirs });
        }
        known
    }

    fn wait_for(&mut self, session: SessionId, process: Process, generation: u32) {
        if !self.waited_for.insert(process) {
            return;
        }
        let app = self.app.clone();
        self.app.tasks.spawn(async move {
            tokio::select! {
                () = app.shutdown.cancelled() => {}
                () = process::wait_gone(process) => recover::process_gone(&app, session, generation).await,
            }
        });
    }

    // --- files ---

    async fn read_state(&self, session: SessionId, path: &Path) {
        // Written in place: an empty or half file is about to become whole, which is told again.
        let Ok(Some(file)) = state_file::read(path) else { return };
        if let Some(report) = state_report(session, &file) {
            super::tell(&self.app, report).await;
        }
    }

    // --- the sweep ---

    async fn settle_forgotten(&self) {
        let settle = |live: &mut Live, unit: &mut Unit| {
            observe::settle_forgotten(live, unit);
            Ok::<_, Error>(())
        };
        if let Err(e) = self.app.engine.run(settle).await {
            tracing::warn!(error = %e, "requests that nobody follows any more were not settled");
        }
    }

    async fn sweep(&mut self) {
        ingest::drain_spool(&self.app).await;
        self.folders.begin_anew();
        self.folders.watch(&self.app.data.spool());
        if self.elsewhere.is_none() {
            self.elsewhere = elsewhere::config_dir(&self.app).await;
        }
        elsewhere::unflag(&self.app).await;
        self.settle_forgotten().await;
        if let Some(config) = self.elsewhere.clone() {
            self.folders.watch(&paths::sessions_dir(&config));
            let pids = &self.pids;
            elsewhere::look_around(&self.app, &config, |pid| pids.contains_key(&pid)).await;
        }
        let running = |live: &Live| -> Vec<(SessionId, Option<Timestamp>)> {
            // What became of a request may still be told after its session's end.
            let wanted = live.sessions().filter(|s| s.is_live() || !s.state.open.is_empty());
            wanted.map(|s| (s.id, live.heard(s.id))).collect()
        };
        let Ok(sessions) = self.app.engine.read(running).await else { return };
        if !sessions.is_empty()
            && let Err(e) = recover::panes(&self.app).await
        {
            tracing::warn!(error = %e, "tmux cannot be asked for its panes");
        }
        let alive: HashSet<Process> =
            self.waited_for.iter().copied().filter(|p| process::alive(*p)).collect();
        self.waited_for = alive;
        let config = &self.app.config;
        let (quiet_after, limit_retry_ms) = (ms(config.quiet_after), ms(config.limit_retry));
        let decision_limit_ms = i64::from(config.permission_expiry) * 1_000;
        for (id, heard) in sessions {
            self.look(id).await;
            recover::check(&self.app, id).await;
            let now = clock::now();
            // What this server has not heard may have been told to the one before it.
            let heard = heard.unwrap_or(self.app.started_at);
            let quiet_since = Some(heard).filter(|at| now.ms_since(*at) > quiet_after);
            let tick = Fact::Tick { quiet_since, limit_retry_ms, decision_limit_ms };
            super::tell(&self.app, Report::fact(id, Source::Chorus, now, tick)).await;
            self.app.couriers.wake(id);
        }
        self.folders.give_back();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the configuration checks its range")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

/// Whether a session's Claude goes on with this conversation.
fn runs(session: &Session, conversation: &ConversationId) -> bool {
    session.is_live() && session.state.conversation.as_ref() == Some(conversation)
}

/// Where a conversation's transcript is, or will be: where its first hook said, unless that was lost, or
/// named another conversation's (2.1.197 names the original's when it forks).
fn transcript(session: &Session, config: &Path, conversation: &Conversation) -> PathBuf {
    let told = conversation.transcript_path.as_ref().map(PathBuf::from);
    let own = |path: &PathBuf| path.file_stem().is_some_and(|stem| *stem == *conversation.id.0);
    told.filter(own).unwrap_or_else(|| {
        paths::transcript(config, Path::new(&session.workspace_path), &conversation.id.0)
    })
}

/// What a state file says about a session.
fn state_report(session: SessionId, file: &StateFile) -> Option<Report> {
    let status: ClaudeStatus = file.status?;
    let fact = Fact::StateFile { status, waiting_for: file.waiting_for.clone() };
    let mut report = Report::fact(session, Source::StateFile, file.status_at?, fact);
    report.conversation.clone_from(&file.session_id);
    Some(report)
}
