//! `GET /api/events`: the live stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use utoipa::IntoParams;

use super::auth::{Peer, refuse_agent};
use super::problem::{Problem, Query};
use crate::bus::{Backlog, Frame};
use crate::domain::ids::SessionId;
use crate::services::App;
use crate::services::notices::Tab;
use crate::store::events;

/// Events that are read from the table for somebody who was away; beyond that, start over.
const REPLAY_LIMIT: i64 = 20_000;
/// Rows read at a time.
const CHUNK: u32 = 500;
/// A comment this often keeps proxies from closing the stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What to stream.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// Everything after this event first. The `Last-Event-ID` header says the same and wins.
    last_event_id: Option<i64>,
    /// Only events of this session.
    session_id: Option<SessionId>,
    /// Also `notice` events, which are in no log: who asks for them shows them to a person, and the
    /// desktop stays silent meanwhile.
    #[serde(default)]
    notices: bool,
}

/// Streams events as they happen.
///
/// A stream of `text/event-stream` whose ids are the events' places in the log. Who comes back with
/// `Last-Event-ID` gets all that was missed, without gap or duplicate. Where that is too much, one
/// `reset` event says so: read the lists again and go on from its id.
#[utoipa::path(get, path = "/api/events", tag = "events", params(Params),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = String),
        (status = 403, description = "A Claude that Chorus runs shows no notices", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn stream(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    if params.notices {
        // An agent must not keep from people that it asks them something.
        refuse_agent(&app, &peer).await?;
    }
    let after = match headers.get("last-event-id") {
        None => params.last_event_id,
        Some(id) => {
            Some(id.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
                Problem::field("Last-Event-ID", "expected the id of an event of this stream")
            })?)
        }
    };
    // What is gone from the log, or cannot be read, cannot be told any more.
    let first = match after {
        Some(_) => events::first_id(&app.db).await.unwrap_or(i64::MAX),
        None => 0,
    };
    let (backlog, last, live) = app.hub.subscribe(after);
    let mut listener = Listener {
        live,
        ready: VecDeque::new(),
        last,
        table_to: None,
        only: params.session_id,
        alive: alive(),
        tab: params.notices.then(|| app.notices.tabs.open(params.session_id)),
        app,
    };
    // Tells a fresh listener at once where it stands, and opens the stream in every proxy.
    listener.ready.push_back(Bytes::from(format!("id: {last}\nretry: 1000\n: connected\n\n")));
    match backlog {
        Backlog::Frames(frames) => frames.iter().for_each(|f| listener.take(f)),
        Backlog::Table { up_to }
            if up_to - last <= REPLAY_LIMIT && up_to >= last && first <= last + 1 =>
        {
            listener.table_to = Some(up_to);
        }
        Backlog::Table { up_to } => listener.reset(up_to),
    }
    let body = stream::unfold(listener, |mut l| async move {
        let bytes = l.next().await?;
        Some((Ok::<_, Infallible>(bytes), l))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((StatusCode::OK, headers, Body::from_stream(body)).into_response())
}

/// When to say that the stream is there.
fn alive() -> Interval {
    let mut alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    alive
}

struct Listener {
    app: Arc<App>,
    live: Receiver<Arc<Frame>>,
    ready: VecDeque<Bytes>,
    last: i64,
    /// Up to where the table is still to be read.
    table_to: Option<i64>,
    only: Option<SessionId>,
    /// Goes on whatever others are told.
    alive: Interval,
    /// Whoever listens shows notices.
    tab: Option<Tab>,
}

impl Listener {
    fn take(&mut self, frame: &Frame) {
        if frame.id <= self.last {
            return;
        }
        self.last = frame.id;
        if self.only.is_none() || self.only == frame.session_id {
            self.ready.push_back(frame.wire.clone());
        }
    }

    fn reset(&mut self, at: i64) {
        self.last = at;
        self.table_to = None;
        self.ready.push_back(Bytes::from(format!(
            "id: {at}\nevent: reset\ndata: {{\"last_event_id\":{at}}}\n\n"
        )));
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if let Some(to) = self.table_to {
                self.read_table(to).await;
                continue;
            }
            let shutdown = self.app.shutdown.clone();
            tokio::select! {
                // On shutdown the stream ends; the client comes back to the next server.
                () = shutdown.cancelled() => return None,
                received = self.live.recv() => match received {
                    Ok(frame) => {
                        self.take(&frame);
                        // What is there already goes out in the same write.
                        while self.ready.len() < 64 && let Ok(frame) = self.live.try_recv() {
                            self.take(&frame);
                        }
                        if self.ready.len() > 1 {
                            return Some(self.ready.drain(..).collect::<Vec<_>>().concat().into());
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        // In this order: what comes in between is known to be after `at`.
                        self.live = self.live.resubscribe();
                        let at = self.app.hub.last_id();
                        self.reset(at);
                    }
                    Err(RecvError::Closed) => return None,
                },
                notice = notice(&mut self.tab) => return Some(notice),
                _ = self.alive.tick() => return Some(Bytes::from_static(b": alive\n\n")),
            }
        }
    }

    async fn read_table(&mut self, to: i64) {
        match events::after(&self.app.db, self.last, CHUNK).await {
            Ok(rows) if rows.is_empty() => self.table_to = None,
            Ok(rows) => {
                for row in rows.iter().filter(|r| r.id <= to) {
                    self.take(&Frame::from(row));
                }
                if rows.iter().any(|r| r.id >= to) {
                    self.table_to = None;
                }
            }
            Err(e) => {
                tracing::warn!(error = %e, "the log of events could not be read for a listener");
                self.reset(to);
            }
        }
    }
}

/// The next notice to show, if any are wanted. It has no id: nobody gets it twice.
async fn notice(tab: &mut Option<Tab>) -> Bytes {
    let Some(tab) = tab else { return std::future::pending().await };
    let notice = tab.next().await;
    let data = serde_json::to_string(&*notice).unwrap_or_default();
    Bytes::from(format!("event: notice\ndata: {data}\n\n"))
}
