//! SQLite: one writing connection, a few reading ones, WAL.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
/// Begins to read one state of the database.
pub(super) const SNAPSHOT: &str = "BEGIN";
pub(super) const INTEGRITY: &str = "PRAGMA integrity_check";
pub(super) const SIZE: &str = "SELECT (page_count - freelist_count) * page_size \
     FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
// So many pages at once: the writer waits meanwhile.
pub(super) const GIVE_BACK: &str = "PRAGMA incremental_vacuum(2000)";
const BACKUP: &str = "VACUUM INTO $1";
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[TABLES, INTEGRITY, SIZE, GIVE_BACK, BACKUP, CHECKPOINT];

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

/// Rows that are written between two checkpoints. That leaves 10 to 20 MB in the log, which is written again
/// and again: what is on the disk and in memory already costs half of what a log that grows does. Whoever
/// commits during a checkpoint may wait for the disk, so it is not done more often.
const CHECKPOINT_AFTER: usize = 1_200;

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
            .statement_cache_capacity(128)
            .disable_statement_logging();
        // Of databases that are made from now on: what retention frees can go back to the disk.
        let making = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // Only in want of the checkpoints below, for which nobody has to wait.
            .connect_with(making.pragma("wal_autocheckpoint", "32000"))
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().read_only(true).create_if_missing(false));
        let own = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let committed = Arc::<Committed>::default();
        let checkpoints = checkpoints(own, write.clone(), committed.clone());
        let checkpoints = tokio::spawn(checkpoints).abort_handle();
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
        Ok(Writing { transaction, rows: 0, committed: self.committed.clone() })
    }

    pub(super) async fn close(&self) {
        self.checkpoints.abort();
        self.read.close().await;
        self.write.close().await;
    }
}

/// How much was written since the last checkpoint.
#[derive(Debug, Default)]
struct Committed {
    rows: AtomicUsize,
    enough: Notify,
}

/// A writing transaction.
pub struct Writing {
    pub(super) transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
    rows: usize,
    committed: Arc<Committed>,
}

impl Writing {
    /// Notes that so many rows are written.
    pub(super) fn count(&mut self, rows: usize) {
        self.rows += rows;
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.transaction.commit().await?;
        let before = self.committed.rows.fetch_add(self.rows, Ordering::Relaxed);
        if before + self.rows >= CHECKPOINT_AFTER {
            self.committed.enough.notify_one();
        }
        Ok(())
    }
}

/// Carries what was committed from the log into the database, again and again.
///
/// SQLite would have the commit do it that fills the log, and whoever waits for that one would wait
/// for the disk. Another connection does nearly all of it while commits go on. The little that they add
/// meanwhile is carried over while none is made: then all of the log is in the database, and the next
/// commit begins it anew.
async fn checkpoints(own: SqlitePool, write: SqlitePool, committed: Arc<Committed>) {
    loop {
        committed.enough.notified().await;
        for pool in [&own, &write] {
            if let Err(e) = sqlx::query(CHECKPOINT).execute(pool).await {
                tracing::debug!(error = %e, "no checkpoint was made; the next one does it all");
            }
        }
        committed.rows.store(0, Ordering::Relaxed);
    }
}
