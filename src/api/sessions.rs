//! `/api/sessions`.

pub mod import;
pub mod life;
mod types;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::{actor, decider, source};
use super::list::{self, Paging, Sorting};
use super::problem::{Body, Path, Problem, Query};
use crate::domain::ids::{PermissionId, ProjectId, ToolUseId};
use crate::domain::permission::PermissionRequest;
use crate::domain::record::{CommandLog, Message, ToolStatus};
use crate::domain::session::{ClaudeStatus, Session, SessionSort, Status};
pub use types::{
    Attach, Confirm, ConversationView, Fork, NewMessage, NewSession, Output, Restart,
    SessionDetail, SessionPatch, SessionView, Wanted,
};

use crate::services::{self, App, couriers, permissions, sessions};
use crate::store::{conversations, logs, messages};

/// Which sessions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only with this status.
    status: Option<Status>,
    /// Only with this activity.
    claude_status: Option<ClaudeStatus>,
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Only with this in the name, in any case.
    q: Option<String>,
    /// Those too that were ended and have left the list.
    #[serde(default)]
    #[param(required = false)]
    all: bool,
    /// In which order; `updated_at` unless given. A session that changes moves in that one, so that somebody who
    /// pages through it can miss it; by `created_at` each comes once.
    #[param(inline)]
    sort: Option<SessionSort>,
}

/// Which tool calls.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogFilter {
    /// Only of this tool.
    tool: Option<String>,
    /// Only with this status.
    status: Option<ToolStatus>,
    /// Only with this text in the input or the result, in any case; up to 200 characters.
    text: Option<String>,
}

/// Lists the sessions, those that changed last first unless asked otherwise.
#[utoipa::path(get, path = "/api/sessions", tag = "sessions", params(Filter, Paging),
    responses((status = 200, body = [SessionView]),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let sort = filter.sort.unwrap_or_default();
    let filter = crate::store::sessions::Filter {
        status: filter.status.map(|s| s.to_string()),
        claude_status: filter.claude_status.map(|s| s.to_string()),
        project: filter.project_id.map(|p| p.to_string()),
        q: filter.q.filter(|q| !q.is_empty()),
        all: filter.all,
    };
    let (page, beside) = sessions::list(&app, &filter, sort, cursor.as_ref(), limit).await?;
    let none = sessions::Beside::default();
    Ok(list::answer(&uri, page, |s| {
        let beside = beside.get(&s.id).unwrap_or(&none);
        SessionView::of(s, beside)
    }))
}

/// Creates a session: starts Claude Code in a tmux session of its own.
///
/// Answers when the process runs; `claude_status` is `starting` until Claude Code says that it is
/// ready. With the same `Idempotency-Key`, the session that was made first is returned.
#[utoipa::path(post, path = "/api/sessions", tag = "sessions", request_body = NewSession,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe")),
    responses((status = 201, body = SessionView), (status = 404, description = "No such project", body = Problem),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "An unusable field", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(new): Body<NewSession>,
) -> Result<Response, Problem> {
    let new = sessions::New {
        managed: false,
        name: new.name,
        like: None,
        project: new.project_id,
        prompt: new.initial_prompt,
        source: source(&headers),
        workspace: new.workspace_path,
        launch: new.launch,
        metadata: new.metadata,
        fork_of: None,
        idempotency_key: idempotency_key(&headers)?,
    };
    let session = sessions::create(&app, new).await?;
    let location = format!("/api/sessions/{}", session.id);
    let view = view(&app, session).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Shows a session, with the end of its terminal.
#[utoipa::path(get, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = SessionDetail), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<SessionDetail>, Problem> {
    let session = sessions::find(&app, &name).await?;
    let last_output = sessions::output(&app, &session, 0).await.ok().map(|text| tail(&text, 2_000));
    Ok(Json(SessionDetail { session: view(&app, session).await?, last_output }))
}

/// Changes a session's budget or what is kept with it, or pauses, resumes or ends it by its `status`.
#[utoipa::path(patch, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path)),
    request_body = SessionPatch,
    responses((status = 200, body = SessionView), (status = 404, body = Problem),
        (status = 409, description = "It cannot change like that now", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(patch): Body<SessionPatch>,
) -> Result<Json<SessionView>, Problem> {
    // By its id from here on: an ended session's name may be another's.
    let mut session = sessions::find(&app, &name).await?;
    let id = session.id.to_string();
    // What may be refused goes before what is done: the status looks for itself.
    if let Some(limit) = patch.budget_usd {
        services::spending::check_budget(&session, limit)?;
    }
    match patch.status {
        Some(Wanted::Paused) => session = services::life::pause(&app, &id, actor(&headers)).await?,
        Some(Wanted::Active) if session.state.claude_status == ClaudeStatus::Stopped => {
            session = services::life::resume(&app, &id, actor(&headers)).await?;
        }
        Some(Wanted::Completed) => {
            services::life::end(&app, &id, actor(&headers)).await?;
            session = sessions::by_id(&app, session.id).await?;
        }
        Some(Wanted::Active) | None => {}
    }
    if let Some(limit) = patch.budget_usd {
        session = services::spending::set_budget(&app, &id, limit, actor(&headers)).await?;
    }
    if let Some(metadata) = patch.metadata {
        session = sessions::set_metadata(&app, &id, metadata).await?;
    }
    Ok(Json(view(&app, session).await?))
}

/// Sends a prompt.
///
/// The answer is the message: `sending` while it is on its way, `queued` if Claude is not idle and
/// `queue` is set. A `message` event tells when it is `delivered`, confirmed by Claude Code itself,
/// or `undelivered`, with the reason. Nothing is ever typed into an open dialog.
#[utoipa::path(post, path = "/api/sessions/{id}/send", tag = "sessions", request_body = NewMessage,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe")),
    responses((status = 202, body = Message), (status = 404, body = Problem),
        (status = 409, description = "Claude is not idle, or a draft is in the input box", body = Problem),
        (status = 422, description = "A text that cannot arrive as it is", body = Problem)))]
pub async fn send(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(new): Body<NewMessage>,
) -> Result<Response, Problem> {
    submit(&app, &headers, &name, new).await
}

/// Takes a prompt for a session.
pub(super) async fn submit(
    app: &Arc<App>,
    headers: &HeaderMap,
    name: &str,
    new: NewMessage,
) -> Result<Response, Problem> {
    let order = couriers::Order {
        source: new.source.unwrap_or_else(|| source(headers)),
        text: new.text,
        queue: new.queue,
        raw: new.raw,
        force: new.force,
        idempotency_key: idempotency_key(headers)?,
    };
    let session = sessions::find(app, name).await?;
    let message = couriers::submit(app, session.id, order).await?;
    Ok((StatusCode::ACCEPTED, Json(message)).into_response())
}

/// Answers the oldest pending permission request.
#[utoipa::path(post, path = "/api/sessions/{id}/respond", tag = "sessions", params(("id" = String, Path)),
    request_body = Confirm,
    responses((status = 200, body = PermissionRequest), (status = 404, body = Problem),
        (status = 409, description = "Nothing is pending", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn respond(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(answer): Body<Confirm>,
) -> Result<Json<PermissionRequest>, Problem> {
    let wish = answer.answer()?.wish()?;
    let session = sessions::find(&app, &name).await?;
    let id: PermissionId = permissions::oldest_pending(&app, session.id).await?;
    Ok(Json(permissions::decide(&app, id, wish, decider(&headers)).await?))
}

/// Tells how to attach a terminal.
#[utoipa::path(post, path = "/api/sessions/{id}/attach", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = Attach), (status = 404, body = Problem),
        (status = 409, description = "It does not run", body = Problem)))]
pub async fn attach(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Attach>, Problem> {
    let (session, argv) = sessions::attach_command(&app, &name).await?;
    Ok(Json(Attach::of(session.tmux_session, argv, &app.data.tmux_socket())))
}

/// How much of the terminal.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lines {
    /// Lines of scrollback before the visible screen: 0 to 10,000.
    #[serde(default)]
    lines: u32,
}

/// Shows the terminal as text.
#[utoipa::path(get, path = "/api/sessions/{id}/output", tag = "sessions", params(("id" = String, Path), Lines),
    responses((status = 200, body = Output), (status = 404, body = Problem),
        (status = 409, description = "It does not run", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn output(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(lines): Query<Lines>,
) -> Result<Json<Output>, Problem> {
    if lines.lines > 10_000 {
        return Err(Problem::field("lines", "expected 0 to 10000"));
    }
    let session = sessions::find(&app, &name).await?;
    Ok(Json(Output { output: sessions::output(&app, &session, lines.lines).await? }))
}

/// Lists a session's conversations in the order they began.
#[utoipa::path(get, path = "/api/sessions/{id}/conversations", tag = "sessions", params(("id" = String, Path)),
    responses((status = 200, body = [ConversationView]), (status = 404, body = Problem)))]
pub async fn conversations(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<ConversationView>>, Problem> {
    let session = sessions::find(&app, &name).await?;
    let known = conversations::of_session(&app.db, session.id).await;
    let known = known.map_err(crate::services::error::Error::from)?;
    Ok(Json(known.into_iter().map(ConversationView::from).collect()))
}

/// Lists what was said, in order.
#[utoipa::path(get, path = "/api/sessions/{id}/messages", tag = "sessions", params(("id" = String, Path), Sorting, Paging),
    responses((status = 200, body = [Message]), (status = 404, body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn messages(
    State(app): State<Arc<App>>,
    uri: Uri,
    Path(name): Path<String>,
    Query(sorting): Query<Sorting>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let session = sessions::find(&app, &name).await?;
    let order = sorting.order();
    let page = messages::list(&app.db, session.id, order, cursor.as_ref(), limit).await;
    Ok(list::answer(&uri, page.map_err(crate::services::error::Error::from)?, |m| m))
}

/// Sends a prompt: the same as `send`.
#[utoipa::path(post, path = "/api/sessions/{id}/messages", tag = "sessions", request_body = NewMessage,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe")),
    responses((status = 202, body = Message), (status = 404, body = Problem),
        (status = 409, description = "Claude is not idle, or a draft is in the input box", body = Problem),
        (status = 422, description = "A text that cannot arrive as it is", body = Problem)))]
pub async fn add_message(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(new): Body<NewMessage>,
) -> Result<Response, Problem> {
    submit(&app, &headers, &name, new).await
}

/// Lists the tool calls, in order.
#[utoipa::path(get, path = "/api/sessions/{id}/logs", tag = "sessions", params(("id" = String, Path), LogFilter, Sorting, Paging),
    responses((status = 200, body = [CommandLog]), (status = 404, body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn logs(
    State(app): State<Arc<App>>,
    uri: Uri,
    Path(name): Path<String>,
    Query(filter): Query<LogFilter>,
    Query(sorting): Query<Sorting>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let session = sessions::find(&app, &name).await?;
    if filter.text.as_ref().is_some_and(|t| t.is_empty() || t.chars().count() > 200) {
        return Err(Problem::field("text", "expected 1 to 200 characters"));
    }
    let filter = logs::Filter {
        tool: filter.tool,
        status: filter.status.map(|s| s.to_string()),
        text: filter.text,
    };
    let order = sorting.order();
    let page = logs::list(&app.db, session.id, &filter, order, cursor.as_ref(), limit).await;
    Ok(list::answer(&uri, page.map_err(crate::services::error::Error::from)?, |l| l))
}

/// Shows a result that was cut in the list, whole.
#[utoipa::path(get, path = "/api/sessions/{id}/logs/{tool_use_id}/output", tag = "sessions",
    params(("id" = String, Path), ("tool_use_id" = String, Path)),
    responses((status = 200, description = "The text: tool output, so hostile", content_type = "text/plain", body = String),
        (status = 404, description = "No such call, or its result was not cut", body = Problem)))]
pub async fn log_output(
    State(app): State<Arc<App>>,
    Path((name, call)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    let output = logs::output(&app.db, session.id, &ToolUseId(call)).await;
    let output = output.map_err(crate::services::error::Error::from)?;
    let text = output.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no cut result of such a call; `logs` shows short ones whole",
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}

async fn view(app: &App, session: Session) -> Result<SessionView, Problem> {
    let beside = sessions::beside(app, session.id).await?;
    Ok(SessionView::of(session, &beside))
}

/// The request's `Idempotency-Key`.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=200).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::field("Idempotency-Key", "expected 1 to 200 printable characters")),
    }
}

fn tail(text: &str, chars: usize) -> String {
    let text = text.trim_end();
    let skip = text.chars().count().saturating_sub(chars);
    text.chars().skip(skip).collect()
}
