//! The worktrees of tasks: which there are, and which are no longer needed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Error, Thing};
use super::super::{App, projects};
use super::backend;
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::project::Project;
use crate::git::{Backend, Branch, Listed, Worktrees};
use crate::store::claims;

/// Files that are counted of one; a larger one is told as at least so large.
const COUNTED: usize = 500_000;

/// A worktree of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Worktree {
    /// Its name, by which it is removed: its folder's.
    pub name: String,
    /// Its folder.
    pub path: String,
    /// The project.
    pub project_id: ProjectId,
    /// Its branch.
    pub branch: Option<String>,
    /// The commit that is checked out.
    pub head: String,
    /// The task that it was made for.
    pub task_id: Option<TaskId>,
    /// The session that lives in it.
    pub session: Option<String>,
    /// What its files take. Bytes.
    pub size: u64,
    /// There is nothing in it that is not committed.
    pub clean: bool,
    /// It has commits that are on no remote and not on the branch that it began at.
    pub unpushed: bool,
    /// Why it is kept; nothing, if it may go.
    pub kept: Option<String>,
}

/// What pruning came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PrunedWorktrees {
    /// Those that were removed, or would be.
    pub removed: Vec<Worktree>,
    /// Those that were not, and why.
    pub kept: Vec<Worktree>,
    /// Nothing was done.
    pub dry_run: bool,
}

/// Lists the worktrees of one project, or of all.
pub async fn list(app: &App, project: Option<ProjectId>) -> Result<Vec<Worktree>, Error> {
    let mut all = Vec::new();
    for project in projects(app, project).await? {
        let Ok(worktrees) = backend::worktrees(app, &project).await else { continue };
        for listed in worktrees.list().await? {
            all.push(look(app, &project, &worktrees, &listed).await?);
        }
    }
    Ok(all)
}

async fn projects(app: &App, id: Option<ProjectId>) -> Result<Vec<Project>, Error> {
    match id {
        Some(id) => Ok(vec![projects::get(app, id).await?]),
        None => projects::list(app).await,
    }
}

async fn look(
    app: &App,
    project: &Project,
    worktrees: &Worktrees,
    listed: &Listed,
) -> Result<Worktree, Error> {
    let dir = listed.dir.to_string_lossy().into_owned();
    let made_for = claims::of_worktree(&app.db, &dir).await?;
    let here = listed.dir.clone();
    let session = app
        .engine
        .read(move |live| {
            let lives = live
                .sessions()
                .find(|s| s.is_live() && Path::new(&s.workspace_path).starts_with(&here));
            lives.map(|s| s.name.to_string())
        })
        .await?;
    let at_work = match &made_for {
        Some((task, ..)) => {
            let task = *task;
            let open = app.engine.read(move |live| live.tasks.at_work().any(|k| k.task.id == task));
            open.await?
        }
        None => false,
    };
    let clean = if listed.gone {
        true
    } else {
        backend::repository(app, &listed.dir).await?.status().await?.is_clean()
    };
    let base = backend::base(project, &worktrees.repository).await?;
    let base = base.as_deref().unwrap_or("HEAD");
    let unpushed = !worktrees.repository.is_kept_elsewhere(&listed.head, base).await?;
    let kept = if let Some(session) = &session {
        Some(format!("session {session} lives in it"))
    } else if at_work {
        Some("its task is not over".to_owned())
    } else if !clean {
        Some("it has changes that are not committed".to_owned())
    } else if unpushed {
        Some("it has commits that are neither pushed nor merged".to_owned())
    } else {
        None
    };
    let measured = listed.dir.clone();
    let size = tokio::task::spawn_blocking(move || size(measured)).await.unwrap_or_default();
    Ok(Worktree {
        name: listed.dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: dir,
        project_id: project.id,
        branch: listed.branch.clone(),
        head: listed.head.clone(),
        task_id: made_for.map(|(task, ..)| task),
        session,
        size,
        clean,
        unpushed,
        kept,
    })
}

/// What the files of a folder take. Links are not followed.
fn size(dir: PathBuf) -> u64 {
    let (mut folders, mut bytes, mut counted) = (vec![dir], 0, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            counted += 1;
            if counted > COUNTED {
                return bytes;
            }
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Removes the worktrees in which nothing is left to lose. Their branches stay.
pub async fn prune(
    app: &App,
    project: Option<ProjectId>,
    dry_run: bool,
) -> Result<PrunedWorktrees, Error> {
    let (removable, kept): (Vec<_>, Vec<_>) =
        list(app, project).await?.into_iter().partition(|w| w.kept.is_none());
    let mut pruned = PrunedWorktrees { kept, dry_run, ..PrunedWorktrees::default() };
    for worktree in removable {
        if !dry_run && let Err(e) = remove(app, &worktree, false).await {
            pruned.kept.push(Worktree { kept: Some(e.to_string()), ..worktree });
            continue;
        }
        pruned.removed.push(worktree);
    }
    Ok(pruned)
}

/// Removes one by its name. One in which something could be lost only by `force`: its branch goes with it,
/// and the commit is told from which both can be had back.
pub async fn remove_by_name(
    app: &App,
    name: &str,
    force: bool,
) -> Result<(Worktree, Option<String>), Error> {
    let all = list(app, None).await?;
    let found = all.into_iter().find(|w| w.name == name);
    let worktree =
        found.ok_or_else(|| Error::NotFound { what: Thing::Worktree, name: name.to_owned() })?;
    let commit = remove(app, &worktree, force).await?;
    Ok((worktree, commit))
}

async fn remove(app: &App, w: &Worktree, force: bool) -> Result<Option<String>, Error> {
    if let Some(session) = &w.session {
        return Err(Error::conflict(format!("session {session} lives in it; end that first")));
    }
    let project = projects::get(app, w.project_id).await?;
    let worktrees = backend::worktrees(app, &project).await?;
    let _turn = app.git.turns.take(&worktrees.repository.common).await;
    match (&w.kept, force) {
        (Some(why), false) => Err(Error::conflict(format!(
            "{}: {why}; with `force` it is removed all the same, and the commit is told that has all of it",
            w.name
        ))),
        (None, _) => {
            worktrees.remove(Path::new(&w.path), false).await?;
            Ok(None)
        }
        (Some(_), true) => {
            let name = w.branch.clone().ok_or_else(|| {
                Error::conflict("it is on no branch; `git worktree remove` removes it")
            })?;
            let branch = Branch { name, base: w.head.clone(), dir: PathBuf::from(&w.path) };
            Ok(Backend::Worktree(worktrees).discard(&branch).await?)
        }
    }
}
