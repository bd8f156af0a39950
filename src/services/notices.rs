//! Telling people what needs them, on their desktop, in their terminals, by a program of theirs.
//!
//! ```text
//! committed events → Listener → news in a tray for each channel → (gather) → notice → channel
//! ```
//!
//! A session waits in a channel's tray until it is told of, and what happens to it meanwhile joins
//! what waits. Only then the live state says whether there is still something to tell. So a channel
//! that is slow holds up nobody but itself, and never tells what is over.

mod channel;
mod ledger;
mod tabs;
mod tray;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;

use super::App;
use super::engine::Refused;
use super::live::Live;
use crate::bus::{Frame, Hub};
use crate::clock;
use crate::domain::event::EventKind;
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::notice::{
    About, Activity, Moment, News, Notice, NoticeKind, Rules, Watch, notice,
};
use crate::domain::permission::PermissionStatus;
use crate::domain::session::ClaudeStatus;

pub use channel::{Channel, NoticeAttempt, NoticeOutcome};
pub use ledger::Content;
use ledger::Ledger;
pub use tabs::{Tab, Tabs};
use tray::Tray;

/// How long it takes until a store that was away is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is needed to tell people.
pub struct Notices {
    /// Pages that show notices.
    pub tabs: Tabs,
    rules: Rules,
    gather: Duration,
    trays: Vec<(Channel, Tray)>,
    ledger: Ledger,
    url: OnceLock<String>,
    /// That there is no desktop was said in the log.
    absence: OnceLock<()>,
}

impl Notices {
    /// Makes it, and the ear that hears of everything that is committed from now on.
    pub fn new(
        config: &crate::config::Notify,
        ledger: PathBuf,
        live: &Live,
        hub: &Hub,
    ) -> (Self, Listener) {
        let told = Content::read(&ledger);
        let notices = Self {
            tabs: Tabs::default(),
            rules: config.rules(),
            gather: Duration::from_secs_f64(config.gather),
            trays: Channel::of(config).map(|channel| (channel, Tray::default())).collect(),
            ledger: Ledger::new(ledger, told.clone()),
            url: OnceLock::new(),
            absence: OnceLock::new(),
        };
        // The server before this one may have died before it told of them.
        let due = Instant::now() + notices.gather;
        for (channel, tray) in &notices.trays {
            for request in live.open.values().map(|open| &open.request) {
                if !told.has_told(*channel, request.id) {
                    tray.push(request.session_id, News::asked(hub.last_id(), request.id), due);
                }
            }
        }
        let (_, _, events) = hub.subscribe(None);
        let listener = Listener {
            events,
            // What is so already is no news.
            watches: live.sessions().map(|s| (s.id, Watch::of(&s.state))).collect(),
            asked: live.open.keys().copied().collect(),
        };
        (notices, listener)
    }

    /// Notes the page's address.
    pub fn serve_at(&self, url: &str) {
        // There is one server, which says so once.
        let _ = self.url.set(format!("{}/", url.trim_end_matches('/')));
    }

    fn url(&self) -> &str {
        self.url.get().map_or("", String::as_str)
    }

    fn push(&self, session: SessionId, news: &News) {
        for (channel, tray) in &self.trays {
            if !tray.push(session, news.clone(), Instant::now() + self.gather) {
                tracing::warn!(%session, "no notice of {session} by {channel}: too many wait");
            }
        }
    }
}

/// Makes news of what is committed.
pub struct Listener {
    events: Receiver<Arc<Frame>>,
    watches: HashMap<SessionId, Watch>,
    /// Requests that were heard of and that nobody has decided.
    asked: HashSet<PermissionId>,
}

/// The part of a request's event that matters here.
#[derive(Deserialize)]
struct Request {
    id: PermissionId,
}

impl Listener {
    /// Begins to listen, and to tell.
    pub fn start(self, app: &Arc<App>) {
        app.tasks.spawn(self.run(app.clone()));
        for at in 0..app.notices.trays.len() {
            app.tasks.spawn(tell(app.clone(), at));
        }
    }

    async fn run(mut self, app: Arc<App>) {
        loop {
            let received = tokio::select! {
                () = app.shutdown.cancelled() => return,
                received = self.events.recv() => received,
            };
            match received {
                Ok(frame) => {
                    if let Some((session, news)) = self.hear(&frame) {
                        app.notices.push(session, &news);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "notices missed {missed} events");
                    self.events = self.events.resubscribe();
                    self.catch_up(&app).await;
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn hear(&mut self, frame: &Frame) -> Option<(SessionId, News)> {
        let session = frame.session_id?;
        let request = || serde_json::from_slice::<Request>(&frame.data).ok();
        let news = match frame.kind {
            EventKind::PermissionRequest => {
                let id = request()?.id;
                self.asked.insert(id);
                News::asked(frame.id, id)
            }
            EventKind::PermissionResolved => {
                self.asked.remove(&request()?.id);
                return None;
            }
            EventKind::ClaudeStatus => {
                let activity: Activity = serde_json::from_slice(&frame.data).ok()?;
                let ended = activity.new == ClaudeStatus::Stopped;
                let news = self.watches.entry(session).or_default().hear(frame.id, activity);
                if ended {
                    self.watches.remove(&session);
                }
                news
            }
            _ => return None,
        };
        (!news.is_empty()).then_some((session, news))
    }

    /// Finds the requests that were not heard of.
    async fn catch_up(&mut self, app: &App) {
        let last = app.hub.last_id();
        let pending = |live: &Live| -> Vec<(SessionId, PermissionId)> {
            let open = live.open.values().map(|o| &o.request);
            let pending = open.filter(|r| r.status == PermissionStatus::Pending);
            pending.map(|r| (r.session_id, r.id)).collect()
        };
        let Ok(pending) = app.engine.read(pending).await else { return };
        for (session, id) in &pending {
            if !self.asked.contains(id) {
                app.notices.push(*session, &News::asked(last, *id));
            }
        }
        self.asked = pending.into_iter().map(|(_, id)| id).collect();
    }
}

/// Tells by one channel, one notice after the other.
async fn tell(app: Arc<App>, at: usize) {
    let (channel, tray) = &app.notices.trays[at];
    let tell_all = async {
        loop {
            let (session, news) = tray.next().await;
            let looked = look(&app, session, &news).await;
            if let Ok((_, open)) = &looked {
                // Before: one that is lost in this very moment is better than one told twice.
                app.notices.ledger.telling(*channel, &news.asked, open).await;
            }
            match looked.map(|(notice, _)| notice) {
                Ok(None) => tracing::debug!(%channel, "there is nothing to tell of {session}"),
                Ok(Some(notice)) => {
                    for attempt in channel.tell(&app, &Arc::new(notice)).await {
                        app.notices.ledger.note(&attempt).await;
                    }
                }
                // Nothing is known at this moment.
                Err(Refused(_)) => {
                    tray.push(session, news, Instant::now() + AGAIN);
                }
            }
        }
    };
    tokio::select! {
        () = app.shutdown.cancelled() => {}
        () = tell_all => {}
    }
}

/// What is to be told of a session at this moment, and all requests that are open.
async fn look(
    app: &Arc<App>,
    id: SessionId,
    news: &News,
) -> Result<(Option<Notice>, BTreeSet<PermissionId>), Refused> {
    let now = clock::now();
    let moment = Moment { now, minute: clock::minute_of_day(now) };
    let (app_there, news) = (app.clone(), news.clone());
    let judge = move |live: &Live| {
        let open: BTreeSet<PermissionId> = live.open.keys().copied().collect();
        let Some(session) = live.session(id) else { return (None, open) };
        let requests = live.open.values().map(|open| &open.request);
        let pending: Vec<_> = requests
            .filter(|r| r.session_id == id && r.status == PermissionStatus::Pending)
            .collect();
        let project = live.project(session.project_id).map_or("", |p| p.name.as_str());
        let rules = &app_there.notices.rules;
        let url = app_there.notices.url();
        let about = About { session, project, pending: &pending, url };
        (notice(&news, &about, rules, moment), open)
    };
    app.engine.read(judge).await
}

/// Sends one notice through every channel, whatever the hour, and says what happened to each.
pub async fn test(app: &Arc<App>) -> Vec<NoticeAttempt> {
    let notice = Arc::new(Notice {
        kind: NoticeKind::Test,
        event_id: 0,
        session_id: None,
        session: String::new(),
        project: String::new(),
        title: "A notice of Chorus's".into(),
        body: "Somebody tries whether it arrives.".into(),
        count: 0,
        requests: Vec::new(),
        attach: None,
        url: app.notices.url().to_owned(),
        at: clock::now(),
    });
    let mut attempts = Vec::new();
    for channel in Channel::ALL {
        attempts.extend(channel.tell(app, &notice).await);
    }
    attempts
}
