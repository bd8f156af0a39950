//! Git around tasks, with a program that stands in for Claude: worktrees, claims, settings.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Agent, Store, World, on_both_stores, processes};
use crate::tasks::{make, task};
use crate::tasks_follow::{begin, wait_until};

on_both_stores! {
    a_second_writer_is_denied_also_after_the_servers_death
}

async fn git(world: &World, args: &[&str]) -> String {
    let mut command = world.command("git");
    command.args(args).current_dir(world.project());
    processes::run(command).await.ok().stdout.trim_end().to_owned()
}

async fn project(world: &World) -> String {
    let new = json!({ "root": world.project() });
    let project = world.post("/api/projects", &new).await.json();
    project["id"].as_str().expect("an id").to_owned()
}

async fn set(world: &World, git: Value) -> Value {
    let path = format!("/api/projects/{}", project(world).await);
    world.request("PATCH", path).json(&json!({ "git": git })).send().await.expect(200).json()
}

async fn attempt(world: &World, id: i64) -> Value {
    task(world, id).await["history"][0].clone()
}

/// Asks, as Claude Code does, whether a file may be edited; tells why not.
async fn edit(world: &World, agent: &Agent, path: &str) -> Option<String> {
    let call = json!({ "tool_name": "Write", "tool_use_id": format!("toolu_{path}"),
        "tool_input": { "file_path": path, "content": "x" } });
    let said = world.hook(agent, "PreToolUse", &call).await.ok().stdout;
    if said.is_empty() {
        return None;
    }
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let answer = &said["hookSpecificOutput"];
    assert_eq!(
        (&answer["hookEventName"], &answer["permissionDecision"]),
        (&json!("PreToolUse"), &json!("deny"))
    );
    answer["permissionDecisionReason"].as_str().map(str::to_owned)
}

async fn a_second_writer_is_denied_also_after_the_servers_death(store: Store) {
    let world = World::on(store).await;
    let none = json!({ "options": { "git": "none" } });
    let (one, two) =
        (make(&world, "the first", &none).await, make(&world, "the second", &none).await);
    let (first, second) = (begin(&world, one).await, begin(&world, two).await);
    let root = world.project();
    fs::create_dir(root.join("src")).expect("a folder");
    symlink(root.join("src"), root.join("link")).expect("a link");
    let file = |name: &str| root.join(name).to_string_lossy().into_owned();
    assert_eq!(edit(&world, &first, &file("src/a.rs")).await, None);
    assert_eq!(edit(&world, &first, &file("src/a.rs")).await, None, "again");
    assert_eq!(edit(&world, &second, &file("src/b.rs")).await, None);
    let why = edit(&world, &second, &file("src/a.rs")).await.expect("a denial");
    let owner = format!("task {one} (\"the first\", session the-first)");
    assert!(why.contains(&owner) && why.starts_with("src/a.rs was not edited"), "{why}");
    // The same file by other names.
    for name in ["link/a.rs", "src/../src/./a.rs"] {
        assert!(edit(&world, &second, &file(name)).await.is_some(), "{name}");
    }
    // What is outside is nobody's.
    for agent in [&first, &second] {
        let outside = world.root().join("elsewhere.txt");
        assert_eq!(edit(&world, agent, &outside.to_string_lossy()).await, None);
    }
    world.kill9();
    world.start_again().await;
    assert!(edit(&world, &second, &file("src/a.rs")).await.is_some());
    // The other way, with a note.
    set(&world, json!({ "two_writers": "flag" })).await;
    let mut events = world.events(None).await;
    assert_eq!(edit(&world, &second, &file("src/a.rs")).await, None);
    let told = events.find("the note", |e| e.kind == "git").await.data;
    assert_eq!((&told["kind"], &told["owner"]["task_id"]), (&json!("two_writers"), &json!(one)));
    set(&world, json!({ "two_writers": "deny" })).await;
    // A file is its task's as long as that goes on.
    world.post(format!("/api/tasks/{one}/complete"), &json!({})).await.expect(200);
    assert_eq!(edit(&world, &second, &file("src/a.rs")).await, None);
}

#[tokio::test]
async fn settings_are_changed_one_by_one_and_what_is_wrong_is_named() {
    let world = World::with_stand_in().await;
    let changed = set(&world, json!({ "base": "main" })).await;
    assert_eq!(
        (&changed["git"]["base"], &changed["git"]["backend"]),
        (&json!("main"), &json!("auto"))
    );
    let changed = set(&world, json!({ "backend": "worktree" })).await;
    assert_eq!(changed["git"]["base"], "main", "it stays");
    let path = format!("/api/projects/{}", project(&world).await);
    for (wrong, field) in [
        (json!({ "backend": "svn" }), "git"),
        (json!({ "colour": "blue" }), "git"),
        (json!({ "copy": ["../x"] }), "git.copy"),
        (json!({ "base": "-x" }), "git.base"),
        (json!({ "ports": { "first": 1, "count": 1 } }), "git.ports"),
    ] {
        let body = json!({ "git": wrong });
        let answer = world.request("PATCH", &path).json(&body).send().await;
        let problem = answer.expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    assert_eq!(world.get(&path).await.expect(200).json(), changed);
    let status = world.cli(&["--json", "git", "status"]).await.ok().json();
    assert_eq!((&status["effective"], &status["set_up"]), (&json!("worktree"), &json!(false)));
    let setup = world.cli(&["git", "setup", "--yes"]).await;
    assert_ne!(setup.code, Some(0));
    assert!(setup.stderr.contains("`but` is not in PATH"), "{}", setup.stderr);
    let refused = world.post(format!("{path}/git/setup"), &json!({ "confirm": false })).await;
    assert_eq!(refused.expect(422).json()["errors"][0]["field"], "confirm");
}

#[tokio::test]
async fn setting_up_gitbutler_needs_consent() {
    let world = World::build().stand_in().gitbutler().start().await;
    let head = async || git(&world, &["symbolic-ref", "--short", "HEAD"]).await;
    let asked = world.cli(&["git", "setup"]).await;
    assert_ne!(asked.code, Some(0));
    assert!(
        asked.stderr.contains("HEAD moves to a branch gitbutler/workspace"),
        "{}",
        asked.stderr
    );
    assert_eq!(head().await, "main");
    world.cli(&["git", "setup", "--yes"]).await.ok();
    assert_eq!(head().await, "gitbutler/workspace");
    let doctor = world.cli(&["doctor"]).await;
    assert!(doctor.stdout.contains("GitButler 0.22.3, set up here"), "{}", doctor.stdout);
    let status = world.cli(&["--json", "git", "status"]).await.ok().json();
    assert_eq!(status["effective"], "gitbutler");
}

#[tokio::test]
async fn worktrees_come_ready_to_run() {
    let world = World::with_stand_in().await;
    let root = world.project();
    fs::write(root.join(".gitignore"), ".env\n*.local\n").expect("a file");
    git(&world, &["add", "-A"]).await;
    git(&world, &["commit", "-qm", "Ignore"]).await;
    fs::create_dir(root.join("config")).expect("a folder");
    for (name, text) in [(".env", "SECRET=1\n"), ("config/a.local", "a\n"), ("other.local", "b\n")]
    {
        fs::write(root.join(name), text).expect("a file");
    }
    let script = root.join("setup.sh");
    fs::write(
        &script,
        "#!/bin/sh\necho \"$1 $CHORUS_PORT_BASE $CHORUS_PORT_COUNT\" > ready.local\n",
    )
    .expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
    set(
        &world,
        json!({
            "copy": [".env", "config/*.local"],
            "setup": [script, "a word; with $signs"],
            "ports": { "first": 30_000, "count": 20 },
        }),
    )
    .await;
    let id = make(&world, "get ready", &json!({})).await;
    let agent = begin(&world, id).await;
    let dir = PathBuf::from(attempt(&world, id).await["worktree"].as_str().expect("a folder"));
    assert!(
        dir.starts_with(world.data()) && dir.ends_with("task-1-get-ready"),
        "{}",
        dir.display()
    );
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    assert_eq!((read(".env"), read("config/a.local")), ("SECRET=1\n".into(), "a\n".into()));
    assert!(!dir.join("other.local").exists(), "not asked for");
    assert_eq!(read("ready.local"), "a word; with $signs 30020 20\n");
    assert_eq!(agent.env["CHORUS_PORT_BASE"], "30020");
    let view = world.session("get-ready").await;
    assert_eq!(view["workspace_path"], json!(dir));

    // One that cannot be made ready is no worktree, and the task waits as before.
    set(&world, json!({ "setup": ["sh", "-c", "echo no compiler >&2; exit 3"] })).await;
    let id = make(&world, "never ready", &json!({})).await;
    let refused = world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(409).json();
    let detail = refused["detail"].as_str().expect("why");
    assert!(detail.contains("no compiler") && detail.contains("git.setup"), "{detail}");
    assert_eq!(task(&world, id).await["status"], "pending");
    assert_eq!(git(&world, &["branch", "--list", "task-2*"]).await, "");
    assert_eq!(git(&world, &["worktree", "list"]).await.lines().count(), 2);
}

#[tokio::test]
async fn a_hook_that_refuses_a_commit_is_told_on_the_task_and_the_next_turn_makes_up_for_it() {
    let world = World::with_stand_in().await;
    let hook = world.project().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().expect("a folder")).expect("its folder");
    fs::write(&hook, "#!/bin/sh\necho the linter says no >&2\nexit 1\n").expect("a hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("its mode");
    let id = make(&world, "lint", &json!({})).await;
    let agent = begin(&world, id).await;
    let dir = PathBuf::from(attempt(&world, id).await["worktree"].as_str().expect("a folder"));
    fs::write(dir.join("new.txt"), "x\n").expect("a file");
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    world
        .wait_for("the refusal is told", async || {
            let problem = attempt(&world, id).await["git_problem"].clone();
            if problem.to_string().contains("the linter says no") {
                Ok(())
            } else {
                Err(problem.to_string())
            }
        })
        .await;
    let diff = world.get("/api/sessions/lint/diff").await.expect(200).json();
    assert_eq!(diff["uncommitted"], json!([{ "path": "new.txt", "kind": "added" }]));
    let shown = &diff["uncommitted_diff"];
    let file = json!([{ "path": "new.txt", "insertions": 1, "deletions": 0 }]);
    assert_eq!(shown["files"], file);
    assert!(shown["patch"].as_str().is_some_and(|patch| patch.ends_with("+x\n")), "{shown}");
    fs::remove_file(&hook).expect("the hook");
    let prompt = json!({ "prompt": "go on" });
    world.post_hook(&agent, "UserPromptSubmit", &prompt).await.expect(204);
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    world
        .wait_for("it is committed", async || {
            let commits = world.get(format!("/api/tasks/{id}/commits")).await.rows();
            if commits.len() == 1 { Ok(()) } else { Err(format!("{commits:?}")) }
        })
        .await;
    world
        .wait_for("the problem is gone", async || {
            attempt(&world, id).await["git_problem"].is_null()
        })
        .await;
}

#[tokio::test]
async fn a_worktree_goes_only_if_nothing_is_lost_or_somebody_wants_that() {
    let world = World::with_stand_in().await;
    git(&world, &["init", "-q", "--bare", "../remote.git"]).await;
    git(&world, &["remote", "add", "origin", "../remote.git"]).await;
    let (one, two) =
        (make(&world, "push me", &json!({})).await, make(&world, "drop me", &json!({})).await);
    for id in [one, two] {
        begin(&world, id).await;
        let dir = attempt(&world, id).await["worktree"].as_str().expect("a folder").to_owned();
        fs::write(PathBuf::from(dir).join("new.txt"), "x\n").expect("a file");
    }
    // The session lives there.
    let refused = world.request("DELETE", "/api/worktrees/task-1-push-me?force=true").send().await;
    assert!(refused.expect(409).json()["detail"].to_string().contains("push-me lives in it"));
    let how = json!({ "push": true, "pr": true });
    let done = world.post(format!("/api/tasks/{one}/complete"), &how).await.expect(200).json();
    assert_eq!(done["git"]["pushed_to"], "origin", "{done}");
    assert_eq!(done["git"]["pr_command"][0], "gh");
    assert_eq!(
        git(&world, &["ls-remote", "--heads", "origin", "task-1-push-me"]).await.lines().count(),
        1
    );
    world.post(format!("/api/tasks/{two}/fail"), &json!({ "reason": "no" })).await.expect(200);
    wait_until(&world, two, "failed").await;
    let pruned = world.post("/api/worktrees/prune", &json!({})).await.expect(200).json();
    assert_eq!(pruned["removed"][0]["name"], "task-1-push-me", "{pruned}");
    assert_eq!(pruned["kept"][0]["name"], "task-2-drop-me", "{pruned}");
    let name = "/api/worktrees/task-2-drop-me";
    let why = world.request("DELETE", name).send().await.expect(409).json();
    assert!(why["detail"].to_string().contains("neither pushed nor merged"), "{why}");
    let gone = world.cli(&["worktrees", "remove", "task-2-drop-me", "--force"]).await.ok().stdout;
    let branches = git(&world, &["branch", "--list", "task-2*"]).await;
    assert!(gone.contains("has it back") && branches.is_empty(), "{gone}");
    world.request("DELETE", name).send().await.expect(404);
    assert!(world.get("/api/worktrees").await.rows().is_empty());
}

#[tokio::test]
async fn a_task_that_committed_nothing_says_so_and_what_to_do() {
    let world = World::with_stand_in().await;
    let idle = make(&world, "only look", &json!({})).await;
    begin(&world, idle).await;
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("task 1 on task-1-only-look"), "{listed}");
    let shown = world.cli(&["task", "show", "1"]).await.ok().stdout;
    assert!(shown.contains("on branch task-1-only-look"), "{shown}");
    let said = world.cli(&["task", "complete", "1"]).await.ok().stdout;
    let nothing = "nothing was committed to task-1-only-look: no file has changed there";
    assert!(said.contains(nothing) && said.contains("chorus worktrees prune"), "{said}");
    assert!(!said.contains("git push"), "there is nothing to push: {said}");

    // What was changed and cannot be committed is kept, and it is said where.
    let hook = world.project().join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().expect("a folder")).expect("its folder");
    fs::write(&hook, "#!/bin/sh\necho the linter says no >&2\nexit 1\n").expect("a hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("its mode");
    let id = make(&world, "lint", &json!({})).await;
    begin(&world, id).await;
    let dir = attempt(&world, id).await["worktree"].as_str().expect("a folder").to_owned();
    fs::write(PathBuf::from(&dir).join("new.txt"), "x\n").expect("a file");
    let done = world.post(format!("/api/tasks/{id}/complete"), &json!({})).await.expect(200).json();
    let why = done["git"]["nothing_committed"].as_str().expect("why");
    assert!(why.contains("1 file") && why.contains(&dir) && why.contains("git commit"), "{why}");
    assert!(done["git"]["problem"].to_string().contains("the linter says no"), "{done}");
    // One that has a commit has nothing to say.
    fs::remove_file(&hook).expect("the hook");
    let id = make(&world, "fine", &json!({})).await;
    begin(&world, id).await;
    let dir = attempt(&world, id).await["worktree"].as_str().expect("a folder").to_owned();
    fs::write(PathBuf::from(dir).join("new.txt"), "x\n").expect("a file");
    let done = world.post(format!("/api/tasks/{id}/complete"), &json!({})).await.expect(200).json();
    assert_eq!(
        (&done["git"]["commits"], &done["git"]["nothing_committed"]),
        (&json!(1), &Value::Null)
    );
}

#[tokio::test]
async fn a_task_without_a_branch_does_not_fail_when_there_is_nothing_to_discard() {
    let world = World::with_stand_in().await;
    let id = make(&world, "here", &json!({ "options": { "git": "none" } })).await;
    let agent = begin(&world, id).await;
    wait_until(&world, id, "running").await;
    let fail = format!("/api/tasks/{id}/fail");
    let refused = world.post(&fail, &json!({ "discard": true })).await.expect(409).text();
    assert!(refused.contains("leave out `discard`"), "{refused}");
    assert_eq!(task(&world, id).await["status"], "running", "what is refused changes nothing");
    assert_eq!(world.session(&agent.session).await["status"], "active");
    world.post(&fail, &json!({})).await.expect(200);
}
