//! The ways in which a task's edits are kept apart from others'.

use std::path::{Path, PathBuf};

use super::{GitButler, GitError, Repository, Worktrees};

/// How often a step is tried that may go well a moment later.
const TRIES: u32 = 3;

/// Where a task's edits go.
#[derive(Clone, Debug)]
pub enum Backend {
    /// One directory for all; each branch is a stack of GitButler's.
    GitButler(GitButler),
    /// A directory and a branch for each.
    Worktree(Worktrees),
}

/// A task's branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// The commit that it began at.
    pub base: String,
    /// The working tree in which its edits are made.
    pub dir: PathBuf,
}

/// What a commit is to hold.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// Whatever has changed in the working tree, which is the branch's own.
    Everything,
    /// Of what has changed these files, by their paths relative to the working tree's root.
    These(&'a [String]),
}

/// What came of committing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The new commit; none if there was nothing to commit.
    pub commit: Option<String>,
    /// The files that it holds.
    pub paths: Vec<String>,
    /// What stays uncommitted although it was wanted, and why.
    pub left: Option<GitError>,
}

impl Backend {
    /// Makes a branch that begins at `base` (a branch or commit; what is checked out, or GitButler's
    /// target, if there is none), and the working tree for it.
    pub async fn create(&self, name: &str, base: Option<&str>) -> Result<Branch, GitError> {
        match self {
            Self::GitButler(b) => b.create(name).await,
            Self::Worktree(w) => w.create(name, base).await,
        }
    }

    /// Whether a branch of this name can be made.
    pub async fn is_free(&self, name: &str) -> Result<bool, GitError> {
        match self {
            Self::GitButler(b) => Ok(b.repository.tip(name).await?.is_none()),
            Self::Worktree(w) => w.is_free(name).await,
        }
    }

    /// Commits what has changed, and makes sure that the branch holds it. Nothing changed is no
    /// commit. A failure loses no edit; what may go well a moment later is tried again.
    pub async fn commit(
        &self,
        branch: &Branch,
        what: What<'_>,
        message: &str,
    ) -> Result<Committed, GitError> {
        let mut tries = 1;
        loop {
            let committed = match self {
                Self::GitButler(b) => b.commit(branch, what, message).await,
                Self::Worktree(w) => w.commit(branch, what, message).await,
            };
            match committed {
                Err(e) if e.is_transient() && tries < TRIES => {
                    tokio::time::sleep(std::time::Duration::from_millis(200 << tries)).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// Takes a branch away, with its edits and its working tree. Tells its last commit, from which it
    /// can be made again: `git branch NAME COMMIT`.
    pub async fn discard(&self, branch: &Branch) -> Result<Option<String>, GitError> {
        match self {
            Self::GitButler(b) => b.discard(branch).await,
            Self::Worktree(w) => w.discard(branch).await,
        }
    }

    /// Pushes a branch to its remote. Tells which.
    pub async fn push(&self, branch: &Branch) -> Result<String, GitError> {
        match self {
            Self::GitButler(b) => b.push(branch).await,
            Self::Worktree(w) => w.push(branch).await,
        }
    }

    /// The command by which a person pushes a branch.
    pub fn push_command(&self, branch: &Branch) -> Vec<String> {
        let words: Vec<&str> = match self {
            Self::GitButler(_) => vec!["but", "push", &branch.name],
            Self::Worktree(_) => vec!["git", "push", "--set-upstream", "origin", &branch.name],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        match self {
            Self::GitButler(b) => &b.repository,
            Self::Worktree(w) => &w.repository,
        }
    }

    /// Whether others' edits are made in the same working tree.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::GitButler(_))
    }
}

/// A directory as an argument.
pub(super) fn text(dir: &Path) -> Result<&str, GitError> {
    dir.to_str().ok_or_else(|| GitError::Unnameable(vec![dir.display().to_string()]))
}
