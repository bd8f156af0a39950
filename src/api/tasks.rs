//! `/api/tasks`.

mod types;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

pub use types::{
    Assign, Completion, Dependency, EndedTask, Failure, NewTask, RestartClaude, StartTask,
    TaskDetail, TaskOrder, TaskPatch, TaskPrompt, TaskView, WantedLines, WantedReference,
};

use super::caller::{actor, decider, source};
use super::list::{self, Paging};
use super::problem::{Body, OptionalBody, Path, Problem, Query};
use super::references::ReferenceView;
use super::sessions::{Confirm, NewMessage, idempotency_key, submit};
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::permission::PermissionRequest;
use crate::domain::record::Message;
use crate::domain::task::TaskStatus;
use crate::services::{App, git, permissions, sessions, tasks};
use crate::store::tasks::Sort;

/// Which tasks, in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only with this status.
    status: Option<TaskStatus>,
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Only with this label.
    label: Option<String>,
    /// Only those that this session works on, or did last: its id, its name or its tmux session's name.
    session: Option<String>,
    /// Only with this in the title, in any case.
    q: Option<String>,
    /// In which order; `priority` unless given.
    #[param(inline)]
    sort: Option<Sort>,
}

/// Lists tasks.
#[utoipa::path(get, path = "/api/tasks", tag = "tasks", params(Filter, Paging),
    responses((status = 200, body = [TaskView]), (status = 404, description = "No such session", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let sort = filter.sort.unwrap_or_default();
    let filter = crate::store::tasks::Filter {
        status: filter.status,
        project: filter.project_id,
        label: filter.label,
        session: sessions::find_id(&app, filter.session.as_deref()).await?,
        q: filter.q.filter(|q| !q.is_empty()),
    };
    let page = tasks::list(&app, &filter, sort, cursor.as_ref(), limit).await?;
    Ok(list::answer(&uri, page, TaskView::from))
}

/// Creates a task, of a template if one is named. It is pending until it is started or given to a session.
#[utoipa::path(post, path = "/api/tasks", tag = "tasks", request_body = NewTask,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe")),
    responses((status = 201, body = TaskView), (status = 422, description = "An unusable field", body = Problem)))]
pub async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(new): Body<NewTask>,
) -> Result<Response, Problem> {
    let new = tasks::New {
        project: new.project_id,
        template: new.template,
        variables: new.variables,
        title: new.title,
        description: new.description,
        priority: new.priority,
        labels: new.labels,
        depends_on: new.depends_on,
        references: new.references.map(|all| all.into_iter().map(Into::into).collect()),
        options: new.options,
        queued: new.queued,
        idempotency_key: idempotency_key(&headers)?,
    };
    let task: TaskView = tasks::create(&app, new, actor(&headers)).await?.into();
    let location = format!("/api/tasks/{}", task.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(task)).into_response())
}

/// Shows a task with its references, what it depends on, and its attempts.
#[utoipa::path(get, path = "/api/tasks/{id}", tag = "tasks", params(("id" = i64, Path)),
    responses((status = 200, body = TaskDetail), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
) -> Result<Json<TaskDetail>, Problem> {
    Ok(Json(tasks::get(&app, id).await?.into()))
}

/// Changes a task's fields. What is not given stays as it is.
#[utoipa::path(put, path = "/api/tasks/{id}", tag = "tasks", params(("id" = i64, Path)), request_body = TaskPatch,
    responses((status = 200, body = TaskView), (status = 404, body = Problem),
        (status = 409, description = "It cannot change like that now", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    Body(patch): Body<TaskPatch>,
) -> Result<Json<TaskView>, Problem> {
    let patch = tasks::Patch {
        title: patch.title,
        description: patch.description,
        priority: patch.priority,
        labels: patch.labels,
        depends_on: patch.depends_on,
        options: patch.options,
        queued: patch.queued,
    };
    Ok(Json(tasks::update(&app, id, patch, actor(&headers)).await?.into()))
}

/// Changes a task's fields: the same as `PUT`.
#[utoipa::path(patch, path = "/api/tasks/{id}", tag = "tasks", params(("id" = i64, Path)), request_body = TaskPatch,
    responses((status = 200, body = TaskView), (status = 404, body = Problem),
        (status = 409, description = "It cannot change like that now", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn patch(
    app: State<Arc<App>>,
    headers: HeaderMap,
    id: Path<TaskId>,
    patch: Body<TaskPatch>,
) -> Result<Json<TaskView>, Problem> {
    update(app, headers, id, patch).await
}

/// Deletes a task that is pending or failed, and that nothing depends on.
#[utoipa::path(delete, path = "/api/tasks/{id}", tag = "tasks", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "It is at work or completed, or something depends on it", body = Problem)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
) -> Result<StatusCode, Problem> {
    tasks::remove(&app, id, actor(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts tasks of one priority into an order.
#[utoipa::path(put, path = "/api/tasks/order", tag = "tasks", request_body = TaskOrder,
    responses((status = 200, body = [TaskView]), (status = 422, description = "An unusable id", body = Problem)))]
pub async fn order(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(order): Body<TaskOrder>,
) -> Result<Json<Vec<TaskView>>, Problem> {
    let views = tasks::order(&app, order.ids, actor(&headers)).await?;
    Ok(Json(views.into_iter().map(TaskView::from).collect()))
}

/// Gives a task to a session that is idle and works on no task: its prompt is sent there.
#[utoipa::path(post, path = "/api/tasks/{id}/assign", tag = "tasks", params(("id" = i64, Path)), request_body = Assign,
    responses((status = 200, body = TaskView), (status = 404, body = Problem),
        (status = 409, description = "The task is not pending, or the session is not free", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn assign(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    Body(assign): Body<Assign>,
) -> Result<Json<TaskView>, Problem> {
    let session = sessions::find(&app, &assign.session_id).await?;
    Ok(Json(tasks::assign(&app, id, &session, source(&headers)).await?.into()))
}

/// Starts a task in a session of its own.
///
/// If there is no room for another session, a usage limit is in force, or a task that it depends on is open,
/// it is `queued` (202) and starts by itself later.
#[utoipa::path(post, path = "/api/tasks/{id}/start", tag = "tasks", params(("id" = i64, Path)), request_body = StartTask,
    responses((status = 200, body = TaskView), (status = 202, description = "It waits in the queue", body = TaskView),
        (status = 404, body = Problem), (status = 409, description = "It is not pending, the session's name is taken, or a document that it refers to is gone", body = Problem),
        (status = 422, description = "It cannot be started as it is", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    OptionalBody(how): OptionalBody<StartTask>,
) -> Result<Response, Problem> {
    let by = source(&headers);
    let task: TaskView = tasks::begin(&app, id, how.use_stored_text, by).await?.into();
    let status = if task.queued { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(task)).into_response())
}

/// Starts a task's Claude again, with its conversation or a fresh one.
#[utoipa::path(post, path = "/api/tasks/{id}/restart-claude", tag = "tasks", params(("id" = i64, Path)),
    request_body = RestartClaude,
    responses((status = 202, body = TaskView), (status = 404, body = Problem),
        (status = 409, description = "It has no Claude", body = Problem),
        (status = 422, description = "An unusable field", body = Problem),
        (status = 503, description = "tmux or Claude Code is missing", body = Problem)))]
pub async fn restart_claude(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    OptionalBody(how): OptionalBody<RestartClaude>,
) -> Result<Response, Problem> {
    let by = source(&headers);
    let task = tasks::restart_claude(&app, id, how.resend_context, how.fresh, by).await?;
    Ok((StatusCode::ACCEPTED, Json(TaskView::from(task))).into_response())
}

/// Sends a prompt to the session that works on a task.
#[utoipa::path(post, path = "/api/tasks/{id}/send", tag = "tasks", request_body = NewMessage,
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe")),
    responses((status = 202, body = Message), (status = 404, body = Problem),
        (status = 409, description = "No session works on it, or Claude is not idle", body = Problem),
        (status = 422, description = "A text that cannot arrive as it is", body = Problem)))]
pub async fn send(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    Body(new): Body<NewMessage>,
) -> Result<Response, Problem> {
    // Whatever becomes of the rest.
    idempotency_key(&headers)?;
    let session = tasks::session_of(&app, id).await?;
    submit(&app, &headers, &session.id.to_string(), new).await
}

/// Answers the oldest pending permission request of the session that works on a task.
#[utoipa::path(post, path = "/api/tasks/{id}/respond", tag = "tasks", params(("id" = i64, Path)), request_body = Confirm,
    responses((status = 200, body = PermissionRequest), (status = 404, body = Problem),
        (status = 409, description = "Nothing is pending", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn respond(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    Body(answer): Body<Confirm>,
) -> Result<Json<PermissionRequest>, Problem> {
    let wish = answer.answer()?.wish()?;
    let session = tasks::session_of(&app, id).await?;
    let request = permissions::oldest_pending(&app, session.id).await?;
    Ok(Json(permissions::decide(&app, request, wish, decider(&headers)).await?))
}

/// Completes a task. The session that was made for it ends; another one is free again.
#[utoipa::path(post, path = "/api/tasks/{id}/complete", tag = "tasks", params(("id" = i64, Path)), request_body = Completion,
    responses((status = 200, body = EndedTask), (status = 404, body = Problem),
        (status = 409, description = "It is not at work", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn complete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    OptionalBody(how): OptionalBody<Completion>,
) -> Result<Json<EndedTask>, Problem> {
    let task = tasks::complete(&app, id, how.result, actor(&headers)).await?.into();
    let git = git::offer(&app, id, how.push, how.pr).await?;
    Ok(Json(EndedTask { task, git, discarded_commit: None }))
}

/// Gives a task up. The session that was made for it ends; another one is free again.
#[utoipa::path(post, path = "/api/tasks/{id}/fail", tag = "tasks", params(("id" = i64, Path)), request_body = Failure,
    responses((status = 200, body = EndedTask), (status = 404, body = Problem),
        (status = 409, description = "It is not at work, or has no branch to discard", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn fail(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
    OptionalBody(how): OptionalBody<Failure>,
) -> Result<Json<EndedTask>, Problem> {
    if how.discard {
        git::check_discard(&app, id).await?;
    }
    let task = tasks::fail(&app, id, how.result, actor(&headers)).await?.into();
    let discarded_commit = if how.discard { git::discard(&app, id).await? } else { None };
    let git = if how.discard { None } else { git::offer(&app, id, false, false).await? };
    Ok(Json(EndedTask { task, git, discarded_commit }))
}

/// Makes a failed task pending again. Why it failed stays with its attempt.
#[utoipa::path(post, path = "/api/tasks/{id}/retry", tag = "tasks", params(("id" = i64, Path)),
    responses((status = 200, body = TaskView), (status = 404, body = Problem),
        (status = 409, description = "It has not failed", body = Problem)))]
pub async fn retry(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TaskId>,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(tasks::retry(&app, id, actor(&headers)).await?.into()))
}

/// Shows what Claude is told of a task, byte for byte.
#[utoipa::path(get, path = "/api/tasks/{id}/prompt", tag = "tasks", params(("id" = i64, Path)),
    responses((status = 200, body = TaskPrompt), (status = 404, body = Problem),
        (status = 409, description = "A document that it refers to is gone", body = Problem),
        (status = 422, description = "It cannot be sent as it is", body = Problem)))]
pub async fn prompt(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
) -> Result<Json<TaskPrompt>, Problem> {
    let preview = tasks::preview(&app, id).await?;
    Ok(Json(TaskPrompt { prompt: preview.prompt }))
}

/// Lists the lines of documents that matter for a task, as they are now, in the order they were added.
#[utoipa::path(get, path = "/api/tasks/{id}/references", tag = "tasks", params(("id" = i64, Path)),
    responses((status = 200, body = [ReferenceView]), (status = 404, body = Problem)))]
pub async fn references(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
) -> Result<Json<Vec<ReferenceView>>, Problem> {
    let detail = tasks::get(&app, id).await?;
    Ok(Json(detail.references.into_iter().map(ReferenceView::from).collect()))
}
