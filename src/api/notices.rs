//! `/api/notices`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::services::App;
use crate::services::notices::{self, NoticeAttempt};

/// Sends a notice through every channel, and says what happened to each.
///
/// Quiet hours and the switches of kinds do not hold for it.
#[utoipa::path(post, path = "/api/notices/test", tag = "notices",
    responses((status = 200, description = "What became of it", body = [NoticeAttempt])))]
pub async fn test(State(app): State<Arc<App>>) -> Json<Vec<NoticeAttempt>> {
    Json(notices::test(&app).await)
}
