//! What the stand-in remembers: `.git/gitbutler/stand-in.json`.

use serde::{Deserialize, Serialize};

/// How things are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The commit that all branches begin at.
    pub target: String,
    /// The applied branches and the tips that it knows, the newest first.
    pub stacks: Vec<Stack>,
    /// How it was before each operation, the newest last.
    pub log: Vec<Snapshot>,
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Its last commit.
    pub tip: String,
}

/// What `undo` goes back to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The branches.
    pub stacks: Vec<Stack>,
    /// The tree of the whole working directory.
    pub tree: String,
}
