//! What can go wrong in a use case, as kinds that the API gives a status and the CLI an exit code.

use super::engine::Refused;
use super::observe::UnknownSession;
use crate::store::StoreError;
use crate::tmux::TmuxError;

/// A use case did not happen, and nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By what.
        name: String,
    },
    /// A value cannot be used.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which.
        field: String,
        /// Why, and what to do instead.
        problem: String,
    },
    /// It does not go with the present state.
    #[error("{problem}")]
    Conflict {
        /// Why, and what to do instead.
        problem: String,
    },
    /// Whoever asks is not who they must be.
    #[error("{0}")]
    Unauthorised(String),
    /// Whoever asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// It comes too often.
    #[error("this session sends too many hooks; the next is taken in {wait:?}")]
    TooMany {
        /// How long to wait.
        wait: std::time::Duration,
    },
    /// Something that Chorus needs is not there: tmux, Claude Code, the store.
    #[error("{problem}")]
    Unavailable {
        /// What, and what to do about it.
        problem: String,
    },
}

impl Error {
    /// There is no such session.
    pub fn no_session(name: &str) -> Self {
        Self::NotFound { what: "session", name: name.to_owned() }
    }

    /// A value cannot be used.
    pub fn invalid(field: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.to_owned(), problem: problem.into() }
    }

    /// It does not go with the present state.
    pub fn conflict(problem: impl Into<String>) -> Self {
        Self::Conflict { problem: problem.into() }
    }
}

impl From<Refused> for Error {
    fn from(e: Refused) -> Self {
        Self::Unavailable { problem: e.to_string() }
    }
}

impl From<TmuxError> for Error {
    fn from(e: TmuxError) -> Self {
        Self::Unavailable { problem: e.to_string() }
    }
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        Self::Unavailable { problem: e.to_string() }
    }
}

impl From<UnknownSession> for Error {
    fn from(_: UnknownSession) -> Self {
        Self::NotFound { what: "session", name: String::new() }
    }
}
