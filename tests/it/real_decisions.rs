//! Decisions that are more than yes and no, obeyed by the real Claude Code: answers, plans, changed
//! input, tools of other servers, sub-agents' requests, and rules.

use serde_json::{Value, json};

use crate::harness::{World, demo_tools};

/// What the model was told in tool results, as one text.
fn heard(world: &World) -> String {
    let bodies = world.model.bodies();
    let told = bodies.iter().filter_map(|r| r.json().ok());
    told.map(|body| body.pointer("/messages").map(Value::to_string).unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_question_is_answered_from_outside() {
    let world = World::start().await;
    world.play("p", "ask", &json!({})).await;
    let request = world.wait_for_request("p").await;
    assert_eq!(request["tool"], "AskUserQuestion");
    assert_eq!(request["summary"], "AskUserQuestion: Which colour should the button be?");
    let id = request["id"].as_str().expect("an id");
    let path = format!("/api/permissions/{id}/respond");
    let bare = world.post(&*path, &json!({"decision": "allow"})).await.expect(422);
    assert!(bare.text().contains("Which colour should the button be?"), "{}", bare.text());
    let answers = json!({"Which colour should the button be?": "Blue"});
    world.decide(&request, &json!({"decision": "allow", "answers": answers})).await;
    world.wait_for_words("p", "Thanks for the answer.").await;
    let request = world.wait_for_outcome(&request, "honoured").await;
    assert_eq!(request["updated_input"]["answers"], answers);
    world.wait_for_status("p", "idle").await;
    assert!(heard(&world).contains("Blue"), "the model was told");
}

#[tokio::test]
async fn an_answer_reaches_claude_though_the_server_was_killed_before_its_delivery() {
    let world = World::start().await;
    world.play("p", "ask", &json!({})).await;
    let request = world.wait_for_request("p").await;
    let hook = world.held_hook().await;
    // It cannot come back while it is stopped.
    crate::harness::signal(hook, rustix::process::Signal::STOP);
    world.kill9();
    world.start_again().await;
    let answers = json!({"Which colour should the button be?": "a dark green"});
    world.decide(&request, &json!({"decision": "allow", "answers": answers})).await;
    world.kill9();
    world.start_again().await;
    crate::harness::signal(hook, rustix::process::Signal::CONT);
    world.wait_for_words("p", "Thanks for the answer.").await;
    assert!(heard(&world).contains("a dark green"), "the model was told");
}

/// A question that takes several answers, besides one that takes one.
const SURVEY: &str = r#"{"scenarios": {"survey": [
    {"tools": [{"name": "AskUserQuestion", "input": {"questions": [
        {"question": "Which sizes do you want?", "header": "Sizes", "multiSelect": true,
            "options": [{"label": "Small", "description": "S"}, {"label": "Large", "description": "L"}]},
        {"question": "Which shape?", "header": "Shape", "multiSelect": false,
            "options": [{"label": "Round", "description": "O"}, {"label": "Square", "description": "[]"}]}
    ]}}]},
    {"text": "Thanks for both."}
]}}"#;

#[tokio::test]
async fn several_questions_are_answered_from_the_command_line() {
    let script = scripted_model::Script::from_json(SURVEY).expect("a script");
    let world = World::build().script(script).start().await;
    world.play("p", "survey", &json!({})).await;
    let request = world.wait_for_request("p").await;
    let sizes = ["--answer", "Which sizes=Small", "--answer", "Which sizes=Large"];
    let answers = [&["approve", "p"][..], &sizes, &["--answer", "Which shape?=Round"]].concat();
    world.cli(&answers).await.ok();
    world.wait_for_words("p", "Thanks for both.").await;
    world.wait_for_outcome(&request, "honoured").await;
    let heard = heard(&world);
    assert!(heard.contains("Small, Large") && heard.contains("Round"), "the model was told");
}

/// Opens a session that has made a plan.
async fn planning(world: &World) -> Value {
    world.play("p", "plan", &json!({"permission_mode": "plan"})).await;
    let request = world.wait_for_request("p").await;
    assert_eq!(request["tool"], "ExitPlanMode");
    assert_eq!(request["session_rule"], Value::Null);
    request
}

#[tokio::test]
async fn a_plan_is_approved() {
    let world = World::start().await;
    let request = planning(&world).await;
    let listed = world.cli(&["permissions"]).await.ok().stdout;
    assert!(listed.contains("1. Write the file"), "{listed}");
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_words("p", "Starting on the plan.").await;
    world.wait_for_outcome(&request, "honoured").await;
    world.wait_for_status("p", "idle").await;
}

#[tokio::test]
async fn a_plan_is_rejected_with_feedback_and_claude_goes_on() {
    let world = World::start().await;
    let request = planning(&world).await;
    let why = "write the tests first";
    world.decide(&request, &json!({"decision": "deny", "message": why})).await;
    world.wait_for_words("p", "Starting on the plan.").await;
    world.wait_for_outcome(&request, "honoured").await;
    world.wait_for_status("p", "idle").await;
    assert!(heard(&world).contains(why), "the model was told");
}

#[tokio::test]
async fn changed_input_runs_instead() {
    let world = World::start().await;
    world.play("p", "bash", &json!({})).await;
    let request = world.wait_for_request("p").await;
    let id = request["id"].as_str().expect("an id");
    let input = r#"{"command": "touch instead.txt && echo changed", "description": "Another"}"#;
    world.cli(&["approve", id, "--input", input]).await.ok();
    world.wait_for_file(&world.project().join("instead.txt")).await;
    let request = world.wait_for_outcome(&request, "honoured").await;
    assert_eq!(request["updated_input"]["command"], "touch instead.txt && echo changed");
    world.wait_for_words("p", "The command finished.").await;
    assert!(!world.project().join("made-by-bash.txt").exists());
    let call = world.wait_for_call("p", "completed").await;
    assert_eq!(call["result"], "changed");
    world.wait_for_status("p", "idle").await;
}

#[tokio::test]
async fn changed_input_that_no_hook_can_carry_runs_nothing_else() {
    let world = World::start().await;
    world.play("p", "bash", &json!({})).await;
    let request = world.wait_for_request("p").await;
    world.wait_for_screen("p", "Do you want to proceed?").await;
    let hook = world.held_hook().await;
    crate::harness::signal(hook, rustix::process::Signal::KILL);
    world.decide(&request, &json!({"decision": "allow", "updated_input": {"command": "ls"}})).await;
    world
        .wait_for("the server has given up", async || {
            world.log().contains("which only its hook could carry")
        })
        .await;
    // The dialog is as it was: it is for a person now.
    assert!(world.pane_text("p").await.contains("Do you want to proceed?"));
    assert!(!world.project().join("made-by-bash.txt").exists());
    world.press("p", "Escape").await;
    world.wait_for_outcome(&request, "answered_in_terminal").await;
}

#[tokio::test]
async fn a_tool_of_another_server_is_asked_about_and_allowed() {
    let world = World::start().await;
    // Claude Code does not wait for its tool servers before the first turn.
    world.play("p", "hello", &json!({ "mcp_config": demo_tools() })).await;
    world.wait_for_status("p", "idle").await;
    world.ask("p", "mcp").await;
    let request = world.wait_for_request("p").await;
    assert_eq!(
        (&request["tool"], &request["input"]),
        (&json!("mcp__demo__echo"), &json!({"text": "hi"}))
    );
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_words("p", "The tool answered.").await;
    world.wait_for_outcome(&request, "honoured").await;
    let call = world.wait_for_call("p", "completed").await;
    assert!(call["result"].as_str().is_some_and(|r| r.contains("echo: hi")), "{call}");
}

/// What a sub-agent does here: a command that has to be asked about.
const HELPER: &str = r#"{"scenarios": {
    "helper": [
        {"text": "Starting a helper.", "tools": [{"name": "Agent", "input": {"description": "Make", "prompt": "scenario:maker please", "subagent_type": "general-purpose"}}]},
        {"text": "The helper is on its way."},
        {"text": "The helper reported."}
    ],
    "maker": [
        {"tools": [{"name": "Bash", "input": {"command": "touch by-helper.txt", "description": "Make"}}]},
        {"text": "Made."}
    ]
}}"#;

#[tokio::test]
async fn a_sub_agents_request_is_decided_like_any_other() {
    let script = scripted_model::Script::from_json(HELPER).expect("a script");
    let world = World::build().script(script).start().await;
    world.play("p", "helper", &json!({"allowed_tools": ["Agent"]})).await;
    let request = world.wait_for_request("p").await;
    assert_eq!(request["input"]["command"], "touch by-helper.txt");
    assert_eq!(request["agent_type"], "general-purpose");
    world.decide(&request, &json!({"decision": "allow"})).await;
    world.wait_for_file(&world.project().join("by-helper.txt")).await;
    world.wait_for_outcome(&request, "honoured").await;
    world.wait_for_words("p", "Made.").await;
    world.wait_for_status("p", "idle").await;
}

#[tokio::test]
async fn a_rule_decides_by_itself_and_says_so() {
    let world = World::start().await;
    let add = [
        "--json",
        "rules",
        "add",
        "deny",
        "--tool",
        "Bash",
        "--command",
        "rm *",
        "--note",
        "use make clean",
    ];
    let deny = world.cli(&add).await.ok().json();
    let allow = world.cli(&[
        "--json",
        "rules",
        "add",
        "allow",
        "--tool",
        "Bash",
        "--command",
        "touch * && echo *",
    ]);
    let allow = allow.await.ok().json();
    for (name, scenario, rule, verdict) in
        [("a", "bash", &allow, "allow"), ("d", "danger", &deny, "deny")]
    {
        world.play(name, scenario, &json!({})).await;
        let request = world
            .wait_for("the rule has decided", async || {
                let rows = world.get(format!("/api/permissions?session={name}")).await.rows();
                rows.into_iter().find(|r| r["status"] == "honoured")
            })
            .await;
        assert_eq!(
            (&request["decided_by"], &request["verdict"]),
            (&json!("rule"), &json!(verdict))
        );
        assert_eq!((&request["rule_id"], &request["rule"]), (&rule["id"], &rule["words"]));
        let subject = request["id"].as_str().expect("an id");
        let entries = world.get(format!("/api/audit?subject={subject}")).await.rows();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(entries[0]["action"], "permission.decided");
        assert_eq!(entries[0]["actor"], json!({"kind": "rule", "name": rule["id"]}));
        world.wait_for_status(name, "idle").await;
    }
    assert!(world.project().join("made-by-bash.txt").exists());
    assert!(heard(&world).contains("use make clean"), "the model was told why");
    world.cli(&["audit", "verify"]).await.ok();
}
