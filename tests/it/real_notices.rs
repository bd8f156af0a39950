//! Notices of what the real Claude Code does, which tells of it in several ways at once.

use std::time::Duration;

use scripted_model::Script;
use serde_json::{Value, json};

use crate::harness::{World, wait_longer};
use crate::notices::recorded_in;

/// A model whose account has met its limit.
const LIMIT: &str = r#"{"scenarios": {"limit": [
    {"status": 429, "times": 1, "error_message": "This request would exceed your account's rate limit.",
     "text": "Work that was held up is done."}
]}}"#;

#[tokio::test]
async fn a_question_and_the_end_of_its_turn_are_told_once_each() {
    let (world, command) =
        recorded_in(World::build(), "1", &[("CHORUS_NOTIFY_FINISHED_AFTER", "0")]).await;
    world.play("p", "bash", &json!({})).await;
    let request = world.wait_for_request("p").await;
    let told = command.wait_for(&world, 1).await[0].notice();
    assert_eq!((&told["kind"], &told["requests"][0]["id"]), (&json!("permission"), &request["id"]));
    assert_eq!(told["body"], "Bash: touch made-by-bash.txt && echo ran");
    world.decide(&request, &json!({ "decision": "allow" })).await;
    world.wait_for_words("p", "The command finished.").await;
    world.wait_for_status("p", "idle").await;
    let told = command.wait_for(&world, 2).await[1].notice();
    assert_eq!((&told["kind"], &told["title"]), (&json!("finished"), &json!("p has finished")));
    world.delete("/api/sessions/p").await;
    // Whatever else was to be told of it would have been told by the time of the next.
    world.play("q", "bash", &json!({})).await;
    world.wait_for_request("q").await;
    let calls = command.wait_for(&world, 3).await;
    let all: Vec<_> = calls.iter().map(|c| c.notice()["title"].clone()).collect();
    assert_eq!(all, ["p asks for a permission", "p has finished", "q asks for a permission"]);
}

#[tokio::test]
async fn questions_plans_and_usage_limits_are_told_for_what_they_are() {
    let script = Script::from_json(LIMIT).expect("a script");
    // Longer than the story: the limit holds.
    let env = [("CHORUS_LIMIT_RETRY", "600"), ("CHORUS_NOTIFY_FINISHED", "false")];
    let (world, command) = recorded_in(World::build().script(script), "0.5", &env).await;
    let launch = json!({ "env": { "CLAUDE_CODE_MAX_RETRIES": "0" } });
    world.play("asks", "ask", &launch).await;
    let told = command.wait_for(&world, 1).await[0].notice();
    assert_eq!(told["title"], "asks has a question");
    assert!(told["body"].as_str().is_some_and(|b| b.contains("Which colour")), "{told}");
    world.play("plans", "plan", &json!({ "permission_mode": "plan" })).await;
    let told = command.wait_for(&world, 2).await[1].notice();
    assert_eq!(told["title"], "plans has a plan to approve");
    assert_ne!(told["body"], "ExitPlanMode: a plan to approve", "the plan itself");
    world.play("limited", "limit", &launch).await;
    // Claude Code tries on for a while before it gives up.
    wait_longer(Duration::from_secs(60), "the limit is known", async || {
        let view = world.session("limited").await;
        let met = view["detail"]["error"].as_str().is_some_and(|e| e.starts_with("rate_limit"));
        if met { Ok(()) } else { Err(view.to_string()) }
    })
    .await;
    let told = command.wait_for(&world, 3).await[2].notice();
    assert_eq!(
        (&told["kind"], &told["title"]),
        (&json!("limit"), &json!("limited has met a usage limit"))
    );
}

#[tokio::test]
async fn a_start_that_is_blocked_is_told_with_what_to_do() {
    let (world, command) = recorded_in(World::build(), "0.5", &[]).await;
    let file = world.home().join(".claude.json");
    let text = std::fs::read_to_string(&file).expect("Claude Code's configuration");
    let mut config: Value = serde_json::from_str(&text).expect("its content");
    config["projects"] = json!({});
    std::fs::write(&file, config.to_string()).expect("Claude Code's configuration");
    world.create("b", &json!({})).await;
    let told = command.wait_for(&world, 1).await[0].notice();
    assert_eq!((&told["kind"], &told["title"]), (&json!("error"), &json!("b cannot start")));
    assert!(told["body"].as_str().is_some_and(|b| b.contains("trust it")), "{told}");
}
