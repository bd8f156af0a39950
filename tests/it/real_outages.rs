//! The server goes away in the middle of the real Claude Code's work, and comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{World, wait_longer};
use crate::hooks::calls;

/// All messages of a session, in order.
pub async fn messages(world: &World, session: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(format!("/api/sessions/{session}/messages?limit=500"));
    while let Some(path) = next {
        let page = world.get(path).await;
        all.extend(page.rows());
        next = page.next_page();
    }
    all
}

fn said<'a>(messages: &'a [Value], direction: &str) -> Vec<&'a str> {
    let of = messages.iter().filter(|m| m["direction"] == direction);
    of.filter_map(|m| m["content"].as_str()).collect()
}

#[tokio::test]
async fn a_turn_of_fifty_calls_is_on_the_record_though_the_server_was_away() {
    let world = World::start().await;
    let launch = json!({ "allowed_tools": ["Bash(echo:*)"] });
    let new = json!({ "initial_prompt": "scenario:fifty please", "launch": launch });
    world.create("a", &new).await;
    let asked = async |n: usize, limit: u64| {
        wait_longer(Duration::from_secs(limit), "the model was asked so often", async || {
            let seen = world.model.requests().len();
            if seen >= n { Ok(()) } else { Err(format!("{seen} of {n}")) }
        })
        .await;
    };
    asked(5, 40).await;
    world.kill9();
    // One request for each call, and one for the last words.
    asked(51, 60).await;
    let spool = world.data().join("spool");
    world
        .wait_for("the turn's end is in the spool", async || {
            let files = std::fs::read_dir(&spool).map_err(|e| e.to_string())?;
            let stops = files.flatten().filter(|f| {
                std::fs::read_to_string(f.path())
                    .is_ok_and(|t| t.contains("All fifty calls are done."))
            });
            if stops.count() > 0 { Ok(()) } else { Err("no Stop yet".to_owned()) }
        })
        .await;
    world.start_again().await;
    world.wait_for_status("a", "idle").await;
    world
        .wait_for("fifty calls are over", async || {
            let over =
                calls(&world, "a").await.iter().filter(|c| c["status"] == "completed").count();
            if over == 50 { Ok(()) } else { Err(format!("{over} are")) }
        })
        .await;
    world
        .wait_for("the last words are on the record", async || {
            said(&messages(&world, "a").await, "assistant").contains(&"All fifty calls are done.")
        })
        .await;
    let calls = calls(&world, "a").await;
    let commands: Vec<&str> = calls.iter().filter_map(|c| c["input"]["command"].as_str()).collect();
    let expected: Vec<String> = (1..=50).map(|n| format!("echo call-{n:02}")).collect();
    assert_eq!(commands, expected);
    let ids: BTreeSet<&str> = calls.iter().filter_map(|c| c["tool_use_id"].as_str()).collect();
    assert_eq!(ids.len(), 50);
    let timed = calls.iter().filter(|c| c["duration_ms"].is_i64()).count();
    assert!(timed >= 49, "only of the call in whose middle the server went: {timed}");
    for (n, call) in calls.iter().enumerate() {
        assert_eq!(call["result"], format!("call-{:02}", n + 1), "{call}");
    }
    let messages = messages(&world, "a").await;
    assert_eq!(said(&messages, "user"), ["scenario:fifty please"]);
    assert_eq!(said(&messages, "assistant"), ["All fifty calls are done."]);
    assert_eq!(messages[0]["delivery_status"], "delivered");
}

#[tokio::test]
async fn a_restart_resumes_the_conversation_and_fresh_begins_another() {
    let world = World::start().await;
    world.create("a", &json!({ "initial_prompt": "remember the blue teapot" })).await;
    let before = world.wait_for_status("a", "idle").await;
    // Idle is told before the last lines are written, and only written ones can be resumed.
    world
        .wait_for("the answer is on the record", async || {
            !said(&messages(&world, "a").await, "assistant").is_empty()
        })
        .await;

    let ran = world.cli(&["restart", "a"]).await.ok();
    assert!(!ran.stdout.is_empty() || !ran.stderr.is_empty());
    let after = world.wait_for_status("a", "idle").await;
    assert_eq!(after["restarts"], 1);
    assert_eq!(after["claude_session_id"], before["claude_session_id"]);
    assert_ne!(after["pid"], before["pid"]);
    let seen = ask(&world, "a", "what was it?").await;
    assert!(seen.contains("remember the blue teapot"), "{seen}");

    world.post("/api/sessions/a/restart", &json!({ "fresh": true })).await.expect(202);
    let fresh = world.wait_for_status("a", "idle").await;
    assert_ne!(fresh["claude_session_id"], before["claude_session_id"]);
    let seen = ask(&world, "a", "and now?").await;
    assert!(!seen.contains("blue teapot"), "{seen}");

    let messages = messages(&world, "a").await;
    assert_eq!(said(&messages, "user"), ["remember the blue teapot", "what was it?", "and now?"]);
}

/// Sends a prompt and tells the whole request in which the model sees it.
pub async fn ask(world: &World, session: &str, text: &str) -> String {
    let prompt = json!({ "text": text, "queue": true });
    world.post(format!("/api/sessions/{session}/send"), &prompt).await.expect(202);
    world
        .wait_for("the model is asked", async || {
            let bodies = world.model.bodies();
            let body = bodies.iter().rev().map(|b| String::from_utf8_lossy(&b.body).into_owned());
            body.take(3).find(|b| b.contains(text))
        })
        .await
}
