//! Tasks: making, finding, changing and removing them. The first specification's examples are here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Store, World, on_both_stores};

on_both_stores! {
    the_examples_of_the_first_specification_work
    a_task_with_the_same_key_is_made_once
    ids_are_never_given_twice
    tasks_come_once_in_every_order_while_others_are_made
    what_depends_on_what_is_kept_free_of_circles
    tasks_are_put_in_order_by_people
}

/// Makes a task and tells its id.
pub async fn make(world: &World, title: &str, extra: &Value) -> i64 {
    let mut body = json!({ "title": title });
    if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
        body.extend(extra.clone());
    }
    world.post("/api/tasks", &body).await.expect(201).json()["id"].as_i64().expect("an id")
}

/// A task, as the API shows it.
pub async fn task(world: &World, id: i64) -> Value {
    world.get(format!("/api/tasks/{id}")).await.expect(200).json()
}

async fn the_examples_of_the_first_specification_work(store: Store) {
    let world = World::on(store).await;
    let new = json!({
        "title": "Implement user authentication",
        "description": "Add login/logout endpoints using JWT...",
        "priority": 10,
    });
    let made = world.post("/api/tasks", &new).await.expect(201);
    assert_eq!(made.header("location"), "/api/tasks/1");
    let made = made.json();
    for (field, value) in [
        ("id", json!(1)),
        ("title", json!("Implement user authentication")),
        ("description", json!("Add login/logout endpoints using JWT...")),
        ("priority", json!(10)),
        ("status", json!("pending")),
        ("session_id", Value::Null),
        ("started_at", Value::Null),
        ("completed_at", Value::Null),
        ("result", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let listed = world.get("/api/tasks?status=pending&sort=priority").await.rows();
    assert_eq!(listed, std::slice::from_ref(&made));
    assert!(world.get("/api/tasks?status=completed").await.rows().is_empty());
    let shown = task(&world, 1).await;
    assert_eq!((&shown["id"], &shown["references"]), (&json!(1), &json!([])));
    let put = json!({ "title": "Implement login", "priority": 3 });
    let changed = world.request("PUT", "/api/tasks/1").json(&put).send().await.expect(200).json();
    assert_eq!((&changed["title"], &changed["priority"]), (&json!("Implement login"), &json!(3)));
    assert_eq!(changed["description"], "Add login/logout endpoints using JWT...");
    // "Build prompt", of its assign endpoint.
    let prompt = world.get("/api/tasks/1/prompt").await.expect(200).json();
    let text = "## Task: Implement login\n\nAdd login/logout endpoints using JWT...";
    assert_eq!(prompt["prompt"], text);

    let started = world.post("/api/tasks/1/start", &json!({})).await.expect(200).json();
    assert_eq!(started["status"], "assigned");
    assert!(started["started_at"].is_string() && started["session_id"].is_string());
    let session = started["session_id"].as_str().expect("a session").to_owned();
    let view = world.session(&session).await;
    assert_eq!((&view["task_id"], &view["name"]), (&json!(1), &json!("implement-login")));
    let result = json!({ "result": "Implemented auth with JWT, added tests" });
    let done = world.post("/api/tasks/1/complete", &result).await.expect(200).json();
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &result["result"]));
    assert!(done["completed_at"].is_string());
    assert_eq!(world.session(&session).await["status"], "completed", "its session has ended");
    let history = task(&world, 1).await["history"].clone();
    assert_eq!(
        (&history[0]["number"], &history[0]["outcome"], &history[0]["prompt"]),
        (&json!(1), &json!("completed"), &json!(text))
    );

    let other = make(&world, "Another", &json!({})).await;
    world.post(format!("/api/tasks/{other}/start"), &json!({})).await.expect(200);
    // Without a body, as the specification has it.
    let failed = world.request("POST", format!("/api/tasks/{other}/fail")).send().await.expect(200);
    assert_eq!(failed.json()["status"], "failed");
    world.delete(format!("/api/tasks/{other}")).await.expect(204);
    world.get(format!("/api/tasks/{other}")).await.expect(404);
    let refused = world.delete("/api/tasks/1").await.expect(409).text();
    assert!(refused.contains("completed"), "{refused}");

    let audit = world.get("/api/audit?limit=500").await.expect(200).text();
    for action in [
        "task.created",
        "task.changed",
        "task.started",
        "task.completed",
        "task.failed",
        "task.deleted",
    ] {
        assert!(audit.contains(action), "{action} is in {audit}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_field() {
    let world = World::with_stand_in().await;
    make(&world, "one", &json!({})).await;
    for (body, field) in [
        (json!({}), "title"),
        (json!({ "title": " " }), "title"),
        (json!({ "title": "x", "priority": 1e9 as i64 }), "priority"),
        (json!({ "title": "x", "labels": ["a,b"] }), "labels"),
        (json!({ "title": "x", "depends_on": [77] }), "depends_on"),
        (
            json!({ "title": "x", "project_id": "01980000-0000-7000-8000-000000000000" }),
            "project_id",
        ),
        (json!({ "title": "x", "description": "a\u{1b}b" }), "description"),
        (json!({ "title": "x", "description": "y".repeat(103_000) }), "description"),
        (
            json!({ "title": "x", "description": "/compact", "options": { "plain": true } }),
            "description",
        ),
        (json!({ "title": "x", "options": { "workspace_path": "/" } }), "options.workspace_path"),
        (
            json!({ "title": "x", "options": { "launch": { "extra_args": ["--resume"] } } }),
            "options.launch.extra_args[0]",
        ),
        (json!({ "title": "x", "options": { "prompt_as": "song" } }), "options.prompt_as"),
        (json!({ "title": "x", "colour": "red" }), "colour"),
    ] {
        let problem = world.post("/api/tasks", &body).await.expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for (body, field) in
        [(json!({ "priority": "high" }), "priority"), (json!({ "depends_on": [9] }), "depends_on")]
    {
        let problem = world.patch("/api/tasks/1", &body).await.expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    for query in
        ["sort=colour", "status=busy", "cursor=0_x", "cursor=0_1-2", "limit=0", "project_id=1"]
    {
        world.get(format!("/api/tasks?{query}")).await.expect(422);
    }
    for path in
        ["/api/tasks/77", "/api/tasks/x", "/api/tasks/-1", "/api/tasks/99999999999999999999"]
    {
        world.get(path).await.expect(404);
    }
    world.get("/api/tasks?session=nobody").await.expect(404);
    world.post("/api/tasks/1/assign", &json!({ "session_id": "nobody" })).await.expect(404);
    for (verb, allowed) in [("complete", "assigned"), ("fail", "assigned"), ("retry", "failed")] {
        let refused =
            world.post(format!("/api/tasks/1/{verb}"), &json!({})).await.expect(409).text();
        assert!(refused.contains("pending") && refused.contains(allowed), "{refused}");
    }
    for verb in ["send", "respond", "restart-claude"] {
        let body = match verb {
            "send" => json!({ "text": "x" }),
            "respond" => json!({ "confirm": true }),
            _ => json!({}),
        };
        let refused = world.post(format!("/api/tasks/1/{verb}"), &body).await.expect(409).text();
        assert!(refused.contains("chorus task start 1"), "{refused}");
    }
    let ids = |ids: Value| json!({ "ids": ids });
    for bad in [json!([]), json!([1, 1]), json!([1, 77])] {
        world.request("PUT", "/api/tasks/order").json(&ids(bad)).send().await.expect(422);
    }
    // Nothing of all this has left a trace.
    assert_eq!(world.get("/api/tasks").await.rows().len(), 1);
    let project = world.default_project().await;
    let refused = world.delete(format!("/api/projects/{project}")).await.expect(409).text();
    assert!(refused.contains("has tasks"), "{refused}");
}

async fn a_task_with_the_same_key_is_made_once(store: Store) {
    let world = World::on(store).await;
    let create = async || {
        let request = world.request("POST", "/api/tasks").header("idempotency-key", "k-1");
        request.json(&json!({ "title": "once" })).send().await.expect(201).json()
    };
    let (first, again) = tokio::join!(create(), create());
    assert_eq!(first["id"], again["id"]);
    world.kill9();
    world.start_again().await;
    assert_eq!(create().await["id"], first["id"]);
    assert_eq!(world.get("/api/tasks").await.rows().len(), 1);
}

async fn ids_are_never_given_twice(store: Store) {
    let world = World::on(store).await;
    for expected in 1..=3 {
        assert_eq!(make(&world, "t", &json!({})).await, expected);
    }
    for id in [3, 2] {
        world.delete(format!("/api/tasks/{id}")).await.expect(204);
    }
    world.kill9();
    world.start_again().await;
    assert_eq!(make(&world, "t", &json!({})).await, 4);
}

async fn tasks_come_once_in_every_order_while_others_are_made(store: Store) {
    let world = World::on(store).await;
    for n in 0..9_i64 {
        let extra =
            json!({ "priority": n % 3 - 1, "labels": [if n % 2 == 0 { "even" } else { "odd" }] });
        make(&world, &format!("t{n}"), &extra).await;
    }
    for id in [2, 5] {
        world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(200);
        world.post(format!("/api/tasks/{id}/fail"), &json!({ "reason": "no" })).await.expect(200);
    }
    let all = async |query: &str| {
        let mut ids = Vec::new();
        let mut next = Some(format!("/api/tasks?limit=2&{query}"));
        while let Some(path) = next {
            let page = world.get(path).await;
            ids.extend(page.rows().iter().map(|t| t["id"].as_i64().expect("an id")));
            next = page.next_page();
            make(&world, "later", &json!({ "priority": -5, "labels": ["later"] })).await;
        }
        let unique: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "one came twice: {ids:?}");
        ids.retain(|id| *id <= 9);
        ids
    };
    assert_eq!(all("sort=priority").await, [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    assert_eq!(all("sort=created_at").await, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(all("sort=status").await, [3, 6, 9, 8, 1, 4, 7, 2, 5], "failed ones come last");
    assert_eq!(all("label=odd").await, [6, 2, 8, 4]);
    assert_eq!(all("label=odd&status=pending&sort=created_at").await, [8, 6, 4]);
    assert_eq!(all("status=failed").await, [2, 5]);
    assert_eq!(all("q=T2").await, [3], "the third one is t2");
    assert_eq!(all("q=t&label=odd&sort=created_at").await, [8, 6, 4, 2]);
    assert_eq!(all("q=%25").await, [0; 0]);
    let project = world.default_project().await;
    assert_eq!(all(&format!("project_id={project}&status=failed")).await, [2, 5]);
    let failed = task(&world, 2).await;
    let session = failed["session_id"].as_str().expect("a session");
    assert_eq!(all(&format!("session={session}")).await, [2]);
    assert_eq!(failed["result"], "no");
}

async fn what_depends_on_what_is_kept_free_of_circles(store: Store) {
    let world = World::on(store).await;
    let a = make(&world, "a", &json!({})).await;
    let b = make(&world, "b", &json!({ "depends_on": [a] })).await;
    let c = make(&world, "c", &json!({ "depends_on": [b, a] })).await;
    let shown = task(&world, c).await;
    assert_eq!((&shown["depends_on"], &shown["ready"]), (&json!([a, b]), &json!(false)));
    assert_eq!(shown["dependencies"][1], json!({ "id": b, "title": "b", "status": "pending" }));
    let needs = |need: i64| json!({ "depends_on": [need] });
    let circle = world.patch(format!("/api/tasks/{a}"), &needs(c)).await.expect(422).json();
    let why = circle["errors"][0]["problem"].as_str().expect("why");
    assert!(why.contains(&format!("{a} → {c} → ")) && why.ends_with(&format!(" → {a}")), "{why}");
    world.patch(format!("/api/tasks/{a}"), &needs(a)).await.expect(422);
    let refused = world.delete(format!("/api/tasks/{a}")).await.expect(409).text();
    assert!(refused.contains(&format!("task {b} depends on task {a}")), "{refused}");
    // Two halves of a circle at the same time: one of them is refused.
    let d = make(&world, "d", &json!({})).await;
    let (one, other) = (format!("/api/tasks/{a}"), format!("/api/tasks/{d}"));
    let (one_needs, other_needs) = (needs(d), needs(a));
    let (one, other) = tokio::join!(world.patch(one, &one_needs), world.patch(other, &other_needs));
    assert_eq!(one.status + other.status, 200 + 422, "{} {}", one.text(), other.text());
    // What is free again can be deleted, from the end.
    world.patch(format!("/api/tasks/{b}"), &json!({ "depends_on": [] })).await.expect(200);
    world.delete(format!("/api/tasks/{c}")).await.expect(204);
    world.delete(format!("/api/tasks/{b}")).await.expect(204);
}

async fn tasks_are_put_in_order_by_people(store: Store) {
    let world = World::on(store).await;
    for n in 1..=4 {
        make(&world, &format!("t{n}"), &json!({ "priority": i64::from(n == 4) })).await;
    }
    let order = json!({ "ids": [3, 1] });
    let moved =
        world.request("PUT", "/api/tasks/order").json(&order).send().await.expect(200).rows();
    assert_eq!((&moved[0]["id"], &moved[0]["position"]), (&json!(3), &json!(1)));
    world.kill9();
    world.start_again().await;
    let ids: Vec<Value> =
        world.get("/api/tasks").await.rows().iter().map(|t| t["id"].clone()).collect();
    assert_eq!(ids, [4, 3, 2, 1], "the more important one comes first all the same");
}

#[tokio::test]
async fn references_go_with_the_task_and_a_deleted_file_is_named() {
    let world = World::with_stand_in().await;
    let docs = world.project().join("docs");
    std::fs::create_dir_all(&docs).expect("a folder");
    std::fs::write(docs.join("auth.md"), "# Auth\none\ntwo\nthree\n").expect("a document");
    let references =
        json!(["docs/auth.md:2-3", { "document": "docs/auth.md", "start_line": 4, "note": "why" }]);
    let id = make(&world, "t", &json!({ "references": references })).await;
    let shown = task(&world, id).await;
    let of = |n: usize| {
        let r = &shown["references"][n];
        (
            r["document_path"].clone(),
            r["start_line"].clone(),
            r["end_line"].clone(),
            r["note"].clone(),
        )
    };
    assert_eq!(of(0), (json!("docs/auth.md"), json!(2), json!(3), Value::Null));
    assert_eq!(of(1), (json!("docs/auth.md"), json!(4), json!(4), json!("why")));
    let prompt = world.get(format!("/api/tasks/{id}/prompt")).await.expect(200).json();
    let text = prompt["prompt"].as_str().expect("a prompt");
    assert!(text.contains("### From docs/auth.md (lines 4-4):\nwhy\n```\nthree\n```"), "{text}");
    for (bad, why) in [
        ("docs/none.md", "no document"),
        ("../../etc/passwd", ""),
        ("/etc/passwd", ""),
        ("docs/auth.md:3-99", "lines"),
        ("docs/auth.md#Nowhere", "no heading"),
    ] {
        let body = json!({ "title": "x", "references": ["docs/auth.md", bad] });
        let problem = world.post("/api/tasks", &body).await.expect(422).json();
        assert_eq!(problem["errors"][0]["field"], "references[1]", "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(why)), "{problem}");
    }
    assert_eq!(world.get("/api/tasks").await.rows().len(), 1, "none was made");
    std::fs::remove_file(docs.join("auth.md")).expect("removed");
    let start = format!("/api/tasks/{id}/start");
    let refused = world.post(&*start, &json!({})).await.expect(409).text();
    assert!(refused.contains("docs/auth.md"), "{refused}");
    assert_eq!(task(&world, id).await["status"], "pending");
    let started = world.post(&*start, &json!({ "use_stored_text": true })).await.expect(200).json();
    assert_eq!(started["status"], "assigned");
    assert!(
        task(&world, id).await["history"][0]["prompt"]
            .as_str()
            .is_some_and(|p| p.contains("one\ntwo"))
    );
    world.post(format!("/api/tasks/{id}/fail"), &json!({})).await.expect(200);
    world.delete(format!("/api/tasks/{id}")).await.expect(204);
}
