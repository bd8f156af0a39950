//! What the real Claude Code says that it costs, and what Chorus makes of it.

use std::time::Duration;

use scripted_model::Script;
use serde_json::{Value, json};

use crate::harness::{World, processes, wait_longer};

/// Answers with tokens that cost something, the second one after work that takes a while.
const COSTLY: &str = r#"{"scenarios": {
    "work": [
        {"text": "I will work.", "tools": [{"name": "Bash", "input": {"command": "bash -c 'sleep 60'", "description": "Work"}}],
         "usage": {"input_tokens": 180000, "cache_read_input_tokens": 120000, "cache_creation_input_tokens": 40000, "output_tokens": 9000}},
        {"text": "The work is done."}
    ],
    "modest": [{"text": "A modest answer.", "repeat": 100,
        "usage": {"input_tokens": 1000, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 100}}]
}}"#;

fn script() -> Script {
    Script::from_json(COSTLY).expect("a script")
}

/// Prices that nobody would mistake for Claude Code's.
const ABSURD: &str =
    r#"{ "claude-opus-5-5" = { input = 900 }, "claude-opus-4-8" = { input = 900 } }"#;

/// What Claude Code bills for an answer of the scenario `expensive`, by the model that it picks.
fn expensive(view: &Value) -> f64 {
    match view["context"]["model"].as_str().expect("a model") {
        "claude-opus-5-5" => 1.124,
        "claude-opus-4-8" => 1.435,
        other => panic!("what does {other} cost?"),
    }
}

async fn wait_for_cost(world: &World, session: &str, source: &str, least: f64) -> Value {
    wait_longer(
        Duration::from_secs(20),
        &format!("{session}'s cost comes from {source}"),
        async || {
            let view = world.session(session).await;
            let cost = &view["cost"];
            // The log may come before the transcript, which alone knows the context.
            let there = cost["source"] == source
                && cost["usd"].as_f64().is_some_and(|usd| usd >= least)
                && view["context"].is_object();
            if there { Ok(view) } else { Err(view.to_string()) }
        },
    )
    .await
}

/// Ends a session's Claude, and reads what it says that the conversation cost, if its version does.
async fn stated(world: &World, session: &str) -> Option<f64> {
    let conversations = world.get(format!("/api/sessions/{session}/conversations")).await.rows();
    world.command_of_claude(session, "/exit").await;
    world.wait_for_status(session, "stopped").await;
    let path = conversations[0]["transcript_path"].as_str().expect("a path").to_owned();
    let transcript = std::fs::read_to_string(path).expect("a transcript");
    let state = transcript.lines().rfind(|line| line.contains(r#""type":"cost-state""#))?;
    let state: Value = serde_json::from_str(state).expect("JSON");
    state["totalCostUSD"].as_f64()
}

#[tokio::test]
async fn the_cost_is_what_claude_code_says_and_counts_once() {
    let world = World::build().script(script()).env("CHORUS_PRICES", ABSURD).start().await;
    world.play("p", "expensive", &json!({})).await;
    let view = wait_for_cost(&world, "p", "claude", 0.0).await;
    let expected = expensive(&view);
    assert_eq!(
        view["cost"],
        json!({"usd": expected, "source": "claude", "estimated_usd": 0.0, "unpriced_responses": 0})
    );
    assert_eq!(view["tokens"]["input_tokens"], 180_000);
    assert_eq!(view["context"]["used"], 349_000);
    assert_eq!(view["context"]["window"], 1_000_000);
    assert_eq!(view["context"]["percent"], 34);

    // A server that dies reads everything again and counts nothing twice; the Claude that runs goes on
    // telling it, at the same port.
    world.kill9();
    world.start_again().await;
    world.wait_for_status("p", "idle").await;
    world.ask("p", "modest").await;
    world.wait_for_words("p", "A modest answer.").await;
    let view = wait_for_cost(&world, "p", "claude", expected + 0.000_001).await;
    let modest = if expected < 1.2 { 0.006 } else { 0.0075 };
    let usd = view["cost"]["usd"].as_f64().expect("a sum");
    assert!((usd - expected - modest).abs() < 1e-9, "{usd}");
    assert_eq!(view["tokens"]["input_tokens"], 181_000);
    let report = world.get("/api/usage?by=session").await.expect(200).json();
    assert_eq!(report["sums"][0]["cost"], view["cost"], "{report}");
    assert_eq!(report["total"]["responses"], 2, "{report}");

    // At its end, newer versions sum it up themselves.
    if let Some(stated) = stated(&world, "p").await {
        assert!((usd - stated).abs() < 1e-9, "{usd} and {stated}");
    }

    // A fork begins with a copy of what was said, which costs nothing again.
    world
        .post("/api/sessions/p/fork", &json!({"initial_prompt": "scenario:modest please"}))
        .await
        .expect(201);
    world
        .wait_for("the fork has cost what its own answer did", async || {
            let view = world.session("p-fork").await;
            let usd = view["cost"]["usd"].as_f64().unwrap_or_default();
            let told = view["cost"]["source"] == "claude" && view["claude_status"] == "idle";
            if told && (usd - modest).abs() < 1e-9 { Ok(()) } else { Err(view.to_string()) }
        })
        .await;
    assert_eq!(world.session("p-fork").await["tokens"]["input_tokens"], 1_000);
}

#[tokio::test]
async fn telemetry_that_is_its_users_is_left_alone_and_the_cost_estimated() {
    let world = World::build().env("OTEL_SERVICE_NAME", "mine").start().await;
    world.play("p", "expensive", &json!({})).await;
    let view = wait_for_cost(&world, "p", "estimated", 0.5).await;
    assert_eq!(view["cost"]["usd"], json!(expensive(&view)), "the list is Claude Code's own");
    let pid = view["pid"].as_u64().expect("a process") as u32;
    let env = processes::environment(pid);
    assert_eq!(env.get("OTEL_SERVICE_NAME").map(String::as_str), Some("mine"));
    let added = |name: &&String| name.starts_with("OTEL_EXPORTER") || name.contains("TELEMETRY");
    assert_eq!(env.keys().find(added), None);
    let page = world.get("/").await.expect(200).text();
    assert!(page.contains("~$1.") && page.contains(">34 %<"), "{page}");

    // At its end, newer versions say themselves what it was.
    if stated(&world, "p").await.is_some() {
        let view = wait_for_cost(&world, "p", "claude", 0.5).await;
        assert_eq!(view["cost"]["usd"], json!(expensive(&view)));
    }

    // The same if it is only said in Claude Code's settings, or in the launch.
    let world = World::start().await;
    let settings = world.home().join(".claude/settings.json");
    std::fs::create_dir_all(settings.parent().expect("a folder")).expect("a folder");
    std::fs::write(&settings, r#"{"env": {"OTEL_METRICS_EXPORTER": "none"}}"#).expect("settings");
    world.create("s", &json!({})).await;
    let view = world.wait_for_status("s", "idle").await;
    let env =
        |view: &Value| processes::environment(view["pid"].as_u64().expect("a process") as u32);
    assert_eq!(env(&view).keys().find(added), None);
    std::fs::write(&settings, "{}").expect("settings");
    world.create("l", &json!({"launch": {"env": {"OTEL_SERVICE_NAME": "mine"}}})).await;
    let view = world.wait_for_status("l", "idle").await;
    assert_eq!(env(&view).keys().find(added), None);
    world.create("c", &json!({})).await;
    let view = world.wait_for_status("c", "idle").await;
    assert!(env(&view).contains_key("OTEL_LOGS_EXPORTER"));
}

#[tokio::test]
async fn a_spent_budget_stops_a_turn_and_a_raise_lets_it_go_on() {
    let world = World::build().script(script()).start().await;
    let launch = json!({"budget_usd": 1, "allowed_tools": ["Bash"]});
    world.play("p", "work", &launch).await;
    let view = wait_longer(Duration::from_secs(20), "its turn is stopped", async || {
        let view = world.session("p").await;
        let stopped = view["budget"]["level"] == "spent" && view["claude_status"] == "idle";
        if stopped { Ok(view) } else { Err(view.to_string()) }
    })
    .await;
    let reason = view["detail"]["budget"].as_str().expect("a reason");
    assert!(reason.contains("$1.00 is spent"), "{reason}");
    assert!(!world.said("p").await.iter().any(|s| s.contains("The work is done")));
    let refused = world.cli(&["send", "p", "scenario:modest please"]).await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("chorus budget p"), "{}", refused.stderr);
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("its budget of $1.00 is spent"), "{listed}");

    world.cli(&["budget", "p", "5"]).await.ok();
    world.cli(&["send", "p", "scenario:modest please"]).await.ok();
    world.wait_for_words("p", "A modest answer.").await;
    let view = world.wait_for_status("p", "idle").await;
    assert_eq!(
        (&view["budget"]["level"], &view["detail"]["budget"]),
        (&json!("within"), &Value::Null)
    );
}
