//! Documents: all of them as a tree, and a page for each.

mod all;
mod one;
mod piece;
mod tree;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::services::App;

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/documents", get(all::page))
        .route("/documents/find", get(all::find))
        .route("/documents/{id}", get(one::page))
}
