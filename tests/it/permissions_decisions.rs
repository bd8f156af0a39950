//! Decisions that are more than yes and no, decisions on many requests, and none in time.

use serde_json::{Value, json};

use crate::harness::{Agent, Answer, Held, World, is_problem};
use crate::permissions::{ask, becomes, decide, told};

/// Asks for a permission to use any tool.
pub async fn ask_for(world: &World, agent: &Agent, tool: &str, input: &Value) -> (Held, Value) {
    let own = json!({"tool_name": tool, "tool_input": input, "permission_suggestions": []});
    let held = world.begin_hook(agent, "PermissionRequest", &own).await;
    (held, world.wait_for_request(&agent.session).await)
}

async fn respond(world: &World, request: &Value, answer: &Value) -> Answer {
    let id = request["id"].as_str().expect("an id");
    world.post(format!("/api/permissions/{id}/respond"), answer).await
}

fn questions() -> Value {
    json!({"questions": [
        {"question": "Which colour?", "header": "Colour", "multiSelect": false,
            "options": [{"label": "Red", "description": "Loud"}, {"label": "Blue", "description": "Calm"}]},
        {"question": "Which sizes?", "header": "Sizes", "multiSelect": true,
            "options": [{"label": "S", "description": ""}, {"label": "L", "description": ""}]},
    ]})
}

#[tokio::test]
async fn a_question_is_answered_with_an_answer_to_each() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask_for(&world, &agent, "AskUserQuestion", &questions()).await;
    assert_eq!(request["summary"], "AskUserQuestion: Which colour? · Which sizes?");
    let allow = |answers: Value| json!({"decision": "allow", "answers": answers});
    for (answer, field) in [
        (json!({"decision": "allow"}), "answers"),
        (allow(json!({"Which colour?": "Red"})), "answers.Which sizes?"),
        (allow(json!({"Which colour?": "Red", "Which sizes?": "S", "Why?": "x"})), "answers.Why?"),
        (
            allow(json!({"Which colour?": ["Red", "Blue"], "Which sizes?": "S"})),
            "answers.Which colour?",
        ),
        (allow(json!("Red")), "answers"),
        (json!({"decision": "deny", "answers": {}}), "answers"),
        (json!({"decision": "allow", "updated_input": {"questions": []}}), "updated_input"),
        (
            json!({"decision": "allow", "answers": {"Which colour?": "Red", "Which sizes?": "S"}, "for_session": true}),
            "for_session",
        ),
    ] {
        let refused = respond(&world, &request, &answer).await.expect(422);
        assert!(is_problem(&refused), "{answer}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{answer}: {}", refused.text());
    }
    let bare = respond(&world, &request, &json!({"decision": "allow"})).await.text();
    assert!(bare.contains("Which colour?") && bare.contains("Red | Blue"), "{bare}");
    let answers = json!({"Which colour?": "something warm", "Which sizes?": ["S", "L"]});
    let decided = decide(&world, &request, &allow(answers)).await;
    let given = json!({"Which colour?": "something warm", "Which sizes?": "S, L"});
    assert_eq!(decided["updated_input"]["answers"], given);
    let answer = told(held).await;
    assert_eq!(
        answer["updatedInput"],
        json!({"questions": questions()["questions"], "answers": given})
    );
    // And the same for the oldest of a session.
    let (held, request) = ask_for(&world, &agent, "AskUserQuestion", &questions()).await;
    world.post("/api/sessions/p/respond", &json!({"confirm": true})).await.expect(422);
    let answer =
        json!({"decision": "allow", "answers": {"Which colour?": "Red", "Which sizes?": "L"}});
    let decided = world.post("/api/sessions/p/respond", &answer).await.expect(200).json();
    assert_eq!(decided["id"], request["id"]);
    assert_eq!(told(held).await["updatedInput"]["answers"]["Which sizes?"], "L");
}

#[tokio::test]
async fn the_command_line_answers_questions_and_shows_plans() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask_for(&world, &agent, "AskUserQuestion", &questions()).await;
    let listed = world.cli(&["permissions"]).await.ok().stdout;
    for part in ["? Which colour?", "- Red: Loud", "several may be chosen"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let page = world.get("/").await.text();
    assert!(page.contains("Which colour?") && page.contains(">Answer<"), "{page}");
    assert!(!page.contains(">Approve<"), "a question is answered, not approved: {page}");
    let bare = world.cli(&["approve"]).await;
    assert!(bare.code == Some(3) && bare.stderr.contains("Red | Blue"), "{}", bare.stderr);
    let which = world.cli(&["approve", "--answer", "Red"]).await;
    assert!(which.code == Some(2) && which.stderr.contains("Which sizes?"), "{}", which.stderr);
    let id = request["id"].as_str().expect("an id");
    let answers = [
        "approve",
        id,
        "--answer",
        "Which colour?=Blue",
        "--answer",
        "Which siz…=S",
        "--answer",
        "Which sizes?=L",
    ];
    world.cli(&answers).await.ok();
    let given = told(held).await["updatedInput"]["answers"].clone();
    assert_eq!(given, json!({"Which colour?": "Blue", "Which sizes?": "S, L"}));

    let one = json!({"questions": [questions()["questions"][0]]});
    let (held, _) = ask_for(&world, &agent, "AskUserQuestion", &one).await;
    world.cli(&["approve", "--answer", "Blue"]).await.ok();
    assert_eq!(told(held).await["updatedInput"]["answers"], json!({"Which colour?": "Blue"}));

    let plan = json!({"plan": "# Plan\n\n1. Think\u{1b}[2J\n2. Act"});
    let (held, _) = ask_for(&world, &agent, "ExitPlanMode", &plan).await;
    let listed = world.cli(&["permissions"]).await.ok().stdout;
    assert!(listed.contains("2. Act") && !listed.contains('\u{1b}'), "{listed:?}");
    let no_rule = world.cli(&["approve", "--always", "--yes"]).await;
    assert!(no_rule.code == Some(3) && no_rule.stderr.contains("one by one"), "{}", no_rule.stderr);
    world.cli(&["approve"]).await.ok();
    assert_eq!(told(held).await, json!({"behavior": "allow", "updatedInput": {}}));
}

#[tokio::test]
async fn the_command_line_shows_all_of_what_waits() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let long = format!("{}\nrm -rf /", "echo fine; ".repeat(200));
    let bash = json!({"command": long, "dangerouslyDisableSandbox": true});
    for (tool, input, parts) in [
        ("Bash", bash, &["rm -rf /", "dangerouslyDisableSandbox: true"][..]),
        ("Write", json!({"file_path": "/a", "content": "one\nlast line"}), &["/a", "+ last line"]),
    ] {
        let (held, _) = ask_for(&world, &agent, tool, &input).await;
        let listed = world.cli(&["permissions"]).await.ok().stdout;
        let waits = world.cli(&["wait", "p", "--until", "permission"]).await.ok().stdout;
        let approved = world.cli(&["approve", "p"]).await.ok().stdout;
        for part in parts {
            for said in [&listed, &waits, &approved] {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
        assert_eq!(told(held).await["behavior"], "allow");
    }
}

#[tokio::test]
async fn changed_input_survives_the_servers_death_and_is_scrubbed_in_the_end() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    for (answer, field) in [
        (json!({"decision": "deny", "updated_input": {}}), "updated_input"),
        (json!({"decision": "allow", "updated_input": "ls"}), "updated_input"),
        (json!({"decision": "allow", "updated_input": {}, "for_session": true}), "for_session"),
        (json!({"decision": "allow", "answers": {}}), "answers"),
    ] {
        let refused = respond(&world, &request, &answer).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{answer}: {refused}");
    }
    let secret = format!("sk-ant-api03-{}", "Ab1_".repeat(23));
    let input = json!({"command": format!("make KEY={secret}")});
    // The hook cannot come back while it is stopped.
    crate::harness::signal(held.pid(), rustix::process::Signal::STOP);
    world.kill9();
    world.start_again().await;
    let decided =
        decide(&world, &request, &json!({"decision": "allow", "updated_input": input})).await;
    assert_eq!((&decided["status"], &decided["updated_input"]), (&json!("decided"), &input));
    world.kill9();
    world.start_again().await;
    crate::harness::signal(held.pid(), rustix::process::Signal::CONT);
    assert_eq!(told(held).await, json!({"behavior": "allow", "updatedInput": input}));
    becomes(&world, &request, "delivered").await;
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "make")).await.ok();
    let settled = becomes(&world, &request, "honoured").await;
    assert!(
        settled["updated_input"]["command"]
            .as_str()
            .is_some_and(|c| c.starts_with("make KEY=[scrubbed:")),
        "{settled}"
    );
    let audit = world.get("/api/audit").await.text();
    assert!(audit.contains("ran_instead") && !audit.contains(&secret), "{audit}");
}

/// Sub-agents ask beside one another: so many requests of one session wait.
async fn several(world: &World, agent: &Agent, commands: &[&str]) -> Vec<(Held, Value)> {
    let mut all = Vec::new();
    for command in commands {
        let own = json!({"tool_name": "Bash", "tool_input": {"command": command},
            "agent_id": format!("agent-{command}"), "agent_type": "Explore"});
        let held = world.begin_hook(agent, "PermissionRequest", &own).await;
        let request = world
            .wait_for("the question is known", async || {
                let all = world.get("/api/permissions?status=pending").await.rows();
                all.into_iter().find(|r| r["input"]["command"] == *command)
            })
            .await;
        all.push((held, request));
    }
    all
}

#[tokio::test]
async fn many_requests_are_decided_together_each_with_its_own_outcome() {
    let world = World::with_stand_in().await;
    let (p, q) = (world.begin("p").await, world.begin("q").await);
    let mut of_p = several(&world, &p, &["make a", "make b", "make c"]).await;
    let of_q = several(&world, &q, &["make d"]).await;
    let many = async |body: Value| world.post("/api/permissions/respond", &body).await;
    for (body, field) in [
        (json!({"decision": "allow"}), "ids"),
        (json!({"decision": "allow", "ids": [of_p[0].1["id"]], "session": "p"}), "ids"),
        (json!({"decision": "allow", "session": "p", "message": "x"}), "message"),
        (json!({"session": "p"}), "decision"),
    ] {
        let refused = many(body.clone()).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
    }
    many(json!({"decision": "allow", "session": "nobody"})).await.expect(404);

    let (held, first) = of_p.remove(0);
    decide(&world, &first, &json!({"decision": "deny"})).await;
    told(held).await;
    let stranger = "01990000-0000-7000-8000-000000000000";
    let ids = json!([first["id"], of_p[0].1["id"], stranger]);
    let mixed = many(json!({"decision": "allow", "ids": ids})).await.expect(207).json();
    assert_eq!((&mixed["decided"], &mixed["failed"]), (&json!(1), &json!(2)));
    let statuses: Vec<_> =
        mixed["results"].as_array().expect("results").iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, [409, 200, 404]);
    assert!(
        mixed["results"][0]["problem"]["detail"].as_str().is_some_and(|d| d.contains("already"))
    );
    assert_eq!(mixed["results"][1]["request"]["verdict"], "allow");
    assert_eq!(told(of_p.remove(0).0).await["behavior"], "allow");

    let all =
        many(json!({"decision": "deny", "session": "p", "tool": "Bash", "message": "no"})).await;
    assert_eq!(all.expect(200).json()["decided"], 1);
    assert_eq!(told(of_p.remove(0).0).await["message"], "no");
    let none = many(json!({"decision": "deny", "session": "p"})).await.expect(200).json();
    assert_eq!(none["results"], json!([]));
    let waiting = world.get("/api/permissions?status=pending").await.rows();
    assert_eq!(waiting.len(), 1, "the other session's was left alone");

    let elsewhere = world.cli(&["approve", "--all", "--session", "p"]).await;
    assert!(elsewhere.code == Some(5) && elsewhere.stderr.contains("nothing waits"));
    let approved = world.cli(&["approve", "--all", "--tool", "Bash"]).await.ok().stdout;
    assert_eq!(approved, "approved Bash: make d\n");
    for (held, _) in of_q {
        assert_eq!(told(held).await["behavior"], "allow");
    }
}

#[tokio::test]
async fn what_nobody_decides_in_time_expires_and_the_hook_has_no_opinion() {
    let world = World::build()
        .stand_in()
        .env("CHORUS_PERMISSION_EXPIRY", "1")
        .env("CHORUS_POLL_INTERVAL", "0.2")
        .start()
        .await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    let expired = becomes(&world, &request, "expired").await;
    assert_eq!((&expired["verdict"], &expired["decided_by"]), (&Value::Null, &Value::Null));
    assert_eq!(held.end().await.ok().stdout, "");
    respond(&world, &request, &json!({"decision": "allow"})).await.expect(409);
    let subject = request["id"].as_str().expect("an id");
    let entries = world.get(format!("/api/audit?subject={subject}")).await.rows();
    assert_eq!(entries[0]["action"], "permission.expired");
    // Its dialog is still there: the keyboard answers it.
    assert_eq!(world.session("p").await["claude_status"], "waiting");
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "make")).await.ok();
    world.wait_for_status("p", "busy").await;
    assert_eq!(becomes(&world, &request, "expired").await["decided_by"], Value::Null);
}
