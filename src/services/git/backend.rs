//! Which backend it is, and where.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::super::{App, launch};
use super::Prepared;
use crate::domain::git::BackendChoice;
use crate::domain::project::Project;
use crate::domain::task::{Attempt, GitBackend};
use crate::git::{Backend, Branch, GitButler, GitError, Repository, Runner, Worktrees, slug};

/// GitButler's own branch, on which its directory always is.
const WORKSPACE: &str = "gitbutler/workspace";
/// Where GitButler's branches begin.
const TARGET: &str = "gitbutler/target";

/// What runs git.
pub async fn runner(app: &App) -> &Runner {
    app.git
        .runner
        .get_or_init(|| async {
            let env = launch::environment(app).await.clone();
            Runner::new(env, Some(app.program.clone()))
        })
        .await
}

/// The repository that a directory is in.
pub async fn repository(app: &App, dir: &Path) -> Result<Repository, GitError> {
    Repository::find(runner(app).await, dir).await
}

/// The directory that paths of claims are relative to: the root of the repository that a project is in,
/// else its own. It is remembered: whoever is about to edit waits for this.
pub async fn claims_root(app: &App, project_root: &Path) -> PathBuf {
    let roots = || app.git.roots.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(root) = roots().get(project_root) {
        return root.clone();
    }
    match repository(app, project_root).await {
        Ok(repository) => {
            roots().insert(project_root.to_owned(), repository.root.clone());
            repository.root
        }
        // It may become one.
        Err(_) => project_root.to_owned(),
    }
}

/// The folder of a project's worktrees.
pub fn folder(app: &App, project: &Project) -> PathBuf {
    if let Some(folder) = &project.git.worktrees {
        return PathBuf::from(folder);
    }
    // The name is for people; projects whose names look alike keep apart by their ids.
    let id = project.id.0.simple().to_string();
    let name = slug(0, &project.name, 1).trim_start_matches("task-0").to_owned();
    let name = format!("{}-{}", name.trim_start_matches('-'), &id[id.len() - 6..]);
    app.data.worktrees().join(name.trim_start_matches('-'))
}

/// The worktrees of a project.
pub async fn worktrees(app: &App, project: &Project) -> Result<Worktrees, GitError> {
    let repository = repository(app, Path::new(&project.root)).await?;
    Ok(Worktrees { repository, folder: folder(app, project) })
}

/// GitButler, if it can be used and the repository is set up for it.
async fn gitbutler(repository: Repository, runner: &Runner) -> Result<GitButler, GitError> {
    GitButler::probe(runner, &repository.root).await?;
    let but = GitButler { repository };
    if but.is_set_up().await? {
        return Ok(but);
    }
    Err(GitError::SetupRequired { hint: "the repository is not set up for it".into() })
}

/// Chooses what keeps a task's edits apart, in a session of its own or, if `own` is not so, in one that
/// is there already. `None` is nothing.
pub async fn choose(
    app: &App,
    project: &Project,
    wanted: Option<GitBackend>,
    own: bool,
) -> Result<Option<Backend>, GitError> {
    let runner = runner(app).await;
    let choice = match wanted {
        Some(GitBackend::Gitbutler) => BackendChoice::Gitbutler,
        Some(GitBackend::Worktree) => BackendChoice::Worktree,
        Some(GitBackend::None) => BackendChoice::None,
        None => project.git.backend,
    };
    let there = repository(app, Path::new(&project.root)).await;
    match choice {
        BackendChoice::None => Ok(None),
        BackendChoice::Gitbutler => Ok(Some(Backend::GitButler(gitbutler(there?, runner).await?))),
        // A session that is there has its directory.
        BackendChoice::Worktree if !own => Ok(None),
        BackendChoice::Worktree => Ok(Some(Backend::Worktree(worktrees(app, project).await?))),
        BackendChoice::Auto => {
            let Ok(repository) = there else { return Ok(None) };
            if repository.head().await?.as_deref() == Some(WORKSPACE)
                && let Ok(but) = gitbutler(repository.clone(), runner).await
            {
                return Ok(Some(Backend::GitButler(but)));
            }
            // Without any commit there is nothing that a branch could begin at.
            if !own || repository.commit_of("HEAD").await?.is_none() {
                return Ok(None);
            }
            Ok(Some(Backend::Worktree(worktrees(app, project).await?)))
        }
    }
}

/// Where a project's worktrees begin, if it is said.
pub async fn base(project: &Project, repository: &Repository) -> Result<Option<String>, GitError> {
    if project.git.base.is_some() {
        return Ok(project.git.base.clone());
    }
    // GitButler's workspace holds the work of all its branches.
    let there = repository.head().await?.as_deref() == Some(WORKSPACE);
    Ok(there.then(|| TARGET.to_owned()))
}

/// What an attempt works on, or was to work on.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    backend: GitBackend,
    branch: &'a Option<String>,
    base_commit: &'a Option<String>,
    worktree: &'a Option<String>,
}

impl<'a> From<&'a Attempt> for Place<'a> {
    fn from(a: &'a Attempt) -> Self {
        let (branch, base_commit, worktree) = (&a.branch, &a.base_commit, &a.worktree);
        Self { backend: a.git_backend, branch, base_commit, worktree }
    }
}

impl<'a> From<&'a Prepared> for Place<'a> {
    fn from(p: &'a Prepared) -> Self {
        let (branch, base_commit, worktree) = (&p.branch, &p.base_commit, &p.worktree);
        Self { backend: p.backend, branch, base_commit, worktree }
    }
}

/// The backend and the branch of a place. `None` if nothing keeps its edits apart.
pub async fn of<'a>(
    app: &App,
    project: &Project,
    place: impl Into<Place<'a>>,
) -> Result<Option<(Backend, Branch)>, GitError> {
    let place = place.into();
    let (Some(name), Some(base)) = (place.branch, place.base_commit) else { return Ok(None) };
    let repository = repository(app, Path::new(&project.root)).await?;
    let root = repository.root.clone();
    let (backend, dir) = match place.backend {
        GitBackend::None => return Ok(None),
        GitBackend::Gitbutler => (Backend::GitButler(GitButler { repository }), root),
        GitBackend::Worktree => {
            let dir = place.worktree.as_ref().map_or(root, PathBuf::from);
            let folder = dir.parent().map_or_else(|| folder(app, project), Path::to_owned);
            (Backend::Worktree(Worktrees { repository, folder }), dir)
        }
    };
    Ok(Some((backend, Branch { name: name.clone(), base: base.clone(), dir })))
}
