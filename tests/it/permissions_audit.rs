//! The audit log: who did what, and that nobody has written over it.

use serde_json::{Value, json};

use crate::harness::World;
use crate::permissions::{ask, decide, told};

async fn actions(world: &World, query: &str) -> Vec<String> {
    let rows = world.get(format!("/api/audit{query}")).await.rows();
    rows.iter().filter_map(|e| e["action"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_people_and_rules_do_is_written_down_once() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    decide(&world, &request, &json!({"decision": "allow", "for_session": true})).await;
    told(held).await;
    world.cli(&["restart", "p"]).await.ok();
    world.cli(&["kill", "p"]).await.ok();
    world.cli(&["kill", "p"]).await.ok();
    let all = world.get("/api/audit").await.rows();
    let told: Vec<_> = all
        .iter()
        .rev()
        .map(|e| {
            (
                e["action"].as_str().unwrap_or_default(),
                e["actor"]["kind"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("project.added", "chorus"),
            ("session.created", "api"),
            ("permission.decided", "api"),
            ("rule.created", "api"),
            ("session.restarted", "cli"),
            ("session.ended", "cli"),
        ]
    );
    let ids: Vec<i64> = all.iter().rev().filter_map(|e| e["id"].as_i64()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    let decided = &all[3];
    assert_eq!(
        (&decided["subject_id"], &decided["session_id"]),
        (&request["id"], &json!(agent.session))
    );
    assert_eq!(
        (&decided["data"]["summary"], &decided["data"]["for_session"]),
        (&json!("Bash: make"), &json!(true))
    );

    assert_eq!(actions(&world, "?action=rule.created").await, ["rule.created"]);
    assert_eq!(actions(&world, "?actor=cli").await, ["session.ended", "session.restarted"]);
    assert_eq!(actions(&world, "?session=p&limit=2").await.len(), 2);
    assert_eq!(
        actions(&world, &format!("?subject={}", request["id"].as_str().expect("an id")))
            .await
            .len(),
        1
    );
    world.get("/api/audit?session=nobody").await.expect(404);
    let mut seen = 0;
    let mut next = Some("/api/audit?limit=4".to_owned());
    while let Some(path) = next {
        let page = world.get(path).await;
        seen += page.rows().len();
        next = page.next_page();
    }
    assert_eq!(seen, 6);
    let shown = world.cli(&["audit", "--session", "p"]).await.ok().stdout;
    assert!(shown.contains("permission.decided") && shown.contains("allow Bash: make"), "{shown}");
    let whole = world.cli(&["audit", "verify"]).await.ok().stdout;
    assert!(whole.starts_with("whole: 6 entries"), "{whole}");
}

#[tokio::test]
async fn that_a_call_was_allowed_with_changed_input_is_shown() {
    let world = World::with_stand_in().await;
    let agent = world.begin("p").await;
    let (held, request) = ask(&world, &agent, "toolu_1", &"make ".repeat(60)).await;
    let instead = json!({"decision": "allow", "updated_input": {"command": "make test"}});
    decide(&world, &request, &instead).await;
    told(held).await;
    let shown = world.cli(&["audit", "--action", "permission.decided"]).await.ok().stdout;
    let expected = "allow with changed input Bash: make test (asked for Bash: make make";
    assert!(shown.contains(expected), "{shown}");
}

#[tokio::test]
async fn a_row_that_was_tampered_with_is_found() {
    let world = World::with_stand_in().await;
    for name in ["a", "b", "c", "d"] {
        world.begin(name).await;
    }
    let verify = async || {
        world.start_again().await;
        let shown = world.cli(&["audit", "verify"]).await;
        let found = world.get("/api/audit/verify").await.expect(200).json();
        world.kill9();
        assert_eq!(shown.code == Some(0), found["ok"] == true, "{}", shown.stdout);
        (found["bad"]["entry"]["id"].clone(), found["bad"]["damage"].clone())
    };
    world.kill9();
    assert_eq!(verify().await, (Value::Null, Value::Null));
    for (tamper, mend, found) in [
        (
            "UPDATE audit_log SET data = replace(data, '\"b\"', '\"x\"') WHERE id = 3",
            "UPDATE audit_log SET data = replace(data, '\"x\"', '\"b\"') WHERE id = 3",
            (json!(3), json!("changed")),
        ),
        (
            "UPDATE audit_log SET id = CASE id WHEN 3 THEN -4 ELSE -3 END WHERE id IN (3, 4); UPDATE audit_log SET id = -id WHERE id < 0",
            "UPDATE audit_log SET id = CASE id WHEN 3 THEN -4 ELSE -3 END WHERE id IN (3, 4); UPDATE audit_log SET id = -id WHERE id < 0",
            (json!(3), json!("reordered")),
        ),
        (
            "UPDATE audit_log SET at = at + 1 WHERE id = 1",
            "UPDATE audit_log SET at = at - 1 WHERE id = 1",
            (json!(1), json!("changed")),
        ),
        ("DELETE FROM audit_log WHERE id = 3", "SELECT 1", (json!(4), json!("missing"))),
    ] {
        world.sql(tamper).await;
        assert_eq!(verify().await, found, "{tamper}");
        world.sql(mend).await;
    }
}
