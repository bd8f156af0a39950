//! What the server is like: its settings, what it needs, and its hooks in the user's own settings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::problem::Problem;
use crate::config::Setting;
use crate::doctor::{self, Finding};
use crate::services::App;
use crate::services::user_hooks::{self, Status};

/// Lists the server's settings with their origins. Secrets are covered.
#[utoipa::path(get, path = "/api/settings", tag = "settings", operation_id = "list_settings",
    responses((status = 200, body = [Setting])))]
pub async fn list(State(app): State<Arc<App>>) -> Json<Vec<Setting>> {
    Json(app.loaded.settings())
}

/// Looks at what Chorus needs: what is there, and what to do about what is not.
#[utoipa::path(get, path = "/api/doctor", tag = "settings",
    responses((status = 200, body = [Finding])))]
pub async fn doctor(State(app): State<Arc<App>>) -> Json<Vec<Finding>> {
    Json(doctor::examine(&app.loaded).await)
}

/// Tells whether Claudes that people start by themselves tell Chorus of it.
#[utoipa::path(get, path = "/api/user-hooks", tag = "settings", operation_id = "get_user_hooks",
    responses((status = 200, body = Status),
        (status = 409, description = "The settings cannot be read", body = Problem)))]
pub async fn user_hooks() -> Result<Json<Status>, Problem> {
    answer(user_hooks::look())
}

/// Adds hooks to the user's own settings of Claude Code, so that Claudes that people start by themselves are seen.
#[utoipa::path(put, path = "/api/user-hooks", tag = "settings", operation_id = "install_user_hooks",
    responses((status = 200, body = Status),
        (status = 409, description = "The settings are left as they are", body = Problem)))]
pub async fn install_user_hooks(State(app): State<Arc<App>>) -> Result<Json<Status>, Problem> {
    answer(user_hooks::install(&app.data, &app.program))
}

/// Takes these hooks out again. Settings that nobody has changed since become what they were.
#[utoipa::path(delete, path = "/api/user-hooks", tag = "settings", operation_id = "uninstall_user_hooks",
    responses((status = 200, body = Status),
        (status = 409, description = "The settings are left as they are", body = Problem)))]
pub async fn uninstall_user_hooks(State(app): State<Arc<App>>) -> Result<Json<Status>, Problem> {
    answer(user_hooks::uninstall(&app.data))
}

fn answer(status: Result<Status, user_hooks::Error>) -> Result<Json<Status>, Problem> {
    status.map(Json).map_err(|e| Problem::new(StatusCode::CONFLICT, e.to_string()))
}
