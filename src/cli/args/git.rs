//! What can be said of git.

/// How a project's edits are kept apart.
#[derive(Debug, clap::Subcommand)]
pub enum Git {
    /// Show how the edits of this project's tasks are kept apart, and what of that can be used.
    Status(OfProject),
    /// Set the repository up for GitButler: explains what changes, and asks.
    Setup {
        #[command(flatten)]
        project: OfProject,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// Which project.
#[derive(Debug, clap::Args)]
pub struct OfProject {
    /// Its name, id or folder [default: the one of this directory]
    #[arg(long)]
    pub project: Option<String>,
}

/// What to do with worktrees.
#[derive(Debug, clap::Subcommand)]
pub enum Worktrees {
    /// Remove those in which nothing is left to lose; say why the others stay.
    Prune {
        /// Only tell what would be removed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove one.
    #[command(visible_alias = "rm")]
    Remove {
        /// Its name, as they are listed.
        name: String,
        /// Even if it has changes or commits that are nowhere else; the commit is told that has them.
        #[arg(long)]
        force: bool,
    },
}
