//! Where the files are that calls are about: what a path means on this machine at this moment.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::App;
use super::error::Error;
use crate::domain::ids::SessionId;
use crate::domain::rule::{self, Place, normalised};

/// Looks up where the file of a session's call is. `None` if the call is about no file.
pub async fn of(
    app: &App,
    session: SessionId,
    tool: &str,
    input: &serde_json::Value,
) -> Result<Option<Place>, Error> {
    let Some(path) = rule::file(tool, input).map(str::to_owned) else { return Ok(None) };
    let around = app
        .engine
        .read(move |live| {
            let session = live.session(session)?;
            let project = live.project(session.project_id)?;
            Some((project.root.clone(), session.workspace_path.clone()))
        })
        .await?;
    let Some((root, workspace)) = around else { return Ok(None) };
    // A path may lead into a file system that answers slowly.
    Ok(tokio::task::spawn_blocking(move || look_up(root, &workspace, &path)).await.ok())
}

/// Looks up a path as a session in `workspace` means it.
pub fn look_up(root: String, workspace: &str, path: &str) -> Place {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{workspace}/{path}") };
    let given = normalised(&whole);
    let real = real(Path::new(&given)).filter(|real| means_the_same(Path::new(&whole), real));
    let real = real.and_then(|real| real.to_str().map(str::to_owned));
    Place { root, given, real }
}

/// The path with all symbolic links followed, as far as it exists. `None` if it leads through a link
/// that leads nowhere yet: whoever writes there makes the link's target.
fn real(path: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match ancestor.canonicalize() {
            Ok(mut found) => {
                found.extend(missing.iter().rev());
                return Some(found);
            }
            Err(_) if fs::symlink_metadata(ancestor).is_ok() => return None,
            Err(_) => missing.push(ancestor.file_name()?.to_owned()),
        }
    }
    None
}

/// `link/..` is another folder to the kernel than to the text: where they differ, nobody knows which
/// one a program means.
fn means_the_same(whole: &Path, real: &Path) -> bool {
    if !whole.components().any(|part| part == Component::ParentDir) {
        return true;
    }
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else { return false };
    match parent.canonicalize() {
        Ok(parent) => self::real(&parent.join(name)).is_some_and(|kernels| kernels == real),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::look_up;

    #[test]
    fn links_are_followed_and_what_cannot_be_known_is_not_guessed() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("its path");
        let at = |name: &str| root.join(name).to_string_lossy().into_owned();
        for name in ["src/deep", "outside/sub"] {
            fs::create_dir_all(root.join(name)).expect("a folder");
        }
        symlink(root.join("outside/sub"), root.join("src/link")).expect("a link");
        symlink(root.join("outside/none"), root.join("src/dangling")).expect("a link");
        let place = |path: &str| look_up(at(""), &at("src"), path);

        let plain = place("deep/new/file.rs");
        assert_eq!(plain.given, at("src/deep/new/file.rs"));
        assert_eq!(plain.real, Some(at("src/deep/new/file.rs")));
        let linked = place("link/file.rs");
        assert_eq!(
            (linked.given, linked.real),
            (at("src/link/file.rs"), Some(at("outside/sub/file.rs")))
        );
        assert_eq!(place("dangling").real, None);
        assert_eq!(place("dangling/x").real, None);
        // To the text this is `src/file.rs`, to the kernel `outside/file.rs`.
        let back = place("link/../file.rs");
        assert_eq!((back.given, back.real), (at("src/file.rs"), None));
        let harmless = place("deep/../../src/./file.rs");
        assert_eq!((harmless.given, harmless.real), (at("src/file.rs"), Some(at("src/file.rs"))));
    }
}
