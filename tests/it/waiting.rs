//! `--wait` and `chorus wait`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Child;

use crate::harness::{Agent, Output, World};
use crate::permissions::ask;

/// A command that is under way.
struct Running {
    child: Child,
    began: std::time::Instant,
}

impl Running {
    fn start(world: &World, args: &[&str]) -> Self {
        let mut command = world.command(env!("CARGO_BIN_EXE_chorus"));
        command.arg("--data-dir").arg(world.data()).args(args).current_dir(world.project());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let child = command.kill_on_drop(true).spawn().expect("chorus");
        Self { child, began: std::time::Instant::now() }
    }

    fn is_waiting(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    async fn end(self) -> Output {
        let output = tokio::time::timeout(Duration::from_secs(60), self.child.wait_with_output());
        let output = output.await.expect("an end in time").expect("its output");
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: self.began.elapsed(),
        }
    }
}

async fn prompted(world: &World, agent: &Agent) {
    world.post_hook(agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.expect(204);
}

#[tokio::test]
async fn a_wait_ends_with_the_turn_and_with_a_code_for_each_other_end() {
    let world = World::with_stand_in().await;
    let agent = world.begin("a").await;
    assert_eq!(world.cli(&["wait", "a"]).await.ok().stdout, "a is idle\n");
    prompted(&world, &agent).await;
    let slow = world.cli(&["wait", "a", "--timeout", "0.3"]).await;
    assert_eq!((slow.code, slow.stdout.as_str()), (Some(7), "a is still busy\n"));

    let mut waiting = Running::start(&world, &["wait", "a"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(waiting.is_waiting());
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    assert_eq!(waiting.end().await.ok().stdout, "a is idle\n");

    prompted(&world, &agent).await;
    let waiting = Running::start(&world, &["wait", "a", "--json"]);
    let patient = Running::start(&world, &["wait", "a", "--until", "done"]);
    let alert = Running::start(&world, &["wait", "a", "--until", "permission"]);
    let (held, request) = ask(&world, &agent, "toolu_1", "make deploy").await;
    let asked = waiting.end().await;
    assert_eq!(asked.code, Some(6), "{}", asked.stderr);
    let waited = &asked.json()[0];
    assert_eq!(waited["outcome"], "waiting");
    assert_eq!(waited["requests"][0]["id"], request["id"]);
    let text = world.cli(&["wait", "a"]).await;
    assert_eq!(text.code, Some(6));
    let how = format!("chorus approve {}", request["id"].as_str().expect("an id"));
    assert!(text.stdout.contains("make deploy") && text.stdout.contains(&how), "{}", text.stdout);
    assert!(alert.end().await.ok().stdout.contains("make deploy"));
    world.cli(&["approve", "a"]).await.ok();
    held.end().await.ok();
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    let done = patient.end().await.ok();
    assert_eq!(done.stdout, "a is idle\n");

    prompted(&world, &agent).await;
    let waiting = Running::start(&world, &["wait", "a"]);
    world.cli(&["kill", "a"]).await.ok();
    let ended = waiting.end().await;
    assert!(ended.code == Some(9) && ended.stdout.contains("completed"), "{ended:?}");
    assert_eq!(world.cli(&["wait", "nobody"]).await.code, Some(5));
}

#[tokio::test]
async fn a_prompt_that_does_not_arrive_has_a_code_of_its_own() {
    let world = World::with_stand_in().await;
    world.begin("a").await;
    world.begin("b").await;
    // Nobody confirms them.
    let waiting = Running::start(&world, &["send", "a", "hello", "--wait"]);
    let plain = world.cli(&["send", "b", "hello"]).await;
    for ran in [waiting.end().await, plain] {
        assert!(ran.code == Some(8) && ran.stdout.starts_with("undelivered: "), "{ran:?}");
    }
}

#[tokio::test]
async fn several_are_waited_for_or_any_of_them_and_a_dead_server_ends_nothing() {
    let world = World::with_stand_in().await;
    let (a, b) = (world.begin("a").await, world.begin("b").await);
    prompted(&world, &a).await;
    prompted(&world, &b).await;
    let any = Running::start(&world, &["wait", "a", "b", "--any"]);
    let mut all = Running::start(&world, &["wait", "a", "b", "--json"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.post_hook(&b, "Stop", &json!({})).await.expect(204);
    assert_eq!(any.end().await.ok().stdout, "b is idle\n");
    assert!(all.is_waiting());
    world.kill9();
    world.start_again().await;
    assert!(all.is_waiting());
    world.post_hook(&a, "Stop", &json!({})).await.expect(204);
    let ended = all.end().await.ok().json();
    let outcomes: Vec<&Value> =
        ended.as_array().expect("both").iter().map(|w| &w["outcome"]).collect();
    assert_eq!(outcomes, ["idle", "idle"]);
}

#[tokio::test]
async fn a_restart_and_a_resumption_are_waited_for_until_claude_is_ready() {
    let world = World::with_stand_in().await;
    world.begin("a").await;
    for args in [&["restart", "a", "--wait"][..], &["pause", "a"], &["resume", "a", "--wait=done"]]
    {
        if args[0] == "pause" {
            world.cli(args).await.ok();
            continue;
        }
        let mut waiting = Running::start(&world, args);
        world.wait_for_status("a", "starting").await;
        let agent = world
            .wait_for("the new process is there", async || {
                let agent = world.agent("a").await;
                let view = world.session("a").await;
                (view["claude_status"] == "starting").then_some(agent)
            })
            .await;
        assert!(waiting.is_waiting());
        world.post_hook(&agent, "SessionStart", &json!({ "source": "resume" })).await.expect(204);
        assert_eq!(waiting.end().await.ok().stdout, "a is idle\n");
    }
}

#[tokio::test]
async fn a_real_claude_is_run_from_a_script() {
    let world = World::start().await;
    let run =
        world.cli(&["run", "hello there", "--name", "s", "--wait", "--timeout", "60"]).await.ok();
    let said = world.get("/api/sessions/s/messages?sort=newest&limit=1").await.rows();
    assert_eq!(said[0]["direction"], "assistant");
    assert_eq!(run.stdout.trim_end(), said[0]["content"].as_str().expect("a text").trim_end());

    // It asks, and is answered; the same turn is then waited for.
    let asked = world.cli(&["send", "s", "scenario:bash please", "--wait", "--timeout=60"]).await;
    assert_eq!(asked.code, Some(6), "{asked:?}");
    assert!(asked.stdout.contains("touch made-by-bash.txt"), "{}", asked.stdout);
    world.cli(&["approve", "s"]).await.ok();
    let done =
        world.cli(&["wait", "s", "--until=done", "--json", "--timeout=60"]).await.ok().json();
    let done = &done[0];
    assert_eq!(
        (&done["outcome"], &done["message"]["content"]),
        (&json!("idle"), &json!("The command finished."))
    );

    let sent =
        world.cli(&["send", "s", "hello", "--wait", "--json", "--timeout=60"]).await.ok().json();
    assert_eq!((&sent["outcome"], &sent["session"]["name"]), (&json!("idle"), &json!("s")));
    assert_eq!(sent["message"]["direction"], "assistant");

    // Escape ends the turn that asks.
    let asked = world.cli(&["send", "s", "scenario:bash please", "--wait", "--timeout=60"]).await;
    assert_eq!(asked.code, Some(6), "{asked:?}");
    world.wait_for_screen("s", "Do you want to proceed?").await;
    let ended = world.cli(&["interrupt", "s", "--wait", "--timeout=60"]).await.ok();
    assert_eq!(ended.stdout, "s is idle\n");
    assert_eq!(world.cli(&["interrupt", "s", "--wait=permission"]).await.code, Some(2));
}
