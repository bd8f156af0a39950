//! Claudes that somebody started in a terminal of their own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{World, processes, wait_longer};

/// Starts a Claude as a person does: in a tmux of their own, without Chorus.
async fn by_hand(world: &World, prompt: &str) {
    let claude = world.env()["CHORUS_CLAUDE"].clone();
    let mut command = world.command("tmux");
    command.args(["-S"]).arg(world.home().join("own.sock")).args(["-f", "/dev/null"]);
    command.args(["new-session", "-d", "-s", "own", "-x", "120", "-y", "40", "-c"]);
    command.arg(world.project()).args([claude.as_str(), "--permission-mode", "default"]);
    command.args(["--settings", r#"{"permissions":{"disableAutoMode":"disable"}}"#, "--", prompt]);
    processes::run(command).await.ok();
}

async fn only_session(world: &World) -> Option<Value> {
    world.get("/api/sessions").await.rows().pop()
}

#[tokio::test]
async fn one_that_ran_before_the_server_is_listed_at_once_listened_to_and_adopted() {
    let world = World::build().without_server().start().await;
    by_hand(&world, "scenario:hello please").await;
    wait_longer(Duration::from_secs(60), "its first turn is over", async || {
        world.model.requests().iter().any(|r| r.scenario == "hello")
    })
    .await;
    world.start_again().await;
    let began = Instant::now();
    let view = world
        .wait_for("it is listed", async || {
            let view = only_session(&world).await.ok_or("nothing is listed")?;
            if view["claude_status"] == "idle" { Ok(view) } else { Err("not idle") }
        })
        .await;
    let bound = Duration::from_secs(2).mul_f64(crate::harness::busyness());
    assert!(began.elapsed() < bound, "it took {:?}", began.elapsed());
    assert_eq!(view["runtime"], "external");
    // Claude Code's own, made of the folder's.
    let name = view["name"].as_str().expect("a name");
    assert!(name.starts_with("project"), "{name}");
    world.wait_for_words(name, "Hello from the scripted model.").await;
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("runs elsewhere"), "{listed}");

    // Nothing is typed into somebody's terminal, and nothing ended there unasked.
    for (path, body) in [
        ("send", json!({"text": "x"})),
        ("interrupt", Value::Null),
        ("pause", Value::Null),
        ("attach", Value::Null),
    ] {
        let refused = world.post(format!("/api/sessions/{name}/{path}"), &body).await.expect(409);
        assert!(
            refused.text().contains(&format!("chorus adopt {name}")),
            "{path}: {}",
            refused.text()
        );
    }
    world.delete(format!("/api/sessions/{name}")).await.expect(409);

    // The server's death changes nothing: it is the same session.
    world.kill9();
    world.start_again().await;
    world.wait_for_status(name, "idle").await;
    assert_eq!(only_session(&world).await.expect("a session")["id"], view["id"]);

    let pid = view["pid"].as_u64().expect("a process") as u32;
    world.cli(&["adopt", name]).await.ok();
    assert!(!processes::living_in(&world.home()).contains(&pid), "it was ended there");
    let adopted = world.wait_for_status(name, "idle").await;
    assert_eq!((&adopted["runtime"], &adopted["id"]), (&json!("tmux"), &view["id"]));
    assert_eq!(adopted["claude_session_id"], view["claude_session_id"]);
    world.ask(name, "echo").await;
    wait_longer(Duration::from_secs(60), "the model hears of the past", async || {
        let bodies = world.model.bodies();
        let told = bodies.iter().filter_map(|b| b.json().ok()).map(|b| b["messages"].to_string());
        told.into_iter().any(|t| t.contains("scenario:hello") && t.contains("scenario:echo"))
    })
    .await;
}

#[tokio::test]
async fn one_that_ends_is_completed_and_one_that_comes_is_listed_without_a_sweep() {
    let world = World::build().env("CHORUS_POLL_INTERVAL", "600").start().await;
    // The folder of state files is there from the first Claude on.
    world.play("ours", "hello", &json!({})).await;
    by_hand(&world, "scenario:hello please").await;
    let pid = wait_longer(Duration::from_secs(30), "it is listed", async || {
        let rows = world.get("/api/sessions").await.rows();
        let theirs = rows.into_iter().find(|s| s["runtime"] == "external").ok_or("not yet")?;
        theirs["pid"].as_u64().ok_or("no process")
    })
    .await;
    assert_eq!(world.get("/api/sessions").await.rows().len(), 2, "ours is not listed twice");
    processes::signal(pid as u32, rustix::process::Signal::TERM);
    world
        .wait_for("it is over", async || {
            let rows = world.get("/api/sessions?status=completed").await.rows();
            if rows.len() == 1 { Ok(()) } else { Err(format!("{rows:?}")) }
        })
        .await;
}
