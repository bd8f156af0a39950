//! `chorus rules`.

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Value, json};

use super::args::{AddRule, Rules};
use super::client::Client;
use super::commands::path;
use super::exit::{Exit, OrExit as _};
use super::show;
use crate::api::rules::{MadeRule, NewRule};
use crate::api::sessions::SessionDetail;
use crate::domain::ids::{ProjectId, RuleId};
use crate::domain::project::Project;
use crate::domain::rule::Rule;
use crate::services::rules::Preview;

/// What is said to somebody who names none.
const NO_RULE: &str = "this is no rule's id; `chorus rules` lists them";

/// Lists rules, makes one or removes one.
pub async fn run(client: &Client, what: Option<Rules>, as_json: bool) -> Result<()> {
    match what {
        None => {
            let rules: Vec<Rule> = client.get("/api/permissions/rules").await?;
            show::rules(&rules, as_json)
        }
        Some(Rules::Add(add)) => make(client, add, as_json).await,
        Some(Rules::Remove { rule }) => {
            let id: RuleId = rule.parse().context(NO_RULE).or_exit(Exit::NotFound)?;
            let path = format!("/api/permissions/rules/{id}");
            let _: Value = client.call(Method::DELETE, &path, None::<&Value>).await?;
            show::done(&format!("removed {id}"), &json!({ "removed": id }), as_json)
        }
    }
}

async fn make(client: &Client, add: AddRule, as_json: bool) -> Result<()> {
    let project_id = match &add.project {
        Some(name) => Some(project(client, name).await?),
        None => None,
    };
    let session_id = match &add.session {
        Some(name) => Some(client.get::<SessionDetail>(&path(name, "")?).await?.session.id),
        None => None,
    };
    let rule = NewRule {
        action: add.action,
        tool: add.tool,
        command: add.command,
        path: add.path,
        project_id,
        session_id,
        note: add.note,
    };
    if add.dry_run {
        let preview: Preview = client.post("/api/permissions/rules/preview", &rule).await?;
        return show::preview(&preview, as_json);
    }
    let made: MadeRule = client.post("/api/permissions/rules", &rule).await?;
    let mut text = format!("{}  {}", made.rule.id, show::safe(&made.rule.words));
    if !made.decided.is_empty() {
        text.push_str(&format!("\ndecided at once: {} that waited", made.decided.len()));
    }
    show::done(&text, &made, as_json)
}

/// Finds a project by its name, its id or its folder.
pub(super) async fn project(client: &Client, name: &str) -> Result<ProjectId> {
    let projects: Vec<Project> = client.get("/api/projects").await?;
    let folder = std::path::Path::new(name).canonicalize().ok();
    let is = |p: &&Project| {
        p.name == name
            || p.id.to_string() == name
            || folder.as_deref().is_some_and(|f| f == std::path::Path::new(&p.root))
    };
    match projects.iter().find(is) {
        Some(project) => Ok(project.id),
        None => {
            let names: Vec<&str> = projects.iter().map(|p| p.name.as_str()).collect();
            let names = show::safe(&names.join(", "));
            Err(Exit::NotFound.error(format!("there is no project {name:?}; there are: {names}")))
        }
    }
}
