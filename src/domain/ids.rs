//! Identifiers. Ours are UUIDv7 (ordered by creation), or small numbers where people say them; Claude
//! Code's are kept as it writes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, format = "uuid")]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes a new identifier from the current time and randomness.
            #[expect(clippy::new_without_default, reason = "a default identifier would be random")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    };
}

id!(
    /// A project: a root folder that Chorus serves.
    ProjectId
);
id!(
    /// A session: a place where Claude runs.
    SessionId
);
id!(
    /// A permission request of Claude Code's.
    PermissionId
);
id!(
    /// A message: one utterance in a session.
    MessageId
);
id!(
    /// A rule that decides permission requests.
    RuleId
);
id!(
    /// A template that tasks are made of.
    TemplateId
);
id!(
    /// One delivery of a hook. The `chorus hook` process makes it, so that an event that is
    /// delivered twice (the acknowledgement was lost) is counted once.
    Stamp
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            utoipa::ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    };
}

number!(
    /// A task. Small, so that people can say it; never given twice.
    TaskId
);
number!(
    /// A markdown file under a project's root.
    DocumentId
);
number!(
    /// A range of a document's lines that a task refers to.
    ReferenceId
);

/// One Claude Code conversation: the `session_id` of its hooks and the stem of its transcript.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct ConversationId(pub String);

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Claude Code's id of one tool call (`toolu_…`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct ToolUseId(pub String);

impl fmt::Display for ToolUseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
