//! Templates: tasks are made of them, with what differs filled in.

use serde_json::{Value, json};

use crate::harness::{Store, World, on_both_stores};
use crate::tasks::task;

on_both_stores! {
    tasks_are_made_of_a_template
}

/// Makes a template and tells what the API shows of it.
async fn make(world: &World, body: &Value) -> Value {
    world.post("/api/templates", body).await.expect(201).json()
}

fn bug() -> Value {
    json!({
        "name": "bug",
        "title": "Fix {{issue}}",
        "description": "{{issue}} happens in {{where}}.\n\n${{ env.X }} and {{ issue }} are text.",
        "priority": 7,
        "labels": ["bug"],
        "options": { "complete_on_idle": true, "launch": { "model": "opus" } },
    })
}

async fn tasks_are_made_of_a_template(store: Store) {
    let world = World::on(store).await;
    let made = make(&world, &bug()).await;
    assert_eq!(made["variables"], json!(["issue", "where"]), "as its text says");
    let id = made["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/templates/{id}");
    assert_eq!(world.get(&*path).await.expect(200).json(), made);

    // A value is not looked at again, whatever it looks like.
    let variables = json!({ "issue": "{{where}}", "where": "C:\\x $1" });
    let new = json!({ "template": "bug", "variables": variables });
    let first = world.post("/api/tasks", &new).await.expect(201).json();
    assert_eq!(first["title"], "Fix {{where}}");
    assert_eq!(
        first["description"],
        "{{where}} happens in C:\\x $1.\n\n${{ env.X }} and {{ issue }} are text."
    );
    assert_eq!((&first["priority"], &first["labels"]), (&json!(7), &json!(["bug"])));
    assert_eq!(first["options"]["complete_on_idle"], true);
    assert_eq!(first["options"]["launch"]["model"], "opus");

    // By its id; what is said beside goes first, and what it would have needed is not needed.
    let new = json!({ "template": id, "title": "Mine", "description": "Other.", "priority": 0,
        "labels": [], "options": {} });
    let second = world.post("/api/tasks", &new).await.expect(201).json();
    assert_eq!((&second["title"], &second["description"]), (&json!("Mine"), &json!("Other.")));
    assert_eq!((&second["priority"], &second["labels"]), (&json!(0), &json!([])));
    assert_eq!(second["options"]["complete_on_idle"], Value::Null);

    // It changes; what was made of it does not.
    let patch = json!({ "title": "Look at {{what}}", "description": "" });
    let changed = world.patch(&*path, &patch).await.expect(200).json();
    assert_eq!(changed["variables"], json!(["what"]));
    assert_eq!((&changed["priority"], &changed["name"]), (&json!(7), &json!("bug")));
    assert_eq!(task(&world, 1).await["title"], first["title"]);
    world.kill9();
    world.start_again().await;
    assert_eq!(world.get(&*path).await.expect(200).json(), changed);
    world.delete(&*path).await.expect(204);
    world.get(&*path).await.expect(404);
    assert!(world.get("/api/templates").await.rows().is_empty());
    let audit = world.get("/api/audit?limit=500").await.expect(200).text();
    for action in ["template.created", "template.changed", "template.deleted"] {
        assert!(audit.contains(action), "{action} is in {audit}");
    }
}

#[tokio::test]
async fn a_name_is_one_template_of_its_project_and_lists_come_in_pages() {
    let world = World::with_stand_in().await;
    let folder = world.root().join("zoo");
    std::fs::create_dir_all(&folder).expect("a folder");
    let other = world.post("/api/projects", &json!({ "root": folder })).await.json()["id"].clone();
    let named = |name: &str, project: Option<&Value>| {
        let mut body = json!({ "name": name, "title": format!("{name} {{{{x}}}}") });
        if let Some(project) = project {
            body["project_id"] = project.clone();
        }
        body
    };
    // Two at the same time: one of them has the name.
    let same = named("same", None);
    let (one, two) =
        tokio::join!(world.post("/api/templates", &same), world.post("/api/templates", &same));
    assert_eq!(one.status + two.status, 201 + 409, "{} {}", one.text(), two.text());
    let elsewhere = make(&world, &named("same", Some(&other))).await;
    let mine = make(&world, &named("mine", None)).await;
    let path = format!("/api/templates/{}", mine["id"].as_str().expect("an id"));
    let refused = world.patch(&*path, &json!({ "name": "same" })).await.expect(409).text();
    assert!(refused.contains("same"), "{refused}");
    world.patch(&*path, &json!({ "name": "mine" })).await.expect(200);
    let key = async || {
        let request = world.request("POST", "/api/templates").header("idempotency-key", "k");
        request.json(&named("once", None)).send().await.expect(201).json()
    };
    assert_eq!(key().await, key().await);

    let names = async |query: &str| {
        let (mut all, mut next) = (Vec::new(), Some(format!("/api/templates?limit=1&{query}")));
        while let Some(path) = next {
            let page = world.get(path).await;
            all.extend(page.rows().iter().map(|t| t["name"].clone()));
            next = page.next_page();
        }
        all
    };
    assert_eq!(names("").await, ["same", "same", "mine", "once"]);
    let other_id = other.as_str().expect("an id");
    assert_eq!(names(&format!("project_id={other_id}")).await, ["same"]);
    assert_eq!(names("name=once").await, ["once"]);
    // A name is looked for in the task's project, and an id has to belong to it.
    let variables = json!({ "x": "y" });
    let by_name = json!({ "template": "same", "project_id": other, "variables": variables });
    let made = world.post("/api/tasks", &by_name).await.expect(201).json();
    assert_eq!(made["project_id"], other);
    let by_id = json!({ "template": elsewhere["id"], "variables": variables });
    let made = world.post("/api/tasks", &by_id).await.expect(201).json();
    assert_eq!(made["project_id"], other, "where its template is");
    let project = world.default_project().await;
    let crossed =
        json!({ "template": elsewhere["id"], "project_id": project, "variables": variables });
    let problem = world.post("/api/tasks", &crossed).await.expect(422).json();
    assert_eq!(problem["errors"][0]["field"], "template", "{problem}");
}

#[tokio::test]
async fn what_cannot_be_filled_in_is_refused_by_its_field() {
    let world = World::with_stand_in().await;
    let made = make(&world, &bug()).await;
    make(&world, &json!({ "name": "plain", "title": "no variables" })).await;
    make(&world, &json!({ "name": "wide", "title": "t", "description": "{{a}}".repeat(1_000) }))
        .await;
    let all = json!({ "issue": "x", "where": "y" });
    for (body, field) in [
        (json!({ "template": "none" }), "template"),
        (json!({ "template": "01980000-0000-7000-8000-000000000000" }), "template"),
        (json!({ "template": "bug" }), "variables.issue"),
        (json!({ "template": "bug", "variables": { "issue": "x" } }), "variables.where"),
        (
            json!({ "template": "bug", "variables": { "issue": "x", "where": "y", "z": "" } }),
            "variables.z",
        ),
        (json!({ "template": "plain", "variables": all }), "variables.issue"),
        (json!({ "title": "x", "variables": all }), "variables.issue"),
        (json!({ "template": "bug", "variables": { "issue": 5 } }), "variables.issue"),
        (json!({ "template": "bug", "variables": ["x"] }), "variables"),
        (json!({ "template": "bug", "variables": { "issue": "a\nb", "where": "y" } }), "title"),
        (json!({ "template": "wide", "variables": { "a": "x".repeat(2_000) } }), "description"),
    ] {
        let problem = world.post("/api/tasks", &body).await.expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let many: String = (0..65).map(|n| format!("{{{{v{n}}}}}")).collect();
    for (body, field) in [
        (json!({ "title": "x" }), "name"),
        (json!({ "name": "x" }), "title"),
        (json!({ "name": "No", "title": "x" }), "name"),
        (json!({ "name": "x", "title": "a\nb" }), "title"),
        (json!({ "name": "x", "title": "t", "description": "a\u{1b}b" }), "description"),
        (json!({ "name": "x", "title": "t", "description": "y".repeat(103_000) }), "description"),
        (json!({ "name": "x", "title": "t", "description": many }), "description"),
        (json!({ "name": "x", "title": "t", "priority": 1e9 as i64 }), "priority"),
        (json!({ "name": "x", "title": "t", "labels": ["a,b"] }), "labels"),
        (json!({ "name": "x", "title": "t", "references": ["docs/a.md", ":3"] }), "references[1]"),
        (
            json!({ "name": "x", "title": "t", "options": { "workspace_path": "/" } }),
            "options.workspace_path",
        ),
        (json!({ "name": "x", "title": "t", "options": [] }), "options"),
        (json!({ "name": "x", "title": "t", "colour": "red" }), "colour"),
    ] {
        let problem = world.post("/api/templates", &body).await.expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let path = format!("/api/templates/{}", made["id"].as_str().expect("an id"));
    world.patch(&*path, &json!({ "name": "Bad Name" })).await.expect(422);
    assert_eq!(world.get(&*path).await.expect(200).json(), made, "nothing was changed");
    assert!(world.get("/api/tasks").await.rows().is_empty(), "none was made");
    let project = world.default_project().await;
    let refused = world.delete(format!("/api/projects/{project}")).await.expect(409).text();
    assert!(refused.contains("has templates"), "{refused}");
    world.get("/api/templates/x").await.expect(404);
}

#[tokio::test]
async fn the_command_line_makes_templates_and_fills_them_in() {
    let world = World::with_stand_in().await;
    std::fs::create_dir_all(world.project().join("docs")).expect("a folder");
    std::fs::write(world.project().join("docs/style.md"), "# Style\nshort\n").expect("a document");
    let new = [
        "template",
        "new",
        "review",
        "--title",
        "Review {{what}}",
        "-d",
        "See {{what}}.",
        "--label",
        "review",
        "--priority",
        "2",
        "--model",
        "opus",
        "-r",
        "docs/style.md",
    ];
    let said = world.cli(&new).await.ok().stdout;
    assert!(said.contains("--template review --var what=…"), "{said}");
    let listed = world.cli(&["template", "ls"]).await.ok().stdout;
    assert!(listed.contains("review") && listed.contains("--var what=…"), "{listed}");
    let shown = world.cli(&["template", "show", "review"]).await.ok().stdout;
    for part in ["Review {{what}}", "See {{what}}.", "labels: review", "docs/style.md", "opus"] {
        assert!(shown.contains(part), "{part} is in {shown}");
    }
    let fill = ["task", "new", "--template", "review", "--var", "what=a=b", "--json"];
    let made = world.cli(&fill).await.ok().json();
    assert_eq!((&made["title"], &made["description"]), (&json!("Review a=b"), &json!("See a=b.")));
    assert_eq!((&made["priority"], &made["labels"]), (&json!(2), &json!(["review"])));
    assert_eq!(made["options"]["launch"]["model"], "opus");
    let detail = task(&world, made["id"].as_i64().expect("an id")).await;
    assert_eq!(detail["references"][0]["document_path"], "docs/style.md");
    // What is said beside goes before it.
    let beside = [
        "task",
        "create",
        "Mine",
        "--template",
        "review",
        "--var",
        "what=x",
        "--priority",
        "0",
        "--model",
        "sonnet",
        "--json",
    ];
    let made = world.cli(&beside).await.ok().json();
    assert_eq!((&made["title"], &made["description"]), (&json!("Mine"), &json!("See x.")));
    assert_eq!(
        (&made["priority"], &made["options"]["launch"]["model"]),
        (&json!(0), &json!("sonnet"))
    );
    let run = ["run", "--template", "review", "--var", "what=all", "--json"];
    let ran = world.cli(&run).await.ok().json();
    let begun = task(&world, ran["task_id"].as_i64().expect("a task")).await;
    let prompt = begun["history"][0]["prompt"].as_str().expect("a prompt");
    assert!(prompt.starts_with("## Task: Review all\n\nSee all.\n"), "{prompt}");
    for (bad, why) in [
        (&["task", "new", "--template", "review"][..], "variables.what"),
        (&["task", "new", "--template", "none"], "chorus template ls"),
        (&["task", "new", "x", "--var", "a=b"], "--template"),
        (&["task", "new", "--template", "review", "--var", "what"], "NAME=VALUE"),
        (&["run"], "PROMPT"),
        (&["template", "show", "none"], "chorus template ls"),
    ] {
        let said = world.cli(bad).await;
        assert!(said.code != Some(0) && said.stderr.contains(why), "{bad:?}: {}", said.stderr);
    }
    let edit = ["template", "edit", "review", "--rename", "look", "--title", "Look", "-d", ""];
    world.cli(&edit).await.ok();
    let shown = world.cli(&["template", "show", "look", "--json"]).await.ok().json();
    assert_eq!((&shown["title"], &shown["variables"]), (&json!("Look"), &json!([])));
    world.cli(&["template", "rm", "look"]).await.ok();
    let listed = world.cli(&["template", "ls"]).await.ok().stdout;
    assert!(listed.contains("there is no template"), "{listed}");
}
