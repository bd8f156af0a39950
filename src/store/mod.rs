//! The store: all SQL is here, and nothing else is.
//!
//! Every statement is one constant that SQLite and PostgreSQL both understand; a test prepares
//! each of them. Reading functions take a [`Db`], writing ones a [`Tx`]; the [`on!`] macro runs
//! the same body against whichever database it is.

pub mod activity;
pub mod audit;
mod bulk;
pub mod claims;
pub mod conversations;
pub mod copy;
mod cursor;
pub mod documents;
pub mod events;
pub mod logs;
pub mod messages;
pub mod permissions;
mod place;
mod postgres;
pub mod projects;
pub mod references;
pub mod retention;
pub mod rules;
pub mod schema;
pub mod sessions;
mod slot;
mod sqlite;
pub mod tasks;
pub mod templates;
mod text;
pub mod usage;
mod write;

pub use cursor::{BadCursor, Cursor, Order, Page};
pub use place::Place;
pub use slot::Slot;
pub use sqlite::Synchronous;
pub use write::{SettledPermission, Write};

use std::path::Path;

use text::{key, text};

/// Something the store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached.
    #[error("the database cannot be reached at the moment")]
    Away,
    /// The database refused, or went away in the middle.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
    /// A migration could not be applied.
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database is reached, and not to be used.
    #[error("{0}")]
    Unfit(String),
    /// A row holds what this version does not understand.
    #[error("the database holds {what} that this version of Chorus cannot read: {value:?}")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// Its value.
        value: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        match e {
            // No connection could be made in time, however often that was tried.
            sqlx::Error::PoolTimedOut => Self::Away,
            e => Self::Database(e),
        }
    }
}

/// The result of everything here.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    /// An SQLite file of ours.
    Sqlite(sqlite::Pools),
    /// A database of a PostgreSQL server.
    Postgres(postgres::Pools),
}

/// A writing transaction. Dropped without [`Tx::commit`], it leaves no trace.
pub enum Tx {
    /// On SQLite.
    Sqlite(sqlite::Writing),
    /// On PostgreSQL.
    Postgres(postgres::Writing),
}

/// Runs the same body against the reading pool of a [`Db`], one connection of it whose statements all read
/// the same state, or the connection of a [`Tx`]; or just a query that has no answer.
macro_rules! on {
    (read $db:expr, $c:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite(pools) => {
                let $c = &pools.read;
                $body
            }
            $crate::store::Db::Postgres(pools) => {
                let $c = &pools.read;
                $body
            }
        }
    };
    (snapshot $db:expr, $c:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite(pools) => {
                let mut reading = pools.read.begin_with($crate::store::sqlite::SNAPSHOT).await?;
                let $c = &mut *reading;
                $body
            }
            $crate::store::Db::Postgres(pools) => {
                let mut reading = pools.read.begin_with($crate::store::postgres::SNAPSHOT).await?;
                let $c = &mut *reading;
                $body
            }
        }
    };
    (write $tx:expr, $c:ident => $body:expr) => {
        match $tx {
            $crate::store::Tx::Sqlite(tx) => {
                let $c = tx.connection()?;
                $body
            }
            $crate::store::Tx::Postgres(tx) => {
                let $c = &mut *tx.transaction;
                $body
            }
        }
    };
    (execute $tx:expr, $query:expr) => {
        on!(write $tx, c => {
            $query.execute(c).await?;
        })
    };
}
pub(crate) use on;

impl Db {
    /// Connects to a database. One that is not there yet is an error.
    pub async fn connect(place: &Place, synchronous: Synchronous) -> Result<Self> {
        Ok(match place {
            Place::Sqlite(file) => {
                Self::Sqlite(sqlite::Pools::connect(file, synchronous, false).await?)
            }
            Place::Postgres(options) => Self::Postgres(postgres::Pools::connect(options).await?),
        })
    }

    /// The same; an SQLite file that is not there is made, with nothing in it.
    pub async fn make(place: &Place, synchronous: Synchronous) -> Result<Self> {
        match place {
            Place::Sqlite(file) => {
                Ok(Self::Sqlite(sqlite::Pools::connect(file, synchronous, true).await?))
            }
            Place::Postgres(_) => Self::connect(place, synchronous).await,
        }
    }

    /// Opens (and makes, and brings up to date) the SQLite database in `file`.
    pub async fn open_sqlite(file: &Path, synchronous: Synchronous) -> Result<Self> {
        let db = Self::make(&Place::Sqlite(file.to_owned()), synchronous).await?;
        db.migrate().await?;
        Ok(db)
    }

    /// Holds the database against every other server until it is closed. An SQLite file is held by
    /// its data folder's lock; here that is taken for granted.
    pub async fn hold(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(pools) => pools.hold().await,
        }
    }

    /// Whether somebody else may have written since this was asked last.
    pub fn was_away(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(pools) => pools.was_away(),
        }
    }

    /// Begins a writing transaction. There is one writer: on SQLite it holds the write lock from
    /// here on.
    pub async fn begin(&self) -> Result<Tx> {
        match self {
            Self::Sqlite(pools) => Ok(Tx::Sqlite(pools.begin().await?)),
            Self::Postgres(pools) => Ok(Tx::Postgres(pools.begin().await?)),
        }
    }

    /// Waits for everybody who writes now, also for a commit that was given up: it has landed by then, or
    /// never will. On SQLite nobody else's lock on the database is waited for.
    pub async fn settle(&self) -> Result<()> {
        match self {
            Self::Sqlite(pools) => pools.settle().await,
            Self::Postgres(pools) => pools.begin().await.map(drop),
        }
    }

    /// Answers if the database can be read.
    pub async fn ping(&self) -> Result<()> {
        on!(read self, c => { sqlx::query("SELECT 1").execute(c).await?; });
        Ok(())
    }

    /// Closes all connections; what was committed is in the database.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => pools.close().await,
            Self::Postgres(pools) => pools.close().await,
        }
    }
}

impl Tx {
    /// Notes that so many rows are written, which SQLite's checkpoints are made by.
    fn count(&mut self, rows: usize) {
        match self {
            Self::Sqlite(tx) => tx.count(rows),
            Self::Postgres(_) => {}
        }
    }

    /// Waits until it is this transaction's turn to give events their ids. On SQLite it is, from the
    /// beginning.
    async fn take_turn(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(tx) => tx.take_turn().await,
        }
    }

    /// Lets ids go on after the last one there is. SQLite does so by itself.
    async fn continue_ids(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(tx) => tx.continue_ids().await,
        }
    }

    /// Makes everything written durable, as far as the database is configured to.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}

/// Every statement, for the test that prepares them all.
#[cfg(test)]
fn statements(db: &Db) -> Vec<&'static str> {
    let fixed = [
        activity::STATEMENTS,
        audit::STATEMENTS,
        conversations::STATEMENTS,
        messages::STATEMENTS,
        permissions::STATEMENTS,
        projects::STATEMENTS,
        claims::STATEMENTS,
        references::STATEMENTS,
        rules::STATEMENTS,
        schema::STATEMENTS,
        templates::STATEMENTS,
        usage::STATEMENTS,
    ];
    let sized = events::statements(db).chain(logs::statements(db)).chain(sessions::statements(db));
    let sized = sized.chain(retention::statements()).chain(tasks::statements());
    let sized = sized.chain(documents::statements(db));
    fixed.concat().into_iter().chain(sized).collect()
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
