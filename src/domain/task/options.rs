//! How a task is started.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::names::names;
use crate::domain::session::{Launch, SessionName};

/// How Claude is told of its task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptAs {
    /// As the first prompt.
    #[default]
    FirstPrompt,
    /// As a part of the system prompt, which also outlasts a compaction; the first prompt names it.
    SystemPrompt,
}

/// What keeps the edits of tasks apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitBackend {
    /// A branch of GitButler's, in the one directory that all share.
    Gitbutler,
    /// A git worktree: a directory and a branch of the task's own.
    Worktree,
    /// Nothing.
    #[default]
    None,
}

names!(GitBackend { Gitbutler => "gitbutler", Worktree => "worktree", None => "none" });

/// How a task is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskOptions {
    /// How Claude is launched.
    pub launch: Launch,
    /// The name of the session that is made for it. Made of the title unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub session_name: Option<SessionName>,
    /// The directory to work in: absolute, inside the project. Its root unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_path: Option<String>,
    /// What keeps its edits apart. As the project says unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitBackend>,
    /// How Claude is told of it, in a session of its own.
    pub prompt_as: PromptAs,
    /// When its Claude is started again, it is told of the task again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resend_context: bool,
    /// It completes by itself when Claude's turn has ended and nothing is queued, pending or in the
    /// background; it fails by itself when the turn failed. For tasks that nobody watches.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub complete_on_idle: bool,
    /// Of a reference whose text has changed or is gone, Claude gets the text that it was made for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_stored_text: bool,
    /// The prompt is the description itself, without a heading.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
}
