//! What keeps the real Claude Code from starting is named, with what to do about it.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Builder, World, wait_longer};

/// A world in which Claude Code's own configuration is changed before anything starts.
async fn world(builder: Builder, change: impl FnOnce(&mut Value)) -> World {
    let world = builder.without_server().start().await;
    let file = world.home().join(".claude.json");
    let text = fs::read_to_string(&file).expect("Claude Code's configuration");
    let mut config: Value = serde_json::from_str(&text).expect("its content");
    change(&mut config);
    fs::write(&file, config.to_string()).expect("Claude Code's configuration");
    world.start_again().await;
    world
}

/// Waits until the session says that this blocks its start, and tells the remedy.
async fn blocked(world: &World, session: &str, dialog: &str) -> String {
    world
        .wait_for(&format!("{session} says that {dialog} blocks it"), async || {
            let view = world.session(session).await;
            let detail = &view["detail"];
            match (detail["waiting_for"].as_str(), detail["remedy"].as_str()) {
                (Some(seen), Some(remedy))
                    if view["claude_status"] == "waiting" && seen.contains(dialog) =>
                {
                    Ok(remedy.to_owned())
                }
                _ => Err(view.to_string()),
            }
        })
        .await
}

async fn keys(world: &World, session: &str, keys: &[&str]) {
    let target = world.session(session).await["tmux_session"].as_str().expect("a name").to_owned();
    let target = format!("={target}:");
    world.tmux(&[&["send-keys", "-t", &target], keys].concat()).await.ok();
}

#[tokio::test]
async fn an_untrusted_folder_blocks_the_start_until_somebody_trusts_it() {
    let world = world(World::build(), |c| c["projects"] = json!({})).await;
    let id = world.create("a", &json!({ "initial_prompt": "after the question" })).await;
    let remedy = blocked(&world, "a", "this folder is trusted").await;
    assert!(remedy.contains("trust it"), "{remedy}");
    let waits = world.cli(&["permissions"]).await.ok().stdout;
    assert!(waits.contains("this folder is trusted (chorus attach a)"), "{waits}");

    // A prompt is not typed into the question.
    let refused = world.post("/api/sessions/a/send", &json!({ "text": "1" })).await.expect(409);
    assert!(refused.text().contains("queue"), "{}", refused.text());
    let second = json!({ "text": "queued meanwhile", "queue": true });
    world.post("/api/sessions/a/send", &second).await.expect(202);
    blocked(&world, "a", "this folder is trusted").await;

    // In 2.1.329 the first row, "No, exit", is the chosen one; before, it was the other.
    let trusting = async || {
        let text = world.pane_text("a").await;
        text.contains("❯ Yes, I trust") || text.contains("❯ 1. Yes, I trust")
    };
    if !trusting().await {
        keys(&world, "a", &["Down"]).await;
    }
    world.wait_for("the row that trusts is chosen", trusting).await;
    keys(&world, "a", &["Enter"]).await;
    wait_longer(Duration::from_secs(25), "both prompts have reached the model", async || {
        let seen: Vec<String> = world.model.requests().into_iter().map(|r| r.prompt).collect();
        if seen == ["after the question", "queued meanwhile"] {
            Ok(())
        } else {
            Err(format!("{seen:?}\n{}", world.pane_text("a").await))
        }
    })
    .await;
    let view = world.wait_for_status("a", "idle").await;
    assert!(view["detail"]["remedy"].is_null(), "{view}");
    assert_eq!(view["id"], id.as_str());
}

#[tokio::test]
async fn the_command_line_says_what_holds_up_or_fails_a_start() {
    let held_up = world(World::build(), |c| c["projects"] = json!({})).await;
    let ran = held_up.cli(&["run", "--name", "a", "hello"]).await;
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(ran.stdout.contains("a is held up: ") && ran.stdout.contains("→ "), "{ran:?}");

    let failing = World::build().stand_in().start().await;
    let program = &failing.env()["CHORUS_CLAUDE"];
    fs::write(program, "#!/bin/sh\ncase $1 in --version) echo 2.1.329;; *) exit 7;; esac\n")
        .expect("a program that ends at once");
    let ran = failing.cli(&["run", "--name", "b", "hello"]).await;
    assert_eq!(ran.code, Some(9), "{ran:?}");
    assert!(ran.stdout.contains("b failed: ") && ran.stdout.contains("exit status 7"), "{ran:?}");
    let listed = failing.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("exit status 7"), "a failure is news: {listed}");
    failing.cli(&["kill", "b"]).await.ok();
    let listed = failing.cli(&["ps"]).await.ok().stdout;
    assert!(!listed.contains("exit status 7"), "{listed}");
}

#[tokio::test]
async fn the_first_start_questions_block_the_start() {
    let world = world(World::build(), |c| *c = json!({})).await;
    world.create("a", &json!({})).await;
    // The first of them is whether the network is there. Where it is not, Claude Code ends.
    world
        .wait_for("the session says what blocks it", async || {
            let view = world.session("a").await;
            let detail = &view["detail"];
            let told = [&detail["waiting_for"], &detail["error"]].map(|t| t.as_str().unwrap_or(""));
            let named = told.iter().any(|t| {
                t.contains("first-start questions") || t.contains("cannot reach Anthropic")
            });
            let remedy = detail["remedy"].as_str().unwrap_or("");
            if named && remedy.contains("run `claude` once") {
                Ok(())
            } else {
                Err(view.to_string())
            }
        })
        .await;
}

#[tokio::test]
async fn a_key_that_nobody_approved_blocks_the_start() {
    let world = world(World::build(), |c| {
        c["customApiKeyResponses"] = json!({ "approved": [], "rejected": [] });
    })
    .await;
    world.create("a", &json!({})).await;
    let remedy = blocked(&world, "a", "API key in the environment").await;
    assert!(remedy.contains("approve the key"), "{remedy}");
    // The second row, "No (recommended)", is the chosen one.
    keys(&world, "a", &["Up"]).await;
    keys(&world, "a", &["Enter"]).await;
    world.wait_for_status("a", "idle").await;
}

#[tokio::test]
async fn somebody_who_is_not_logged_in_is_told_to() {
    let world = world(World::build().env("ANTHROPIC_API_KEY", ""), |_| {}).await;
    world.create("a", &json!({})).await;
    let told = world
        .wait_for("a says that nobody is logged in", async || {
            let detail = world.session("a").await["detail"].clone();
            // Claude Code has begun, so it is the error of an idle session that says so.
            let said = [&detail["error"], &detail["waiting_for"]];
            if said.iter().any(|d| d.as_str().is_some_and(|d| d.contains("log"))) {
                Ok(detail)
            } else {
                Err(detail.to_string())
            }
        })
        .await;
    assert!(told["remedy"].as_str().is_some_and(|r| r.contains("/login")), "{told}");
}

#[tokio::test]
async fn a_missing_claude_is_unavailable_with_advice() {
    let world = World::build().env("CHORUS_CLAUDE", "/nowhere/claude").start().await;
    let refused = world.post("/api/sessions", &json!({ "name": "a" })).await.expect(503);
    assert!(
        refused.text().contains("npm install -g @anthropic-ai/claude-code"),
        "{}",
        refused.text()
    );
    assert!(world.get("/api/sessions").await.rows().is_empty());
}

#[tokio::test]
async fn a_claude_that_goes_missing_is_unavailable_at_a_restart_too() {
    let world = World::build().stand_in().start().await;
    world.begin("a").await;
    fs::remove_file(&world.env()["CHORUS_CLAUDE"]).expect("the program");
    world.post("/api/sessions/a/restart", &json!({})).await.expect(503);
    // What runs goes on.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.session("a").await["claude_status"], "idle");
}

#[tokio::test]
async fn a_start_whose_hook_is_lost_is_seen_on_the_screen() {
    let world = World::start().await;
    // Neither the server nor the spool is where hooks look for them.
    let (socket, spool) = (world.socket(), world.data().join("spool"));
    let away = socket.with_extension("away");
    fs::rename(&socket, &away).expect("the socket is moved");
    fs::remove_dir_all(&spool).expect("the spool is removed");
    fs::write(&spool, "").expect("a file in its place");
    world.create("a", &json!({})).await;
    let view = wait_longer(Duration::from_secs(25), "it is known to have started", async || {
        let view = world.session("a").await;
        if view["claude_status"] == "idle" { Ok(view) } else { Err(view.to_string()) }
    })
    .await;
    assert_eq!(view["evidence"]["source"], "screen", "{view}");
    fs::remove_file(&spool).expect("the file is removed");
    fs::rename(&away, &socket).expect("the socket is moved back");
    world.post("/api/sessions/a/send", &json!({ "text": "are you there?" })).await.expect(202);
    wait_longer(Duration::from_secs(25), "the prompt is answered", async || {
        let said = world.said("a").await;
        if said.iter().any(|s| s.contains("Hello from the scripted model.")) {
            return Ok(());
        }
        let messages = world.get("/api/sessions/a/messages".to_owned()).await.rows();
        Err(format!("{messages:?} {}", world.session("a").await))
    })
    .await;
}

#[tokio::test]
async fn settings_that_claude_code_cannot_read_block_the_start() {
    let world = World::start().await;
    let settings = world.home().join(".claude/settings.json");
    fs::create_dir_all(settings.parent().expect("a folder")).expect("the folder");
    fs::write(&settings, "{\n  // Claude Code takes no comments\n}\n").expect("the settings");
    world.create("a", &json!({})).await;
    let remedy = blocked(&world, "a", "a settings file").await;
    assert!(remedy.contains("mend it"), "{remedy}");
    let refused = world.cli(&["hooks", "install"]).await;
    assert!(refused.code != Some(0) && refused.stderr.contains("line 2"), "{}", refused.stderr);
}
