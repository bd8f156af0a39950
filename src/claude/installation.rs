//! stub
use std::path::{Path, PathBuf};
/// s
#[derive(Clone, Debug)]
pub struct Installed {
    /// s
    pub path: PathBuf,
    /// s
    pub version: String,
}
/// s
pub async fn find(_: &Path, _: &str) -> Result<Installed, std::io::Error> {
    Err(std::io::ErrorKind::NotFound.into())
}
