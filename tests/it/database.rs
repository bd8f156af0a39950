//! The database: moving from one to another, looking after it, and its going away.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use scratch_postgres::Cluster;
use serde_json::json;

use crate::harness::{Agent, Store, World, on_both_stores};
use crate::hooks::calls;

on_both_stores! {
    text_that_no_database_keeps_harms_nothing_else
    the_command_line_looks_after_the_database
}

/// Fills a world with something of everything that can be listed.
async fn fill(world: &World) -> Agent {
    let agent = world.begin("full").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    for n in 0..40 {
        let mut call = Agent::called(&format!("toolu_{n:02}"), "make ä");
        if n == 7 {
            call["tool_response"]["stdout"] = json!("0123456789\n".repeat(8_000));
        }
        world.post_hook(&agent, "PostToolUse", &call).await.expect(204);
    }
    for n in 0..5 {
        let body = json!({"text": format!("prompt {n}\nß"), "queue": true});
        world.post("/api/sessions/full/messages", &body).await.expect(202);
    }
    world
        .post_hook(&agent, "BrandNewEvent", &json!({"surprise": [1, null, "ü"]}))
        .await
        .expect(204);
    let own = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
    let held = world.begin_hook(&agent, "PermissionRequest", &own).await;
    let request = world.wait_for_request("full").await;
    world.decide(&request, &json!({"decision": "allow", "for_session": true})).await;
    held.end().await.ok();
    world.wait_for_outcome(&request, "delivered").await;
    for name in ["b", "a-c", "ab"] {
        world.create(name, &json!({"metadata": {"ticket": name}})).await;
    }
    world.delete("/api/sessions/b").await.expect(204);
    agent
}

/// Everything that can be listed, page by page, as it is sent.
async fn everything(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for list in [
        "projects",
        "sessions",
        "permissions",
        "sessions/full/messages",
        "sessions/full/logs",
        "sessions/full/logs/toolu_07/output",
        "sessions/b",
    ] {
        let (mut pages, mut next) = (Vec::new(), Some(format!("/api/{list}?limit=3")));
        while let Some(path) = next.take() {
            let page = world.get(path).await.expect(200);
            pages.push(page.text());
            next = page.next_page();
        }
        all.insert(list.to_owned(), pages);
    }
    let last = world.events(None).await.last_id;
    let mut events = world.events(Some(0)).await;
    let mut told = Vec::new();
    while events.last_id < last {
        told.push(format!("{:?}", events.next().await.expect("an event")));
    }
    all.insert("events".into(), told);
    all
}

#[tokio::test]
async fn what_is_on_sqlite_is_the_same_on_postgres_after_a_copy() {
    let Some(target) = scratch_postgres::empty_database().await else { return };
    // Nothing is looked at again by itself, so that nothing moves between the looks.
    let world = World::build().stand_in().store(Store::Sqlite).env("CHORUS_POLL_INTERVAL", "3600");
    let mut world = world.start().await;
    let agent = fill(&world).await;
    let (from, to) = (world.database_url(), target.url().to_owned());
    let copy = ["db", "copy", "--from", &from, "--to", &to];
    let refused = world.cli(&copy).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("a server is running"), "{}", refused.stderr);
    world.kill9();
    // What a start makes of it is made before the looks too.
    world.start_again().await;
    world.wait_for_status("full", "busy").await;
    let before = everything(&world).await;
    assert_eq!(world.stop().await, Some(0));

    let copied =
        world.cli(&["db", "copy", "--json", "--from", &from, "--to", &to]).await.ok().json();
    let of = |table: &str| {
        let tables = copied["copied"].as_array().expect("tables");
        tables.iter().find(|t| t["table"] == table).map(|t| t["rows"].clone())
    };
    assert_eq!((of("command_logs"), of("command_outputs")), (Some(json!(40)), Some(json!(1))));
    let again = world.cli(&copy).await;
    assert!(again.code == Some(1) && again.stderr.contains("already"), "{}", again.stderr);

    world.set_env("CHORUS_DATABASE_URL", &to);
    world.start_again().await;
    world.wait_for_status("full", "busy").await;
    let after = everything(&world).await;
    for (list, pages) in &before {
        assert_eq!(&after[list], pages, "{list}");
    }
    // And it goes on: ids follow, rules hold, what is queued is queued.
    let last = world.events(None).await.last_id;
    world.post_hook(&agent, "PostToolUse", &Agent::called("toolu_99", "ls")).await.expect(204);
    assert_eq!(world.events(None).await.last_id, last + 1);
    assert_eq!(calls(&world, "full").await.len(), 41);
    assert_eq!(world.session("full").await["queued_messages"], 5);
    // A second server on the same database is told of the first.
    let other = World::build().stand_in().store(Store::Sqlite).env("CHORUS_DATABASE_URL", &*to);
    let other = other.without_server().start().await;
    let refused = other.cli(&["serve", "--port", "0"]).await;
    assert_eq!(refused.code, Some(1));
    let pid = format!("pid {}", world.server_pid());
    assert!(refused.stderr.contains(&pid), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_postgres_goes_away_and_comes_back() {
    let Some(cluster) = Cluster::start() else { return };
    let url = cluster.url("postgres");
    let world = World::build().stand_in().store(Store::Sqlite).env("CHORUS_DATABASE_URL", url);
    let world = world.env("CHORUS_POLL_INTERVAL", "0.5").start().await;
    let agent = world.begin("s").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    let mut events = world.events(None).await;
    let own = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
    let mut held = world.begin_hook(&agent, "PermissionRequest", &own).await;
    let request = world.wait_for_request("s").await;
    for n in 0..10 {
        let call = Agent::called(&format!("toolu_a{n}"), "ls");
        world.post_hook(&agent, "PostToolUse", &call).await.expect(204);
    }
    let known: Vec<_> = calls(&world, "s").await;

    cluster.stop();
    let respond = format!("/api/permissions/{}/respond", request["id"].as_str().expect("an id"));
    let allow = json!({"decision": "allow"});
    world.post(&*respond, &allow).await.expect(503);
    for path in ["/readyz", "/api/sessions", "/api/sessions/s/logs"] {
        world.get(path).await.expect(503);
    }
    world.get("/healthz").await.expect(200);
    let body = json!({"text": "later", "queue": true});
    world.post("/api/sessions/s/send", &body).await.expect(503);
    for n in 0..10 {
        let call = Agent::called(&format!("toolu_b{n}"), "ls");
        let ran = world.hook(&agent, "PostToolUse", &call).await;
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    }
    assert!(held.is_waiting(), "nobody has decided");

    cluster.start_again();
    world
        .wait_for("the server is ready again", async || {
            world.get("/readyz").await.status == 200
                && world.post("/api/sessions/s/send", &body).await.status == 202
        })
        .await;
    // What was acknowledged is there; what was refused has not happened; what was spooled arrives.
    let all = world
        .wait_for("the spool is taken in", async || {
            let calls = calls(&world, "s").await;
            if calls.len() == 20 { Ok(calls) } else { Err(calls.len().to_string()) }
        })
        .await;
    assert_eq!(all[..10], known[..]);
    assert_eq!(world.session("s").await["queued_messages"], 1);
    assert!(held.is_waiting());
    world.post(&*respond, &allow).await.expect(200);
    let answer = held.end().await.ok().json();
    assert_eq!(answer["hookSpecificOutput"]["decision"]["behavior"], "allow");
    // The listener has stayed, and heard every event once.
    let last = world.events(None).await.last_id;
    let (mut at, mut heard) = (events.last_id, 0);
    while at < last {
        let event = events.next().await.expect("an event");
        assert!(event.id > at);
        at = event.id;
        heard += usize::from(event.kind == "tool_use");
    }
    assert_eq!(heard, 20);
    // Once more, with the death of the server on top.
    cluster.stop();
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_c", "ls")).await.ok();
    world.kill9();
    let refused = world.cli(&["serve", "--port", "0"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("postgres://chorus@127.0.0.1"), "{}", refused.stderr);
    cluster.start_again();
    world.start_again().await;
    world.wait_for("the last call is there", async || calls(&world, "s").await.len() == 21).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_are_made_again() {
    if !scratch_postgres::is_here() {
        return;
    }
    let world = World::on(Store::Postgres).await;
    let agent = world.begin("s").await;
    let mut taken = Vec::new();
    for round in 0..3 {
        world
            .sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'chorus pid %'",
            )
            .await;
        // Refused or taken, but nothing in between, and soon taken again.
        for n in 0..20 {
            let id = format!("toolu_{round}_{n:02}");
            let answer = world.post_hook(&agent, "PostToolUse", &Agent::called(&id, "ls")).await;
            assert!([204, 503].contains(&answer.status), "{}", answer.text());
            if answer.status == 204 {
                taken.push(id);
            }
        }
        world
            .wait_for("the database is held again", async || {
                world.log().matches("the connection to PostgreSQL is back").count() > round
            })
            .await;
        let id = format!("toolu_{round}_z");
        let call = Agent::called(&id, "ls");
        world
            .wait_for("hooks are taken again", async || {
                world.post_hook(&agent, "PostToolUse", &call).await.status == 204
            })
            .await;
        taken.push(id);
    }
    let kept = calls(&world, "s").await;
    let kept: Vec<_> = kept.iter().filter_map(|c| c["tool_use_id"].as_str()).collect();
    assert!(taken.iter().all(|id| kept.contains(&id.as_str())), "{taken:?}\n{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_database_to_another_writes_nothing_until_it_has_it_back() {
    use sqlx::Connection as _;
    if !scratch_postgres::is_here() {
        return;
    }
    let world = World::on(Store::Postgres).await;
    let agent = world.begin("s").await;
    // Another server waits for its chance. (The cluster has other stories' databases too.)
    let url = world.database_url();
    let mut other = sqlx::PgConnection::connect(&url).await.expect("a connection");
    world
        .sql(
            "CREATE VIEW holds AS SELECT l.* FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
            WHERE l.locktype = 'advisory' AND l.objid = 1 AND d.datname = current_database()",
        )
        .await;
    let taking = tokio::spawn(async move {
        let lock = "SELECT pg_advisory_lock(classid::int, objid::int) FROM holds";
        sqlx::query(lock).execute(&mut other).await.expect("the lock");
        other
    });
    world
        .sql(
            "DO $$ BEGIN WHILE NOT EXISTS (SELECT 1 FROM holds WHERE NOT granted) \
            LOOP PERFORM pg_sleep(0.01); END LOOP; END $$",
        )
        .await;
    world.sql("SELECT pg_terminate_backend(pid) FROM holds WHERE granted").await;
    let mut other = taking.await.expect("the lock");
    let post = async |id: &str| {
        world.post_hook(&agent, "PostToolUse", &Agent::called(id, "ls")).await.status
    };
    world.wait_for("nothing is written any more", async || post("toolu_1").await == 503).await;
    // What the other one makes of it is known afterwards.
    let taken = "UPDATE projects SET name = 'taken'";
    sqlx::query(taken).execute(&mut other).await.expect("a change");
    other.close().await.expect("its end");
    world.wait_for("it is written again", async || post("toolu_2").await == 204).await;
    let folder = world.root().join("another");
    fs::create_dir(&folder).expect("a folder");
    let body = json!({"root": folder, "name": "taken"});
    world.post("/api/projects", &body).await.expect(409);
}

async fn text_that_no_database_keeps_harms_nothing_else(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("s").await;
    let long = "x".repeat(9_000);
    let odd = json!({"tool_name": "Bash", "tool_use_id": "toolu_\u{0}1", "agent_id": "\u{0}",
        "tool_input": {"a\u{0}": "\u{0}"}, "tool_response": {"stdout": "one\u{0}two", "stderr": ""}});
    let unknown = json!({"tool_name": "B\u{0}sh", "tool_use_id": "toolu_3", "tool_input": {}});
    let (large, usual) = (Agent::called(&long, "ls"), Agent::called("toolu_2", "ls"));
    let send = |own| world.hook_request(&agent, "PostToolUse", own).send();
    let answers = tokio::join!(send(&odd), send(&usual), send(&large), send(&unknown));
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        answer.expect(204);
    }
    let all = calls(&world, "s").await;
    assert_eq!(all.len(), 4);
    let find = |key: &str, value: &str| all.iter().find(|c| c[key] == value).expect("a call");
    assert_eq!(find("tool_use_id", "toolu_\u{fffd}1")["result"], "one\u{fffd}two");
    assert_eq!(find("tool", "B\u{fffd}sh")["tool_use_id"], "toolu_3");
    // Twice is still once.
    send(&odd).await.expect(204);
    send(&large).await.expect(204);
    assert_eq!(calls(&world, "s").await.len(), 4);
    // And what nobody can have is not found.
    world.get("/api/sessions/s%00").await.expect(404);
    assert_eq!(world.get("/api/sessions/s/logs?tool=%00").await.rows().len(), 0);
    for filter in ["action", "actor", "subject"] {
        assert_eq!(world.get(format!("/api/audit?{filter}=%00")).await.rows().len(), 0, "{filter}");
    }
}

async fn the_command_line_looks_after_the_database(store: Store) {
    let world = World::build().stand_in().store(store).without_server().start().await;
    let migrated = world.cli(&["db", "migrate", "--json"]).await.ok().json();
    match store {
        Store::Sqlite => assert_eq!(migrated["applied"][0], "0001 core"),
        // Made from a template that is up to date.
        Store::Postgres => assert_eq!(migrated["applied"], json!([])),
    }
    let again = world.cli(&["db", "migrate"]).await.ok().stdout;
    assert!(again.contains("up to date"), "{again}");
    world.start_again().await;
    world.begin("s").await;
    let check = world.cli(&["db", "check", "--json"]).await.ok().json();
    assert_eq!((&check["problems"], &check["pending"]), (&json!([]), &json!([])));
    assert_eq!(check["applied"][0], "0001 core");
    let rows = check["rows"].as_array().expect("rows");
    assert!(rows.contains(&json!(["sessions", 1])), "{rows:?}");
    let text = world.cli(&["db", "check"]).await.ok().stdout;
    assert!(text.contains("sound"), "{text}");
    let doctor = world.cli(&["doctor"]).await.stdout;
    assert!(doctor.contains("ok    the database is"), "{doctor}");
    let backup = world.root().join("backup.db");
    let name = backup.to_string_lossy().into_owned();
    let written = world.cli(&["db", "backup", &name]).await;
    if store == Store::Postgres {
        assert!(written.stderr.contains("pg_dump"), "{}", written.stderr);
        let restored = world.cli(&["db", "restore", &name]).await;
        assert!(restored.stderr.contains("pg_restore"), "{}", restored.stderr);
    }
}

#[tokio::test]
async fn a_backup_is_made_while_the_server_runs_and_restored_while_it_does_not() {
    let world = World::on(Store::Sqlite).await;
    world.begin("before").await;
    let file = |name: &str| world.root().join(name).to_string_lossy().into_owned();
    let backup = file("backup.db");
    world.cli(&["db", "backup", &backup]).await.ok();
    let mode = fs::metadata(&backup).expect("the backup").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = world.cli(&["db", "backup", &backup]).await;
    assert!(again.code == Some(1) && again.stderr.contains("exists"), "{}", again.stderr);
    world.begin("after").await;
    let names = async || -> Vec<String> {
        let rows = world.get("/api/sessions").await.rows();
        rows.iter().map(|s| s["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names().await, ["after", "before"]);

    let refused = world.cli(&["db", "restore", &backup]).await;
    assert!(refused.stderr.contains("a server is running"), "{}", refused.stderr);
    // In the middle of its work, so that a part of it is in the log only.
    world.kill9();
    for (name, content) in [("text.db", "surprise".repeat(1_000)), ("empty.db", String::new())] {
        fs::write(file(name), content).expect("a file");
        let refused = world.cli(&["db", "restore", &file(name)]).await;
        assert!(refused.code == Some(1) && refused.stderr.contains(name), "{}", refused.stderr);
    }
    let refused = world.cli(&["db", "restore", &file("nowhere.db")]).await;
    assert!(refused.stderr.contains("nowhere.db"), "{}", refused.stderr);
    world.start_again().await;
    assert_eq!(names().await, ["after", "before"]);
    world.kill9();

    let done = world.cli(&["db", "restore", &backup, "--json"]).await.ok().json();
    let former = done["former"].as_str().expect("the former one").to_owned();
    assert!(former.contains("before-restore-"), "{former}");
    world.start_again().await;
    assert_eq!(names().await, ["before"]);
    assert_eq!(world.stop().await, Some(0));
    // The former one is whole: what it had in its log too.
    world.cli(&["db", "restore", &former]).await.ok();
    world.start_again().await;
    assert_eq!(names().await, ["after", "before"]);
    let left = fs::read_dir(world.data()).expect("the folder").flatten();
    let left: Vec<_> = left.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.contains("restoring")), "{left:?}");
}

#[tokio::test]
async fn a_database_that_other_programs_name_is_used_only_if_it_is_empty_or_ours() {
    let Some(database) = scratch_postgres::empty_database().await else { return };
    let Some(others) = scratch_postgres::empty_database().await else { return };
    let mut world = World::build().stand_in().store(Store::Sqlite).without_server().start().await;
    // Empty.
    world.set_env("DATABASE_URL", database.url());
    world.start_again().await;
    world.create("on-postgres", &json!({})).await;
    assert_eq!(world.stop().await, Some(0));
    assert!(!world.data().join("chorus.db").exists());
    // Ours.
    world.start_again().await;
    assert_eq!(world.get("/api/sessions").await.rows().len(), 1);
    assert_eq!(world.stop().await, Some(0));
    // Another's: left alone.
    {
        use sqlx::Connection as _;
        let mut connection = sqlx::PgConnection::connect(others.url()).await.expect("a database");
        let made = sqlx::query("CREATE TABLE app (id int)").execute(&mut connection).await;
        made.expect("a table");
    }
    world.set_env("DATABASE_URL", others.url());
    world.start_again().await;
    assert_eq!(world.get("/api/sessions").await.rows().len(), 0);
    assert!(world.log().contains("left alone"), "{}", world.log());
    let refused = world.cli(&["db", "restore", "x.db"]).await;
    assert!(refused.stderr.contains("a server is running"), "{}", refused.stderr);
    assert_eq!(world.stop().await, Some(0));
    // Whose it is cannot be found out: to guess would be to forget.
    world.set_env("DATABASE_URL", "postgres://me:geheim@127.0.0.1:1/app");
    let refused = world.cli(&["serve", "--port", "0"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("CHORUS_DATABASE_URL"), "{}", refused.stderr);
    // Nothing that is said has the password in it.
    for args in [&["config"][..], &["config", "--json"], &["doctor"], &["db", "check"]] {
        let ran = world.cli(args).await;
        let said = ran.stdout + &ran.stderr;
        assert!(!said.contains("geheim") && said.contains("127.0.0.1:1/app"), "{args:?}: {said}");
    }
    assert!(!refused.stderr.contains("geheim") && !world.log().contains("geheim"));
}
