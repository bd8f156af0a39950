//! References: lines of documents that matter to tasks. They follow their text, and say so when it was
//! changed; what was changed is accepted by people only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde_json::json;

use super::error::{Error, Thing};
use super::{App, documents};
use crate::domain::document::{Document, FileChange, Lines, Target, Where, line_count};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::excerpt::Excerpt;
use crate::domain::ids::{DocumentId, ProjectId, ReferenceId, TaskId};
use crate::domain::outline;
use crate::domain::reference::{LONGEST_TEXT, Reference, ReferenceState, Standing, check_note};
use crate::domain::time::Timestamp;
use crate::store::references::{self, NewReference, ReferenceChange};
use crate::store::{Slot, Write};

/// References that a task has at most: all of them are in one prompt.
const MOST: u32 = 100;
/// References that are held against a document together.
const PAGE: u32 = 50;

/// A reference, its document, and how the two stand to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The reference.
    pub reference: Reference,
    /// The document.
    pub document: Document,
    /// How it stands to what the document says.
    pub standing: Standing,
}

fn unknown(id: ReferenceId) -> Error {
    Error::NotFound { what: Thing::Reference, name: id.to_string() }
}

/// Holds references against their documents, each of which is read once, and has those follow whose
/// text is at other lines.
async fn shown(app: &App, found: Vec<Reference>) -> Result<Vec<Shown>, Error> {
    let mut read: HashMap<DocumentId, (Document, Option<Arc<str>>)> = HashMap::new();
    let mut all = Vec::with_capacity(found.len());
    for mut reference in found {
        let (document, content) = match read.entry(reference.document) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let document = documents::get(app, reference.document).await?;
                let content = content(app, &document).await?;
                new.insert((document, content))
            }
        };
        let standing = stands(&reference, content.clone()).await?;
        follow_to(app, &mut reference, &standing).await?;
        all.push(Shown { reference, document: document.clone(), standing });
    }
    Ok(all)
}

/// What a document says; `None` if that cannot be told for a reason that lies in the file.
async fn content(app: &App, document: &Document) -> Result<Option<Arc<str>>, Error> {
    match documents::content(app, document).await {
        Ok(content) => Ok(Some(content.text.into())),
        Err(Error::Conflict { .. } | Error::Invalid { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

async fn stands(reference: &Reference, content: Option<Arc<str>>) -> Result<Standing, Error> {
    let reference = reference.clone();
    documents::blocking(move || reference.stands(content.as_deref())).await
}

/// Notes where a text is that was found at other lines. What was changed stays where it was.
async fn follow_to(app: &App, reference: &mut Reference, standing: &Standing) -> Result<(), Error> {
    let same = matches!(standing.state, ReferenceState::Current | ReferenceState::Moved);
    if !same || standing.lines == reference.lines {
        return Ok(());
    }
    reference.lines = standing.lines;
    change(app, reference.id, ReferenceChange::Follow(standing.lines)).await
}

/// The event of a change to what refers to a document: whoever looks at it, or at the task, sees it.
pub(in crate::services) fn told(
    document: &Document,
    task: Option<TaskId>,
    at: Timestamp,
) -> NewEvent {
    let Document { id, project_id, path, .. } = document;
    let data = json!({
        "document_id": id, "project_id": project_id, "path": path, "change": FileChange::Changed,
        "task_id": task,
    });
    NewEvent::of(EventKind::DocumentChange, None, at, &data)
}

/// Changes a reference for a person.
async fn change_told(app: &App, shown: &Shown, change: ReferenceChange) -> Result<(), Error> {
    let (id, task, document) = (shown.reference.id, shown.reference.task, shown.document.clone());
    app.engine
        .run(move |_, unit| {
            unit.write(Write::ChangeReference { id, change, at: unit.now });
            unit.write(Write::Event(told(&document, task, unit.now)));
            Ok(())
        })
        .await
}

async fn change(app: &App, id: ReferenceId, change: ReferenceChange) -> Result<(), Error> {
    app.engine
        .run(move |_, unit| {
            unit.write(Write::ChangeReference { id, change, at: unit.now });
            Ok(())
        })
        .await
}

/// Has the references to a document follow their texts.
pub(super) async fn follow(app: &App, document: DocumentId) -> Result<(), Error> {
    let mut after = 0;
    loop {
        let page = references::of_document(&app.db, document, after, PAGE).await?;
        let Some(last) = page.last().map(|r| r.id.0) else { return Ok(()) };
        match shown(app, page).await {
            // It is gone already, which is told as any other change.
            Err(Error::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        after = last;
    }
}

/// Finds a reference.
pub async fn get(app: &App, id: ReferenceId) -> Result<Shown, Error> {
    let found = references::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))?;
    shown(app, vec![found]).await?.pop().ok_or_else(|| unknown(id))
}

/// Lists the references to a document, by id, after one of them.
pub async fn of_document(
    app: &App,
    document: DocumentId,
    after: i64,
    limit: u32,
) -> Result<Vec<Shown>, Error> {
    shown(app, references::of_document(&app.db, document, after, limit).await?).await
}

/// Lists the references of a task, in the order they were made.
pub async fn of_task(app: &App, task: TaskId) -> Result<Vec<Shown>, Error> {
    shown(app, references::of_task(&app.db, task, MOST).await?).await
}

/// Makes out of what somebody named what is to be referred to, without keeping it.
pub async fn prepare(
    app: &App,
    document: &Document,
    lines: &Where,
    task: Option<TaskId>,
    note: Option<String>,
) -> Result<NewReference, Error> {
    if let Some(note) = &note {
        check_note(note).map_err(|why| Error::invalid("note", why))?;
    }
    if let Some(task) = task {
        if !references::has_task(&app.db, task).await? {
            return Err(Error::invalid("task_id", "there is no such task"));
        }
        if references::count_of_task(&app.db, task).await? >= i64::from(MOST) {
            let why = format!(
                "the task has {MOST} references already: remove some, or take more lines together"
            );
            return Err(Error::conflict(why));
        }
    }
    let content = documents::content(app, document).await?.text;
    let count = line_count(&content);
    let lines = match lines {
        Where::Range(lines) if lines.end() <= count => *lines,
        Where::Range(lines) => {
            let field = if lines.start() > count { "start_line" } else { "end_line" };
            let why = format!("{} has {count} lines", document.path);
            return Err(Error::invalid(field, why));
        }
        Where::Whole => Lines::new(1, count)
            .ok_or_else(|| Error::invalid("start_line", format!("{} is empty", document.path)))?,
        Where::Section(heading) => section(document, &content, heading, count)?,
    };
    let text = lines.of(&content).unwrap_or_default();
    if text.len() > LONGEST_TEXT {
        let why =
            format!("these lines have {} bytes; at most {LONGEST_TEXT} are taken", text.len());
        return Err(Error::invalid("end_line", why));
    }
    Ok(NewReference { document: document.id, task, lines, text, note })
}

fn section(document: &Document, content: &str, heading: &str, count: u32) -> Result<Lines, Error> {
    let heads = outline::outline(content);
    let found = outline::find(&heads, heading);
    let lines = found.and_then(|h| outline::section(&heads, h.line, count));
    lines.ok_or_else(|| {
        let why = format!(
            "{} has no heading {heading:?}; `chorus docs outline` lists them",
            document.path
        );
        Error::invalid("document", why)
    })
}

/// Makes a reference.
pub async fn create(app: &App, new: NewReference) -> Result<Shown, Error> {
    let id = Slot::default();
    let given = id.clone();
    let document = documents::get(app, new.document).await?;
    app.engine
        .run(move |_, unit| {
            let task = new.task;
            unit.write(Write::AddReference { reference: Box::new(new), at: unit.now, id });
            unit.write(Write::Event(told(&document, task, unit.now)));
            Ok::<_, Error>(())
        })
        .await?;
    let gone = || Error::conflict("its document or its task was removed meanwhile");
    get(app, given.get().ok_or_else(gone)?).await
}

/// Makes a reference of a task's to what somebody wrote: `path:10-40`, `path:10`, `path#Heading`, `path`.
pub async fn add(
    app: &App,
    project: ProjectId,
    task: TaskId,
    spec: &str,
    note: Option<String>,
) -> Result<Shown, Error> {
    let target = Target::parse(spec).map_err(|why| Error::invalid("references", why))?;
    let document = documents::find(app, project, &target.document).await?;
    let new = prepare(app, &document, &target.lines, Some(task), note).await?;
    create(app, new).await
}

/// What is to change about a reference.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Why it matters; `Some(None)` takes it away.
    pub note: Option<Option<String>>,
    /// Other lines, whose text is its text from now on.
    pub lines: Option<Lines>,
    /// What stands in its place now is its text from now on.
    pub accept: bool,
}

/// Changes a reference.
pub async fn update(app: &App, id: ReferenceId, patch: Patch) -> Result<Shown, Error> {
    let now = get(app, id).await?;
    if let Some(Some(note)) = &patch.note {
        check_note(note).map_err(|why| Error::invalid("note", why))?;
    }
    let lines = match (patch.lines, patch.accept) {
        (Some(lines), _) => Some(lines),
        (None, true) if now.standing.text.is_none() => {
            let path = &now.document.path;
            return Err(Error::conflict(format!(
                "nothing is left in {path} that could be accepted: name other lines, or delete the reference"
            )));
        }
        (None, true) => Some(now.standing.lines),
        (None, false) => None,
    };
    if let Some(lines) = lines {
        let new = prepare(app, &now.document, &Where::Range(lines), None, None).await?;
        if patch.lines.is_none() && Some(&new.text) != now.standing.text.as_ref() {
            return Err(Error::conflict("the document was changed meanwhile: look at it again"));
        }
        change_told(app, &now, ReferenceChange::Accept(new.lines, new.text)).await?;
    }
    if let Some(note) = patch.note {
        change_told(app, &now, ReferenceChange::Note(note)).await?;
    }
    get(app, id).await
}

/// Removes a reference.
pub async fn remove(app: &App, id: ReferenceId) -> Result<(), Error> {
    let found = references::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))?;
    let document = documents::get(app, found.document).await?;
    app.engine
        .run(move |_, unit| {
            unit.write(Write::DeleteReference(id));
            unit.write(Write::Event(told(&document, found.task, unit.now)));
            Ok(())
        })
        .await
}

/// The lines of documents that go into a task's prompt. Of a text that was changed those that stand in
/// its place now; what is no longer there is a conflict that names it. With `use_stored` it is in both
/// cases the text that the reference was made for.
pub async fn excerpts(app: &App, task: TaskId, use_stored: bool) -> Result<Vec<Excerpt>, Error> {
    let excerpt = |shown: Shown| {
        let Shown { reference, document, standing } = shown;
        let stored = use_stored
            && matches!(standing.state, ReferenceState::Drifted | ReferenceState::Missing);
        let (lines, text) = match standing.text {
            Some(text) if !stored => (standing.lines, text),
            _ if stored => (reference.lines, reference.text),
            _ => {
                return Err(Error::conflict(format!(
                    "{} lines {}-{} (reference {}) are no longer there: restore the file, remove the reference, or say that the stored text is to be used",
                    document.path,
                    reference.lines.start(),
                    reference.lines.end(),
                    reference.id
                )));
            }
        };
        Ok(Excerpt {
            path: document.path,
            start: lines.start(),
            end: lines.end(),
            text,
            note: reference.note,
        })
    };
    of_task(app, task).await?.into_iter().map(excerpt).collect()
}
