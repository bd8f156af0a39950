//! The audit log: looking at it, and checking that it is whole. Writing is part of each act's own
//! transaction.

use super::App;
use super::error::Error;
use crate::domain::audit::{Checker, Damage, Entry};
use crate::store::{Cursor, Page, audit};

pub use crate::store::audit::Filter;

/// Entries that are read at once while the log is checked.
const BATCH: u32 = 1_000;

/// What checking the log has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Entries that are whole, from the first on.
    pub whole: i64,
    /// The last one's hash: noted elsewhere, it shows later that none was cut off the end.
    pub last_hash: String,
    /// The first bad entry, and what is wrong with it.
    pub bad: Option<(Entry, Damage)>,
}

/// Lists entries, the newest first.
pub async fn list(
    app: &App,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Entry>, Error> {
    Ok(audit::list(&app.db, filter, after, limit).await?)
}

/// Goes through the whole log, from its beginning to the first bad entry.
pub async fn check(app: &App) -> Result<Checked, Error> {
    let mut checker = Checker::default();
    loop {
        let batch = audit::after(&app.db, checker.last_id(), BATCH).await?;
        let end = batch.len() < BATCH as usize;
        let bad = batch.into_iter().find_map(|entry| {
            let damage = checker.next(&entry).err()?;
            Some((entry, damage))
        });
        if end || bad.is_some() {
            let last_hash = checker.last_hash().to_owned();
            return Ok(Checked { whole: checker.last_id(), last_hash, bad });
        }
    }
}
