//! Claims: which task has edited which file, where several work in one directory.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{ProjectId, SessionId, TaskId};
use super::names::names;
use super::time::Timestamp;

/// Files that one task may claim. Of what changes beyond that nobody knows whose it is.
const MOST: usize = 10_000;
/// The longest path that is claimed: indexes take no longer keys. Bytes.
const LONGEST: usize = 1_000;

/// What told of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimSource {
    /// A tool that edits the file that it names.
    Tool,
    /// A command, the only one that ran when the file changed.
    Bash,
}

names!(ClaimSource { Tool => "tool", Bash => "bash" });

/// A file that a task has edited, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Claim {
    /// In which project.
    pub project_id: ProjectId,
    /// The file, relative to the repository's root, with slashes.
    pub path: String,
    /// Whose it is.
    pub task_id: TaskId,
    /// In which session it was edited.
    pub session_id: SessionId,
    /// What told of it.
    pub source: ClaimSource,
    /// When it was claimed.
    pub claimed_at: Timestamp,
}

/// What came of claiming a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the task's from now on.
    New,
    /// It was the task's already.
    Already,
    /// It is another's.
    Taken(Claim),
    /// The task has claimed too many, or the path is too long.
    TooMany,
}

/// The claims of all tasks that are not over. A file has at most one.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    by_path: HashMap<(ProjectId, String), Claim>,
    counts: HashMap<TaskId, usize>,
}

impl Claims {
    /// Claims a file, if nobody has.
    pub fn claim(&mut self, claim: Claim) -> Claimed {
        let key = (claim.project_id, claim.path.clone());
        match self.by_path.get(&key) {
            Some(known) if known.task_id == claim.task_id => return Claimed::Already,
            Some(known) => return Claimed::Taken(known.clone()),
            None => {}
        }
        let count = self.counts.entry(claim.task_id).or_default();
        if *count >= MOST || claim.path.len() > LONGEST {
            return Claimed::TooMany;
        }
        *count += 1;
        self.by_path.insert(key, claim);
        Claimed::New
    }

    /// Whose a file is.
    pub fn of(&self, project: ProjectId, path: &str) -> Option<&Claim> {
        self.by_path.get(&(project, path.to_owned()))
    }

    /// A task's files, in the order of their names.
    pub fn paths_of(&self, task: TaskId) -> Vec<String> {
        let mut paths: Vec<String> =
            self.by_path.values().filter(|c| c.task_id == task).map(|c| c.path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    /// The tasks that have claimed anything.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.counts.keys().copied()
    }

    /// Gives back everything that a task has claimed. Tells whether that was anything.
    pub fn release(&mut self, task: TaskId) -> bool {
        self.by_path.retain(|_, claim| claim.task_id != task);
        self.counts.remove(&task).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, ClaimSource, Claimed, Claims};
    use crate::domain::ids::{ProjectId, SessionId, TaskId};
    use crate::domain::time::Timestamp;

    #[test]
    fn a_file_is_the_first_ones_until_its_task_is_over() {
        let (project, other) = (ProjectId::new(), ProjectId::new());
        let claim = |project_id, path: &str, task| Claim {
            project_id,
            path: path.into(),
            task_id: TaskId(task),
            session_id: SessionId::new(),
            source: ClaimSource::Tool,
            claimed_at: Timestamp(0),
        };
        let mut claims = Claims::default();
        assert_eq!(claims.claim(claim(project, "a", 1)), Claimed::New);
        assert_eq!(claims.claim(claim(project, "a", 1)), Claimed::Already);
        assert_eq!(claims.claim(claim(other, "a", 2)), Claimed::New);
        let Claimed::Taken(owner) = claims.claim(claim(project, "a", 2)) else { panic!("free") };
        assert_eq!(owner.task_id, TaskId(1));
        assert_eq!(claims.claim(claim(project, "b", 2)), Claimed::New);
        assert_eq!(claims.paths_of(TaskId(2)), ["a", "b"]);
        assert!(claims.release(TaskId(1)) && !claims.release(TaskId(1)));
        assert_eq!(claims.of(project, "a"), None);
        assert_eq!(claims.claim(claim(project, "a", 2)), Claimed::New);
    }

    #[test]
    fn a_task_claims_only_so_much() {
        let (project_id, session_id) = (ProjectId::new(), SessionId::new());
        let mut claims = Claims::default();
        let mut claim = |n: usize| {
            claims.claim(Claim {
                project_id,
                path: format!("{n}"),
                task_id: TaskId(1),
                session_id,
                source: ClaimSource::Bash,
                claimed_at: Timestamp(0),
            })
        };
        assert!((0..super::MOST).all(|n| claim(n) == Claimed::New));
        assert_eq!(claim(super::MOST), Claimed::TooMany);
    }
}
