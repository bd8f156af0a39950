//! Projects: root folders that Chorus serves.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::{Error, Thing};
use super::{App, documents, rules};
use crate::domain::audit::{Act, Actor};
use crate::domain::git::GitSettings;
use crate::domain::ids::ProjectId;
use crate::domain::project::Project;
use crate::domain::time::Timestamp;
use crate::store::{Write, projects, tasks, templates};

/// Lists all projects by name.
pub async fn list(app: &App) -> Result<Vec<Project>, Error> {
    Ok(projects::list(&app.db).await?)
}

/// Finds a project.
pub async fn get(app: &App, id: ProjectId) -> Result<Project, Error> {
    let project = app.engine.read(move |live| live.project(id).cloned()).await?;
    project.ok_or_else(|| unknown(id))
}

fn unknown(id: ProjectId) -> Error {
    Error::NotFound { what: Thing::Project, name: id.to_string() }
}

/// Adds a project, or finds the one that has this folder. Tells whether it was added.
pub async fn add(
    app: &App,
    root: &str,
    name: Option<String>,
    actor: Actor,
) -> Result<(Project, bool), Error> {
    let root = folder("root", Path::new(root))?;
    let wanted = match name {
        Some(name) => Some(check_name(name)?),
        None => None,
    };
    let fallback =
        root.file_name().map_or_else(|| "root".into(), |n| n.to_string_lossy().into_owned());
    let root = root.to_string_lossy().into_owned();
    let added = app
        .engine
        .run(move |live, unit| {
            if let Some(there) = live.projects().find(|p| p.root == root) {
                return Ok((there.clone(), false));
            }
            let taken = |name: &str| live.projects().any(|p| p.name == name);
            let name = match wanted {
                Some(name) if taken(&name) => {
                    return Err(Error::conflict(format!(
                        "another project is called {name:?}; choose another name"
                    )));
                }
                Some(name) => name,
                None if taken(&fallback) => {
                    let free = (2..).map(|n| format!("{fallback}-{n}")).find(|n| !taken(n));
                    free.unwrap_or(fallback)
                }
                None => fallback,
            };
            let now = unit.now;
            let project = Project {
                id: ProjectId::new(),
                name,
                root,
                git: GitSettings::default(),
                document_patterns: None,
                created_at: now,
                updated_at: now,
            };
            live.put_project(project.clone());
            unit.write(Write::AddProject(project.clone()));
            unit.write(Write::Audit(act(now, actor, "project.added", &project)));
            Ok::<_, Error>((project, true))
        })
        .await?;
    if added.1 {
        app.documents.project_changed(added.0.id);
    }
    Ok(added)
}

/// The project for whoever names none: the configured root, or where the server was started.
pub async fn default(app: &App) -> Result<Project, Error> {
    let root = if app.config.project_root.as_os_str().is_empty() {
        std::env::current_dir().map_err(|e| Error::invalid("project_root", e.to_string()))?
    } else {
        app.config.project_root.clone()
    };
    let root = root
        .canonicalize()
        .map_err(|e| Error::invalid("project_root", format!("{}: {e}", root.display())))?;
    // Somebody may have removed it; it is made again as long as it is configured.
    Ok(add(app, &root.to_string_lossy(), None, Actor::chorus()).await?.0)
}

/// What is to change about a project.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Its name.
    pub name: Option<String>,
    /// Of its git settings those that are given.
    pub git: Option<serde_json::Map<String, serde_json::Value>>,
    /// Which of its files are documents; `Some(None)` goes back to the server's setting.
    pub document_patterns: Option<Option<Vec<String>>>,
}

/// Changes a project.
pub async fn change(
    app: &App,
    id: ProjectId,
    patch: Patch,
    actor: Actor,
) -> Result<Project, Error> {
    let name = patch.name.map(check_name).transpose()?;
    let patterns = patch.document_patterns;
    if let Some(Some(patterns)) = &patterns {
        documents::check_patterns(patterns)?;
    }
    let (project, patterns_changed) = app
        .engine
        .run(move |live, unit| {
            let mut project = live.project(id).cloned().ok_or_else(|| unknown(id))?;
            let renamed = name.filter(|name| *name != project.name);
            if let Some(name) = &renamed
                && live.projects().any(|p| p.name == *name)
            {
                return Err(Error::conflict(format!(
                    "another project is called {name:?}; choose another name"
                )));
            }
            let git = patch.git.map(|git| merged(&project.git, git)).transpose()?;
            let git = git.filter(|git| *git != project.git);
            let patterns_changed =
                patterns.as_ref().is_some_and(|p| *p != project.document_patterns);
            let action = if renamed.is_some() { "project.renamed" } else { "project.changed" };
            if renamed.is_some() || patterns_changed || git.is_some() {
                if let Some(git) = git {
                    let data = json!({ "name": project.name, "git": git });
                    let act = Act::new(unit.now, actor.clone(), "project.git_changed", data);
                    unit.write(Write::Audit(act.subject(id)));
                    project.git = git;
                }
                let name = renamed.clone();
                project.name = name.unwrap_or(project.name);
                project.document_patterns = patterns.unwrap_or(project.document_patterns);
                project.updated_at = unit.now;
                live.put_project(project.clone());
                unit.write(Write::SaveProject(project.clone()));
                if renamed.is_some() || patterns_changed {
                    unit.write(Write::Audit(act(unit.now, actor, action, &project)));
                }
            }
            Ok::<_, Error>((project, patterns_changed))
        })
        .await?;
    if patterns_changed {
        app.documents.project_changed(id);
    }
    Ok(project)
}

/// Settings with some of them changed.
fn merged(
    git: &GitSettings,
    patch: serde_json::Map<String, serde_json::Value>,
) -> Result<GitSettings, Error> {
    let unusable = |e: serde_json::Error| Error::invalid("git", e.to_string());
    let mut whole = serde_json::to_value(git).map_err(unusable)?;
    if let Some(whole) = whole.as_object_mut() {
        whole.extend(patch);
    }
    let git: GitSettings = serde_json::from_value(whole).map_err(unusable)?;
    git.check().map_err(|(field, problem)| Error::invalid(field, problem))?;
    Ok(git)
}

/// Removes a project that no session belongs to.
pub async fn remove(app: &App, id: ProjectId, actor: Actor) -> Result<(), Error> {
    let project = get(app, id).await?;
    let used = projects::sessions_of(&app.db, id).await?;
    let tasks = tasks::of_project(&app.db, id).await?;
    let _naming = app.desk.naming().await;
    let templates = templates::of_project(&app.db, id).await?;
    app.engine
        .run(move |live, unit| {
            // A session may have been created since the count: the live state knows it.
            if used > 0 || live.sessions().any(|s| s.project_id == id) {
                return Err(Error::conflict(
                    "the project has sessions, whose record would be lost with it",
                ));
            }
            if tasks > 0 {
                return Err(Error::conflict("the project has tasks, which would be lost with it"));
            }
            if templates > 0 {
                let why = "the project has templates, which would be lost with it";
                return Err(Error::conflict(why));
            }
            // Its rules have nothing left to be about.
            for rule in live.remove_rules_of(id) {
                unit.write(Write::DeleteRule(rule.id));
                let act = rules::act(unit.now, actor.clone(), "rule.removed", &rule, None);
                unit.write(Write::Audit(act));
            }
            live.remove_project(id);
            unit.write(Write::DeleteProject(id));
            unit.write(Write::Audit(act(unit.now, actor, "project.removed", &project)));
            Ok::<_, Error>(())
        })
        .await?;
    app.documents.project_changed(id);
    Ok(())
}

fn act(at: Timestamp, actor: Actor, action: &'static str, project: &Project) -> Act {
    let data = json!({ "name": project.name, "root": project.root });
    Act::new(at, actor, action, data).subject(project.id)
}

fn check_name(name: String) -> Result<String, Error> {
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.chars().count() > 100 || trimmed.chars().any(char::is_control)
    {
        return Err(Error::invalid("name", "expected 1 to 100 printable characters"));
    }
    Ok(trimmed.to_owned())
}

/// Checks that a path is a folder, and resolves its symbolic links.
pub fn folder(field: &str, path: &Path) -> Result<PathBuf, Error> {
    if !path.is_absolute() {
        return Err(Error::invalid(field, "expected an absolute path"));
    }
    let real = path
        .canonicalize()
        .map_err(|e| Error::invalid(field, format!("{}: {e}", path.display())))?;
    if !real.is_dir() {
        return Err(Error::invalid(field, format!("{} is not a folder", real.display())));
    }
    if real.to_str().is_none() {
        return Err(Error::invalid(field, "its name is not valid UTF-8"));
    }
    Ok(real)
}

/// Checks that a path is a folder inside a project, symbolic links resolved.
pub fn inside(project: &Project, field: &str, path: &str) -> Result<PathBuf, Error> {
    let real = folder(field, Path::new(path))?;
    if !real.starts_with(&project.root) {
        return Err(Error::invalid(
            field,
            format!("{} is not inside the project's folder {}", real.display(), project.root),
        ));
    }
    Ok(real)
}
