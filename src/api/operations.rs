//! `/healthz`, `/readyz`, `/version`: for probes.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::services::App;

/// The operations' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/version", get(version))
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
