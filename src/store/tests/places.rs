//! Tests of one database beside another.

use std::time::Duration;

use sqlx::Executor as _;
use tokio::time::timeout;

use super::{call, connect, everything_that_is_written_can_be_read, on_postgres, on_sqlite, write};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::record::ToolStatus;
use crate::domain::time::Timestamp;
use crate::store::copy::copy;
use crate::store::schema::Owner;
use crate::store::{Db, Order, Write, events, logs, sessions};

#[tokio::test]
async fn everything_is_copied_into_the_other_database_and_back() {
    let Some(middle) = on_postgres().await else { return };
    let (from, to) = (on_sqlite().await.expect("one"), on_sqlite().await.expect("another"));
    everything_that_is_written_can_be_read(&from.db).await;
    let copied = copy(&from.db, &middle.db).await.expect("copied");
    assert!(copied.iter().filter(|c| c.rows > 0).count() >= 9, "{copied:?}");
    let refused = copy(&from.db, &middle.db).await.expect_err("it is not empty").to_string();
    assert!(refused.contains("projects already"), "{refused}");
    copy(&middle.db, &to.db).await.expect("copied back");
    let of = async |db: &Db| {
        let all = events::after(db, 0, 1_000).await.expect("events");
        let sessions = sessions::live(db).await.expect("sessions");
        let logs =
            logs::list(db, sessions[0].id, &logs::Filter::default(), Order::Oldest, None, 100)
                .await;
        format!("{all:?} {sessions:?} {:?}", logs.expect("logs").items)
    };
    let before = of(&from.db).await;
    for db in [&middle.db, &to.db] {
        assert_eq!(of(db).await, before);
        // Ids go on where they were.
        let last = events::last_id(db).await.expect("an id");
        let session = &sessions::live(db).await.expect("sessions")[0];
        let told = write(db, vec![call(session, "later", ToolStatus::Running, 50)]).await;
        assert_eq!(told[0].id, last + 1);
    }
}

#[tokio::test]
async fn a_second_server_is_refused_and_the_next_one_is_not() {
    let Some(scratch) = on_postgres().await else { return };
    let database = scratch.database.as_ref().expect("a database");
    let (first, second) = (connect(database.url()).await, connect(database.url()).await);
    first.hold().await.expect("held");
    let refused = second.hold().await.expect_err("it is held").to_string();
    let own = format!("pid {}", std::process::id());
    assert!(refused.contains("chorus pid") && refused.contains(&own), "{refused}");
    first.close().await;
    second.hold().await.expect("the first is gone");
    second.close().await;
}

#[tokio::test]
async fn a_database_of_another_program_is_known() {
    let Some(database) = scratch_postgres::empty_database().await else { return };
    let db = connect(database.url()).await;
    assert_eq!(db.owner().await.expect("an owner"), Owner::Nobody);
    let Db::Postgres(pools) = &db else { panic!("no PostgreSQL") };
    let of = async |sql: &'static str| {
        pools.write.execute(sql).await.expect("done");
        db.owner().await.expect("an owner")
    };
    assert_eq!(of("CREATE TABLE projects (id int)").await, Owner::Another);
    // A server that was killed while it made its tables.
    assert_eq!(of("ALTER TABLE projects RENAME TO x; CREATE SCHEMA s").await, Owner::Another);
    assert_eq!(of("DROP TABLE x").await, Owner::Nobody);
    db.migrate().await.expect("made");
    assert_eq!(of("DROP TABLE token_usage").await, Owner::Us);
    db.close().await;
}

#[tokio::test]
async fn ids_of_events_become_visible_in_their_order() {
    let Some(scratch) = on_postgres().await else { return };
    let database = scratch.database.as_ref().expect("a database");
    let session = super::begin(&scratch.db).await;
    let other = connect(database.url()).await;
    let event = || {
        let data = serde_json::json!({});
        vec![Write::Event(NewEvent::new(EventKind::Hook, session.id, Timestamp(1), &data))]
    };
    let mut slow = scratch.db.begin().await.expect("a transaction");
    let first = slow.apply(event()).await.expect("written");
    let mut quick = other.begin().await.expect("a transaction");
    let second = {
        let mut writing = std::pin::pin!(quick.apply(event()));
        let early = timeout(Duration::from_millis(300), &mut writing).await;
        assert!(early.is_err(), "an id was given while an earlier one could not be seen yet");
        slow.commit().await.expect("committed");
        writing.await.expect("written")
    };
    quick.commit().await.expect("committed");
    assert!(first[0].id < second[0].id);
    other.close().await;
}
