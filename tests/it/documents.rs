//! Documents: found, told of, read, written, and never from outside of their root.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Events, Store, World, on_both_stores};

on_both_stores! {
    documents_are_found_and_listed_in_order
    what_happens_to_files_is_told_while_the_server_runs_and_after_it_was_killed
    patterns_are_changeable_by_project
}

/// Writes files below the project.
pub fn files(world: &World, files: &[(&str, &str)]) {
    for (path, text) in files {
        put(&world.project().join(path), text);
    }
}

pub fn put(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, text).expect("a file");
}

/// A path as a part of an address.
pub fn encoded(path: &str) -> String {
    path.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Waits until a file is a document, and tells it.
pub async fn document(world: &World, path: &str) -> Value {
    world
        .wait_for(&format!("{path} is a document"), async || {
            let rows = world.get("/api/documents?missing=false&limit=500").await.rows();
            rows.into_iter().find(|d| d["path"] == path)
        })
        .await
}

pub async fn paths(world: &World, query: &str) -> Vec<String> {
    let rows = world.get(format!("/api/documents{query}")).await.rows();
    rows.iter().map(|d| d["path"].as_str().expect("a path").to_owned()).collect()
}

/// Waits for what becomes of a file.
pub async fn told(events: &mut Events, change: &str, path: &str) -> Value {
    let what = format!("{path} was {change}");
    let event = events.find(&what, |e| e.kind == "document_change" && e.data["path"] == path).await;
    assert_eq!(event.data["change"], change, "{}", event.data);
    event.data
}

async fn documents_are_found_and_listed_in_order(store: Store) {
    let world = World::on(store).await;
    files(
        &world,
        &[
            ("README.md", "# Read me\n"),
            ("CLAUDE.md", "# Rules\n"),
            ("plans/next.md", "# Next\n"),
            ("docs/b.md", "b"),
            ("docs/a/deep.md", "a"),
            (".claude/commands/x.md", "x"),
            (".gitignore", "docs/made/\n.claude\n"),
            ("docs/made/x.md", "no"),
            ("src/notes.md", "no"),
            ("docs/picture.png", "no"),
            ("node_modules/p/README.md", "no"),
        ],
    );
    let expected = [
        ".claude/commands/x.md",
        "CLAUDE.md",
        "README.md",
        "docs/a/deep.md",
        "docs/b.md",
        "plans/next.md",
    ];
    assert_eq!(paths(&world, "?discover=true").await, expected);
    let plan = document(&world, "plans/next.md").await;
    assert_eq!((&plan["category"], &plan["pinned"]), (&json!("plans"), &json!(false)));
    let address = format!("/api/documents/{}", plan["id"]);
    let patch = json!({"pinned": true, "description": "what <b> 100% matters"});
    let pinned = world.patch(&*address, &patch).await.expect(200).json();
    assert_eq!(
        (&pinned["pinned"], &pinned["description"]),
        (&patch["pinned"], &patch["description"])
    );
    let page = world.get("/documents").await.expect(200).text();
    let at = |what| page.find(what).expect("it is on the page");
    assert!(at(">plans/next.md<") < at(">b.md<"), "{page}");
    assert!(page.contains("100% matters") && !page.contains("<b>"), "{page}");
    // Page by page, the pinned one first.
    let mut all = Vec::new();
    let mut next = Some("/api/documents?limit=2".to_owned());
    while let Some(page) = next {
        let page = world.get(page).await;
        next = page.next_page();
        all.extend(page.rows().into_iter().map(|d| d["path"].as_str().expect("a path").to_owned()));
    }
    let pinned_first = [&expected[5..], &expected[..5]].concat();
    assert_eq!(all, pinned_first);
    for (query, expected) in [
        ("?category=instructions", &[".claude/commands/x.md", "CLAUDE.md"][..]),
        ("?category=context", &["docs/a/deep.md", "docs/b.md"]),
        ("?q=DEEP", &["docs/a/deep.md"]),
        ("?q=100%25", &["plans/next.md"]),
        ("?q=_", &[]),
        ("?missing=true", &[]),
        ("?project=project&q=readme", &["README.md"]),
    ] {
        assert_eq!(paths(&world, query).await, expected, "{query}");
    }
    world.patch(&*address, &json!({"category": "general", "description": null})).await.expect(200);
    assert_eq!(paths(&world, "?category=plans").await, Vec::<String>::new());
    for (query, field) in
        [("?category=x", "category"), ("?limit=0", "limit"), ("?cursor=x", "cursor")]
    {
        let refused = world.get(format!("/api/documents{query}")).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{}", refused.text());
    }
    world.get("/api/documents?project=nowhere").await.expect(404);
    // All of it stays, the category that somebody chose too, when the file is moved.
    fs::rename(world.project().join("plans/next.md"), world.project().join("plans/later.md"))
        .expect("moved");
    let moved = document(&world, "plans/later.md").await;
    assert_eq!((&moved["id"], &moved["pinned"]), (&plan["id"], &json!(true)));
    assert_eq!(moved["category"], "general");
}

async fn what_happens_to_files_is_told_while_the_server_runs_and_after_it_was_killed(store: Store) {
    let world = World::on(store).await;
    paths(&world, "?discover=true").await;
    let mut events = world.events(None).await;
    files(&world, &[("docs/new.md", "one\n")]);
    let created = told(&mut events, "created", "docs/new.md").await;
    assert!(created["document_id"].is_i64() && created["project_id"].is_string(), "{created}");
    let at = |path: &str| world.project().join(path);
    // As an editor saves: another file in its place.
    put(&at("docs/.new.md.swp"), "two\n");
    fs::rename(at("docs/.new.md.swp"), at("docs/new.md")).expect("moved");
    told(&mut events, "changed", "docs/new.md").await;
    fs::rename(at("docs/new.md"), at("plans.md")).expect("moved");
    let moved = told(&mut events, "moved", "plans.md").await;
    assert_eq!(
        (&moved["document_id"], &moved["old_path"]),
        (&created["document_id"], &json!("docs/new.md"))
    );
    // A folder with what is in it, into one that was not there.
    fs::create_dir_all(at("elsewhere/x")).expect("a folder");
    put(&at("elsewhere/x/in.md"), "in\n");
    fs::rename(at("elsewhere"), at("specs")).expect("moved");
    let inside = told(&mut events, "created", "specs/x/in.md").await;
    put(&at("specs/x/in.md"), "in and more\n");
    told(&mut events, "changed", "specs/x/in.md").await;
    fs::rename(at("specs/x"), at("docs/y")).expect("moved");
    let moved = told(&mut events, "moved", "docs/y/in.md").await;
    assert_eq!(moved["document_id"], inside["document_id"]);
    put(&at("docs/y/in.md"), "still watched\n");
    told(&mut events, "changed", "docs/y/in.md").await;
    fs::remove_dir_all(at("docs/y")).expect("removed");
    told(&mut events, "deleted", "docs/y/in.md").await;
    world.get(format!("/api/documents/{}", inside["document_id"])).await.expect(404);
    // Git says nothing about it any more, or again.
    put(&at(".gitignore"), "/plans.md\n");
    told(&mut events, "deleted", "plans.md").await;
    fs::remove_file(at(".gitignore")).expect("removed");
    let back = told(&mut events, "created", "plans.md").await;

    world.kill9();
    put(&at("plans.md"), "while nobody looked\n");
    put(&at("docs/unseen.md"), "new\n");
    put(&at("README.md"), "short\n");
    fs::rename(at("docs/unseen.md"), at("docs/unseen-2.md")).expect("moved");
    world.start_again().await;
    let mut after = world.events(Some(events.last_id)).await;
    let mut news = Vec::new();
    while news.len() < 3 {
        let event = after.find("what happened meanwhile", |e| e.kind == "document_change").await;
        let text = |key: &str| event.data[key].as_str().expect("text").to_owned();
        news.push(format!("{} {}", text("change"), text("path")));
        if text("path") == "plans.md" {
            assert_eq!(event.data["document_id"], back["document_id"]);
        }
    }
    news.sort();
    assert_eq!(news, ["changed plans.md", "created README.md", "created docs/unseen-2.md"]);
    // Moved while nobody looked: known again by its number in the file system.
    let before = document(&world, "README.md").await;
    world.kill9();
    fs::rename(at("README.md"), at("docs/README.md")).expect("moved");
    world.start_again().await;
    assert_eq!(document(&world, "docs/README.md").await["id"], before["id"]);
}

async fn patterns_are_changeable_by_project(store: Store) {
    let world = World::on(store).await;
    files(&world, &[("README.md", ""), ("src/deep/notes.txt", ""), ("src/a.md", "")]);
    assert_eq!(paths(&world, "?discover=true").await, ["README.md"]);
    let project = world.get("/api/projects").await.rows().remove(0);
    assert_eq!(project["document_patterns"], Value::Null);
    let address = format!("/api/projects/{}", project["id"].as_str().expect("an id"));
    let wanted = json!({"document_patterns": ["src/**/*.{md,txt}"]});
    let changed = world.patch(&*address, &wanted).await.expect(200).json();
    assert_eq!(changed["document_patterns"], wanted["document_patterns"]);
    let found = async |expected: &[&str]| {
        world
            .wait_for("the documents are others", async || {
                let now = paths(&world, "").await;
                if now == expected { Ok(()) } else { Err(format!("{now:?}")) }
            })
            .await;
    };
    found(&["src/a.md", "src/deep/notes.txt"]).await;
    files(&world, &[("src/deep/more.md", "")]);
    document(&world, "src/deep/more.md").await;
    for bad in [json!(["/etc/*"]), json!(["../*.md"]), json!(["[a"]), json!([1]), json!("x")] {
        let refused = world.patch(&*address, &json!({"document_patterns": bad})).await.expect(422);
        let field = refused.json()["errors"][0]["field"].as_str().expect("a field").to_owned();
        assert!(field.starts_with("document_patterns"), "{}", refused.text());
    }
    world.kill9();
    world.start_again().await;
    assert_eq!(world.get(&*address).await.json()["document_patterns"], wanted["document_patterns"]);
    world.patch(&*address, &json!({"document_patterns": null})).await.expect(200);
    found(&["README.md"]).await;
    // A second project has its own, and takes them along when it goes.
    let root = world.root().join("other");
    put(&root.join("docs/only.md"), "# Only\n");
    let other = world.post("/api/projects", &json!({"root": root})).await.expect(201).json();
    document(&world, "docs/only.md").await;
    assert_eq!(paths(&world, "?project=other").await, ["docs/only.md"]);
    let named =
        world.get(format!("/api/documents/{}?project=other", encoded("docs/only.md"))).await;
    assert_eq!(named.expect(200).json()["project_id"], other["id"]);
    let address = format!("/api/projects/{}", other["id"].as_str().expect("an id"));
    world.delete(address).await.expect(204);
    found(&["README.md"]).await;
}

#[tokio::test]
async fn the_examples_of_the_specification_hold() {
    let world = World::with_stand_in().await;
    let lines: Vec<String> = (16..=150).map(|n| format!("line {n}")).collect();
    let head = "# Architecture\n\n## Overview\n```sh\n# no heading\n```\n\n\n\nBelow\n=====\n\n\n\n## Components\n";
    let content = format!("{head}{}\n", lines.join("\n"));
    files(&world, &[("docs/architecture.md", &content)]);
    let id = document(&world, "docs/architecture.md").await["id"].clone();
    let address = format!("/api/documents/{id}");
    let shown = world.get(&*address).await.expect(200);
    let etag = shown.header("etag").to_owned();
    let shown = shown.json();
    assert_eq!(etag, format!("\"{}\"", shown["etag"].as_str().expect("an etag")));
    assert_eq!(
        (&shown["id"], &shown["path"], &shown["category"]),
        (&id, &json!("docs/architecture.md"), &json!("context"))
    );
    assert_eq!((&shown["content"], &shown["line_count"]), (&json!(content), &json!(150)));
    let outline = json!([
        {"line": 1, "level": 1, "text": "Architecture"},
        {"line": 3, "level": 2, "text": "Overview"},
        {"line": 10, "level": 1, "text": "Below"},
        {"line": 15, "level": 2, "text": "Components"},
    ]);
    assert_eq!(shown["outline"], outline);
    let alone = world.get(format!("{address}/outline")).await.expect(200).json();
    assert_eq!((&alone["outline"], &alone["line_count"]), (&outline, &json!(150)));
    // By its path it is the same.
    let named = world
        .get(format!("/api/documents/{}?project=project", encoded("docs/architecture.md")))
        .await;
    assert_eq!(named.expect(200).json(), shown);

    let get = async |rest: &str| world.get(format!("{address}/{rest}")).await;
    let some = get("lines?start=14&end=17").await.expect(200).json();
    assert_eq!(
        some,
        json!({"path": "docs/architecture.md", "start": 14, "end": 17, "lines": [
            {"number": 14, "content": ""},
            {"number": 15, "content": "## Components"},
            {"number": 16, "content": "line 16"},
            {"number": 17, "content": "line 17"},
        ]})
    );
    let bounds =
        |v: &Value| (v["start"].clone(), v["end"].clone(), v["lines"].as_array().map(Vec::len));
    assert_eq!(bounds(&get("lines").await.json()), (json!(1), json!(150), Some(150)));
    assert_eq!(
        bounds(&get("lines?start=149&end=999").await.json()),
        (json!(149), json!(150), Some(2))
    );
    assert_eq!(bounds(&get("section/3").await.json()), (json!(3), json!(9), Some(7)));
    assert_eq!(bounds(&get("section/1").await.json()), (json!(1), json!(9), Some(9)));
    assert_eq!(bounds(&get("section/15").await.json()), (json!(15), json!(150), Some(136)));
    for (rest, field) in [
        ("section/5", "header_line"),
        ("section/2", "header_line"),
        ("lines?start=151", "start"),
        ("lines?start=9&end=8", "start"),
        ("lines?start=0", "start"),
        ("lines?start=x", "start"),
    ] {
        let refused = get(rest).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{rest}: {}", refused.text());
    }
    let empty = "docs/empty.md";
    files(&world, &[(empty, "")]);
    let id = document(&world, empty).await["id"].clone();
    let none = world.get(format!("/api/documents/{id}/lines")).await.expect(200).json();
    assert_eq!((&none["lines"], &none["end"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn ten_thousand_documents_are_no_problem() {
    let world = World::build().stand_in().without_server().start().await;
    for folder in 0..100 {
        for n in 0..100 {
            put(&world.project().join(format!("docs/{folder:02}/{n:02}.md")), "# Title\n\ntext\n");
        }
    }
    world.start_again().await;
    paths(&world, "?discover=true&limit=1").await;
    let mut events = world.events(None).await;
    let (mut count, mut next) = (0, Some("/api/documents?limit=500".to_owned()));
    while let Some(page) = next {
        let page = world.get(page).await;
        count += page.rows().len();
        next = page.next_page();
    }
    assert_eq!(count, 10_000);
    // The last of them is heard of like the first.
    files(&world, &[("docs/99/99.md", "# Other\n")]);
    told(&mut events, "changed", "docs/99/99.md").await;
    fs::rename(world.project().join("docs"), world.project().join("specs")).expect("moved");
    let moved = told(&mut events, "moved", "specs/99/99.md").await;
    assert_eq!(moved["old_path"], "docs/99/99.md");
}
