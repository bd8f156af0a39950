//! `/api/documents`.

mod types;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

pub(super) use self::types::InProject;
use self::types::{Changed, Discover, Filter, Jump, Range};
pub use self::types::{
    DocumentDetail, DocumentPatch, DocumentWrite, EditorView, Line, LinesView, OutlineView,
};
use super::caller::actor;
use super::list::{self, Paging};
use super::problem::{Body, Path, Problem, Query};
use crate::domain::document::{Document, Lines, line_count};
use crate::domain::ids::DocumentId;
use crate::domain::outline::{self, Heading};
use crate::services::documents::files::Content;
use crate::services::documents::{self, Written, editor};
use crate::services::{App, error::Error};
use crate::store;

/// The largest body that brings a document. Bytes: escaped, a text may be six times as long.
pub const BODY_LIMIT: usize = 13 * 1024 * 1024;

/// Finds the document that a path of the API leads to: an id, or a document's own path (its slashes
/// written as `%2F`) in a project.
pub(super) async fn named(app: &App, name: &str, project: Option<&str>) -> Result<Document, Error> {
    if let (Ok(id), None) = (name.parse::<DocumentId>(), project) {
        return documents::get(app, id).await;
    }
    let project = documents::project(app, project).await?;
    documents::find(app, project.id, name).await
}

async fn text(app: &App, name: &str, project: &InProject) -> Result<(Document, Content), Error> {
    let document = named(app, name, project.project.as_deref()).await?;
    let content = documents::content(app, &document).await?;
    Ok((document, content))
}

/// Parses an outline where it holds up nobody.
async fn heads(content: &str) -> Result<Vec<Heading>, Problem> {
    let content = content.to_owned();
    let parsed = tokio::task::spawn_blocking(move || outline::outline(&content)).await;
    parsed.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))
}

async fn detail(document: Document, content: Content) -> Result<DocumentDetail, Problem> {
    Ok(DocumentDetail {
        outline: heads(&content.text).await?,
        line_count: line_count(&content.text),
        etag: content.etag,
        content: content.text,
        document,
    })
}

fn tagged(detail: DocumentDetail) -> Response {
    let etag = format!("\"{}\"", detail.etag);
    ([(header::ETAG, etag)], Json(detail)).into_response()
}

/// Lists documents: the pinned ones first, then by path. With `discover=true` the file system is looked
/// at before.
#[utoipa::path(get, path = "/api/documents", tag = "documents", operation_id = "list_documents",
    params(Filter, Discover, Paging),
    responses((status = 200, body = [Document]), (status = 404, description = "No such project", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(filter): Query<Filter>,
    Query(discover): Query<Discover>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let project = match filter.project.as_deref() {
        Some(name) => Some(documents::project(&app, Some(name)).await?.id),
        None => None,
    };
    if discover.discover {
        documents::discover(&app, project).await?;
    }
    let filter = store::documents::Filter {
        project,
        category: filter.category,
        q: filter.q.filter(|q| !q.is_empty()),
        missing: filter.missing,
    };
    let page = documents::list(&app, &filter, cursor.as_ref(), limit).await?;
    Ok(list::answer(&uri, page, |d| d))
}

/// Shows a document with what it says, and its headings. The `ETag` is for writing it.
#[utoipa::path(get, path = "/api/documents/{id}", tag = "documents", operation_id = "get_document",
    params(("id" = String, Path, description = "Its id, or its path with `%2F` for slashes"), InProject),
    responses((status = 200, body = DocumentDetail), (status = 404, body = Problem),
        (status = 409, description = "It is missing, larger than 2 MiB, or not UTF-8", body = Problem),
        (status = 422, description = "A path that is none of a document's", body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(project): Query<InProject>,
) -> Result<Response, Problem> {
    let (document, content) = text(&app, &name, &project).await?;
    Ok(tagged(detail(document, content).await?))
}

/// Shows some lines of a document: all, unless told.
#[utoipa::path(get, path = "/api/documents/{id}/lines", tag = "documents", operation_id = "get_document_lines",
    params(("id" = String, Path), InProject, Range),
    responses((status = 200, body = LinesView), (status = 404, body = Problem),
        (status = 409, description = "It is missing, larger than 2 MiB, or not UTF-8", body = Problem),
        (status = 422, description = "Lines that it does not have", body = Problem)))]
pub async fn lines(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(project): Query<InProject>,
    Query(range): Query<Range>,
) -> Result<Json<LinesView>, Problem> {
    let (document, content) = text(&app, &name, &project).await?;
    let count = line_count(&content.text);
    let start = range.start.unwrap_or(1);
    let end = range.end.unwrap_or(count).min(count);
    if count == 0 && range.start.is_none() && range.end.is_none() {
        return Ok(Json(LinesView { path: document.path, start: 1, end: 0, lines: Vec::new() }));
    }
    if start > count {
        return Err(Problem::field("start", format!("{} has {count} lines", document.path)));
    }
    let lines = Lines::new(start, end);
    let lines = lines.ok_or_else(|| Problem::field("start", "expected 1 to `end`"))?;
    Ok(Json(LinesView::of(document.path, lines, &content.text)))
}

/// Shows the section that a heading begins: to the next heading of its level or a higher one.
#[utoipa::path(get, path = "/api/documents/{id}/section/{header_line}", tag = "documents", operation_id = "get_document_section",
    params(("id" = String, Path), ("header_line" = u32, Path, description = "The line that the heading begins on"), InProject),
    responses((status = 200, body = LinesView), (status = 404, body = Problem),
        (status = 409, description = "It is missing, larger than 2 MiB, or not UTF-8", body = Problem),
        (status = 422, description = "No heading begins on that line", body = Problem)))]
pub async fn section(
    State(app): State<Arc<App>>,
    Path((name, line)): Path<(String, u32)>,
    Query(project): Query<InProject>,
) -> Result<Json<LinesView>, Problem> {
    let (document, content) = text(&app, &name, &project).await?;
    let heads = heads(&content.text).await?;
    let lines = outline::section(&heads, line, line_count(&content.text)).ok_or_else(|| {
        let why = format!(
            "no heading of {} begins on line {line}; its outline has those that do",
            document.path
        );
        Problem::field("header_line", why)
    })?;
    Ok(Json(LinesView::of(document.path, lines, &content.text)))
}

/// Lists the headings of a document.
#[utoipa::path(get, path = "/api/documents/{id}/outline", tag = "documents", operation_id = "get_document_outline",
    params(("id" = String, Path), InProject),
    responses((status = 200, body = OutlineView), (status = 404, body = Problem),
        (status = 409, description = "It is missing, larger than 2 MiB, or not UTF-8", body = Problem),
        (status = 422, description = "A path that is none of a document's", body = Problem)))]
pub async fn outline(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(project): Query<InProject>,
) -> Result<Json<OutlineView>, Problem> {
    let (document, content) = text(&app, &name, &project).await?;
    let outline = heads(&content.text).await?;
    let line_count = line_count(&content.text);
    Ok(Json(OutlineView { path: document.path, outline, line_count }))
}

/// Writes a document, if it still says what the `ETag` was told of (`If-Match`, or `etag` in the body).
///
/// The file is replaced as a whole, with its mode kept. If somebody else has written meanwhile, nothing is
/// changed, and the problem's `document` is what it says now.
#[utoipa::path(put, path = "/api/documents/{id}", tag = "documents", operation_id = "write_document",
    params(("id" = String, Path), InProject,
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was read; `*` for whatever is there")),
    request_body = DocumentWrite,
    responses((status = 200, body = DocumentDetail), (status = 404, body = Problem),
        (status = 409, description = "It was changed since it was read, or cannot be written", body = Changed),
        (status = 422, description = "An unusable field, or no `ETag`", body = Problem)))]
pub async fn write(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(project): Query<InProject>,
    Body(new): Body<DocumentWrite>,
) -> Result<Response, Problem> {
    let etag = expected(&headers, new.etag.as_deref())?;
    let document = named(&app, &name, project.project.as_deref()).await?;
    match documents::write(&app, document, new.content, &etag, actor(&headers)).await? {
        Written::Done(document, content) => Ok(tagged(detail(document, content).await?)),
        Written::Changed(document, content) => {
            let text = format!(
                "{} was changed since it was read; `document` is what it says now",
                document.path
            );
            let problem = Problem::new(StatusCode::CONFLICT, text);
            let document = detail(document, content).await?;
            let tag = format!("\"{}\"", document.etag);
            let kind = "application/problem+json".to_owned();
            let headers = [(header::CONTENT_TYPE, kind), (header::ETAG, tag)];
            Ok((StatusCode::CONFLICT, headers, Json(Changed { problem, document })).into_response())
        }
    }
}

/// The version that is to be written over: of the header (RFC 9110, 13.1.1), or of the body.
fn expected(headers: &HeaderMap, body: Option<&str>) -> Result<String, Problem> {
    let given = match headers.get(header::IF_MATCH) {
        Some(value) => Some(value.to_str().map_err(|_| Problem::field("If-Match", "not an ETag"))?),
        None => body,
    };
    let given = given.ok_or_else(|| {
        Problem::field("etag", "say what you have read: its `etag`, here or as If-Match")
    })?;
    let plain = given.trim().trim_matches('"');
    let known = |c: char| c.is_ascii_hexdigit();
    if plain != "*" && (plain.is_empty() || !plain.chars().all(known)) {
        return Err(Problem::field("etag", "not an ETag of a document: take it from reading it"));
    }
    Ok(plain.to_owned())
}

/// Pins a document, describes it, or says what it is for.
#[utoipa::path(patch, path = "/api/documents/{id}", tag = "documents", operation_id = "update_document",
    params(("id" = String, Path), InProject), request_body = DocumentPatch,
    responses((status = 200, body = Document), (status = 404, body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(project): Query<InProject>,
    Body(patch): Body<DocumentPatch>,
) -> Result<Json<Document>, Problem> {
    let document = named(&app, &name, project.project.as_deref()).await?;
    let DocumentPatch { category, description, pinned } = patch;
    let patch = store::documents::Patch { category, description, pinned };
    Ok(Json(documents::describe(&app, document.id, patch).await?))
}

/// Opens a document in the editor of the person who runs the server (`editor`, or `$EDITOR`).
///
/// An editor that needs a terminal runs in a tmux session of Chorus's; `attach` in the answer shows it.
#[utoipa::path(post, path = "/api/documents/{id}/edit", tag = "documents", operation_id = "edit_document",
    params(("id" = String, Path), InProject, Jump),
    responses((status = 200, body = EditorView), (status = 404, body = Problem),
        (status = 409, description = "The editor is not there, or the file is missing", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn edit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(project): Query<InProject>,
    Query(jump): Query<Jump>,
) -> Result<Json<EditorView>, Problem> {
    let line = jump.line.unwrap_or(1);
    if line == 0 {
        return Err(Problem::field("line", "lines are counted from 1"));
    }
    let document = named(&app, &name, project.project.as_deref()).await?;
    let opened = editor::open(&app, &document, line, actor(&headers)).await?;
    Ok(Json(EditorView::of(opened, &app.data.tmux_socket())))
}
