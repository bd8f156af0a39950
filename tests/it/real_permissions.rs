//! Permission requests of the real Claude Code: asked in its dialog, answered from outside.

use std::fs;
use std::time::Duration;

use scripted_model::Script;
use serde_json::{Value, json};

use rustix::process::Signal;

use crate::harness::{World, processes, wait_longer};

/// Opens a session whose Claude asks for a permission to run a command.
async fn asking(world: &World, name: &str) -> Value {
    world.play(name, "bash", &json!({})).await;
    world.wait_for_request(name).await
}

#[tokio::test]
async fn a_permission_appears_and_an_allowance_closes_the_dialog_and_runs_the_tool() {
    let world = World::start().await;
    let mut events = world.events(None).await;
    let request = asking(&world, "p").await;
    assert_eq!(request["tool"], "Bash");
    assert_eq!(request["input"]["command"], "touch made-by-bash.txt && echo ran");
    let told = events.find("the question", |e| e.kind == "permission_request").await;
    assert_eq!(told.data["id"], request["id"]);
    world.wait_for_status("p", "waiting").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    let made = world.project().join("made-by-bash.txt");
    assert!(!made.exists());

    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_file(&made).await;
    world.wait_for_outcome(&request, "honoured").await;
    let call = world.wait_for_call("p", "completed").await;
    assert!(call["duration_ms"].as_i64().is_some(), "{call}");
    assert_eq!(call["result"], "ran");
    world.wait_for_words("p", "The command finished.").await;
    world.wait_for_status("p", "idle").await;
    assert!(!world.pane_text("p").await.contains("Do you want to proceed?"));
    let request = world.wait_for_outcome(&request, "honoured").await;
    assert_eq!(request["tool_use_id"], call["tool_use_id"]);
    // Everybody hears which tool has ended, though Claude Code names it only where it begins.
    let end = events.find("the call's end", |e| e.data["status"] == "completed").await;
    assert_eq!((end.kind.as_str(), &end.data["tool"]), ("tool_use", &json!("Bash")));
    let metrics = world.get("/metrics").await.text();
    let counted = r#"tool_executions_total{status="completed",tool="Bash"} 1"#;
    assert!(metrics.lines().any(|l| l == counted), "{metrics}");
}

#[tokio::test]
async fn a_denial_tells_the_model_why_and_it_goes_on() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    let why = "use `make` instead,\nplease";
    world.decide(&request, &json!({"decision": "deny", "message": why})).await;
    world.wait_for_words("p", "The command finished.").await;
    world.wait_for_outcome(&request, "honoured").await;
    let call = world.wait_for_call("p", "denied").await;
    assert!(call["result"].as_str().is_some_and(|r| r.contains(why)), "{call}");
    world.wait_for_status("p", "idle").await;
    assert!(!world.project().join("made-by-bash.txt").exists());
    let asked = world.model.bodies();
    let heard = asked.iter().filter_map(|r| r.json().ok()).any(|body| {
        let results = body.pointer("/messages").map(Value::to_string).unwrap_or_default();
        results.contains("use `make` instead")
    });
    assert!(heard, "the model was told");
}

#[tokio::test]
async fn a_yes_at_the_keyboard_resolves_the_request() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    // Claude Code swallows keys in the first half second of its dialog: a person looks, and
    // presses again.
    let made = world.project().join("made-by-bash.txt");
    for _ in 0..5 {
        world.press("p", "Enter").await;
        if wait_a_moment(async || made.exists()).await {
            break;
        }
    }
    world.wait_for_file(&made).await;
    let request = world.wait_for_outcome(&request, "answered_in_terminal").await;
    assert_eq!(request["decided_by"], "terminal");
    world.wait_for_call("p", "completed").await;
    world.wait_for_words("p", "The command finished.").await;
    world.wait_for_status("p", "idle").await;
    assert_eq!(world.session("p").await["pending_permissions"], 0);
}

/// Whether a fact comes true within a second.
async fn wait_a_moment(mut fact: impl AsyncFnMut() -> bool) -> bool {
    let limit = Duration::from_secs(1);
    let look = async {
        while !fact().await {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    };
    tokio::time::timeout(limit, look).await.is_ok()
}

#[tokio::test]
async fn an_escape_at_the_keyboard_resolves_the_request_and_the_session_goes_on() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    world.press("p", "Escape").await;
    let request = world.wait_for_outcome(&request, "answered_in_terminal").await;
    assert_eq!(request["decided_by"], "terminal");
    world.wait_for_status("p", "idle").await;
    // Claude Code writes the same for a call that was cut off while it ran.
    world.wait_for_call("p", "interrupted").await;
    world.ask("p", "hello").await;
    world.wait_for_words("p", "Hello from the scripted model.").await;
}

#[tokio::test]
async fn a_decision_reaches_claude_though_the_server_was_killed_meanwhile() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    world.kill9();
    world.start_again().await;
    let still = world.wait_for_request("p").await;
    assert_eq!((&still["id"], &still["input"]), (&request["id"], &request["input"]));
    world.wait_for_status("p", "waiting").await;
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_file(&world.project().join("made-by-bash.txt")).await;
    world.wait_for_outcome(&request, "honoured").await;
    world.wait_for_call("p", "completed").await;
    world.wait_for_status("p", "idle").await;
}

#[tokio::test]
async fn what_was_allowed_for_the_session_is_not_asked_again_after_a_restart_too() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    world.decide(&request, &json!({"decision": "allow", "for_session": true})).await;
    let made = world.project().join("made-by-bash.txt");
    for (round, killed) in [(1, false), (2, false), (3, true)] {
        world.wait_for_file(&made).await;
        world.wait_for_status("p", "idle").await;
        let all = world.get("/api/permissions?session=p").await.rows();
        assert_eq!(all.len(), round, "{all:?}");
        let newest = all.iter().max_by_key(|r| r["requested_at"].to_string()).expect("a request");
        let by = if round == 1 { "api" } else { "rule" };
        assert_eq!((&newest["decided_by"], &newest["verdict"]), (&json!(by), &json!("allow")));
        world.wait_for_outcome(newest, "honoured").await;
        if killed {
            world.kill9();
            world.start_again().await;
        }
        fs::remove_file(&made).expect("the file");
        world.ask("p", "bash").await;
    }
    world.wait_for_file(&made).await;
}

/// Ends the hook that waits for a decision, as somebody might who sees it hang about.
async fn end_the_hook(world: &World) {
    processes::signal(world.held_hook().await, Signal::KILL);
}

#[tokio::test]
async fn an_allowance_that_no_hook_can_carry_is_given_by_key() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    end_the_hook(&world).await;
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_file(&world.project().join("made-by-bash.txt")).await;
    let request = world.wait_for_outcome(&request, "honoured").await;
    assert_eq!(request["decided_by"], "api");
    world.wait_for_words("p", "The command finished.").await;
    world.wait_for_status("p", "idle").await;
}

#[tokio::test]
async fn a_denial_that_no_hook_can_carry_is_given_by_key_and_its_words_follow() {
    let world = World::start().await;
    let request = asking(&world, "p").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    end_the_hook(&world).await;
    // The server's death in between changes nothing.
    world.decide(&request, &json!({"decision": "deny", "message": "scenario:hello instead"})).await;
    world.kill9();
    world.start_again().await;
    world.wait_for_outcome(&request, "honoured").await;
    world.wait_for_words("p", "scenario:hello instead").await;
    world.wait_for_words("p", "Hello from the scripted model.").await;
    assert!(!world.project().join("made-by-bash.txt").exists());
}

/// Commands by which a Claude tries to answer a question: its own server is all that it needs.
const ATTACK: &str = r#"{"scenarios": {"attack": [
    {"tools": [{"name": "Bash", "input": {"command": "sh ./attack.sh", "description": "Help"}}]},
    {"text": "I tried."}
]}}"#;

#[tokio::test]
async fn an_approval_by_claudes_own_tool_is_refused() {
    let script = Script::from_json(ATTACK).expect("a script");
    let world = World::build().script(script).start().await;
    let request = asking(&world, "victim").await;
    let id = request["id"].as_str().expect("an id");
    let (url, chorus) = (world.running().url, env!("CARGO_BIN_EXE_chorus"));
    let (socket, data) = (world.socket(), world.data());
    let (socket, data) = (socket.display(), data.display());
    let post = "-s -o /dev/null -w '%{http_code}\\n' -X POST -H 'content-type: application/json' \
                -d '{\"decision\":\"allow\"}'";
    let path = format!("api/permissions/{id}/respond");
    // By the port, by the socket, by the command line, by a program that has left the family, and
    // by one that has besides no environment to betray it but is still below Claude.
    let attack = format!(
        "curl {post} {url}/{path} > tcp.txt\n\
         curl {post} --unix-socket {socket} http://localhost/{path} > unix.txt\n\
         {chorus} --data-dir {data} approve {id} > cli.txt 2>&1\n\
         echo $? >> cli.txt\n\
         env -i {chorus} --data-dir {data} approve {id} > bare.txt 2>&1\n\
         echo $? >> bare.txt\n\
         setsid sh -c \"curl {} {url}/{path} > orphan.txt; touch orphan.done\" > /dev/null 2>&1 &\n\
         touch attacked\n",
        post.replace('"', "\\\"")
    );
    fs::write(world.project().join("attack.sh"), attack).expect("a script");
    world.play("attacker", "attack", &json!({"allowed_tools": ["Bash"]})).await;
    let place = world.project();
    for name in ["attacked", "orphan.done"] {
        wait_longer(Duration::from_secs(30), name, async || place.join(name).exists()).await;
    }
    let told = |name: &str| fs::read_to_string(place.join(name)).unwrap_or_default();
    for name in ["tcp.txt", "unix.txt", "orphan.txt"] {
        assert_eq!(told(name), "403\n", "{name}");
    }
    for name in ["cli.txt", "bare.txt"] {
        let said = told(name);
        assert!(said.contains("decisions and changes are for people"), "{name}: {said}");
        assert!(!said.ends_with("\n0\n"), "{name}: {said}");
    }
    let now = world.get(format!("/api/permissions/{id}")).await.expect(200).json();
    assert_eq!((&now["status"], &now["decided_by"]), (&json!("pending"), &Value::Null));
    assert!(!place.join("made-by-bash.txt").exists());
    // A person still can.
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_file(&place.join("made-by-bash.txt")).await;
}

#[tokio::test]
async fn the_command_line_runs_approves_and_tells() {
    let world = World::start().await;
    let ran = world
        .cli(&["--json", "run", "--here", "--name", "story", "scenario:bash please"])
        .await
        .ok();
    let name = ran.json()["name"].as_str().expect("a name").to_owned();
    world.wait_for_request(&name).await;
    world.cli(&["approve", &name]).await.ok();
    world.wait_for_file(&world.project().join("made-by-bash.txt")).await;
    wait_longer(crate::harness::PATIENCE, "the log tells the whole story", async || {
        let logs = world.cli(&["logs", &name]).await.ok().stdout;
        let whole = ["scenario:bash please", "touch made-by-bash.txt", "The command finished."]
            .iter()
            .all(|part| logs.contains(part));
        if whole { Ok(()) } else { Err(logs) }
    })
    .await;
}
