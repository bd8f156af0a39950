//! Tasks: what people think in. A task has a state machine of its own, beside that of the session it
//! is worked on in; each start of it is an attempt.

mod follow;
mod options;
pub mod prompt;
pub mod template;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use follow::{Heard, Move, follow};
pub use options::{GitBackend, PromptAs, TaskOptions};

use super::ids::{MessageId, ProjectId, SessionId, TaskId};
use super::names::names;
use super::time::Timestamp;

/// The most important and the least important priority are this far from 0.
pub const MOST_PRIORITY: i64 = 1_000_000;
/// Characters of a title.
const TITLE: usize = 200;
/// Labels of a task, and characters of a label.
const LABELS: usize = 32;
const LABEL: usize = 64;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Nobody works on it.
    Pending,
    /// Its prompt is on the way to Claude, not confirmed yet.
    Assigned,
    /// Claude has it.
    Running,
    /// Claude waits for a person's decision.
    Waiting,
    /// Done.
    Completed,
    /// Given up, or its session ended before it was done.
    Failed,
}

names!(TaskStatus {
    Pending => "pending", Assigned => "assigned", Running => "running", Waiting => "waiting",
    Completed => "completed", Failed => "failed",
});

/// In which order tasks are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskSort {
    /// The most important first, then as people put them, then by id.
    #[default]
    Priority,
    /// The last created first.
    CreatedAt,
    /// Those that wait for somebody first, then the running, assigned, pending, failed and completed ones;
    /// within these by priority.
    Status,
}

names!(TaskSort { Priority => "priority", CreatedAt => "created_at", Status => "status" });

/// A task cannot become this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is {from} and cannot become {to}; it can become {}", allowed(*from))]
pub struct IllegalMove {
    /// What it is.
    pub from: TaskStatus,
    /// What it was to become.
    pub to: TaskStatus,
}

fn allowed(from: TaskStatus) -> String {
    let names: Vec<&str> = from.next().iter().map(|s| s.as_str()).collect();
    if names.is_empty() { "nothing else: it is over".into() } else { names.join(", ") }
}

impl TaskStatus {
    /// What it can become.
    pub const fn next(self) -> &'static [Self] {
        use TaskStatus::{Assigned, Completed, Failed, Pending, Running, Waiting};
        match self {
            Pending => &[Assigned],
            // `pending` again: the prompt did not arrive.
            Assigned => &[Running, Waiting, Completed, Failed, Pending],
            Running => &[Waiting, Completed, Failed],
            Waiting => &[Running, Completed, Failed],
            Completed => &[],
            // By retry; or its session goes on.
            Failed => &[Pending, Running],
        }
    }

    /// Checks a move.
    pub fn to(self, to: Self) -> Result<Self, IllegalMove> {
        if self.next().contains(&to) { Ok(to) } else { Err(IllegalMove { from: self, to }) }
    }

    /// Whether a session works on it.
    pub const fn is_at_work(self) -> bool {
        matches!(self, Self::Assigned | Self::Running | Self::Waiting)
    }
}

/// A unit of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// What it is, in one line.
    pub title: String,
    /// What is to be done.
    pub description: String,
    /// Higher is more important.
    pub priority: i64,
    /// Among tasks of the same priority: where people put it, the lowest first.
    pub position: i64,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// The queue may start it as soon as there is room and nothing that it waits for is open.
    pub queued: bool,
    /// Where it is worked on, or was last.
    pub session_id: Option<SessionId>,
    /// How often it was started.
    pub attempts: i64,
    /// How it is started.
    pub options: TaskOptions,
    /// What people sort it by, in the order of the alphabet.
    pub labels: Vec<String>,
    /// What has to be completed before, in the order of their ids.
    pub depends_on: Vec<TaskId>,
    /// What came of it, or why it failed, or why its last start came to nothing.
    pub result: Option<String>,
    /// How often its Claude was started again on request.
    pub restarts: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
    /// When it was given to a session, the last time.
    pub started_at: Option<Timestamp>,
    /// When it was completed or failed.
    pub completed_at: Option<Timestamp>,
}

/// How an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The task was completed.
    Completed,
    /// The task was given up.
    Failed,
    /// Its session ended before it was done. If that goes on, so does the attempt.
    Interrupted,
    /// The prompt did not arrive.
    Undelivered,
}

names!(AttemptOutcome {
    Completed => "completed", Failed => "failed", Interrupted => "interrupted",
    Undelivered => "undelivered",
});

/// One start of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number within the task: 1, 2, 3, …
    pub number: i64,
    /// Where it runs.
    pub session_id: SessionId,
    /// The session was made for it, and ends with it.
    pub own_session: bool,
    /// What keeps its edits apart.
    pub git_backend: GitBackend,
    /// The branch that its edits go to.
    pub branch: Option<String>,
    /// The commit that the branch is based on.
    pub base_commit: Option<String>,
    /// The directory that it has for itself.
    pub worktree: Option<String>,
    /// Exactly what Claude got.
    pub prompt: String,
    /// The message by which it got it.
    pub message_id: Option<MessageId>,
    /// Claude's turn has ended, and nothing has begun since.
    pub turn_ended_at: Option<Timestamp>,
    /// The last commit of its branch, kept when that is discarded.
    #[serde(default)]
    pub head_commit: Option<String>,
    /// What keeps its edits from being committed.
    #[serde(default)]
    pub git_problem: Option<String>,
    /// How it has ended, if it has.
    pub outcome: Option<AttemptOutcome>,
    /// What came of it, or why it failed.
    pub result: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Checks a title: one line that says something. Tells it without blanks around it.
pub fn check_title(title: &str) -> Result<String, String> {
    let title = title.trim();
    let fine =
        !title.is_empty() && title.chars().count() <= TITLE && !title.chars().any(char::is_control);
    fine.then(|| title.to_owned())
        .ok_or_else(|| format!("expected one line of 1 to {TITLE} characters"))
}

/// A title for a prompt: its first line, cut to what a title may have.
pub fn title_of(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("task");
    let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.chars().count() <= 80 {
        return plain;
    }
    let cut: String = plain.chars().take(79).collect();
    format!("{}…", cut.trim_end())
}

/// Checks labels, and puts them in the order in which they are kept.
pub fn check_labels(mut labels: Vec<String>) -> Result<Vec<String>, String> {
    for label in &mut labels {
        *label = label.trim().to_owned();
        let length = label.chars().count();
        if length == 0 || length > LABEL || label.chars().any(|c| c.is_control() || c == ',') {
            return Err(format!("expected labels of 1 to {LABEL} characters without a comma"));
        }
    }
    labels.sort();
    labels.dedup();
    if labels.len() > LABELS {
        return Err(format!("expected at most {LABELS} labels"));
    }
    Ok(labels)
}

/// Checks a priority.
pub fn check_priority(priority: i64) -> Result<i64, String> {
    let fine = (-MOST_PRIORITY..=MOST_PRIORITY).contains(&priority);
    fine.then_some(priority).ok_or_else(|| format!("expected -{MOST_PRIORITY} to {MOST_PRIORITY}"))
}

/// A way from a task over what it depends on back to itself, if there is one. `edges` are all pairs
/// of a task and what it depends on that can be reached from `needs`.
pub fn cycle(task: TaskId, needs: &[TaskId], edges: &[(TaskId, TaskId)]) -> Option<Vec<TaskId>> {
    let mut ways: Vec<Vec<TaskId>> = needs.iter().map(|need| vec![task, *need]).collect();
    let mut seen = std::collections::HashSet::new();
    while let Some(way) = ways.pop() {
        let last = *way.last()?;
        if last == task {
            return Some(way);
        }
        if seen.insert(last) {
            let next = edges.iter().filter(|(from, _)| *from == last);
            ways.extend(next.map(|(_, to)| way.iter().copied().chain([*to]).collect()));
        }
    }
    None
}

#[cfg(test)]
mod tests;
