//! What a task may be: checked before anything is made or changed.

use super::starting;
use crate::claude::profile::Profile;
use crate::domain::document::{Document, Target};
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::project::Project;
use crate::domain::prompt::Prompt;
use crate::domain::reference::{Wanted, check_note};
use crate::domain::task::{self, Task, TaskOptions, cycle};
use crate::services::error::Error;
use crate::services::{App, documents, launch, projects, references, spending};
use crate::store::references::NewReference;
use crate::store::tasks;

/// Tasks that one may depend on.
const NEEDS: usize = 100;
/// Bytes of a description.
pub(super) const DESCRIPTION: usize = 100 * 1024;
/// Bytes of a result.
const RESULT: usize = 100 * 1024;
/// References that a task is made with.
const REFERENCES: usize = 100;

/// What is wrong with a field, as an error.
pub(super) fn invalid(field: &'static str) -> impl Fn(String) -> Error {
    move |problem| Error::invalid(field, problem)
}

/// The project that something is to belong to; the default one if none is named.
pub(super) async fn named_project(app: &App, id: Option<ProjectId>) -> Result<Project, Error> {
    let Some(id) = id else { return projects::default(app).await };
    projects::get(app, id).await.map_err(|e| match e {
        Error::NotFound { .. } => Error::invalid("project_id", "there is no such project"),
        e => e,
    })
}

/// Checks how the lines of documents are named. Whether they are there is seen when a task is made.
pub(super) fn check_references(wanted: &[Wanted]) -> Result<(), Error> {
    if wanted.len() > REFERENCES {
        let problem = format!("expected at most {REFERENCES}");
        return Err(Error::invalid("references", problem));
    }
    for (n, Wanted { target, note }) in wanted.iter().enumerate() {
        let field = format!("references[{n}]");
        Target::parse(target).map_err(|why| Error::invalid(&field, why))?;
        if let Some(note) = note {
            check_note(note).map_err(|why| Error::invalid(&field, why))?;
        }
    }
    Ok(())
}

/// Looks up the lines of documents that somebody names, before anything is made.
pub(super) async fn prepare_references(
    app: &App,
    project: ProjectId,
    wanted: Vec<Wanted>,
) -> Result<Vec<(NewReference, Document)>, Error> {
    check_references(&wanted)?;
    let mut made = Vec::with_capacity(wanted.len());
    for (n, Wanted { target, note }) in wanted.into_iter().enumerate() {
        let field = format!("references[{n}]");
        let found = Target::parse(&target).map_err(|why| Error::invalid(&field, why))?;
        let prepared = async {
            let document = documents::find(app, project, &found.document).await?;
            let new = references::prepare(app, &document, &found.lines, None, note).await?;
            Ok((new, document))
        };
        made.push(prepared.await.map_err(|e: Error| match e {
            Error::Unavailable { .. } => e,
            Error::Invalid { problem, .. } => Error::Invalid { field, problem },
            e => Error::Invalid { field, problem: e.to_string() },
        })?);
    }
    Ok(made)
}

/// Checks what Claude would be told, as far as that can be said before it is.
pub(super) fn check_text(task: &Task) -> Result<(), Error> {
    if task.description.len() > DESCRIPTION {
        let problem = format!(
            "it has {} bytes, the limit is {DESCRIPTION}: put the text into a document and refer to it",
            task.description.len()
        );
        return Err(Error::invalid("description", problem));
    }
    // The newest profile refuses the most.
    let newest = Profile::of("");
    let text = task::prompt::prompt(task, &[]);
    Prompt::new(&text, false, newest.leading_blank_disarms_slash)
        .map_err(|e| Error::invalid("description", e.to_string()))?;
    Ok(())
}

pub(super) fn check_options(options: &TaskOptions, project: &Project) -> Result<(), Error> {
    launch::check(&options.launch).map_err(starting::in_options)?;
    spending::check(options.launch.budget_usd)
        .map_err(|_| Error::invalid("options.launch.budget_usd", "expected more than 0"))?;
    if let Some(path) = &options.workspace_path {
        projects::inside(project, "options.workspace_path", path)?;
    }
    Ok(())
}

/// Checks what a task is to depend on: there, and not on the task itself, however far around. The caller
/// holds `linking`.
pub(super) async fn check_needs(
    app: &App,
    task: Option<TaskId>,
    mut needs: Vec<TaskId>,
) -> Result<Vec<TaskId>, Error> {
    needs.sort_unstable();
    needs.dedup();
    if needs.len() > NEEDS {
        return Err(Error::invalid("depends_on", format!("expected at most {NEEDS} tasks")));
    }
    let mut edges = Vec::new();
    for need in &needs {
        if tasks::by_id(&app.db, *need).await?.is_none() {
            return Err(Error::invalid("depends_on", format!("there is no task {need}")));
        }
        if task.is_some() {
            edges.extend(tasks::edges(&app.db, *need).await?);
        }
    }
    if let Some(way) = task.and_then(|task| cycle(task, &needs, &edges)) {
        let way: Vec<String> = way.iter().map(ToString::to_string).collect();
        let problem = format!("the tasks would wait for one another: {}", way.join(" → "));
        return Err(Error::invalid("depends_on", problem));
    }
    Ok(needs)
}

/// Cuts a result to what is kept, and refuses one that is too long.
pub(super) fn check_result(result: Option<String>) -> Result<Option<String>, Error> {
    match result {
        Some(text) if text.len() > RESULT => {
            Err(Error::invalid("result", format!("expected at most {RESULT} bytes")))
        }
        result => Ok(result.filter(|text| !text.trim().is_empty())),
    }
}
