//! Tasks of the real Claude Code.

use std::time::Duration;

use scripted_model::Kind;
use serde_json::{Value, json};

use crate::harness::{World, wait_longer};
use crate::tasks::{make, task};

const LONG: Duration = Duration::from_secs(60);

/// Waits until a task is this.
async fn wait_until(world: &World, id: i64, status: &str) -> Value {
    wait_longer(LONG, &format!("task {id} is {status}"), async || {
        let seen = task(world, id).await;
        if seen["status"] == status { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await
}

/// The text blocks of all user messages that the model was told.
fn told(world: &World) -> Vec<String> {
    let bodies = world.model.bodies();
    let main = bodies.iter().filter(|b| b.kind == Kind::Main).filter_map(|b| b.json().ok());
    let mut texts = Vec::new();
    for body in main {
        for message in body["messages"].as_array().into_iter().flatten() {
            match &message["content"] {
                Value::String(text) => texts.push(text.clone()),
                content => {
                    let blocks = content.as_array().into_iter().flatten();
                    let text = blocks.filter_map(|block| block["text"].as_str());
                    texts.extend(text.map(str::to_owned));
                }
            }
        }
    }
    texts
}

async fn preview(world: &World, id: i64) -> String {
    let shown = world.get(format!("/api/tasks/{id}/prompt")).await.expect(200).json();
    shown["prompt"].as_str().expect("a prompt").to_owned()
}

/// Text of which much changes on its way, and of several pastes.
const DESCRIPTION: &str = "scenario:hello please\r\n\tindented, `x`, \"quoted\" $HOME 'single'\n\n\
    ```sh\necho a\n```\n\na\u{200b}b e\u{301} 👩‍👩‍👧\n- one\n- two\n- three\nthe end\\";

#[tokio::test]
async fn claude_gets_exactly_what_the_preview_shows_at_a_start_and_when_assigned() {
    let world = World::start().await;
    let started = make(&world, "By a start", &json!({ "description": DESCRIPTION })).await;
    let first = preview(&world, started).await;
    assert!(
        first.starts_with("## Task: By a start\n\nscenario:hello please\n    indented"),
        "{first}"
    );
    world.post(format!("/api/tasks/{started}/start"), &Value::Null).await.expect(200);
    let running = wait_until(&world, started, "running").await;
    assert_eq!(running["session_id"], world.session("by-a-start").await["id"]);
    world.wait_for_words("by-a-start", "Hello from the scripted model.").await;
    assert!(told(&world).contains(&first), "{first:?} is none of {:#?}", told(&world));

    // The other way: into a session of a person's.
    world.create("mine", &json!({})).await;
    world.wait_for_status("mine", "idle").await;
    let assigned = make(&world, "Assigned", &json!({ "description": DESCRIPTION })).await;
    let second = preview(&world, assigned).await;
    let body = json!({ "session_id": "claude-mine" });
    let given = world.post(format!("/api/tasks/{assigned}/assign"), &body).await.expect(200).json();
    assert_eq!(
        (&given["status"], &given["session_id"]),
        (&json!("assigned"), &world.session("mine").await["id"])
    );
    wait_until(&world, assigned, "running").await;
    world.wait_for_words("mine", "Hello from the scripted model.").await;
    assert!(told(&world).contains(&second), "{second:?} is none of {:#?}", told(&world));
    world.wait_for_status("mine", "idle").await;

    // The one leaves its session, which is free again; the other ends its own.
    for id in [assigned, started] {
        world
            .post(format!("/api/tasks/{id}/complete"), &json!({ "result": "ok" }))
            .await
            .expect(200);
    }
    let mine = world.session("mine").await;
    assert_eq!((&mine["claude_status"], &mine["task_id"]), (&json!("idle"), &Value::Null));
    assert_eq!(world.session("by-a-start").await["claude_status"], "stopped");
}

#[tokio::test]
async fn a_task_in_the_system_prompt_is_there_and_one_is_told_again_on_request() {
    let world = World::start().await;
    let options = json!({ "description": "scenario:hello please", "options": { "prompt_as": "system_prompt" } });
    let id = make(&world, "Quietly", &options).await;
    let whole = preview(&world, id).await;
    world.post(format!("/api/tasks/{id}/start"), &Value::Null).await.expect(200);
    wait_until(&world, id, "running").await;
    wait_longer(LONG, "the model was told by the system prompt", async || {
        let bodies = world.model.bodies();
        let main = bodies.iter().filter(|b| b.kind == Kind::Main).filter_map(|b| b.json().ok());
        main.into_iter().any(|body| {
            let system = body["system"].as_array().into_iter().flatten();
            system.filter_map(|block| block["text"].as_str()).any(|text| text.contains(&whole))
        })
    })
    .await;
    wait_longer(LONG, "its turn is over", async || {
        world.session("quietly").await["claude_status"] == "idle"
    })
    .await;
    let again = json!({ "resend_context": true, "fresh": true });
    world.post(format!("/api/tasks/{id}/restart-claude"), &again).await.expect(202);
    wait_longer(LONG, "it was told again", async || told(&world).contains(&whole)).await;
    let view = task(&world, id).await;
    assert_eq!(
        (&view["restarts"], &view["attempts"], &view["status"]),
        (&json!(1), &json!(1), &json!("running"))
    );
}
