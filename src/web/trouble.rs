//! Problems as pages: whoever follows a link to something that is gone reads why, and where to go on.

use askama::Template;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::assets;
use crate::api::problem::Problem;

/// The longest problem. Bytes.
const LONGEST: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "trouble.html")]
struct Page {
    assets: &'static str,
    problem: Problem,
}

/// Answers with a page where a browser has asked for one and there is a problem.
pub async fn as_page(request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|a| a.to_str().ok());
    let wants_page = accepts.is_some_and(|accepted| accepted.contains("text/html"));
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !wants_page || kind.is_none_or(|kind| kind != "application/problem+json") {
        return response;
    }
    let status = response.status();
    let read = to_bytes(response.into_body(), LONGEST).await.ok();
    let problem = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let problem = problem.unwrap_or_else(|| Problem::new(status, "what happened cannot be told"));
    match super::html(Page { assets: &assets::BASE, problem }) {
        Ok(page) => (status, page).into_response(),
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, problem).into_response(),
    }
}
