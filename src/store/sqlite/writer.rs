//! The one connection that writes, and what carries its log into the database.
//!
//! It is no pool's: a pool asks a connection that comes back whether it is still there, which is one more
//! way to its thread and back for each commit, and on those ways all requests wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio::task::AbortHandle;

use super::Result;

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Rows that are written between two checkpoints. That leaves 10 to 20 MB in the log, which is written again
/// and again: what is on the disk and in memory already costs half of what a log that grows does. Whoever
/// commits during a checkpoint may wait for the disk, so it is not done more often.
const CHECKPOINT_AFTER: usize = 1_200;

/// The connection that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    own: Arc<Mutex<Own>>,
    committed: Arc<Committed>,
    checkpoints: AbortHandle,
}

/// The connection itself: whoever holds the lock on it writes.
#[derive(Debug)]
pub(super) struct Own {
    /// Gone once it was closed.
    connection: Option<SqliteConnection>,
    /// A transaction was begun, and how it ended is not known.
    is_open: bool,
}

/// How much was written since the last checkpoint.
#[derive(Debug, Default)]
struct Committed {
    rows: AtomicUsize,
    enough: Notify,
}

impl Writer {
    pub(super) async fn connect(options: SqliteConnectOptions) -> Result<Self> {
        // Only in want of the checkpoints below, for which nobody has to wait.
        let writing = options.clone().pragma("wal_autocheckpoint", "32000");
        let own = Own { connection: Some(writing.connect().await?), is_open: false };
        let (own, committed) = (Arc::new(Mutex::new(own)), Arc::<Committed>::default());
        let checkpoints = tokio::spawn(checkpoints(options, own.clone(), committed.clone()));
        Ok(Self { own, committed, checkpoints: checkpoints.abort_handle() })
    }

    /// Waits for everybody who writes now.
    pub(super) async fn take(&self) -> Result<OwnedMutexGuard<Own>> {
        let mut own = self.own.clone().lock_owned().await;
        if own.is_open {
            // Its writer has gone in the middle, perhaps of the commit: then there is nothing to take back.
            let taken_back = sqlx::query(ROLLBACK).execute(own.connection()?).await;
            tracing::debug!(?taken_back, "a transaction was left");
            own.is_open = false;
        }
        Ok(own)
    }

    pub(super) async fn begin(&self) -> Result<Writing> {
        let mut own = self.take().await?;
        own.is_open = true;
        if let Err(e) = sqlx::query(BEGIN).execute(own.connection()?).await {
            own.is_open = false;
            return Err(e.into());
        }
        Ok(Writing { own, rows: 0, committed: self.committed.clone() })
    }

    /// Closes the connection; what is committed is in the database.
    pub(super) async fn close(&self) {
        self.checkpoints.abort();
        if let Some(connection) = self.own.lock().await.connection.take()
            && let Err(e) = connection.close().await
        {
            tracing::warn!(error = %e, "the database was not closed in order; its log has all of it");
        }
    }
}

impl Own {
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

/// A writing transaction. Dropped before the commit, it is taken back by who writes next.
pub struct Writing {
    own: OwnedMutexGuard<Own>,
    rows: usize,
    committed: Arc<Committed>,
}

impl Writing {
    /// The connection to write on.
    pub(in crate::store) fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.own.connection()
    }

    /// Notes that so many rows are written.
    pub(in crate::store) fn count(&mut self, rows: usize) {
        self.rows += rows;
    }

    pub(in crate::store) async fn commit(mut self) -> Result<()> {
        sqlx::query(COMMIT).execute(self.own.connection()?).await?;
        self.own.is_open = false;
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
async fn checkpoints(
    options: SqliteConnectOptions,
    own: Arc<Mutex<Own>>,
    committed: Arc<Committed>,
) {
    let mut other = None;
    loop {
        committed.enough.notified().await;
        if let Err(e) = checkpoint(&options, &mut other, &own).await {
            tracing::debug!(error = %e, "no checkpoint was made; the next one does it all");
        }
        committed.rows.store(0, Ordering::Relaxed);
    }
}

async fn checkpoint(
    options: &SqliteConnectOptions,
    other: &mut Option<SqliteConnection>,
    own: &Mutex<Own>,
) -> Result<(), sqlx::Error> {
    let other = match other {
        Some(connection) => connection,
        none => none.insert(options.connect().await?),
    };
    sqlx::query(CHECKPOINT).execute(other).await?;
    let mut own = own.lock().await;
    if !own.is_open {
        sqlx::query(CHECKPOINT).execute(own.connection()?).await?;
    }
    Ok(())
}
