//! What happens to sessions of the real Claude Code after they were begun: they are set aside, go on,
//! branch off, come back after everything was lost, and wait for a usage limit.

use std::time::Duration;

use rustix::process::Signal;
use scripted_model::{Kind, Script};
use serde_json::{Value, json};

use crate::harness::{World, processes, wait_longer};

/// Waits until the model was told all of this in one request.
async fn told_together(world: &World, words: &[&str]) {
    wait_longer(Duration::from_secs(60), &format!("the model hears {words:?}"), async || {
        let bodies = world.model.bodies();
        let main = bodies.iter().filter(|b| b.kind == Kind::Main).filter_map(|b| b.json().ok());
        let mut told = main.map(|body| body["messages"].to_string());
        told.any(|told| words.iter().all(|w| told.contains(w)))
    })
    .await;
}

fn conversation(view: &Value) -> String {
    view["claude_session_id"].as_str().expect("a conversation").to_owned()
}

/// Plays a first turn that leaves something to remember.
async fn greet(world: &World, name: &str) -> String {
    world.play(name, "hello", &json!({})).await;
    world.wait_for_words(name, "Hello from the scripted model.").await;
    conversation(&world.wait_for_status(name, "idle").await)
}

/// Asks for another turn, and waits until the model has heard the first one with it.
async fn still_remembers(world: &World, name: &str, first: &str) {
    let now = format!("and now, {name}?");
    let body = json!({ "text": now, "queue": true });
    world.post(format!("/api/sessions/{name}/send"), &body).await.expect(202);
    told_together(world, &[first, &now]).await;
}

#[tokio::test]
async fn a_paused_session_goes_on_with_its_conversation() {
    let world = World::start().await;
    let before = greet(&world, "p").await;
    let pid = world.session("p").await["pid"].as_u64().expect("a process");
    let paused = world.post("/api/sessions/p/pause", &Value::Null).await.expect(200).json();
    assert_eq!(
        (&paused["status"], &paused["claude_status"]),
        (&json!("paused"), &json!("stopped"))
    );
    assert!(!processes::living_in(&world.home()).contains(&(pid as u32)), "Claude has ended");
    world.post("/api/sessions/p/send", &json!({"text": "x"})).await.expect(409);
    let taken = world.post("/api/sessions", &json!({"name": "p"})).await.expect(409);
    assert!(taken.text().contains("called p already"), "{}", taken.text());

    let ended = async || {
        let known = world.get("/api/sessions/p/conversations").await.rows();
        assert_eq!(known.len(), 1, "{known:?}");
        !known[0]["ended_at"].is_null()
    };
    world.wait_for("its conversation has ended", ended).await;
    world.post("/api/sessions/p/resume", &Value::Null).await.expect(202);
    world.post("/api/sessions/p/resume", &Value::Null).await.expect(409);
    let view = world.wait_for_status("p", "idle").await;
    assert_eq!((&view["status"], conversation(&view)), (&json!("active"), before.clone()));
    assert!(!ended().await, "it goes on");
    still_remembers(&world, "p", "scenario:hello please").await;
}

#[tokio::test]
async fn a_fork_knows_what_was_said_and_goes_its_own_way() {
    let world = World::start().await;
    let first = greet(&world, "p").await;
    let fork = json!({ "initial_prompt": "only for the fork" });
    let made = world.post("/api/sessions/p/fork", &fork).await.expect(201).json();
    assert_eq!(made["name"], "p-fork");
    let second = conversation(&made);
    assert_ne!(first, second);
    told_together(&world, &["scenario:hello please", "only for the fork"]).await;
    world.wait_for_status("p-fork", "idle").await;
    world.wait_for_words("p-fork", "only for the fork").await;
    world.wait_for_words("p-fork", "Hello from the scripted model.").await;
    assert!(!world.said("p").await.iter().any(|s| s.contains("only for the fork")));
    let known = world.get("/api/sessions/p-fork/conversations").await.rows();
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(known[0]["id"], json!(second));
}

#[tokio::test]
async fn ten_conversations_come_back_after_everything_was_lost() {
    let world = World::start().await;
    let names: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    let (mut conversations, mut processes) = (Vec::new(), Vec::new());
    for name in &names {
        world.create(name, &json!({ "initial_prompt": format!("remember {name}") })).await;
    }
    for name in &names {
        let view = wait_longer(Duration::from_secs(90), "its first turn is over", async || {
            let view = world.session(name).await;
            let said = world.said(name).await;
            if view["claude_status"] == "idle" && said.len() > 1 {
                Ok(view)
            } else {
                Err(view.to_string())
            }
        })
        .await;
        conversations.push(conversation(&view));
        processes.push(view["pid"].as_u64().expect("a process") as u32);
    }
    // As if the machine had lost its power: state files stay as they were. tmux goes last, as its end
    // would let a Claude tidy up.
    world.kill9();
    processes.into_iter().for_each(|pid| processes::signal(pid, Signal::KILL));
    processes::end_all(&world.home());
    let stale = std::fs::read_dir(world.home().join(".claude/sessions")).expect("state files");
    assert!(
        stale.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "json")).count() >= 10
    );
    world.start_again().await;
    for name in &names {
        world.wait_for_status(name, "stopped").await;
    }
    let resumed = world.cli(&["--json", "resume", "--all"]).await.ok().json();
    assert_eq!(resumed["resumed"].as_array().map(Vec::len), Some(10), "{resumed}");
    for (name, before) in names.iter().zip(&conversations) {
        let view = wait_longer(Duration::from_secs(90), "it is idle again", async || {
            let view = world.session(name).await;
            if view["claude_status"] == "idle" { Ok(view) } else { Err(view.to_string()) }
        })
        .await;
        assert_eq!(conversation(&view), *before);
        still_remembers(&world, name, &format!("remember {name}")).await;
    }
}

/// A model whose account has met its limit once.
const LIMIT: &str = r#"{"scenarios": {"limit": [
    {"status": 429, "times": 1, "error_message": "This request would exceed your account's rate limit.",
     "text": "Work that was held up is done."}
]}}"#;

#[tokio::test]
async fn three_sessions_wait_for_a_usage_limit_and_all_go_on_by_themselves() {
    let script = Script::from_json(LIMIT).expect("a script");
    let world = World::build()
        .script(script)
        .env("CHORUS_LIMIT_RETRY", "4")
        .env("CHORUS_POLL_INTERVAL", "0.5")
        .start()
        .await;
    let launch = json!({ "env": { "CLAUDE_CODE_MAX_RETRIES": "0" } });
    for name in ["a", "b", "c"] {
        world.play(name, "limit", &launch).await;
    }
    for name in ["a", "b", "c"] {
        world
            .wait_for(&format!("{name} waits for its limit"), async || {
                let view = world.session(name).await;
                let asked = world.said(name).await.iter().any(|s| s == "continue");
                let limited = view["detail"]["limit_until"].is_string();
                if limited || asked { Ok(()) } else { Err(view.to_string()) }
            })
            .await;
    }
    for name in ["a", "b", "c"] {
        wait_longer(Duration::from_secs(60), &format!("{name} went on"), async || {
            let said = world.said(name).await;
            let on = said.iter().any(|s| s == "continue")
                && said.iter().any(|s| s.contains("held up is done"));
            if on { Ok(()) } else { Err(format!("{said:?}\n{}", world.pane_text(name).await)) }
        })
        .await;
        let view = world.wait_for_status(name, "idle").await;
        assert!(
            view["detail"]["limit_until"].is_null() && view["detail"]["error"].is_null(),
            "{view}"
        );
    }
}
