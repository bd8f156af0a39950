//! One thing at a time in one repository.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// The turns of all repositories. Only those that somebody waits for are kept.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn in a repository, by what all its working trees share.
    pub async fn take(&self, common: &Path) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(common).and_then(Weak::upgrade);
            let turn = known.unwrap_or_default();
            turns.insert(common.to_owned(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Turns;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_kept() {
        let turns = Turns::default();
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let first = turns.take(a).await;
        let _other = turns.take(b).await;
        let second = turns.take(a);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        drop(second.await);
        drop(turns.take(Path::new("/c")).await);
        assert_eq!(turns.0.lock().expect("turns").len(), 2, "b and the last one");
    }
}
