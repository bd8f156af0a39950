//! How a project's edits are kept apart, as people set it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::names;

/// Entries of a list of settings.
const ENTRIES: usize = 32;
/// Characters of an entry.
const LENGTH: usize = 1_000;
/// The first port that worktrees get unless told otherwise, and how many each.
const PORTS: Ports = Ports { first: 20_000, count: 10 };

/// What keeps the edits of a project's tasks apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendChoice {
    /// GitButler if it can be used and the project is set up for it; else a worktree, if the project is
    /// in a git repository; else nothing.
    #[default]
    Auto,
    /// A branch of GitButler's for each task, in one directory.
    Gitbutler,
    /// A git worktree for each task.
    Worktree,
    /// Nothing: all work in the project's folder, and nothing is committed.
    None,
}

names!(BackendChoice {
    Auto => "auto", Gitbutler => "gitbutler", Worktree => "worktree", None => "none",
});

/// What happens if a task is about to edit a file that another has edited, in one directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TwoWriters {
    /// It is told whose the file is, before anything happens.
    #[default]
    Deny,
    /// It goes on, and an event tells of it. The file is committed with the first one's edits.
    Flag,
}

names!(TwoWriters { Deny => "deny", Flag => "flag" });

/// Ports for what tasks start: each worktree gets a range of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The first of them.
    pub first: u16,
    /// How many each gets.
    pub count: u16,
}

/// A project's git settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitSettings {
    /// What keeps the edits of tasks apart.
    pub backend: BackendChoice,
    /// The branch or commit that worktrees begin at; what is checked out in the project unless given.
    /// (GitButler has a target of its own.)
    pub base: Option<String>,
    /// What happens if a second task edits a file, in one directory.
    pub two_writers: TwoWriters,
    /// The folder in which worktrees are made: absolute, outside of the project. In the data folder
    /// unless given.
    pub worktrees: Option<String>,
    /// The command that makes a new worktree ready to run, as words; no shell reads them.
    pub setup: Vec<String>,
    /// Untracked files of the project's folder that a new worktree gets, as git's glob patterns.
    pub copy: Vec<String>,
    /// The ports of worktrees.
    pub ports: Ports,
}

impl Default for GitSettings {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            base: None,
            two_writers: TwoWriters::Deny,
            worktrees: None,
            setup: Vec::new(),
            copy: vec![".env".to_owned()],
            ports: PORTS,
        }
    }
}

impl Ports {
    /// The first port of a task's range. Tasks whose numbers are far apart share one.
    pub fn of(self, task: i64) -> u16 {
        let count = self.count.max(1);
        let ranges = (u16::MAX - self.first) / count;
        let place = task.rem_euclid(i64::from(ranges.max(1)));
        self.first + count * u16::try_from(place).unwrap_or_default()
    }
}

impl GitSettings {
    /// Checks what somebody has set. The error names the field.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let word = |text: &str| !text.is_empty() && text.len() <= LENGTH && !text.contains('\0');
        let list = |list: &[String]| list.len() <= ENTRIES && list.iter().all(|entry| word(entry));
        let refused = |field, problem: &str| Err((field, problem.to_owned()));
        if let Some(base) = &self.base
            && (!word(base) || base.starts_with('-') || base.contains(char::is_control))
        {
            return refused("git.base", "expected the name of a branch or a commit");
        }
        if !list(&self.setup) {
            return refused("git.setup", "expected a command as up to 32 words");
        }
        if !list(&self.copy) {
            return refused("git.copy", "expected up to 32 patterns such as \".env\"");
        }
        let outside =
            |entry: &String| entry.starts_with(['/', ':']) || entry.split('/').any(|p| p == "..");
        if self.copy.iter().any(outside) {
            return refused("git.copy", "expected paths inside of the project, such as \".env\"");
        }
        if let Some(folder) = &self.worktrees
            && (!word(folder) || !folder.starts_with('/'))
        {
            return refused("git.worktrees", "expected an absolute path");
        }
        let Ports { first, count } = self.ports;
        if first < 1_024 || count == 0 || u16::MAX - first < count {
            return refused("git.ports", "expected ports from 1024 on, and at least one for each");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GitSettings, Ports};

    #[test]
    fn what_is_not_said_is_as_usual_and_what_is_wrong_is_named() {
        let read = |json: &str| serde_json::from_str::<GitSettings>(json);
        let usual = read("{}").expect("the usual");
        assert_eq!(usual, GitSettings::default());
        assert_eq!(usual.check(), Ok(()));
        for (field, json) in [
            ("git.base", r#"{"base": "--orphan"}"#),
            ("git.base", r#"{"base": ""}"#),
            ("git.setup", r#"{"setup": ["npm", ""]}"#),
            ("git.copy", r#"{"copy": ["../secrets"]}"#),
            ("git.copy", r#"{"copy": ["/etc/passwd"]}"#),
            ("git.worktrees", r#"{"worktrees": "trees"}"#),
            ("git.ports", r#"{"ports": {"first": 80, "count": 10}}"#),
            ("git.ports", r#"{"ports": {"first": 65535, "count": 10}}"#),
        ] {
            let settings = read(json).expect(json);
            assert_eq!(settings.check().expect_err(json).0, field, "{json}");
        }
        assert!(read(r#"{"backend": "svn"}"#).is_err());
        assert!(read(r#"{"colour": "blue"}"#).is_err());
    }

    #[test]
    fn tasks_have_ports_of_their_own() {
        let ports = Ports { first: 20_000, count: 10 };
        assert_eq!((ports.of(1), ports.of(2)), (20_010, 20_020));
        assert!((20_000..=65_525).contains(&ports.of(i64::MAX)));
    }
}
