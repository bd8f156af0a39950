//! References: they follow their text, and say so when it was changed.

use std::fs;

use serde_json::{Value, json};

use crate::documents::{document, files};
use crate::harness::{Store, World, is_problem, on_both_stores};

on_both_stores! {
    a_reference_follows_its_text_and_shows_what_was_changed
    a_reference_keeps_its_text_when_the_file_is_gone
}

const SPEC: &str = "# Auth\n\nIntro.\n\n## Log in\n\nUsers log in with a password.\nThree tries.\n\n## Log out\n\nAt once.\n";

async fn reference(world: &World, document: &Value, body: Value) -> Value {
    let path = format!("/api/documents/{}/references", document["id"]);
    world.post(path, &body).await.expect(201).json()
}

async fn shown(world: &World, reference: &Value) -> Value {
    world.get(format!("/api/references/{}", reference["id"])).await.expect(200).json()
}

fn place(reference: &Value) -> (Value, Value, Value) {
    (reference["state"].clone(), reference["start_line"].clone(), reference["end_line"].clone())
}

fn at(state: &str, start: u32, end: u32) -> (Value, Value, Value) {
    (json!(state), json!(start), json!(end))
}

/// Writes a file and waits until the server has told of it.
async fn write(world: &World, path: &str, text: &str) {
    let mut events = world.events(None).await;
    files(world, &[(path, text)]);
    events.find("the change", |e| e.kind == "document_change" && e.data["path"] == path).await;
}

async fn a_reference_follows_its_text_and_shows_what_was_changed(store: Store) {
    let world = World::on(store).await;
    files(&world, &[("docs/auth-spec.md", SPEC)]);
    let spec = document(&world, "docs/auth-spec.md").await;
    let body = json!({"start_line": 5, "end_line": 8, "note": "Authentication requirements"});
    let made = reference(&world, &spec, body).await;
    let text = "## Log in\n\nUsers log in with a password.\nThree tries.";
    assert_eq!(place(&made), at("current", 5, 8));
    assert_eq!((&made["content"], &made["stored"]), (&json!(text), &Value::Null));
    assert_eq!(
        (&made["document"]["id"], &made["document"]["path"]),
        (&spec["id"], &json!("docs/auth-spec.md"))
    );
    assert_eq!(
        (&made["document_path"], &made["note"]),
        (&json!("docs/auth-spec.md"), &json!("Authentication requirements"))
    );
    assert_eq!(shown(&world, &made).await, made);
    assert_eq!(document(&world, "docs/auth-spec.md").await["references"], 1);

    // Moved down, by other line ends as well; the file moved, too.
    write(&world, "docs/auth-spec.md", &format!("New.\r\n{}", SPEC.replace('\n', "\r\n"))).await;
    let moved = shown(&world, &made).await;
    assert_eq!((place(&moved), &moved["content"]), (at("moved", 6, 9), &json!(text)));
    let project = world.project();
    fs::rename(project.join("docs/auth-spec.md"), project.join("docs/auth.md")).expect("moved");
    document(&world, "docs/auth.md").await;
    let moved = shown(&world, &made).await;
    assert_eq!(
        (place(&moved), &moved["document_path"]),
        (at("moved", 6, 9), &json!("docs/auth.md"))
    );
    // Back where it was.
    write(&world, "docs/auth.md", SPEC).await;
    assert_eq!(place(&shown(&world, &made).await), at("current", 5, 8));

    // Changed: both versions are shown, again and again, until somebody accepts the new one.
    let changed = SPEC.replace("Three tries.", "Five tries.\nThen a pause.");
    write(&world, "docs/auth.md", &format!("More.\n{changed}")).await;
    for _ in 0..2 {
        let drifted = shown(&world, &made).await;
        assert_eq!(place(&drifted), at("drifted", 6, 9));
        assert_eq!(drifted["content"], "## Log in\n\nUsers log in with a password.\nFive tries.");
        assert_eq!(drifted["stored"], json!({"start_line": 5, "end_line": 8, "content": text}));
        assert_eq!(drifted["fingerprint"], made["fingerprint"]);
    }
    world.kill9();
    world.start_again().await;
    assert_eq!(place(&shown(&world, &made).await), at("drifted", 6, 9));
    let address = format!("/api/references/{}", made["id"]);
    let other =
        world.patch(&*address, &json!({"start_line": 6, "end_line": 10, "note": null})).await;
    let other = other.expect(200).json();
    assert_eq!((place(&other), &other["note"]), (at("current", 6, 10), &Value::Null));
    assert!(other["content"].as_str().is_some_and(|c| c.ends_with("Then a pause.")), "{other}");
    write(&world, "docs/auth.md", &format!("More.\n{}", changed.replace("Five", "Six"))).await;
    assert_eq!(place(&shown(&world, &made).await), at("drifted", 6, 10));
    let accepted = world.patch(&*address, &json!({"accept": true})).await.expect(200).json();
    assert_eq!((place(&accepted), &accepted["stored"]), (at("current", 6, 10), &Value::Null));
    assert!(accepted["content"].as_str().is_some_and(|c| c.contains("Six tries.")), "{accepted}");
    world.delete(&*address).await.expect(204);
    world.delete(&*address).await.expect(404);
    world.get(&*address).await.expect(404);
}

async fn a_reference_keeps_its_text_when_the_file_is_gone(store: Store) {
    let world = World::on(store).await;
    files(&world, &[("docs/spec.md", SPEC), ("docs/other.md", SPEC)]);
    let spec = document(&world, "docs/spec.md").await;
    let made = reference(&world, &spec, json!({"start_line": 1, "end_line": 3})).await;
    let mut events = world.events(None).await;
    for path in ["docs/spec.md", "docs/other.md"] {
        fs::remove_file(world.project().join(path)).expect("removed");
    }
    for _ in 0..2 {
        let gone = events.find("the end of both", |e| e.kind == "document_change").await;
        assert_eq!(gone.data["change"], "deleted");
    }
    // The one that something refers to is kept.
    let rows = world.get("/api/documents?missing=true").await.rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["id"], &rows[0]["missing"]), (&spec["id"], &json!(true)));
    let lost = shown(&world, &made).await;
    assert_eq!((place(&lost), &lost["content"]), (at("missing", 1, 3), &Value::Null));
    assert_eq!(lost["stored"]["content"], "# Auth\n\nIntro.");
    assert_eq!(lost["document"]["missing"], true);
    let address = format!("/api/references/{}", made["id"]);
    let refused = world.patch(&*address, &json!({"accept": true})).await.expect(409);
    assert!(refused.text().contains("docs/spec.md"), "{}", refused.text());
    world.get(format!("/api/documents/{}", spec["id"])).await.expect(409);
    // It comes back with the file: the same document.
    write(&world, "docs/spec.md", &format!("x\n{SPEC}")).await;
    assert_eq!(document(&world, "docs/spec.md").await["id"], spec["id"]);
    assert_eq!(place(&shown(&world, &made).await), at("moved", 2, 4));
    // A text that is not UTF-8 any more cannot be looked at.
    let mut events = world.events(None).await;
    fs::write(world.project().join("docs/spec.md"), b"\xff\xfe").expect("a file");
    events.find("the change", |e| e.kind == "document_change").await;
    assert_eq!(shown(&world, &made).await["state"], "missing");
    fs::remove_file(world.project().join("docs/spec.md")).expect("removed");
    events.find("the end", |e| e.data["change"] == "deleted").await;
    // Without anything that refers to it, it goes.
    world.delete(&*address).await.expect(204);
    assert!(world.get("/api/documents").await.rows().is_empty());
}

#[tokio::test]
async fn references_are_listed_and_refused() {
    let world = World::with_stand_in().await;
    files(&world, &[("docs/spec.md", SPEC), ("docs/empty.md", "")]);
    let spec = document(&world, "docs/spec.md").await;
    let empty = document(&world, "docs/empty.md").await;
    for n in 1..=5 {
        reference(&world, &spec, json!({"start_line": n, "end_line": n})).await;
    }
    let list = format!("/api/documents/{}/references", spec["id"]);
    let (mut lines, mut next) = (Vec::new(), Some(format!("{list}?limit=2")));
    while let Some(page) = next {
        let page = world.get(page).await;
        lines.extend(page.rows().iter().map(|r| r["start_line"].clone()));
        next = page.next_page();
    }
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    for (body, field) in [
        (json!({"start_line": 0, "end_line": 1}), "start_line"),
        (json!({"start_line": 3, "end_line": 2}), "end_line"),
        (json!({"start_line": 13, "end_line": 13}), "start_line"),
        (json!({"start_line": 1, "end_line": 13}), "end_line"),
        (json!({"start_line": -1, "end_line": 13}), "start_line"),
        (json!({"start_line": 1}), "end_line"),
        (json!({"start_line": 1, "end_line": 1, "task_id": 12345}), "task_id"),
        (json!({"start_line": 1, "end_line": 1, "note": "x".repeat(2_001)}), "note"),
        (json!({"start_line": 1, "end_line": 1, "surprise": 1}), "surprise"),
    ] {
        let refused = world.post(&*list, &body).await.expect(422);
        assert!(is_problem(&refused), "{}", refused.text());
        assert_eq!(refused.json()["errors"][0]["field"], field, "{}", refused.text());
    }
    let of_empty = format!("/api/documents/{}/references", empty["id"]);
    world.post(of_empty, &json!({"start_line": 1, "end_line": 1})).await.expect(422);
    assert_eq!(world.get(&*list).await.rows().len(), 5);
    let first = world.get(&*list).await.rows().remove(0);
    let address = format!("/api/references/{}", first["id"]);
    for (body, field) in [
        (json!({"start_line": 2}), "end_line"),
        (json!({"end_line": 2}), "start_line"),
        (json!({"start_line": 2, "end_line": 99}), "end_line"),
    ] {
        let refused = world.patch(&*address, &body).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{}", refused.text());
    }
    assert_eq!(shown(&world, &first).await, first);
    for path in ["/api/references/0", "/api/references/x"] {
        assert_eq!(world.get(path).await.status, 404);
    }
}
