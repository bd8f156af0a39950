//! Discovery: the rows of documents follow the files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::reconcile::reconcile;
use super::scan::{At, MOST, Scanner};
use super::watch::{Dirty, Root, Watch};
use crate::domain::document::File;
use crate::domain::document::patterns::Patterns;
use crate::domain::ids::{DocumentId, ProjectId};
use crate::domain::project::Project;
use crate::services::error::Error;
use crate::services::{App, references};
use crate::store::Write;
use crate::store::documents::{self, Change, Known};

/// Changes of one commit: others wait for it.
const BATCH: usize = 500;
/// Of more changed paths the whole project is looked at: that is faster than one after the other.
const ONE_BY_ONE: usize = 500;

/// Looks at what may have changed. A failure is logged: the next look finds what this one has not.
pub(super) async fn look_at(app: &Arc<App>, dirty: Dirty) {
    if (dirty.everything || !dirty.projects.is_empty())
        && let Err(e) = refresh(app).await
    {
        tracing::warn!(error = %e, "the projects cannot be read; their documents are looked at later");
    }
    for root in app.documents.watch.roots().iter() {
        let done = if dirty.everything || dirty.projects.contains(&root.project) {
            whole(app, root).await
        } else {
            some(app, root, &dirty).await
        };
        if let Err(e) = done {
            tracing::warn!(error = %e, root = %root.path.display(), "the documents in {} were not looked at", root.path.display());
        }
    }
}

/// Which files of a project are documents.
pub(super) fn patterns(app: &App, project: &Project) -> Result<Patterns, String> {
    let own = project.document_patterns.as_ref();
    Patterns::new(own.unwrap_or(&app.config.document_patterns))
}

fn root(app: &App, project: &Project) -> Option<Root> {
    match patterns(app, project) {
        Ok(patterns) => Some(Root {
            project: project.id,
            path: PathBuf::from(&project.root),
            patterns: Arc::new(patterns),
        }),
        Err(e) => {
            tracing::warn!("document_patterns cannot be used, so no documents are found: {e}");
            None
        }
    }
}

/// Takes up the projects there are now.
async fn refresh(app: &App) -> Result<(), Error> {
    let projects = app.engine.read(|live| live.projects().cloned().collect::<Vec<_>>()).await?;
    app.documents.watch.set_roots(projects.iter().filter_map(|p| root(app, p)).collect());
    Ok(())
}

/// Looks for all documents of a project now.
pub async fn discover(app: &App, project: &Project) -> Result<(), Error> {
    let patterns = patterns(app, project);
    let patterns = patterns.map_err(|e| Error::invalid("document_patterns", e))?;
    let path = PathBuf::from(&project.root);
    whole(app, &Root { project: project.id, path, patterns: Arc::new(patterns) }).await
}

async fn whole(app: &App, root: &Root) -> Result<(), Error> {
    let _turn = app.documents.turn.lock().await;
    let (looked, watch) = (root.clone(), app.documents.watch.clone());
    let look = move || Scanner::new(&looked.path, &looked.patterns).all(&mut |d| watch.enter(d));
    let found = blocking(look).await?.map_err(|e| Error::Unavailable {
        problem: format!("{} cannot be read: {e}", root.path.display()),
    })?;
    if found.too_many {
        tracing::warn!(root = %root.path.display(), "there are more than {MOST} documents in {}; narrow document_patterns", root.path.display());
    }
    let known = documents::known(&app.db, root.project).await?;
    let first = !documents::is_known(&app.db, root.project).await?;
    let changes = reconcile(known, found.files, &[]);
    commit(app, root.project, changes, first).await
}

/// Looks at some paths of a project.
async fn some(app: &App, root: &Root, dirty: &Dirty) -> Result<(), Error> {
    let inside = |path: &PathBuf| Some(path.strip_prefix(&root.path).ok()?.to_str()?.to_owned());
    let renames: Vec<(String, String)> =
        dirty.renames.iter().filter_map(|(from, to)| inside(from).zip(inside(to))).collect();
    // A rename out of the project, or into it, has but one end here.
    let ends = dirty.renames.iter().flat_map(|(from, to)| [from, to]);
    let paths: BTreeSet<String> = dirty.paths.iter().chain(ends).filter_map(inside).collect();
    let ignores = |path: &String| path.rsplit('/').next() == Some(".gitignore");
    if paths.is_empty() {
        return Ok(());
    }
    if paths.len() > ONE_BY_ONE || paths.contains("") || paths.iter().any(ignores) {
        return whole(app, root).await;
    }
    look(app, root, paths, &renames).await
}

/// Looks at a file that was written, or that somebody names.
pub(super) async fn look_at_file(app: &App, project: &Project, path: &str) -> Result<(), Error> {
    let Some(root) = root(app, project) else { return Ok(()) };
    // The first look at a project is at the whole of it; whoever comes before it has ended, waits for it.
    if !documents::is_known(&app.db, project.id).await? {
        return whole(app, &root).await;
    }
    look(app, &root, BTreeSet::from([path.to_owned()]), &[]).await
}

async fn look(
    app: &App,
    root: &Root,
    paths: BTreeSet<String>,
    renames: &[(String, String)],
) -> Result<(), Error> {
    let _turn = app.documents.turn.lock().await;
    let (looked, watch, there) = (root.clone(), app.documents.watch.clone(), paths.clone());
    let found = blocking(move || find(&looked, &watch, &there)).await?;
    let mut known: Vec<Known> = Vec::new();
    for path in &paths {
        // What is below a folder that is named, too, is known by the folder.
        if !known.iter().any(|k| k.file.path == *path) {
            known.extend(documents::known_at(&app.db, root.project, path).await?);
        }
    }
    for file in &found {
        if !known.iter().any(|k| k.file.path == file.path) {
            let back = documents::missing_with_inode(&app.db, root.project, file.inode).await?;
            known.extend(back.into_iter().filter(|k| k.file.inode == file.inode));
        }
    }
    known.sort_unstable_by_key(|k| k.id);
    known.dedup_by_key(|k| k.id);
    let first = !documents::is_known(&app.db, root.project).await?;
    let changes = reconcile(known, found, renames);
    // What is found before the first look at the whole project is a part of that one.
    if first { Ok(()) } else { commit(app, root.project, changes, false).await }
}

/// Finds what there is at some paths.
fn find(root: &Root, watch: &Watch, paths: &BTreeSet<String>) -> Vec<File> {
    let mut scanner = Scanner::new(&root.path, &root.patterns);
    let mut folders = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        match scanner.at(path) {
            At::File(file) => found.push(file),
            At::Folder => folders.push(path),
            At::Nothing => {}
        }
        // What is known of a path may be another folder's, that was here before.
        watch.leave(&root.path.join(path));
    }
    for path in folders {
        found.extend(scanner.below(path, &mut |d| watch.enter(d)).files);
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

async fn commit(
    app: &App,
    project: ProjectId,
    changes: Vec<Change>,
    first: bool,
) -> Result<(), Error> {
    let touched = |change: &Change| match change {
        Change::Changed { id, .. } | Change::Moved { id, .. } => Some(*id),
        Change::Created(_) | Change::Deleted { .. } => None,
    };
    let touched: Vec<DocumentId> = changes.iter().filter_map(touched).collect();
    let mut changes = changes.into_iter().peekable();
    loop {
        let part: Vec<Change> = changes.by_ref().take(BATCH).collect();
        let known = first && changes.peek().is_none();
        if part.is_empty() && !known {
            break;
        }
        app.engine
            .run(move |live, unit| {
                // It may have been removed meanwhile.
                if live.project(project).is_some() {
                    unit.write(Write::Files { project, changes: part, first, at: unit.now });
                    if known {
                        unit.write(Write::DocumentsKnown(project));
                    }
                }
                Ok::<_, Error>(())
            })
            .await?;
        if known {
            break;
        }
    }
    for document in touched {
        references::follow(app, document).await?;
    }
    Ok(())
}

/// Runs what waits for a disk.
pub(in crate::services) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::Unavailable { problem: format!("looking at files failed: {e}") })
}
