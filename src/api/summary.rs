//! `/api/summary`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::problem::Problem;
use crate::services::App;
use crate::services::summary::{self, SessionCounts};

/// Counts the live sessions by what Claude does in them.
///
/// Cheap enough to be asked every second, for a status line.
#[utoipa::path(get, path = "/api/summary", tag = "sessions",
    responses((status = 200, description = "The counts", body = SessionCounts)))]
pub async fn get(State(app): State<Arc<App>>) -> Result<Json<SessionCounts>, Problem> {
    Ok(Json(summary::get(&app).await?))
}
