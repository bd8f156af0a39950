//! A repository as plain git shows it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Call, GitError, Output, Runner, Status};

/// Where commits of discarded branches are kept, so that they can be had back.
const KEPT: &str = "refs/chorus/discarded";
/// What is shown of a patch. Bytes.
const PATCH: usize = 1 << 20;

/// A working tree and its repository.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) runner: Runner,
    /// The working tree's root, symbolic links resolved.
    pub root: PathBuf,
    /// What all working trees of the repository share (`.git`).
    pub common: PathBuf,
    /// Where in the working tree the directory is that was asked about; empty at its root.
    pub prefix: String,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// Who made it.
    pub author: String,
    /// When, in seconds since 1970.
    pub committed_at: i64,
}

/// What a file's changes come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileChange {
    /// Relative to the repository's root.
    pub path: String,
    /// Lines that are new; none for what is not text.
    pub insertions: Option<u64>,
    /// Lines that are gone; none for what is not text.
    pub deletions: Option<u64>,
}

/// What has changed between two states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// The files.
    pub files: Vec<FileChange>,
    /// The changes as a patch, at most 1 MB of it.
    pub patch: String,
    /// There is more of it.
    pub cut: bool,
}

impl Repository {
    /// Finds the repository that a directory is in.
    pub async fn find(runner: &Runner, dir: &Path) -> Result<Self, GitError> {
        let ask = ["rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir"];
        let args = ask.iter().chain(&["--show-prefix"]);
        let output = runner.run(Call::new("git", dir, args)).await?;
        let text = String::from_utf8(output.stdout).unwrap_or_default();
        let mut lines = text.lines();
        match (output.code, lines.next(), lines.next()) {
            (Some(0), Some(root), Some(common)) => Ok(Self {
                runner: runner.clone(),
                root: PathBuf::from(root),
                common: PathBuf::from(common),
                prefix: lines.next().unwrap_or_default().trim_end_matches('/').to_owned(),
            }),
            _ => Err(GitError::NoRepository { dir: dir.display().to_string() }),
        }
    }

    /// The same repository's other working tree.
    pub(super) fn at(&self, root: &Path) -> Self {
        Self { root: root.to_owned(), ..self.clone() }
    }

    pub(super) fn call<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Call<'_> {
        Call::new("git", &self.root, args)
    }

    pub(super) async fn git<A: Into<OsString>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output, GitError> {
        self.runner.done(self.call(args)).await
    }

    /// The one line that a command of git's says.
    pub(super) async fn line(&self, args: &[&str]) -> Result<String, GitError> {
        let output = self.git(args).await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// The commit that a name leads to, if there is one.
    pub async fn commit_of(&self, name: &str) -> Result<Option<String>, GitError> {
        let wanted = format!("{name}^{{commit}}");
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", wanted.as_str()];
        let output = self.runner.run(self.call(args)).await?;
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Some(id).filter(|id| output.code == Some(0) && !id.is_empty()))
    }

    /// The commit that a branch is at, if there is such a branch.
    pub async fn tip(&self, branch: &str) -> Result<Option<String>, GitError> {
        self.commit_of(&format!("refs/heads/{branch}")).await
    }

    /// The branch that is checked out; none if a commit is.
    pub async fn head(&self) -> Result<Option<String>, GitError> {
        let call = self.call(["symbolic-ref", "--quiet", "--short", "HEAD"]);
        let output = self.runner.run(call).await?;
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Some(name).filter(|name| output.code == Some(0) && !name.is_empty()))
    }

    /// What has changed in the working tree since its last commit. Takes no lock: others work there.
    pub async fn status(&self) -> Result<Status, GitError> {
        let args = ["--no-optional-locks", "status", "--porcelain=v2", "-z", "--no-renames"];
        let call = self.call(args.iter().chain(&["--untracked-files=all"]));
        let output = self.runner.done(call).await?;
        if output.cut {
            let command = "git status".to_owned();
            let problem = "more changes than can be looked at".to_owned();
            return Err(GitError::Unexpected { command, problem });
        }
        Ok(Status::parse(&output.stdout))
    }

    /// Untracked files, ignored ones too, that these patterns of git's match, from the root on.
    pub async fn untracked(&self, patterns: &[String]) -> Result<Vec<String>, GitError> {
        let args = ["ls-files", "-z", "--others", "--"].map(str::to_owned);
        let mut call = self.call(args.into_iter().chain(patterns.iter().cloned()));
        call.env = vec![
            ("GIT_LITERAL_PATHSPECS".to_owned(), "0".to_owned()),
            ("GIT_GLOB_PATHSPECS".to_owned(), "1".to_owned()),
        ];
        let output = self.runner.done(call).await?;
        let names = output.stdout.split(|b| *b == 0).filter(|name| !name.is_empty());
        Ok(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
    }

    /// The commits on a branch (or up to a commit) that its base does not have, newest first.
    pub async fn commits(&self, base: &str, head: &str) -> Result<Vec<Commit>, GitError> {
        let range = format!("{base}..{head}");
        let args = [
            "log",
            "-z",
            "--max-count=500",
            "--format=%H%x00%an%x00%ct%x00%s%x00%b",
            "--end-of-options",
            range.as_str(),
            "--",
        ];
        let output = self.git(args).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let fields: Vec<&str> = text.split('\0').collect();
        let commits = fields.chunks_exact(5).map(|c| Commit {
            id: c[0].to_owned(),
            author: c[1].to_owned(),
            committed_at: c[2].parse().unwrap_or_default(),
            subject: c[3].to_owned(),
            body: c[4].trim_end().to_owned(),
        });
        Ok(commits.collect())
    }

    /// What two commits differ in; or, without a second one, a commit and the working tree. Of these
    /// files, or of all.
    pub async fn diff(
        &self,
        from: &str,
        to: Option<&str>,
        paths: Option<&[String]>,
    ) -> Result<Diff, GitError> {
        if paths.is_some_and(<[String]>::is_empty) {
            return Ok(Diff::default());
        }
        let plain = ["--no-optional-locks", "diff", "--no-color", "--no-ext-diff", "--no-textconv"];
        let of = |more: &[&str]| {
            let mut args: Vec<String> = plain.iter().chain(more).map(ToString::to_string).collect();
            args.extend([
                "--no-renames".to_owned(),
                "--end-of-options".to_owned(),
                from.to_owned(),
            ]);
            args.extend(to.map(str::to_owned));
            args.push("--".to_owned());
            args.extend(paths.into_iter().flatten().cloned());
            args
        };
        let numbers = self.git(of(&["--numstat", "-z"])).await?;
        let mut call = self.call(of(&["--patch"]));
        call.keep = PATCH;
        let patch = self.runner.done(call).await?;
        Ok(Diff {
            files: numbers.stdout.split(|b| *b == 0).filter_map(file_change).collect(),
            patch: String::from_utf8_lossy(&patch.stdout).into_owned(),
            cut: patch.cut,
        })
    }

    /// Adds files that git does not track yet to a difference, each as all of its lines. What a link leads
    /// to is not looked at.
    pub async fn add_new(&self, diff: &mut Diff, paths: &[String]) -> Result<(), GitError> {
        for path in paths {
            if diff.patch.len() >= PATCH {
                diff.cut = true;
                return Ok(());
            }
            let args = ["diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv", "--"];
            let mut call = self.call(args.into_iter().chain(["/dev/null", path]));
            call.keep = PATCH - diff.patch.len();
            // 1 says that they differ. A file that has gone meanwhile is none.
            let output = self.runner.run(call).await?;
            if output.code != Some(1) {
                continue;
            }
            let patch = String::from_utf8_lossy(&output.stdout);
            let lines = patch.split_once("\n@@").map(|(_, hunk)| hunk.matches("\n+").count());
            let insertions = lines.map(|lines| lines as u64);
            let (path, deletions) = (path.clone(), insertions.map(|_| 0));
            diff.files.push(FileChange { path, insertions, deletions });
            diff.patch.push_str(&patch);
            diff.cut |= output.cut;
        }
        Ok(())
    }

    /// Keeps a discarded branch's last commit from being collected as garbage.
    pub(super) async fn keep(&self, branch: &str, commit: &str) -> Result<(), GitError> {
        let name = format!("{KEPT}/{branch}");
        self.git(["update-ref", name.as_str(), commit]).await.map(drop)
    }

    /// Whether every commit up to `commit` is on a branch of a remote, or on `base`.
    pub async fn is_kept_elsewhere(&self, commit: &str, base: &str) -> Result<bool, GitError> {
        let args = ["rev-list", "--count", "--max-count=1", commit, "--not", "--remotes", base];
        Ok(self.line(&args).await? == "0")
    }

    /// The remote that branches are pushed to: the only one, or `origin`.
    pub async fn remote(&self) -> Result<Option<String>, GitError> {
        let names = self.line(&["remote"]).await?;
        let mut names = names.lines();
        let first = names.next().map(str::to_owned);
        Ok(match names.next() {
            None => first,
            Some(_) => {
                let all = self.line(&["remote"]).await?;
                all.lines().find(|name| *name == "origin").map(str::to_owned)
            }
        })
    }
}

/// Reads `1 \t 2 \t path`; `-` stands for what is not text.
fn file_change(entry: &[u8]) -> Option<FileChange> {
    let entry = String::from_utf8_lossy(entry);
    let mut fields = entry.splitn(3, '\t');
    let mut number = || Some(fields.next()?.parse().ok());
    let (insertions, deletions) = (number()?, number()?);
    Some(FileChange { path: fields.next()?.to_owned(), insertions, deletions })
}
