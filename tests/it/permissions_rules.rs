//! Rules: made, changed, removed, tried; and what they decide.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::harness::{World, is_problem};
use crate::permissions::{ask, becomes, decide, question, told};
use crate::permissions_decisions::ask_for;

async fn rule(world: &World, body: Value) -> Value {
    world.post("/api/permissions/rules", &body).await.expect(201).json()
}

/// Asks by `chorus hook` for a command that a rule decides; tells the answer and the request.
async fn decided(world: &World, agent: &crate::harness::Agent, command: &str) -> (Value, Value) {
    let answer = told(question(world, agent, command).await).await;
    let request = world.get("/api/permissions?limit=1").await.rows().remove(0);
    assert_eq!(request["input"]["command"], command);
    (answer, request)
}

#[tokio::test]
async fn rules_decide_in_their_order_and_the_request_says_which_did() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let allow = rule(&world, json!({"action": "allow", "tool": "Bash", "command": "git *"})).await;
    assert_eq!(allow["words"], "allow Bash with anything like: git *, everywhere");
    assert_eq!((&allow["decided"], &allow["created_by"]), (&json!([]), &json!("api")));
    let ask_first =
        rule(&world, json!({"action": "ask", "tool": "Bash", "command": "git push *"})).await;
    let deny = rule(
        &world,
        json!({"action": "deny", "tool": "*", "command": "git push --force *", "note": "never"}),
    )
    .await;

    let (answer, request) = decided(&world, &agent, "git status").await;
    assert_eq!(answer["behavior"], "allow");
    assert_eq!((&request["decided_by"], &request["verdict"]), (&json!("rule"), &json!("allow")));
    assert_eq!((&request["rule_id"], &request["rule"]), (&allow["id"], &allow["words"]));
    let (answer, request) = decided(&world, &agent, "ls; git push --force x").await;
    assert_eq!(request["rule_id"], deny["id"]);
    let why = answer["message"].as_str().expect("a reason");
    assert!(answer["behavior"] == "deny" && why.contains("(never)"), "{answer}");
    // What another command hides behind is for people, and so is what they want to be asked about.
    for (command, by) in
        [("git status; rm -rf /", Value::Null), ("git push", ask_first["id"].clone())]
    {
        let (held, request) = ask(&world, &agent, command, command).await;
        assert_eq!(
            (&request["status"], &request["rule_id"]),
            (&json!("pending"), &by),
            "{command}"
        );
        let request = decide(&world, &request, &json!({"decision": "deny"})).await;
        assert_eq!((&request["decided_by"], &request["rule_id"]), (&json!("api"), &by));
        told(held).await;
    }
    let hits = |rules: &[Value]| rules.iter().map(|r| r["hits"].clone()).collect::<Vec<_>>();
    let rules = world.get("/api/permissions/rules").await.rows();
    assert_eq!(hits(&rules), [1, 1, 1]);
    assert!(rules[0]["last_hit_at"].is_string());
    // All of it is there after a death as well.
    world.kill9();
    world.start_again().await;
    assert_eq!(world.get("/api/permissions/rules").await.rows(), rules);
    assert_eq!(decided(&world, &agent, "git log").await.1["rule_id"], allow["id"]);
}

#[tokio::test]
async fn a_rule_decides_what_waits_and_can_be_changed_and_removed() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make deploy").await;
    let made = rule(&world, json!({"action": "allow", "tool": "Bash", "command": "make *"})).await;
    assert_eq!(made["decided"], json!([request["id"]]));
    assert_eq!(told(held).await["behavior"], "allow");
    assert_eq!(becomes(&world, &request, "delivered").await["rule_id"], made["id"]);

    let path = format!("/api/permissions/rules/{}", made["id"].as_str().expect("an id"));
    let (held, request) = ask(&world, &agent, "toolu_2", "rm x").await;
    let changed =
        world.patch(&*path, &json!({"command": "rm *", "action": "deny"})).await.expect(200).json();
    assert_eq!(changed["decided"], json!([request["id"]]));
    assert_eq!(changed["words"], "deny Bash with anything like: rm *, everywhere");
    assert_eq!(told(held).await["behavior"], "deny");
    let any =
        world.patch(&*path, &json!({"command": null, "note": "why"})).await.expect(200).json();
    assert_eq!((any["command"].clone(), &any["note"]), (Value::Null, &json!("why")));
    assert_eq!(world.get(&*path).await.expect(200).json()["note"], "why");
    world.delete(&*path).await.expect(204);
    for answer in
        [world.get(&*path).await, world.delete(&*path).await, world.patch(&*path, &json!({})).await]
    {
        assert!(answer.status == 404 && is_problem(&answer), "{}", answer.text());
    }
    let (held, request) = ask(&world, &agent, "toolu_3", "rm x").await;
    decide(&world, &request, &json!({"decision": "allow"})).await;
    told(held).await;
    let acts: Vec<Value> = world
        .get("/api/audit?limit=500")
        .await
        .rows()
        .iter()
        .rev()
        .map(|e| e["action"].clone())
        .collect();
    let of_rules: Vec<&Value> =
        acts.iter().filter(|a| a.as_str().is_some_and(|a| a.starts_with("rule."))).collect();
    assert_eq!(of_rules, ["rule.created", "rule.changed", "rule.changed", "rule.removed"]);
}

#[tokio::test]
async fn a_rule_stays_in_its_project_and_session() {
    let world = World::with_stand_in().await;
    let (p, q) = (world.begin("p").await, world.begin("q").await);
    let project = world.session("p").await["project_id"].clone();
    rule(
        &world,
        json!({"action": "allow", "tool": "Bash", "command": "make *", "session_id": p.session}),
    )
    .await;
    rule(
        &world,
        json!({"action": "allow", "tool": "Bash", "command": "ls *", "project_id": project}),
    )
    .await;
    assert_eq!(decided(&world, &p, "make").await.0["behavior"], "allow");
    assert_eq!(decided(&world, &q, "ls").await.0["behavior"], "allow");
    let (held, request) = ask(&world, &q, "toolu_1", "make").await;
    decide(&world, &request, &json!({"decision": "deny"})).await;
    told(held).await;
    for (body, field) in [
        (json!({"action": "allow"}), "tool"),
        (json!({"action": "maybe", "tool": "Bash"}), "action"),
        (json!({"action": "allow", "tool": "Bash(ls)"}), "tool"),
        (json!({"action": "allow", "tool": "Bash", "command": ""}), "command"),
        (json!({"action": "allow", "tool": "Write", "path": "a/../b"}), "path"),
        (
            json!({"action": "allow", "tool": "Bash", "project_id": "01990000-0000-7000-8000-000000000000"}),
            "project_id",
        ),
        (
            json!({"action": "allow", "tool": "Bash", "session_id": "01990000-0000-7000-8000-000000000000"}),
            "session_id",
        ),
        (json!({"action": "allow", "tool": "Bash", "surprise": 1}), "surprise"),
    ] {
        for path in ["/api/permissions/rules", "/api/permissions/rules/preview"] {
            let refused = world.post(path, &body).await.expect(422);
            assert_eq!(
                refused.json()["errors"][0]["field"],
                field,
                "{path} {body}: {}",
                refused.text()
            );
        }
    }
}

#[tokio::test]
async fn a_file_is_allowed_where_it_really_is() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    fs::create_dir_all(world.project().join("src")).expect("a folder");
    fs::create_dir_all(world.root().join("outside")).expect("a folder");
    symlink(world.root().join("outside"), world.project().join("src/link")).expect("a link");
    let allow = rule(&world, json!({"action": "allow", "tool": "Write", "path": "src/**"})).await;
    let input = |path: &str| json!({"file_path": world.project().join(path), "content": "x"});
    let own = |path: &str| json!({"tool_name": "Write", "tool_input": input(path)});
    let held = world.begin_hook(&agent, "PermissionRequest", &own("src/new/a.rs")).await;
    assert_eq!(told(held).await["behavior"], "allow");
    for path in ["src/link/a.rs", "src/../b.rs", "src/link/../b.rs", "b.rs"] {
        let (held, request) = ask_for(&world, &agent, "Write", &input(path)).await;
        assert_eq!(request["rule_id"], Value::Null, "{path}");
        decide(&world, &request, &json!({"decision": "deny"})).await;
        told(held).await;
    }
    let outside = world.root().join("outside/**");
    let deny = rule(&world, json!({"action": "deny", "tool": "Write", "path": outside})).await;
    let held = world.begin_hook(&agent, "PermissionRequest", &own("src/link/a.rs")).await;
    assert_eq!(told(held).await["behavior"], "deny");
    let rules = world.get("/api/permissions/rules").await.rows();
    assert_eq!((&rules[0]["id"], &rules[1]["id"]), (&allow["id"], &deny["id"]));
    assert_eq!((&rules[0]["hits"], &rules[1]["hits"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_rule_is_tried_before_it_is_made() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    for (command, decision) in
        [("make a", "allow"), ("make b", "deny"), ("ls", "allow"), ("make; ls", "deny")]
    {
        let (held, request) = ask(&world, &agent, command, command).await;
        decide(&world, &request, &json!({"decision": decision})).await;
        told(held).await;
    }
    let wanted = json!({"action": "allow", "tool": "Bash", "command": "make *"});
    let preview = async |query: &str| {
        world.post(format!("/api/permissions/rules/preview{query}"), &wanted).await
    };
    let tried = preview("").await.expect(200).json();
    let counts =
        |p: &Value| [p["considered"].clone(), p["matched"].clone(), p["would_change"].clone()];
    assert_eq!(counts(&tried), [4, 2, 1]);
    assert_eq!(tried["examples"][0]["summary"], "Bash: make b");
    assert_eq!(
        (&tried["examples"][0]["was"], &tried["examples"][0]["would"]),
        (&json!("deny"), &json!("allow"))
    );
    assert_eq!(counts(&preview("?last=1").await.expect(200).json()), [1, 0, 0]);
    for query in ["?last=0", "?last=1001"] {
        assert_eq!(preview(query).await.expect(422).json()["errors"][0]["field"], "last");
    }
    assert_eq!(world.get("/api/permissions/rules").await.rows(), Vec::<Value>::new());
    let dry = world
        .cli(&["rules", "add", "deny", "--tool", "Bash", "--command", "ls *", "--dry-run"])
        .await
        .ok()
        .stdout;
    assert!(dry.contains("matches 2, and 1 would have ended otherwise"), "{dry}");
}

#[tokio::test]
async fn always_is_shown_in_words_before_it_is_made() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "npm test -- --fast").await;
    let id = request["id"].as_str().expect("an id");
    let proposals = world.get(format!("/api/permissions/{id}/rules")).await.rows();
    let words: Vec<&str> = proposals.iter().filter_map(|p| p["words"].as_str()).collect();
    assert_eq!(
        words,
        [
            "allow Bash with exactly: npm test -- --fast, in one project",
            "allow Bash with anything like: npm test *, in one project",
            "allow Bash with any input, in one project",
        ]
    );
    let unsaid = world.cli(&["approve", id, "--always"]).await;
    assert!(unsaid.code == Some(2) && unsaid.stderr.contains(words[1]), "{}", unsaid.stderr);
    assert_eq!(world.get("/api/permissions/rules").await.rows().len(), 0);
    let said = world.cli(&["approve", id, "--always", "--yes"]).await.ok();
    assert!(said.stdout.contains(words[0]), "{}", said.stdout);
    assert_eq!(told(held).await["behavior"], "allow");
    assert_eq!(decided(&world, &agent, "npm test -- --fast").await.0["behavior"], "allow");
    // Its project's end is its own.
    let elsewhere = world.root().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    let other = world.post("/api/projects", &json!({"root": elsewhere})).await.expect(201).json();
    rule(&world, json!({"action": "deny", "tool": "*", "project_id": other["id"]})).await;
    world
        .delete(format!("/api/projects/{}", other["id"].as_str().expect("an id")))
        .await
        .expect(204);
    assert_eq!(world.get("/api/permissions/rules").await.rows().len(), 1);
    let listed = world.cli(&["rules"]).await.ok().stdout;
    assert!(listed.contains(words[0]) && listed.contains("1 decided"), "{listed}");
    let rules = world.cli(&["rules", "--json"]).await.ok().json();
    world.cli(&["rules", "remove", rules[0]["id"].as_str().expect("an id")]).await.ok();
    let made = world
        .cli(&[
            "rules",
            "add",
            "allow",
            "--tool",
            "Bash",
            "--command",
            "npm *",
            "--project",
            "project",
        ])
        .await
        .ok();
    assert!(made.stdout.contains("in one project"), "{}", made.stdout);
    assert_eq!(decided(&world, &agent, "npm install").await.0["behavior"], "allow");
    let stranger =
        world.cli(&["rules", "add", "allow", "--tool", "Bash", "--project", "nowhere"]).await;
    assert!(stranger.code == Some(5) && stranger.stderr.contains("project"), "{}", stranger.stderr);
}

#[tokio::test]
async fn a_claude_makes_no_rules() {
    let world = World::with_stand_in().await;
    world.begin_with("p", &json!({"launch": {"env": {"STAND_IN": "shell"}}})).await;
    let chorus = env!("CARGO_BIN_EXE_chorus");
    let data = world.data().display();
    let ran = world
        .run_in_pane("p", &format!("{chorus} --data-dir {data} rules add allow --tool '*'"))
        .await;
    assert!(ran.code != Some(0) && ran.stderr.contains("for people"), "{}", ran.stderr);
    assert_eq!(world.get("/api/permissions/rules").await.rows().len(), 0);
}
