//! The HTTP side: which address gets which answer.

use std::fs::File;
use std::future;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::answer::{Message, fresh_id, turn_for};
use crate::ask::Ask;
use crate::events::events;
use crate::failures::Failures;
use crate::playback::{self, End};
use crate::record::{Kind, Recorded, Records, Request, lock};
use crate::script::{Script, Turn};

/// The largest request body read, in bytes: a long conversation with images stays below it.
const LARGEST_BODY: usize = 64 << 20;

/// Everything the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    script: Script,
    pub(crate) records: Records,
    failures: Mutex<Failures>,
    log: Option<Arc<Mutex<File>>>,
}

impl Shared {
    pub(crate) fn new(script: Script, log: Option<File>) -> Self {
        Self {
            script,
            records: Records::new(),
            failures: Mutex::default(),
            log: log.map(|file| Arc::new(Mutex::new(file))),
        }
    }

    /// Keeps a request in memory and, when there is one, in the log.
    async fn keep(&self, recorded: Recorded) {
        let recorded = Arc::new(recorded);
        self.records.add_body(Arc::clone(&recorded));
        let Some(log) = self.log.clone() else { return };
        // One blocking step: a client that leaves cannot leave half a line behind.
        let written = spawn_blocking(move || {
            let line = recorded.log_line()?;
            lock(&log).write_all(&line)
        });
        if let Ok(Err(error)) = written.await {
            eprintln!("scripted-model: the log cannot be written: {error}");
        }
    }
}

/// The parts of a request that every handler records.
type Head = (Method, Uri, HeaderMap);

/// All addresses of the stand-in.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/requests", get(requests))
        .route("/v1/messages", post(messages))
        .fallback(other)
        .method_not_allowed_fallback(other)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::map_response(with_request_id))
        .with_state(shared)
}

async fn with_request_id(mut response: Response) -> Response {
    // Hex digits are always a valid header value; without the header nothing breaks.
    if let Ok(id) = HeaderValue::try_from(fresh_id("req_", 20)) {
        response.headers_mut().insert("request-id", id);
    }
    response
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<Request>> {
    Json(shared.records.requests())
}

/// Anything that is not a conversation: answered so that the client goes on.
async fn other(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let (kind, answer) = match (&method, uri.path()) {
        (&Method::POST, "/v1/messages/count_tokens") => {
            let tokens = (body.len() / 4).max(1);
            (Kind::CountTokens, json!({ "input_tokens": tokens }))
        }
        (&Method::GET, "/v1/models") => (Kind::Other, json!({ "data": [], "has_more": false })),
        _ => (Kind::Other, json!({})),
    };
    let head = (method, uri, headers);
    shared.keep(recorded(now(), kind, head, body, None)).await;
    Json(answer)
}

async fn messages(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at = now();
    let ask = match Ask::parse(&body) {
        Ok(ask) => ask,
        Err(error) => {
            let head = (method, uri, headers);
            shared.keep(recorded(at, Kind::Other, head, body, None)).await;
            let message = format!("the body is not JSON: {error}");
            return error_answer(StatusCode::BAD_REQUEST, None, Some(message), None);
        }
    };
    let kind = ask.kind();
    let place = ask.place(&shared.script);
    let turn = turn_for(&shared.script, &ask, kind, &place);
    let session = text_of(&headers, "x-claude-code-session-id");
    let fails = turn.status.is_some()
        && turn.times.is_none_or(|times| {
            lock(&shared.failures).count(&session, place.scenario, place.turn) <= times
        });
    let request = Request {
        at,
        kind,
        scenario: place.scenario.to_owned(),
        turn: place.turn,
        session,
        model: ask.model().map(str::to_owned),
        stream: ask.stream(),
        prompt: place.prompt,
    };
    let head = (method, uri, headers);
    let recorded = recorded(at, kind, head, body, Some(&request));
    shared.records.add_request(request);
    shared.keep(recorded).await;
    answer(&ask, turn, fails).await
}

/// Plays `turn`, its troubles included.
async fn answer(ask: &Ask, turn: Turn, fails: bool) -> Response {
    if turn.delay_ms > 0 {
        sleep(Duration::from_millis(turn.delay_ms)).await;
    }
    if turn.hang {
        // The server drops this handler, and the wait with it, once the client leaves.
        return future::pending().await;
    }
    if let Some(status) = turn.status.filter(|_| fails) {
        // Scripts hold no other status, see the checks where they are read.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error_answer(status, turn.error_type, turn.error_message, turn.retry_after);
    }
    let pause = Duration::from_millis(turn.chunk_ms);
    let end = match (turn.broken, turn.cut) {
        (true, _) => End::Broken,
        (false, true) => End::Cut,
        (false, false) => End::Whole,
    };
    let message = Message::new(ask, turn);
    if !ask.stream() {
        return Json(message).into_response();
    }
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, playback::body(events(message), pause, end)).into_response()
}

/// An error as the API words it.
fn error_answer(
    status: StatusCode,
    name: Option<String>,
    message: Option<String>,
    retry_after: Option<f64>,
) -> Response {
    let name = name.unwrap_or_else(|| error_type(status).to_owned());
    let message = message.unwrap_or_else(|| format!("scripted {name}"));
    let body = json!({"type": "error", "error": {"type": name, "message": message}});
    let mut response = (status, Json(body)).into_response();
    if let Some(Ok(seconds)) = retry_after.map(|seconds| HeaderValue::try_from(seconds.to_string()))
    {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// The API's own name for the error behind a status.
fn error_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

fn recorded(
    at: u64,
    kind: Kind,
    (method, uri, headers): Head,
    body: Bytes,
    request: Option<&Request>,
) -> Recorded {
    Recorded {
        at,
        kind,
        scenario: request.map(|request| request.scenario.clone()),
        turn: request.map(|request| request.turn),
        method: method.to_string(),
        path: uri.to_string(),
        headers: headers
            .keys()
            .map(|name| (name.to_string(), text_of(&headers, name.as_str())))
            .collect(),
        body,
    }
}

/// A header's last value; empty without one.
fn text_of(headers: &HeaderMap, name: &str) -> String {
    headers
        .get_all(name)
        .iter()
        .next_back()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
