//! **Settings**: what the server needs and is set to, its hooks, rules and projects, and what this browser shows.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{Redirect, Response};
use axum::routing::get;

use super::shell::Shell;
use super::{Part, html, no_such_part};
use crate::api::problem::{Problem, Query};
use crate::config::Setting;
use crate::doctor::{self, Finding, Level};
use crate::domain::project::Project;
use crate::domain::rule::Rule;
use crate::services::user_hooks::{self, Status};
use crate::services::{App, projects, rules};

/// The pages' routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/settings", get(|| async { Redirect::to("/settings/health") }))
        .route("/settings/health", get(health))
        .route("/settings/configuration", get(configuration))
        .route("/settings/hooks", get(hooks))
        .route("/settings/rules", get(rules_page))
        .route("/settings/projects", get(projects_page))
        .route("/settings/browser", get(browser))
}

#[derive(Template)]
#[template(path = "settings/health.html", blocks = ["findings"])]
struct Health {
    shell: Shell,
    tab: &'static str,
    /// None while it is being looked: that takes a second, as programs are asked for their versions.
    findings: Option<Vec<Finding>>,
}

async fn health(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "settings").await?;
    match wanted.part.as_deref() {
        None => html(Health { shell, tab: "health", findings: None }),
        Some("findings") => {
            let mut findings = doctor::examine(&app.loaded).await;
            // The worst first.
            findings.sort_by_key(|f| std::cmp::Reverse(f.level));
            html(Health { shell, tab: "health", findings: Some(findings) }.as_findings())
        }
        Some(part) => Err(no_such_part(part)),
    }
}

#[derive(Template)]
#[template(path = "settings/configuration.html")]
struct Configuration {
    shell: Shell,
    tab: &'static str,
    settings: Vec<Setting>,
    data: String,
    version: &'static str,
}

async fn configuration(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "settings").await?;
    html(Configuration {
        tab: "configuration",
        settings: app.loaded.settings(),
        data: app.data.0.display().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        shell,
    })
}

#[derive(Template)]
#[template(path = "settings/hooks.html", blocks = ["status"])]
struct Hooks {
    shell: Shell,
    tab: &'static str,
    status: Result<Status, String>,
}

async fn hooks(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "settings").await?;
    let status = user_hooks::look().map_err(|e| e.to_string());
    let page = Hooks { shell, tab: "hooks", status };
    match wanted.part.as_deref() {
        None => html(page),
        Some("status") => html(page.as_status()),
        Some(part) => Err(no_such_part(part)),
    }
}

#[derive(Template)]
#[template(path = "settings/rules.html", blocks = ["list"])]
struct Rules {
    shell: Shell,
    tab: &'static str,
    rules: Vec<Rule>,
    projects: Vec<Project>,
}

async fn rules_page(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "settings").await?;
    let rules = rules::list(&app).await?;
    let page = Rules { shell, tab: "rules", rules, projects: projects::list(&app).await? };
    match wanted.part.as_deref() {
        None => html(page),
        Some("list") => html(page.as_list()),
        Some(part) => Err(no_such_part(part)),
    }
}

#[derive(Template)]
#[template(path = "settings/projects.html", blocks = ["list"])]
struct Projects {
    shell: Shell,
    tab: &'static str,
    projects: Vec<Project>,
}

async fn projects_page(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "settings").await?;
    let page = Projects { shell, tab: "projects", projects: projects::list(&app).await? };
    match wanted.part.as_deref() {
        None => html(page),
        Some("list") => html(page.as_list()),
        Some(part) => Err(no_such_part(part)),
    }
}

#[derive(Template)]
#[template(path = "settings/browser.html")]
struct Browser {
    shell: Shell,
    tab: &'static str,
}

async fn browser(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    html(Browser { shell: Shell::of(&app, "settings").await?, tab: "browser" })
}
