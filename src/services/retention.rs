//! Retention: what is older than it is to be kept is forgotten, once a day.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::error::Error;
use crate::clock;
use crate::config::Config;
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;
use crate::store::retention::{self, Ended};
use crate::store::{StoreError, Write};

/// How often.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After the server's start: it has better things to do at first.
const FIRST: Duration = Duration::from_secs(5 * 60);
/// Rows of one commit: others wait for it.
const BATCH: i64 = 500;
/// Sessions that are looked at together.
const PAGE: u32 = 100;
/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// How long things are kept. What is `None` is kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Sessions that have ended, in days since they changed last.
    pub sessions_days: Option<u32>,
    /// Whole texts of results too long for their row, in days; at most as long as their session.
    pub outputs_days: Option<u32>,
    /// The log of events, in days.
    pub events_days: Option<u32>,
    /// The database, in megabytes of 10⁶ bytes: beyond that the sessions go that ended first.
    pub database_mb: Option<u32>,
}

impl Policy {
    /// The one of the configuration, where 0 is for ever.
    pub fn configured(config: &Config) -> Self {
        let set = |value: u32| (value > 0).then_some(value);
        Self {
            sessions_days: set(config.keep_sessions_days),
            outputs_days: set(config.keep_outputs_days),
            events_days: set(config.keep_events_days),
            database_mb: set(config.keep_database_mb),
        }
    }
}

/// What was forgotten, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Sessions, with their messages, calls, requests and rules.
    pub sessions: u64,
    /// What their texts come to, in bytes, roughly.
    pub bytes: i64,
    /// Whole texts of long results.
    pub outputs: u64,
    /// Events.
    pub events: u64,
}

/// Forgets once a day what the configuration says, until the server stops.
pub fn start(app: &Arc<App>) {
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        let mut pause = FIRST;
        while tokio::time::timeout(pause, app.shutdown.cancelled()).await.is_err() {
            let policy = Policy::configured(&app.config);
            match apply(&app, &policy, Actor::chorus()).await {
                Ok(f) if f != Forgotten::default() => {
                    tracing::info!(?f, "forgot {} sessions and {} events", f.sessions, f.events);
                }
                Ok(_) => {}
                Err(e) => tracing::warn!(error = %e, "retention stopped; it goes on tomorrow"),
            }
            pause = EVERY;
        }
    });
}

/// Tells what [`apply`] would forget.
pub async fn preview(app: &App, policy: &Policy) -> Result<Forgotten, Error> {
    let now = clock::now();
    let mut found = Forgotten::default();
    if let Some(days) = policy.outputs_days {
        found.outputs = count(retention::count_outputs(&app.db, ago(now, days)).await?);
    }
    if let Some(days) = policy.events_days {
        let first = retention::first_event_to_keep(&app.db, ago(now, days)).await?;
        found.events = count(retention::count_events(&app.db, first).await?);
    }
    let mut due = Due::new(app, policy, now).await?;
    while let Some((_, bytes)) = due.next(app).await? {
        found.sessions += 1;
        found.bytes += bytes;
    }
    Ok(found)
}

/// Forgets what a policy says. The audit log keeps that it was done, and all that it had.
pub async fn apply(app: &App, policy: &Policy, actor: Actor) -> Result<Forgotten, Error> {
    let now = clock::now();
    let mut done = Forgotten::default();
    if let Some(days) = policy.outputs_days {
        done.outputs = delete(app, What::Outputs(ago(now, days))).await?;
    }
    if let Some(days) = policy.events_days {
        let first = retention::first_event_to_keep(&app.db, ago(now, days)).await?;
        done.events = delete(app, What::Events(first)).await?;
    }
    let mut due = Due::new(app, policy, now).await?;
    while let Some((session, bytes)) = due.next(app).await? {
        if app.shutdown.is_cancelled() {
            break;
        }
        if forget(app, session).await? {
            done.sessions += 1;
            done.bytes += bytes;
        }
    }
    if done != Forgotten::default() {
        retention::give_back(&app.db).await?;
        let data = serde_json::json!({
            "sessions": done.sessions, "outputs": done.outputs, "events": done.events,
        });
        let act = Act::new(clock::now(), actor, "retention.applied", data);
        app.engine
            .run(move |_, unit| {
                unit.write(Write::Audit(act));
                Ok::<_, Error>(())
            })
            .await?;
    }
    Ok(done)
}

/// Forgets a session that has ended. Most of it goes a little at a time; what is left, at once and
/// in turn with everything else that changes sessions, so that none is forgotten that somebody has
/// just resumed.
async fn forget(app: &App, session: Ended) -> Result<bool, Error> {
    let id = session.id;
    let has_ended = move |live: &super::live::Live| live.session(id).is_none_or(|s| !s.is_live());
    if !app.engine.read(has_ended).await? {
        return Ok(false);
    }
    delete(app, What::Of(id)).await?;
    app.engine
        .run(move |live, unit| {
            let ended = has_ended(live);
            if ended {
                live.forget(id);
                unit.write(Write::PurgeSession(id));
            }
            Ok(ended)
        })
        .await
}

/// What is deleted a little at a time.
#[derive(Clone, Copy)]
enum What {
    /// Whole texts of results that are older.
    Outputs(Timestamp),
    /// Events before this one.
    Events(i64),
    /// A session's rows.
    Of(SessionId),
}

/// Deletes until nothing is left or the server stops. Tells how many rows.
async fn delete(app: &App, what: What) -> Result<u64, Error> {
    let mut rows = 0;
    while !app.shutdown.is_cancelled() {
        let some = match what {
            What::Outputs(before) => retention::delete_outputs(&app.db, before, BATCH).await?,
            What::Events(before) => retention::delete_events(&app.db, before, BATCH).await?,
            What::Of(session) => retention::thin_out(&app.db, session, BATCH).await?,
        };
        if some == 0 {
            break;
        }
        rows += some;
    }
    Ok(rows)
}

/// The sessions that are to be forgotten, the longest ended first.
struct Due {
    /// Those that did not change since.
    before: Option<Timestamp>,
    /// And further ones until so many bytes are gone.
    too_much: i64,
    page: std::vec::IntoIter<Ended>,
    last: Option<Ended>,
}

impl Due {
    async fn new(app: &App, policy: &Policy, now: Timestamp) -> Result<Self, Error> {
        let too_much = match policy.database_mb {
            Some(mb) => retention::size(&app.db).await.map_err(unfit)? - i64::from(mb) * 1_000_000,
            None => 0,
        };
        let before = policy.sessions_days.map(|days| ago(now, days));
        Ok(Self { before, too_much, page: Vec::new().into_iter(), last: None })
    }

    async fn next(&mut self, app: &App) -> Result<Option<(Ended, i64)>, Error> {
        if self.page.len() == 0 {
            let before = match self.before {
                _ if self.too_much > 0 => Timestamp(i64::MAX),
                Some(before) => before,
                None => return Ok(None),
            };
            self.page = retention::ended(&app.db, before, self.last, PAGE).await?.into_iter();
        }
        let Some(session) = self.page.next() else { return Ok(None) };
        let is_old = self.before.is_some_and(|before| session.updated_at < before);
        if !is_old && self.too_much <= 0 {
            return Ok(None);
        }
        let bytes = retention::bytes(&app.db, session.id).await?;
        self.too_much -= bytes;
        self.last = Some(session);
        Ok(Some((session, bytes)))
    }
}

fn ago(now: Timestamp, days: u32) -> Timestamp {
    now.plus_ms(-DAY * i64::from(days))
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// A size cannot be asked for there.
fn unfit(e: StoreError) -> Error {
    match e {
        StoreError::Unfit(problem) => Error::invalid("database_mb", problem),
        other => other.into(),
    }
}
