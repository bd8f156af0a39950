//! `/healthz`, `/readyz` and `/version`, for probes, and `/metrics`, for its owner's Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::services::{App, metrics};

/// What every user of this machine may ask.
pub fn probes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/version", get(version))
}

/// How things are, for Prometheus.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let text = metrics::scrape(&app).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text).into_response())
}

/// Ready is who can read its store. tmux may come later: the server starts without it.
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.db.ping().await.map_err(crate::services::error::Error::from)?;
    Ok("ready")
}

async fn version(State(app): State<Arc<App>>) -> Json<Value> {
    Json(
        json!({ "name": "chorus", "version": env!("CARGO_PKG_VERSION"), "started_at": app.started_at }),
    )
}
