//! What can go wrong with git, and what to do about it.

/// A step did not happen. No edit is lost by it unless it says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// A program cannot be started.
    #[error("{program} cannot be run ({problem}); install it, or see that PATH leads to it")]
    NotRun {
        /// Which.
        program: String,
        /// Why.
        problem: String,
    },
    /// It was ended because it took too long.
    #[error(
        "`{command}` was ended after {seconds} s; run it in a terminal to see what it waits for"
    )]
    TooSlow {
        /// What ran.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// It said no.
    #[error("`{command}` failed: {complaint}")]
    Failed {
        /// What ran.
        command: String,
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// The end of what it wrote to standard error.
        complaint: String,
    },
    /// It said something that is not understood.
    #[error("`{command}` answered unexpectedly: {problem}")]
    Unexpected {
        /// What ran.
        command: String,
        /// What was found.
        problem: String,
    },
    /// There is no repository.
    #[error("{dir} is in no git repository; `git init` makes one, or set the git backend to none")]
    NoRepository {
        /// Where.
        dir: String,
    },
    /// There is nothing that a branch could begin from.
    #[error(
        "there is no commit {base:?} in this repository; commit something, or set another base"
    )]
    NoBase {
        /// What was looked for.
        base: String,
    },
    /// A branch, or its folder, is there already.
    #[error("there is a branch or a folder {0:?} already; nothing was changed")]
    Taken(String),
    /// There is no GitButler that can be used.
    #[error("GitButler cannot be used: {problem}")]
    NoGitButler {
        /// Why, and what to do.
        problem: String,
    },
    /// The repository is not, or no longer, one of GitButler's.
    #[error("GitButler says: {hint}; `chorus git setup` does that")]
    SetupRequired {
        /// In its words.
        hint: String,
    },
    /// Something else than `but` moved a branch of GitButler's: it would lose what is committed now.
    #[error(
        "{branch} was moved outside of GitButler (it knows {known}, the branch is at {is}): nothing was \
         committed; `but unapply {branch}` and `but apply {branch}` bring them together"
    )]
    Moved {
        /// The branch.
        branch: String,
        /// The tip that GitButler knows.
        known: String,
        /// The tip that there is.
        is: String,
    },
    /// GitButler told of a commit that is on no branch. It was undone, or that failed.
    #[error(
        "GitButler put {commit} on no branch, though it said {branch}; {}; `but unapply {branch}` and \
         `but apply {branch}` repair it",
        if *undone { "that was undone at once and the edits are back" }
        else { "undoing it failed: `git show` has the edits" }
    )]
    Lost {
        /// The branch that should hold it.
        branch: String,
        /// The commit that was told of.
        commit: String,
        /// Whether it was undone.
        undone: bool,
    },
    /// Changes build on another branch's.
    #[error(
        "{} builds on changes of {owner}: it stays uncommitted; commit it there, or stack the branches \
         (`but move {branch} --above {owner}`)", paths.join(", ")
    )]
    Depends {
        /// The branch that was to get them.
        branch: String,
        /// The branch that they build on.
        owner: String,
        /// Which files.
        paths: Vec<String>,
    },
    /// A worktree is not on its branch.
    #[error("{dir} is on {found} and not on {branch}: nothing was committed; switch it back")]
    Elsewhere {
        /// The worktree.
        dir: String,
        /// Where it should be.
        branch: String,
        /// Where it is.
        found: String,
    },
    /// Files whose names cannot be told.
    #[error("left uncommitted, as their names are not UTF-8 or they are repositories of their own: {}", .0.join(", "))]
    Unnameable(Vec<String>),
}

impl GitError {
    /// Whether the same may go well a moment later: somebody else held a lock, or wrote meanwhile.
    pub fn is_transient(&self) -> bool {
        let Self::Failed { complaint, .. } = self else { return false };
        const SIGNS: [&str; 8] = [
            ".lock': File exists",
            "cannot lock ref",
            "could not lock config file",
            "failed to fill whole buffer",
            "No such file or directory",
            "no longer match the worktree",
            "database is locked",
            "Resource temporarily unavailable",
        ];
        SIGNS.iter().any(|sign| complaint.contains(sign))
    }
}
