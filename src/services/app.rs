//! Everything that the use cases share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::couriers::Couriers;
use super::documents::Documents;
use super::engine::{Effect, Engine, Refused};
use super::error::Error;
use super::git::Git;
use super::glance::Glances;
use super::held::Held;
use super::launch::Installed;
use super::live::Live;
use super::metrics::Metrics;
use super::notices::Notices;
use super::rate::RateLimit;
use super::spending::Accounts;
use super::tasks::Desk;
use super::viewers;
use super::watch::Watcher;
use crate::bus::Hub;
use crate::claude::paths;
use crate::claude::screen::{Patterns, Screens};
use crate::clock;
use crate::config::{Config, DataDir, Loaded};
use crate::domain::event::Event;
use crate::domain::hex::hex;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::store::{Db, StoreError, events};
use crate::tmux::{PaneId, Tmux, TmuxEvent};

/// Everything that the use cases share.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The same with their origins, for people.
    pub loaded: Loaded,
    /// The data folder.
    pub data: DataDir,
    /// The store, for reading. Writing is the engine's.
    pub db: Db,
    /// Where state changes.
    pub engine: Engine,
    /// Where events come out.
    pub hub: Arc<Hub>,
    /// Hooks that wait for decisions.
    pub held: Held,
    /// How many hooks each session may send.
    pub(super) hook_rate: RateLimit,
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
    /// Who is told what needs them.
    pub notices: Notices,
    /// Prompts on their way.
    pub couriers: Couriers,
    /// Files and processes that are watched.
    pub watcher: Watcher,
    /// Starts of Claude that may run at the same time.
    pub starts: Semaphore,
    /// Places of those who watch terminals.
    pub(super) viewers: Arc<Semaphore>,
    /// Cancelled when the server is to stop.
    pub shutdown: CancellationToken,
    /// Background work that a shutdown waits for.
    pub tasks: TaskTracker,
    /// When the server was started.
    pub started_at: Timestamp,
    /// This program, to be named in hooks. Absolute.
    pub program: PathBuf,
    /// tmux sessions with our prefix that no session of ours explains.
    pub orphans: Mutex<Vec<String>>,
    /// How Claude Code's screens are read.
    pub screens: Screens,
    /// The Claude Code program as it was found last, with its file's time.
    pub(super) claude: tokio::sync::Mutex<Option<(Option<SystemTime>, Installed)>>,
    /// Whose edit is it.
    pub git: Git,
    /// Sums that are to be told, and turns that are to be stopped.
    pub accounts: Accounts,
    /// What looks after the documents.
    pub documents: Documents,
    /// Where tasks are started from and looked after.
    pub desk: Desk,
    /// What is seen of sessions at one glance.
    pub(super) glances: Arc<Glances>,
    receiver: OnceLock<SocketAddr>,
    secret: [u8; 32],
    tmux: OnceCell<Tmux>,
    panes: Mutex<HashMap<SessionId, PaneId>>,
    /// The environment of a login shell, taken once.
    pub(super) login_env: OnceCell<HashMap<String, String>>,
}

impl App {
    /// Reads the live state and starts the engine. Nothing outside is touched yet:
    /// [`super::recover::run`] does that.
    pub async fn start(
        loaded: Loaded,
        db: Db,
        secret: [u8; 32],
        program: PathBuf,
        metrics: Metrics,
    ) -> Result<Arc<Self>, StoreError> {
        let config = loaded.config.clone();
        let live = Live::load(&db).await?;
        let last = events::last_id(&db).await?;
        let hub = Arc::new(Hub::new(last));
        let data = DataDir(config.data_dir.clone());
        // Before anything happens, so that nothing is missed.
        let (notices, listener) = Notices::new(&config.notify, data.notices(), &live, &hub);
        let held = Held::default();
        let couriers = Couriers::default();
        let accounts = Accounts::default();
        let git = Git::default();
        let desk = Desk::default();
        let (watcher, orders) = Watcher::new();
        let effects = {
            let (held, couriers, watcher) = (held.clone(), couriers.clone(), watcher.clone());
            let (accounts, desk) = (accounts.clone(), desk.clone());
            let due = git.due.clone();
            move |effect| match effect {
                Effect::Answer(id, decision) => {
                    held.tell(id, Some(decision));
                }
                Effect::Release(id) => {
                    held.tell(id, None);
                }
                Effect::WakeCourier(session) => couriers.wake(session),
                Effect::Rewatch(session) => watcher.look(session),
                Effect::Account(session) => accounts.sum_up(session),
                Effect::Interrupt(session) => accounts.stop(session),
                Effect::Edited(session, file) => due.edited(session, file),
                Effect::Commit(task) => due.add(task),
                Effect::WakeQueue => desk.wake(),
                Effect::Settle(task) => desk.settle(task),
                Effect::EndSession(session) => desk.end(session),
                Effect::Finish(task) => desk.finish(task),
            }
        };
        let metrics = Arc::new(metrics);
        let glances = Arc::new(Glances::default());
        let (counted, seen) = (metrics.clone(), glances.clone());
        let committed = move |events: &[Event]| {
            counted.count(events);
            seen.hear(events);
        };
        let (engine, _) =
            Engine::start(db.clone(), live, hub.clone(), clock::now, committed, effects);
        let config_patterns = config.status_patterns.clone();
        let app = Arc::new(Self {
            data,
            starts: Semaphore::new(config.starts_at_once),
            viewers: Arc::new(Semaphore::new(viewers::PLACES)),
            hook_rate: RateLimit::new(config.hook_rate),
            config,
            loaded,
            db,
            engine,
            hub,
            held,
            metrics,
            notices,
            couriers,
            watcher,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            started_at: clock::now(),
            program,
            orphans: Mutex::default(),
            screens: screens(&config_patterns),
            claude: tokio::sync::Mutex::default(),
            accounts,
            git,
            documents: Documents::default(),
            desk,
            glances,
            receiver: OnceLock::new(),
            secret,
            tmux: OnceCell::new(),
            panes: Mutex::default(),
            login_env: OnceCell::new(),
        });
        super::couriers::start(&app);
        super::spending::start(&app);
        super::git::start(&app);
        listener.start(&app);
        super::watch::start(&app, orders);
        super::retention::start(&app);
        super::documents::start(&app);
        super::tasks::start(&app);
        super::glance::start(&app, last);
        Ok(app)
    }

    /// The tmux server, started when it is needed first.
    pub async fn tmux(self: &Arc<Self>) -> Result<&Tmux, Error> {
        let start = || async {
            let mut config = crate::tmux::Config::new(self.data.tmux_socket());
            config.binary.clone_from(&self.config.tmux);
            let (tmux, events) = Tmux::start(config).await?;
            let app = self.clone();
            self.tasks.spawn(async move { app.follow_tmux(events).await });
            Ok::<_, crate::tmux::TmuxError>(tmux)
        };
        let tmux = self.tmux.get_or_try_init(start).await;
        tmux.map_err(|e| Error::Unavailable { problem: e.to_string() })
    }

    /// The tmux server, if it was needed already.
    pub fn tmux_if_there(&self) -> Option<&Tmux> {
        self.tmux.get()
    }

    async fn follow_tmux(&self, mut events: mpsc::Receiver<TmuxEvent>) {
        loop {
            let event = tokio::select! {
                () = self.shutdown.cancelled() => return,
                event = events.recv() => event,
            };
            match event {
                None => return,
                Some(TmuxEvent::Disconnected { reason }) => {
                    tracing::warn!(%reason, "the connection to tmux is lost; it is made again");
                    self.watcher.sweep();
                }
                Some(TmuxEvent::Connected { .. } | TmuxEvent::SessionsChanged) => {
                    self.watcher.sweep()
                }
                // The process itself tells when it ends, and sooner.
                Some(TmuxEvent::PaneChanged(_)) => {}
            }
        }
    }

    /// The pane that a session runs in.
    pub fn pane(&self, session: SessionId) -> Option<PaneId> {
        self.panes.lock().unwrap_or_else(PoisonError::into_inner).get(&session).copied()
    }

    /// Notes the pane that a session runs in, or that it has none.
    pub fn set_pane(&self, session: SessionId, pane: Option<PaneId>) {
        let mut panes = self.panes.lock().unwrap_or_else(PoisonError::into_inner);
        match pane {
            Some(pane) => panes.insert(session, pane),
            None => panes.remove(&session),
        };
    }

    /// The process ids of the Claudes that run in such sessions of ours.
    pub async fn claude_pids(&self, of: fn(&Session) -> bool) -> Result<HashSet<u32>, Refused> {
        let pids = move |live: &Live| {
            let processes = live.sessions().filter(|s| of(s)).filter_map(|s| s.state.process);
            processes.map(|p| p.pid).collect()
        };
        self.engine.read(pids).await
    }

    /// Where the Claude Code of a session keeps its files.
    pub async fn claude_config_dir(&self, session: &Session) -> PathBuf {
        if let Some(dir) = &session.launch.claude_config_dir {
            return PathBuf::from(dir);
        }
        let env = super::launch::environment(self).await;
        let get = |name: &str| session.launch.env.get(name).or_else(|| env.get(name)).cloned();
        // Without a HOME there is no place for Claude Code to keep files either.
        paths::config_dir(get).unwrap_or_default()
    }

    /// The token that a session's hooks show: derived, so that none is stored anywhere.
    pub fn hook_token(&self, session: SessionId) -> String {
        self.token(session, b"")
    }

    /// The token that a session's Claude shows with its log. It is good for nothing else.
    pub fn log_token(&self, session: SessionId) -> String {
        self.token(session, b"log")
    }

    fn token(&self, session: SessionId, purpose: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(session.0.as_bytes());
        hash.update(purpose);
        hex(&hash.finalize())
    }

    /// Where Claude Code's logs are taken in, once that is known.
    pub fn receiver(&self) -> Option<SocketAddr> {
        self.receiver.get().copied()
    }

    /// Notes where Claude Code's logs are taken in.
    pub fn set_receiver(&self, address: SocketAddr) {
        // There is one for the life of a server.
        let _ = self.receiver.set(address);
    }
}

/// Screens as they were recorded, with further texts from the configuration.
fn screens(configured: &BTreeMap<String, Vec<String>>) -> Screens {
    let recorded = Patterns::default();
    let mut patterns = recorded.clone();
    for (name, texts) in configured {
        let place = match name.as_str() {
            "busy" => &mut patterns.busy,
            "waiting" | "permission" => &mut patterns.permission,
            "plan" => &mut patterns.plan,
            "question" => &mut patterns.question,
            "not_logged_in" => &mut patterns.not_logged_in,
            "retrying" => &mut patterns.retrying,
            // Idle is what the state file and the hooks say; no text proves it.
            other => {
                tracing::warn!(
                    "status_patterns.{other} has no effect; known are busy, waiting, plan, question, not_logged_in, retrying"
                );
                continue;
            }
        };
        for text in texts {
            place.push('|');
            place.push_str(text);
        }
    }
    Screens::new(&patterns).unwrap_or_else(|e| {
        tracing::warn!(error = %e, "status_patterns cannot be used; the built-in ones are");
        Screens::default()
    })
}
