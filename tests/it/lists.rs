//! Lists: every row exactly once, page by page, while rows are added.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Agent, Store, World, on_both_stores};

on_both_stores! {
    tool_calls_come_in_order_and_once_even_of_one_millisecond
    messages_come_in_order_and_once_while_more_are_said
    a_message_with_the_same_key_is_made_once_also_after_a_restart
    sessions_come_once_while_others_begin
    a_session_with_the_same_key_is_made_once
    projects_are_added_found_renamed_and_removed
}

/// Reads all pages; `between` happens after each of them.
async fn pages(world: &World, first: &str, mut between: impl AsyncFnMut(usize)) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(first.to_owned());
    let mut n = 0;
    while let Some(path) = next {
        let page = world.get(path).await;
        let rows = page.rows();
        next = page.next_page();
        assert!(next.is_none() || !rows.is_empty());
        all.extend(rows);
        between(n).await;
        n += 1;
    }
    all
}

fn unique(rows: &[Value], key: &str) -> BTreeSet<String> {
    let all: Vec<String> = rows.iter().map(|r| r[key].to_string()).collect();
    let unique: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(unique.len(), all.len(), "a row came twice: {all:?}");
    unique
}

async fn tool_calls_come_in_order_and_once_even_of_one_millisecond(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("s").await;
    let now = chorus::clock::now().0;
    let add = async |n: usize, at: i64| {
        let call = Agent::called(&format!("toolu_{n:03}"), "ls");
        let request = world.hook_request(&agent, "PostToolUse", &call);
        request.header("x-chorus-at", at.to_string()).send().await.expect(204);
    };
    for n in 0..23 {
        add(n, now - 1_000).await;
    }
    let rows = pages(&world, "/api/sessions/s/logs?limit=5&tool=Bash", async |n| {
        add(100 + n, now - 500).await;
    })
    .await;
    let ids: Vec<_> = rows.iter().map(|r| r["tool_use_id"].as_str().expect("an id")).collect();
    assert!(ids.len() >= 23, "{ids:?}");
    let expected: Vec<String> = (0..23).map(|n| format!("toolu_{n:03}")).collect();
    assert_eq!(ids[..23], expected);
    unique(&rows, "id");
    assert!(world.get("/api/sessions/s/logs?tool=Read").await.rows().is_empty());
    assert!(world.get("/api/sessions/s/logs?status=error").await.rows().is_empty());
}

async fn messages_come_in_order_and_once_while_more_are_said(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("s").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    let add = async |n: usize| {
        let body = json!({"text": format!("prompt {n}"), "queue": true});
        let sent = world.post("/api/sessions/s/messages", &body).await.expect(202).json();
        assert_eq!(sent["delivery_status"], "queued");
    };
    for n in 0..12 {
        add(n).await;
    }
    let rows =
        pages(&world, "/api/sessions/s/messages?limit=5", async |n| add(100 + n).await).await;
    unique(&rows, "id");
    let said: Vec<_> = rows.iter().map(|r| r["content"].as_str().expect("text")).collect();
    assert_eq!(said[..12], (0..12).map(|n| format!("prompt {n}")).collect::<Vec<_>>());
    assert_eq!(world.session("s").await["queued_messages"].as_u64(), Some(12 + 3));
}

async fn a_message_with_the_same_key_is_made_once_also_after_a_restart(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("s").await;
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    let send = async || {
        let request =
            world.request("POST", "/api/sessions/s/send").header("idempotency-key", "k-1");
        request.json(&json!({"text": "once", "queue": true})).send().await.expect(202).json()
    };
    let (first, again) = tokio::join!(send(), send());
    assert_eq!(first["id"], again["id"]);
    world.kill9();
    world.start_again().await;
    assert_eq!(send().await["id"], first["id"]);
    assert_eq!(world.get("/api/sessions/s/messages").await.rows().len(), 1);
}

const S: [&str; 5] = [r#""s0""#, r#""s1""#, r#""s2""#, r#""s3""#, r#""s4""#];

async fn sessions_come_once_while_others_begin(store: Store) {
    let world = World::on(store).await;
    for n in 0..5 {
        world.create(&format!("s{n}"), &json!({})).await;
    }
    let rows = pages(&world, "/api/sessions?limit=2", async |n| {
        world.create(&format!("new-{n}"), &json!({})).await;
    })
    .await;
    unique(&rows, "id");
    let names = unique(&rows, "name");
    assert_eq!(names.iter().filter(|n| n.starts_with("\"s")).count(), 5, "{names:?}");
    // An ended one is hidden, and found by its name until that has another owner.
    world.delete("/api/sessions/s0").await.expect(204);
    let names = unique(&world.get("/api/sessions?limit=500").await.rows(), "name");
    assert!(!names.contains("\"s0\""), "{names:?}");
    assert_eq!(world.session("s0").await["status"], "completed");
    let all = pages(&world, "/api/sessions?all=true&q=S&limit=2", async |_| {}).await;
    let all = unique(&all, "name");
    assert_eq!(all.iter().map(String::as_str).collect::<Vec<_>>(), S);
    let ended = world.cli(&["ps", "--all"]).await.ok().stdout;
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(ended.contains("s0") && !listed.contains("s0"), "{ended}");
    assert!(world.get("/api/sessions?q=s_").await.rows().is_empty());
    let newer = world.create("s0", &json!({})).await;
    assert_eq!(world.session("s0").await["id"], *newer);
    assert_eq!(world.session("claude-s0").await["id"], *newer);
    for (query, count) in [("?status=active&limit=500", 8), ("?claude_status=idle", 0)] {
        assert_eq!(world.get(format!("/api/sessions{query}")).await.rows().len(), count, "{query}");
    }
}

async fn a_session_with_the_same_key_is_made_once(store: Store) {
    let world = World::on(store).await;
    let create = async || {
        let request = world.request("POST", "/api/sessions").header("idempotency-key", "k-1");
        request.json(&json!({"initial_prompt": "fix it"})).send().await.expect(201).json()
    };
    let (first, again) = tokio::join!(create(), create());
    assert_eq!(first["id"], again["id"]);
    world.kill9();
    world.start_again().await;
    assert_eq!(create().await["id"], first["id"]);
    assert_eq!(world.get("/api/sessions").await.rows().len(), 1);
}

#[tokio::test]
async fn the_key_of_a_session_that_was_refused_is_good_for_another_try() {
    let world = World::with_stand_in().await;
    let first = world.create("a", &json!({})).await;
    let create = async || {
        let request = world.request("POST", "/api/sessions").header("idempotency-key", "k-1");
        request.json(&json!({"name": "a"})).send().await
    };
    create().await.expect(409);
    create().await.expect(409);
    world.delete(format!("/api/sessions/{first}")).await.expect(204);
    let made = create().await.expect(201).json();
    assert_ne!(made["id"], *first);
    assert_eq!(create().await.expect(201).json()["id"], made["id"]);
}

async fn projects_are_added_found_renamed_and_removed(store: Store) {
    let world = World::on(store).await;
    let root = world.root().join("other");
    std::fs::create_dir(&root).expect("a folder");
    let body = json!({"root": root, "name": "Other"});
    let made = world.post("/api/projects", &body).await.expect(201);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("/api/projects/{id}"));
    assert_eq!(world.post("/api/projects", &body).await.expect(200).json()["id"], *id);
    let path = format!("/api/projects/{id}");
    world.patch(&*path, &json!({"name": "Another"})).await.expect(200);
    let default = world
        .wait_for("the default project is there", async || {
            let all = world.get("/api/projects").await.rows();
            all.into_iter().find(|p| p["id"] != *id)
        })
        .await;
    let taken = world.patch(&*path, &json!({"name": default["name"]})).await;
    assert_eq!(taken.status, 409, "{}", taken.text());
    world.kill9();
    world.start_again().await;
    assert_eq!(world.get(&*path).await.expect(200).json()["name"], "Another");
    world.delete(&*path).await.expect(204);
    world.get(&*path).await.expect(404);
    world.delete(&*path).await.expect(404);
    // The default one comes back when it is needed.
    let path = format!("/api/projects/{}", default["id"].as_str().expect("an id"));
    world.delete(&*path).await.expect(204);
    world.create("s", &json!({})).await;
}
