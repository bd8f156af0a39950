//! `/api/projects`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::actor;
use super::problem::{Body, Path, Problem, given};
use crate::domain::git::GitSettings;
use crate::domain::ids::ProjectId;
use crate::domain::project::Project;
use crate::services::{App, projects};

/// A project to add.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its folder: an absolute path.
    pub root: String,
    /// Its name; the folder's unless given.
    #[serde(default)]
    pub name: Option<String>,
}

/// What may be changed about a project.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectPatch {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which of its files are documents, such as `docs/**/*.md`; `null` goes back to the server's
    /// `document_patterns`.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub document_patterns: Option<Option<Vec<String>>>,
    /// How the edits of its tasks are kept apart; what is not given stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GitSettings>)]
    pub git: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Lists the projects.
#[utoipa::path(get, path = "/api/projects", tag = "projects",
    responses((status = 200, body = [Project])))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<Project>>, Problem> {
    Ok(Json(projects::list(&app).await?))
}

/// Adds a project. One that has this folder already is returned as it is.
#[utoipa::path(post, path = "/api/projects", tag = "projects", request_body = NewProject,
    responses((status = 201, description = "Added", body = Project),
        (status = 200, description = "It was there already", body = Project),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(new): Body<NewProject>,
) -> Result<Response, Problem> {
    let (project, added) = projects::add(&app, &new.root, new.name, actor(&headers)).await?;
    let mut answer = HeaderMap::new();
    if let Ok(location) = format!("/api/projects/{}", project.id).parse() {
        answer.insert(header::LOCATION, location);
    }
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, answer, Json(project)).into_response())
}

/// Shows a project.
#[utoipa::path(get, path = "/api/projects/{id}", tag = "projects", params(("id" = ProjectId, Path)),
    responses((status = 200, body = Project), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<ProjectId>,
) -> Result<Json<Project>, Problem> {
    Ok(Json(projects::get(&app, id).await?))
}

/// Renames a project, says which of its files are documents, or changes its git settings.
#[utoipa::path(patch, path = "/api/projects/{id}", tag = "projects", params(("id" = ProjectId, Path)),
    request_body = ProjectPatch,
    responses((status = 200, body = Project), (status = 404, body = Problem),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<ProjectId>,
    Body(patch): Body<ProjectPatch>,
) -> Result<Json<Project>, Problem> {
    let ProjectPatch { name, document_patterns, git } = patch;
    let patch = projects::Patch { name, document_patterns, git };
    Ok(Json(projects::change(&app, id, patch, actor(&headers)).await?))
}

/// Removes a project that has no session. Its folder is not touched.
#[utoipa::path(delete, path = "/api/projects/{id}", tag = "projects", params(("id" = ProjectId, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "It has sessions", body = Problem)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<ProjectId>,
) -> Result<StatusCode, Problem> {
    projects::remove(&app, id, actor(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}
