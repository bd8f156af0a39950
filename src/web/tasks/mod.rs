//! Tasks: all of them as a list or a board, and a page for each.

mod all;
mod moves;
mod one;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::services::App;

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/tasks", get(all::page)).route("/tasks/{id}", get(one::page))
}
