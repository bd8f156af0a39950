//! Watching the folders that may hold documents, by the kernel's notifications.
//!
//! What the kernel tells is noted as a set of paths, which grows to a bound only: beyond that, and if
//! the kernel lost something itself, everything is looked at once. Nothing runs while nothing happens.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::discovery;
use crate::domain::document::patterns::Patterns;
use crate::domain::ids::ProjectId;
use crate::services::App;

/// Paths that are noted; of more, everything is looked at.
const PATHS: usize = 5_000;
/// Changes that come one after the other are looked at together: after so long without any,
const QUIET: Duration = Duration::from_millis(40);
/// and after so long in any case.
const LONGEST: Duration = Duration::from_millis(250);
/// Between two looks at everything.
const APART: Duration = Duration::from_secs(2);
/// How often everything is looked at if the kernel watches no more folders.
const SWEEP: Duration = Duration::from_secs(300);

/// A project whose documents are looked after.
#[derive(Clone, Debug)]
pub struct Root {
    /// The project.
    pub project: ProjectId,
    /// Its folder.
    pub path: PathBuf,
    /// Which files are documents.
    pub patterns: Arc<Patterns>,
}

/// What is to be looked at.
#[derive(Debug, Default)]
pub struct Dirty {
    /// These files and folders.
    pub paths: HashSet<PathBuf>,
    /// What was renamed, in order: from, to.
    pub renames: Vec<(PathBuf, PathBuf)>,
    /// These projects as a whole.
    pub projects: HashSet<ProjectId>,
    /// Everything.
    pub everything: bool,
}

/// What is shared with the thread that hears the kernel.
#[derive(Default)]
struct Shared {
    roots: Mutex<Arc<Vec<Root>>>,
    dirty: Mutex<Dirty>,
    news: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The watched folders.
#[derive(Default)]
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// The kernel watches no more of them.
    limited: bool,
}

/// A handle on the watching. Cheap to clone.
#[derive(Clone, Default)]
pub struct Watch {
    shared: Arc<Shared>,
    folders: Arc<Mutex<Folders>>,
}

impl Watch {
    /// The projects that are looked after.
    pub fn roots(&self) -> Arc<Vec<Root>> {
        lock(&self.shared.roots).clone()
    }

    /// Looks after these projects from now on; folders of others are no longer watched.
    pub fn set_roots(&self, roots: Vec<Root>) {
        let ours = |folder: &PathBuf| roots.iter().any(|r| folder.starts_with(&r.path));
        let mut folders = lock(&self.folders);
        let others: Vec<PathBuf> = folders.watched.iter().filter(|f| !ours(f)).cloned().collect();
        others.iter().for_each(|folder| folders.forget(folder));
        *lock(&self.shared.roots) = Arc::new(roots);
    }

    /// Has a project looked at as a whole: it is new, or has other patterns, or is gone.
    pub fn project(&self, project: ProjectId) {
        lock(&self.shared.dirty).projects.insert(project);
        self.shared.news.notify_one();
    }

    /// Watches a folder.
    pub fn enter(&self, folder: &Path) {
        lock(&self.folders).watch(folder);
    }

    /// Watches a folder, and those in it, no longer: it is not where it was.
    pub fn leave(&self, folder: &Path) {
        let mut folders = lock(&self.folders);
        let below = folders.watched.range(folder.to_owned()..);
        let below: Vec<PathBuf> = below.take_while(|f| f.starts_with(folder)).cloned().collect();
        below.iter().for_each(|f| folders.forget(f));
    }

    fn begin(&self) {
        let shared = self.shared.clone();
        let told = move |event: notify::Result<notify::Event>| shared.hear(event);
        match notify::recommended_watcher(told) {
            Ok(watcher) => lock(&self.folders).watcher = Some(watcher),
            Err(e) => {
                tracing::warn!(error = %e, "documents cannot be watched: they are looked for every {} s, and when asked", SWEEP.as_secs());
                lock(&self.folders).limited = true;
            }
        }
    }

    /// Waits until there is something to look at, and for what comes along with it.
    async fn next(&self) -> Dirty {
        self.shared.news.notified().await;
        let began = Instant::now();
        while began.elapsed() < LONGEST && timeout(QUIET, self.shared.news.notified()).await.is_ok()
        {
        }
        std::mem::take(&mut *lock(&self.shared.dirty))
    }
}

impl Folders {
    fn watch(&mut self, folder: &Path) {
        let Some(watcher) = self.watcher.as_mut().filter(|_| !self.limited) else { return };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(folder.to_owned());
            }
            Err(e) if is_limit(&e) => {
                self.limited = true;
                tracing::warn!(
                    folders = self.watched.len(),
                    "the kernel watches no more than {} folders of documents: the others are looked at every {} s, and when asked; raise fs.inotify.max_user_watches (sysctl) and start the server again",
                    self.watched.len(),
                    SWEEP.as_secs()
                );
            }
            // It has just gone.
            Err(e) => {
                tracing::debug!(error = %e, folder = %folder.display(), "a folder is not watched")
            }
        }
    }

    fn forget(&mut self, folder: &Path) {
        self.watched.remove(folder);
        if let Some(watcher) = &mut self.watcher {
            // The kernel may have done so itself.
            let _ = watcher.unwatch(folder);
        }
    }
}

fn is_limit(e: &notify::Error) -> bool {
    matches!(e.kind, ErrorKind::MaxFilesWatch)
        || matches!(&e.kind, ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::StorageFull)
}

impl Shared {
    /// Notes what the kernel tells, in its own thread.
    fn hear(&self, event: notify::Result<notify::Event>) {
        let lost = |dirty: &mut Dirty| dirty.everything = true;
        let noted = match event {
            Err(_) => self.note(lost),
            Ok(event) if event.need_rescan() => self.note(lost),
            Ok(event) => {
                let mut paths = event.paths;
                paths.retain(|path| self.matters(path, event.kind));
                match (event.kind, paths.as_slice()) {
                    (_, []) => false,
                    (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), [from, to]) => {
                        self.note(|dirty| dirty.renames.push((from.clone(), to.clone())))
                    }
                    _ => self.note(|dirty| dirty.paths.extend(paths)),
                }
            }
        };
        if noted {
            self.news.notify_one();
        }
    }

    fn note(&self, change: impl FnOnce(&mut Dirty)) -> bool {
        let mut dirty = lock(&self.dirty);
        change(&mut dirty);
        if dirty.paths.len() > PATHS || dirty.renames.len() > PATHS {
            *dirty = Dirty {
                everything: true,
                projects: std::mem::take(&mut dirty.projects),
                ..Dirty::default()
            };
        }
        true
    }

    /// Whether what happened to a path may have to do with documents. Most of what happens in a folder
    /// does not, and is to cost nothing more.
    fn matters(&self, path: &Path, kind: EventKind) -> bool {
        let (file, folder) = match kind {
            EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => {
                (false, true)
            }
            EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Create(CreateKind::Any | CreateKind::Other) => (true, true),
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(_) => (true, false),
            EventKind::Any | EventKind::Access(_) | EventKind::Other => return false,
        };
        self.roots_of(path).any(|(root, path)| {
            let ignores = path.rsplit('/').next() == Some(".gitignore");
            file && (ignores || root.patterns.matches(&path))
                || folder && root.patterns.may_hold(&path)
        })
    }

    /// The projects that a path is in, and what it is called there.
    fn roots_of<'p>(&self, path: &'p Path) -> impl Iterator<Item = (Root, String)> + use<'p> {
        let roots = lock(&self.roots).clone();
        (0..roots.len()).filter_map(move |at| {
            let inside = path.strip_prefix(&roots[at].path).ok()?.to_str()?;
            Some((roots[at].clone(), inside.to_owned()))
        })
    }
}

/// Looks after the documents of all projects until the server stops.
pub fn start(app: &Arc<App>) {
    let app = app.clone();
    let watch = app.documents.watch.clone();
    watch.begin();
    app.clone().tasks.spawn(async move {
        let stop = app.shutdown.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = run(&app, &watch) => {}
        }
    });
}

async fn run(app: &Arc<App>, watch: &Watch) {
    let mut dirty = Dirty { everything: true, ..Dirty::default() };
    let mut last: Option<Instant> = None;
    loop {
        if let Some(last) = last.filter(|_| dirty.everything) {
            sleep(APART.saturating_sub(last.elapsed())).await;
        }
        let all = dirty.everything;
        discovery::look_at(app, dirty).await;
        if all {
            last = Some(Instant::now());
        }
        let limited = lock(&watch.folders).limited;
        dirty = if limited {
            let everything = Dirty { everything: true, ..Dirty::default() };
            timeout(SWEEP, watch.next()).await.unwrap_or(everything)
        } else {
            watch.next().await
        };
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use notify::event::{CreateKind, DataChange, Flag, ModifyKind, RenameMode};
    use notify::{Event, EventKind};

    use super::{Dirty, PATHS, Root, Shared, lock};
    use crate::domain::document::patterns::Patterns;
    use crate::domain::ids::ProjectId;

    fn shared() -> Shared {
        let patterns = ["*.md".to_owned(), "docs/**/*.md".to_owned()];
        let patterns = Arc::new(Patterns::new(&patterns).expect("patterns"));
        let root = Root { project: ProjectId::new(), path: "/p".into(), patterns };
        let shared = Shared::default();
        *lock(&shared.roots) = Arc::new(vec![root]);
        shared
    }

    fn heard(shared: &Shared, kind: EventKind, paths: &[&str]) -> Dirty {
        let event = paths.iter().fold(Event::new(kind), |e, p| e.add_path(PathBuf::from(p)));
        shared.hear(Ok(event));
        std::mem::take(&mut *lock(&shared.dirty))
    }

    #[test]
    fn only_what_may_concern_documents_is_noted() {
        let shared = shared();
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for (path, noted) in [
            ("/p/README.md", true),
            ("/p/docs/x/a.md", true),
            ("/p/.gitignore", true),
            ("/p/build.log", false),
            ("/p/src/a.md", false),
            ("/p/docs/.a.md.swp", false),
            ("/elsewhere/docs/a.md", false),
        ] {
            assert_eq!(heard(&shared, written, &[path]).paths.len(), usize::from(noted), "{path}");
        }
        let folder = EventKind::Create(CreateKind::Folder);
        assert_eq!(heard(&shared, folder, &["/p/docs/new"]).paths.len(), 1);
        assert_eq!(heard(&shared, folder, &["/p/target"]).paths.len(), 0);
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert_eq!(heard(&shared, renamed, &["/p/docs/a.md", "/p/b.md"]).renames.len(), 1);
        // As files are replaced: of the hidden one nothing is known.
        let replaced = heard(&shared, renamed, &["/p/docs/.tmp", "/p/docs/a.md"]);
        assert_eq!((replaced.renames.len(), replaced.paths.len()), (0, 1));
    }

    #[test]
    fn too_much_and_what_was_lost_become_one_look_at_everything() {
        let shared = shared();
        let rescan = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        shared.hear(Ok(rescan));
        assert!(std::mem::take(&mut *lock(&shared.dirty)).everything);
        for n in 0..=PATHS {
            let event = Event::new(EventKind::Create(CreateKind::File));
            shared.hear(Ok(event.add_path(format!("/p/docs/{n}.md").into())));
        }
        let dirty = lock(&shared.dirty);
        assert!(dirty.everything && dirty.paths.is_empty());
    }
}
