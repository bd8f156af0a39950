//! Claudes that run elsewhere, with programs that stand in for them.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::harness::{World, signal};

/// A Claude in a terminal of somebody's own, as far as can be seen: a process, and its state file.
fn by_hand(world: &World, conversation: &str) -> Child {
    let mut command = world.command("sleep");
    let child = command.arg("100000").kill_on_drop(true).spawn().expect("a process");
    let pid = child.id().expect("its id");
    let process = chorus::process::identify(pid).expect("it runs");
    let now = chorus::clock::now().0;
    let state = json!({ "pid": pid, "procStart": process.start.to_string(), "sessionId": conversation,
        "cwd": world.project(), "status": "idle", "startedAt": now, "statusUpdatedAt": now, "updatedAt": now });
    let folder = world.home().join(".claude/sessions");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(format!("{pid}.json")), state.to_string()).expect("a file");
    child
}

async fn external(world: &World, pid: u32) -> Value {
    world
        .wait_for("it is listed", async || {
            let rows = world.get("/api/sessions").await.rows();
            rows.into_iter().find(|s| s["pid"] == pid).ok_or("it is not")
        })
        .await
}

#[tokio::test]
async fn one_that_comes_back_to_a_name_that_is_taken_gets_another_and_harms_nobody() {
    let world = World::build().stand_in().env("CHORUS_POLL_INTERVAL", "0.2").start().await;
    let mut first = by_hand(&world, "11111111-1111-4111-8111-111111111111");
    let listed = external(&world, first.id().expect("its id")).await;
    assert_eq!(listed["name"], "project");
    first.kill().await.expect("its end");
    let id = listed["id"].as_str().expect("an id").to_owned();
    world.wait_for_status(&id, "stopped").await;
    let agent = world.begin("project").await;

    let second = by_hand(&world, "11111111-1111-4111-8111-111111111111");
    let pid = second.id().expect("its id");
    let back = external(&world, pid).await;
    assert_eq!((&back["id"], &back["name"]), (&listed["id"], &json!("project-2")));
    assert_eq!(world.session("project").await["id"], json!(agent.session));
    world.post_hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.expect(204);
    world.wait_for_status("project", "busy").await;
    assert!(!world.log().contains("was not committed"), "{}", world.log());

    // The name is the session's from now on.
    world.kill9();
    world.start_again().await;
    assert_eq!(external(&world, pid).await["name"], "project-2");
}

#[tokio::test]
async fn a_session_whose_name_is_taken_is_refused_with_what_to_do_and_harms_nobody() {
    let world = World::with_stand_in().await;
    let old = world.begin("a").await;
    signal(old.pid, Signal::KILL);
    world.wait_for_status("a", "stopped").await;
    let new = world.begin("a").await;
    for what in ["pause", "resume", "restart"] {
        let path = format!("/api/sessions/{}/{what}", old.session);
        let refused = world.post(path, &json!({})).await.expect(409).text();
        let copy = format!("chorus fork {} --name", old.session);
        assert!(refused.contains("chorus kill a") && refused.contains(&copy), "{refused}");
    }
    world.post_hook(&new, "UserPromptSubmit", &json!({ "prompt": "go" })).await.expect(204);
    assert_eq!(world.session("a").await["id"], json!(new.session));
    assert!(!world.log().contains("was not committed"), "{}", world.log());
    assert_eq!(world.agent(&new.session).await.pid, new.pid);
    world.delete("/api/sessions/a").await.expect(204);
    world.post(format!("/api/sessions/{}/resume", old.session), &Value::Null).await.expect(202);
    assert_eq!(world.agent("a").await.session, old.session);
}
