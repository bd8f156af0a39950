//! Claudes that somebody started in a terminal of their own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{World, processes, wait_longer};

/// Starts a Claude as a person does: in a tmux of their own, without Chorus.
async fn by_hand(world: &World, prompt: &str) {
    by_hand_with(world, &[], prompt).await;
}

/// The same with further arguments.
async fn by_hand_with(world: &World, args: &[&str], prompt: &str) {
    let claude = world.env()["CHORUS_CLAUDE"].clone();
    let mut command = world.command("tmux");
    command.args(["-S"]).arg(world.home().join("own.sock")).args(["-f", "/dev/null"]);
    command.args(["new-session", "-d", "-s", "own", "-x", "120", "-y", "40", "-c"]);
    command.arg(world.project()).args([claude.as_str(), "--permission-mode", "default"]);
    command.args(["--settings", r#"{"permissions":{"disableAutoMode":"disable"}}"#]);
    command.args(args).args(["--", prompt]);
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

#[tokio::test]
async fn with_hooks_in_the_users_settings_its_next_permission_is_decided_here() {
    let world = World::build().without_server().start().await;
    // As somebody has written it: it is to be the same again in the end, byte by byte.
    let settings = world.home().join(".claude/settings.json");
    let theirs = "{ \"env\": {\"A\": \"b\"},\n\t\"hooks\": {\"Stop\": []} }\n\n";
    std::fs::create_dir_all(settings.parent().expect("a folder")).expect("a folder");
    std::fs::write(&settings, theirs).expect("settings");
    by_hand(&world, "scenario:hello please").await;
    wait_longer(Duration::from_secs(60), "its first turn is over", async || {
        world.model.requests().iter().any(|r| r.scenario == "hello")
    })
    .await;
    world.start_again().await;
    let installed = world.cli(&["hooks", "install"]).await.ok().stdout;
    assert!(installed.starts_with("11 of 11 hooks in "), "{installed}");
    let once = std::fs::read_to_string(&settings).expect("settings");
    world.cli(&["hooks", "install"]).await.ok();
    assert_eq!(std::fs::read_to_string(&settings).expect("settings"), once);

    let name = world
        .wait_for("it is listed", async || {
            let view = only_session(&world).await.ok_or("nothing is listed")?;
            view["name"].as_str().map(str::to_owned).ok_or("no name")
        })
        .await;
    world.wait_for_status(&name, "idle").await;
    // A Claude that runs takes up changed settings a second or two later, and tells nobody.
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Its person asks it for something that needs a permission.
    let own = world.home().join("own.sock");
    let type_in = async |keys: &[&str]| {
        let mut command = world.command("tmux");
        command.arg("-S").arg(&own).args(["send-keys", "-t", "own"]).args(keys);
        processes::run(command).await.ok();
    };
    type_in(&["-l", "scenario:bash please"]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    type_in(&["Enter"]).await;
    let request = world.wait_for_request(&name).await;
    assert_eq!(request["tool"], "Bash");
    world.wait_for_status(&name, "waiting").await;
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_file(&world.project().join("made-by-bash.txt")).await;
    world.wait_for_outcome(&request, "honoured").await;
    world.wait_for_call(&name, "completed").await;
    world.wait_for_status(&name, "idle").await;

    // A session of Chorus's own has hooks of its own, and each speaks once.
    world.play("ours", "bash", &json!({})).await;
    world.wait_for_request("ours").await;
    let asked = world.get("/api/permissions?session=ours").await.rows();
    assert_eq!(asked.len(), 1, "{asked:?}");

    world.cli(&["hooks", "uninstall"]).await.ok();
    assert_eq!(std::fs::read_to_string(&settings).expect("settings"), theirs);
    let status = world.cli(&["hooks", "status"]).await.ok().stdout;
    assert!(status.contains("no hooks of Chorus's"), "{status}");
}

#[tokio::test]
async fn a_conversation_that_somebody_goes_on_with_is_flagged_and_not_run_twice() {
    let world = World::start().await;
    world.create("ours", &json!({ "initial_prompt": "remember the blue teapot" })).await;
    let ours = world.wait_for_status("ours", "idle").await;
    world.wait_for_words("ours", "Hello").await;
    world.post("/api/sessions/ours/pause", &Value::Null).await.expect(200);
    let conversation = ours["claude_session_id"].as_str().expect("a conversation").to_owned();
    by_hand_with(&world, &["--resume", &conversation], "scenario:hello please").await;
    let flagged = world
        .wait_for("it is flagged", async || {
            let session = world.session("ours").await;
            session["elsewhere_pid"].as_u64().ok_or(session.to_string())
        })
        .await;
    assert!(world.cli(&["ps"]).await.ok().stdout.contains("goes on with it elsewhere"));
    assert_eq!(world.get("/api/sessions").await.rows().len(), 1, "it is no session of its own");
    let refused = world.post("/api/sessions/ours/resume", &Value::Null).await.expect(409);
    assert!(refused.text().contains(&format!("process {flagged}")), "{}", refused.text());
    // A server that is new finds it again.
    world.kill9();
    world.start_again().await;
    world
        .wait_for("it is flagged again", async || {
            world.session("ours").await["elsewhere_pid"].as_u64() == Some(flagged)
        })
        .await;

    processes::signal(flagged as u32, rustix::process::Signal::TERM);
    world
        .wait_for("it can be resumed", async || {
            world.post("/api/sessions/ours/resume", &Value::Null).await.status == 202
        })
        .await;
    world.wait_for_status("ours", "idle").await;
}
