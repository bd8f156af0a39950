//! Excerpts: lines of a document, as they go to Claude with a task.

/// Some lines of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The document's path, relative to its project's root.
    pub path: String,
    /// The first line, counted from 1.
    pub start: u32,
    /// The last line, inclusive.
    pub end: u32,
    /// The lines' text, joined by line feeds, without a final one.
    pub text: String,
    /// Why they matter.
    pub note: Option<String>,
}
