//! What a session has changed, file by file, to be read and commented on.

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::highlight::{Highlighter, Piece, language};
use super::patch::{FilePatch, read};
use super::{Asks, Frame, Head, frame_part};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::direction::visible;
use crate::domain::session::Session;
use crate::services::error::Error;
use crate::services::git::{self, Changes};
use crate::services::{App, sessions};
use crate::web::address::element_id;
use crate::web::diff::LineKind;
use crate::web::plain::plain;
use crate::web::shell::Shell;
use crate::web::{Part, html, no_such_part};

/// Lines of one file that are shown at once; a longer one is opened in an editor.
const LINES: usize = 3_000;
/// A line that is longer is cut: it is no line that people read. Characters.
const LONGEST: usize = 2_000;

#[derive(Template)]
#[template(path = "session/changes.html")]
struct Page {
    shell: Shell,
    head: Head,
    asks: Asks,
    tab: &'static str,
    diffs: Diffs,
}

#[derive(Template)]
#[template(path = "session/diffs.html")]
struct Diffs {
    session: String,
    /// Why there is nothing to show.
    problem: String,
    branch: String,
    worktree: String,
    sections: Vec<Section>,
    /// Files that git does not track yet.
    untracked: Vec<String>,
    cut: bool,
}

/// What is on the branch, or what is not committed.
struct Section {
    title: &'static str,
    files: Vec<File>,
}

struct File {
    id: String,
    path: String,
    about: String,
    added: usize,
    removed: usize,
    hunks: Vec<Hunk>,
    /// Lines that are not shown.
    left_out: usize,
}

struct Hunk {
    heading: String,
    lines: Vec<Line>,
}

struct Line {
    class: &'static str,
    sign: char,
    old: Option<u32>,
    new: Option<u32>,
    pieces: Vec<Piece>,
    open: bool,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    match wanted.part.as_deref() {
        None => {
            let Frame { shell, head, asks, tab } = Frame::of(&app, &session, "changes").await?;
            let diffs = diffs(&app, &session).await?;
            html(Page { shell, head, asks, tab, diffs })
        }
        Some("diffs") => html(diffs(&app, &session).await?),
        Some(part) => frame_part(&app, &session, part).await?.ok_or_else(|| no_such_part(part)),
    }
}

async fn diffs(app: &Arc<App>, session: &Session) -> Result<Diffs, Problem> {
    let changes = match git::session_diff(app, session).await {
        Ok(changes) => changes,
        // No repository is no failure of the page.
        Err(Error::Conflict { problem }) => {
            return Ok(Diffs { problem, ..Diffs::empty(session) });
        }
        Err(error) => return Err(error.into()),
    };
    let Changes { branch, worktree, problem, committed, uncommitted, uncommitted_diff, .. } =
        changes;
    let cut = committed.cut || uncommitted_diff.cut;
    let shown: Vec<FilePatch> = read(&uncommitted_diff.patch);
    let tracked = |path: &String| shown.iter().any(|file| file.path == *path);
    let untracked = uncommitted.into_iter().map(|c| c.path).filter(|p| !tracked(p));
    let untracked: Vec<String> = untracked.map(|path| plain(&path)).collect();
    let sections = [
        section("On the branch", "committed", read(&committed.patch)),
        section("Not committed yet", "uncommitted", shown),
    ];
    Ok(Diffs {
        problem: problem.unwrap_or_default(),
        branch: branch.unwrap_or_default(),
        worktree: worktree.unwrap_or_default(),
        sections: sections.into_iter().filter(|s| !s.files.is_empty()).collect(),
        untracked,
        cut,
        ..Diffs::empty(session)
    })
}

impl Diffs {
    fn empty(session: &Session) -> Self {
        Self {
            session: session.id.to_string(),
            problem: String::new(),
            branch: String::new(),
            worktree: String::new(),
            sections: Vec::new(),
            untracked: Vec::new(),
            cut: false,
        }
    }
}

fn section(title: &'static str, name: &'static str, patches: Vec<FilePatch>) -> Section {
    let mut ids = HashSet::new();
    let files = patches.into_iter().map(|patch| {
        let mut id = element_id(name, &patch.path);
        // A file that has become a link is told of twice.
        while !ids.insert(id.clone()) {
            id.push('-');
        }
        file(id, patch)
    });
    Section { title, files: files.collect() }
}

fn file(id: String, patch: FilePatch) -> File {
    let FilePatch { path, about, hunks, added, removed } = patch;
    let language = language(&path);
    let mut room = LINES;
    let mut left_out = 0;
    let hunks = hunks.into_iter().map(|hunk| {
        // Two: what is open in the old text is not so in the new one.
        let mut now = Highlighter::new(language);
        let mut before = Highlighter::new(language);
        let lines = hunk.lines.into_iter().filter_map(|line| {
            if room == 0 {
                left_out += 1;
                return None;
            }
            room -= 1;
            let text: String = plain(&line.text).chars().take(LONGEST).collect();
            let text = visible(&text);
            let (class, sign, pieces) = match line.kind {
                LineKind::Added => ("added", '+', now.line(&text)),
                LineKind::Removed => ("removed", '-', before.line(&text)),
                LineKind::Same => {
                    before.line(&text);
                    ("same", ' ', now.line(&text))
                }
            };
            Some(Line { class, sign, old: line.old, new: line.new, pieces, open: line.open })
        });
        let lines: Vec<Line> = lines.collect();
        Hunk { heading: plain(&hunk.heading), lines }
    });
    let hunks: Vec<Hunk> = hunks.filter(|hunk| !hunk.lines.is_empty()).collect();
    File { id, path: plain(&path), about: about.join(", "), added, removed, hunks, left_out }
}
