//! SQLite: one writing connection, a few reading ones, WAL.

mod writer;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

pub use writer::Writing;

use super::Result;
use writer::Writer;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/sqlite");

pub(super) const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
/// Begins to read one state of the database.
pub(super) const SNAPSHOT: &str = "BEGIN";
pub(super) const INTEGRITY: &str = "PRAGMA integrity_check";
pub(super) const SIZE: &str = "SELECT (page_count - freelist_count) * page_size \
     FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
// So many pages at once: the writer waits meanwhile.
const GIVE_BACK: &str = "PRAGMA incremental_vacuum(2000)";
const BACKUP: &str = "VACUUM INTO $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    TABLES,
    INTEGRITY,
    SIZE,
    GIVE_BACK,
    BACKUP,
    writer::BEGIN,
    writer::COMMIT,
    writer::ROLLBACK,
    writer::CHECKPOINT,
];

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

/// The connections to one file.
#[derive(Clone, Debug)]
pub struct Pools {
    pub(super) read: SqlitePool,
    writer: Writer,
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
            // Rows of the record are some 3 KB: only one of them would fit on a page of the usual size.
            .page_size(8_192)
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
        let writer =
            Writer::connect(options.clone().auto_vacuum(SqliteAutoVacuum::Incremental)).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_lazy_with(options.read_only(true).create_if_missing(false));
        Ok(Self { read, writer })
    }

    /// Brings the database up to date.
    pub(super) async fn migrate(&self) -> Result<()> {
        MIGRATIONS.run(self.writer.take().await?.connection()?).await?;
        Ok(())
    }

    /// Writes the whole database into another file, as it is at one moment, while others go on.
    pub(super) async fn copy_to(&self, file: &Path) -> Result<()> {
        sqlx::query(BACKUP).bind(file.to_string_lossy().as_ref()).execute(&self.read).await?;
        Ok(())
    }

    /// Gives free pages of the file back to the disk.
    pub(super) async fn give_back(&self) -> Result<()> {
        sqlx::query(GIVE_BACK).execute(self.writer.take().await?.connection()?).await?;
        Ok(())
    }

    /// Begins to write: takes the lock at once, as it is needed anyway.
    pub(super) async fn begin(&self) -> Result<Writing> {
        self.writer.begin().await
    }

    /// Waits for everybody who writes now.
    pub(super) async fn settle(&self) -> Result<()> {
        self.writer.take().await.map(drop)
    }

    pub(super) async fn close(&self) {
        self.read.close().await;
        self.writer.close().await;
    }
}
