//! The receiver of Claude Code's own log: `POST /v1/logs/{session}`, on a port of its own.
//!
//! Exporters of OpenTelemetry speak neither to Unix sockets nor by any other way than their endpoint, and
//! a Claude that runs keeps to the one it was started with. So this port stays the same when the server
//! is started again, and offers nothing else.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::bearer;
use super::problem::{Path, Problem};
use crate::domain::ids::SessionId;
use crate::services::{App, spending};

/// The largest body: several times what Claude Code sends at once. Bytes.
const LIMIT: usize = 4 * 1024 * 1024;

/// The receiver's one route.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/logs/{session}", post(receive))
        .layer(DefaultBodyLimit::max(LIMIT))
        .fallback(super::nothing_here)
        .with_state(app)
}

/// Takes in a log. The answer is OTLP's: whoever gets a 503 sends it again.
async fn receive(
    State(app): State<Arc<App>>,
    Path(session): Path<SessionId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        let detail = "only application/json is taken (OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/json)";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    spending::take_log(&app, session, bearer(&headers).as_deref(), body?).await?;
    Ok(Json(json!({})).into_response())
}
