//! What is older than it is to be kept is forgotten; nothing else is.

use serde_json::{Value, json};

use crate::harness::{Agent, Store, World, is_problem, on_both_stores};
use crate::hooks::calls;
use crate::permissions::{ask, decide};

on_both_stores! {
    what_is_too_old_is_forgotten_and_nothing_else
}

/// Makes everything of ended sessions a hundred days old, events and long results included.
const AGE: &str = "UPDATE sessions SET updated_at = updated_at - 8640000000 WHERE live = 0; \
     UPDATE events SET at = at - 8640000000 WHERE session_id IN (SELECT id FROM sessions WHERE live = 0); \
     UPDATE command_outputs SET created_at = created_at - 8640000000;";

async fn prune(world: &World, body: &Value) -> Value {
    world.post("/api/database/prune", body).await.expect(200).json()
}

/// A session with something in every table, which has ended.
async fn full(world: &World, name: &str) -> Agent {
    let agent = world.begin(name).await;
    let (held, request) = ask(world, &agent, "toolu_ask", "make").await;
    decide(world, &request, &json!({ "decision": "allow", "for_session": true })).await;
    held.end().await.ok();
    let mut long = Agent::called("toolu_long", "make");
    long["tool_response"] = json!({ "stdout": "x".repeat(60_000), "stderr": "" });
    world.post_hook(&agent, "PostToolUse", &long).await.expect(204);
    let said = json!({ "text": "go on", "queue": true });
    world.post(format!("/api/sessions/{name}/send"), &said).await.expect(202);
    agent
}

async fn what_is_too_old_is_forgotten_and_nothing_else(store: Store) {
    let world = World::on(store).await;
    full(&world, "old").await;
    full(&world, "runs").await;
    world.delete("/api/sessions/old").await;
    world
        .wait_for("it has ended", async || world.session("old").await["status"] == "completed")
        .await;
    world.stop().await;
    world.sql(AGE).await;
    world.start_again().await;

    let told =
        prune(&world, &json!({ "sessions_days": 90, "events_days": 0, "dry_run": true })).await;
    assert_eq!((&told["dry_run"], &told["sessions"]), (&json!(true), &json!(1)), "{told}");
    assert!(told["bytes"].as_i64().expect("bytes") > 110_000, "{told}");
    assert_eq!(calls(&world, "old").await.len(), 2, "only told");
    let none = prune(&world, &json!({ "sessions_days": 101, "events_days": 0 })).await;
    assert_eq!(none["sessions"], 0, "it is not as old as that");

    // First the long texts alone: their beginnings stay.
    let outputs = prune(&world, &json!({ "outputs_days": 99, "sessions_days": 0 })).await;
    assert_eq!(outputs["outputs"], 2, "{outputs}");
    assert_eq!(calls(&world, "old").await.len(), 2);
    let first = world.events(Some(1)).await.next().await;
    assert_eq!(first.expect("an event").kind, "reset", "the old events are gone: {outputs}");

    let ran = world.cli(&["db", "prune", "--sessions", "90", "--json"]).await.ok().json();
    assert_eq!(ran["sessions"], 1, "{ran}");
    world.get("/api/sessions/old").await.expect(404);
    let sessions = world.get("/api/sessions").await.rows();
    assert_eq!(sessions.len(), 1);
    assert_eq!(calls(&world, "runs").await.len(), 2);
    assert_eq!(world.get("/api/permissions?session=runs").await.rows().len(), 1);
    // The audit log keeps everything, and what was done now.
    let verified = world.get("/api/audit/verify").await.expect(200).json();
    assert_eq!(verified["ok"], true);
    let acts = world.get("/api/audit?action=retention.applied").await.rows();
    assert_eq!((acts.len(), &acts[0]["actor"]["kind"]), (2, &json!("cli")));
    // Nothing is left, and it goes on after a restart.
    world.stop().await;
    let check = world.cli(&["db", "check", "--json"]).await.ok().json();
    let rows = |table: &str| {
        let tables = check["rows"].as_array().expect("tables");
        tables.iter().find(|t| t[0] == table).expect("a table")[1].clone()
    };
    for table in ["sessions", "conversations", "permission_requests", "permission_rules"] {
        assert_eq!(rows(table), 1, "{table}");
    }
    assert_eq!((rows("command_logs"), rows("command_outputs")), (json!(2), json!(0)));
    world.start_again().await;
    world.wait_for_status("runs", "busy").await;
}

#[tokio::test]
async fn a_database_that_is_too_large_loses_the_sessions_that_ended_first() {
    // PostgreSQL does not tell how much of its size is in use.
    let world = World::on(Store::Sqlite).await;
    for name in ["first", "second", "third"] {
        let agent = world.begin(name).await;
        for n in 0..40 {
            let mut long = Agent::called(&format!("toolu_{n}"), "make");
            long["tool_response"] = json!({ "stdout": "x".repeat(49_000), "stderr": "" });
            world.post_hook(&agent, "PostToolUse", &long).await.expect(204);
        }
        world.delete(format!("/api/sessions/{name}")).await;
        world
            .wait_for("it has ended", async || world.session(name).await["status"] == "completed")
            .await;
    }
    let told = prune(&world, &json!({ "database_mb": 5, "dry_run": true })).await;
    assert_eq!(told["sessions"], 1, "{told}");
    let done = prune(&world, &json!({ "database_mb": 5 })).await;
    assert_eq!(done["sessions"], 1, "{done}");
    world.get("/api/sessions/first").await.expect(404);
    world.get("/api/sessions/second").await.expect(200);
    let again = prune(&world, &json!({ "database_mb": 5 })).await;
    assert_eq!(again["sessions"], 0, "what was freed does not count: {again}");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_said() {
    let world = World::with_stand_in().await;
    for body in [json!({ "session_days": 3 }), json!({ "sessions_days": -1 })] {
        assert!(is_problem(&world.post("/api/database/prune", &body).await.expect(422)), "{body}");
    }
}
