//! Exit codes: one table for all commands.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::anyhow;
use serde::Serialize;

use super::client::{NoServer, Refused};

/// How a command has ended. The number is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It was carried out.
    Ok = 0,
    /// It was not, for another reason than those below; or a check has found something.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The server refused it.
    Refused = 3,
    /// There is no server.
    NoServer = 4,
    /// What it is about is not there.
    NotFound = 5,
    /// Claude waits for somebody.
    Waiting = 6,
    /// It took too long.
    TimedOut = 7,
    /// The prompt did not arrive.
    Undelivered = 8,
    /// Claude has ended, could not start, or its turn failed.
    Ended = 9,
}

impl Exit {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Refused,
        Self::NoServer,
        Self::NotFound,
        Self::Waiting,
        Self::TimedOut,
        Self::Undelivered,
        Self::Ended,
    ];

    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => {
                "failed, or a check has found something (doctor, db check, audit verify)"
            }
            Self::Usage => "the command line or the configuration is wrong",
            Self::Refused => {
                "the server refused it: it does not go with the present state, or you may not"
            }
            Self::NoServer => "no server answers",
            Self::NotFound => {
                "there is no such session, task, request or whatever was named, or nothing waits"
            }
            Self::Waiting => {
                "Claude waits for somebody: a permission, a question, a dialog at its start"
            }
            Self::TimedOut => "it was not over within the time allowed",
            Self::Undelivered => "the prompt did not arrive; its text is kept",
            Self::Ended => "Claude has ended, could not start, or its turn failed",
        }
    }

    /// The whole table, a line each.
    pub fn table() -> String {
        let line = |exit: &Self| format!("  {}  {}", *exit as u8, exit.meaning());
        Self::ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// An error that ends the command with this code.
    pub fn error(self, text: impl Display) -> anyhow::Error {
        Failure { exit: self, text: text.to_string() }.into()
    }

    /// The code that a command ends with after this error.
    pub fn of(error: &anyhow::Error) -> Self {
        if let Some(Refused(problem)) = error.downcast_ref() {
            return match problem.status {
                404 => Self::NotFound,
                500.. => Self::Failed,
                _ => Self::Refused,
            };
        }
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.exit;
        }
        if error.is::<NoServer>() { Self::NoServer } else { Self::Failed }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the code that goes with it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Failure {
    exit: Exit,
    text: String,
}

/// Gives the errors of a result a code, with all of their causes in the text.
pub trait OrExit<T> {
    /// Ends the command with this code.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|e| exit.error(format!("{:#}", anyhow!(e))))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::Exit;

    #[test]
    fn codes_are_their_place_in_the_table() {
        for (n, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(exit as usize, n);
            assert!(!exit.meaning().is_empty());
        }
        assert_eq!(Exit::table().lines().count(), Exit::ALL.len());
    }

    #[test]
    fn an_error_keeps_its_code_under_any_context() {
        let error = Err::<(), _>(Exit::Usage.error("no such flag")).context("here").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("anything")), Exit::Failed);
    }
}
