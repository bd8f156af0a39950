//! Making tasks, changing, ordering and removing them.

use std::sync::Arc;

use serde_json::json;

use super::finding::{View, view};
use super::follow::{act, change, tell_new, unknown};
use super::{load, starting, wake};
use crate::claude::profile::Profile;
use crate::domain::audit::Actor;
use crate::domain::document::Target;
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::project::Project;
use crate::domain::prompt::Prompt;
use crate::domain::task::{
    self, Task, TaskOptions, TaskStatus, check_labels, check_priority, check_title, cycle,
};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::live::{Known, Live};
use crate::services::references;
use crate::services::{App, documents, git, launch, projects, spending};
use crate::store::references::NewReference;
use crate::store::{Slot, Write, tasks};

/// Tasks that one may depend on.
const NEEDS: usize = 100;
/// Bytes of a description.
const DESCRIPTION: usize = 100 * 1024;
/// Bytes of a result.
const RESULT: usize = 100 * 1024;
/// References that a task is made with.
const REFERENCES: usize = 100;
/// Tasks that are put in order at once.
const ORDERED: usize = 500;

/// A task as somebody wants it.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// The project; the default one if there is none.
    pub project: Option<ProjectId>,
    /// Its title.
    pub title: String,
    /// What is to be done.
    pub description: String,
    /// How important it is.
    pub priority: i64,
    /// Its labels.
    pub labels: Vec<String>,
    /// What has to be completed before.
    pub depends_on: Vec<TaskId>,
    /// How it is started.
    pub options: TaskOptions,
    /// Lines of documents that matter for it.
    pub references: Vec<Wanted>,
    /// The queue starts it as soon as it can.
    pub queued: bool,
    /// Makes a repeated request safe.
    pub idempotency_key: Option<String>,
}

/// Lines of a document, as somebody names them: `path:10-40`, `path#Heading`, `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The document and its lines.
    pub target: String,
    /// Why they matter.
    pub note: Option<String>,
}

/// What is to change about a task.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Its title.
    pub title: Option<String>,
    /// What is to be done.
    pub description: Option<String>,
    /// How important it is.
    pub priority: Option<i64>,
    /// Its labels.
    pub labels: Option<Vec<String>>,
    /// What has to be completed before.
    pub depends_on: Option<Vec<TaskId>>,
    /// How it is started.
    pub options: Option<TaskOptions>,
    /// Whether the queue is to start it.
    pub queued: Option<bool>,
}

fn invalid(field: &'static str) -> impl Fn(String) -> Error {
    move |problem| Error::invalid(field, problem)
}

/// Makes a task.
pub async fn create(app: &Arc<App>, new: New, actor: Actor) -> Result<View, Error> {
    if let Some(key) = &new.idempotency_key
        && let Some(made) = tasks::by_idempotency_key(&app.db, key).await?
    {
        return view(app, made.id).await;
    }
    let project = match new.project {
        Some(id) => projects::get(app, id).await.map_err(|e| match e {
            Error::NotFound { .. } => Error::invalid("project_id", "there is no such project"),
            e => e,
        })?,
        None => projects::default(app).await?,
    };
    let title = check_title(&new.title).map_err(invalid("title"))?;
    let priority = check_priority(new.priority).map_err(invalid("priority"))?;
    let labels = check_labels(new.labels).map_err(invalid("labels"))?;
    check_options(&new.options, &project)?;
    let references = prepare_references(app, project.id, new.references).await?;
    // What others depend on must not be deleted while somebody begins to depend on it.
    let _linking = app.desk.linking().await;
    let depends_on = check_needs(app, None, new.depends_on).await?;
    let key = new.idempotency_key;
    let draft = Task {
        id: TaskId(0),
        project_id: project.id,
        title,
        description: new.description,
        priority,
        position: 0,
        status: TaskStatus::Pending,
        queued: new.queued,
        session_id: None,
        attempts: 0,
        options: new.options,
        labels,
        depends_on,
        result: None,
        restarts: 0,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        started_at: None,
        completed_at: None,
    };
    check_text(&draft)?;
    let made = app
        .engine
        .run(move |live, unit| {
            if let Some(twin) = key.as_deref().and_then(|k| live.tasks.of_key(k)) {
                return Ok(twin);
            }
            if live.project(draft.project_id).is_none() {
                return Err(Error::invalid("project_id", "there is no such project any more"));
            }
            let (id, now) = (live.tasks.next_id(), unit.now);
            let task = Task { id, position: id.0, created_at: now, updated_at: now, ..draft };
            if let Some(key) = &key {
                live.tasks.remember_key(key.clone(), task.id);
            }
            unit.write(Write::AddTask { task: Box::new(task.clone()), idempotency_key: key });
            unit.write(Write::Audit(act(unit.now, actor, "task.created", &task)));
            for mut reference in references {
                reference.task = Some(id);
                let (reference, at) = (Box::new(reference), now);
                unit.write(Write::AddReference { reference, at, id: Slot::default() });
            }
            tell_new(unit, &task);
            wake(unit);
            live.tasks.put(Known { task, attempt: None });
            Ok(id)
        })
        .await?;
    view(app, made).await
}

/// Looks up the lines of documents that somebody names, before anything is made.
async fn prepare_references(
    app: &App,
    project: ProjectId,
    wanted: Vec<Wanted>,
) -> Result<Vec<NewReference>, Error> {
    if wanted.len() > REFERENCES {
        let problem = format!("expected at most {REFERENCES}");
        return Err(Error::invalid("references", problem));
    }
    let mut made = Vec::with_capacity(wanted.len());
    for (n, Wanted { target, note }) in wanted.into_iter().enumerate() {
        let field = format!("references[{n}]");
        let found = Target::parse(&target).map_err(|why| Error::invalid(&field, why))?;
        let prepared = async {
            let document = documents::find(app, project, &found.document).await?;
            references::prepare(app, &document, &found.lines, None, note).await
        };
        made.push(prepared.await.map_err(|e| match e {
            Error::Unavailable { .. } => e,
            Error::Invalid { problem, .. } => Error::Invalid { field, problem },
            e => Error::Invalid { field, problem: e.to_string() },
        })?);
    }
    Ok(made)
}

/// Checks what Claude would be told, as far as that can be said before it is.
fn check_text(task: &Task) -> Result<(), Error> {
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

fn check_options(options: &TaskOptions, project: &Project) -> Result<(), Error> {
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
async fn check_needs(
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

/// Changes a task. What Claude was told already stays as it is.
pub async fn update(app: &Arc<App>, id: TaskId, patch: Patch, actor: Actor) -> Result<View, Error> {
    let known = load(app, id).await?;
    let project = projects::get(app, known.task.project_id).await?;
    let title = patch.title.as_deref().map(check_title).transpose().map_err(invalid("title"))?;
    let priority = patch.priority.map(check_priority).transpose().map_err(invalid("priority"))?;
    let labels = patch.labels.map(check_labels).transpose().map_err(invalid("labels"))?;
    if let Some(options) = &patch.options {
        check_options(options, &project)?;
    }
    let _linking = app.desk.linking().await;
    let depends_on = match patch.depends_on {
        Some(needs) => Some(check_needs(app, Some(id), needs).await?),
        None => None,
    };
    let (description, options, queued) = (patch.description, patch.options, patch.queued);
    app.engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let mut task = live.tasks.get(id).ok_or_else(|| unknown(id))?.task.clone();
            let mut changed = Vec::new();
            let mut note = |name: &'static str, given: bool| {
                if given {
                    changed.push(name);
                }
            };
            note("title", title.is_some());
            note("description", description.is_some());
            note("priority", priority.is_some());
            note("labels", labels.is_some());
            note("depends_on", depends_on.is_some());
            note("options", options.is_some());
            note("queued", queued.is_some());
            task.title = title.unwrap_or(task.title);
            task.description = description.unwrap_or(task.description);
            task.priority = priority.unwrap_or(task.priority);
            task.labels = labels.unwrap_or(task.labels);
            task.depends_on = depends_on.unwrap_or(task.depends_on);
            task.options = options.unwrap_or(task.options);
            if let Some(queued) = queued {
                if task.status != TaskStatus::Pending {
                    return Err(Error::conflict(format!(
                        "task {id} is {}: only a pending one waits in the queue",
                        task.status
                    )));
                }
                task.queued = queued;
            }
            check_text(&task)?;
            if changed.is_empty() {
                return Ok(());
            }
            let task = change(live, unit, id, &changed, |known, _, _| *known = task)?;
            unit.write(Write::Audit(act(unit.now, actor, "task.changed", &task)));
            Ok(())
        })
        .await?;
    view(app, id).await
}

/// Deletes a task that nobody works on and nothing depends on.
pub async fn remove(app: &Arc<App>, id: TaskId, actor: Actor) -> Result<(), Error> {
    let known = load(app, id).await?;
    let _linking = app.desk.linking().await;
    let needed_by = tasks::needed_by(&app.db, id).await?;
    if let Some(first) = needed_by.first() {
        return Err(Error::conflict(format!(
            "task {first} depends on task {id}; take that away first"
        )));
    }
    app.engine
        .run(move |live, unit| {
            live.tasks.admit(known);
            let task = live.tasks.get(id).ok_or_else(|| unknown(id))?.task.clone();
            if !matches!(task.status, TaskStatus::Pending | TaskStatus::Failed) {
                return Err(Error::conflict(format!(
                    "task {id} is {}: only one that is pending or failed can be deleted",
                    task.status
                )));
            }
            git::claims::release(live, unit, id);
            unit.write(Write::DeleteTask(id));
            unit.write(Write::Audit(act(unit.now, actor, "task.deleted", &task)));
            let data = json!({
                "task_id": id, "session_id": task.session_id, "project_id": task.project_id,
                "title": task.title, "status": task.status, "changed": ["deleted"], "at": unit.now,
            });
            let event = NewEvent::of(EventKind::TaskUpdate, None, unit.now, &data);
            unit.write(Write::Event(event));
            live.tasks.forget(id);
            wake(unit);
            Ok(())
        })
        .await
}

/// Puts tasks in this order among themselves: they take the places that they have together. Of tasks of
/// different priorities the more important one comes first all the same.
pub async fn order(app: &Arc<App>, ids: Vec<TaskId>, actor: Actor) -> Result<Vec<View>, Error> {
    if ids.is_empty() || ids.len() > ORDERED {
        return Err(Error::invalid("ids", format!("expected 1 to {ORDERED} tasks")));
    }
    let mut all = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        if ids[..n].contains(id) {
            return Err(Error::invalid("ids", format!("task {id} is named twice")));
        }
        all.push(
            load(app, *id)
                .await
                .map_err(|_| Error::invalid("ids", format!("there is no task {id}")))?,
        );
    }
    let named = ids.clone();
    app.engine
        .run(move |live: &mut Live, unit| {
            all.into_iter().for_each(|known| live.tasks.admit(known));
            let mut places = Vec::new();
            for id in &named {
                places.push(live.tasks.get(*id).ok_or_else(|| unknown(*id))?.task.position);
            }
            places.sort_unstable();
            for (id, place) in named.iter().zip(places) {
                let before = live.tasks.get(*id).map(|k| k.task.position);
                if before != Some(place) {
                    change(live, unit, *id, &["position"], |task, _, _| task.position = place)?;
                }
            }
            let data = json!({ "ids": named });
            let act = crate::domain::audit::Act::new(unit.now, actor, "task.ordered", data);
            unit.write(Write::Audit(act));
            Ok::<_, Error>(())
        })
        .await?;
    let mut views = Vec::new();
    for id in ids {
        views.push(view(app, id).await?);
    }
    Ok(views)
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
