//! `.claude.json`: what people have answered Claude Code once and for all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::claude::json;
use crate::claude::profile::Profile;

/// The longest file that is read, in bytes. It grows with every project.
const MAX_BYTES: u64 = 64 << 20;

/// What `.claude.json` says of onboarding and trust. Keys are compared, never kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobalConfig {
    /// The first-start questions are answered.
    pub onboarded: bool,
    /// The folders that are trusted.
    pub trusted: BTreeSet<PathBuf>,
    /// The ends of the API keys that are approved; private, so that no finding shows them.
    approved: BTreeSet<String>,
}

impl GlobalConfig {
    /// Reads the file. `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or is no JSON.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(Self::parse(&bytes)?))
    }

    /// Reads the file's contents.
    ///
    /// # Errors
    /// If they are no JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let value = json::parse(bytes)?;
        let is_true = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or_default();
        let projects = value.get("projects").and_then(Value::as_object).into_iter().flatten();
        let approved = value
            .get("customApiKeyResponses")
            .and_then(|responses| responses.get("approved"))
            .and_then(Value::as_array);
        Ok(Self {
            onboarded: is_true(value.get("hasCompletedOnboarding")),
            trusted: projects
                .filter(|(_, project)| is_true(project.get("hasTrustDialogAccepted")))
                .map(|(folder, _)| PathBuf::from(folder))
                .collect(),
            approved: approved
                .into_iter()
                .flatten()
                .filter_map(|key| key.as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// Whether a session in `folder` starts without asking for trust.
    ///
    /// 2.1.197 takes any folder above. 2.1.329 looks no higher than the root of the repository, and
    /// takes a linked worktree for trusted if its main repository's root is; outside of
    /// repositories any folder above counts.
    pub fn trusts(&self, folder: &Path, profile: &Profile) -> bool {
        let root = if profile.start_dialogs_refuse_by_default { git_root(folder) } else { None };
        let reaches = |above: &&Path| root.as_ref().is_none_or(|root| above.starts_with(root));
        folder.ancestors().take_while(reaches).any(|above| self.trusted.contains(above))
            || main_repository(folder).is_some_and(|main| self.trusted.contains(&main))
    }

    /// Whether a session with this API key in its environment starts without asking about it.
    /// Claude Code keeps the last 20 characters of each key.
    pub fn approves_key(&self, key: &str) -> bool {
        let skip = key.chars().count().saturating_sub(20);
        let end: String = key.chars().skip(skip).collect();
        self.approved.contains(&end)
    }
}

/// Finds the root of the repository or the worktree that a folder lies in.
pub fn git_root(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}

/// Finds the root of the repository that a linked worktree belongs to: its `.git` is a file that
/// says `gitdir: <main>/.git/worktrees/<name>`.
fn main_repository(folder: &Path) -> Option<PathBuf> {
    let mut text = String::new();
    let file = File::open(git_root(folder)?.join(".git")).ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    let git_dir = Path::new(text.strip_prefix("gitdir:")?.trim());
    let worktrees = git_dir.parent()?;
    (worktrees.file_name()? == "worktrees").then_some(())?;
    let git = worktrees.parent()?;
    (git.file_name()? == ".git").then(|| git.parent().map(Path::to_owned))?
}
