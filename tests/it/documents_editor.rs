//! Opening a document in an editor.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::documents::{document, files};
use crate::harness::{World, is_problem};

/// A world with editors that note how they were started. Those of a terminal stay until they are ended.
async fn with_editor(editor: &str) -> World {
    let bin =
        tempfile::Builder::new().prefix("ch-bin").tempdir_in("/tmp").expect("a folder").keep();
    for name in ["vim", "code", "hx"] {
        let stays = if name == "code" { "" } else { "exec sleep 1000\n" };
        let script = format!(
            "#!/bin/sh\nprintf '%s|' \"$@\" > \"$HOME/{name}.part\"\nmv \"$HOME/{name}.part\" \"$HOME/{name}.args\"\n{stays}"
        );
        let file = bin.join(name);
        fs::write(&file, script).expect("a script");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    fs::write(bin.join("broken"), "#!/bin/sh\necho no such display\nexit 3\n").expect("a script");
    fs::set_permissions(bin.join("broken"), fs::Permissions::from_mode(0o755)).expect("its mode");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    World::build().stand_in().env("PATH", path).env("EDITOR", editor).start().await
}

async fn open(world: &World, line: u32) -> (Value, Value) {
    files(world, &[("docs/a b.md", "# A\n")]);
    let document = document(world, "docs/a b.md").await;
    let address = format!("/api/documents/{}/edit?line={line}", document["id"]);
    let opened = world.post(address, &json!({})).await.expect(200).json();
    (document, opened)
}

async fn arguments(world: &World, editor: &str) -> String {
    let file = world.home().join(format!("{editor}.args"));
    world.wait_for("the editor was started", async || fs::read_to_string(&file).ok()).await
}

#[tokio::test]
async fn an_editor_of_the_terminal_runs_in_tmux() {
    let world = with_editor("vim -u 'NO NE'").await;
    let (document, opened) = open(&world, 7).await;
    let file = world.project().join("docs/a b.md");
    assert_eq!(arguments(&world, "vim").await, format!("-u|NO NE|+7|{}|", file.display()));
    let attach = &opened["attach"];
    let name = attach["tmux_session"].as_str().expect("a name");
    assert_eq!(name, format!("edit-{}", document["id"]));
    assert!(attach["command"].as_str().is_some_and(|c| c.contains("attach-session")), "{attach}");
    world.tmux(&["has-session", "-t", &format!("={name}")]).await.ok();
    // It is no session of Claude's, and nobody opens it twice.
    let again = world.post(format!("/api/documents/{}/edit", document["id"]), &json!({})).await;
    assert_eq!(again.expect(200).json()["attach"], *attach);
    assert!(world.get("/api/sessions").await.rows().is_empty());
    let listed =
        world.tmux(&["list-panes", "-t", &format!("={name}:"), "-F", "#{pane_pid}"]).await.ok();
    let pid: u32 = listed.stdout.trim().parse().expect("a process");
    crate::harness::signal(pid, rustix::process::Signal::KILL);
    world
        .wait_for("the terminal goes with the editor", async || {
            world.tmux(&["has-session", "-t", &format!("={name}")]).await.code != Some(0)
        })
        .await;
    let acts = world.get("/api/audit?action=document.opened").await.rows();
    assert_eq!(acts[0]["data"]["line"], 1);
}

#[tokio::test]
async fn an_editor_with_windows_of_its_own_is_started() {
    let world = with_editor("code --wait").await;
    let (_, opened) = open(&world, 7).await;
    let file = world.project().join("docs/a b.md");
    assert_eq!(arguments(&world, "code").await, format!("--wait|--goto|{}:7|", file.display()));
    assert_eq!(opened["attach"], Value::Null);
    assert!(opened["argv"][0].as_str().is_some_and(|a| a.ends_with("/code")), "{opened}");
}

#[tokio::test]
async fn an_editor_that_cannot_be_is_named() {
    for (editor, said) in [
        ("no-such-editor --flag", "no-such-editor"),
        ("vim 'x", "quote"),
        ("relative/vim", "relative/vim"),
        ("broken", "ended at once"),
        ("vim; touch $HOME/ran", "vim;"),
    ] {
        let world = with_editor(editor).await;
        files(&world, &[("a.md", "")]);
        let id = document(&world, "a.md").await["id"].clone();
        let refused = world.post(format!("/api/documents/{id}/edit"), &json!({})).await.expect(409);
        assert!(is_problem(&refused) && refused.text().contains(said), "{}", refused.text());
        assert!(!world.home().join("ran").exists());
        assert_eq!(
            world
                .post(format!("/api/documents/{id}/edit?line=0"), &json!({}))
                .await
                .expect(422)
                .json()["errors"][0]["field"],
            "line"
        );
    }
}
