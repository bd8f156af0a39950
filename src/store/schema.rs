//! What is in a database as a whole: its tables, its migrations, and whether it is sound.

use serde::Serialize;
use sqlx::migrate::Migrator;

use super::{Db, Result, StoreError, on, postgres, sqlite};

/// Our tables: each after those it refers to.
pub(super) const TABLES: [&str; 23] = [
    "projects",
    "sessions",
    "counters",
    "tasks",
    "task_labels",
    "task_dependencies",
    "task_attempts",
    "prompt_templates",
    "documents",
    "document_references",
    "path_claims",
    "conversations",
    "subagent_transcripts",
    "session_messages",
    "command_logs",
    "command_outputs",
    "token_usage",
    "session_usage",
    "usage_days",
    "permission_requests",
    "permission_rules",
    "audit_log",
    "events",
];

/// Those that nobody else has, all of them, since the first migration.
const MARKS: [&str; 4] =
    ["session_messages", "command_logs", "permission_requests", "permission_rules"];

/// Where the migrations that were applied are written down.
const MIGRATIONS: &str = "_sqlx_migrations";
const APPLIED: &str =
    "SELECT CAST(version AS BIGINT), description FROM _sqlx_migrations ORDER BY version";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[APPLIED];

/// Whose a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is nothing in it.
    Nobody,
    /// It is Chorus's.
    Us,
    /// Another program's.
    Another,
}

/// What is in a database, and whether it is sound.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The migrations that were applied, oldest first.
    pub applied: Vec<String>,
    /// Those that are still to be applied.
    pub pending: Vec<String>,
    /// The tables and how many rows they have.
    pub rows: Vec<(String, i64)>,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Db {
    /// Whose the database is, as its tables tell.
    pub async fn owner(&self) -> Result<Owner> {
        let mut tables = self.tables().await?;
        if MARKS.iter().all(|ours| tables.iter().any(|t| t == ours)) {
            return Ok(Owner::Us);
        }
        // A server that was killed at its first start leaves the list of migrations, with none in it.
        if self.applied().await?.is_empty() {
            tables.retain(|t| t != MIGRATIONS);
        }
        Ok(if tables.is_empty() { Owner::Nobody } else { Owner::Another })
    }

    /// Brings the database up to date. Tells which migrations that took.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        let before = self.applied().await?;
        match self {
            Self::Sqlite(pools) => pools.migrate().await?,
            Self::Postgres(pools) => pools.migrate().await?,
        }
        let mut after = self.applied().await?;
        after.retain(|m| !before.contains(m));
        Ok(after)
    }

    /// Looks whether the database is up to date; `deep`, also whether it is sound, which takes a look
    /// at every row.
    pub async fn check(&self, deep: bool) -> Result<Check> {
        let applied = self.applied().await?;
        let known: Vec<String> = self
            .migrations()
            .iter()
            .map(|m| format!("{:04} {}", m.version, m.description))
            .collect();
        let mut problems: Vec<String> = applied
            .iter()
            .filter(|m| !known.contains(m))
            .map(|m| format!("the migration {m} is of another version of Chorus"))
            .collect();
        if let Self::Sqlite(pools) = self
            && deep
        {
            let said: Vec<String> =
                sqlx::query_scalar(sqlite::INTEGRITY).fetch_all(&pools.read).await?;
            problems.extend(said.into_iter().filter(|line| line != "ok"));
        }
        let tables = self.tables().await?;
        if self.owner().await? == Owner::Another {
            problems.push(format!("it holds another program's tables: {}", tables.join(", ")));
        }
        let mut rows = Vec::new();
        for table in TABLES.iter().filter(|t| deep && tables.iter().any(|there| there == *t)) {
            rows.push(((*table).to_owned(), self.count(table).await?));
        }
        let pending = known.into_iter().filter(|m| !applied.contains(m)).collect();
        Ok(Check { applied, pending, rows, problems })
    }

    /// How many rows a table of ours has.
    pub(super) async fn count(&self, table: &'static str) -> Result<i64> {
        // A table's name cannot be a parameter; these are constants.
        let sql = format!("SELECT COUNT(*) FROM {table}");
        Ok(on!(read self, c => {
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(c).await?
        }))
    }

    /// Writes an SQLite database into another file, while others go on writing to it.
    pub async fn backup(&self, file: &std::path::Path) -> Result<()> {
        match self {
            Self::Sqlite(pools) => pools.copy_to(file).await,
            Self::Postgres(_) => Err(StoreError::Unfit(
                "PostgreSQL brings its own tools: use pg_dump for this, and pg_restore".into(),
            )),
        }
    }

    pub(super) async fn tables(&self) -> Result<Vec<String>> {
        let sql = match self {
            Self::Sqlite(_) => sqlite::TABLES,
            Self::Postgres(_) => postgres::TABLES,
        };
        Ok(on!(read self, c => sqlx::query_scalar(sql).fetch_all(c).await?))
    }

    /// The migrations that were applied, oldest first.
    async fn applied(&self) -> Result<Vec<String>> {
        if !self.tables().await?.iter().any(|t| t == MIGRATIONS) {
            return Ok(Vec::new());
        }
        let rows: Vec<(i64, String)> =
            on!(read self, c => sqlx::query_as(APPLIED).fetch_all(c).await?);
        Ok(rows.into_iter().map(|(n, what)| format!("{n:04} {what}")).collect())
    }

    fn migrations(&self) -> &'static Migrator {
        match self {
            Self::Sqlite(_) => &sqlite::MIGRATIONS,
            Self::Postgres(_) => &postgres::MIGRATIONS,
        }
    }
}
