//! What was edited: commits, differences, and what nobody knows the author of.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Error, Thing};
use super::super::live::Known;
use super::super::{App, projects};
use super::backend;
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::session::Session;
use crate::domain::task::GitBackend;
use crate::git::{Change, ChangeKind, Commit, Diff, Repository};

/// What a task, or a session, has changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// What keeps its edits apart.
    pub backend: GitBackend,
    /// The branch.
    pub branch: Option<String>,
    /// The commit that it began at.
    pub base: Option<String>,
    /// Its last commit.
    pub head: Option<String>,
    /// The directory of its own.
    pub worktree: Option<String>,
    /// What keeps edits from being committed.
    pub problem: Option<String>,
    /// What is on the branch.
    pub committed: Diff,
    /// The files that have changed since.
    pub uncommitted: Vec<Change>,
    /// How; of those that are new to git, the first so many.
    pub uncommitted_diff: Diff,
}

async fn known(app: &App, task: TaskId) -> Result<Known, Error> {
    let there = app.engine.read(move |live| live.tasks.get(task).cloned()).await?;
    let known = match there {
        Some(known) => Some(known),
        None => Known::read(&app.db, task).await?,
    };
    known.ok_or_else(|| Error::NotFound { what: Thing::Task, name: task.to_string() })
}

/// The commits of a task's last attempt, the newest first.
pub async fn commits(app: &App, task: TaskId) -> Result<Vec<Commit>, Error> {
    let known = known(app, task).await?;
    let project = projects::get(app, known.task.project_id).await?;
    let Some(attempt) = &known.attempt else { return Ok(Vec::new()) };
    let Some((backend, branch)) = backend::of(app, &project, attempt).await? else {
        return Ok(Vec::new());
    };
    let repository = backend.repository();
    // A branch that was discarded is told of as long as its commit is kept.
    let head = repository.tip(&branch.name).await?.or_else(|| attempt.head_commit.clone());
    match head {
        Some(head) => Ok(repository.commits(&branch.base, &head).await?),
        None => Ok(Vec::new()),
    }
}

/// What a task's last attempt has changed.
pub async fn diff(app: &App, task: TaskId) -> Result<Changes, Error> {
    let known = known(app, task).await?;
    let project = projects::get(app, known.task.project_id).await?;
    let Some(attempt) = &known.attempt else { return Ok(Changes::default()) };
    let mut changes = Changes {
        backend: attempt.git_backend,
        branch: attempt.branch.clone(),
        base: attempt.base_commit.clone(),
        head: attempt.head_commit.clone(),
        worktree: attempt.worktree.clone(),
        problem: attempt.git_problem.clone(),
        ..Changes::default()
    };
    let Some((backend, branch)) = backend::of(app, &project, attempt).await? else {
        let Ok(repository) = backend::repository(app, Path::new(&project.root)).await else {
            return Ok(changes);
        };
        claimed(app, &mut changes, &repository, task).await?;
        return Ok(changes);
    };
    let repository = backend.repository();
    if let Some(head) = repository.tip(&branch.name).await?.or_else(|| changes.head.take()) {
        changes.committed = repository.diff(&branch.base, Some(&head), None).await?;
        changes.head = Some(head);
    }
    if backend.is_shared() {
        claimed(app, &mut changes, repository, task).await?;
    } else if branch.dir.is_dir() {
        let tree = backend::repository(app, &branch.dir).await?;
        uncommitted(&mut changes, &tree, None).await?;
    }
    Ok(changes)
}

/// The uncommitted changes of a task in a shared directory.
async fn claimed(
    app: &App,
    changes: &mut Changes,
    repository: &Repository,
    task: TaskId,
) -> Result<(), Error> {
    let paths = app.engine.read(move |live| live.claims.paths_of(task)).await?;
    uncommitted(changes, repository, Some(&paths)).await
}

async fn uncommitted(
    changes: &mut Changes,
    tree: &Repository,
    paths: Option<&[String]>,
) -> Result<(), Error> {
    let changed = tree.status().await?.changes.into_iter();
    let wanted = |c: &Change| paths.is_none_or(|paths| paths.binary_search(&c.path).is_ok());
    changes.uncommitted = changed.filter(wanted).collect();
    if !changes.uncommitted.is_empty() && tree.commit_of("HEAD").await?.is_some() {
        let paths: Vec<String> = changes.uncommitted.iter().map(|c| c.path.clone()).collect();
        let paths = (paths.len() <= MANY).then_some(paths);
        changes.uncommitted_diff = tree.diff("HEAD", None, paths.as_deref()).await?;
    }
    let diff = &mut changes.uncommitted_diff;
    let known: HashSet<String> = diff.files.iter().map(|file| file.path.clone()).collect();
    let is_new = |c: &&Change| c.kind == ChangeKind::Added && !known.contains(&c.path);
    let new = changes.uncommitted.iter().filter(is_new).take(NEW).map(|c| c.path.clone());
    tree.add_new(diff, &new.collect::<Vec<_>>()).await?;
    Ok(())
}

/// Files that are new to git and shown with their content.
const NEW: usize = 50;
/// Files that are named to git one by one; of more the whole directory is shown.
const MANY: usize = 2_000;

/// What has changed in a session's directory: on its task's branch, or since the last commit there.
pub async fn session_diff(app: &App, session: &Session) -> Result<Changes, Error> {
    if let Some(task) = session.task_id {
        let known = known(app, task).await?;
        if known.attempt.is_some_and(|a| a.session_id == session.id) {
            return diff(app, task).await;
        }
    }
    let mut changes = Changes::default();
    let tree = backend::repository(app, Path::new(&session.workspace_path)).await?;
    changes.branch = tree.head().await?;
    changes.head = tree.commit_of("HEAD").await?;
    uncommitted(&mut changes, &tree, None).await?;
    Ok(changes)
}

/// What has changed in a project's own folder and is no task's: nothing commits it.
pub async fn unattributed(app: &App, project: ProjectId) -> Result<Vec<Change>, Error> {
    let root = projects::get(app, project).await?.root;
    let Ok(repository) = backend::repository(app, Path::new(&root)).await else {
        return Ok(Vec::new());
    };
    let changes = repository.status().await?.changes;
    let free = app.engine.read(move |live| {
        let free = changes.into_iter().filter(|c| live.claims.of(project, &c.path).is_none());
        free.collect()
    });
    Ok(free.await?)
}
