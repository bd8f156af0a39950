//! Documents: markdown files under a project's root, and ranges of their lines.

pub mod patterns;
mod target;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{DocumentId, ProjectId};
use super::names::names;
use super::time::Timestamp;
pub use target::{Target, Where};

/// The longest path of a document, relative to its root. Bytes.
pub const LONGEST_PATH: usize = 512;

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// What Claude is told always: `CLAUDE.md` and `AGENTS.md` anywhere, and all in `.claude/`.
    Instructions,
    /// What is to be done: all in `plans/`, and `PLAN.md`, `TODO.md`, `ROADMAP.md` anywhere.
    Plans,
    /// What people and agents tell each other: all in `communication/`, `messages/`, `notes/` and
    /// `meetings/`, and `NOTES.md`, `HANDOFF.md`, `STATUS.md` anywhere.
    Communication,
    /// What one has to know: all in `docs/`, `doc/`, `specs/` and `spec/`.
    Context,
    /// All others.
    General,
}

names!(Category {
    Instructions => "instructions", Plans => "plans", Communication => "communication",
    Context => "context", General => "general",
});

impl Category {
    /// What a document is for, by its path. A file's name goes before its folder, and the outermost
    /// folder that says something before those in it.
    pub fn of(path: &str) -> Self {
        let mut folders: Vec<&str> = path.split('/').collect();
        let name = folders.pop().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "claude.md" | "claude.local.md" | "agents.md" => return Self::Instructions,
            "plan.md" | "plans.md" | "todo.md" | "roadmap.md" => return Self::Plans,
            "notes.md" | "handoff.md" | "status.md" => return Self::Communication,
            _ => {}
        }
        let of_folder = |folder: &&str| match folder.to_ascii_lowercase().as_str() {
            ".claude" => Some(Self::Instructions),
            "plans" => Some(Self::Plans),
            "communication" | "messages" | "notes" | "meetings" => Some(Self::Communication),
            "docs" | "doc" | "specs" | "spec" => Some(Self::Context),
            _ => None,
        };
        folders.iter().find_map(of_folder).unwrap_or(Self::General)
    }
}

/// A markdown file under a project's root. What it says is on disk alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// Its id. It stays the file's when the file is moved.
    pub id: DocumentId,
    /// The project.
    pub project_id: ProjectId,
    /// Relative to the project's root, with slashes.
    pub path: String,
    /// What it is for: by its path, unless somebody has said otherwise.
    pub category: Category,
    /// What it is about, in somebody's words.
    pub description: Option<String>,
    /// It stands before others.
    pub pinned: bool,
    /// How large the file is.
    pub bytes: i64,
    /// When the file was changed last.
    pub last_modified: Timestamp,
    /// The file is no longer there. What refers to it is kept.
    pub missing: bool,
    /// How many references there are to it.
    pub references: i64,
    /// When it was found first.
    pub created_at: Timestamp,
    /// When anything of this was changed last.
    pub updated_at: Timestamp,
}

/// A document's file as the file system tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative to the project's root, with slashes.
    pub path: String,
    /// Its size.
    pub bytes: i64,
    /// When it was changed last, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its number in the file system, which it keeps when it is moved.
    pub inode: i64,
}

/// What became of a document's file. The names are those of the event `document_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// It is there now.
    Created,
    /// It was written to.
    Changed,
    /// It has another path.
    Moved,
    /// It is gone.
    Deleted,
}

/// A range of lines, counted from 1, inclusive. It has at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    start: u32,
    end: u32,
}

impl Lines {
    /// A range, if there is one from `start` to `end`.
    pub fn new(start: u32, end: u32) -> Option<Self> {
        (start >= 1 && start <= end).then_some(Self { start, end })
    }

    /// The first line.
    pub fn start(self) -> u32 {
        self.start
    }

    /// The last line.
    pub fn end(self) -> u32 {
        self.end
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.end - self.start + 1
    }

    /// The text of these lines, joined by line feeds; `None` if the content has not all of them.
    pub fn of(self, content: &str) -> Option<String> {
        let lines: Vec<&str> =
            content.lines().skip(self.start as usize - 1).take(self.count() as usize).collect();
        (lines.len() == self.count() as usize).then(|| lines.join("\n"))
    }
}

/// How many lines a text has. A line ends with `\n` or `\r\n`; the last one may lack its end.
pub fn line_count(content: &str) -> u32 {
    u32::try_from(content.lines().count()).unwrap_or(u32::MAX)
}

/// Checks that a path could be a document's: relative, inside the root by its text alone, and of
/// characters that people can see.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("expected a path relative to the project's root");
    }
    if path.len() > LONGEST_PATH {
        return Err("is longer than the 512 bytes that are taken");
    }
    if path.chars().any(char::is_control) {
        return Err("has a line break or another control character, which no document's path has");
    }
    if path.starts_with('/') {
        return Err("is absolute: name documents relative to their project's root");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("leads out of the project's root: `..` is not taken");
    }
    if path.split('/').any(|part| part.is_empty() || part == ".") {
        return Err("has an empty part or `.`: write it as `chorus docs` lists it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Category, Lines, check_path, line_count};

    #[test]
    fn a_path_says_what_a_document_is_for() {
        for (path, category) in [
            ("CLAUDE.md", Category::Instructions),
            ("crates/x/CLAUDE.md", Category::Instructions),
            ("docs/AGENTS.md", Category::Instructions),
            (".claude/commands/plans/x.md", Category::Instructions),
            ("plans/auth.md", Category::Plans),
            ("TODO.md", Category::Plans),
            ("docs/plans/x.md", Category::Context),
            ("docs/a/b.md", Category::Context),
            ("specs/x.md", Category::Context),
            ("notes/2026.md", Category::Communication),
            ("HANDOFF.md", Category::Communication),
            ("README.md", Category::General),
            ("docs.md", Category::General),
        ] {
            assert_eq!(Category::of(path), category, "{path}");
        }
    }

    #[test]
    fn lines_are_counted_and_cut() {
        for (content, count) in
            [("", 0), ("\n", 1), ("a", 1), ("a\n", 1), ("a\r\nb", 2), ("a\rb\n", 1)]
        {
            assert_eq!(line_count(content), count, "{content:?}");
        }
        let text = |start, end| Lines::new(start, end)?.of("a\r\nb\n\nd");
        assert_eq!(text(1, 2).as_deref(), Some("a\nb"));
        assert_eq!(text(3, 4).as_deref(), Some("\nd"));
        assert_eq!(text(4, 5), None);
        assert_eq!((Lines::new(0, 1), Lines::new(2, 1)), (None, None));
    }

    #[test]
    fn paths_stay_inside() {
        for good in ["a.md", ".claude/x.md", "docs/a b/ü.md", "a/..b/c...md", "-x.md"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        let long = "x".repeat(513);
        for bad in [
            "",
            "/etc/passwd",
            "../a.md",
            "a/../b.md",
            "a//b.md",
            "./a.md",
            "a/",
            "a\nb.md",
            "a\0",
            &long,
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }
}
