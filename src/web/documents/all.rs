//! All documents: the pinned ones, and a tree of folders.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::tree::{Node, tree};
use crate::api::list::Paging;
use crate::api::problem::{Problem, Query};
use crate::domain::document::{Category, Document};
use crate::domain::project::Project;
use crate::services::{App, documents, projects};
use crate::store;
use crate::web::address::{self, filled};
use crate::web::shell::Shell;
use crate::web::{html, no_such_part};

/// Documents on a page.
const PAGE: u32 = 300;

/// Which documents, and which part of the page.
#[derive(Deserialize)]
pub struct Wanted {
    part: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    q: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    category: Option<Category>,
    #[serde(default, deserialize_with = "filled")]
    project: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "documents/page.html", blocks = ["documents"])]
struct Page {
    shell: Shell,
    q: String,
    category: String,
    project: String,
    categories: Vec<(&'static str, String)>,
    projects: Vec<Project>,
    source: String,
    pinned: Vec<(String, Document)>,
    roots: Vec<Root>,
    next: String,
    /// This page is not the first one.
    goes_on: bool,
    /// Something was sought or chosen.
    any: bool,
}

/// The documents of a project.
struct Root {
    /// Its name, if there are others.
    name: String,
    nodes: Vec<Node>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let shell = Shell::of(&app, "documents").await?;
    let paging = Paging { limit: Some(PAGE), cursor: wanted.cursor.clone() };
    let (limit, cursor) = paging.check()?;
    let projects = projects::list(&app).await?;
    let project = match wanted.project.as_deref() {
        Some(name) => Some(documents::project(&app, Some(name)).await?),
        None => None,
    };
    let filter = store::documents::Filter {
        project: project.as_ref().map(|p| p.id),
        category: wanted.category,
        q: wanted.q.clone(),
        missing: None,
    };
    let found = documents::list(&app, &filter, cursor.as_ref(), limit).await?;
    let next = found.next.map(|c| address::with(&uri, &[("cursor", &c.to_string()), ("part", "")]));
    let (pinned, mut rest): (Vec<Document>, Vec<Document>) =
        found.items.into_iter().partition(|d| d.pinned);
    let several = projects.len() > 1 && project.is_none();
    let mut roots = Vec::new();
    for p in &projects {
        let (own, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|d| d.project_id == p.id);
        rest = others;
        if !own.is_empty() {
            let name = if several { p.name.clone() } else { String::new() };
            roots.push(Root { name, nodes: tree(&p.id.to_string(), own) });
        }
    }
    let chosen = wanted.category.map(Category::as_str).unwrap_or_default();
    let names = std::iter::once("").chain(Category::ALL.iter().map(|c| c.as_str()));
    let categories = names.map(|name| {
        (name, address::with(&uri, &[("category", name), ("cursor", ""), ("part", "")]))
    });
    let page = Page {
        shell,
        any: wanted.q.is_some() || wanted.category.is_some() || wanted.project.is_some(),
        q: wanted.q.unwrap_or_default(),
        category: chosen.to_owned(),
        project: project.map(|p| p.id.to_string()).unwrap_or_default(),
        categories: categories.collect(),
        projects,
        source: address::with(&uri, &[("part", "documents")]),
        pinned: pinned.into_iter().map(|d| (d.path.clone(), d)).collect(),
        roots,
        next: next.unwrap_or_default(),
        goes_on: wanted.cursor.is_some(),
    };
    match wanted.part.as_deref() {
        None => html(page),
        Some("documents") => html(page.as_documents()),
        Some(part) => Err(no_such_part(part)),
    }
}

/// A document by its path: where a link in another document leads.
#[derive(Deserialize)]
pub struct Sought {
    path: String,
    project: Option<String>,
}

pub async fn find(
    State(app): State<Arc<App>>,
    Query(sought): Query<Sought>,
) -> Result<Response, Problem> {
    let project = documents::project(&app, sought.project.as_deref()).await?;
    let document = documents::find(&app, project.id, &sought.path).await?;
    Ok(Redirect::to(&format!("/documents/{}", document.id)).into_response())
}
