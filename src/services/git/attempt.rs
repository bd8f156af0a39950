//! A place for a task to work in, and what its Claude is told and kept from.

use std::path::{Path, PathBuf};

use super::super::App;
use super::super::error::Error;
use super::{backend, ready};
use crate::domain::ids::TaskId;
use crate::domain::project::Project;
use crate::domain::session::{Launch, Session};
use crate::domain::task::GitBackend;
use crate::git::{Backend, Branch, GitError, slug};

/// Names that are tried for a branch.
const NAMES: u32 = 100;

/// What would break a workspace of GitButler's, or take the work of everybody in it.
const HISTORY: [&str; 9] =
    ["commit", "push", "stash", "rebase", "merge", "reset", "cherry-pick", "checkout", "switch"];

/// A place to work in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// What keeps its edits apart.
    pub backend: GitBackend,
    /// The branch.
    pub branch: Option<String>,
    /// The commit that it begins at.
    pub base_commit: Option<String>,
    /// The directory of its own.
    pub worktree: Option<String>,
    /// The directory to work in.
    pub workspace: PathBuf,
}

/// How a task's Claude is launched, because of where it works.
#[derive(Clone, Debug, Default)]
pub struct Outfit {
    /// The launch, with what is denied and told on top.
    pub launch: Launch,
    /// Chorus is asked before each edit: others edit in the same directory.
    pub edits: bool,
    /// Variables of Chorus's.
    pub env: Vec<(String, String)>,
}

/// Prepares a place for a task, before its session begins (`own`), or in a session's directory.
/// `workspace` is where it would work in the project's own folder.
pub async fn prepare(
    app: &App,
    project: &Project,
    (task, title): (TaskId, &str),
    wanted: Option<GitBackend>,
    workspace: &Path,
    own: bool,
) -> Result<Prepared, Error> {
    let chosen = backend::choose(app, project, wanted, own).await?;
    // GitButler's branches are of its directory; a session may be elsewhere.
    let there = |b: &Backend| !b.is_shared() || workspace.starts_with(&b.repository().root);
    let Some(chosen) = chosen.filter(there) else {
        return Ok(Prepared {
            backend: GitBackend::None,
            branch: None,
            base_commit: None,
            worktree: None,
            workspace: workspace.to_owned(),
        });
    };
    let repository = chosen.repository();
    let branch = {
        let _turn = app.git.turns.take(&repository.common).await;
        let base = backend::base(project, repository).await?;
        make(&chosen, task, title, base.as_deref()).await?
    };
    let kind = match &chosen {
        Backend::GitButler(_) => GitBackend::Gitbutler,
        Backend::Worktree(_) => GitBackend::Worktree,
    };
    let workspace = match &chosen {
        Backend::GitButler(_) => workspace.to_owned(),
        Backend::Worktree(_) => {
            let made = ready::make(app, project, repository, &branch, task).await;
            let made = made.and_then(|()| inside(&branch, &repository.root, workspace));
            match made {
                Ok(workspace) => workspace,
                Err(e) => {
                    let _turn = app.git.turns.take(&repository.common).await;
                    let _ = chosen.discard(&branch).await;
                    return Err(e);
                }
            }
        }
    };
    let worktree =
        (kind == GitBackend::Worktree).then(|| branch.dir.to_string_lossy().into_owned());
    Ok(Prepared {
        backend: kind,
        branch: Some(branch.name),
        base_commit: Some(branch.base),
        worktree,
        workspace,
    })
}

/// Makes a branch of the first name that is free.
async fn make(
    backend: &Backend,
    task: TaskId,
    title: &str,
    base: Option<&str>,
) -> Result<Branch, GitError> {
    let mut taken = String::new();
    for again in 1..=NAMES {
        let name = slug(task.0, title, again);
        if backend.is_free(&name).await? {
            return backend.create(&name, base).await;
        }
        taken = name;
    }
    Err(GitError::Taken(taken))
}

/// The same directory in a worktree as in the project's own.
fn inside(branch: &Branch, root: &Path, workspace: &Path) -> Result<PathBuf, Error> {
    let place = workspace.strip_prefix(root).unwrap_or(Path::new(""));
    let dir = branch.dir.join(place);
    if dir.is_dir() {
        return Ok(dir);
    }
    Err(Error::conflict(format!(
        "{} is not in the commit that {} begins at; commit it, or set git to none",
        workspace.display(),
        branch.name
    )))
}

/// Tells how a session's Claude is launched, because of the task that it works on.
pub async fn outfit(app: &App, session: &Session) -> Result<Outfit, Error> {
    let mut outfit = Outfit { launch: session.launch.clone(), ..Outfit::default() };
    let Some(task) = session.task_id else { return Ok(outfit) };
    let project = session.project_id;
    let known = app
        .engine
        .read(move |live| {
            let attempt = live.tasks.get(task)?.attempt.clone()?;
            Some((attempt, live.project(project)?.clone()))
        })
        .await?;
    let Some((attempt, project)) = known else { return Ok(outfit) };
    match attempt.git_backend {
        GitBackend::None => outfit.edits = true,
        GitBackend::Worktree => {
            let ports = project.git.ports;
            outfit.env = vec![
                ("CHORUS_PORT_BASE".into(), ports.of(task.0).to_string()),
                ("CHORUS_PORT_COUNT".into(), ports.count.to_string()),
            ];
        }
        GitBackend::Gitbutler => {
            outfit.edits = true;
            let rules = HISTORY.iter().map(|word| format!("Bash(git {word}:*)"));
            outfit.launch.disallowed_tools.extend(rules);
            let branch = attempt.branch.as_deref().unwrap_or_default();
            let words = format!(
                "Several tasks work in this directory at the same time, each on a branch of its own; \
                 yours is {branch}. Your edits are committed to it for you, at the end of each turn. \
                 Do not run git commands that change history or the index ({}): they would take \
                 along or undo the work of others. Reading (git status, log, diff, show) is fine.",
                HISTORY.join(", ")
            );
            let told = outfit.launch.append_system_prompt.take();
            outfit.launch.append_system_prompt =
                Some(told.map_or_else(|| words.clone(), |told| format!("{told}\n\n{words}")));
        }
    }
    Ok(outfit)
}
