//! Git, as Chorus uses it: running `git` and GitButler's `but` within limits, and the three ways in
//! which a task's edits are kept apart ([`Backend`]).
//!
//! Nothing here knows tasks or sessions: it is told of directories, branches and paths. Paths are
//! relative to the root of the directory's working tree, with slashes.

mod backend;
mod error;
mod gitbutler;
mod repository;
mod run;
mod slug;
mod status;
mod worktree;

pub use backend::{Backend, Branch, Committed, What};
pub use error::GitError;
pub use gitbutler::{GitButler, Setup};
pub use repository::{Commit, Diff, FileChange, Repository};
pub use run::{Call, Output, Runner};
pub use slug::slug;
pub use status::{Change, ChangeKind, Status};
pub use worktree::{Listed, Worktrees};

#[cfg(test)]
mod tests;
