//! What can go wrong in a use case, as kinds that the API gives a status and the CLI an exit code.

use super::engine::Refused;
use super::observe::UnknownSession;
use crate::store::StoreError;
use crate::tmux::TmuxError;

/// What can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A session, by its id or a name.
    Session,
    /// A session, by its conversation.
    Conversation,
    /// A task.
    Task,
    /// A template.
    Template,
    /// A permission request.
    Request,
    /// A rule.
    Rule,
    /// A project.
    Project,
    /// A document.
    Document,
    /// Lines of a document that somebody refers to.
    Reference,
    /// A worktree.
    Worktree,
    /// A tool call.
    Call,
}

impl Thing {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Conversation => "session with Claude Code's session_id",
            Self::Task => "task",
            Self::Template => "template",
            Self::Request => "permission request",
            Self::Rule => "rule",
            Self::Project => "project",
            Self::Document => "document",
            Self::Reference => "reference",
            Self::Worktree => "worktree",
            Self::Call => "tool call",
        }
    }

    /// What lists those that there are. Nobody but hooks asks by a conversation.
    fn listed(self) -> &'static str {
        match self {
            Self::Session => "; `chorus ps --all` lists them",
            Self::Conversation => "",
            Self::Task => "; `chorus task ls` lists them",
            Self::Template => "; `chorus template ls` lists them",
            Self::Request => "; `chorus permissions --all` lists them",
            Self::Rule => "; `chorus rules` lists them",
            Self::Project => "; `GET /api/projects` lists them",
            Self::Document => "; `chorus docs` lists them",
            Self::Reference => "; `chorus docs refs DOCUMENT` lists a document's",
            Self::Worktree => "; `chorus worktrees` lists them",
            Self::Call => "; `chorus logs` lists a session's",
        }
    }
}

/// A use case did not happen, and nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {} {name:?}{}", what.name(), what.listed())]
    NotFound {
        /// What was looked for.
        what: Thing,
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
        Self::NotFound { what: Thing::Session, name: name.to_owned() }
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
        Self::NotFound { what: Thing::Session, name: String::new() }
    }
}
