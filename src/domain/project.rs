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
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}
