//! Projects: root folders that Chorus serves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::git::GitSettings;
use super::ids::ProjectId;
use super::time::Timestamp;

/// A root folder with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique.
    pub name: String,
    /// Its folder: absolute, with all symbolic links resolved, unique.
    pub root: String,
    /// How the edits of its tasks are kept apart.
    pub git: GitSettings,
    /// Which of its files are documents, if not those that the server's `document_patterns` say.
    pub document_patterns: Option<Vec<String>>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}
