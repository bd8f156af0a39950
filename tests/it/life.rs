//! The life of sessions, with a program that stands in for Claude Code.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{World, signal};

#[tokio::test]
async fn a_session_that_crashes_is_started_again_so_often_and_no_more() {
    let world = World::with_stand_in().await;
    let launch = json!({ "launch": { "crash_restarts": 1 } });
    let first = world.begin_with("a", &launch).await;
    signal(first.pid, Signal::KILL);
    world
        .wait_for("it was started again", async || {
            let view = world.session("a").await;
            if view["restarts"] == 1 && view["pid"].is_u64() {
                Ok(())
            } else {
                Err(view.to_string())
            }
        })
        .await;
    let second = world.agent("a").await;
    assert_ne!(first.pid, second.pid);
    world.post_hook(&second, "SessionStart", &json!({ "source": "resume" })).await.expect(204);
    signal(second.pid, Signal::KILL);
    let view = world.wait_for_status("a", "stopped").await;
    assert_eq!(view["status"], "error", "{view}");
    // Longer than a second crash would make it wait.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(world.session("a").await["restarts"], 1);
    // Nobody wanted the others to be.
    let other = world.begin("b").await;
    signal(other.pid, Signal::KILL);
    world.wait_for_status("b", "stopped").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(world.session("b").await["restarts"], 0);
}

#[tokio::test]
async fn a_claude_that_is_busy_and_silent_is_shown_until_it_is_heard_again() {
    let world = World::build()
        .stand_in()
        .env("CHORUS_QUIET_AFTER", "1")
        .env("CHORUS_POLL_INTERVAL", "0.2")
        .start()
        .await;
    let agent = world.begin("a").await;
    world.post_hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.expect(204);
    let quiet = async |is: bool| {
        world
            .wait_for(&format!("quiet: {is}"), async || {
                let view = world.session("a").await;
                let said = view["detail"]["quiet_since"].is_string();
                if said == is && view["unsure"] == is { Ok(()) } else { Err(view.to_string()) }
            })
            .await;
    };
    quiet(true).await;
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("nothing heard for"), "{listed}");
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    quiet(false).await;
}

#[tokio::test]
async fn sessions_are_paused_resumed_and_ended_by_their_status_too() {
    let world = World::with_stand_in().await;
    world.begin("a").await;
    let patch = async |status: &str, code: u16| {
        let body = json!({ "status": status });
        world.patch("/api/sessions/a", &body).await.expect(code).json()
    };
    assert_eq!(patch("paused", 200).await["status"], "paused");
    assert_eq!(patch("paused", 200).await["status"], "paused");
    world.post("/api/sessions/a/interrupt", &Value::Null).await.expect(409);
    assert_eq!(patch("active", 200).await["claude_status"], "starting");
    assert_eq!(patch("active", 200).await["claude_status"], "starting");
    assert_eq!(patch("completed", 200).await["status"], "completed");
    let all = json!({ "status": "paused", "budget_usd": 3, "metadata": { "changed": true } });
    world.patch("/api/sessions/a", &all).await.expect(409);
    let left = world.session("a").await;
    assert_eq!(
        (&left["budget"], &left["metadata"]),
        (&Value::Null, &json!({})),
        "refused as a whole"
    );
    world.post("/api/sessions/a/pause", &Value::Null).await.expect(409);
    let bad = world.patch("/api/sessions/a", &json!({ "status": "error" })).await.expect(422);
    assert!(bad.text().contains("status"), "{}", bad.text());
    let never = world.post("/api/sessions/a/fork", &json!({})).await.expect(409);
    assert!(never.text().contains("nothing has been said"), "{}", never.text());
}

#[tokio::test]
async fn a_session_is_resumed_in_the_very_moment_in_which_it_ends() {
    let world = World::with_stand_in().await;
    let agent = world.begin("a").await;
    world.post("/api/sessions/a/resume", &Value::Null).await.expect(409);
    // Claude says goodbye before it is gone.
    world.post_hook(&agent, "SessionEnd", &json!({ "reason": "other" })).await.expect(204);
    world.wait_for_status("a", "stopped").await;
    let ending = world.post("/api/sessions/a/resume", &Value::Null).await.expect(409);
    assert!(ending.text().contains("still ending"), "{}", ending.text());
    let resumed =
        async { world.post("/api/sessions/a/resume", &Value::Null).await.expect(202).json() };
    let gone = async { signal(agent.pid, Signal::KILL) };
    let (resumed, ()) = tokio::join!(resumed, gone);
    assert_eq!(resumed["claude_status"], "starting", "{resumed}");
    assert_ne!(world.agent("a").await.pid, agent.pid);
}

#[tokio::test]
async fn a_session_whose_folder_is_gone_is_not_started_elsewhere() {
    let world = World::with_stand_in().await;
    let folder = world.project().join("worktree");
    std::fs::create_dir(&folder).expect("a folder");
    let here = json!({ "workspace_path": folder });
    let agent = world.begin_with("a", &here).await;
    world.post("/api/sessions/a/pause", &Value::Null).await.expect(200);
    std::fs::remove_dir(&folder).expect("it is gone");
    for what in ["resume", "restart"] {
        let refused = world.post(&format!("/api/sessions/a/{what}"), &json!({})).await.expect(409);
        assert!(
            refused.text().contains("is gone") && refused.text().contains("worktree"),
            "{}",
            refused.text()
        );
    }
    assert_eq!(world.session("a").await["status"], "paused");
    std::fs::create_dir(&folder).expect("it is back");
    world.post("/api/sessions/a/resume", &Value::Null).await.expect(202);
    assert_ne!(world.agent("a").await.pid, agent.pid);
}

#[tokio::test]
async fn a_pause_outlives_the_server() {
    let world = World::with_stand_in().await;
    world.begin("a").await;
    world.cli(&["pause", "a"]).await.ok();
    world.kill9();
    world.start_again().await;
    let view = world.session("a").await;
    assert_eq!((&view["status"], &view["claude_status"]), (&json!("paused"), &json!("stopped")));
    // It is set aside on purpose: nothing is resumed behind anybody's back.
    let all = world.cli(&["resume", "--all"]).await.ok().stdout;
    assert!(all.contains("no session has ended unasked"), "{all}");
    world.cli(&["resume", "a"]).await.ok();
    world.wait_for_status("a", "starting").await;
}
