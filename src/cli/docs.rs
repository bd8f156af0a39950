//! `chorus docs`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};

use super::args::{Docs, ListDocs};
use super::attach::become_tmux;
use super::client::{Client, encoded};
use super::exit::Exit;
use super::show::{self, documents as print};
use crate::api::documents::{DocumentPatch, EditorView, LinesView, OutlineView};
use crate::api::references::{NewReference, ReferencePatch, ReferenceView};
use crate::domain::document::{Document, Lines, Target, Where};
use crate::domain::ids::TaskId;
use crate::domain::outline::{self, Heading};
use crate::domain::project::Project;

/// References that are listed at most.
const MOST: usize = 1_000;

/// Carries out what is to be done with documents; they are listed unless told.
pub async fn run(client: &Client, what: Option<Docs>, as_json: bool) -> Result<()> {
    match what.unwrap_or(Docs::Ls(ListDocs { most: MOST, ..ListDocs::default() })) {
        Docs::Ls(wanted) => list(client, wanted, as_json).await,
        Docs::Show { target } => print::lines(&lines(client, &target).await?, as_json),
        Docs::Section { target } => print::lines(&section(client, &target).await?, as_json),
        Docs::Outline { document } => {
            let named = Named::find(client, &document).await?;
            let outline: OutlineView = client.get(&named.path("/outline", &[])).await?;
            print::outline(&outline, as_json)
        }
        Docs::Edit { target } => edit(client, &target, as_json).await,
        Docs::Pin { document } => pin(client, &document, true, as_json).await,
        Docs::Unpin { document } => pin(client, &document, false, as_json).await,
        Docs::Refs { document } => {
            let named = Named::find(client, &document).await?;
            let all: Vec<ReferenceView> =
                client.list(&named.path("/references", &[]), MOST).await?;
            print::references(&all, as_json)
        }
        Docs::Refer { target, task, note } => {
            refer(client, &target, task.map(TaskId), note, as_json).await
        }
        Docs::Accept { reference } => {
            let path = format!("/api/references/{reference}");
            let accept = ReferencePatch { accept: true, ..ReferencePatch::default() };
            let accepted: ReferenceView = client.call(Method::PATCH, &path, Some(&accept)).await?;
            print::references(&[accepted], as_json)
        }
        Docs::Unrefer { reference } => {
            let path = format!("/api/references/{reference}");
            let _: Value = client.call(Method::DELETE, &path, None::<&Value>).await?;
            let text = format!("removed reference {reference}");
            show::done(&text, &json!({ "removed": reference }), as_json)
        }
    }
}

/// A document as the API is told of it.
struct Named {
    name: String,
    project: Option<String>,
}

impl Named {
    /// Finds out what somebody means by a name: a path from here, a path from the project's root, or an id.
    async fn find(client: &Client, name: &str) -> Result<Self> {
        let here = std::env::current_dir()?;
        let whole = normalised(&here.join(name));
        // Through a link the same folder has another path.
        let real = whole.parent().and_then(|p| p.canonicalize().ok());
        let real = real.zip(whole.file_name()).map(|(folder, file)| folder.join(file));
        let projects: Vec<Project> = client.get("/api/projects").await?;
        for path in real.iter().chain([&whole]) {
            if let Some(project) = around(&projects, path)
                && let Ok(inside) = path.strip_prefix(&project.root)
                && path.exists()
                && let Some(inside) = inside.to_str()
            {
                let project = Some(project.id.to_string());
                return Ok(Self { name: inside.to_owned(), project });
            }
        }
        if name.parse::<i64>().is_ok() {
            return Ok(Self { name: name.to_owned(), project: None });
        }
        let project = around(&projects, &here).map(|p| p.id.to_string());
        Ok(Self { name: name.to_owned(), project })
    }

    /// The path in the API.
    fn path(&self, rest: &str, query: &[(&str, String)]) -> String {
        let name = encoded(&self.name).replace('/', "%2F");
        let project = self.project.iter().map(|p| ("project", p.clone()));
        let query: Vec<String> = query
            .iter()
            .cloned()
            .chain(project)
            .map(|(key, value)| format!("{key}={}", encoded(&value)))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        // A dot alone would be taken for the folder of the address.
        let name = name.replace('.', "%2E");
        format!("/api/documents/{name}{rest}{mark}{}", query.join("&"))
    }
}

/// Names a document's lines from its project's root, as somebody names them from here.
pub(super) async fn from_root(client: &Client, text: &str) -> Result<String> {
    let Target { document, lines } = target(text)?;
    let named = Named::find(client, &document).await?.name;
    Ok(match lines {
        Where::Whole => named,
        Where::Range(lines) => format!("{named}:{}-{}", lines.start(), lines.end()),
        Where::Section(heading) => format!("{named}#{heading}"),
    })
}

/// The innermost project around a path.
fn around<'p>(projects: &'p [Project], path: &Path) -> Option<&'p Project> {
    projects.iter().filter(|p| path.starts_with(&p.root)).max_by_key(|p| p.root.len())
}

/// A path without `.` and `..`.
fn normalised(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}

fn target(text: &str) -> Result<Target> {
    Target::parse(text).map_err(|why| Exit::Usage.error(why))
}

async fn list(client: &Client, wanted: ListDocs, as_json: bool) -> Result<()> {
    let mut query = Vec::new();
    if !wanted.all {
        let project = match wanted.project {
            Some(project) => Some(project),
            None => {
                let projects: Vec<Project> = client.get("/api/projects").await?;
                let here = std::env::current_dir()?;
                around(&projects, &here).map(|p| p.id.to_string())
            }
        };
        query.extend(project.map(|p| format!("project={}", encoded(&p))));
    }
    query.extend(wanted.category.map(|c| format!("category={c}")));
    query.extend(wanted.text.map(|t| format!("q={}", encoded(&t))));
    if wanted.missing {
        query.push("missing=true".to_owned());
    }
    if wanted.discover {
        query.push("discover=true".to_owned());
    }
    let path = format!("/api/documents?{}", query.join("&"));
    let documents: Vec<Document> = client.list(&path, wanted.most).await?;
    print::documents(&documents, as_json)
}

async fn lines(client: &Client, text: &str) -> Result<LinesView> {
    let Target { document, lines } = target(text)?;
    let named = Named::find(client, &document).await?;
    match lines {
        Where::Whole => client.get(&named.path("/lines", &[])).await,
        Where::Range(lines) => {
            let query = [("start", lines.start().to_string()), ("end", lines.end().to_string())];
            client.get(&named.path("/lines", &query)).await
        }
        Where::Section(heading) => {
            let line = heading_of(client, &named, &heading).await?.line;
            client.get(&named.path(&format!("/section/{line}"), &[])).await
        }
    }
}

async fn section(client: &Client, text: &str) -> Result<LinesView> {
    match target(text)? {
        Target { document, lines: Where::Range(lines) } if lines.count() == 1 => {
            let named = Named::find(client, &document).await?;
            client.get(&named.path(&format!("/section/{}", lines.start()), &[])).await
        }
        Target { lines: Where::Section(_), .. } => lines(client, text).await,
        _ => {
            Err(Exit::Usage
                .error("name a heading: path#Heading, or path:10 for the one on line 10"))
        }
    }
}

async fn heading_of(client: &Client, named: &Named, text: &str) -> Result<Heading> {
    let outline: OutlineView = client.get(&named.path("/outline", &[])).await?;
    outline::find(&outline.outline, text).cloned().ok_or_else(|| {
        Exit::NotFound.error(format!(
            "{} has no heading {text:?}; `chorus docs outline` lists them",
            show::safe(&outline.path)
        ))
    })
}

async fn edit(client: &Client, text: &str, as_json: bool) -> Result<()> {
    let Target { document, lines } = target(text)?;
    let named = Named::find(client, &document).await?;
    let line = match lines {
        Where::Whole => 1,
        Where::Range(lines) => lines.start(),
        Where::Section(heading) => heading_of(client, &named, &heading).await?.line,
    };
    let path = named.path("/edit", &[("line", line.to_string())]);
    let opened: EditorView = client.post(&path, &json!({})).await?;
    if let Some(attach) = opened.attach.as_ref().filter(|_| !as_json) {
        become_tmux(attach)?;
    }
    let program = opened.argv.first().map_or("the editor", String::as_str).to_owned();
    show::done(&format!("opened in {}", show::safe(&program)), &opened, as_json)
}

async fn pin(client: &Client, document: &str, pinned: bool, as_json: bool) -> Result<()> {
    let named = Named::find(client, document).await?;
    let patch = DocumentPatch { pinned: Some(pinned), ..DocumentPatch::default() };
    let document: Document = client.call(Method::PATCH, &named.path("", &[]), Some(&patch)).await?;
    let what = if pinned { "pinned" } else { "no longer pinned:" };
    show::done(&format!("{what} {}", show::safe(&document.path)), &document, as_json)
}

async fn refer(
    client: &Client,
    text: &str,
    task_id: Option<TaskId>,
    note: Option<String>,
    as_json: bool,
) -> Result<()> {
    let named = Named::find(client, &target(text)?.document).await?;
    let view = lines(client, text).await?;
    let lines = Lines::new(view.start, view.end).ok_or_else(|| {
        Exit::Usage.error(format!("{} has no lines to refer to", show::safe(&view.path)))
    })?;
    let (start_line, end_line) = (lines.start(), lines.end());
    let new = NewReference { task_id, start_line, end_line, note };
    let made: ReferenceView = client.post(&named.path("/references", &[]), &new).await?;
    print::references(&[made], as_json)
}
