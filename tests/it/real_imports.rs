//! Conversations that the real Claude Code held before Chorus was there.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{World, is_problem};
use crate::hooks::calls;
use crate::real_outages::{ask, messages};

/// Lets the real Claude Code hold a conversation without any terminal; returns its id.
async fn hold(world: &World, prompt: &str) -> String {
    let id = uuid::Uuid::new_v4().to_string();
    let claude = &world.env()["CHORUS_CLAUDE"];
    let mut command = tokio::process::Command::new(claude);
    command
        .args(["-p", "--session-id", &id, "--allowedTools", "Bash(echo:*)", "--", prompt])
        .env_clear()
        .envs(world.env())
        .current_dir(world.project())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let ended = command.status().await.expect("Claude Code");
    assert!(ended.success(), "{ended}");
    id
}

#[tokio::test]
async fn a_conversation_of_the_past_is_imported_once_and_goes_on() {
    let world = World::build().without_server().start().await;
    let id = hold(&world, "scenario:fifty please, and remember the blue teapot").await;
    let other = hold(&world, "hello").await;
    world.start_again().await;
    let mut events = world.events(None).await;

    let listed = world.get("/api/sessions/import").await.expect(200).rows();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0]["conversation_id"], other, "the last one first");
    let one = &listed[1];
    assert_eq!(one["session_id"], Value::Null);
    assert_eq!(one["folder"], world.project().to_str().expect("a path"));
    assert!(one["first_prompt"].as_str().expect("a prompt").contains("blue teapot"), "{one}");
    let none = world.get("/api/sessions/import?folder=/nowhere").await.expect(200).rows();
    assert_eq!(none.len(), 0);

    let ran = world.cli(&["import", &id, "--json"]).await.ok().json();
    let session = &ran[0]["session"];
    assert_eq!((&ran[0]["known"], &session["status"]), (&json!(false), &json!("completed")));
    let name = session["name"].as_str().expect("a name").to_owned();
    let commands: Vec<Value> =
        calls(&world, &name).await.into_iter().map(|c| c["input"]["command"].clone()).collect();
    let expected: Vec<Value> = (1..=50).map(|n| json!(format!("echo call-{n:02}"))).collect();
    assert_eq!(commands, expected);
    let said = messages(&world, &name).await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1]["content"], "All fifty calls are done.");
    let shown = world.session(&name).await;
    assert!(shown["tokens"]["output_tokens"].as_i64().is_some_and(|n| n > 0), "{shown}");

    // Again it is known, and nothing comes twice.
    let again = world.post("/api/sessions/import", &json!({ "conversation_ids": [id] })).await;
    let again = again.expect(200).json();
    assert_eq!((&again[0]["known"], &again[0]["session"]["name"]), (&json!(true), &json!(name)));
    assert_eq!(messages(&world, &name).await.len(), 2);
    assert_eq!(calls(&world, &name).await.len(), 50);

    // It goes on here, and Claude knows what was said.
    world.cli(&["resume", &name]).await.ok();
    world.wait_for_status(&name, "idle").await;
    let seen = ask(&world, &name, "what was it?").await;
    assert!(seen.contains("blue teapot"), "{seen}");
    world.wait_for_words(&name, "what was it?").await;
    // Of what happened long ago nobody was told.
    let first = events.find("a message", |e| e.kind == "message").await;
    assert_eq!(first.data["content"], "what was it?", "{first:?}");
}

#[tokio::test]
async fn what_is_chorus_s_own_is_not_offered() {
    let world = World::build().without_server().start().await;
    let other = hold(&world, "hello").await;
    world.start_again().await;
    world.play("own", "hello", &json!({})).await;
    world
        .wait_for("both conversations are on disk", async || {
            let listed = world.get("/api/sessions/import").await.expect(200).rows();
            if listed.len() == 2 { Ok(()) } else { Err(format!("{listed:?}")) }
        })
        .await;
    let new = world.get("/api/sessions/import?new=true&limit=1").await.expect(200).rows();
    assert_eq!((new.len(), &new[0]["conversation_id"]), (1, &json!(other)));
    let offered = world.cli(&["import", "--json"]).await.ok().json();
    assert_eq!(offered, json!(new));
    world.cli(&["import", "--all"]).await.ok();
    let left = world.cli(&["import"]).await.ok().stdout;
    assert!(left.contains("no other conversation"), "{left}");
}

#[tokio::test]
async fn what_cannot_be_imported_is_said() {
    let world = World::with_stand_in().await;
    let import = async |body: Value| world.post("/api/sessions/import", &body).await;
    for body in [
        json!({ "conversation_ids": [] }),
        json!({ "conversation_ids": vec!["x"; 101] }),
        json!({ "conversation_ids": ["x"], "claude_config_dir": "relative" }),
        json!({ "conversation_ids": ["x"], "claude_config_dir": "/etc" }),
    ] {
        assert!(is_problem(&import(body.clone()).await.expect(422)), "{body}");
    }
    let odd =
        json!({ "conversation_ids": ["../../etc/passwd", "93e9d73d-540e-4990-b1ef-fe1c6213d48e"] });
    let answer = import(odd).await.expect(200).json();
    for one in answer.as_array().expect("a list") {
        assert!(one["session"].is_null() && one["problem"].is_string(), "{one}");
    }
    let ran = world.cli(&["import", "93e9d73d-540e-4990-b1ef-fe1c6213d48e"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    // The name is the path's.
    let named = world.post("/api/sessions", &json!({ "name": "import" })).await.expect(422);
    assert!(is_problem(&named));
}
