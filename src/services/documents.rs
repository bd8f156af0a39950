//! Documents: the markdown files of projects, found, read and written.
//!
//! What a file says is on disk alone. [`discovery`] has the rows follow the files, [`watch`] hears of
//! their changes, [`files`] opens them, [`editor`] shows them to a person.

pub mod discovery;
pub mod editor;
pub mod files;
mod reconcile;
pub mod scan;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

pub(super) use self::discovery::blocking;
use self::files::{Content, Trouble};
use self::watch::Watch;
use super::error::{Error, Thing};
use super::{App, projects};
use crate::domain::audit::{Act, Actor};
use crate::domain::document::{Document, check_path};
use crate::domain::ids::{DocumentId, ProjectId};
use crate::domain::project::Project;
use crate::store::documents::{self, Filter, Patch};
use crate::store::{Cursor, Page, Write};

/// The longest description. Bytes.
const LONGEST_DESCRIPTION: usize = 2_000;

/// What looks after the documents.
#[derive(Default)]
pub struct Documents {
    watch: Watch,
    /// Rows and files are held against each other by one at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Documents {
    /// Has a project's documents looked for: it is new, or has other patterns, or is gone.
    pub fn project_changed(&self, project: ProjectId) {
        self.watch.project(project);
    }
}

/// Begins to look after the documents of all projects.
pub fn start(app: &Arc<App>) {
    watch::start(app);
}

fn unknown(name: impl ToString) -> Error {
    Error::NotFound { what: Thing::Document, name: name.to_string() }
}

/// What is said about a file that cannot be used.
fn trouble(path: &str, e: Trouble) -> Error {
    match e {
        Trouble::Path(why) => Error::invalid("document", format!("{path:?} {why}")),
        Trouble::System(_) => Error::Unavailable { problem: format!("{path}: {e}") },
        Trouble::Gone | Trouble::TooLarge(_) | Trouble::NotText(_) | Trouble::Changed(_) => {
            Error::conflict(format!("{path}: {e}"))
        }
    }
}

/// Lists documents: the pinned ones first, then by path.
pub async fn list(
    app: &App,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Document>, Error> {
    Ok(documents::list(&app.db, filter, after, limit).await?)
}

/// Looks for documents now: in one project, or in all.
pub async fn discover(app: &App, project: Option<ProjectId>) -> Result<(), Error> {
    let wanted = match project {
        Some(id) => vec![projects::get(app, id).await?],
        None => {
            // A server that has just started may not have it yet.
            projects::default(app).await?;
            projects::list(app).await?
        }
    };
    for project in wanted {
        discovery::discover(app, &project).await?;
    }
    Ok(())
}

/// Finds a document by its id.
pub async fn get(app: &App, id: DocumentId) -> Result<Document, Error> {
    documents::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))
}

/// Finds a document by its path in a project. One that is new is taken up at once.
pub async fn find(app: &App, project: ProjectId, path: &str) -> Result<Document, Error> {
    check_path(path).map_err(|why| Error::invalid("document", format!("{path:?} {why}")))?;
    let project = projects::get(app, project).await?;
    if let Some(document) = documents::by_path(&app.db, project.id, path).await? {
        return Ok(document);
    }
    let (root, name) = (PathBuf::from(&project.root), path.to_owned());
    match blocking(move || files::stat(&root, &name)).await? {
        Ok(_) => {}
        Err(Trouble::Gone) => return Err(unknown(path)),
        Err(e) => return Err(trouble(path, e)),
    }
    discovery::look_at_file(app, &project, path).await?;
    let found = documents::by_path(&app.db, project.id, path).await?;
    found.ok_or_else(|| Error::NotFound {
        what: Thing::Document,
        name: format!(
            "{path} (the file is there, and document_patterns or .gitignore leave it out)"
        ),
    })
}

/// Reads what a document says.
pub async fn content(app: &App, document: &Document) -> Result<Content, Error> {
    let root = root(app, document).await?;
    let path = document.path.clone();
    let read = blocking(move || files::read(&root, &path)).await?;
    read.map_err(|e| trouble(&document.path, e))
}

async fn root(app: &App, document: &Document) -> Result<PathBuf, Error> {
    Ok(PathBuf::from(projects::get(app, document.project_id).await?.root))
}

/// What became of an attempt to write.
pub enum Written {
    /// The document says so now.
    Done(Document, Content),
    /// Somebody else has written meanwhile; this is what they wrote.
    Changed(Document, Content),
}

/// Writes a document, if it still says what `etag` was told of; `*` is whatever it says.
pub async fn write(
    app: &App,
    document: Document,
    text: String,
    etag: &str,
    actor: Actor,
) -> Result<Written, Error> {
    let project = projects::get(app, document.project_id).await?;
    let expected = (etag != "*").then(|| etag.to_owned());
    let (root, path) = (PathBuf::from(&project.root), document.path.clone());
    let written = {
        // Two who write at once write one after the other.
        let _turn = app.documents.turn.lock().await;
        blocking(move || files::write(&root, &path, &text, expected.as_deref())).await?
    };
    let content = match written {
        Ok(content) => content,
        Err(Trouble::Changed(content)) => return Ok(Written::Changed(document, *content)),
        Err(e) => return Err(trouble(&document.path, e)),
    };
    discovery::look_at_file(app, &project, &document.path).await?;
    let data = json!({ "path": document.path, "bytes": content.text.len(), "etag": content.etag });
    audit(app, actor, "document.written", &document, data).await?;
    Ok(Written::Done(get(app, document.id).await?, content))
}

async fn audit(
    app: &App,
    actor: Actor,
    action: &'static str,
    document: &Document,
    data: serde_json::Value,
) -> Result<(), Error> {
    let id = document.id;
    app.engine
        .run(move |_, unit| {
            unit.write(Write::Audit(Act::new(unit.now, actor, action, data).subject(id)));
            Ok(())
        })
        .await
}

/// Changes what is kept about a document.
pub async fn describe(app: &App, id: DocumentId, patch: Patch) -> Result<Document, Error> {
    if let Some(Some(description)) = &patch.description
        && (description.len() > LONGEST_DESCRIPTION
            || description.chars().any(|c| c.is_control() && c != '\n'))
    {
        let why = format!("expected at most {LONGEST_DESCRIPTION} bytes of printable text");
        return Err(Error::invalid("description", why));
    }
    get(app, id).await?;
    if patch != Patch::default() {
        app.engine
            .run(move |_, unit| {
                unit.write(Write::DescribeDocument { id, patch, at: unit.now });
                Ok::<_, Error>(())
            })
            .await?;
    }
    get(app, id).await
}

/// The patterns by which a project's documents are found.
pub fn check_patterns(patterns: &[String]) -> Result<(), Error> {
    let read = crate::domain::document::patterns::Patterns::new(patterns);
    read.map(drop).map_err(|e| Error::invalid("document_patterns", e))
}

/// The project that a project's id or name leads to; the default one without any.
pub async fn project(app: &App, name: Option<&str>) -> Result<Project, Error> {
    let Some(name) = name else { return projects::default(app).await };
    let wanted = name.to_owned();
    let found = app.engine.read(move |live| {
        live.projects().find(|p| p.id.to_string() == wanted || p.name == wanted).cloned()
    });
    found.await?.ok_or_else(|| Error::NotFound { what: Thing::Project, name: name.to_owned() })
}
