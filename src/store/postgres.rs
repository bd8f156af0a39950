//! PostgreSQL 15 or newer: one writing connection, a few reading ones, and one that shows every
//! other server that this database has one already.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{Result, StoreError};

pub(super) static MIGRATIONS: sqlx::migrate::Migrator =
    sqlx_macros::migrate!("migrations/postgres");

/// The oldest version that will do, as `server_version_num` counts.
const OLDEST: i32 = 150_000;
/// How long a connection may take: whoever waits for it is told then that the store is away.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at the connection that holds the database.
const LOOK: Duration = Duration::from_secs(1);

/// Locks are named by two numbers: ours, and which.
const LOCKS: i32 = 0x6368_6f72;
/// Held by the server of this database as long as it runs.
const SERVER: i32 = 1;
/// Held by a transaction from the moment it gives events their ids to its end.
const TURN: i32 = 2;

// A statement that never ends, or the end of whoever began it, must not hold up what comes after.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET statement_timeout = '60s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET tcp_user_timeout = '15s'; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
     SET client_min_messages = 'warning'";
/// A migration takes as long as it takes.
const UNHURRIED: &str = "SET lock_timeout = 0; SET statement_timeout = 0";
const PATIENT: &str = "SET lock_timeout = '2s'";
const HOLD: &str = "SELECT pg_advisory_lock($1, $2)";
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock($1, $2)";
const HOLDER: &str = "SELECT COALESCE(a.application_name, ''), a.pid, \
     COALESCE(host(a.client_addr), 'this machine') FROM pg_locks l \
     JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d ON d.oid = l.database \
     WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
     AND d.datname = current_database() \
     AND CAST(l.classid AS BIGINT) = $1 AND CAST(l.objid AS BIGINT) = $2";
const CONTINUE: [&str; 4] = [
    "SELECT setval(pg_get_serial_sequence('documents', 'id'), MAX(id)) FROM documents \
     HAVING MAX(id) IS NOT NULL",
    "SELECT setval(pg_get_serial_sequence('document_references', 'id'), MAX(id)) \
     FROM document_references HAVING MAX(id) IS NOT NULL",
    "SELECT setval(pg_get_serial_sequence('command_logs', 'id'), MAX(id)) FROM command_logs \
     HAVING MAX(id) IS NOT NULL",
    "SELECT setval(pg_get_serial_sequence('events', 'id'), MAX(id)) FROM events \
     HAVING MAX(id) IS NOT NULL",
];
const VERSION: &str = "SELECT CAST(current_setting('server_version_num') AS INTEGER), \
     current_setting('server_version'), current_setting('server_encoding')";
/// Begins to read one state of the database.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
pub(super) const TABLES: &str = "SELECT CAST(c.relname AS TEXT) FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
     AND n.nspname NOT LIKE 'pg\\_temp%'";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[HOLD, TAKE_TURN, HOLDER, CONTINUE[0], CONTINUE[1], CONTINUE[2], CONTINUE[3], VERSION, TABLES];

/// The connections to one database.
#[derive(Clone)]
pub struct Pools {
    pub(super) read: PgPool,
    pub(super) write: PgPool,
    options: Arc<PgConnectOptions>,
    reign: Arc<Reign>,
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options hold the password.
        f.debug_struct("Pools").finish_non_exhaustive()
    }
}

impl Pools {
    /// Connects, and makes sure that this database will do.
    pub(super) async fn connect(options: &PgConnectOptions) -> Result<Self> {
        let options = options.clone().application_name(&own_name()).statement_cache_capacity(256);
        let options = options.disable_statement_logging();
        let pool = |most: u32| {
            PgPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
                // A connection that was in use a moment ago is there; asking would double the cost
                // of small reads.
                .before_acquire(|c, meta| {
                    Box::pin(async move {
                        if meta.idle_for > LOOK {
                            c.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .after_connect(|c, _| Box::pin(async move { c.execute(SETTINGS).await.map(drop) }))
        };
        // Not by the pool, which does not say why it has no connection.
        let mut first = connect(&options).await?;
        let (number, version, encoding): (i32, String, String) =
            sqlx::query_as(VERSION).fetch_one(&mut first).await?;
        first.close().await?;
        if number < OLDEST {
            let why = format!("PostgreSQL {version} is too old: Chorus needs 15 or newer");
            return Err(StoreError::Unfit(why));
        }
        if encoding != "UTF8" {
            let why = format!(
                "the database's encoding is {encoding}; make one with `createdb -E UTF8 -T template0`"
            );
            return Err(StoreError::Unfit(why));
        }
        let (write, read) = (
            pool(1).connect_lazy_with(options.clone()),
            pool(8).connect_lazy_with(options.clone()),
        );
        Ok(Self { read, write, options: options.into(), reign: Arc::default() })
    }

    /// Brings the database up to date.
    pub(super) async fn migrate(&self) -> Result<()> {
        let mut connection = self.write.acquire().await?;
        connection.execute(UNHURRIED).await?;
        MIGRATIONS.run(&mut *connection).await?;
        connection.execute(SETTINGS).await?;
        Ok(())
    }

    /// Holds the database against every other server, from now on.
    pub(super) async fn hold(&self) -> Result<()> {
        let connection = hold(&self.options).await?;
        self.reign.state.store(HELD, Ordering::Release);
        let keeper = tokio::spawn(keep(connection, self.options.clone(), self.reign.clone()));
        *self.reign.lock() = Some(keeper.abort_handle());
        Ok(())
    }

    /// Whether the hold was lost since this was asked last: somebody else may have written.
    pub(super) fn was_away(&self) -> bool {
        self.reign.away.swap(false, Ordering::AcqRel)
    }

    pub(super) async fn begin(&self) -> Result<Writing> {
        if self.reign.state.load(Ordering::Acquire) == LOST {
            let why = "the connection that holds the database against other servers is lost";
            return Err(StoreError::Unfit(why.into()));
        }
        Ok(Writing { transaction: self.write.begin().await? })
    }

    pub(super) async fn close(&self) {
        if let Some(keeper) = self.reign.lock().take() {
            keeper.abort();
        }
        self.read.close().await;
        self.write.close().await;
    }
}

/// A writing transaction.
pub struct Writing {
    pub(super) transaction: sqlx::Transaction<'static, sqlx::Postgres>,
}

impl Writing {
    /// Waits for every other transaction that has given events their ids. So ids become visible in
    /// their order, and who has read one has missed none before it.
    pub(super) async fn take_turn(&mut self) -> Result<()> {
        let query = sqlx::query(TAKE_TURN).bind(LOCKS).bind(TURN);
        query.execute(&mut *self.transaction).await?;
        Ok(())
    }

    pub(super) async fn continue_ids(&mut self) -> Result<()> {
        for sql in CONTINUE {
            sqlx::query(sql).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<()> {
        Ok(self.transaction.commit().await?)
    }
}

/// Nobody asked to hold the database: a command, not a server.
const NOT_ASKED: u8 = 0;
const HELD: u8 = 1;
const LOST: u8 = 2;

/// What is known about the hold on a database.
#[derive(Debug)]
struct Reign {
    state: AtomicU8,
    away: AtomicBool,
    keeper: Mutex<Option<AbortHandle>>,
}

impl Default for Reign {
    fn default() -> Self {
        Self {
            state: AtomicU8::new(NOT_ASKED),
            away: AtomicBool::new(false),
            keeper: Mutex::default(),
        }
    }
}

impl Reign {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<AbortHandle>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a connection.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let connected = timeout(PATIENCE, options.connect()).await;
    let mut connection = connected.map_err(|_| StoreError::Away)??;
    connection.execute(SETTINGS).await?;
    Ok(connection)
}

/// Holds the database by a connection of its own. Waits a moment for a server that has just ended:
/// for PostgreSQL to notice, and for the commit that it may have sent with its last breath.
async fn hold(options: &PgConnectOptions) -> Result<PgConnection> {
    let mut connection = connect(options).await?;
    connection.execute(PATIENT).await?;
    let locked = sqlx::query(HOLD).bind(LOCKS).bind(SERVER).execute(&mut connection).await;
    if locked.as_ref().is_err_and(is_lock_timeout) {
        return Err(StoreError::Unfit(held_by(&mut connection).await?));
    }
    locked?;
    sqlx::query(TAKE_TURN).bind(LOCKS).bind(TURN).execute(&mut connection).await?;
    Ok(connection)
}

fn is_lock_timeout(e: &sqlx::Error) -> bool {
    e.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "55P03")
}

async fn held_by(connection: &mut PgConnection) -> Result<String> {
    let holder: Option<(String, i32, String)> = sqlx::query_as(HOLDER)
        .bind(i64::from(LOCKS))
        .bind(i64::from(SERVER))
        .fetch_optional(connection)
        .await?;
    let who = holder.map_or_else(
        || "another server".to_owned(),
        |(name, backend, from)| format!("{name} (from {from}, backend {backend})"),
    );
    Ok(format!("{who} uses this database already. Stop that server, or choose another database"))
}

/// Looks after the hold: if the connection is lost, nothing is written until it is made again.
async fn keep(mut connection: PgConnection, options: Arc<PgConnectOptions>, reign: Arc<Reign>) {
    loop {
        sleep(LOOK).await;
        let problem = match timeout(PATIENCE, connection.ping()).await {
            Ok(Ok(())) => continue,
            Ok(Err(e)) => e.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        reign.state.store(LOST, Ordering::Release);
        reign.away.store(true, Ordering::Release);
        tracing::warn!(%problem, "the connection to PostgreSQL is lost; nothing is written until it is back");
        let mut said = String::new();
        connection = loop {
            match hold(&options).await {
                Ok(connection) => break connection,
                Err(e) => {
                    let problem = e.to_string();
                    if problem != said {
                        tracing::warn!(%problem, "the database cannot be held again yet");
                        said = problem;
                    }
                }
            }
            sleep(LOOK / 4).await;
        };
        // Again: in between, memory may have been read while another server wrote.
        reign.away.store(true, Ordering::Release);
        reign.state.store(HELD, Ordering::Release);
        tracing::info!("the connection to PostgreSQL is back");
    }
}

/// How this process is called in PostgreSQL's list of connections.
fn own_name() -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    let name = format!("chorus pid {} on {host}", std::process::id());
    // PostgreSQL's names end there.
    name[..name.floor_char_boundary(63)].to_owned()
}
