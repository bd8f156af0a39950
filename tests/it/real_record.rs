//! The record of what the real Claude Code says and does.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn what_sub_agents_say_is_kept_once_through_a_kill_too() {
    let world = World::start().await;
    world.play("p", "agents", &json!({"allowed_tools": ["Bash", "Agent"]})).await;
    world.wait_for_words("p", "Child report.").await;
    world.wait_for_status("p", "idle").await;
    world.kill9();
    world.start_again().await;
    world
        .wait_for("both helpers' words are there, once", async || {
            let said = world.get("/api/sessions/p/messages").await.rows();
            let of = |text: &str, direction: &str| {
                let same =
                    said.iter().filter(|m| m["content"] == text && m["direction"] == direction);
                same.map(|m| m["agent_id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
            };
            let reports = of("Child report.", "assistant");
            let orders = ["left", "right"]
                .map(|side| of(&format!("scenario:child please look {side}"), "user"));
            let told = reports.len() == 2 && orders.iter().all(|o| o.len() == 1);
            let agents = reports.iter().chain(orders.iter().flatten()).all(Option::is_some);
            if told && agents && reports[0] != reports[1] {
                Ok(())
            } else {
                Err(json!(said).to_string())
            }
        })
        .await;
    // Each helper's call is told of by its hook and by its transcript.
    let calls = world.get("/api/sessions/p/logs").await.rows();
    let echoes = calls.iter().filter(|c| c["input"]["command"] == "echo child").count();
    assert_eq!(echoes, 2, "{calls:?}");
    let logs = world.cli(&["logs", "p"]).await.ok().stdout;
    assert!(logs.contains("sub-agent: Child report."), "{logs}");
    assert!(logs.contains("to its sub-agent: scenario:child please look left"), "{logs}");
}
