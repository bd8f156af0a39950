//! Hooks: the real `chorus hook` process, and what the server makes of what it brings.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Agent, Store, Via, World, on_both_stores, wait_for, wait_longer};

on_both_stores! {
    a_turn_is_followed_by_its_hooks
    an_event_that_nobody_knows_is_kept_as_it_came
    what_happens_while_the_server_is_away_waits_in_the_spool_and_arrives_in_order
    a_hook_that_is_delivered_twice_counts_once
    a_hook_of_an_older_process_goes_to_the_record_only
    times_from_the_end_of_the_world_do_no_harm
}

/// A session's tool calls, all pages of them.
pub async fn calls(world: &World, session: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(format!("/api/sessions/{session}/logs?limit=500"));
    while let Some(path) = next {
        let page = world.get(path).await;
        all.extend(page.rows());
        next = page.next_page();
    }
    all
}

async fn a_turn_is_followed_by_its_hooks(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("turn").await;
    let at = async |status: &str| world.wait_for_status("turn", status).await;
    let idle = at("idle").await;
    assert_eq!(idle["evidence"]["source"], "hook");
    let quiet = |ran: crate::harness::Output| {
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    };
    quiet(
        world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go", "prompt_id": "p1"})).await,
    );
    at("busy").await;
    quiet(world.hook(&agent, "PreToolUse", &Agent::call("toolu_1", "ls")).await);
    let busy = world.session("turn").await;
    assert_eq!(busy["detail"]["tool"], "Bash");
    assert_eq!(calls(&world, "turn").await[0]["status"], "running");
    quiet(world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "ls")).await);
    let call = &calls(&world, "turn").await[0];
    assert_eq!((&call["status"], &call["duration_ms"]), (&json!("completed"), &json!(3)));
    assert_eq!(call["result"], "did ls");
    quiet(world.hook(&agent, "Stop", &json!({})).await);
    at("idle").await;
    // The stand-in's process is alive; only its end ends the session.
    quiet(world.hook(&agent, "SessionEnd", &json!({"reason": "prompt_input_exit"})).await);
    at("stopped").await;
}

async fn an_event_that_nobody_knows_is_kept_as_it_came(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("later").await;
    let mut events = world.events(None).await;
    world.hook(&agent, "BrandNewEvent", &json!({"surprise": [1, {"x": "ü"}]})).await.ok();
    let kept = events.find("the event", |e| e.kind == "hook").await;
    assert_eq!(kept.data["payload"]["surprise"], json!([1, {"x": "ü"}]));
    assert_eq!(world.session("later").await["claude_status"], "idle");
}

async fn what_happens_while_the_server_is_away_waits_in_the_spool_and_arrives_in_order(
    store: Store,
) {
    let world = World::on(store).await;
    let agent = world.begin("away").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    world.kill9();
    let mut expected = Vec::new();
    for n in 0..15 {
        let id = format!("toolu_{n:02}");
        for (event, own) in
            [("PreToolUse", Agent::call(&id, "make")), ("PostToolUse", Agent::called(&id, "make"))]
        {
            let ran = world.hook(&agent, event, &own).await;
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
            // Claude waits for it. 300 ms is the promise; the rest is this machine's load.
            assert!(ran.took < Duration::from_millis(1_000), "{:?}", ran.took);
        }
        expected.push(id);
    }
    world.hook(&agent, "Stop", &json!({})).await.ok();
    let spooled: Vec<_> =
        fs::read_dir(world.data().join("spool")).expect("a spool").flatten().collect();
    assert_eq!(spooled.len(), 31);
    for file in &spooled {
        assert_eq!(file.metadata().expect("its mode").permissions().mode() & 0o777, 0o600);
    }
    world.start_again().await;
    world.wait_for_status("away", "idle").await;
    let calls = calls(&world, "away").await;
    let ids: Vec<_> = calls.iter().filter_map(|c| c["tool_use_id"].as_str()).collect();
    assert_eq!(ids, expected);
    assert!(calls.iter().all(|c| c["status"] == "completed" && c["result"] == "did make"));
    wait_for("the spool is empty", async || {
        fs::read_dir(world.data().join("spool")).expect("a spool").count() == 0
    })
    .await;
}

#[tokio::test]
async fn a_spooled_hook_is_taken_when_it_is_whole_and_not_before() {
    let world = World::with_stand_in().await;
    let agent = world.begin("slow").await;
    let spool = world.data().join("spool");
    let write =
        |name: String, content: &[u8]| fs::write(spool.join(name), content).expect("a file");
    let delivery = |id: &str| {
        let meta = chorus::spool::Meta {
            stamp: chorus::domain::ids::Stamp::new(),
            at: chorus::clock::now(),
            session: agent.session.clone(),
            token: agent.env["CHORUS_HOOK_TOKEN"].clone(),
            generation: Some(1),
            event: "PostToolUse".into(),
        };
        let payload = agent.payload("PostToolUse", &Agent::called(id, "ls")).to_string();
        let content = meta.encode(payload.as_bytes());
        (meta, content)
    };
    let (slow, content) = delivery("toolu_slow");
    write(slow.part_name(), &content[..content.len() / 2]);
    // Another one that comes meanwhile is taken at once: the server has looked at the folder.
    let (quick, whole) = delivery("toolu_quick");
    write(quick.part_name(), &whole);
    fs::rename(spool.join(quick.part_name()), spool.join(quick.file_name())).expect("a file");
    let taken = async |n: usize| {
        world
            .wait_for("the hook is taken", async || {
                let calls = calls(&world, "slow").await;
                (calls.len() == n).then_some(calls)
            })
            .await
    };
    assert_eq!(taken(1).await[0]["tool_use_id"], "toolu_quick");
    write(slow.part_name(), &content);
    fs::rename(spool.join(slow.part_name()), spool.join(slow.file_name()))
        .expect("it is still there");
    taken(2).await;
}

#[tokio::test]
async fn a_server_that_hangs_keeps_claude_waiting_for_a_moment_only() {
    let world = World::with_stand_in().await;
    let agent = world.begin("hang").await;
    // Stopped by a signal, it holds its socket, accepts, and never answers.
    let server = world.server_pid();
    crate::harness::signal(server, rustix::process::Signal::STOP);
    let ran = world.hook(&agent, "PreToolUse", &Agent::call("toolu_1", "ls")).await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    assert!(ran.took < Duration::from_millis(1_500), "{:?}", ran.took);
    crate::harness::signal(server, rustix::process::Signal::CONT);
    // It gets the hook from the connection, or from the spool, or from both: once it counts.
    world
        .wait_for("the call is in the log, and the spool is empty", async || {
            let calls = calls(&world, "hang").await;
            let spool = fs::read_dir(world.data().join("spool")).expect("a spool").count();
            if calls.len() == 1 && spool == 0 { Ok(()) } else { Err(format!("{calls:?}, {spool}")) }
        })
        .await;
}

async fn a_hook_that_is_delivered_twice_counts_once(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("twice").await;
    let before = world.events(None).await.last_id;
    let stamp = uuid::Uuid::now_v7().to_string();
    let at = chorus::clock::now().0.to_string();
    for event in ["BrandNewEvent", "PostToolUse"] {
        for _ in 0..3 {
            world
                .hook_request(&agent, event, &Agent::called("toolu_1", "ls"))
                .header("x-chorus-stamp", &stamp)
                .header("x-chorus-at", &at)
                .header("x-chorus-again", "1")
                .send()
                .await
                .expect(204);
        }
    }
    assert_eq!(calls(&world, "twice").await.len(), 1);
    let mut events = world.events(Some(before)).await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "end"})).await.ok();
    let mut kinds = Vec::new();
    loop {
        let event = events.next().await.expect("an event");
        if event.kind == "claude_status" && event.data["new"] == "busy" {
            break;
        }
        kinds.push(event.kind);
    }
    assert_eq!(kinds, ["hook", "tool_use"]);
}

#[tokio::test]
async fn who_shows_no_token_or_another_sessions_is_refused() {
    let world = World::with_stand_in().await;
    let (a, b) = (world.begin("a").await, world.begin("b").await);
    let call = Agent::called("toolu_1", "ls");
    for (token, status) in [
        (b.env["CHORUS_HOOK_TOKEN"].as_str(), 401),
        ("", 401),
        ("0000000000000000000000000000000000000000000000000000000000000000", 401),
    ] {
        let answer = world
            .hook_request(&a, "PostToolUse", &call)
            .header("authorization", format!("Bearer {token}"))
            .send()
            .await;
        assert_eq!(answer.status, status, "{token:?}: {}", answer.text());
        assert!(crate::harness::is_problem(&answer), "{}", answer.text());
    }
    // The same in the spool: it is thrown away, and the log says so.
    let mut forged = a.clone();
    forged.env.insert("CHORUS_HOOK_TOKEN".into(), b.env["CHORUS_HOOK_TOKEN"].clone());
    world.kill9();
    world.hook(&forged, "PostToolUse", &call).await.ok();
    world.start_again().await;
    world
        .wait_for("the spool is empty", async || {
            fs::read_dir(world.data().join("spool")).expect("a spool").count() == 0
        })
        .await;
    assert_eq!(calls(&world, "a").await, Vec::<Value>::new());
    assert!(world.log().contains("no use"), "{}", world.log());
}

async fn a_hook_of_an_older_process_goes_to_the_record_only(store: Store) {
    let world = World::on(store).await;
    let older = world.begin("again").await;
    world.post("/api/sessions/again/restart", &json!({"fresh": true})).await.expect(202);
    let newer = world
        .wait_for("the next process runs", async || {
            let agent = world.agent("again").await;
            (agent.pid != older.pid).then_some(agent)
        })
        .await;
    assert_ne!(newer.env["CHORUS_GENERATION"], older.env["CHORUS_GENERATION"]);
    world.post_hook(&newer, "SessionStart", &json!({"source": "startup"})).await.expect(204);
    world.hook(&older, "UserPromptSubmit", &json!({"prompt": "late"})).await.ok();
    world.hook(&older, "PostToolUse", &Agent::called("toolu_late", "ls")).await.ok();
    world.hook(&older, "SessionEnd", &json!({"reason": "other"})).await.ok();
    let asked = world.begin_hook(&older, "PermissionRequest", &Agent::call("", "rm")).await;
    assert_eq!(asked.end().await.stdout, "", "nobody is to decide for a process that is gone");
    let view = world.session("again").await;
    assert_eq!((&view["claude_status"], &view["pending_permissions"]), (&json!("idle"), &json!(0)));
    assert_eq!(calls(&world, "again").await[0]["tool_use_id"], "toolu_late");
    assert_eq!(view["restarts"], 1);
}

#[tokio::test]
async fn a_hook_of_a_session_that_has_ended_goes_to_the_record_only() {
    let world = World::with_stand_in().await;
    let agent = world.begin("gone").await;
    world.delete("/api/sessions/gone").await.expect(204);
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "ls")).await.ok();
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "late"})).await.ok();
    world.kill9();
    world.start_again().await;
    // From the store now, not from memory.
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_2", "ls")).await.ok();
    let view = world.session(&agent.session).await;
    assert_eq!((&view["claude_status"], &view["status"]), (&json!("stopped"), &json!("completed")));
    assert_eq!(calls(&world, &agent.session).await.len(), 2);
}

async fn times_from_the_end_of_the_world_do_no_harm(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("clock").await;
    for at in [i64::MAX, i64::MAX - 1, i64::MIN, 0, -1, 253_402_300_800_000] {
        world
            .hook_request(&agent, "UserPromptSubmit", &json!({"prompt": "go"}))
            .header("x-chorus-at", at.to_string())
            .send()
            .await
            .expect(204);
        world
            .hook_request(&agent, "PostToolUse", &Agent::called(&format!("toolu_{at}"), "ls"))
            .header("x-chorus-at", at.to_string())
            .send()
            .await
            .expect(204);
    }
    // What comes after still counts, and what is shown can be read.
    world.hook(&agent, "Stop", &json!({})).await.ok();
    world.wait_for_status("clock", "idle").await;
    world.cli(&["show", "clock"]).await.ok();
    assert_eq!(
        world.cli(&["logs", "clock", "--json"]).await.ok().json()["tools"].as_array().map(Vec::len),
        Some(6)
    );
}

#[tokio::test]
async fn a_payload_of_many_megabytes_is_taken_and_its_result_is_shown_whole() {
    let world = World::with_stand_in().await;
    let agent = world.begin("large").await;
    let text = "0123456789abcdé\n".repeat(1_000_000);
    let mut call = Agent::called("toolu_1", "cat");
    call["tool_response"]["stdout"] = json!(text);
    world.hook(&agent, "PostToolUse", &call).await.ok();
    // A debug build takes its time to look through so much text for secrets.
    let patience = std::time::Duration::from_secs(60);
    let found = wait_longer(patience, "the call is in the log", async || {
        calls(&world, "large").await.pop()
    })
    .await;
    assert!(found["result"].as_str().is_some_and(|r| r.len() <= 50 * 1024));
    assert!(found["result_bytes"].as_u64().is_some_and(|n| n as usize >= text.trim_end().len()));
    let whole = world.get("/api/sessions/large/logs/toolu_1/output").await.expect(200);
    assert_eq!(whole.text().trim_end(), text.trim_end());
    assert!(whole.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn a_hook_outside_of_any_session_says_nothing_and_does_nothing() {
    let world = World::with_stand_in().await;
    let mut stranger = world.begin("s").await;
    for missing in ["CHORUS_SESSION", "CHORUS_SOCKET"] {
        stranger.env.remove(missing);
        let ran = world.hook(&stranger, "Stop", &json!({})).await;
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    }
}

#[tokio::test]
async fn hooks_are_taken_over_http_by_any_spelling_of_their_names() {
    let world = World::with_stand_in().await;
    let agent = world.begin("http").await;
    for (n, event) in
        ["PostToolUse", "posttooluse", "POSTTOOLUSE", "tool-complete"].iter().enumerate()
    {
        // Without headers, the conversation tells whose it is.
        let payload = agent.payload("PostToolUse", &Agent::called(&format!("toolu_{n}"), "ls"));
        let answer = world.post(format!("/api/hooks/{event}"), &payload).await;
        assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{event}");
    }
    assert_eq!(calls(&world, "http").await.len(), 4);
    let stranger = json!({"session_id": "00000000-0000-0000-0000-000000000000"});
    let refused =
        world.request("POST", "/api/hooks/Stop").via(Via::Unix).json(&stranger).send().await;
    assert!(refused.status == 404 && crate::harness::is_problem(&refused), "{}", refused.text());
}
