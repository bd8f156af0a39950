//! Notices in terminals: the line and the bell of one that is attached, and a status line.

use serde_json::json;

use crate::harness::World;
use crate::notices::recorded;
use crate::permissions::{ask, question};

#[tokio::test]
async fn the_status_line_counts_and_is_quiet_without_a_server() {
    let world = World::with_stand_in().await;
    assert_eq!(world.cli(&["status-line"]).await.ok().stdout, "");
    let (busy, waits) = (world.begin("a").await, world.begin("b").await);
    world.begin("c").await;
    world.hook(&busy, "UserPromptSubmit", &json!({ "prompt": "go" })).await.ok();
    let _held = ask(&world, &waits, "toolu_1", "make").await;
    assert_eq!(world.cli(&["status-line"]).await.ok().stdout, "1 waiting 1 busy 1 idle\n");
    let counts = world.cli(&["status-line", "--json"]).await.json();
    assert_eq!((&counts["waiting"], &counts["permissions"]), (&json!(1), &json!(1)));
    // As tmux runs it, in the status line of a person's own session.
    let job = format!(
        "#({} --data-dir {} status-line)",
        env!("CARGO_BIN_EXE_chorus"),
        world.data().display()
    );
    world.tmux(&["new-session", "-d", "-s", "mine", "sleep", "1000"]).await.ok();
    for option in [
        ["status", "on"],
        ["status-interval", "1"],
        ["status-right-length", "60"],
        ["status-right", &job],
    ] {
        world.tmux(&["set-option", "-t", "=mine:", option[0], option[1]]).await.ok();
    }
    let person = Person::attach(&world, "mine").await;
    person.sees("1 waiting 1 busy 1 idle").await;
    world.kill9();
    let without = world.cli(&["status-line"]).await.ok();
    assert_eq!((without.stdout.as_str(), without.stderr.as_str()), ("", ""));
}

/// Somebody whose terminal shows a session: the terminal is a pane of another tmux.
struct Person<'w> {
    world: &'w World,
    socket: String,
}

impl<'w> Person<'w> {
    async fn attach(world: &'w World, tmux_session: &str) -> Self {
        let socket = world.root().join("person.sock").to_str().expect("a path").to_owned();
        let person = Self { world, socket };
        let inner = world.tmux_socket().to_str().expect("a path").to_owned();
        let target = format!("={tmux_session}");
        // Bells of a window that is not looked at are remembered.
        let begin = ["-f", "/dev/null", "new-session", "-d", "-s", "p", "-x", "120", "-y", "30"];
        let attach = ["env", "TMUX=", "tmux", "-S", &inner, "attach-session", "-t", &target];
        person.tmux(&[&begin[..], &attach[..]].concat()).await;
        person.tmux(&["new-window", "-t", "p:", "sleep", "1000"]).await;
        world
            .wait_for("the terminal is attached", async || {
                let clients = world.tmux(&["list-clients", "-F", "#{client_control_mode}"]).await;
                clients.stdout.lines().any(|l| l == "0")
            })
            .await;
        person
    }

    async fn tmux(&self, args: &[&str]) -> String {
        let mut command = self.world.command("tmux");
        command.arg("-S").arg(&self.socket).args(args);
        crate::harness::processes::run(command).await.ok().stdout
    }

    async fn sees(&self, text: &str) {
        self.world
            .wait_for(&format!("the terminal shows {text:?}"), async || {
                let screen = self.tmux(&["capture-pane", "-p", "-t", "p:0"]).await;
                if screen.contains(text) { Ok(()) } else { Err(screen) }
            })
            .await;
    }

    async fn hears_the_bell(&self) {
        self.world
            .wait_for("the bell has rung", async || {
                self.tmux(&["display-message", "-p", "-t", "p:0", "#{window_bell_flag}"]).await
                    == "1\n"
            })
            .await;
    }
}

#[tokio::test]
async fn a_terminal_that_shows_another_session_is_told_and_rung_and_no_pane_is_written_to() {
    let (world, _) = recorded("0.05", &[]).await;
    let (here, there) = (world.begin("here").await, world.begin("there").await);
    let person = Person::attach(&world, "claude-here").await;
    let _held = question(&world, &there, "make").await;
    person.sees("Chorus: there asks for a permission (chorus attach there)").await;
    person.hears_the_bell().await;
    assert_eq!(world.pane_text("here").await.trim(), "", "{}", here.session);
    assert_eq!(world.pane_text("there").await.trim(), "");
    // tmux itself takes back what made it ring.
    world
        .wait_for("the session is as it was", async || {
            let option = ["show-options", "-w", "-v", "-t", "=claude-here:", "monitor-silence"];
            world.tmux(&option).await.stdout == "0\n"
        })
        .await;
    let tried = world.cli(&["notify", "test"]).await.ok().stdout;
    assert!(tried.contains("told    terminal  attached: 1"), "{tried}");
    person.sees("Chorus: A notice of Chorus's").await;
}
