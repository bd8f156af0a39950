//! Permission requests: asked by held hooks, decided through the API and the command line.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Agent, Held, Store, World, is_problem, on_both_stores};

on_both_stores! {
    an_allowance_reaches_the_hook_and_is_followed_to_its_end
    a_denial_carries_its_message_and_may_end_the_turn
    an_allowance_for_the_session_answers_the_same_question_by_itself_after_a_restart_too
    an_answer_that_leaves_no_trace_is_settled_and_scrubbed
    a_held_question_survives_the_death_of_the_server
    permissions_are_listed_by_status_and_session_page_by_page
}

/// Asks for a permission to run a command, as Claude Code does: first the call, then the question.
pub async fn ask(world: &World, agent: &Agent, id: &str, command: &str) -> (Held, Value) {
    world.hook(agent, "PreToolUse", &Agent::call(id, command)).await.ok();
    let held = question(world, agent, command).await;
    let request = world
        .wait_for("the question is known", async || {
            let filter = format!("/api/permissions?status=pending&session={}", agent.session);
            world.get(filter).await.rows().into_iter().find(|r| r["input"]["command"] == command)
        })
        .await;
    (held, request)
}

pub async fn question(world: &World, agent: &Agent, command: &str) -> Held {
    let own = json!({"tool_name": "Bash", "tool_input": {"command": command}, "permission_suggestions": []});
    world.begin_hook(agent, "PermissionRequest", &own).await
}

/// The hook's answer, in Claude Code's words.
pub async fn told(held: Held) -> Value {
    let ran = held.end().await.ok();
    assert_eq!(ran.stderr, "");
    let answer = ran.json();
    assert_eq!(answer["hookSpecificOutput"]["hookEventName"], "PermissionRequest");
    answer["hookSpecificOutput"]["decision"].clone()
}

pub async fn decide(world: &World, request: &Value, answer: &Value) -> Value {
    let id = request["id"].as_str().expect("an id");
    world.post(format!("/api/permissions/{id}/respond"), answer).await.expect(200).json()
}

pub async fn becomes(world: &World, request: &Value, status: &str) -> Value {
    let id = request["id"].as_str().expect("an id");
    world
        .wait_for(&format!("the request is {status}"), async || {
            let now = world.get(format!("/api/permissions/{id}")).await.expect(200).json();
            if now["status"] == status { Ok(now) } else { Err(now.to_string()) }
        })
        .await
}

async fn an_allowance_reaches_the_hook_and_is_followed_to_its_end(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("p").await;
    let mut events = world.events(None).await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    let (held, request) = ask(&world, &agent, "toolu_1", "make deploy").await;
    let view = world.wait_for_status("p", "waiting").await;
    assert_eq!(view["permission_prompt"], "Bash: make deploy");
    assert_eq!(view["pending_permissions"], 1);
    assert_eq!(request["tool_use_id"], "toolu_1");
    assert_eq!(request["session_rule"], "Bash with exactly: make deploy");
    let asked = events.find("the question", |e| e.kind == "permission_request").await;
    assert_eq!((&asked.data["id"], &asked.data["session_name"]), (&request["id"], &json!("p")));

    let decided = decide(&world, &request, &json!({"decision": "allow"})).await;
    assert_eq!((&decided["verdict"], &decided["decided_by"]), (&json!("allow"), &json!("api")));
    assert_eq!(told(held).await, json!({"behavior": "allow"}));
    becomes(&world, &request, "delivered").await;
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "make deploy")).await.ok();
    becomes(&world, &request, "honoured").await;
    assert_eq!(world.session("p").await["pending_permissions"], 0);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|s| s != "honoured") {
        let event = events.find("the outcome", |e| e.kind == "permission_resolved").await;
        seen.push(event.data["status"].as_str().expect("a status").to_owned());
    }
    assert_eq!(seen, ["decided", "delivered", "honoured"]);
}

/// Claude is idle, has ended, or has ended before another server starts.
async fn an_answer_that_leaves_no_trace_is_settled_and_scrubbed(store: Store) {
    let world = World::build().stand_in().store(store).env("CHORUS_POLL_INTERVAL", "0.2");
    let world = world.start().await;
    let mut answered = Vec::new();
    for name in ["idle", "gone", "long-gone"] {
        let agent = world.begin(name).await;
        let command = format!("deploy {name} --key sk-ant-api03-AbC_dEf-123456");
        // The call itself is not told.
        let held = question(&world, &agent, &command).await;
        let request = world.wait_for_request(name).await;
        decide(&world, &request, &json!({"decision": "allow"})).await;
        told(held).await;
        let request = becomes(&world, &request, "delivered").await;
        assert_eq!(request["input"]["command"], command);
        answered.push((agent, request));
    }
    world.hook(&answered[0].0, "Stop", &json!({})).await.ok();
    world.delete("/api/sessions/gone").await.expect(204);
    for (_, request) in &answered[..2] {
        let settled = becomes(&world, request, "cancelled").await;
        assert_eq!((&settled["verdict"], &settled["decided_by"]), (&json!("allow"), &json!("api")));
        assert!(!settled.to_string().contains("AbC_dEf"), "{settled}");
    }
    world.delete("/api/sessions/long-gone").await.expect(204);
    world.kill9();
    world.start_again().await;
    let settled = becomes(&world, &answered[2].1, "cancelled").await;
    assert!(!settled.to_string().contains("AbC_dEf"), "{settled}");
}

async fn a_denial_carries_its_message_and_may_end_the_turn(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "rm -rf build").await;
    let answer = json!({"decision": "deny", "message": "use `make clean`\nplease"});
    decide(&world, &request, &answer).await;
    assert_eq!(
        told(held).await,
        json!({"behavior": "deny", "message": "use `make clean`\nplease"})
    );
    assert_eq!(becomes(&world, &request, "delivered").await["message"], "use `make clean`\nplease");

    let (held, request) = ask(&world, &agent, "toolu_2", "rm -rf src").await;
    decide(&world, &request, &json!({"decision": "deny", "interrupt": true})).await;
    let decision = told(held).await;
    assert_eq!((&decision["behavior"], &decision["interrupt"]), (&json!("deny"), &json!(true)));
}

async fn an_allowance_for_the_session_answers_the_same_question_by_itself_after_a_restart_too(
    store: Store,
) {
    let world = World::on(store).await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    decide(&world, &request, &json!({"decision": "allow", "for_session": true})).await;
    told(held).await;
    for killed in [false, true] {
        if killed {
            world.kill9();
            world.start_again().await;
        }
        assert_eq!(told(question(&world, &agent, "make").await).await["behavior"], "allow");
        let newest = &world.get("/api/permissions?limit=1").await.rows()[0];
        assert_eq!((&newest["decided_by"], &newest["verdict"]), (&json!("rule"), &json!("allow")));
        // Only that very command.
        let (held, other) = ask(&world, &agent, "toolu_2", "make deploy").await;
        decide(&world, &other, &json!({"decision": "deny"})).await;
        assert_eq!(told(held).await["behavior"], "deny");
    }
    // And only in that session.
    let other = world.begin("q").await;
    let (held, request) = ask(&world, &other, "toolu_1", "make").await;
    decide(&world, &request, &json!({"decision": "deny"})).await;
    told(held).await;
}

#[tokio::test]
async fn the_first_decision_wins_and_the_second_is_told_so() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    let path = format!("/api/permissions/{}/respond", request["id"].as_str().expect("an id"));
    let answers = [json!({"decision": "allow"}), json!({"decision": "deny"})];
    let all =
        futures_util::future::join_all((0..8).map(|n| world.post(&*path, &answers[n % 2]))).await;
    let won: Vec<_> = all.iter().filter(|a| a.status == 200).collect();
    assert_eq!(won.len(), 1, "{all:?}");
    assert!(all.iter().filter(|a| a.status != 200).all(|a| a.status == 409 && is_problem(a)));
    assert_eq!(told(held).await["behavior"], won[0].json()["verdict"]);
    // Much later, too.
    let late = world.post(&*path, &json!({"decision": "deny"})).await.expect(409);
    assert!(late.text().contains("already by api"), "{}", late.text());
}

#[tokio::test]
async fn confirm_answers_the_question_that_has_waited_longest() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let nothing = world.post("/api/sessions/p/respond", &json!({"confirm": true})).await;
    assert!(nothing.status == 409 && is_problem(&nothing), "{}", nothing.text());
    // Sub-agents ask beside one another.
    let ask = async |agent_id: &str, command: &str| {
        let own = json!({"tool_name": "Bash", "tool_input": {"command": command},
            "agent_id": agent_id, "agent_type": "Explore"});
        let held = world.begin_hook(&agent, "PermissionRequest", &own).await;
        world
            .wait_for("the question is known", async || {
                let all = world.get("/api/permissions?status=pending&session=p").await.rows();
                all.iter().any(|r| r["input"]["command"] == command)
            })
            .await;
        held
    };
    let first = ask("a1", "first").await;
    let second = ask("a2", "second").await;
    assert_eq!(world.session("p").await["permission_prompt"], "Bash: first");
    let answer = world.post("/api/sessions/p/respond", &json!({"confirm": true})).await.expect(200);
    assert_eq!(answer.json()["summary"], "Bash: first");
    assert_eq!(told(first).await["behavior"], "allow");
    let answer =
        world.post("/api/sessions/p/respond", &json!({"confirm": false})).await.expect(200);
    assert_eq!(answer.json()["summary"], "Bash: second");
    assert_eq!(told(second).await["behavior"], "deny");
}

#[tokio::test]
async fn the_command_line_lists_approves_and_denies() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    assert_eq!(world.cli(&["approve"]).await.code, Some(5), "nothing waits");
    let (held, _) = ask(&world, &agent, "toolu_1", "make\u{1b}[2J").await;
    let listed = world.cli(&["permissions"]).await.ok().stdout;
    assert!(listed.contains("Bash: make") && !listed.contains('\u{1b}'), "{listed:?}");
    let approved = world.cli(&["approve", "p", "--for-session", "--json"]).await.ok().json();
    assert_eq!((&approved["verdict"], &approved["decided_by"]), (&json!("allow"), &json!("cli")));
    assert_eq!(told(held).await["behavior"], "allow");
    let (held, request) = ask(&world, &agent, "toolu_2", "make clean").await;
    let id = request["id"].as_str().expect("an id");
    world.cli(&["deny", id, "-m", "no"]).await.ok();
    assert_eq!(told(held).await, json!({"behavior": "deny", "message": "no"}));
    let again = world.cli(&["approve", id]).await;
    assert!(again.code == Some(3) && again.stderr.contains("already"), "{}", again.stderr);
    let all = world.cli(&["permissions", "--all", "--json"]).await.ok().json();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    // A session's id is of the same kind as a request's.
    let (held, _) = ask(&world, &agent, "toolu_3", "make all").await;
    world.cli(&["approve", &agent.session]).await.ok();
    assert_eq!(told(held).await["behavior"], "allow");
    let nobody = world.cli(&["approve", &uuid::Uuid::new_v4().to_string()]).await;
    let listed = nobody.stderr.contains("`chorus permissions --all` lists them");
    assert!(nobody.code == Some(5) && listed, "{}", nobody.stderr);
}

#[tokio::test]
async fn a_question_that_is_answered_at_the_terminal_is_settled() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    // Yes, at the keyboard: the tool runs, the hook is let go without an opinion.
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "make")).await.ok();
    let settled = becomes(&world, &request, "answered_in_terminal").await;
    assert_eq!(
        (&settled["decided_by"], &settled["verdict"]),
        (&json!("terminal"), &json!("allow"))
    );
    assert_eq!(held.end().await.ok().stdout, "");
    // The turn ends: whatever was asked in it has been answered somehow.
    let (held, request) = ask(&world, &agent, "toolu_2", "make install").await;
    world.hook(&agent, "Stop", &json!({})).await.ok();
    becomes(&world, &request, "answered_in_terminal").await;
    assert_eq!(held.end().await.ok().stdout, "");
    world.wait_for_status("p", "idle").await;
    let late = decide_status(&world, &request).await;
    assert_eq!(late, 409);
}

async fn decide_status(world: &World, request: &Value) -> u16 {
    let id = request["id"].as_str().expect("an id");
    world.post(format!("/api/permissions/{id}/respond"), &json!({"decision": "allow"})).await.status
}

#[tokio::test]
async fn a_question_whose_claude_is_gone_is_cancelled() {
    let world = World::with_stand_in().await;
    for (name, end) in [("exit", "SessionEnd"), ("kill", "DELETE"), ("died", "SIGKILL")] {
        let agent = world.begin(name).await;
        let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
        match end {
            "SessionEnd" => {
                world.hook(&agent, end, &json!({"reason": "prompt_input_exit"})).await.ok();
            }
            "DELETE" => {
                world.cli(&["kill", name]).await.ok();
            }
            _ => crate::harness::signal(agent.pid, rustix::process::Signal::KILL),
        }
        becomes(&world, &request, "cancelled").await;
        assert_eq!(held.end().await.ok().stdout, "", "{end}");
        assert_eq!(decide_status(&world, &request).await, 409, "{end}");
    }
}

async fn a_held_question_survives_the_death_of_the_server(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("p").await;
    let (mut held, request) = ask(&world, &agent, "toolu_1", "make").await;
    for _ in 0..3 {
        world.kill9();
        assert!(held.is_waiting());
        world.start_again().await;
    }
    assert_eq!(world.wait_for_request("p").await["id"], request["id"], "the same question");
    decide(&world, &request, &json!({"decision": "deny", "message": "later"})).await;
    assert_eq!(told(held).await, json!({"behavior": "deny", "message": "later"}));
    becomes(&world, &request, "delivered").await;
    assert_eq!(world.get("/api/permissions").await.rows().len(), 1);
    // An orderly stop is no different.
    let (held, request) = ask(&world, &agent, "toolu_2", "make install").await;
    assert_eq!(world.stop().await, Some(0));
    world.start_again().await;
    decide(&world, &request, &json!({"decision": "allow"})).await;
    assert_eq!(told(held).await["behavior"], "allow");
}

#[tokio::test]
async fn a_decision_that_is_made_while_the_hook_is_away_waits_for_it() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    // It cannot come back while it is stopped.
    crate::harness::signal(held.pid(), rustix::process::Signal::STOP);
    world.kill9();
    world.start_again().await;
    let decided = decide(&world, &request, &json!({"decision": "allow"})).await;
    assert_eq!(decided["status"], "decided");
    // And once more, between the decision and its delivery.
    world.kill9();
    world.start_again().await;
    crate::harness::signal(held.pid(), rustix::process::Signal::CONT);
    assert_eq!(told(held).await["behavior"], "allow");
    becomes(&world, &request, "delivered").await;
}

#[tokio::test]
async fn a_decision_that_no_hook_came_for_is_settled_with_its_turn() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    crate::harness::signal(held.pid(), rustix::process::Signal::STOP);
    world.kill9();
    world.start_again().await;
    decide(&world, &request, &json!({"decision": "allow"})).await;
    world.hook(&agent, "Stop", &json!({})).await.ok();
    becomes(&world, &request, "answered_in_terminal").await;
    crate::harness::signal(held.pid(), rustix::process::Signal::CONT);
    assert_eq!(held.end().await.ok().stdout, "");
}

#[tokio::test]
async fn a_hook_that_leaves_takes_its_question_with_it_only_when_that_is_sure() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    held.kill().await;
    // Escape in the dialog closes it and the hook; the state file tells.
    world.write_state(&agent, "idle");
    becomes(&world, &request, "answered_in_terminal").await;
    world.wait_for_status("p", "idle").await;
}

#[tokio::test]
async fn secrets_are_shown_while_they_are_decided_about_and_gone_from_the_record_after() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let secret = format!("sk-ant-api03-{}", "Ab1_".repeat(23));
    let command = format!("curl -H 'x-api-key: {secret}' https://example.com");
    let (held, request) = ask(&world, &agent, "toolu_1", &command).await;
    assert_eq!(request["input"]["command"], *command);
    decide(&world, &request, &json!({"decision": "allow"})).await;
    told(held).await;
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", &command)).await.ok();
    let settled = becomes(&world, &request, "honoured").await;
    let logs = world.get("/api/sessions/p/logs").await.text();
    for text in [settled.to_string(), logs] {
        assert!(text.contains("curl") && !text.contains(&secret), "{text}");
    }
    let mut events = world.events(Some(0)).await;
    while let Some(event) = events.next_within(Duration::from_millis(200)).await {
        assert!(!event.data.to_string().contains(&secret), "{event:?}");
    }
}

async fn permissions_are_listed_by_status_and_session_page_by_page(store: Store) {
    let world = World::on(store).await;
    let (a, b) = (world.begin("a").await, world.begin("b").await);
    for n in 0..4 {
        let (held, request) = ask(&world, &a, &format!("toolu_{n}"), &format!("make {n}")).await;
        decide(&world, &request, &json!({"decision": "deny"})).await;
        told(held).await;
    }
    let (_held, _) = ask(&world, &b, "toolu_9", "make 9").await;
    let list = async |query: &str| world.get(format!("/api/permissions{query}")).await.rows();
    assert_eq!(list("").await.len(), 5);
    assert_eq!(list("?status=pending").await.len(), 1);
    assert_eq!(list("?session=a").await.len(), 4);
    assert_eq!(list("?session=claude-b&status=pending").await.len(), 1);
    assert_eq!(list(&format!("?session={}&status=pending", a.session)).await.len(), 0);
    let mut seen = Vec::new();
    let mut next = Some("/api/permissions?session=a&limit=3".to_owned());
    while let Some(path) = next {
        let page = world.get(path).await;
        seen.extend(page.rows().iter().map(|r| r["summary"].as_str().expect("text").to_owned()));
        next = page.next_page();
    }
    assert_eq!(seen, ["Bash: make 3", "Bash: make 2", "Bash: make 1", "Bash: make 0"]);
    for (query, status, field) in [
        ("?status=surprise", 422, "status"),
        ("?session=nobody", 404, ""),
        ("?limit=0", 422, "limit"),
        ("?limit=501", 422, "limit"),
        ("?cursor=x", 422, "cursor"),
    ] {
        let answer = world.get(format!("/api/permissions{query}")).await.expect(status);
        assert!(is_problem(&answer), "{}", answer.text());
        if !field.is_empty() {
            assert_eq!(answer.json()["errors"][0]["field"], field, "{query}: {}", answer.text());
        }
    }
}
