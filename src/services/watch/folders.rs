//! The folders whose files are watched, each for as long as somebody needs it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Order;
use crate::domain::ids::SessionId;

/// The folders that are watched and those that are waited for.
///
/// The kernel gives a limited number of watches, and whoever waits is asked at each event. So each sweep
/// begins anew ([`Folders::begin_anew`]), has everybody who is there say what is needed, and gives the rest
/// back ([`Folders::give_back`]).
#[derive(Default)]
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
    /// Those that were asked for since it began anew.
    wanted: HashSet<PathBuf>,
    /// Folders that Claude Code has yet to make, and whose files will be in them.
    awaited: HashMap<PathBuf, HashSet<SessionId>>,
}

impl Folders {
    /// Begins to watch, and tells of what happens in the folders.
    pub(super) fn start(&mut self, tell: impl Fn(Order) + Send + 'static) -> notify::Result<()> {
        let told = move |event: notify::Result<notify::Event>| {
            if let Some(order) = event.ok().and_then(order_of) {
                tell(order);
            }
        };
        self.watcher = Some(notify::recommended_watcher(told)?);
        Ok(())
    }

    /// Forgets who needs what: they are asked again.
    pub(super) fn begin_anew(&mut self) {
        self.wanted.clear();
        self.awaited.clear();
    }

    /// Stops watching what nobody has asked for since it began anew, and what is not there.
    pub(super) fn give_back(&mut self) {
        let needless = self.watched.extract_if(|f| !self.wanted.contains(f) || !f.is_dir());
        for folder in needless {
            // One that is gone is not watched any more.
            let _ = self.watcher.as_mut().map(|watcher| watcher.unwatch(&folder));
        }
    }

    /// Watches a folder if it is there. Tells whether it is watched.
    pub(super) fn watch(&mut self, folder: &Path) -> bool {
        if !self.wanted.contains(folder) {
            self.wanted.insert(folder.to_owned());
        }
        if self.watched.contains(folder) {
            return true;
        }
        let Some(watcher) = &mut self.watcher else { return false };
        let watched = folder.is_dir() && watcher.watch(folder, RecursiveMode::NonRecursive).is_ok();
        if watched {
            self.watched.insert(folder.to_owned());
        }
        watched
    }

    /// Watches the folder of a session's file. Claude Code makes it when it first needs it: until
    /// then, what is there of the way to it is watched.
    pub(super) fn watch_for(&mut self, session: SessionId, folder: &Path) {
        if self.watch(folder) {
            return;
        }
        self.awaited.entry(folder.to_owned()).or_default().insert(session);
        while let Some(nearest) = folder.ancestors().skip(1).find(|a| a.is_dir()) {
            let watched = self.watch(nearest);
            // The next step may have been made before the watch began.
            if !watched || folder.ancestors().skip(1).find(|a| a.is_dir()) == Some(nearest) {
                break;
            }
        }
        if self.watch(folder) {
            self.awaited.remove(folder);
        }
    }

    /// Takes out the sessions that wait for a folder, if this may be on the way to it.
    pub(super) fn appeared(&mut self, path: &Path) -> HashSet<SessionId> {
        self.awaited
            .extract_if(|folder, _| folder.starts_with(path) && path.is_dir())
            .flat_map(|(_, sessions)| sessions)
            .collect()
    }

    /// Takes note that a folder was removed, or has another name now. Tells whether it was watched: another
    /// one that is made in its place is not.
    pub(super) fn gone(&mut self, folder: &Path) -> bool {
        let watched = self.watched.remove(folder);
        if watched && let Some(watcher) = &mut self.watcher {
            let _ = watcher.unwatch(folder);
        }
        watched
    }
}

/// What is to be done about an event. `None` if it brings no news.
fn order_of(event: notify::Event) -> Option<Order> {
    if event.need_rescan() {
        return Some(Order::Sweep);
    }
    match event.kind {
        EventKind::Access(AccessKind::Open(_)) => None,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
            Some(Order::Gone(event.paths))
        }
        _ => Some(Order::Files(event.paths)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    /// Folders, and what is told of them.
    fn folders() -> (Folders, Receiver<Order>) {
        let (sender, orders) = channel();
        let mut folders = Folders::default();
        folders.start(move |order| drop(sender.send(order))).expect("a watcher");
        (folders, orders)
    }

    /// Waits for an order that names this path.
    fn told(orders: &Receiver<Order>, wanted: impl Fn(&Order) -> bool) {
        while !wanted(&orders.recv_timeout(Duration::from_secs(10)).expect("within 10 s")) {}
    }

    #[test]
    fn what_nobody_needs_is_given_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir_all(&a).expect("a folder");
        let (mut folders, _orders) = folders();
        let (one, other) = (SessionId::new(), SessionId::new());
        folders.watch_for(one, &a);
        folders.watch_for(other, &b.join("c"));
        assert_eq!(folders.watched, [a.clone(), dir.path().to_owned()].into());
        assert_eq!(folders.awaited.len(), 1);

        // Made half: what is on the way is watched now, and the rest waited for.
        fs::create_dir_all(&b).expect("a folder");
        assert_eq!(folders.appeared(&b), [other].into());
        folders.begin_anew();
        folders.watch_for(other, &b.join("c"));
        folders.give_back();
        assert_eq!(folders.watched, [b.clone()].into());

        folders.begin_anew();
        folders.give_back();
        assert!(folders.watched.is_empty() && folders.awaited.is_empty());
        folders.watch_for(one, &a);
        assert_eq!(folders.watched, [a].into(), "it may be needed again");
    }

    #[test]
    fn a_folder_that_is_removed_and_made_again_is_watched_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("a");
        let (mut folders, orders) = folders();
        for how in ["removed", "renamed", "removed"] {
            fs::create_dir_all(&folder).expect("a folder");
            assert!(folders.watch(&folder));
            let file = folder.join(how);
            fs::write(&file, "x").expect("a file");
            told(&orders, |o| matches!(o, Order::Files(paths) if paths.contains(&file)));
            match how {
                "renamed" => fs::rename(&folder, dir.path().join("b")).expect("renamed"),
                _ => fs::remove_dir_all(&folder).expect("removed"),
            }
            told(&orders, |o| matches!(o, Order::Gone(paths) if paths.contains(&folder)));
            assert!(folders.gone(&folder));
            assert!(!folders.gone(&folder) && !folders.watch(&folder));
        }
        // One whose end nobody has told of.
        fs::create_dir_all(&folder).expect("a folder");
        assert!(folders.watch(&folder));
        fs::remove_dir_all(&folder).expect("removed");
        folders.give_back();
        assert!(folders.watched.is_empty());
    }
}
