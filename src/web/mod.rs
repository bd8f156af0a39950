//! The dashboard: pages that people keep open, and their live parts.
//!
//! A page is rendered on the server, whole; `assets/js/live.js` hears the event stream and fetches the parts that have
//! changed, by the page's own address with `?part=…`. All that a page changes goes through the public API. No inline
//! script, nothing from elsewhere, works offline.

mod activity;
mod address;
mod assets;
mod cards;
mod diff;
mod documents;
mod markdown;
mod now;
mod plain;
mod session;
mod settings;
mod shell;
mod tasks;
mod trouble;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::api::problem::Problem;
use crate::services::App;
use shell::Shell;

/// What every page may load and do.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// Tells a page that stays open which assets a new page would load: it may be of an older Chorus.
const ASSETS: HeaderName = HeaderName::from_static("x-chorus-assets");

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/assets/{version}/{*file}", get(assets::serve))
        .route("/parts/waiting", get(waiting))
        .merge(now::router())
        .merge(activity::router())
        .merge(settings::router())
        .merge(session::router())
        .merge(tasks::router())
        .merge(documents::router())
        .layer(from_fn(trouble::as_page))
}

/// The line on every page that says what waits for a person.
#[derive(Template)]
#[template(path = "layout.html", blocks = ["waiting"])]
struct Layout {
    shell: Shell,
}

async fn waiting(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "").await?;
    html(Layout { shell }.as_waiting())
}

/// A page, or a part of one, as an answer.
fn html(template: impl Template) -> Result<Response, Problem> {
    let text = template
        .render()
        .map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (ASSETS, assets::BASE.as_str()),
    ];
    Ok((headers, Html(text)).into_response())
}

/// Which part of a page is wanted: all of it, if none is named.
#[derive(Default, Deserialize)]
struct Part {
    part: Option<String>,
}

/// The answer to a `?part=` that a page does not have.
fn no_such_part(part: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("this page has no part {part:?}"))
}
