//! What happens to a session: interrupt, pause, resume, restart, fork, end.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::types::{Fork, Restart, SessionView};
use super::view;
use crate::api::caller::{actor, source};
use crate::api::problem::{Body, Path, Problem};
use crate::services::{App, life};

/// Ends a session and hides it: Claude, what it started, and its tmux session. Its record stays.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    life::end(&app, &name, actor(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Interrupts the turn with one Escape. Prompts that are queued in Claude Code then run.
#[utoipa::path(post, path = "/api/sessions/{id}/interrupt", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "There is nothing to interrupt", body = Problem)))]
pub async fn interrupt(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let session = life::interrupt(&app, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&app, session).await?)).into_response())
}

/// Starts Claude again: with the same conversation, or with a fresh one.
#[utoipa::path(post, path = "/api/sessions/{id}/restart", tag = "sessions", params(("id" = String, Path)),
    request_body = Restart,
    responses((status = 202, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "Its name is taken by another session", body = Problem),
        (status = 422, description = "An unusable field", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn restart(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(how): Body<Restart>,
) -> Result<Response, Problem> {
    let session = life::restart(&app, &name, how.fresh, actor(&headers)).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&app, session).await?)).into_response())
}

/// Sets a session aside: its Claude ends, and its name, conversation and queue stay.
#[utoipa::path(post, path = "/api/sessions/{id}/pause", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "It has ended, or its name is taken", body = Problem)))]
pub async fn pause(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Json<SessionView>, Problem> {
    let session = life::pause(&app, &name, actor(&headers)).await?;
    Ok(Json(view(&app, session).await?))
}

/// Goes on with a session that does not run (paused, crashed, or gone with a reboot), with its
/// conversation.
#[utoipa::path(post, path = "/api/sessions/{id}/resume", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "It runs already, or its name is taken", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn resume(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let session = life::resume(&app, &name, actor(&headers)).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&app, session).await?)).into_response())
}

/// Takes over a session that somebody runs in a terminal of their own (`runtime` is `external`): it
/// is ended there, and goes on here with its conversation.
#[utoipa::path(post, path = "/api/sessions/{id}/adopt", tag = "sessions", params(("id" = String, Path)),
    responses((status = 202, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "Chorus runs it already", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn adopt(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let session = life::adopt(&app, &name, actor(&headers)).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&app, session).await?)).into_response())
}

/// Makes another session whose conversation begins as a copy of this one's.
#[utoipa::path(post, path = "/api/sessions/{id}/fork", tag = "sessions", params(("id" = String, Path)),
    request_body = Fork,
    responses((status = 201, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "The name is taken, or nothing has been said yet", body = Problem),
        (status = 422, description = "An unusable field", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn fork(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(new): Body<Fork>,
) -> Result<Response, Problem> {
    let prompt = new.initial_prompt;
    let session = life::fork(&app, &name, new.name, prompt, source(&headers)).await?;
    let location = format!("/api/sessions/{}", session.id);
    let view = view(&app, session).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}
