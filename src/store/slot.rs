//! Where the store leaves what it alone can tell, such as an id that it has given.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// A place for one value: whoever writes keeps a copy, and reads it after the commit.
pub struct Slot<T>(Arc<OnceLock<T>>);

impl<T: Copy> Slot<T> {
    /// What was left, if anything was.
    pub fn get(&self) -> Option<T> {
        self.0.get().copied()
    }

    pub(super) fn fill(&self, value: T) {
        // A transaction is written once.
        let _ = self.0.set(value);
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: fmt::Debug> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.0.get()).finish()
    }
}
