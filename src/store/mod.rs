//! The store: all SQL is here, and nothing else is.
//!
//! Every statement is one constant that SQLite and PostgreSQL both understand; a test prepares
//! each of them. Reading functions take a [`Db`], writing ones a [`Tx`]; the [`on!`] macro runs
//! the same body against whichever database it is.

pub mod audit;
mod bulk;
pub mod conversations;
mod cursor;
pub mod events;
pub mod logs;
pub mod messages;
pub mod permissions;
pub mod projects;
pub mod rules;
pub mod sessions;
mod sqlite;
pub mod usage;
mod write;

pub use cursor::{BadCursor, Cursor, Page};
pub use sqlite::Synchronous;
pub use write::{SettledPermission, Write};

use std::path::Path;

/// Something the store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration could not be applied.
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this version does not understand.
    #[error("the database holds {what} that this version of Chorus cannot read: {value:?}")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// Its value.
        value: String,
    },
}

/// The result of everything here.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// An SQLite file of ours.
    Sqlite(sqlite::Pools),
}

/// A writing transaction. Dropped without [`Tx::commit`], it leaves no trace.
pub enum Tx {
    /// On SQLite.
    Sqlite(sqlite::Writing),
}

/// Runs the same body against the reading pool of a [`Db`] or the connection of a [`Tx`].
macro_rules! on {
    (read $db:expr, $c:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite(pools) => {
                let $c = &pools.read;
                $body
            }
        }
    };
    (write $tx:expr, $c:ident => $body:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $c = &mut *tx.transaction;
                $body
            }
        }
    };
}
pub(crate) use on;

impl Db {
    /// Opens (and creates, and brings up to date) the SQLite database in `file`.
    pub async fn open_sqlite(file: &Path, synchronous: Synchronous) -> Result<Self> {
        Ok(Self::Sqlite(sqlite::Pools::open(file, synchronous).await?))
    }

    /// Begins a writing transaction. There is one writer: on SQLite it holds the write lock from
    /// here on.
    pub async fn begin(&self) -> Result<Tx> {
        match self {
            Self::Sqlite(pools) => Ok(Tx::Sqlite(pools.begin().await?)),
        }
    }

    /// Answers if the database can be read.
    pub async fn ping(&self) -> Result<()> {
        on!(read self, c => { sqlx::query("SELECT 1").execute(c).await?; });
        Ok(())
    }

    /// Closes all connections; what was committed is in the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => pools.close().await,
        }
    }
}

impl Tx {
    /// Makes everything written durable, as far as the database is configured to.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
        }
    }
}

/// Every statement, for the test that prepares them all.
#[cfg(test)]
fn statements() -> Vec<&'static str> {
    let fixed = [
        audit::STATEMENTS,
        conversations::STATEMENTS,
        messages::STATEMENTS,
        permissions::STATEMENTS,
        projects::STATEMENTS,
        rules::STATEMENTS,
        sessions::STATEMENTS,
        usage::STATEMENTS,
    ];
    fixed.concat().into_iter().chain(events::statements()).chain(logs::statements()).collect()
}

/// Reads an enumeration's name from a column.
fn named<T>(what: &'static str, value: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    parse(value).ok_or_else(|| StoreError::Corrupt { what, value: value.to_owned() })
}

/// Reads JSON from a column.
fn json<T: serde::de::DeserializeOwned>(what: &'static str, value: &str) -> Result<T> {
    serde_json::from_str(value).map_err(|e| StoreError::Corrupt { what, value: e.to_string() })
}

/// Reads an id from a column.
fn id<T: std::str::FromStr>(what: &'static str, value: &str) -> Result<T> {
    value.parse().map_err(|_| StoreError::Corrupt { what, value: value.to_owned() })
}

/// Writes JSON. Our own types have string keys and no failing serialisers.
fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests;
