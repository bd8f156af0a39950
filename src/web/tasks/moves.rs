//! What it means to move a task to another column of the board.

use serde::Serialize;

use crate::domain::task::TaskStatus;

/// A column of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Nobody works on these.
    Pending,
    /// A Claude works on these, or is just being told.
    Running,
    /// These wait for a person.
    Waiting,
    /// These were given up, or came to nothing.
    Failed,
    /// These are done.
    Completed,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Running, Self::Waiting, Self::Failed, Self::Completed];

    /// Its name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Waiting => "Waiting for you",
            Self::Failed => "Failed",
            Self::Completed => "Completed",
        }
    }

    /// Whether the newest of its tasks comes first: of what is over the last is looked for, of what is to be done
    /// the most important.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed)
    }

    /// The statuses of its tasks.
    pub const fn statuses(self) -> &'static [TaskStatus] {
        match self {
            Self::Pending => &[TaskStatus::Pending],
            Self::Running => &[TaskStatus::Running, TaskStatus::Assigned],
            Self::Waiting => &[TaskStatus::Waiting],
            Self::Failed => &[TaskStatus::Failed],
            Self::Completed => &[TaskStatus::Completed],
        }
    }
}

/// What a move does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// It is started.
    Start,
    /// It becomes pending again.
    Retry,
    /// The same, and it is started.
    RetryAndStart,
    /// It is completed; its result is asked for.
    Complete,
    /// It is given up; the reason is asked for.
    Fail,
    /// It cannot be moved there: why not, and what can be done instead.
    Refused(&'static str),
}

/// What moving a task of this status to a column does; nothing if it is there.
pub fn of(status: TaskStatus, to: Column) -> Option<Move> {
    use TaskStatus::{Assigned, Completed, Failed, Pending, Running, Waiting};
    if to.statuses().contains(&status) {
        return None;
    }
    let refused = |why| Some(Move::Refused(why));
    match (status, to) {
        (Pending, Column::Running) => Some(Move::Start),
        (Failed, Column::Pending) => Some(Move::Retry),
        (Failed, Column::Running) => Some(Move::RetryAndStart),
        (Assigned | Running | Waiting, Column::Completed) => Some(Move::Complete),
        (Assigned | Running | Waiting, Column::Failed) => Some(Move::Fail),
        (Completed, _) => {
            refused("it is completed, and that is final. Make a new task for what is left.")
        }
        (_, Column::Waiting) => {
            refused("a task waits by itself, once its Claude asks something. Nobody puts it there.")
        }
        (Waiting, Column::Running) => {
            refused("its Claude waits for an answer. Answer on Now, and it goes on.")
        }
        (Assigned | Running | Waiting, _) => {
            refused("a session works on it. Fail it first, then it can be tried again.")
        }
        (Pending, _) => {
            refused("nobody has worked on it. Start it first, or delete it if it is not wanted.")
        }
        (Failed, _) => refused("it has failed. Try it again first."),
    }
}

/// All moves, by status and column, as the board's script reads them.
pub fn all() -> String {
    let of_status = |status: TaskStatus| {
        let moves =
            Column::ALL.iter().map(|to| (to.name().to_owned(), serde_json::json!(of(status, *to))));
        (status.to_string(), serde_json::Value::Object(moves.collect()))
    };
    serde_json::Value::Object(TaskStatus::ALL.iter().copied().map(of_status).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Column, Move, all, of};
    use crate::domain::task::TaskStatus::{self, Assigned, Completed, Failed, Pending};

    #[test]
    fn a_move_is_one_that_the_task_can_make() {
        for &status in TaskStatus::ALL {
            for to in Column::ALL {
                let can = |next| status.to(next).is_ok();
                match of(status, to) {
                    None => assert!(to.statuses().contains(&status)),
                    Some(Move::Start) => assert!(can(Assigned)),
                    Some(Move::Retry | Move::RetryAndStart) => assert!(can(Pending)),
                    Some(Move::Complete) => assert!(can(Completed)),
                    Some(Move::Fail) => assert!(can(Failed)),
                    Some(Move::Refused(why)) => assert!(why.ends_with('.'), "{why}"),
                }
            }
        }
    }

    #[test]
    fn the_script_reads_them_by_status_and_column() {
        let moves: serde_json::Value = serde_json::from_str(&all()).expect("JSON");
        assert_eq!(moves["pending"]["running"], "start");
        assert_eq!(moves["running"]["running"], serde_json::Value::Null);
        assert!(moves["completed"]["pending"]["refused"].is_string());
    }
}
