//! Tests of the store as a whole.

use super::{Db, Synchronous, statements};

async fn scratch() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Db::open_sqlite(&dir.path().join("chorus.db"), Synchronous::Normal)
        .await
        .expect("a database");
    (dir, db)
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    use sqlx::{Executor as _, SqlSafeStr as _};
    let (_dir, db) = scratch().await;
    let Db::Sqlite(pools) = &db;
    for sql in statements() {
        let prepared = pools.write.prepare(sqlx::AssertSqlSafe(sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{sql}\n{:?}", prepared.err());
    }
}
