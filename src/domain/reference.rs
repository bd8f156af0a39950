//! References: ranges of a document's lines that matter to a task. They follow their text.

mod relocate;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::document::Lines;
use super::hex::hex;
use super::ids::{DocumentId, ReferenceId, TaskId};
use super::names::names;
use super::time::Timestamp;
pub use relocate::{Relocation, relocate};

/// The longest text that a reference holds. Bytes.
pub const LONGEST_TEXT: usize = 256 * 1024;
/// The longest note. Bytes.
pub const LONGEST_NOTE: usize = 2_000;

/// Lines of a document, as somebody names them: `path:10-40`, `path#Heading`, `path`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The document and its lines.
    pub target: String,
    /// Why they matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A range of lines as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its id.
    pub id: ReferenceId,
    /// The document.
    pub document: DocumentId,
    /// The task that it belongs to.
    pub task: Option<TaskId>,
    /// Where its text was seen last.
    pub lines: Lines,
    /// Where its text was when it was made, or accepted last.
    pub made_at: Lines,
    /// Why the lines matter.
    pub note: Option<String>,
    /// The text as it was when it was made, or accepted last.
    pub text: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed or followed its text last.
    pub updated_at: Timestamp,
}

/// How a reference stands to what its document says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceState {
    /// The text is where it was when the reference was made or accepted last.
    Current,
    /// The text is the same, at other lines.
    Moved,
    /// The text was changed. What stands in its place now is shown, and so is what was there.
    Drifted,
    /// The text is no longer there, or its file is not, or cannot be read.
    Missing,
}

names!(ReferenceState {
    Current => "current", Moved => "moved", Drifted => "drifted", Missing => "missing",
});

/// A reference held against what its document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How it stands.
    pub state: ReferenceState,
    /// Where its text is, or what stands in its place; where it was last if neither is there.
    pub lines: Lines,
    /// What these lines say; `None` if it is missing.
    pub text: Option<String>,
}

impl Reference {
    /// Holds it against what its document says now; `None` if there is nothing to hold it against.
    pub fn stands(&self, content: Option<&str>) -> Standing {
        let gone = Standing { state: ReferenceState::Missing, lines: self.lines, text: None };
        let Some(content) = content else { return gone };
        let (state, lines) = match relocate(&self.text, self.lines, content) {
            Relocation::Unchanged if self.lines == self.made_at => {
                (ReferenceState::Current, self.lines)
            }
            Relocation::Unchanged => (ReferenceState::Moved, self.lines),
            Relocation::Moved(lines) if lines == self.made_at => (ReferenceState::Current, lines),
            Relocation::Moved(lines) => (ReferenceState::Moved, lines),
            Relocation::Drifted { range } => (ReferenceState::Drifted, range),
            Relocation::Gone => return gone,
        };
        Standing { state, lines, text: lines.of(content) }
    }
}

/// The fingerprint of a range's text: two texts with the same one are the same.
pub fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Checks a note.
pub fn check_note(note: &str) -> Result<(), &'static str> {
    if note.len() > LONGEST_NOTE {
        return Err("at most 2000 bytes are taken");
    }
    if note.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("has control characters, which are not taken");
    }
    Ok(())
}
