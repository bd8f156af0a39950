//! `/api/references`, and the references of a document.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::documents::{InProject, named};
use super::list::{self, Paging};
use super::problem::{Body, Path, Problem, Query, given};
use crate::domain::document::{Lines, Where};
use crate::domain::ids::{DocumentId, ProjectId, ReferenceId, TaskId};
use crate::domain::reference::{ReferenceState, fingerprint};
use crate::domain::time::Timestamp;
use crate::services::App;
use crate::services::references::{self, Patch, Shown};
use crate::store::{Cursor, Page};

/// A reference to make: some lines of a document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReference {
    /// The task that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The first line, counted from 1.
    pub start_line: u32,
    /// The last line, inclusive.
    pub end_line: u32,
    /// Why these lines matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What may be changed about a reference.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReferencePatch {
    /// Why its lines matter; `null` takes it away.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub note: Option<Option<String>>,
    /// Other lines, with `end_line`: what they say is its text from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_line: Option<u32>,
    /// The last of them, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// The text was changed, and that is right: what stands there now is its text from now on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accept: bool,
}

/// The document that a reference is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReferredDocument {
    /// Its id.
    pub id: DocumentId,
    /// The project.
    pub project_id: ProjectId,
    /// Its path, relative to the project's root.
    pub path: String,
    /// Its file is no longer there.
    pub missing: bool,
}

/// A text and where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredText {
    /// The first line.
    pub start_line: u32,
    /// The last line, inclusive.
    pub end_line: u32,
    /// What they said.
    pub content: String,
}

/// A reference to some lines of a document, as these are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReferenceView {
    /// Its id.
    pub id: ReferenceId,
    /// The document.
    pub document: ReferredDocument,
    /// The document's path.
    pub document_path: String,
    /// The task that it belongs to.
    pub task_id: Option<TaskId>,
    /// How it stands to what the document says now.
    pub state: ReferenceState,
    /// The first line now; where it was last, if it is missing.
    pub start_line: u32,
    /// The last line now, inclusive.
    pub end_line: u32,
    /// What these lines say now; `null` if they are missing.
    pub content: Option<String>,
    /// If it has drifted or is missing: the text that it was made for, or that was accepted last.
    pub stored: Option<StoredText>,
    /// The fingerprint of that text: SHA-256, in hexadecimal.
    pub fingerprint: String,
    /// Why its lines matter.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed or followed its text last.
    pub updated_at: Timestamp,
}

impl From<Shown> for ReferenceView {
    fn from(shown: Shown) -> Self {
        let Shown { reference: r, document, standing } = shown;
        let lost = matches!(standing.state, ReferenceState::Drifted | ReferenceState::Missing);
        Self {
            id: r.id,
            document_path: document.path.clone(),
            document: ReferredDocument {
                id: document.id,
                project_id: document.project_id,
                path: document.path,
                missing: document.missing,
            },
            task_id: r.task,
            state: standing.state,
            start_line: standing.lines.start(),
            end_line: standing.lines.end(),
            content: standing.text,
            fingerprint: fingerprint(&r.text),
            stored: lost.then_some(StoredText {
                start_line: r.lines.start(),
                end_line: r.lines.end(),
                content: r.text,
            }),
            note: r.note,
            created_at: r.created_at,
            updated_at: r.updated_at,
        }
    }
}

fn lines(start: u32, end: u32) -> Result<Lines, Problem> {
    if start == 0 {
        return Err(Problem::field("start_line", "lines are counted from 1"));
    }
    Lines::new(start, end)
        .ok_or_else(|| Problem::field("end_line", "expected `start_line` or a line after it"))
}

/// Makes a reference to some lines of a document. It follows their text when that is moved.
#[utoipa::path(post, path = "/api/documents/{id}/references", tag = "documents", operation_id = "create_reference",
    params(("id" = String, Path), InProject), request_body = NewReference,
    responses((status = 201, body = ReferenceView), (status = 404, body = Problem),
        (status = 409, description = "The document is missing, larger than 2 MiB, or not UTF-8", body = Problem),
        (status = 422, description = "Lines that it does not have, or no such task", body = Problem)))]
pub async fn create(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(place): Query<InProject>,
    Body(new): Body<NewReference>,
) -> Result<Response, Problem> {
    let wanted = Where::Range(lines(new.start_line, new.end_line)?);
    let document = named(&app, &name, place.project.as_deref()).await?;
    let new = references::prepare(&app, &document, &wanted, new.task_id, new.note).await?;
    let made = ReferenceView::from(references::create(&app, new).await?);
    let location = format!("/api/references/{}", made.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)).into_response())
}

/// Lists the references to a document, in the order they were made.
#[utoipa::path(get, path = "/api/documents/{id}/references", tag = "documents", operation_id = "list_references",
    params(("id" = String, Path), InProject, Paging),
    responses((status = 200, body = [ReferenceView]), (status = 404, body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Path(name): Path<String>,
    Query(place): Query<InProject>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let document = named(&app, &name, place.project.as_deref()).await?;
    let after = cursor.map_or(0, |c| c.at);
    let mut items = references::of_document(&app, document.id, after, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more).map(|s| s.reference.id.0);
    let next = last.map(|at| Cursor { at, id: at.to_string() });
    Ok(list::answer(&uri, Page { items, next }, ReferenceView::from))
}

/// Shows a reference: where its text is now, and, if that was changed, what it was.
#[utoipa::path(get, path = "/api/references/{id}", tag = "documents", operation_id = "get_reference",
    params(("id" = ReferenceId, Path)),
    responses((status = 200, body = ReferenceView), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<ReferenceId>,
) -> Result<Json<ReferenceView>, Problem> {
    Ok(Json(references::get(&app, id).await?.into()))
}

/// Changes a reference's note or lines, or accepts its text as it is now.
#[utoipa::path(patch, path = "/api/references/{id}", tag = "documents", operation_id = "update_reference",
    params(("id" = ReferenceId, Path)), request_body = ReferencePatch,
    responses((status = 200, body = ReferenceView), (status = 404, body = Problem),
        (status = 409, description = "Nothing is left that could be accepted", body = Problem),
        (status = 422, description = "Lines that the document does not have", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<ReferenceId>,
    Body(patch): Body<ReferencePatch>,
) -> Result<Json<ReferenceView>, Problem> {
    let lines = match (patch.start_line, patch.end_line) {
        (Some(start), Some(end)) => Some(lines(start, end)?),
        (None, None) => None,
        (Some(_), None) => return Err(Problem::field("end_line", "goes with `start_line`")),
        (None, Some(_)) => return Err(Problem::field("start_line", "goes with `end_line`")),
    };
    let patch = Patch { note: patch.note, lines, accept: patch.accept };
    Ok(Json(references::update(&app, id, patch).await?.into()))
}

/// Removes a reference. The document is not touched.
#[utoipa::path(delete, path = "/api/references/{id}", tag = "documents", operation_id = "delete_reference",
    params(("id" = ReferenceId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<ReferenceId>,
) -> Result<StatusCode, Problem> {
    references::remove(&app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
