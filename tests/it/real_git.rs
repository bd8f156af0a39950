//! Whose edit is it: tasks that the real Claude Code works on at the same time, each on a branch of its
//! own, in worktrees and with a stand-in for GitButler.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use scripted_model::Script;
use serde_json::{Value, json};

use crate::harness::{World, wait_longer};
use crate::tasks::{make, task};

/// How long two Claudes may take for their turns.
const LONG: Duration = Duration::from_secs(60);

/// What the tasks do.
const SCRIPT: &str = r#"{"scenarios": {
    "first": [
        {"tools": [{"name": "Write", "input": {"file_path": "{{cwd}}/first.txt", "content": "first\n"}},
                   {"name": "Write", "input": {"file_path": "{{cwd}}/shared.txt", "content": "by the first\n"}}]},
        {"tools": [{"name": "Bash", "input": {"command": "mkdir -p made && echo first > made/by-first.txt && rm -f old.txt", "description": "Make"}}]},
        {"text": "The first is done."}
    ],
    "second": [
        {"tools": [{"name": "Write", "input": {"file_path": "{{cwd}}/second.txt", "content": "second\n"}}]},
        {"tools": [{"name": "Write", "input": {"file_path": "{{cwd}}/shared.txt", "content": "by the second\n"}}]},
        {"text": "The second is done."}
    ],
    "one": [
        {"tools": [{"name": "Write", "input": {"file_path": "{{cwd}}/one.txt", "content": "one\n"}}]},
        {"text": "One is done."}
    ],
    "two": [
        {"tools": [{"name": "Write", "input": {"file_path": "{{cwd}}/two.txt", "content": "two\n"}}]},
        {"text": "Two is done."}
    ],
    "git": [
        {"tools": [{"name": "Bash", "input": {"command": "git commit --allow-empty -m mine", "description": "Commit"}}]},
        {"text": "I tried."}
    ],
    "commandone": [
        {"tools": [{"name": "Bash", "input": {"command": "until [ -e go ]; do :; done; echo a > by-one.txt; until [ -e on ]; do :; done", "description": "Wait"}}]},
        {"text": "One is done."}
    ],
    "commandtwo": [
        {"tools": [{"name": "Bash", "input": {"command": "until [ -e go ]; do :; done; echo b > by-two.txt; until [ -e on ]; do :; done", "description": "Wait"}}]},
        {"text": "Two is done."}
    ]
}}"#;

fn world() -> crate::harness::Builder {
    World::build().script(Script::from_json(SCRIPT).expect("a script"))
}

impl World {
    /// Runs git in the project, and tells what it says.
    async fn git(&self, args: &[&str]) -> String {
        let mut command = self.command("git");
        command.args(args).current_dir(self.project());
        crate::harness::processes::run(command).await.ok().stdout.trim_end().to_owned()
    }

    /// A file that is committed.
    async fn commit_file(&self, path: &str, text: &str) {
        fs::write(self.project().join(path), text).expect("a file");
        self.git(&["add", "-A"]).await;
        self.git(&["commit", "-qm", path]).await;
    }

    /// Starts a task that plays a scenario, and tells its id.
    async fn work(&self, title: &str, scenario: &str) -> i64 {
        let launch = json!({ "permission_mode": "acceptEdits", "allowed_tools": ["Bash"] });
        let extra = json!({
            "description": format!("scenario:{scenario} please"),
            "options": { "launch": launch },
        });
        let id = make(self, title, &extra).await;
        self.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(200);
        id
    }

    /// Waits until a task's branch holds exactly these files besides what it began with.
    async fn wait_for_files(&self, id: i64, files: &[&str]) -> Value {
        wait_longer(LONG, &format!("task {id} has committed {files:?}"), async || {
            let diff = self.get(format!("/api/tasks/{id}/diff")).await.expect(200).json();
            let mut on_branch: Vec<&str> = diff["committed"]["files"]
                .as_array()
                .expect("files")
                .iter()
                .filter_map(|f| f["path"].as_str())
                .collect();
            on_branch.sort_unstable();
            if on_branch == files { Ok(diff) } else { Err(diff.to_string()) }
        })
        .await
    }

    async fn attempt(&self, id: i64) -> Value {
        task(self, id).await["history"][0].clone()
    }

    /// What is in a file on a task's branch.
    async fn on_branch(&self, id: i64, path: &str) -> String {
        let branch = self.attempt(id).await["branch"].as_str().expect("a branch").to_owned();
        self.git(&["show", &format!("{branch}:{path}")]).await
    }

    async fn complete(&self, id: i64, how: &Value) -> Value {
        self.post(format!("/api/tasks/{id}/complete"), how).await.expect(200).json()
    }

    async fn set_up_gitbutler(&self) {
        self.cli(&["git", "setup", "--yes"]).await.ok();
        assert_eq!(self.git(&["symbolic-ref", "--short", "HEAD"]).await, "gitbutler/workspace");
    }

    /// The paths that have changed in the project and are nobody's.
    async fn unattributed(&self, id: i64) -> Vec<String> {
        let rows = self.get(format!("/api/tasks/{id}/unattributed")).await.rows();
        rows.iter().filter_map(|r| r["path"].as_str().map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn two_tasks_at_once_in_worktrees_edit_each_on_its_own_branch() {
    let world = world().start().await;
    world.commit_file("old.txt", "old\n").await;
    let (first, second) =
        (world.work("First", "first").await, world.work("Second", "second").await);
    world.wait_for_files(first, &["first.txt", "made/by-first.txt", "old.txt", "shared.txt"]).await;
    let diff = world.wait_for_files(second, &["second.txt", "shared.txt"]).await;
    assert_eq!((&diff["backend"], &diff["branch"]), (&json!("worktree"), &json!("task-2-second")));
    assert_eq!(world.on_branch(first, "shared.txt").await, "by the first");
    assert_eq!(world.on_branch(second, "shared.txt").await, "by the second");
    assert_eq!(world.on_branch(second, "old.txt").await, "old");
    // Nothing of it is in the project's own folder, or on its branch.
    assert_eq!(world.git(&["status", "--porcelain"]).await, "");
    assert!(!world.project().join("first.txt").exists());
    let commits = world.get(format!("/api/tasks/{first}/commits")).await.rows();
    assert_eq!(commits[0]["subject"], "First");
    let body = commits[0]["body"].as_str().expect("a body");
    assert!(body.ends_with(&format!("Chorus-Task: {first}")), "{body}");

    // It is over: the branch stays, and can be pushed.
    let dir = PathBuf::from(world.attempt(first).await["worktree"].as_str().expect("a folder"));
    let done = world.complete(first, &json!({ "result": "done", "push": true })).await;
    assert_eq!((&done["status"], &done["git"]["commits"]), (&json!("completed"), &json!(1)));
    assert!(done["git"]["refused"].as_str().expect("why").contains("no remote"), "{done}");
    assert_eq!(done["git"]["push_command"][1], "push");
    let listed = world.cli(&["worktrees"]).await.ok().stdout;
    assert!(listed.contains("task-1-first") && listed.contains("neither pushed"), "{listed}");
    assert!(listed.contains("lives in it"), "{listed}");
    world.cli(&["worktrees", "prune"]).await.ok();
    assert!(dir.exists());
    world.git(&["merge", "-q", "--no-edit", "task-1-first"]).await;
    let said = world.cli(&["worktrees", "prune", "--dry-run"]).await.ok().stdout;
    assert!(said.contains("would remove task-1-first") && dir.exists(), "{said}");
    let said = world.cli(&["worktrees", "prune"]).await.ok().stdout;
    assert!(said.contains("removed task-1-first") && !dir.exists(), "{said}");
    assert!(said.contains("kept task-2-second"), "{said}");

    // It is given up: what was never committed is in the commit that is told, too.
    let dir = PathBuf::from(world.attempt(second).await["worktree"].as_str().expect("a folder"));
    fs::write(dir.join("late.txt"), "late\n").expect("a file");
    let failed = world.post(format!("/api/tasks/{second}/fail"), &json!({ "discard": true })).await;
    let commit = failed.expect(200).json()["discarded_commit"].as_str().expect("one").to_owned();
    assert!(!dir.exists());
    assert_eq!(world.git(&["branch", "--list", "task-2-second"]).await, "");
    assert_eq!(world.git(&["show", &format!("{commit}:late.txt")]).await, "late");
    assert_eq!(world.attempt(second).await["head_commit"], json!(commit));
}

#[tokio::test]
async fn two_tasks_at_once_in_one_directory_edit_each_on_its_own_branch() {
    let world = world().gitbutler().start().await;
    world.set_up_gitbutler().await;
    let (one, two) = (world.work("One", "one").await, world.work("Two", "two").await);
    let diff = world.wait_for_files(one, &["one.txt"]).await;
    assert_eq!((&diff["backend"], &diff["branch"]), (&json!("gitbutler"), &json!("task-1-one")));
    world.wait_for_files(two, &["two.txt"]).await;
    for name in ["one.txt", "two.txt"] {
        assert!(world.project().join(name).exists(), "{name} is in the one directory");
    }
    // The branch is there a moment before the directory's own state is.
    let clean = async || world.git(&["status", "--porcelain"]).await.is_empty();
    world.wait_for("nothing is left over in the directory", clean).await;
    // A third is denied a file of the first, with its owner's name.
    let third = world.work("Third", "first").await;
    let fourth = world.work("Fourth", "second").await;
    for (session, words) in [("third", "The first is done."), ("fourth", "The second is done.")] {
        wait_longer(LONG, &format!("{session} says {words:?}"), async || {
            let said = world.said(session).await;
            if said.iter().any(|s| s.contains(words)) { Ok(()) } else { Err(format!("{said:?}")) }
        })
        .await;
    }
    let text = fs::read_to_string(world.project().join("shared.txt")).expect("a file");
    let (owner, name, denied, session) = match text.as_str() {
        "by the first\n" => (third, "Third", fourth, "fourth"),
        _ => (fourth, "Fourth", third, "third"),
    };
    let files = |id, mine: [&'static str; 3]| {
        let all = mine.into_iter().filter(move |f| *f != "shared.txt" || id == owner);
        all.collect::<Vec<_>>()
    };
    let of_third = files(third, ["first.txt", "made/by-first.txt", "shared.txt"]);
    world.wait_for_files(third, &of_third).await;
    let mut of_fourth = vec!["second.txt"];
    of_fourth.extend((owner == fourth).then_some("shared.txt"));
    world.wait_for_files(fourth, &of_fourth).await;
    let rows = world.get(format!("/api/sessions/{session}/logs")).await.rows();
    let told = |r: &Value| {
        let result = r["result"].as_str().unwrap_or_default();
        result.contains(&format!("task {owner} (\"{name}\"")) && result.contains("shared.txt")
    };
    assert!(rows.iter().any(told), "{rows:?}");
    assert!(world.unattributed(denied).await.is_empty());
    // The claims end with the task.
    world.complete(owner, &json!({})).await;
    assert_eq!(world.git(&["status", "--porcelain"]).await, "");
}

#[tokio::test]
async fn history_is_not_for_claude_where_all_share_a_workspace() {
    let world = world().gitbutler().start().await;
    world.set_up_gitbutler().await;
    let id = world.work("Committer", "git").await;
    world.wait_for_words("committer", "I tried.").await;
    let head = world.git(&["log", "-1", "--format=%s"]).await;
    assert_eq!(head, "GitButler Workspace Commit");
    let denied = world.get("/api/sessions/committer/logs").await.rows();
    assert!(denied.iter().any(|r| r["status"] != "completed"), "{denied:?}");
    let told = world.model.bodies().iter().filter_map(|b| b.json().ok()).any(|body| {
        body["system"].to_string().contains("Do not run git commands that change history")
    });
    assert!(told, "Claude was told why");
    let diff = world.get(format!("/api/tasks/{id}/diff")).await.expect(200).json();
    assert_eq!(diff["committed"]["files"], json!([]));
}

#[tokio::test]
async fn an_edit_that_gitbutler_loses_is_brought_back_and_told() {
    let world = world().gitbutler().start().await;
    world.set_up_gitbutler().await;
    fs::write(world.project().join(".git/stand-in-but-lose"), "").expect("the switch");
    let mut events = world.events(None).await;
    let id = world.work("One", "one").await;
    let told = events.find("the problem", |e| e.kind == "git" && e.data["kind"] == "problem").await;
    let problem = told.data["problem"].as_str().expect("words");
    assert!(problem.contains("undone at once") && problem.contains("task-1-one"), "{problem}");
    assert_eq!(world.attempt(id).await["git_problem"], json!(problem));
    let edit = fs::read_to_string(world.project().join("one.txt")).expect("the edit is back");
    assert_eq!(edit, "one\n");
    // The next turn's end makes up for it.
    world.ask("one", "hello").await;
    world.wait_for_files(id, &["one.txt"]).await;
    world
        .wait_for("the problem is gone", async || world.attempt(id).await["git_problem"].is_null())
        .await;
    // A branch that something else has moved is not committed to at all.
    let moved =
        world.git(&["commit-tree", "task-1-one^{tree}", "-p", "task-1-one", "-m", "x"]).await;
    world.git(&["update-ref", "refs/heads/task-1-one", &moved]).await;
    world.ask("one", "two").await;
    world
        .wait_for("it is told", async || {
            let problem = world.attempt(id).await["git_problem"].clone();
            if problem.to_string().contains("moved outside of GitButler") {
                Ok(())
            } else {
                Err(problem.to_string())
            }
        })
        .await;
    assert!(world.project().join("two.txt").exists());
    assert_eq!(world.git(&["rev-parse", "task-1-one"]).await, moved);
}

#[tokio::test]
async fn what_commands_change_is_attributed_or_shown_as_nobodys() {
    let world = world().gitbutler().start().await;
    world.set_up_gitbutler().await;
    let (one, two) = (world.work("One", "commandone").await, world.work("Two", "commandtwo").await);
    for session in ["one", "two"] {
        wait_longer(LONG, "its command runs", async || {
            let rows = world.get(format!("/api/sessions/{session}/logs")).await.rows();
            rows.iter().any(|r| r["tool"] == "Bash" && r["status"] == "running")
        })
        .await;
    }
    let project = world.project();
    fs::write(project.join("go"), "").expect("a file");
    for name in ["by-one.txt", "by-two.txt"] {
        world.wait_for_file(&project.join(name)).await;
    }
    fs::write(project.join("on"), "").expect("a file");
    for session in ["one", "two"] {
        world.wait_for_status(session, "idle").await;
    }
    // Both ran when both were written: nobody can tell whose they are.
    let three = world.work("Three", "first").await;
    world.wait_for_files(three, &["first.txt", "made/by-first.txt", "shared.txt"]).await;
    for id in [one, two] {
        let diff = world.get(format!("/api/tasks/{id}/diff")).await.expect(200).json();
        assert_eq!(diff["committed"]["files"], json!([]), "{diff}");
        assert_eq!(world.unattributed(id).await, ["by-one.txt", "by-two.txt", "go", "on"]);
    }
}

#[tokio::test]
async fn a_commit_that_the_servers_death_cut_off_is_made_after_its_start() {
    let world = world().gitbutler().start().await;
    world.set_up_gitbutler().await;
    let id = world.work("One", "one").await;
    fs::write(world.project().join(".git/stand-in-but-slow"), "20000").expect("the switch");
    wait_longer(LONG, "the turn has ended", async || {
        let view = world.session("one").await;
        view["claude_status"] == "idle" && world.project().join("one.txt").exists()
    })
    .await;
    world.kill9();
    fs::remove_file(world.project().join(".git/stand-in-but-slow")).expect("the switch");
    let diff = world.git(&["diff", "--stat", "gitbutler/workspace", "task-1-one"]).await;
    assert_eq!(diff, "", "nothing is committed");
    world.start_again().await;
    world.wait_for_files(id, &["one.txt"]).await;
    // The branch is there a moment before the directory's own state is.
    let clean = async || world.git(&["status", "--porcelain"]).await.is_empty();
    world.wait_for("nothing is left over in the directory", clean).await;
}
