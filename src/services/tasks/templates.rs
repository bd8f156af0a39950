//! Templates: what tasks are made of, with variables for what differs.

use std::sync::Arc;

use serde_json::json;

use super::New as NewTask;
use super::checks::{DESCRIPTION, check_options, check_references, invalid, named_project};
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::{ProjectId, TemplateId};
use crate::domain::project::Project;
use crate::domain::reference::Wanted;
use crate::domain::task::template::{Template, Unfilled, check_name, fill};
use crate::domain::task::{TaskOptions, check_labels, check_priority, check_title};
use crate::domain::time::Timestamp;
use crate::services::error::{Error, Thing};
use crate::services::{App, projects};
use crate::store::templates::{self, Filter};
use crate::store::{Cursor, Page, Write};

/// A template as somebody wants it.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// The project; the default one if there is none.
    pub project: Option<ProjectId>,
    /// What it is called.
    pub name: String,
    /// The title of its tasks.
    pub title: String,
    /// Their description.
    pub description: String,
    /// Their priority.
    pub priority: i64,
    /// Their labels.
    pub labels: Vec<String>,
    /// Lines of documents that matter for them.
    pub references: Vec<Wanted>,
    /// How they are started.
    pub options: TaskOptions,
    /// Makes a repeated request safe.
    pub idempotency_key: Option<String>,
}

/// What is to change about a template.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// What it is called.
    pub name: Option<String>,
    /// The title of its tasks.
    pub title: Option<String>,
    /// Their description.
    pub description: Option<String>,
    /// Their priority.
    pub priority: Option<i64>,
    /// Their labels.
    pub labels: Option<Vec<String>>,
    /// Lines of documents that matter for them.
    pub references: Option<Vec<Wanted>>,
    /// How they are started.
    pub options: Option<TaskOptions>,
}

fn unknown(id: TemplateId) -> Error {
    Error::NotFound { what: Thing::Template, name: id.to_string() }
}

/// Lists templates, the oldest first.
pub async fn list(
    app: &App,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Template>, Error> {
    Ok(templates::list(&app.db, filter, after, limit).await?)
}

/// Finds a template.
pub async fn get(app: &App, id: TemplateId) -> Result<Template, Error> {
    templates::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))
}

/// Makes a template.
pub async fn create(app: &Arc<App>, new: New, actor: Actor) -> Result<Template, Error> {
    let project = named_project(app, new.project).await?;
    // Nobody else takes the name, or the key, between the look and the commit.
    let _naming = app.desk.naming().await;
    if let Some(key) = &new.idempotency_key
        && let Some(made) = templates::by_idempotency_key(&app.db, key).await?
    {
        return Ok(made);
    }
    let key = new.idempotency_key;
    let template = Template {
        id: TemplateId::new(),
        project_id: project.id,
        name: new.name,
        title: new.title,
        description: new.description,
        priority: new.priority,
        labels: new.labels,
        references: new.references,
        options: new.options,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    };
    let template = checked(template, &project)?;
    free(app, &template).await?;
    app.engine
        .run(move |live, unit| {
            if live.project(template.project_id).is_none() {
                return Err(Error::invalid("project_id", "there is no such project any more"));
            }
            let template = Template { created_at: unit.now, updated_at: unit.now, ..template };
            let made = Box::new(template.clone());
            unit.write(Write::AddTemplate { template: made, idempotency_key: key });
            unit.write(Write::Audit(act(unit.now, actor, "template.created", &template)));
            Ok(template)
        })
        .await
}

/// Changes a template. Tasks that were made of it stay as they are.
pub async fn update(
    app: &Arc<App>,
    id: TemplateId,
    patch: Patch,
    actor: Actor,
) -> Result<Template, Error> {
    let _naming = app.desk.naming().await;
    let before = get(app, id).await?;
    let project = projects::get(app, before.project_id).await?;
    let was = before.clone();
    let template = Template {
        name: patch.name.unwrap_or(was.name),
        title: patch.title.unwrap_or(was.title),
        description: patch.description.unwrap_or(was.description),
        priority: patch.priority.unwrap_or(was.priority),
        labels: patch.labels.unwrap_or(was.labels),
        references: patch.references.unwrap_or(was.references),
        options: patch.options.unwrap_or(was.options),
        ..was
    };
    let template = checked(template, &project)?;
    if template == before {
        return Ok(template);
    }
    free(app, &template).await?;
    app.engine
        .run(move |_, unit| {
            let template = Template { updated_at: unit.now, ..template };
            unit.write(Write::SaveTemplate(Box::new(template.clone())));
            unit.write(Write::Audit(act(unit.now, actor, "template.changed", &template)));
            Ok(template)
        })
        .await
}

/// Deletes a template. Tasks that were made of it stay as they are.
pub async fn remove(app: &Arc<App>, id: TemplateId, actor: Actor) -> Result<(), Error> {
    let _naming = app.desk.naming().await;
    let template = get(app, id).await?;
    app.engine
        .run(move |_, unit| {
            unit.write(Write::DeleteTemplate(id));
            unit.write(Write::Audit(act(unit.now, actor, "template.deleted", &template)));
            Ok(())
        })
        .await
}

fn act(at: Timestamp, actor: Actor, action: &'static str, template: &Template) -> Act {
    let data = json!({
        "name": template.name, "title": template.title, "project_id": template.project_id,
    });
    Act::new(at, actor, action, data).subject(template.id)
}

/// Checks what can be checked of a template before its variables have values.
fn checked(template: Template, project: &Project) -> Result<Template, Error> {
    check_name(&template.name).map_err(invalid("name"))?;
    let title = check_title(&template.title).map_err(invalid("title"))?;
    let description = &template.description;
    if description.len() > DESCRIPTION {
        let problem = format!("it has {} bytes, the limit is {DESCRIPTION}", description.len());
        return Err(Error::invalid("description", problem));
    }
    if description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        let problem = "has control characters, which Claude cannot be told";
        return Err(Error::invalid("description", problem));
    }
    template.check_variables().map_err(invalid("description"))?;
    let priority = check_priority(template.priority).map_err(invalid("priority"))?;
    let labels = check_labels(template.labels).map_err(invalid("labels"))?;
    check_references(&template.references)?;
    check_options(&template.options, project)?;
    Ok(Template { title, priority, labels, ..template })
}

/// Checks that no other template of the project has the name. The caller holds `naming`.
async fn free(app: &App, template: &Template) -> Result<(), Error> {
    let there = templates::by_name(&app.db, template.project_id, &template.name).await?;
    if there.is_some_and(|other| other.id != template.id) {
        return Err(Error::conflict(format!(
            "the project has a template {} already; choose another name, or change that one",
            template.name
        )));
    }
    Ok(())
}

// --- making tasks of them ---

/// Fills in what is not said about a new task, as its template says it.
pub(super) async fn apply(app: &App, new: NewTask) -> Result<NewTask, Error> {
    let Some(which) = &new.template else {
        return match new.variables.keys().next() {
            None => Ok(new),
            Some(name) => Err(no_variable(name, "only a template has variables: name one")),
        };
    };
    let template = find(app, which, new.project).await?;
    let known = template.variables();
    if let Some(name) = new.variables.keys().find(|name| !known.contains(&name.as_str())) {
        let problem = match known.is_empty() {
            true => format!("the template {} has no variables", template.name),
            false => {
                format!("the template {} has no such variable; it has: {}", template.name, {
                    known.join(", ")
                })
            }
        };
        return Err(no_variable(name, &problem));
    }
    let filled = |field: &str, pattern: &str| {
        fill(pattern, &new.variables, DESCRIPTION).map_err(|e| match e {
            Unfilled::Missing(name) => {
                no_variable(&name, &format!("the template {} needs it", template.name))
            }
            Unfilled::TooLong => Error::invalid(
                field,
                format!("with the variables' values it has more than {DESCRIPTION} bytes"),
            ),
        })
    };
    let title = match new.title {
        Some(title) => title,
        None => filled("title", &template.title)?,
    };
    let description = match new.description {
        Some(description) => description,
        None => filled("description", &template.description)?,
    };
    Ok(NewTask {
        project: Some(template.project_id),
        title: Some(title),
        description: Some(description),
        priority: Some(new.priority.unwrap_or(template.priority)),
        labels: Some(new.labels.unwrap_or(template.labels)),
        options: Some(new.options.unwrap_or(template.options)),
        references: Some(new.references.unwrap_or(template.references)),
        ..new
    })
}

fn no_variable(name: &str, problem: &str) -> Error {
    Error::invalid(&format!("variables.{name}"), problem)
}

/// Finds the template that a new task names: by its id, or by its name in the task's project.
async fn find(app: &App, which: &str, project: Option<ProjectId>) -> Result<Template, Error> {
    let (found, project) = match which.parse() {
        Ok(id) => {
            let found = templates::by_id(&app.db, id).await?;
            (found, project)
        }
        Err(_) => {
            let project = named_project(app, project).await?.id;
            (templates::by_name(&app.db, project, which).await?, Some(project))
        }
    };
    let Some(template) = found else {
        let problem = format!("there is no template {which:?}; `chorus template ls` lists them");
        return Err(Error::invalid("template", problem));
    };
    if project.is_some_and(|project| project != template.project_id) {
        return Err(Error::invalid("template", "it belongs to another project"));
    }
    Ok(template)
}
