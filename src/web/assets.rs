//! The pages' scripts, styles and icons: in the binary, under a path that changes with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::api::problem::Problem;
use crate::domain::hex::hex;

#[derive(rust_embed::Embed)]
#[folder = "assets/"]
struct Assets;

/// Where the assets are. A digest of all of them is in the path, so that a browser may keep each for
/// ever, and modules can name one another by relative paths.
pub static BASE: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for name in Assets::iter() {
        digest.update(name.as_bytes());
        if let Some(file) = Assets::get(&name) {
            digest.update(file.metadata.sha256_hash());
        }
    }
    format!("/assets/{}", hex(&digest.finalize()[..8]))
});

/// Serves one. A page that was loaded from an older Chorus gets the present file, not to be kept.
pub async fn serve(Path((version, file)): Path<(String, String)>) -> Response {
    let Some(asset) = Assets::get(&file) else {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such asset").into_response();
    };
    let kind = match file.rsplit_once('.').map(|(_, e)| e) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    // In a debug build the files are read from the disk, where they change.
    let fresh = cfg!(debug_assertions) || BASE.rsplit('/').next() != Some(&version);
    let keep = if fresh { "no-cache" } else { "public, max-age=31536000, immutable" };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, keep),
    ];
    (headers, asset.data.into_owned()).into_response()
}
