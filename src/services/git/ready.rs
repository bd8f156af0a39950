//! Making a new worktree ready to run: the untracked files that it needs, and a command.

use std::fs;
use std::path::{Component, Path};
use std::time::Duration;

use super::super::App;
use super::super::error::Error;
use super::backend;
use crate::domain::ids::TaskId;
use crate::domain::project::Project;
use crate::git::{Branch, Call, GitError, Repository};

/// How long the command may take.
const SETUP: Duration = Duration::from_secs(600);
/// Files that are copied at most, and how large each may be. Bytes.
const FILES: usize = 1_000;
const SIZE: u64 = 16 << 20;

/// Copies what is wanted, and runs the command.
pub async fn make(
    app: &App,
    project: &Project,
    repository: &Repository,
    branch: &Branch,
    task: TaskId,
) -> Result<(), Error> {
    copy(repository, &project.git.copy, branch).await?;
    let Some((program, args)) = project.git.setup.split_first() else { return Ok(()) };
    let ports = project.git.ports;
    let mut call = Call::new(program, &branch.dir, args);
    call.limit = SETUP;
    call.env = vec![
        ("CHORUS_PORT_BASE".into(), ports.of(task.0).to_string()),
        ("CHORUS_PORT_COUNT".into(), ports.count.to_string()),
        ("CHORUS_PROJECT_ROOT".into(), project.root.clone()),
    ];
    match backend::runner(app).await.done(call).await {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            tracing::info!(%task, output = %said.trim(), notes = %output.stderr, "a worktree is ready");
            Ok(())
        }
        Err(e) => {
            tracing::warn!(%task, error = %e, "a worktree could not be made ready");
            Err(Error::conflict(format!(
                "the new worktree could not be made ready, so it was removed: {e}; see git.setup of the project"
            )))
        }
    }
}

/// Copies untracked files of the project into a worktree.
async fn copy(repository: &Repository, patterns: &[String], to: &Branch) -> Result<(), GitError> {
    if patterns.is_empty() {
        return Ok(());
    }
    let paths = repository.untracked(patterns).await?;
    let (from, to) = (repository.root.clone(), to.dir.clone());
    let copied = tokio::task::spawn_blocking(move || {
        for path in paths.iter().take(FILES) {
            let plain = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
            let (source, target) = (from.join(path), to.join(path));
            // Neither links nor what is there already: a worktree has what is tracked.
            let fine = fs::symlink_metadata(&source).is_ok_and(|m| m.is_file() && m.len() <= SIZE);
            if !plain || !fine || fs::symlink_metadata(&target).is_ok() {
                continue;
            }
            if let Some(folder) = target.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::copy(&source, &target)?;
        }
        std::io::Result::Ok(())
    });
    let failed = |problem: String| GitError::Failed {
        command: "copying untracked files".into(),
        code: None,
        complaint: problem,
    };
    copied.await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))
}
