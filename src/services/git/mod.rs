//! Whose edit is it: a branch for each task, claims on files where several tasks share a directory,
//! commits at the ends of turns.
//!
//! Git is run beside everything else: nothing that Claude waits for waits for it, but the answer to
//! whether it may edit a file, which is given from memory. Of one repository one thing is done at a
//! time. What is to be committed is what is there to be committed, so a step that failed, or that a
//! crash cut off, is made up for by the next one.

mod attempt;
mod attribute;
mod backend;
pub mod claims;
mod commit;
mod finish;
mod ready;
mod setup;
mod show;
mod turns;
pub mod worktrees;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::OnceCell;

pub use attempt::{Outfit, Prepared, outfit, prepare};
pub use commit::{Due, start};
pub use finish::{Offer, check_discard, discard, finish, offer, settle, take_back};
pub use setup::{GitStatus, setup, status};
pub use show::{Changes, commits, diff, session_diff, unattributed};
use turns::Turns;

use super::error::Error;
pub use crate::git::{Change, Commit};
use crate::git::{GitError, Runner};

/// What the use cases of git share.
#[derive(Default)]
pub struct Git {
    runner: OnceCell<Runner>,
    turns: Turns,
    /// Attempts whose turn has ended.
    pub due: Due,
    /// The roots of the repositories that projects are in, as far as they are known.
    roots: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl From<GitError> for Error {
    fn from(e: GitError) -> Self {
        let problem = e.to_string();
        match e {
            GitError::NotRun { .. } | GitError::TooSlow { .. } | GitError::NoGitButler { .. } => {
                Self::Unavailable { problem }
            }
            _ => Self::Conflict { problem },
        }
    }
}
