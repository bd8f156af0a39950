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

/// What an earlier version has kept must mean the same now.
#[tokio::test]
async fn what_was_allowed_for_a_session_becomes_a_rule_that_means_the_same() {
    use sqlx::{Executor as _, SqlSafeStr as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true);
    let mut old = sqlx::ConnectOptions::connect(&options).await.expect("a database");
    let session = uuid::Uuid::now_v7().to_string();
    let fill = format!(
        r"INSERT INTO projects VALUES ('p', 'p', '/p', 1, 1);
        INSERT INTO sessions (id, project_id, name, tmux_session, runtime, workspace_path, launch,
            metadata, state, status, claude_status, live, created_at, updated_at)
            VALUES ('{session}', 'p', 's', 's', 'tmux', '/p', '', '', '', '', '', 1, 1, 1);
        INSERT INTO permission_rules VALUES ('{session}', 'Bash', 'ls \*.rs', 1);
        INSERT INTO permission_rules VALUES ('{session}', 'Write', '/p/a*b', 2);
        INSERT INTO permission_rules VALUES ('{session}', 'mcp__demo__echo', NULL, 3);"
    );
    for sql in [
        include_str!("../../migrations/sqlite/0001_core.sql"),
        include_str!("../../migrations/sqlite/0002_subagents.sql"),
        &fill,
        include_str!("../../migrations/sqlite/0003_rules.sql"),
    ] {
        let sql = sqlx::AssertSqlSafe(sql.to_owned()).into_sql_str();
        old.execute(sqlx::raw_sql(sql)).await.expect("SQL");
    }
    let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT id, tool, command, path FROM permission_rules WHERE action = 'allow' ORDER BY created_at",
    )
    .fetch_all(&mut old)
    .await
    .expect("rows");
    let some = |text: &str| Some(text.to_owned());
    let patterns: Vec<_> =
        rows.iter().map(|(_, t, c, p)| (t.as_str(), c.clone(), p.clone())).collect();
    assert_eq!(
        patterns,
        [
            ("Bash", some(r"ls \\\*.rs"), None),
            ("Write", None, some(r"/p/a\*b")),
            ("mcp__demo__echo", None, None),
        ]
    );
    assert!(rows.iter().all(|(id, ..)| uuid::Uuid::parse_str(id).is_ok()), "{rows:?}");
}
