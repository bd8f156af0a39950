//! Tests of the store as a whole, each on both databases.

mod claims;
mod conversing;
mod orders;
mod places;
mod texts;
mod usage;

use serde_json::json;
use sqlx::{Executor as _, SqlSafeStr as _};

use super::messages::Outgoing;
use super::schema::{Owner, TABLES};
use super::{
    Cursor, Db, Order, Place, SettledPermission, Synchronous, Tx, Write, conversations, events,
    logs, messages, permissions, postgres, projects, rules, sessions, sqlite, statements,
};
use crate::domain::event::{Event, EventKind, NewEvent};
use crate::domain::git::GitSettings;
use crate::domain::ids::{ConversationId, PermissionId, ProjectId, SessionId, ToolUseId};
use crate::domain::message::{Delivery, Direction, MessageSource};
use crate::domain::permission::{DecidedBy, PermissionRequest, PermissionStatus, Verdict};
use crate::domain::project::Project;
use crate::domain::record::{ToolCall, ToolStatus, Utterance};
use crate::domain::rule::{Pattern, Rule, RuleAction};
use crate::domain::session::{Launch, Runtime, Session, SessionName, SessionState};
use crate::domain::time::Timestamp;

use claims::claims_are_kept_until_they_are_released;
use conversing::{
    a_conversation_moves_to_the_session_that_goes_on_with_it,
    a_prompt_that_did_not_arrive_is_claimed_by_none_and_may_be_taken_back,
    what_was_said_last_is_no_prompt_that_waits,
};
use orders::{
    by_their_age_sessions_come_once_while_they_change,
    by_their_status_tasks_come_once_while_they_move,
};
use texts::whatever_text_comes_it_is_kept;
use usage::{
    a_response_counts_once_whoever_tells_of_it, sums_are_the_same_by_whatever_they_are_grouped,
    the_last_word_on_a_conversation_settles_it,
};

/// A database of a test's own.
struct Scratch {
    db: Db,
    _folder: Option<tempfile::TempDir>,
    database: Option<scratch_postgres::Database>,
}

async fn on_sqlite() -> Option<Scratch> {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open_sqlite(&folder.path().join("chorus.db"), Synchronous::Normal).await;
    Some(Scratch { db: db.expect("a database"), _folder: Some(folder), database: None })
}

async fn on_postgres() -> Option<Scratch> {
    let database = scratch_postgres::database(async |url| {
        let db = connect(url).await;
        db.migrate().await.expect("up to date");
        db.close().await;
    });
    let database = database.await?;
    let db = connect(database.url()).await;
    Some(Scratch { db, _folder: None, database: Some(database) })
}

async fn connect(url: &str) -> Db {
    let place = Place::parse(url).expect("a place");
    Db::connect(&place, Synchronous::Normal).await.expect("a connection")
}

/// Makes of each story a test on SQLite and one on PostgreSQL.
macro_rules! on_both {
    ($($story:ident)*) => {
        mod sqlite_ {
            $(#[tokio::test] async fn $story() {
                if let Some(scratch) = super::on_sqlite().await { super::$story(&scratch.db).await; }
            })*
        }
        mod postgres_ {
            $(#[tokio::test] async fn $story() {
                if let Some(scratch) = super::on_postgres().await { super::$story(&scratch.db).await; }
            })*
        }
    };
}

on_both! {
    every_statement_can_be_prepared
    the_tables_are_those_that_are_known
    everything_that_is_written_can_be_read
    whatever_text_comes_it_is_kept
    lists_are_in_the_order_of_bytes
    a_source_fills_in_what_another_did_not_know
    a_prompt_is_claimed_once
    a_prompt_that_did_not_arrive_is_claimed_by_none_and_may_be_taken_back
    a_conversation_moves_to_the_session_that_goes_on_with_it
    what_was_said_last_is_no_prompt_that_waits
    a_response_counts_once_whoever_tells_of_it
    sums_are_the_same_by_whatever_they_are_grouped
    the_last_word_on_a_conversation_settles_it
    events_get_ascending_ids_and_come_once
    what_was_not_committed_leaves_no_trace
    claims_are_kept_until_they_are_released
    by_their_age_sessions_come_once_while_they_change
    by_their_status_tasks_come_once_while_they_move
}

async fn every_statement_can_be_prepared(db: &Db) {
    let special = match db {
        Db::Sqlite(_) => sqlite::STATEMENTS,
        Db::Postgres(_) => postgres::STATEMENTS,
    };
    let mut tx = db.begin().await.expect("a transaction");
    for sql in statements(db).into_iter().chain(special.iter().copied()) {
        let statement = sqlx::AssertSqlSafe(sql).into_sql_str();
        let problem = match &mut tx {
            Tx::Sqlite(tx) => tx.connection().expect("open").prepare(statement).await.err(),
            Tx::Postgres(tx) => tx.transaction.prepare(statement).await.err(),
        };
        assert!(problem.is_none(), "{sql}\n{problem:?}");
    }
}

async fn the_tables_are_those_that_are_known(db: &Db) {
    assert_eq!(db.owner().await.expect("an owner"), Owner::Us);
    let check = db.check(true).await.expect("a check");
    assert_eq!((check.problems, check.pending), (Vec::<String>::new(), Vec::<String>::new()));
    assert!(!check.applied.is_empty());
    assert_eq!(check.rows, TABLES.map(|t| (t.to_owned(), 0)));
    assert_eq!(db.tables().await.expect("tables").len(), TABLES.len() + 1, "and the migrations");
    assert_eq!(db.migrate().await.expect("nothing to do"), Vec::<String>::new());
}

async fn write(db: &Db, writes: Vec<Write>) -> Vec<Event> {
    let mut tx = db.begin().await.expect("a transaction");
    let events = tx.apply(writes).await.expect("written");
    tx.commit().await.expect("committed");
    events
}

fn project(name: &str, root: &str) -> Project {
    let at = Timestamp(1);
    Project {
        id: ProjectId::new(),
        name: name.into(),
        root: root.into(),
        git: GitSettings { base: Some("trunk".into()), ..GitSettings::default() },
        document_patterns: None,
        created_at: at,
        updated_at: at,
    }
}

fn session(project: &Project, name: &str) -> Session {
    Session {
        id: SessionId::new(),
        project_id: project.id,
        name: SessionName::new(name).expect("a name"),
        tmux_session: format!("claude-{name}"),
        runtime: Runtime::Tmux,
        workspace_path: "/w".into(),
        task_id: None,
        launch: Launch::default(),
        metadata: serde_json::Map::new(),
        claude_version: Some("2.1.329".into()),
        state: SessionState::new(Timestamp(5)),
        hidden: false,
        created_at: Timestamp(5),
        updated_at: Timestamp(5),
    }
}

/// Adds a project and a session of it.
async fn begin(db: &Db) -> Session {
    let project = project("p", "/p");
    let session = session(&project, "s");
    let new = Write::AddSession { session: Box::new(session.clone()), idempotency_key: None };
    write(db, vec![Write::AddProject(project), new]).await;
    session
}

fn call(session: &Session, id: &str, status: ToolStatus, at: i64) -> Write {
    let call = ToolCall {
        id: ToolUseId(id.into()),
        tool: "Bash".into(),
        input: None,
        status,
        result: None,
        duration_ms: None,
        agent_id: None,
        at: Timestamp(at),
    };
    Write::Tool { session: session.id, conversation: None, call: Box::new(call), past: false }
}

fn utterance(key: &str, text: &str) -> Utterance {
    let (key, text) = (key.into(), text.into());
    Utterance { key, direction: Direction::User, text, agent_id: None, at: Timestamp(7) }
}

fn outgoing(session: &Session, text: &str) -> Outgoing {
    let outgoing = Outgoing::queued(session.id, text, MessageSource::Api, Timestamp(6));
    Outgoing { raw: true, ..outgoing }
}

fn request(session: &Session) -> PermissionRequest {
    PermissionRequest {
        id: PermissionId::new(),
        session_id: session.id,
        conversation_id: Some(ConversationId("c".into())),
        tool: "Bash".into(),
        input: json!({"command": "make"}),
        summary: "Bash: make".into(),
        tool_use_id: None,
        agent_type: None,
        session_rule: Some("Bash with exactly: make".into()),
        status: PermissionStatus::Pending,
        verdict: None,
        message: None,
        updated_input: None,
        decided_by: None,
        rule_id: None,
        rule: None,
        requested_at: Timestamp(8),
        decided_at: None,
        updated_at: Timestamp(8),
    }
}

fn rule(session: &Session, tool: &str, command: &str) -> Rule {
    let pattern = Pattern { tool: tool.into(), command: Some(command.into()), path: None };
    let rule = Rule::new(RuleAction::Allow, pattern, "cli", Timestamp(9));
    Rule { session_id: Some(session.id), ..rule }.reworded()
}

fn read_to(id: &ConversationId, agent: Option<&str>, offset: u64, file: &str) -> Write {
    let agent = agent.map(str::to_owned);
    Write::TranscriptRead { id: id.clone(), agent, offset, file: file.into() }
}

async fn everything_that_is_written_can_be_read(db: &Db) {
    let mut session = begin(db).await;
    session.metadata.insert("k".into(), json!([1, "ü", null]));
    session.updated_at = Timestamp(9);
    let conversation = ConversationId("c".into());
    let mut asked = request(&session);
    let rule = rule(&session, "Bash", "make");
    let prompt = outgoing(&session, "fix it");
    write(
        db,
        vec![
            Write::SaveSession(Box::new(session.clone())),
            Write::StartConversation {
                id: conversation.clone(),
                session: session.id,
                transcript: None,
                at: Timestamp(6),
            },
            Write::LocateTranscript { id: conversation.clone(), path: "/t".into() },
            read_to(&conversation, None, 17, "1:2"),
            read_to(&conversation, Some("a"), 18, "1:3"),
            read_to(&conversation, Some("a"), 19, "1:4"),
            Write::AddMessage {
                message: Box::new(prompt.clone()),
                idempotency_key: Some("k".into()),
            },
            Write::AddPermission(Box::new(asked.clone())),
            Write::AddRule(Box::new(rule.clone())),
            call(&session, "t", ToolStatus::Running, 7),
        ],
    )
    .await;
    let read = sessions::by_name(db, "claude-s").await.expect("read");
    assert_eq!(read.as_ref(), Some(&session));
    assert_eq!(sessions::by_id(db, session.id).await.expect("read"), read);
    assert_eq!(sessions::live(db).await.expect("read"), [session.clone()]);
    assert_eq!(projects::sessions_of(db, session.project_id).await.expect("read"), 1);
    let begun = conversations::of_session(db, session.id).await.expect("read");
    assert_eq!((begun.len(), begun[0].transcript_offset), (1, 17));
    assert_eq!(begun[0].transcript_path.as_deref(), Some("/t"));
    let read = conversations::subagents(db, &conversation).await.expect("read");
    assert_eq!(read.get("a"), Some(&(19, "1:4".to_owned())));
    assert_eq!(messages::under_way(db).await.expect("read"), std::slice::from_ref(&prompt));
    let again = messages::by_idempotency_key(db, session.id, "k").await.expect("read");
    assert_eq!(again, Some(prompt));
    assert_eq!(permissions::open(db).await.expect("read"), [(asked.clone(), None)]);
    assert_eq!(rules::all(db).await.expect("read"), [rule]);

    asked.status = PermissionStatus::Decided;
    asked.verdict = Some(Verdict::Deny);
    asked.message = Some("no".into());
    asked.decided_by = Some(DecidedBy::Api);
    asked.decided_at = Some(Timestamp(10));
    let settled = SettledPermission { request: asked.clone(), interrupts: true };
    write(db, vec![Write::SavePermission(Box::new(settled))]).await;
    let open = permissions::open(db).await.expect("read");
    assert_eq!(open[0].0, asked);
    assert!(open[0].1.as_ref().is_some_and(|d| d.interrupt && d.verdict == Verdict::Deny));
}

async fn lists_are_in_the_order_of_bytes(db: &Db) {
    // What languages sort together and bytes do not.
    let names = ["B", "Z", "a", "b-c", "b_c", "ba", "z", "ä", "é"];
    let mut writes: Vec<Write> =
        names.iter().rev().map(|n| Write::AddProject(project(n, n))).collect();
    let all: Vec<_> = names.iter().map(|n| session(&project(n, n), "s")).collect();
    let owner = project("owner", "owner");
    writes.push(Write::AddProject(owner.clone()));
    for (n, s) in all.iter().enumerate() {
        let mut s = s.clone();
        s.project_id = owner.id;
        s.name = SessionName::new(&format!("s{n}")).expect("a name");
        writes.push(Write::AddSession { session: Box::new(s), idempotency_key: None });
    }
    write(db, writes).await;
    let listed = projects::list(db).await.expect("a list");
    let mut expected: Vec<_> = names.iter().copied().chain(["owner"]).collect();
    expected.sort_unstable();
    assert_eq!(listed.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), expected);
    // All of one moment, so the ids decide; page by page each comes once.
    let (mut seen, mut after): (Vec<String>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = sessions::list(
            db,
            &sessions::Filter::default(),
            sessions::Sort::default(),
            after.as_ref(),
            2,
        )
        .await;
        let page = page.expect("a page");
        seen.extend(page.items.iter().map(|s| s.id.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (names.len(), &sorted));
}

async fn a_source_fills_in_what_another_did_not_know(db: &Db) {
    let session = begin(db).await;
    let all = |status, at| (0..40).map(|n| call(&session, &format!("t{n}"), status, at)).collect();
    let begun = write(db, all(ToolStatus::Running, 20)).await;
    let mut results: Vec<Write> = all(ToolStatus::Completed, 30);
    for result in &mut results {
        // As the transcript tells it: the call's own line has named the tool.
        let Write::Tool { call, .. } = result else { continue };
        call.tool.clear();
    }
    let ended = write(db, results).await;
    assert_eq!((begun.len(), ended.len()), (40, 40));
    assert!(ended.iter().all(|e| e.event.data.contains(r#""tool":"Bash""#)), "{:?}", ended[0]);
    // A beginning that is told after the end is no news, but for its time.
    assert_eq!(write(db, all(ToolStatus::Running, 30)).await.len(), 0);
    // Twice in one group.
    let both = ["x", "x"].map(|id| call(&session, id, ToolStatus::Running, 40));
    assert_eq!(write(db, both.to_vec()).await.len(), 1);
    let filter = logs::Filter { status: Some("completed".into()), ..Default::default() };
    let list =
        logs::list(db, session.id, &filter, Order::Oldest, None, 100).await.expect("a list").items;
    assert_eq!(list.len(), 40);
    assert!(list.iter().all(|l| l.timestamp == Timestamp(20)));
}

async fn a_prompt_is_claimed_once(db: &Db) {
    let session = begin(db).await;
    let prompt = outgoing(&session, "go");
    let id = prompt.message.id;
    let say = |key: &str| Write::Say {
        session: session.id,
        conversation: ConversationId("c".into()),
        source: MessageSource::Terminal,
        utterance: utterance(key, "go"),
        prompt: Some(crate::domain::prompt::digest("go")),
        past: false,
    };
    let add = Write::AddMessage { message: Box::new(prompt), idempotency_key: None };
    let sending = Write::Deliver { message: id, status: Delivery::Sending, error: None };
    write(db, vec![add, sending, say("k1"), say("k1"), say("k2")]).await;
    let said = messages::list(db, session.id, Order::Oldest, None, 10).await.expect("a list").items;
    assert_eq!(said.len(), 2, "{said:?}");
    // The other way round, page by page.
    let mut newest = Vec::new();
    let mut cursor = None;
    loop {
        let page = messages::list(db, session.id, Order::Newest, cursor.as_ref(), 1).await;
        let page = page.expect("a page");
        newest.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    newest.reverse();
    assert_eq!(newest, said);
    let ours = messages::by_id(db, id).await.expect("read").expect("a message");
    assert_eq!((ours.message.delivery_status, ours.text), (Some(Delivery::Delivered), None));
}

async fn events_get_ascending_ids_and_come_once(db: &Db) {
    let session = begin(db).await;
    let first = events::last_id(db).await.expect("an id");
    let event = |key: Option<&str>, n: usize| {
        let mut e = NewEvent::new(EventKind::Hook, session.id, Timestamp(1), &json!({ "n": n }));
        e.dedupe_key = key.map(str::to_owned);
        Write::Event(e)
    };
    let mut told = Vec::new();
    for group in 0..5 {
        let writes = (0..37).map(|n| event((n % 3 == 0).then_some("same"), group * 37 + n));
        told.extend(write(db, writes.collect()).await);
    }
    assert!(told.windows(2).all(|w| w[0].id < w[1].id));
    assert_eq!(told.iter().filter(|e| e.event.dedupe_key.is_some()).count(), 1);
    let kept = events::after(db, first, 1_000).await.expect("events");
    let shape =
        |all: &[Event]| all.iter().map(|e| (e.id, e.event.data.clone())).collect::<Vec<_>>();
    assert_eq!(shape(&kept), shape(&told));
    assert_eq!(events::last_id(db).await.expect("an id"), told[told.len() - 1].id);
}

async fn what_was_not_committed_leaves_no_trace(db: &Db) {
    let mut tx = db.begin().await.expect("a transaction");
    tx.apply(vec![Write::AddProject(project("gone", "/gone"))]).await.expect("written");
    drop(tx);
    assert!(projects::list(db).await.expect("a list").is_empty());
    // One that the database refuses takes all of its group along, and nothing after it.
    let orphan = session(&project("p", "/p"), "s");
    let mut tx = db.begin().await.expect("a transaction");
    let new = Write::AddSession { session: Box::new(orphan), idempotency_key: None };
    let refused = async {
        tx.apply(vec![Write::AddProject(project("q", "/q")), new]).await?;
        tx.commit().await
    };
    assert!(refused.await.is_err(), "a session of no project");
    assert!(projects::list(db).await.expect("a list").is_empty());
    begin(db).await;
    assert_eq!(projects::list(db).await.expect("a list").len(), 1);
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
