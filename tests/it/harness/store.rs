//! Which database a world has.

use chorus::store::{Db, Place, Synchronous};
use scratch_postgres::Database;

/// Which database a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    /// The one that `CHORUS_TEST_STORE` names: `sqlite` unless it says `postgres`.
    pub fn by_default() -> Self {
        match std::env::var("CHORUS_TEST_STORE").as_deref() {
            Err(_) | Ok("sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok(other) => panic!("CHORUS_TEST_STORE is sqlite or postgres, not {other:?}"),
        }
    }

    /// A database of a story's own; none if that is a file in the story's data folder.
    pub async fn make(self) -> Option<Database> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => {
                let database = scratch_postgres::database(async |url| {
                    let place = Place::parse(url).expect("a URL");
                    let db = Db::connect(&place, Synchronous::Normal).await.expect("a database");
                    db.migrate().await.expect("up to date");
                    db.close().await;
                });
                Some(database.await.expect("PostgreSQL is asked for, and to be done without"))
            }
        }
    }
}

/// Makes of each story, which takes a [`Store`], a test on SQLite and one on PostgreSQL.
macro_rules! on_both_stores {
    ($($story:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::harness::Store::Sqlite).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                if scratch_postgres::is_here() {
                    super::$story(crate::harness::Store::Postgres).await;
                }
            })*
        }
    };
}
pub(crate) use on_both_stores;
