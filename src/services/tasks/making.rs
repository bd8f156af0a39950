//! Making tasks, changing, ordering and removing them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::checks::{
    check_needs, check_options, check_text, invalid, named_project, prepare_references,
};
use super::finding::{View, view};
use super::follow::{act, change, tell, unknown};
use super::{load, templates, wake};
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::reference::Wanted;
use crate::domain::task::{
    Task, TaskOptions, TaskStatus, check_labels, check_priority, check_title,
};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::live::{Known, Live};
use crate::services::{App, git, projects, references};
use crate::store::{Slot, Write, tasks};

/// Tasks that are put in order at once.
const ORDERED: usize = 500;

/// A task as somebody wants it.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// The project; the template's or the default one if there is none.
    pub project: Option<ProjectId>,
    /// The template that says what is not said here: its id, or its name in the project.
    pub template: Option<String>,
    /// What stands for the template's variables.
    pub variables: BTreeMap<String, String>,
    /// Its title.
    pub title: Option<String>,
    /// What is to be done.
    pub description: Option<String>,
    /// How important it is.
    pub priority: Option<i64>,
    /// Its labels.
    pub labels: Option<Vec<String>>,
    /// What has to be completed before.
    pub depends_on: Vec<TaskId>,
    /// How it is started.
    pub options: Option<TaskOptions>,
    /// Lines of documents that matter for it.
    pub references: Option<Vec<Wanted>>,
    /// The queue starts it as soon as it can.
    pub queued: bool,
    /// Makes a repeated request safe.
    pub idempotency_key: Option<String>,
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

/// Makes a task.
pub async fn create(app: &Arc<App>, new: New, actor: Actor) -> Result<View, Error> {
    if let Some(key) = &new.idempotency_key
        && let Some(made) = tasks::by_idempotency_key(&app.db, key).await?
    {
        return view(app, made.id).await;
    }
    let new = templates::apply(app, new).await?;
    let project = named_project(app, new.project).await?;
    let title = new.title.ok_or_else(|| Error::invalid("title", "a task has one"))?;
    let title = check_title(&title).map_err(invalid("title"))?;
    let priority = check_priority(new.priority.unwrap_or(0)).map_err(invalid("priority"))?;
    let labels = check_labels(new.labels.unwrap_or_default()).map_err(invalid("labels"))?;
    let options = new.options.unwrap_or_default();
    check_options(&options, &project)?;
    let wanted = new.references.unwrap_or_default();
    let wanted = prepare_references(app, project.id, wanted).await?;
    // What others depend on must not be deleted while somebody begins to depend on it.
    let _linking = app.desk.linking().await;
    let depends_on = check_needs(app, None, new.depends_on).await?;
    let key = new.idempotency_key;
    let draft = Task {
        id: TaskId(0),
        project_id: project.id,
        title,
        description: new.description.unwrap_or_default(),
        priority,
        position: 0,
        status: TaskStatus::Pending,
        queued: new.queued,
        session_id: None,
        attempts: 0,
        options,
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
            for (mut reference, document) in wanted {
                reference.task = Some(id);
                unit.write(Write::Event(references::told(&document, Some(id), now)));
                let (reference, at) = (Box::new(reference), now);
                unit.write(Write::AddReference { reference, at, id: Slot::default() });
            }
            tell(unit, None, &task, &["created"]);
            wake(unit);
            live.tasks.put(Known { task, attempt: None });
            Ok(id)
        })
        .await?;
    view(app, made).await
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
            tell(unit, None, &task, &["deleted"]);
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
            let act = Act::new(unit.now, actor, "task.ordered", data);
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
