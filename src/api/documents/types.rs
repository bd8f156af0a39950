//! What the document endpoints take and give.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::problem::{Problem, given};
use crate::api::sessions::Attach;
use crate::domain::document::{Category, Document, Lines};
use crate::domain::outline::Heading;
use crate::services::documents::editor::Opened;

/// Which documents.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only of this project: its id or its name.
    pub project: Option<String>,
    /// Only of this category.
    #[param(inline)]
    pub category: Option<Category>,
    /// Only those with this in their path or description, in any case.
    pub q: Option<String>,
    /// Only those whose file is missing (`true`), or is not.
    pub missing: Option<bool>,
}

/// Whether the file system is looked at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Discover {
    /// Look for documents now. That is seldom needed: files are watched.
    #[serde(default)]
    pub discover: bool,
}

/// Where a document named by its path is.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InProject {
    /// The document is named by its path in this project (id or name); the default one unless given.
    pub project: Option<String>,
}

/// Which lines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Range {
    /// The first line, counted from 1; 1 unless given.
    pub start: Option<u32>,
    /// The last line, inclusive; the last of the document unless given, or if that has fewer.
    pub end: Option<u32>,
}

/// Where an editor begins.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Jump {
    /// The line, counted from 1; 1 unless given.
    pub line: Option<u32>,
}

/// A document with what it says.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DocumentDetail {
    /// The document.
    #[serde(flatten)]
    pub document: Document,
    /// What it says.
    pub content: String,
    /// Its headings, in order.
    pub outline: Vec<Heading>,
    /// How many lines it has.
    pub line_count: u32,
    /// Tells this content from every other: for writing.
    pub etag: String,
}

/// The headings of a document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OutlineView {
    /// The document's path.
    pub path: String,
    /// Its headings, in order.
    pub outline: Vec<Heading>,
    /// How many lines it has.
    pub line_count: u32,
}

/// A line of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Its number, counted from 1.
    pub number: u32,
    /// What it says, without its end.
    pub content: String,
}

/// Some lines of a document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinesView {
    /// The document's path.
    pub path: String,
    /// The first line.
    pub start: u32,
    /// The last line, inclusive.
    pub end: u32,
    /// The lines.
    pub lines: Vec<Line>,
}

impl LinesView {
    pub(super) fn of(path: String, lines: Lines, content: &str) -> Self {
        let numbered = (1..).zip(content.lines()).skip(lines.start() as usize - 1);
        let numbered = numbered.take(lines.count() as usize);
        let line = |(number, content): (u32, &str)| Line { number, content: content.to_owned() };
        let (start, end) = (lines.start(), lines.end());
        Self { path, start, end, lines: numbered.map(line).collect() }
    }
}

/// What a document is to say.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentWrite {
    /// All of it.
    pub content: String,
    /// The `etag` of what was read; not needed with `If-Match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What may be changed about a document.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentPatch {
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What it is about; `null` takes it away.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// It stands before others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
}

/// A problem with what somebody else has written meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// The problem.
    #[serde(flatten)]
    pub problem: Problem,
    /// The document as it is now.
    pub document: DocumentDetail,
}

/// Where an editor was opened.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EditorView {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How to see it, if it runs in a terminal; one with windows of its own shows itself.
    pub attach: Option<Attach>,
}

impl EditorView {
    pub(super) fn of(opened: Opened, socket: &Path) -> Self {
        let attach = opened.terminal.map(|(session, argv)| Attach::of(session, argv, socket));
        Self { argv: opened.argv, attach }
    }
}
