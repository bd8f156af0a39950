//! The REST API: thin handlers around the use cases. Statuses and HTTP are here and nowhere else.

mod activity;
pub mod audit;
pub mod auth;
mod doc;
pub mod documents;
pub mod events;
pub mod git;
pub mod hooks;
pub mod list;
pub mod notices;
pub mod operations;
pub mod permissions;
pub mod problem;
pub mod projects;
pub mod references;
pub mod retention;
pub mod rules;
pub mod sessions;
mod settings;
pub mod summary;
pub mod tasks;
pub mod telemetry;
pub mod templates;
pub mod terminal;
pub mod trace;
pub mod usage;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::services::App;
use problem::Problem;

/// The largest request body, hooks apart. Bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// The largest hook payload: Claude Code sends tool results whole. Bytes.
pub const HOOK_LIMIT: usize = 32 * 1024 * 1024;
/// A body that is too large is read to its end up to this size. Bytes.
const THROWN_AWAY: usize = 256 * 1024 * 1024;
/// And for this long.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(OpenApi)]
#[openapi(info(
    title = "Chorus",
    description = "The control plane for many Claude Code sessions. Errors are RFC 9457 problems. \
        Lists are bare arrays; a `Link: <…>; rel=\"next\"` header leads to the next page. Times \
        are RFC 3339 in UTC. A session in a path is its id, its name or its tmux session's name.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Doc;

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Doc::openapi())
        // For people and their programs.
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::get, projects::update, projects::delete))
        .routes(routes!(sessions::list, sessions::create))
        .routes(routes!(sessions::get, sessions::update, sessions::life::delete))
        .routes(routes!(sessions::import::list, sessions::import::import))
        .routes(routes!(sessions::send))
        .routes(routes!(sessions::respond))
        .routes(routes!(sessions::life::interrupt))
        .routes(routes!(sessions::life::pause))
        .routes(routes!(sessions::life::resume))
        .routes(routes!(sessions::life::restart))
        .routes(routes!(sessions::life::fork))
        .routes(routes!(sessions::life::adopt))
        .routes(routes!(sessions::conversations))
        .routes(routes!(sessions::attach))
        .routes(routes!(sessions::output))
        .routes(routes!(terminal::terminal))
        .routes(routes!(sessions::messages, sessions::add_message))
        .routes(routes!(sessions::logs))
        .routes(routes!(sessions::log_output))
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::get, tasks::update, tasks::patch, tasks::delete))
        .routes(routes!(tasks::order))
        .routes(routes!(tasks::assign))
        .routes(routes!(tasks::start))
        .routes(routes!(tasks::restart_claude))
        .routes(routes!(tasks::send))
        .routes(routes!(tasks::respond))
        .routes(routes!(tasks::complete))
        .routes(routes!(tasks::fail))
        .routes(routes!(tasks::retry))
        .routes(routes!(tasks::prompt))
        .routes(routes!(tasks::references))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(templates::get, templates::update, templates::delete))
        .routes(routes!(permissions::list))
        .routes(routes!(permissions::get))
        .routes(routes!(permissions::respond))
        .routes(routes!(permissions::respond_to_many))
        .routes(routes!(rules::list, rules::create))
        .routes(routes!(rules::get, rules::update, rules::delete))
        .routes(routes!(rules::preview))
        .routes(routes!(rules::proposals))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(retention::prune))
        .routes(routes!(usage::report))
        .routes(routes!(activity::get))
        .routes(routes!(events::stream))
        .routes(routes!(summary::get))
        .routes(routes!(settings::list))
        .routes(routes!(settings::doctor))
        .routes(routes!(
            settings::user_hooks,
            settings::install_user_hooks,
            settings::uninstall_user_hooks
        ))
        .routes(routes!(notices::test))
        .routes(routes!(git::status))
        .routes(routes!(git::setup))
        .routes(routes!(git::project_unattributed))
        .routes(routes!(git::task_unattributed))
        .routes(routes!(git::commits))
        .routes(routes!(git::task_diff))
        .routes(routes!(git::session_diff))
        .routes(routes!(git::list))
        .routes(routes!(git::prune))
        .routes(routes!(git::remove))
        .routes(routes!(documents::list))
        .routes(routes!(documents::lines))
        .routes(routes!(documents::section))
        .routes(routes!(documents::outline))
        .routes(routes!(documents::edit))
        .routes(routes!(references::list, references::create))
        .routes(routes!(references::get, references::update, references::delete))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(|request, next| refuse_large(BODY_LIMIT, request, next)))
        // Documents are brought whole.
        .merge(
            OpenApiRouter::new()
                .routes(routes!(documents::get, documents::write, documents::update))
                .layer(DefaultBodyLimit::max(documents::BODY_LIMIT))
                .layer(from_fn(|request, next| refuse_large(documents::BODY_LIMIT, request, next))),
        )
        // For Claude Code.
        .merge(
            OpenApiRouter::new()
                .routes(routes!(hooks::receive))
                .layer(DefaultBodyLimit::max(HOOK_LIMIT))
                .layer(from_fn(|request, next| refuse_large(HOOK_LIMIT, request, next))),
        )
}

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(value.strip_prefix("Bearer ")?.trim().to_owned())
}

/// Refuses a body that says it is too large. It is read and thrown away first: a client that is
/// still writing when the connection is closed does not hear the answer.
async fn refuse_large(limit: usize, request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok());
    let length: usize = length.and_then(|l| l.parse().ok()).unwrap_or(0);
    if length <= limit {
        return next.run(request).await;
    }
    if length <= THROWN_AWAY {
        let mut body = request.into_body().into_data_stream();
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        // Who is slower than that is not waited for.
        let _ = timeout(PATIENCE, rest).await;
    }
    let detail = format!("the body is larger than the {limit} bytes that are taken");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
}

/// The API's routes.
pub fn router() -> Router<Arc<App>> {
    let (router, mut doc) = routes().split_for_parts();
    doc::describe_problems(&mut doc);
    let doc = bytes::Bytes::from(doc.to_json().unwrap_or_default());
    let json = [(header::CONTENT_TYPE, "application/json")];
    router.route("/api/openapi.json", get(move || async move { (json, doc) }))
}

/// What is answered where there is nothing.
pub async fn nothing_here() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is nothing here; /api/openapi.json lists what there is",
    )
}

/// What is answered where there is something, but not for this method.
pub async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this method does not go with this path; see /api/openapi.json",
    )
}

/// The OpenAPI description, as served at `/api/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut doc) = routes().split_for_parts();
    doc::describe_problems(&mut doc);
    doc
}
