//! GitButler's `but`, version 0.22 or newer: many branches in one directory.
//!
//! The commands and their JSON were recorded from 0.22; older versions speak otherwise. What was
//! found out by trying, and is guarded against here: a commit without paths takes everybody's edits;
//! one with nothing in it is made all the same; `-b` reads short names as ids of its own; and if
//! something else has moved a branch, a commit on it ends with success, is on no branch, and its
//! edits are gone from the directory, until `but undo`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Branch, Call, Committed, GitError, Repository, Runner, What};

/// The program.
pub const PROGRAM: &str = "but";
/// The oldest version that speaks as it is spoken to here.
const OLDEST: (u32, u32) = (0, 22);
/// What the paths of one commit may come to: the kernel takes no more arguments at once. Bytes.
const ARGUMENTS: usize = 500_000;

/// A repository that GitButler looks after.
#[derive(Clone, Debug)]
pub struct GitButler {
    /// The repository.
    pub repository: Repository,
}

/// What `but setup --json` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Setup {
    /// Where branches begin and end.
    pub target: Target,
}

/// GitButler's target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The branch, such as `origin/main`.
    pub branch_name: String,
}

/// What `but branch new --json` says.
#[derive(Debug, Deserialize)]
pub(super) struct New {
    pub branch: String,
}

/// What `but commit --json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    pub commit_id: String,
}

/// What `but undo --json` says.
#[derive(Debug, Deserialize)]
pub(super) struct Undone {
    pub changed: bool,
}

/// What `but status --json` says, as far as it is needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Uncommitted {
    pub uncommitted_changes: Vec<File>,
    pub stacks: Vec<Stack>,
    pub merge_base: Tip,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    pub file_path: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stack {
    pub branches: Vec<Head>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub name: String,
    pub commits: Vec<Tip>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tip {
    pub commit_id: String,
}

/// What `but push BRANCH --json` says.
#[derive(Debug, Deserialize)]
pub(super) struct Pushed {
    pub remote: String,
}

/// What is said on standard output if the repository is not set up.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub error: String,
    pub hint: String,
}

impl Uncommitted {
    /// The commit that GitButler takes for a branch's tip. None where that cannot be told: it is not
    /// applied, or it is empty and stands on another.
    pub(super) fn tip(&self, branch: &str) -> Option<&str> {
        let stack = self.stacks.iter().find(|s| s.branches.iter().any(|b| b.name == branch))?;
        let head = stack.branches.iter().find(|b| b.name == branch)?;
        match head.commits.first() {
            Some(tip) => Some(&tip.commit_id),
            None if stack.branches.len() == 1 => Some(&self.merge_base.commit_id),
            None => None,
        }
    }
}

impl GitButler {
    /// Looks whether there is a `but` that can be used. Tells its version.
    pub async fn probe(runner: &Runner, dir: &std::path::Path) -> Result<String, GitError> {
        let missing = |problem: &str| GitError::NoGitButler { problem: problem.to_owned() };
        if runner.find(PROGRAM).is_none() {
            return Err(missing("`but` is not in PATH; https://gitbutler.com has it"));
        }
        let said = runner.done(Call::new(PROGRAM, dir, ["--version"])).await?;
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let version = said.split_whitespace().last().unwrap_or_default();
        let mut parts = version.split('.').map(|p| p.parse::<u32>().ok());
        // One that somebody has built says no number: what it can do decides.
        if let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next())
            && (major, minor) < OLDEST
        {
            return Err(missing(&format!("{said} is too old; 0.22 or newer is needed")));
        }
        let help = runner.done(Call::new(PROGRAM, dir, ["commit", "--help"])).await?;
        if !String::from_utf8_lossy(&help.stdout).contains("--branch") {
            return Err(missing(&format!(
                "{said} has no `but commit --branch`; 0.22 or newer has"
            )));
        }
        Ok(version.to_owned())
    }

    /// Whether the repository is set up for it, and on its branch.
    pub async fn is_set_up(&self) -> Result<bool, GitError> {
        match self.status().await {
            Ok(_) => Ok(true),
            Err(GitError::SetupRequired { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Sets the repository up. Moves HEAD and adds hooks of its own: only if somebody wants that.
    pub async fn setup(&self) -> Result<Setup, GitError> {
        self.json(["setup", "--json"]).await
    }

    pub(super) async fn create(&self, name: &str) -> Result<Branch, GitError> {
        let new: New = self.json(["branch", "new", name, "--json"]).await?;
        let base = self.repository.tip(&new.branch).await?;
        if new.branch != name || base.is_none() {
            let problem = format!("a branch {:?} instead of {name:?}", new.branch);
            return Err(GitError::Unexpected { command: "but branch new".into(), problem });
        }
        let (base, dir) = (base.unwrap_or_default(), self.repository.root.clone());
        Ok(Branch { name: new.branch, base, dir })
    }

    pub(super) async fn commit(
        &self,
        branch: &Branch,
        what: What<'_>,
        message: &str,
    ) -> Result<Committed, GitError> {
        let What::These(wanted) = what else {
            // In a shared directory everything is everybody's.
            return Ok(Committed::default());
        };
        let status = self.status().await?;
        let changed = status.uncommitted_changes.iter().map(|file| &file.file_path);
        let mut paths: Vec<String> = changed.filter(|p| wanted.contains(p)).cloned().collect();
        paths.dedup();
        if paths.is_empty() {
            return Ok(Committed::default());
        }
        self.check(branch, &status).await?;
        let mut done = Committed::default();
        let mut size = 0;
        let parts = paths.chunk_by(|a, _| {
            size += a.len() + 16;
            let fits = size < ARGUMENTS;
            size = if fits { size } else { 0 };
            fits
        });
        for part in parts {
            let mut part = part.to_vec();
            match self.commit_part(branch, &part, message).await {
                // The rest does not have to wait for what builds on others' work.
                Err(e @ GitError::Depends { .. }) => {
                    if let GitError::Depends { paths, .. } = &e {
                        part.retain(|p| !paths.contains(p));
                    }
                    done.left = Some(e);
                    if !part.is_empty() {
                        done.commit = Some(self.commit_part(branch, &part, message).await?);
                        done.paths.extend(part);
                    }
                }
                made => {
                    done.commit = Some(made?);
                    done.paths.extend(part);
                }
            }
        }
        Ok(done)
    }

    /// Makes sure that GitButler knows where the branch is: else it would lose the edits.
    async fn check(&self, branch: &Branch, status: &Uncommitted) -> Result<(), GitError> {
        let is = self.repository.tip(&branch.name).await?.unwrap_or_default();
        match status.tip(&branch.name) {
            Some(known) if known != is => {
                Err(GitError::Moved { branch: branch.name.clone(), known: known.to_owned(), is })
            }
            _ => Ok(()),
        }
    }

    async fn commit_part(
        &self,
        branch: &Branch,
        paths: &[String],
        message: &str,
    ) -> Result<String, GitError> {
        let args = ["commit", "-b", &branch.name, "-m", message, "--json", "--"];
        let changes: Vec<String> = paths.iter().map(|path| change(path)).collect();
        let args = args.into_iter().chain(changes.iter().map(String::as_str));
        let made = self.json::<Made>(args).await.map_err(|e| dependence(e, branch, paths))?;
        let tip = self.repository.tip(&branch.name).await?;
        if tip.as_ref() == Some(&made.commit_id) {
            return Ok(made.commit_id);
        }
        let undone = self.json::<Undone>(["undo", "--json"]).await.is_ok_and(|u| u.changed);
        Err(GitError::Lost { branch: branch.name.clone(), commit: made.commit_id, undone })
    }

    pub(super) async fn discard(&self, branch: &Branch) -> Result<Option<String>, GitError> {
        let Some(tip) = self.repository.tip(&branch.name).await? else { return Ok(None) };
        self.repository.keep(&branch.name, &tip).await?;
        self.call(["branch", "delete", branch.name.as_str(), "--json"]).await?;
        Ok(Some(tip))
    }

    pub(super) async fn push(&self, branch: &Branch) -> Result<String, GitError> {
        Ok(self.json::<Pushed>(["push", branch.name.as_str(), "--json"]).await?.remote)
    }

    async fn status(&self) -> Result<Uncommitted, GitError> {
        self.json(["status", "--json"]).await
    }

    async fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>, GitError> {
        let call = Call::new(PROGRAM, &self.repository.root, args);
        let output = self.repository.runner.run(call.clone()).await?;
        if output.code == Some(0) {
            return Ok(output.stdout);
        }
        match serde_json::from_slice::<Refusal>(&output.stdout) {
            Ok(refusal) if refusal.error == "setup_required" => {
                Err(GitError::SetupRequired { hint: refusal.hint })
            }
            _ => Err(GitError::Failed {
                command: call.words(),
                code: output.code,
                complaint: output.stderr,
            }),
        }
    }

    async fn json<'a, T: DeserializeOwned>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<T, GitError> {
        let args: Vec<&str> = args.into_iter().collect();
        let said = self.call(args.iter().copied()).await?;
        serde_json::from_slice(&said).map_err(|e| GitError::Unexpected {
            command: format!("{PROGRAM} {}", args[0]),
            problem: e.to_string(),
        })
    }
}

/// A file as `but commit` takes it. A short name could be an id of GitButler's, and `zz` is everything
/// that is uncommitted: what could be read so is marked as a path.
fn change(path: &str) -> String {
    if path.contains(['/', '.']) && !path.contains(':') {
        path.to_owned()
    } else {
        format!("zz:{path}")
    }
}

/// Makes out which of the files build on which branch: lines such as `line 3 depends on task-1 (ltu)`
/// below the file's name.
pub(super) fn dependence(e: GitError, branch: &Branch, wanted: &[String]) -> GitError {
    let GitError::Failed { complaint, .. } = &e else { return e };
    let owner = complaint.split_once(" depends on ").map(|(_, rest)| rest);
    let owner = owner.and_then(|rest| rest.split([' ', '\n', ',']).next());
    let lines: Vec<&str> = complaint.lines().map(str::trim).collect();
    let paths: Vec<String> =
        wanted.iter().filter(|path| lines.contains(&path.as_str())).cloned().collect();
    match owner {
        Some(owner) if !paths.is_empty() => {
            GitError::Depends { branch: branch.name.clone(), owner: owner.to_owned(), paths }
        }
        _ => e,
    }
}
