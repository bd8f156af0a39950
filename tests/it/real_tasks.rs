//! Tasks of the real Claude Code.

use std::path::Path;
use std::time::Duration;

use scripted_model::Kind;
use serde_json::{Value, json};

use crate::harness::{World, processes, wait_longer};
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
    world.post(format!("/api/tasks/{started}/start"), &json!({})).await.expect(200);
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
    world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(200);
    wait_until(&world, id, "running").await;
    // By a file outside of the project, and not by what `ps` shows.
    let pid = world.session("quietly").await["pid"].as_u64().expect("a process");
    let arguments = processes::arguments(u32::try_from(pid).expect("a pid"));
    let file = arguments.iter().find(|word| word.ends_with(".md")).expect("a file");
    assert!(Path::new(file).starts_with(world.data()), "{arguments:?}");
    assert!(!arguments.concat().contains("scenario:hello"), "{arguments:?}");
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

#[tokio::test]
async fn twelve_tasks_that_nobody_watches_finish_three_at_a_time() {
    let world = World::build().env("CHORUS_MAX_SESSIONS", "3").start().await;
    for n in 1..=12_i64 {
        let needs = if n % 4 == 0 { vec![n - 3] } else { Vec::new() };
        let body = json!({ "description": "scenario:hello please", "queued": true, "depends_on": needs,
            "priority": i64::from(n > 6), "options": { "complete_on_idle": true } });
        assert_eq!(make(&world, &format!("number {n}"), &body).await, n);
    }
    let mut deaths = vec![2, 7];
    wait_longer(Duration::from_secs(180), "all are completed", async || {
        let sessions = world.get("/api/sessions?status=active&limit=500").await.rows();
        let running = sessions.iter().filter(|s| s["pid"].is_u64()).count();
        assert!(running <= 3, "{running} run: {sessions:?}");
        let done = world.get("/api/tasks?status=completed").await.rows().len();
        if deaths.first().is_some_and(|at| done >= *at) {
            deaths.remove(0);
            world.kill9();
            world.start_again().await;
        }
        if done == 12 { Ok(()) } else { Err(format!("{done} are completed: {sessions:?}")) }
    })
    .await;
    for n in 1..=12 {
        let task = task(&world, n).await;
        assert_eq!(task["result"], "Hello from the scripted model.", "{task}");
    }
    let at = async |n: i64| task(&world, n).await["history"].clone();
    for n in [4, 8, 12] {
        let (before, after) = (at(n - 3).await, at(n).await);
        assert!(
            before[0]["ended_at"].as_str() <= after[0]["started_at"].as_str(),
            "{before} {after}"
        );
    }
}

#[tokio::test]
async fn a_run_with_two_references_reaches_the_model_as_the_preview_shows_it() {
    let world = World::start().await;
    let docs = world.project().join("docs");
    std::fs::create_dir_all(&docs).expect("a folder");
    let spec = "# Spec\n\nfirst\n\n```sh\nrun `it`\n```\n\tlast\n";
    std::fs::write(docs.join("spec.md"), spec).expect("a document");
    std::fs::write(docs.join("notes.md"), "# Notes\n\n## One\na ```` b\n\n## Two\nc\n")
        .expect("a document");
    let run = [
        "run",
        "scenario:hello please",
        "-r",
        "docs/spec.md:3-8",
        "--ref",
        "docs/notes.md#One",
        "--json",
    ];
    let ran = world.cli(&run).await.ok().json();
    let id = ran["task_id"].as_i64().expect("a task");
    let shown = preview(&world, id).await;
    assert_eq!(
        shown,
        "scenario:hello please\n\n## Context\n\n### From docs/spec.md (lines 3-8):\n````\nfirst\n\n\
         ```sh\nrun `it`\n```\n    last\n````\n\n### From docs/notes.md (lines 3-5):\n`````\n## One\n\
         a ```` b\n\n`````"
    );
    wait_until(&world, id, "running").await;
    world
        .wait_for_words(ran["name"].as_str().expect("a name"), "Hello from the scripted model.")
        .await;
    let same = told(&world).into_iter().filter(|text| *text == shown).count();
    assert!(same > 0, "{shown:?} is none of {:#?}", told(&world));
    let references = world.get(format!("/api/tasks/{id}/references")).await.rows();
    assert_eq!(
        (&references[0]["document_path"], &references[0]["start_line"], &references[0]["end_line"]),
        (&json!("docs/spec.md"), &json!(3), &json!(8))
    );
}
