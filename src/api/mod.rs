//! The REST API: thin handlers around the use cases. Statuses and HTTP are here and nowhere else.

mod activity;
pub mod audit;
pub mod auth;
mod caller;
mod doc;
pub mod documents;
mod endpoints;
pub mod events;
pub mod git;
pub mod hooks;
pub mod list;
pub mod notices;
pub mod operations;
pub mod permissions;
pub mod problem;
pub mod projects;
pub mod references;
pub mod retention;
pub mod rules;
pub mod sessions;
mod settings;
pub mod summary;
pub mod tasks;
pub mod telemetry;
pub mod templates;
pub mod terminal;
pub mod trace;
pub mod usage;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::services::App;
use problem::Problem;

/// The largest hook payload: Claude Code sends tool results whole. Bytes.
pub const HOOK_LIMIT: usize = 32 * 1024 * 1024;
/// A body that is too large is read to its end up to this size. Bytes.
const THROWN_AWAY: usize = 256 * 1024 * 1024;
/// And for this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(value.strip_prefix("Bearer ")?.trim().to_owned())
}

/// Lets no body be read that is larger than this. One that says so is refused at once. It is read and
/// thrown away first: a client that is still writing when the connection is closed does not hear the answer.
async fn limit_body(limit: usize, mut request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok());
    let length: usize = length.and_then(|l| l.parse().ok()).unwrap_or(0);
    if length <= limit {
        DefaultBodyLimit::max(limit).apply(&mut request);
        return next.run(request).await;
    }
    if length <= THROWN_AWAY {
        let mut body = request.into_body().into_data_stream();
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        // Who is slower than that is not waited for.
        let _ = timeout(PATIENCE, rest).await;
    }
    let detail = format!("the body is larger than the {limit} bytes that are taken");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
}

/// Carries what a request has begun through to its end, though whoever asked may have gone: what acts
/// on the world in several steps must not end between them. Reading has no such steps.
async fn carry_through(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let done = app.tasks.spawn(next.run(request).in_current_span()).await;
    match done.map_err(JoinError::try_into_panic) {
        Ok(response) => response,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => {
            let detail = "Chorus was stopped before this was done";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
        }
    }
}

/// The API's routes.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    endpoints::routes(app)
        .route("/api/openapi.json", get(description))
        .route("/metrics", get(operations::metrics))
}

/// The OpenAPI description of the API.
async fn description() -> impl IntoResponse {
    static JSON: LazyLock<Bytes> =
        LazyLock::new(|| endpoints::description().to_json().unwrap_or_default().into());
    ([(header::CONTENT_TYPE, "application/json")], JSON.clone())
}

/// What is answered where there is nothing.
pub async fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is nothing here; /api/openapi.json lists what there is",
    )
}

/// What is answered where there is something, but not for this method.
pub async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this method does not go with this path; see /api/openapi.json",
    )
}
