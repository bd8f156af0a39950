//! `/api/templates`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::actor;
use super::list::{self, Paging};
use super::problem::{Body, Path, Problem, Query, object, some_object};
use super::sessions::idempotency_key;
use super::tasks::WantedReference;
use crate::domain::ids::{ProjectId, TemplateId};
use crate::domain::task::TaskOptions;
use crate::domain::task::template::Template;
use crate::domain::time::Timestamp;
use crate::services::App;
use crate::services::tasks::templates;
use crate::store;

/// What tasks are made of: `POST /api/tasks` with `template` and `variables`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplateView {
    /// Its id.
    pub id: TemplateId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What it is called; no other one of the project is called so.
    pub name: String,
    /// The title of its tasks, in which `{{name}}` is a variable.
    pub title: String,
    /// Their description, with variables too.
    pub description: String,
    /// Its variables, in the order in which they come.
    pub variables: Vec<String>,
    /// The priority of its tasks.
    pub priority: i64,
    /// Their labels.
    pub labels: Vec<String>,
    /// Lines of documents that matter for them, as they are when a task is made.
    pub references: Vec<WantedReference>,
    /// How they are started.
    pub options: TaskOptions,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl From<Template> for TemplateView {
    fn from(template: Template) -> Self {
        Self {
            variables: template.variables().into_iter().map(str::to_owned).collect(),
            id: template.id,
            project_id: template.project_id,
            name: template.name,
            title: template.title,
            description: template.description,
            priority: template.priority,
            labels: template.labels,
            references: template.references.into_iter().map(WantedReference::from).collect(),
            options: template.options,
            created_at: template.created_at,
            updated_at: template.updated_at,
        }
    }
}

/// A template to create.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTemplate {
    /// What it is called: letters, digits and hyphens.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub name: String,
    /// The title of its tasks, in which `{{name}}` is a variable.
    pub title: String,
    /// Their description in Markdown, with variables too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Their priority; 0 unless given.
    #[serde(default)]
    pub priority: i64,
    /// The project. The default one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Their labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Lines of documents that matter for them. They are looked up when a task is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<WantedReference>,
    /// How they are started.
    #[serde(default, deserialize_with = "object")]
    pub options: TaskOptions,
}

/// What may be changed about a template. What is not given stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TemplatePatch {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub name: Option<String>,
    /// The title of its tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Their description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Their priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// All of their labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// All lines of documents that matter for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<WantedReference>>,
    /// How they are started, all of it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_object")]
    pub options: Option<TaskOptions>,
}

/// Which templates.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Only with this name.
    name: Option<String>,
}

/// Lists templates, the oldest first.
#[utoipa::path(get, path = "/api/templates", tag = "templates", operation_id = "list_templates",
    params(Filter, Paging),
    responses((status = 200, body = [TemplateView]),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let filter = store::templates::Filter { project: filter.project_id, name: filter.name };
    let page = templates::list(&app, &filter, cursor.as_ref(), limit).await?;
    Ok(list::answer(&uri, page, TemplateView::from))
}

/// Creates a template. Its variables are what its title and its description say.
#[utoipa::path(post, path = "/api/templates", tag = "templates", operation_id = "create_template",
    request_body = NewTemplate,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe")),
    responses((status = 201, body = TemplateView),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(new): Body<NewTemplate>,
) -> Result<Response, Problem> {
    let new = templates::New {
        project: new.project_id,
        name: new.name,
        title: new.title,
        description: new.description,
        priority: new.priority,
        labels: new.labels,
        references: new.references.into_iter().map(Into::into).collect(),
        options: new.options,
        idempotency_key: idempotency_key(&headers)?,
    };
    let template: TemplateView = templates::create(&app, new, actor(&headers)).await?.into();
    let location = format!("/api/templates/{}", template.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(template)).into_response())
}

/// Shows a template with its variables.
#[utoipa::path(get, path = "/api/templates/{id}", tag = "templates", operation_id = "get_template",
    params(("id" = TemplateId, Path)),
    responses((status = 200, body = TemplateView), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<TemplateId>,
) -> Result<Json<TemplateView>, Problem> {
    Ok(Json(templates::get(&app, id).await?.into()))
}

/// Changes a template. Tasks that were made of it stay as they are.
#[utoipa::path(patch, path = "/api/templates/{id}", tag = "templates", operation_id = "update_template",
    params(("id" = TemplateId, Path)), request_body = TemplatePatch,
    responses((status = 200, body = TemplateView), (status = 404, body = Problem),
        (status = 409, description = "The name is taken", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TemplateId>,
    Body(patch): Body<TemplatePatch>,
) -> Result<Json<TemplateView>, Problem> {
    let references = patch.references.map(|all| all.into_iter().map(Into::into).collect());
    let patch = templates::Patch {
        name: patch.name,
        title: patch.title,
        description: patch.description,
        priority: patch.priority,
        labels: patch.labels,
        references,
        options: patch.options,
    };
    Ok(Json(templates::update(&app, id, patch, actor(&headers)).await?.into()))
}

/// Deletes a template. Tasks that were made of it stay as they are.
#[utoipa::path(delete, path = "/api/templates/{id}", tag = "templates", operation_id = "delete_template",
    params(("id" = TemplateId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<TemplateId>,
) -> Result<StatusCode, Problem> {
    templates::remove(&app, id, actor(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}
