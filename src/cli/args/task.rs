//! What can be said about tasks.

use clap::Subcommand;

use super::Launch;
use crate::domain::ids::TaskId;
use crate::domain::task::{GitBackend, TaskSort, TaskStatus};

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub enum Tasks {
    /// Make a task; `chorus task start` starts it.
    #[command(visible_alias = "create")]
    New(Box<NewTask>),
    /// List tasks: those that wait for you first, then the running ones.
    Ls(ListTasks),
    /// Show a task: what it waits for, its attempts, what came of them.
    Show(Task),
    /// Change a task. What Claude was told already stays as it is.
    Edit(EditTask),
    /// Start a task in a session of its own, or queue it if it has to wait.
    Start {
        /// The task's number.
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// Of lines that have changed or are gone, tell Claude the text that they were referred to for.
        #[arg(long)]
        use_stored_text: bool,
    },
    /// Give a task to a session that is idle and works on none.
    Assign {
        /// The task's number.
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// The session's name or id.
        session: String,
    },
    /// Complete a task; the session that was made for it ends.
    Complete {
        /// The task's number.
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// What came of it. `-` reads it from standard input.
        result: Option<String>,
        /// Push its branch.
        #[arg(long)]
        push: bool,
        /// Push its branch and make a pull request of it, by `gh`.
        #[arg(long)]
        pr: bool,
    },
    /// Give a task up; the session that was made for it ends.
    Fail {
        /// The task's number.
        #[arg(value_name = "TASK")]
        id: TaskId,
        /// Why. `-` reads it from standard input.
        reason: Option<String>,
        /// Take its branch away, with its edits; asks first. The commit is told that has them.
        #[arg(long)]
        discard: bool,
        /// Do not ask.
        #[arg(long, short, requires = "discard")]
        yes: bool,
    },
    /// Make a failed task pending again.
    Retry(Task),
    /// Delete a task that is pending or failed.
    Rm(Task),
    /// Show what a task has changed.
    Diff(Task),
    /// List the commits on a task's branch.
    Commits(Task),
    /// Show exactly what Claude is told of a task.
    Prompt(Task),
    /// Put tasks of one priority into this order.
    Order {
        /// The tasks' numbers.
        #[arg(required = true, value_name = "TASK")]
        ids: Vec<TaskId>,
    },
}

/// A task.
#[derive(Debug, clap::Args)]
pub struct Task {
    /// The task's number.
    #[arg(value_name = "TASK")]
    pub id: TaskId,
}

/// How important a task is, what it belongs to, what it is made of, and what it waits for.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The task")]
pub struct Ask {
    /// Make it of a template, by its name. What is said beside goes before what the template says.
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// What stands for a variable of the template. May be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", requires = "template")]
    pub variables: Vec<String>,
    /// Wait until this task is completed. May be repeated.
    #[arg(long = "after", value_name = "TASK", value_delimiter = ',')]
    pub after: Vec<TaskId>,
    #[command(flatten)]
    pub marks: Marks,
}

/// How important a task is, what it belongs to, and how it is worked on.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The task")]
pub struct Marks {
    /// Higher is more important [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i64>,
    /// A label. May be repeated.
    #[arg(long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,
    /// Lines of a document that matter: path:10-40, path#Heading or path. May be repeated.
    #[arg(long = "ref", short, value_name = "DOCUMENT")]
    pub refs: Vec<String>,
    /// Complete the task when Claude's turn has ended and nothing follows; nobody has to watch it.
    #[arg(long)]
    pub complete_on_idle: bool,
    /// Work in the directory itself, on whatever is checked out there: the same as --git none.
    #[arg(long, conflicts_with = "git")]
    pub here: bool,
    /// What keeps its edits apart: gitbutler, worktree or none [default: as the project says].
    #[arg(long, value_name = "BACKEND", value_parser = git)]
    pub git: Option<GitBackend>,
}

/// How Claude is told of a task.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The task")]
pub struct Telling {
    /// Tell Claude of it in the system prompt, which outlasts a compaction.
    #[arg(long)]
    pub system_prompt: bool,
    /// Tell Claude of it again whenever it is started again.
    #[arg(long)]
    pub resend_context: bool,
}

/// Makes a task.
#[derive(Debug, clap::Args)]
pub struct NewTask {
    /// What it is, in one line, if no template says so.
    #[arg(required_unless_present = "template")]
    pub title: Option<String>,
    /// What is to be done. `-` reads it from standard input.
    #[arg(long, short)]
    pub description: Option<String>,
    /// Start it by itself as soon as there is room and nothing that it waits for is open.
    #[arg(long, short)]
    pub queue: bool,
    #[command(flatten)]
    pub ask: Ask,
    #[command(flatten)]
    pub telling: Telling,
    #[command(flatten)]
    pub launch: Launch,
}

/// Lists tasks.
#[derive(Debug, clap::Args)]
pub struct ListTasks {
    /// Only with this status.
    #[arg(long, value_parser = status)]
    pub status: Option<TaskStatus>,
    /// Only with this label.
    #[arg(long)]
    pub label: Option<String>,
    /// Only those that this session works on, or did last (name or id).
    #[arg(long)]
    pub session: Option<String>,
    /// Only with this in the title, in any case.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// In which order: status, priority or created_at.
    #[arg(long, value_parser = sort, default_value = "status")]
    pub sort: TaskSort,
    /// The first N.
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    pub first: usize,
}

/// Changes a task.
#[derive(Debug, clap::Args)]
pub struct EditTask {
    /// The task's number.
    #[arg(value_name = "TASK")]
    pub id: TaskId,
    /// What it is, in one line.
    #[arg(long)]
    pub title: Option<String>,
    /// What is to be done. `-` reads it from standard input.
    #[arg(long, short)]
    pub description: Option<String>,
    /// Higher is more important.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i64>,
    /// All of its labels, with commas between them; empty for none.
    #[arg(long, value_name = "LABELS")]
    pub labels: Option<String>,
    /// All that it waits for, with commas between them; empty for nothing.
    #[arg(long, value_name = "TASKS")]
    pub after: Option<String>,
    /// Have it started by itself, or take it out of the queue again: yes or no.
    #[arg(long, value_parser = yes_or_no)]
    pub queue: Option<bool>,
}

fn status(text: &str) -> Result<TaskStatus, String> {
    one_of(TaskStatus::parse(text), TaskStatus::ALL)
}

fn sort(text: &str) -> Result<TaskSort, String> {
    one_of(TaskSort::parse(text), TaskSort::ALL)
}

fn git(text: &str) -> Result<GitBackend, String> {
    one_of(GitBackend::parse(text), GitBackend::ALL)
}

fn one_of<T: ToString>(found: Option<T>, all: &[T]) -> Result<T, String> {
    let names = || all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("expected one of: {}", names()))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("expected yes or no".into()),
    }
}
