//! Copying everything from one database into another, of either kind.

use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Column as _, Row as _, TypeInfo as _};

use super::schema::TABLES;
use super::{Db, Result, StoreError, Tx, on, text};

/// Rows that go over together. A row may have megabytes.
const BATCH: usize = 16;

/// A value of a row. Our columns have two types only.
enum Value {
    Number(Option<i64>),
    Text(Option<String>),
}

/// What was copied of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// Which table.
    pub table: &'static str,
    /// How many rows.
    pub rows: i64,
}

/// Copies all rows, with their ids, in one transaction of the target, which must have no rows. No
/// server may be at work on either of them.
pub async fn copy(from: &Db, to: &Db) -> Result<Vec<Copied>> {
    for table in TABLES {
        let rows = to.count(table).await?;
        if rows > 0 {
            let why = format!("the target has {rows} rows in {table} already; nothing was copied");
            return Err(StoreError::Unfit(why));
        }
    }
    let mut tx = to.begin().await?;
    let mut copied = Vec::new();
    for table in TABLES {
        let rows = copy_table(from, &mut tx, table).await?;
        let (there, arrived) = (from.count(table).await?, count(&mut tx, table).await?);
        if rows != there || rows != arrived {
            let why = format!(
                "{rows} rows of {table} were read, {there} are in the source, {arrived} in the target; nothing was copied"
            );
            return Err(StoreError::Unfit(why));
        }
        copied.push(Copied { table, rows });
    }
    tx.continue_ids().await?;
    tx.commit().await?;
    Ok(copied)
}

async fn copy_table(from: &Db, tx: &mut Tx, table: &'static str) -> Result<i64> {
    let select = AssertSqlSafe(format!("SELECT * FROM {table}"));
    let mut total = 0;
    let mut batch = Batch::new(table);
    on!(read from, c => {
        let mut rows = sqlx::query(select).fetch(c);
        while let Some(row) = rows.try_next().await? {
            if batch.columns.is_empty() {
                batch.columns = row.columns().iter().map(|c| c.name().to_owned()).collect();
            }
            for (n, column) in row.columns().iter().enumerate() {
                batch.values.push(match column.type_info().name() {
                    "INT8" | "BIGINT" | "INTEGER" => Value::Number(row.try_get(n)?),
                    _ => Value::Text(row.try_get(n)?),
                });
            }
            total += 1;
            if batch.rows() == BATCH {
                batch.write(tx).await?;
            }
        }
    });
    batch.write(tx).await?;
    Ok(total)
}

/// Rows that are on their way.
struct Batch {
    table: &'static str,
    columns: Vec<String>,
    /// One row after the other.
    values: Vec<Value>,
}

impl Batch {
    fn new(table: &'static str) -> Self {
        Self { table, columns: Vec::new(), values: Vec::new() }
    }

    fn rows(&self) -> usize {
        self.values.len() / self.columns.len().max(1)
    }

    fn sql(&self) -> String {
        let width = self.columns.len();
        let row = |r: usize| {
            let parameters = (r * width + 1..=(r + 1) * width).map(|n| format!("${n}"));
            format!("({})", parameters.collect::<Vec<_>>().join(", "))
        };
        let rows = (0..self.rows()).map(row).collect::<Vec<_>>().join(", ");
        format!("INSERT INTO {} ({}) VALUES {rows}", self.table, self.columns.join(", "))
    }

    async fn write(&mut self, tx: &mut Tx) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let sql = AssertSqlSafe(self.sql());
        let values = std::mem::take(&mut self.values);
        on!(write tx, c => {
            let mut query = sqlx::query(sql);
            for value in &values {
                query = match value {
                    Value::Number(number) => query.bind(*number),
                    Value::Text(value) => query.bind(value.as_deref().map(text)),
                };
            }
            query.execute(c).await?;
        });
        Ok(())
    }
}

async fn count(tx: &mut Tx, table: &'static str) -> Result<i64> {
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    Ok(on!(write tx, c => sqlx::query_scalar(sql).fetch_one(c).await?))
}
