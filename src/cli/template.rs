//! `chorus template`.

use std::io::Write as _;

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};

use super::args::{EditTemplate, NewTemplate, Templates};
use super::client::{Client, encoded};
use super::commands::{MOST, text_or_stdin};
use super::exit::Exit;
use super::show::{self, line, safe, say};
use super::task::{options, references, words};
use super::{launch, task};
use crate::api::templates::{NewTemplate as Order, TemplatePatch, TemplateView};
use crate::domain::ids::ProjectId;
use crate::domain::task::TaskOptions;

/// Carries out a command about templates of the project around this directory.
pub async fn run(client: &Client, what: Templates, as_json: bool) -> Result<()> {
    match what {
        Templates::New(new) => make(client, *new, as_json).await,
        Templates::Ls => {
            let project = here(client).await?;
            let path = format!("/api/templates?project_id={project}");
            let mut all: Vec<TemplateView> = client.list(&path, MOST).await?;
            all.sort_by(|a, b| a.name.cmp(&b.name));
            list(&all, as_json)
        }
        Templates::Show(t) => {
            let project = here(client).await?;
            show_one(&find(client, project, &t.template).await?, as_json)
        }
        Templates::Edit(edit) => change(client, edit, as_json).await,
        Templates::Rm(t) => {
            let project = here(client).await?;
            let template = find(client, project, &t.template).await?;
            let path = format!("/api/templates/{}", template.id);
            let _: Value = client.call(Method::DELETE, &path, None::<&Value>).await?;
            let text = format!("deleted the template {}", template.name);
            show::done(&text, &json!({ "deleted": template.id }), as_json)
        }
    }
}

/// The project around this directory.
async fn here(client: &Client) -> Result<ProjectId> {
    Ok(launch::project(client, &std::env::current_dir()?).await?.id)
}

/// Finds a project's template by its name.
pub(super) async fn find(client: &Client, project: ProjectId, name: &str) -> Result<TemplateView> {
    let path = format!("/api/templates?project_id={project}&name={}", encoded(name));
    let found: Vec<TemplateView> = client.get(&path).await?;
    found.into_iter().next().ok_or_else(|| {
        let why = format!("this project has no template {name:?}; `chorus template ls` lists them");
        Exit::NotFound.error(why)
    })
}

async fn make(client: &Client, new: NewTemplate, as_json: bool) -> Result<()> {
    let elsewhere = new.launch.directory.is_some();
    let wanted = launch::wanted(client, new.launch, Default::default()).await?;
    let order = Order {
        name: new.template,
        title: new.title,
        description: new.description.map(text_or_stdin).transpose()?.unwrap_or_default(),
        priority: new.marks.priority.unwrap_or(0),
        project_id: Some(wanted.project),
        labels: new.marks.labels.clone(),
        references: references(client, &new.marks).await?,
        options: TaskOptions {
            // A task is worked on where it is made, unless somebody says otherwise.
            workspace_path: elsewhere.then_some(wanted.workspace),
            launch: wanted.launch,
            session_name: wanted.name,
            ..options(TaskOptions::default(), &new.marks, &new.telling)
        },
    };
    let made: TemplateView = client.post("/api/templates", &order).await?;
    let text = format!(
        "made the template {}; `chorus task new --template {0}{}` makes a task of it",
        made.name,
        variables(&made)
    );
    show::done(&text, &made, as_json)
}

/// The options that fill a template in.
fn variables(template: &TemplateView) -> String {
    template.variables.iter().map(|name| format!(" --var {name}=…")).collect()
}

async fn change(client: &Client, edit: EditTemplate, as_json: bool) -> Result<()> {
    let project = here(client).await?;
    let template = find(client, project, &edit.template).await?;
    let patch = TemplatePatch {
        name: edit.rename,
        title: edit.title,
        description: edit.description.map(text_or_stdin).transpose()?,
        priority: edit.priority,
        labels: edit.labels.as_deref().map(words),
        references: None,
        options: None,
    };
    let path = format!("/api/templates/{}", template.id);
    let changed: TemplateView = client.call(Method::PATCH, &path, Some(&patch)).await?;
    show::done(&format!("changed the template {}", changed.name), &changed, as_json)
}

fn list(templates: &[TemplateView], as_json: bool) -> Result<()> {
    if as_json {
        return show::json(&templates);
    }
    if templates.is_empty() {
        say!("there is no template; `chorus template new NAME --title \"…\"` makes one");
        return Ok(());
    }
    for t in templates {
        say!("{:20}  {}{}", t.name, line(&t.title, 60), variables(t));
    }
    Ok(())
}

fn show_one(template: &TemplateView, as_json: bool) -> Result<()> {
    if as_json {
        return show::json(template);
    }
    let t = template;
    say!("template {}: {}", t.name, safe(&t.title));
    say!("  chorus task new --template {}{}", t.name, variables(t));
    say!("  priority {}, changed {} ago", t.priority, show::age(t.updated_at));
    if !t.labels.is_empty() {
        say!("  labels: {}", safe(&t.labels.join(", ")));
    }
    for reference in &t.references {
        say!("  {}", task::named(reference));
    }
    let options = serde_json::to_value(&t.options)?;
    if options != serde_json::to_value(TaskOptions::default())? {
        say!("  options: {}", safe(&options.to_string()));
    }
    if !t.description.trim().is_empty() {
        say!("\n{}", safe(t.description.trim_end()));
    }
    Ok(())
}
