//! A working tree and a branch for each task, by plain git.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::backend::text;
use super::{Branch, Committed, GitError, Repository, What};

/// How long a commit may take: the project's own hooks run in it.
const HOOKS: Duration = Duration::from_secs(300);
/// How long a push may take.
const PUSH: Duration = Duration::from_secs(120);

/// Makes working trees, all in one folder, outside of the repository's own.
#[derive(Clone, Debug)]
pub struct Worktrees {
    /// The repository, at its main working tree.
    pub repository: Repository,
    /// The folder in which they are made.
    pub folder: PathBuf,
}

/// A working tree as git lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its directory.
    pub dir: PathBuf,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// The commit that is checked out.
    pub head: String,
    /// Its directory is not there any more.
    pub gone: bool,
}

impl Worktrees {
    pub(super) async fn create(&self, name: &str, base: Option<&str>) -> Result<Branch, GitError> {
        let base_name = base.unwrap_or("HEAD");
        let base = self.repository.commit_of(base_name).await?;
        let base = base.ok_or_else(|| GitError::NoBase { base: base_name.to_owned() })?;
        let dir = self.folder.join(name);
        if !self.is_free(name).await? {
            return Err(GitError::Taken(name.to_owned()));
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| failed("making its folder", &e))?;
        // One that a crash left half-made is git's to forget.
        self.repository.git(["worktree", "prune"]).await?;
        let target = text(&dir)?;
        let args = ["worktree", "add", "--quiet", "-b", name, "--", target, base.as_str()];
        let mut call = self.repository.call(args);
        // Checking a large repository out takes its time.
        call.limit = HOOKS;
        if let Err(e) = self.repository.runner.done(call).await {
            self.take_back(name, &dir, &base).await;
            return Err(e);
        }
        let dir = dir.canonicalize().map_err(|e| failed("finding its folder", &e))?;
        Ok(Branch { name: name.to_owned(), base, dir })
    }

    /// Whether neither a branch nor a folder has this name.
    pub(super) async fn is_free(&self, name: &str) -> Result<bool, GitError> {
        let there = std::fs::symlink_metadata(self.folder.join(name)).is_ok();
        Ok(!there && self.repository.tip(name).await?.is_none())
    }

    /// Leaves nothing of a working tree that was not made to its end.
    async fn take_back(&self, name: &str, dir: &Path, base: &str) {
        let listed = self.list().await.unwrap_or_default();
        let Some(half) = listed.iter().find(|l| l.dir == dir) else { return };
        if half.branch.as_deref().is_none_or(|b| b == name) && half.head == base {
            let _ = self.remove(dir, true).await;
            let name = format!("refs/heads/{name}");
            let _ = self.repository.git(["update-ref", "-d", name.as_str(), base]).await;
        }
    }

    pub(super) async fn commit(
        &self,
        branch: &Branch,
        what: What<'_>,
        message: &str,
    ) -> Result<Committed, GitError> {
        let tree = self.repository.at(&branch.dir);
        let head = tree.head().await?;
        if head.as_deref() != Some(&branch.name) {
            return Err(GitError::Elsewhere {
                dir: branch.dir.display().to_string(),
                branch: branch.name.clone(),
                found: head.unwrap_or_else(|| "no branch".to_owned()),
            });
        }
        let status = tree.status().await?;
        let left = Some(status.unnameable).filter(|u| !u.is_empty()).map(GitError::Unnameable);
        let changed = status.changes.into_iter().map(|c| c.path);
        let paths: Vec<String> = match what {
            What::Everything => changed.collect(),
            What::These(these) => changed.filter(|path| these.contains(path)).collect(),
        };
        if paths.is_empty() {
            return Ok(Committed { commit: None, paths, left });
        }
        // Each by itself, and not by a variable: the project's hooks would inherit that.
        let list: Vec<u8> =
            paths.iter().flat_map(|p| format!(":(literal){p}\0").into_bytes()).collect();
        let magic = vec![("GIT_LITERAL_PATHSPECS".to_owned(), "0".to_owned())];
        let from = ["--pathspec-from-file=-", "--pathspec-file-nul"];
        let mut add = tree.call(["add", "--all"].iter().chain(&from));
        add.input.clone_from(&list);
        add.env.clone_from(&magic);
        tree.runner.done(add).await?;
        let args = ["commit", "--quiet", "--only", "--message", message];
        let mut commit = tree.call(args.iter().chain(&from));
        commit.input = list;
        commit.env = magic;
        commit.limit = HOOKS;
        let done = tree.runner.done(commit).await;
        let tip = tree.tip(&branch.name).await?.unwrap_or_default();
        match done {
            // A hook after the commit cannot take it back.
            Err(e) if !self.holds(&tree, &tip, message).await => Err(e),
            _ => Ok(Committed { commit: Some(tip), paths, left }),
        }
    }

    /// Whether this very commit was made: by its message.
    async fn holds(&self, tree: &Repository, commit: &str, message: &str) -> bool {
        let said = tree.line(&["log", "-1", "--format=%B", commit]).await;
        let clean = tree.status().await.is_ok_and(|s| s.is_clean());
        clean && said.is_ok_and(|said| said.trim() == message.trim())
    }

    pub(super) async fn discard(&self, branch: &Branch) -> Result<Option<String>, GitError> {
        let there = branch.dir.is_dir();
        if there && !self.repository.at(&branch.dir).status().await?.is_clean() {
            // What was never committed is to be had back as well. Hooks have no say in it.
            let tree = self.repository.at(&branch.dir);
            tree.git(["add", "--all"]).await?;
            let message = "Uncommitted when this branch was discarded";
            tree.git(["commit", "--quiet", "--no-verify", "--message", message]).await?;
        }
        let tip = self.repository.tip(&branch.name).await?;
        if let Some(tip) = &tip {
            self.repository.keep(&branch.name, tip).await?;
        }
        if there {
            self.remove(&branch.dir, true).await?;
        } else {
            self.repository.git(["worktree", "prune"]).await?;
        }
        if let Some(tip) = &tip {
            let name = format!("refs/heads/{}", branch.name);
            self.repository.git(["update-ref", "-d", name.as_str(), tip.as_str()]).await?;
        }
        Ok(tip)
    }

    pub(super) async fn push(&self, branch: &Branch) -> Result<String, GitError> {
        let remote = self.repository.remote().await?.ok_or_else(|| GitError::Failed {
            command: "git push".to_owned(),
            code: None,
            complaint: "the repository has no remote; `git remote add origin URL` adds one".into(),
        })?;
        let name = format!("refs/heads/{0}:refs/heads/{0}", branch.name);
        let args = ["push", "--quiet", "--set-upstream", remote.as_str(), name.as_str()];
        let mut call = self.repository.call(args);
        call.limit = PUSH;
        self.repository.runner.done(call).await?;
        Ok(remote)
    }

    /// Removes a working tree, not its branch. One with changes only by `force`.
    pub async fn remove(&self, dir: &Path, force: bool) -> Result<(), GitError> {
        let mut args = vec!["worktree", "remove"];
        if force {
            // Twice: even if somebody has locked it.
            args.extend(["--force", "--force"]);
        }
        args.extend(["--", text(dir)?]);
        self.repository.git(args).await.map(drop)
    }

    /// Lists the repository's working trees that are in the folder.
    pub async fn list(&self) -> Result<Vec<Listed>, GitError> {
        let output = self.repository.git(["worktree", "list", "--porcelain", "-z"]).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let listed = text.split("\0\0").filter_map(listed);
        Ok(listed.filter(|l| l.dir.starts_with(&folder)).collect())
    }
}

/// Reads one entry of `git worktree list --porcelain -z`: lines such as `branch refs/heads/x`.
fn listed(entry: &str) -> Option<Listed> {
    let field = |name: &str| {
        let mut lines = entry.split('\0');
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
    };
    let branch = field("branch").map(|b| b.trim_start_matches("refs/heads/").to_owned());
    let gone = entry.split('\0').any(|line| line.starts_with("prunable"));
    Some(Listed { dir: field("worktree")?.into(), branch, head: field("HEAD")?, gone })
}

fn failed(doing: &str, error: &std::io::Error) -> GitError {
    GitError::Failed {
        command: format!("git worktree add: {doing}"),
        code: error.raw_os_error(),
        complaint: error.to_string(),
    }
}
