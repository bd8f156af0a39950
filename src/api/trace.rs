//! What every request leaves behind: an id in its answer and in the log, and its count.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::domain::ids::Stamp;
use crate::services::App;

/// The header with a request's id: the caller's if it sent one, else a new one.
const ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a caller. Bytes.
const ID_LIMIT: usize = 64;

/// Gives a request its id and counts its answer, as a layer around everything.
pub async fn trace(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = request.headers().get(ID).filter(|id| is_usable(id)).cloned();
    let id = id.or_else(|| HeaderValue::try_from(Stamp::new().to_string()).ok());
    let method = name_of(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "request",
        id = id.as_ref().and_then(|id| id.to_str().ok()).map(tracing::field::display),
        method = %method,
        path = request.uri().path(),
    );
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    app.metrics.answered(method, route, response.status().as_u16(), begun.elapsed());
    if let Some(id) = id {
        response.headers_mut().insert(ID, id);
    }
    response
}

fn is_usable(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=ID_LIMIT).contains(&bytes.len()) && bytes.iter().all(plain)
}

/// A method's name out of a closed set: HTTP lets callers invent some.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
