//! Tasks in step with their sessions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Agent, World, signal};
use crate::tasks::{make, task};

/// Starts a task whose Claude has taken its prompt.
pub async fn begin(world: &World, id: i64) -> Agent {
    let started = world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(200).json();
    take_up(world, started["session_id"].as_str().expect("a session")).await
}

/// Plays the beginning of a session's first turn.
pub async fn take_up(world: &World, session: &str) -> Agent {
    take_up_with(world, session, &json!({ "source": "startup" })).await
}

/// The same of a session whose first hook says this.
pub async fn take_up_with(world: &World, session: &str, start: &Value) -> Agent {
    let agent = world.agent(session).await;
    world.post_hook(&agent, "SessionStart", start).await.expect(204);
    let said = world.get(format!("/api/sessions/{session}/messages")).await.rows();
    let prompt = said[0]["content"].clone();
    world.post_hook(&agent, "UserPromptSubmit", &json!({ "prompt": prompt })).await.expect(204);
    agent
}

/// Waits until a task is this.
pub async fn wait_until(world: &World, id: i64, status: &str) -> Value {
    world
        .wait_for(&format!("task {id} is {status}"), async || {
            let seen = task(world, id).await;
            if seen["status"] == status { Ok(seen) } else { Err(seen.to_string()) }
        })
        .await
}

#[tokio::test]
async fn a_task_goes_through_its_states_with_its_session_and_tells_of_each() {
    let world = World::with_stand_in().await;
    let mut events = world.events(None).await;
    let id = make(&world, "fix it", &json!({ "description": "the flaky one" })).await;
    let agent = begin(&world, id).await;
    let running = wait_until(&world, id, "running").await;
    assert_eq!(running["session_id"], json!(agent.session));
    let held = world.begin_hook(&agent, "PermissionRequest", &Agent::call("toolu_1", "ls")).await;
    wait_until(&world, id, "waiting").await;
    let answer = json!({ "confirm": true });
    let decided = world.post(format!("/api/tasks/{id}/respond"), &answer).await.expect(200).json();
    assert_eq!(decided["verdict"], "allow");
    held.end().await.ok();
    wait_until(&world, id, "running").await;
    world.post_hook(&agent, "PostToolUse", &Agent::called("toolu_1", "ls")).await.expect(204);
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    let queued = json!({ "text": "one more thing", "queue": true });
    let sent = world.post(format!("/api/tasks/{id}/send"), &queued).await.expect(202).json();
    assert_eq!(sent["session_id"], json!(agent.session));
    wait_until(&world, id, "running").await;
    let result = json!({ "result": "fixed" });
    world.post(format!("/api/tasks/{id}/complete"), &result).await.expect(200);
    let told: Vec<(String, String)> = {
        let mut told = Vec::new();
        while told.last().is_none_or(|(_, new)| new != "completed") {
            let event = events.find("a task's status", |e| e.kind == "task_status").await;
            assert_eq!(
                (&event.data["task_id"], &event.data["session_id"]),
                (&json!(id), &json!(agent.session))
            );
            let text = |v: &Value| v.as_str().expect("a status").to_owned();
            told.push((text(&event.data["old_status"]), text(&event.data["new_status"])));
        }
        told
    };
    let moves = ["pending", "assigned", "running", "waiting", "running", "completed"];
    let expected: Vec<(String, String)> =
        moves.windows(2).map(|w| (w[0].to_owned(), w[1].to_owned())).collect();
    assert_eq!(told, expected);
    // What was said and done is known to be for the task.
    let session = &agent.session;
    for list in ["messages", "logs"] {
        let rows = world.get(format!("/api/sessions/{session}/{list}")).await.rows();
        assert!(!rows.is_empty() && rows.iter().all(|r| r["task_id"] == id), "{rows:?}");
    }
    let status = world.events(Some(0)).await.find("activity", |e| e.kind == "claude_status").await;
    assert_eq!(status.data["task_id"], id);
}

#[tokio::test]
async fn a_system_prompt_is_a_private_file_until_claude_has_started() {
    let world = World::with_stand_in().await;
    let body = json!({ "description": "in secret", "options": { "prompt_as": "system_prompt" } });
    let id = make(&world, "fix it", &body).await;
    let whole = world.get(format!("/api/tasks/{id}/prompt")).await.expect(200).json();
    let started = world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(200).json();
    let session = started["session_id"].as_str().expect("a session");
    let file = world.data().join("launch").join(format!("{session}.md"));
    let held = || {
        let mode = fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(json!(fs::read_to_string(&file).expect("text")), whole["prompt"]);
    };
    held();
    // A Claude that is still starting finds it also after the server's death.
    world.kill9();
    world.start_again().await;
    held();
    take_up(&world, session).await;
    wait_until(&world, id, "running").await;
    world.kill9();
    world.start_again().await;
    world.wait_for("it is gone", async || !file.exists()).await;
}

#[tokio::test]
async fn a_task_fails_with_its_session_and_goes_on_with_it() {
    let world = World::with_stand_in().await;
    let id = make(&world, "fix it", &json!({})).await;
    let agent = begin(&world, id).await;
    wait_until(&world, id, "running").await;
    signal(agent.pid, Signal::KILL);
    let failed = wait_until(&world, id, "failed").await;
    let why = failed["result"].as_str().expect("a reason");
    assert!(why.contains("ended unasked"), "{why}");
    assert_eq!(failed["history"][0]["outcome"], "interrupted");
    // Everything is kept through the death of the server, also that it can go on.
    world.kill9();
    world.start_again().await;
    assert_eq!(task(&world, id).await["status"], "failed");
    world.cli(&["resume", &agent.session]).await.ok();
    let on = wait_until(&world, id, "running").await;
    assert_eq!((&on["result"], &on["history"][0]["outcome"]), (&Value::Null, &Value::Null));
    assert_eq!(on["attempts"], 1);
    // A restart is no end.
    let mut events = world.events(None).await;
    let second = world.agent(&agent.session).await;
    world.post_hook(&second, "SessionStart", &json!({ "source": "resume" })).await.expect(204);
    let again = json!({ "fresh": true });
    let restarted =
        world.post(format!("/api/tasks/{id}/restart-claude"), &again).await.expect(202).json();
    assert_eq!((&restarted["restarts"], &restarted["status"]), (&json!(1), &json!("running")));
    world.delete(format!("/api/sessions/{}", agent.session)).await.expect(204);
    let told = events.find("a task's status", |e| e.kind == "task_status").await;
    assert_eq!(told.data["new_status"], "failed", "the restart has told of none");
    assert_eq!(task(&world, id).await["result"], "its session was ended");
    // Another attempt: the result of the first one stays with it.
    world.post(format!("/api/tasks/{id}/retry"), &Value::Null).await.expect(200);
    assert_eq!(task(&world, id).await["result"], Value::Null);
    let third = begin(&world, id).await;
    assert_ne!(third.session, agent.session);
    let shown = wait_until(&world, id, "running").await;
    assert_eq!(shown["history"][1]["result"], "its session was ended");
    assert_eq!(shown["attempts"], 2);
    world.post(format!("/api/tasks/{id}/complete"), &json!({})).await.expect(200);
    // The first one's session is its no more.
    world.cli(&["resume", &agent.session]).await.ok();
    assert_eq!(world.session(&agent.session).await["task_id"], Value::Null);
    assert_eq!(task(&world, id).await["session_id"], json!(third.session));
}

#[tokio::test]
async fn a_crash_that_is_made_good_is_no_failure_and_a_pause_is_none_either() {
    let world = World::with_stand_in().await;
    let options = json!({ "options": { "launch": { "crash_restarts": 1 } } });
    let id = make(&world, "fix it", &options).await;
    let agent = begin(&world, id).await;
    wait_until(&world, id, "running").await;
    let mut events = world.events(None).await;
    signal(agent.pid, Signal::KILL);
    world
        .wait_for("it was started again", async || {
            world.session(&agent.session).await["restarts"] == 1
        })
        .await;
    let second = world.agent(&agent.session).await;
    world.post_hook(&second, "SessionStart", &json!({ "source": "resume" })).await.expect(204);
    world.post(format!("/api/sessions/{}/pause", agent.session), &Value::Null).await.expect(200);
    assert_eq!(task(&world, id).await["status"], "running");
    // One that is ended while it is set aside has no process whose end would tell.
    world.delete(format!("/api/sessions/{}", agent.session)).await.expect(204);
    let told = events.find("a task's status", |e| e.kind == "task_status").await;
    assert_eq!(
        (&told.data["old_status"], &told.data["new_status"]),
        (&json!("running"), &json!("failed"))
    );
}

#[tokio::test]
async fn a_prompt_that_does_not_arrive_leaves_the_task_pending_with_the_reason() {
    let world = World::with_stand_in().await;
    // Its own session dies before Claude takes the prompt.
    let id = make(&world, "one", &json!({})).await;
    let started = world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(200).json();
    let agent = world.agent(started["session_id"].as_str().expect("a session")).await;
    signal(agent.pid, Signal::KILL);
    let back = wait_until(&world, id, "pending").await;
    assert!(
        back["result"].as_str().is_some_and(|r| r.contains("before it took the prompt")),
        "{back}"
    );
    assert_eq!(
        (&back["queued"], &back["history"][0]["outcome"]),
        (&json!(false), &json!("undelivered"))
    );
    // The stand-in has no input box: nothing can be sent to it.
    let other = world.begin("person").await;
    let assigned = world
        .post(format!("/api/tasks/{id}/assign"), &json!({ "session_id": "claude-person" }))
        .await;
    if assigned.status == 200 {
        let back = wait_until(&world, id, "pending").await;
        assert!(back["result"].as_str().is_some_and(|r| r.contains("input box")), "{back}");
        assert_eq!(
            world.session("person").await["task_id"],
            Value::Null,
            "the session is free again"
        );
    }
    world.post_hook(&other, "UserPromptSubmit", &json!({ "prompt": "x" })).await.expect(204);
    let body = json!({ "session_id": "person" });
    let refused = world.post(format!("/api/tasks/{id}/assign"), &body).await.expect(409).text();
    assert!(refused.contains("busy"), "{refused}");
    let second = make(&world, "two", &json!({})).await;
    let agent = begin(&world, second).await;
    let body = json!({ "session_id": agent.session });
    let refused = world.post(format!("/api/tasks/{id}/assign"), &body).await.expect(409).text();
    assert!(refused.contains(&format!("works on task {second}")), "{refused}");
}

#[tokio::test]
async fn a_task_that_nobody_watches_completes_when_nothing_follows() {
    let world = World::with_stand_in().await;
    let options = json!({ "options": { "complete_on_idle": true } });
    let id = make(&world, "fix it", &options).await;
    let agent = begin(&world, id).await;
    wait_until(&world, id, "running").await;
    // Work in the background, or another turn at once: that was not the end.
    let background = json!({ "background_tasks": [{ "id": "b1", "type": "shell" }] });
    world.post_hook(&agent, "Stop", &background).await.expect(204);
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    world.post_hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go on" })).await.expect(204);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(task(&world, id).await["status"], "running");
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    wait_until(&world, id, "completed").await;
    world.wait_for_status(&agent.session, "stopped").await;
    // Also if the server dies in the moment between.
    let id = make(&world, "another", &options).await;
    let agent = begin(&world, id).await;
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    world.kill9();
    world.start_again().await;
    wait_until(&world, id, "completed").await;
    world.wait_for_status(&agent.session, "stopped").await;
    // A turn that failed is no success.
    let id = make(&world, "third", &options).await;
    let agent = begin(&world, id).await;
    let error = json!({ "error": "server_error", "last_assistant_message": "API Error: 500" });
    world.post_hook(&agent, "StopFailure", &error).await.expect(204);
    let failed = wait_until(&world, id, "failed").await;
    assert!(failed["result"].as_str().is_some_and(|r| r.contains("server_error")), "{failed}");
}
