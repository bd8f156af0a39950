//! GitButler for a project: whether it can be used, and setting it up.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::error::Error;
use super::super::{App, projects};
use super::backend;
use crate::domain::audit::{Act, Actor};
use crate::domain::git::GitSettings;
use crate::domain::ids::ProjectId;
use crate::git::{GitButler, Repository};
use crate::store::Write;

/// How a project's edits are kept apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GitStatus {
    /// The project.
    pub project_id: ProjectId,
    /// The repository's root; none if there is no repository.
    pub repository: Option<String>,
    /// What is checked out.
    pub branch: Option<String>,
    /// GitButler's version, if it can be used.
    pub gitbutler: Option<String>,
    /// Why it cannot.
    pub gitbutler_problem: Option<String>,
    /// The repository is set up for it.
    pub set_up: bool,
    /// What a task that is started now gets: `gitbutler`, `worktree` or `none`.
    pub effective: String,
    /// Why nothing can be kept apart, if the settings want it.
    pub problem: Option<String>,
    /// The folder of its worktrees.
    pub worktrees: String,
    /// The settings.
    pub settings: GitSettings,
}

/// Tells how a project's edits are kept apart.
pub async fn status(app: &App, id: ProjectId) -> Result<GitStatus, Error> {
    let project = projects::get(app, id).await?;
    let root = Path::new(&project.root);
    let repository = backend::repository(app, root).await.ok();
    let probed = GitButler::probe(backend::runner(app).await, root).await;
    let mut set_up = false;
    let mut branch = None;
    if let Some(repository) = &repository {
        branch = repository.head().await?;
        if probed.is_ok() {
            let but = GitButler { repository: repository.clone() };
            set_up = but.is_set_up().await.unwrap_or_default();
        }
    }
    let (effective, problem) = match backend::choose(app, &project, None, true).await {
        Ok(Some(crate::git::Backend::GitButler(_))) => ("gitbutler", None),
        Ok(Some(crate::git::Backend::Worktree(_))) => ("worktree", None),
        Ok(None) => ("none", None),
        Err(e) => ("none", Some(e.to_string())),
    };
    let (gitbutler, gitbutler_problem) = match probed {
        Ok(version) => (Some(version), None),
        Err(e) => (None, Some(e.to_string())),
    };
    Ok(GitStatus {
        project_id: id,
        repository: repository.map(|r| r.root.to_string_lossy().into_owned()),
        branch,
        gitbutler,
        gitbutler_problem,
        set_up,
        effective: effective.to_owned(),
        problem,
        worktrees: backend::folder(app, &project).to_string_lossy().into_owned(),
        settings: project.git,
    })
}

/// Sets a project's repository up for GitButler. Somebody has agreed to that: it moves HEAD to a branch
/// of GitButler's, and adds hooks.
pub async fn setup(app: &App, id: ProjectId, actor: Actor) -> Result<GitStatus, Error> {
    let project = projects::get(app, id).await?;
    let root = Path::new(&project.root);
    let repository: Repository = backend::repository(app, root).await?;
    GitButler::probe(backend::runner(app).await, root).await?;
    let but = GitButler { repository };
    {
        let _turn = app.git.turns.take(&but.repository.common).await;
        but.setup().await?;
    }
    app.engine
        .run(move |_, unit| {
            let data = json!({ "name": project.name, "root": project.root });
            let act = Act::new(unit.now, actor, "project.git_set_up", data);
            unit.write(Write::Audit(act.subject(id)));
            Ok::<_, Error>(())
        })
        .await?;
    status(app, id).await
}
