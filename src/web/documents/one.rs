//! One document: what it says, rendered or as its source, and what refers to it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;

use super::piece::{Line, Piece, pieces};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::document::{Category, Document, line_count};
use crate::domain::ids::{DocumentId, TaskId};
use crate::domain::outline::{self, Heading};
use crate::domain::reference::ReferenceState;
use crate::services::documents::files::Content;
use crate::services::error::Error;
use crate::services::{App, documents, projects, references};
use crate::store;
use crate::web::address;
use crate::web::markdown::{self, SafeHtml};
use crate::web::shell::Shell;
use crate::web::{html, no_such_part};

/// Headings and references that are shown.
const HEADINGS: usize = 400;
const REFERENCES: u32 = 50;
/// Bytes of a rendered piece: nothing that can be read is longer, but nested blocks can be.
const RENDERED: usize = 2 * 1024 * 1024;

/// How it is shown.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum View {
    #[default]
    Rendered,
    Source,
}

/// Which part of the page, and where in the document.
#[derive(Deserialize)]
pub struct Wanted {
    part: Option<String>,
    #[serde(default)]
    view: View,
    /// A line that is to be on the page.
    line: Option<u32>,
}

#[derive(Template)]
#[template(path = "documents/document.html", blocks = ["about", "content", "margin"])]
struct Page {
    shell: Shell,
    document: Document,
    project: String,
    categories: &'static [Category],
    is_source: bool,
    as_rendered: String,
    as_source: String,
    /// Where a part comes from, anew: the name of the part is to be added.
    source: String,
    text: Text,
    marks: Vec<Mark>,
    more_marks: bool,
}

/// What a document says, or why that cannot be told.
#[derive(Default)]
struct Text {
    problem: String,
    count: u32,
    first: u32,
    last: u32,
    /// Its place among the pieces, counted from 1, and how many there are.
    number: usize,
    of: usize,
    before: Option<u32>,
    next: Option<u32>,
    outline: Vec<Heading>,
    more_headings: bool,
    rendered: SafeHtml,
    /// It cannot be rendered: it is shown as its source.
    plain: bool,
    /// Bytes of a line without end that are not rendered.
    left_out: usize,
    lines: Vec<Shown>,
}

/// A line as the page shows it.
struct Shown {
    number: u32,
    text: String,
    left_out: usize,
}

/// A reference, beside the lines that it is to.
struct Mark {
    id: i64,
    state: &'static str,
    start: u32,
    end: u32,
    here: bool,
    /// The text as it was, if it was changed.
    was: String,
    note: String,
    task: Option<(TaskId, String)>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    uri: Uri,
    Path(id): Path<DocumentId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "documents").await?;
    let document = documents::get(&app, id).await?;
    let is_source = wanted.view == View::Source;
    let part = wanted.part.as_deref();
    let text = match documents::content(&app, &document).await {
        Ok(content) => text(content, is_source, wanted.line.unwrap_or(1), part).await?,
        Err(e @ (Error::Conflict { .. } | Error::Invalid { .. })) => {
            Text { problem: e.to_string(), ..Text::default() }
        }
        Err(e) => return Err(e.into()),
    };
    let (marks, more_marks) = match part {
        None | Some("margin") => marks(&app, id, &text).await?,
        _ => (Vec::new(), false),
    };
    let page = Page {
        shell,
        project: projects::get(&app, document.project_id).await?.name,
        document,
        categories: Category::ALL,
        is_source,
        as_rendered: address::with(&uri, &[("view", ""), ("part", "")]),
        as_source: address::with(&uri, &[("view", "source"), ("part", "")]),
        source: address::with(&uri, &[("part", "PART")]),
        text,
        marks,
        more_marks,
    };
    match part {
        None => html(page),
        Some("about") => html(page.as_about()),
        Some("content") => html(page.as_content()),
        Some("margin") => html(page.as_margin()),
        Some(part) => Err(no_such_part(part)),
    }
}

impl Page {
    /// Where a part comes from, anew.
    fn part(&self, name: &str) -> String {
        self.source.replace("part=PART", &format!("part={name}"))
    }

    /// Where a line is.
    fn at(&self, line: &u32) -> String {
        let view = if self.is_source { "view=source&" } else { "" };
        format!("/documents/{}?{view}line={line}#L{line}", self.document.id)
    }

    fn size(&self) -> String {
        match self.document.bytes {
            bytes @ ..1024 => format!("{bytes} bytes"),
            bytes @ ..1_048_576 => format!("{} KiB", bytes / 1024),
            bytes => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        }
    }
}

async fn text(
    content: Content,
    is_source: bool,
    line: u32,
    part: Option<&str>,
) -> Result<Text, Problem> {
    let renders = matches!(part, None | Some("content"));
    // A hostile document may take long to be parsed: nobody else waits for it.
    let made = tokio::task::spawn_blocking(move || of_content(&content, is_source, line, renders));
    made.await.map_err(|e| Error::Unavailable { problem: e.to_string() }.into())
}

fn of_content(content: &Content, is_source: bool, line: u32, renders: bool) -> Text {
    let heads = outline::outline(&content.text);
    let pieces = pieces(&content.text, &heads);
    let at = pieces.iter().position(|p| p.has(line)).unwrap_or(pieces.len() - 1);
    let piece = pieces[at];
    let mut text = Text {
        count: line_count(&content.text),
        first: piece.first,
        last: piece.last,
        number: at + 1,
        of: pieces.len(),
        before: at.checked_sub(1).map(|before| pieces[before].first),
        next: pieces.get(at + 1).map(|next| next.first),
        ..Text::default()
    };
    if renders {
        if !is_source {
            render(&mut text, piece, &content.text);
        }
        if is_source || text.plain {
            let shown =
                |l: Line| Shown { number: l.number, text: l.text.to_owned(), left_out: l.left_out };
            text.lines = piece.lines(&content.text).into_iter().map(shown).collect();
        }
    }
    text.more_headings = heads.len() > HEADINGS;
    // Of too many headings those are shown that are on this page.
    let heads = heads.into_iter().filter(|h| !text.more_headings || piece.has(h.line));
    text.outline = heads.take(HEADINGS).collect();
    text
}

fn render(text: &mut Text, piece: Piece, content: &str) {
    // CommonMark takes a lone carriage return for a line's end; everybody else here does not.
    let source = piece.text(content).replace("\r\n", "\n").replace('\r', " ");
    let rendered = markdown::render_document(&source, piece.first == 1);
    text.plain = rendered.to_string().len() > RENDERED;
    if !text.plain {
        text.rendered = rendered;
        text.left_out = piece.left_out();
    }
}

async fn marks(app: &App, id: DocumentId, text: &Text) -> Result<(Vec<Mark>, bool), Error> {
    let mut found = references::of_document(app, id, 0, REFERENCES + 1).await?;
    let more = found.len() > REFERENCES as usize;
    found.truncate(REFERENCES as usize);
    let mut marks = Vec::with_capacity(found.len());
    for shown in found {
        let references::Shown { reference, standing, .. } = shown;
        let lost = matches!(standing.state, ReferenceState::Drifted | ReferenceState::Missing);
        let task = match reference.task {
            Some(id) => store::tasks::by_id(&app.db, id).await?.map(|t| (id, t.title)),
            None => None,
        };
        marks.push(Mark {
            id: reference.id.0,
            state: standing.state.as_str(),
            start: standing.lines.start(),
            end: standing.lines.end(),
            here: text.first <= standing.lines.end() && standing.lines.start() <= text.last,
            was: if lost { reference.text.chars().take(2_000).collect() } else { String::new() },
            note: reference.note.unwrap_or_default(),
            task,
        });
    }
    marks.sort_by_key(|m| (m.start, m.id));
    Ok((marks, more))
}
