//! SQLite: one writing connection, a few reading ones, WAL.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Result;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/sqlite");

pub(super) const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
pub(super) const INTEGRITY: &str = "PRAGMA integrity_check";
pub(super) const SIZE: &str = "SELECT (page_count - freelist_count) * page_size \
     FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
// So many pages at once: the writer waits meanwhile.
pub(super) const GIVE_BACK: &str = "PRAGMA incremental_vacuum(2000)";
const BACKUP: &str = "VACUUM INTO $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[TABLES, INTEGRITY, SIZE, GIVE_BACK, BACKUP];

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// The death of the process, by whatever signal.
    #[default]
    Normal,
    /// The loss of power too, at the price of a disk flush for each group of commits.
    Full,
}

/// Commits between two checkpoints. Each leaves some ten pages in the log, or a hundred where 64 connections
/// write at once. Whoever commits while the disk is flushed may wait for it, so that is not done often.
const CHECKPOINT_EVERY: u32 = 200;

/// The connections to one file.
#[derive(Clone, Debug)]
pub struct Pools {
    pub(super) read: SqlitePool,
    pub(super) write: SqlitePool,
    committed: Arc<Committed>,
    checkpoints: AbortHandle,
}

impl Pools {
    /// Connects to the database in `file`; makes it if it is not there and may be made.
    pub(super) async fn connect(
        file: &Path,
        synchronous: Synchronous,
        may_make: bool,
    ) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(may_make)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match synchronous {
                Synchronous::Normal => SqliteSynchronous::Normal,
                Synchronous::Full => SqliteSynchronous::Full,
            })
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            // 2 MiB of pages a connection: the hot pages fit, and memory stays flat.
            .pragma("cache_size", "-2048")
            .pragma("journal_size_limit", "67108864")
            // What a statement may have to take back is not worth a file.
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(64)
            .disable_statement_logging();
        // Of databases that are made from now on: what retention frees can go back to the disk.
        let making = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // Only in want of the other connection's checkpoints, which nobody has to wait for.
            .connect_with(making.pragma("wal_autocheckpoint", "32000"))
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().read_only(true).create_if_missing(false));
        let own = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let committed = Arc::<Committed>::default();
        let checkpoints = tokio::spawn(checkpoints(own, committed.clone())).abort_handle();
        Ok(Self { read, write, committed, checkpoints })
    }

    /// Writes the whole database into another file, as it is at one moment, while others go on.
    pub(super) async fn copy_to(&self, file: &Path) -> Result<()> {
        sqlx::query(BACKUP).bind(file.to_string_lossy().as_ref()).execute(&self.read).await?;
        Ok(())
    }

    /// Begins to write: takes the lock at once, as it is needed anyway.
    pub(super) async fn begin(&self) -> Result<Writing> {
        let transaction = self.write.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Writing { transaction, committed: self.committed.clone() })
    }

    pub(super) async fn close(&self) {
        self.checkpoints.abort();
        self.read.close().await;
        self.write.close().await;
    }
}

/// Counts commits.
#[derive(Debug, Default)]
struct Committed {
    count: AtomicU32,
    enough: Notify,
}

/// A writing transaction.
pub struct Writing {
    pub(super) transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
    committed: Arc<Committed>,
}

impl Writing {
    pub(super) async fn commit(self) -> Result<()> {
        self.transaction.commit().await?;
        let count = self.committed.count.fetch_add(1, Ordering::Relaxed);
        if count.is_multiple_of(CHECKPOINT_EVERY) {
            self.committed.enough.notify_one();
        }
        Ok(())
    }
}

/// Carries what was committed from the log into the database, again and again.
///
/// SQLite would have the commit do it that fills the log, and whoever waits for that one would wait
/// for the disk. Another connection can do it while commits go on.
async fn checkpoints(pool: SqlitePool, committed: Arc<Committed>) {
    loop {
        committed.enough.notified().await;
        if let Err(e) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&pool).await {
            tracing::debug!(error = %e, "no checkpoint was made; the next one does it all");
        }
    }
}
