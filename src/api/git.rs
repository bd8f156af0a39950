//! Git: how a project's edits are kept apart, what tasks and sessions have changed, worktrees.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::actor;
use super::problem::{Body, Path, Problem, Query};
use crate::domain::ids::{ProjectId, TaskId};
use crate::services::git::worktrees::{self, PrunedWorktrees, Worktree};
use crate::services::git::{self, Change, Changes, Commit, GitStatus};
use crate::services::{App, projects, sessions, tasks};

/// Consent to setting a repository up for GitButler.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupConsent {
    /// Somebody has agreed that HEAD moves to a branch of GitButler's and that it adds hooks.
    pub confirm: bool,
}

/// Which worktrees.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WorktreeFilter {
    /// Only of this project.
    project_id: Option<ProjectId>,
}

/// Which worktrees are to go.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneWorktrees {
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Only tell what would be removed.
    #[serde(default)]
    pub dry_run: bool,
}

/// How a worktree is removed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Removal {
    /// Even if it has changes or commits that are nowhere else: they are kept in the commit that is told.
    #[serde(default)]
    force: bool,
}

/// A worktree that was removed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// As it was.
    pub worktree: Worktree,
    /// If its branch went with it: the commit that has all of it. `git branch NAME COMMIT` has it back.
    pub commit: Option<String>,
}

/// Tells how a project's edits are kept apart.
#[utoipa::path(get, path = "/api/projects/{id}/git", tag = "git", operation_id = "git_status",
    params(("id" = ProjectId, Path)),
    responses((status = 200, body = GitStatus), (status = 404, body = Problem)))]
pub async fn status(
    State(app): State<Arc<App>>,
    Path(id): Path<ProjectId>,
) -> Result<Json<GitStatus>, Problem> {
    Ok(Json(git::status(&app, id).await?))
}

/// Sets a project's repository up for GitButler.
#[utoipa::path(post, path = "/api/projects/{id}/git/setup", tag = "git", operation_id = "git_setup",
    params(("id" = ProjectId, Path)), request_body = SetupConsent,
    responses((status = 200, body = GitStatus), (status = 404, body = Problem),
        (status = 409, description = "No repository", body = Problem),
        (status = 422, description = "Nobody has agreed", body = Problem),
        (status = 503, description = "No GitButler that can be used", body = Problem)))]
pub async fn setup(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<ProjectId>,
    Body(consent): Body<SetupConsent>,
) -> Result<Json<GitStatus>, Problem> {
    if !consent.confirm {
        return Err(Problem::field("confirm", "expected true: it changes the repository"));
    }
    Ok(Json(git::setup(&app, id, actor(&headers)).await?))
}

/// Lists what has changed in a project's own folder and is no task's: nothing commits it.
#[utoipa::path(get, path = "/api/projects/{id}/unattributed", tag = "git",
    operation_id = "project_unattributed", params(("id" = ProjectId, Path)),
    responses((status = 200, body = [Change]), (status = 404, body = Problem)))]
pub async fn project_unattributed(
    State(app): State<Arc<App>>,
    Path(id): Path<ProjectId>,
) -> Result<Json<Vec<Change>>, Problem> {
    Ok(Json(git::unattributed(&app, id).await?))
}

/// Lists what has changed in the folder that a task shares with others and is no task's. A task with a
/// directory of its own has none.
#[utoipa::path(get, path = "/api/tasks/{id}/unattributed", tag = "git",
    operation_id = "task_unattributed", params(("id" = TaskId, Path)),
    responses((status = 200, body = [Change]), (status = 404, body = Problem)))]
pub async fn task_unattributed(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
) -> Result<Json<Vec<Change>>, Problem> {
    let changes = git::diff(&app, id).await?;
    if changes.worktree.is_some() {
        return Ok(Json(Vec::new()));
    }
    let project = tasks::get(&app, id).await?.view.task.project_id;
    Ok(Json(git::unattributed(&app, projects::get(&app, project).await?.id).await?))
}

/// Lists the commits of a task's last attempt, the newest first.
#[utoipa::path(get, path = "/api/tasks/{id}/commits", tag = "git", operation_id = "task_commits",
    params(("id" = TaskId, Path)),
    responses((status = 200, body = [Commit]), (status = 404, body = Problem)))]
pub async fn commits(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
) -> Result<Json<Vec<Commit>>, Problem> {
    Ok(Json(git::commits(&app, id).await?))
}

/// Shows what a task's last attempt has changed.
#[utoipa::path(get, path = "/api/tasks/{id}/diff", tag = "git", operation_id = "task_diff",
    params(("id" = TaskId, Path)),
    responses((status = 200, body = Changes), (status = 404, body = Problem)))]
pub async fn task_diff(
    State(app): State<Arc<App>>,
    Path(id): Path<TaskId>,
) -> Result<Json<Changes>, Problem> {
    Ok(Json(git::diff(&app, id).await?))
}

/// Shows what a session's task has changed; without one, what has changed in its directory since the last
/// commit there.
#[utoipa::path(get, path = "/api/sessions/{id}/diff", tag = "git", operation_id = "session_diff",
    params(("id" = String, Path)),
    responses((status = 200, body = Changes), (status = 404, body = Problem),
        (status = 409, description = "No repository", body = Problem)))]
pub async fn session_diff(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Changes>, Problem> {
    let session = sessions::find(&app, &id).await?;
    Ok(Json(git::session_diff(&app, &session).await?))
}

/// Lists the worktrees of tasks.
#[utoipa::path(get, path = "/api/worktrees", tag = "git", operation_id = "list_worktrees",
    params(WorktreeFilter),
    responses((status = 200, body = [Worktree]), (status = 404, body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(filter): Query<WorktreeFilter>,
) -> Result<Json<Vec<Worktree>>, Problem> {
    Ok(Json(worktrees::list(&app, filter.project_id).await?))
}

/// Removes the worktrees in which nothing is left to lose: no change, no commit that is nowhere else, no
/// session that lives there. Their branches stay.
#[utoipa::path(post, path = "/api/worktrees/prune", tag = "git", operation_id = "prune_worktrees",
    request_body = PruneWorktrees,
    responses((status = 200, body = PrunedWorktrees), (status = 404, body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn prune(
    State(app): State<Arc<App>>,
    Body(asked): Body<PruneWorktrees>,
) -> Result<Json<PrunedWorktrees>, Problem> {
    Ok(Json(worktrees::prune(&app, asked.project_id, asked.dry_run).await?))
}

/// Removes a worktree by its name.
#[utoipa::path(delete, path = "/api/worktrees/{name}", tag = "git", operation_id = "remove_worktree",
    params(("name" = String, Path), Removal),
    responses((status = 200, body = Removed), (status = 404, body = Problem),
        (status = 409, description = "Something would be lost, or a session lives there", body = Problem)))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(removal): Query<Removal>,
) -> Result<Json<Removed>, Problem> {
    let (worktree, commit) = worktrees::remove_by_name(&app, &name, removal.force).await?;
    Ok(Json(Removed { worktree, commit }))
}
