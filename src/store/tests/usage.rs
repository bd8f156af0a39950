//! What responses used: each counts once, and the sums say so.

use sqlx::{Executor as _, SqlSafeStr as _};

use super::{begin, project, session as session_of, write};
use crate::domain::ids::ConversationId;
use crate::domain::record::{Response, Total, Usage};
use crate::domain::session::Session;
use crate::domain::time::{Day, Timestamp};
use crate::domain::usage::{Spending, Usd};
use crate::store::usage::{Group, of_session, report};
use crate::store::{Db, Write};

/// The transcript's view of a response, with so many output tokens at two nanodollars.
pub(super) fn response(message: &str, output: i64) -> Response {
    Response {
        message_id: Some(message.into()),
        request_id: None,
        model: "opus".into(),
        usage: Usage { input_tokens: 10, output_tokens: output, ..Usage::default() },
        cached_for_an_hour: 0,
        off_list: false,
        told: None,
        estimated: Some(Usd(2 * output)),
        at: Timestamp(1_000),
    }
}

/// The log's view of one.
fn told(request: &str, nanos: i64) -> Response {
    Response {
        message_id: None,
        request_id: Some(request.into()),
        told: Some(Usd(nanos)),
        estimated: None,
        ..response("", 5)
    }
}

fn of_request(request: &str, response: Response) -> Response {
    Response { request_id: Some(request.into()), ..response }
}

fn used(session: &Session, conversation: &str, response: Response) -> Write {
    let conversation = ConversationId(conversation.into());
    Write::Usage { session: session.id, conversation, response: Box::new(response) }
}

async fn sums(db: &Db, session: &Session) -> (i64, i64, i64, i64, i64) {
    let s = of_session(db, session.id).await.expect("sums");
    (s.responses, s.unpriced, s.tokens.output_tokens, s.told.0, s.estimated.0)
}

pub(super) async fn a_response_counts_once_whoever_tells_of_it(db: &Db) {
    let session = begin(db).await;
    let add = async |conversation: &str, response: Response| {
        write(db, vec![used(&session, conversation, response)]).await;
        sums(db, &session).await
    };
    assert_eq!(of_session(db, session.id).await.expect("sums"), Spending::default());
    // Its lines repeat it, and the last one has all of its tokens.
    assert_eq!(add("c", of_request("r1", response("m1", 1))).await, (1, 0, 1, 0, 2));
    assert_eq!(add("c", of_request("r1", response("m1", 5))).await, (1, 0, 5, 0, 10));
    assert_eq!(add("c", of_request("r1", response("m1", 5))).await, (1, 0, 5, 0, 10));
    // The log tells its cost, once, and that is what counts.
    assert_eq!(add("c", told("r1", 7)).await, (1, 0, 5, 7, 0));
    assert_eq!(add("c", told("r1", 900)).await, (1, 0, 5, 7, 0), "what was told stands");
    // The other way round.
    assert_eq!(add("c", told("r2", 30)).await, (2, 0, 10, 37, 0));
    assert_eq!(add("c", told("r2", 30)).await, (2, 0, 10, 37, 0));
    assert_eq!(add("c", of_request("r2", response("m2", 5))).await, (2, 0, 10, 37, 0));
    assert_eq!(add("c", of_request("r2", response("m2", 5))).await, (2, 0, 10, 37, 0));
    // A message that is first told of without its request.
    assert_eq!(add("c", response("m3", 1)).await, (3, 0, 11, 37, 2));
    assert_eq!(add("c", told("r3", 4)).await, (4, 0, 16, 41, 2));
    assert_eq!(add("c", of_request("r3", response("m3", 1))).await, (4, 0, 16, 41, 2));
    // One whose price nobody knows is counted, without a figure; until Claude Code tells it.
    let unpriced = || Response { estimated: None, ..of_request("r4", response("m4", 1)) };
    assert_eq!(add("c", unpriced()).await, (5, 1, 17, 41, 2));
    assert_eq!(add("c", told("r4", 9)).await, (5, 0, 21, 50, 2));
    // A fork's transcript begins with a copy.
    assert_eq!(add("fork", of_request("r1", response("m1", 5))).await, (5, 0, 21, 50, 2));
    // Its time may be another one, as the log told of it first.
    let copied = Response { at: Timestamp(1_500), ..of_request("r2", response("m2", 5)) };
    assert_eq!(add("fork", copied).await, (5, 0, 21, 50, 2));
    let later = Response { at: Timestamp(2_000), ..response("m1", 5) };
    assert_eq!(add("fork", later).await, (6, 0, 26, 50, 12), "another one with the same id");
    // Nothing to know it by.
    assert_eq!(
        add("c", Response { message_id: None, ..response("", 5) }).await,
        (6, 0, 26, 50, 12)
    );
}

pub(super) async fn sums_are_the_same_by_whatever_they_are_grouped(db: &Db) {
    let day = |n: i64| Timestamp(n * 86_400_000 + 5);
    let a = begin(db).await;
    let other = project("q", "/q");
    let b = session_of(&other, "b");
    let new = Write::AddSession { session: Box::new(b.clone()), idempotency_key: None };
    let of = |model: &str, message: &str, output, at| Response {
        model: model.into(),
        at,
        ..response(message, output)
    };
    let writes = vec![
        Write::AddProject(other.clone()),
        new,
        used(&a, "a", of("opus", "m1", 1, day(1))),
        used(&a, "a", of("haiku", "m2", 2, day(1))),
        used(&a, "a", of("opus", "m3", 4, day(2))),
        used(&b, "b", of("opus", "m4", 8, day(2))),
        used(&b, "b", of("opus", "m5", 16, day(3))),
    ];
    write(db, writes).await;
    let sums = async |by, days: (i64, i64), project: Option<&str>, limit| {
        let report = report(db, by, (Day(days.0), Day(days.1)), project, limit).await;
        let sums = report.expect("a report").into_iter();
        sums.map(|s| (s.key, s.name, s.spending.total().0)).collect::<Vec<_>>()
    };
    let line = |key: &str, name: &str, nanos| (key.to_owned(), name.to_owned(), nanos);
    assert_eq!(
        sums(Some(Group::Day), (0, 9), None, 9).await,
        [line("3", "", 32), line("2", "", 24), line("1", "", 6)]
    );
    assert_eq!(
        sums(Some(Group::Model), (1, 2), None, 9).await,
        [line("opus", "", 26), line("haiku", "", 4)]
    );
    let (ids, names) = ((a.id.to_string(), b.id.to_string()), ("s", "b"));
    assert_eq!(
        sums(Some(Group::Session), (0, 9), None, 9).await,
        [line(&ids.1, names.1, 48), line(&ids.0, names.0, 14)]
    );
    assert_eq!(sums(Some(Group::Session), (0, 9), None, 1).await.len(), 1);
    let project = other.id.to_string();
    assert_eq!(sums(Some(Group::Project), (3, 3), None, 9).await, [line(&project, "q", 32)]);
    assert_eq!(sums(None, (0, 9), Some(&project), 1).await, [line("", "", 48)]);
    assert_eq!(sums(None, (5, 9), None, 1).await, [line("", "", 0)], "nothing is nothing");
}

pub(super) async fn the_last_word_on_a_conversation_settles_it(db: &Db) {
    let session = begin(db).await;
    let day = |n: i64| Timestamp(n * 86_400_000 + 5);
    let settle = |conversation: &str, input, output, nanos| Write::SettleUsage {
        session: session.id,
        conversation: ConversationId(conversation.into()),
        total: Total {
            model: "opus".into(),
            usage: Usage { input_tokens: input, output_tokens: output, ..Usage::default() },
            cost: Usd(nanos),
        },
    };
    let unpriced = Response { estimated: None, at: day(2), ..response("m2", 4) };
    let writes = vec![
        used(&session, "c", Response { at: day(1), ..response("m1", 1) }),
        used(&session, "c", unpriced),
        used(&session, "c", of_request("r3", Response { at: day(2), ..response("m3", 8) })),
        used(&session, "c", told("r3", 100)),
        used(&session, "other", Response { at: day(2), ..response("m4", 16) }),
    ];
    write(db, writes).await;
    assert_eq!(sums(db, &session).await, (4, 1, 29, 100, 34));
    // It has tokens in it that nobody told of: a fork's original, say.
    write(db, vec![settle("c", 31, 13, 500)]).await;
    assert_eq!(sums(db, &session).await, (4, 1, 29, 100, 34));
    write(db, vec![settle("c", 30, 13, 500)]).await;
    assert_eq!(sums(db, &session).await, (4, 0, 29, 500, 32), "the other is estimated still");
    let days = report(db, Some(Group::Day), (Day(0), Day(9)), None, 9).await.expect("a report");
    let days: Vec<_> = days.iter().map(|d| (d.key.as_str(), d.spending.told.0)).collect();
    assert_eq!(days, [("2", 498), ("1", 2)]);
    // Once; and what the log tells late is in it already.
    write(
        db,
        vec![settle("c", 30, 13, 900), used(&session, "c", of_request("r1", response("m1", 1)))],
    )
    .await;
    write(db, vec![used(&session, "c", told("r1", 77))]).await;
    assert_eq!(sums(db, &session).await.3, 500);
}

/// What an earlier version has counted is not lost.
macro_rules! what_was_counted_before_is_summed_up {
    ($connection:expr, $core:literal, $usage:literal) => {{
        let mut old = $connection;
        for sql in [
            include_str!($core),
            "INSERT INTO projects VALUES ('p', 'p', '/p', 1, 1);
            INSERT INTO sessions (id, project_id, name, tmux_session, runtime, workspace_path, launch,
                metadata, state, status, claude_status, live, created_at, updated_at)
                VALUES ('s', 'p', 's', 's', 'tmux', '/p', '', '', '', '', '', 1, 1, 1);
            INSERT INTO conversations (id, session_id, started_at) VALUES ('c', 's', 172800005);
            INSERT INTO token_usage VALUES ('c', 'm1', 's', 'opus', 1, 2, 3, 4);
            INSERT INTO token_usage VALUES ('c', 'm2', 's', 'opus', 10, 20, 30, 40);",
            include_str!($usage),
        ] {
            let sql = sqlx::AssertSqlSafe(sql.to_owned()).into_sql_str();
            old.execute(sqlx::raw_sql(sql)).await.expect("SQL");
        }
        let row: (i64, i64, i64, i64, i64, i64, i64) = sqlx::query_as(
            "SELECT d.day, s.responses, s.unpriced, s.input_tokens, s.output_tokens, \
             d.cache_read_input_tokens, d.estimated_nanos \
             FROM session_usage s JOIN usage_days d ON d.session_id = s.session_id",
        )
        .fetch_one(&mut old)
        .await
        .expect("a row");
        assert_eq!(row, (2, 2, 2, 11, 22, 44, 0));
    }};
}

#[tokio::test]
async fn what_was_counted_before_is_summed_up_on_sqlite() {
    let options = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true);
    what_was_counted_before_is_summed_up!(
        sqlx::ConnectOptions::connect(&options).await.expect("a database"),
        "../../../migrations/sqlite/0001_core.sql",
        "../../../migrations/sqlite/0004_usage.sql"
    );
}

#[tokio::test]
async fn what_was_counted_before_is_summed_up_on_postgres() {
    use sqlx::Connection as _;
    let Some(database) = scratch_postgres::empty_database().await else { return };
    what_was_counted_before_is_summed_up!(
        sqlx::PgConnection::connect(database.url()).await.expect("a database"),
        "../../../migrations/postgres/0001_core.sql",
        "../../../migrations/postgres/0004_usage.sql"
    );
}
