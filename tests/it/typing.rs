//! What is typed into a terminal that has changed since it was looked at: a stand-in draws the input box and
//! the dialogs, and keeps every byte.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Agent, World};
use crate::permissions::{ask, becomes, decide};

/// A session whose terminal shows what the story draws, and keeps what is typed.
struct Typed {
    agent: Agent,
    /// The pane, as tmux wants it named.
    pane: String,
    file: PathBuf,
}

impl Typed {
    /// Runs `script` in a new session's terminal, with `$typed` as the file for what is typed, and waits
    /// until it shows `first`.
    async fn begin(world: &World, name: &str, script: &str, first: &str) -> Self {
        let launch = json!({ "launch": { "env": { "STAND_IN": "shell" } } });
        let agent = world.begin_with(name, &launch).await;
        let file = world.root().join(format!("{name}.typed"));
        let path = world.root().join(format!("{name}.sh"));
        let script =
            format!("typed={}\n: > $typed\nstty raw -echo\n{DRAW}{script}\n", file.display());
        fs::write(&path, script).expect("a script");
        let pane = world.pane(name).await;
        let run = format!("exec sh {}", path.display());
        world.tmux(&["send-keys", "-t", &pane, "-l", &run]).await.ok();
        world.tmux(&["send-keys", "-t", &pane, "Enter"]).await.ok();
        world.wait_for_screen(name, first).await;
        Self { agent, pane, file }
    }

    /// What is on the screen, without asking the server.
    async fn screen(&self, world: &World) -> String {
        world.tmux(&["capture-pane", "-p", "-t", &self.pane]).await.ok().stdout
    }

    fn bytes(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.file).expect("what was typed")).into_owned()
    }
}

/// Draws an empty input box, and the dialog about a command.
const DRAW: &str = r#"
box() {
    rule=────────────────────────────────────────
    printf '\033[2J\033[H%s\r\n❯\302\240\r\n%s\r\n? for shortcuts\033[2;3H' $rule $rule
}
dialog() {
    printf '\033[2J\033[H%s\r\n Bash command\r\n\r\n   %s\r\n\r\n' ──────────────────── "$1"
    printf ' Do you want to proceed?\r\n ❯ 1. Yes\r\n   2. No\r\n\r\n Esc to cancel'
}
"#;

async fn send(world: &World, session: &str, text: &str) -> Value {
    let body = json!({ "text": text, "queue": true });
    world.post(format!("/api/sessions/{session}/send"), &body).await.expect(202).json()
}

async fn undelivered(world: &World, session: &str, sent: &Value) -> String {
    world
        .wait_for("it is undelivered", async || {
            let rows = world.get(format!("/api/sessions/{session}/messages")).await.rows();
            let message = rows.into_iter().find(|m| m["id"] == sent["id"]).ok_or("not listed")?;
            match message["delivery_status"].as_str() {
                Some("undelivered") => Ok(message["delivery_error"].to_string()),
                _ => Err(message.to_string()),
            }
        })
        .await
}

#[tokio::test]
async fn a_dialog_that_opens_while_a_prompt_is_pasted_gets_no_enter() {
    let world = World::with_stand_in().await;
    // The first byte of the prompt opens it.
    let opens = r#"box; dd bs=1 count=1 >> $typed 2> /dev/null; dialog "rm -rf /"; cat >> $typed"#;
    let mut sent = Vec::new();
    for (name, text) in [("short", "go on"), ("long", "one\ntwo\nthree\nfour\nfive")] {
        let typed = Typed::begin(&world, name, opens, "? for shortcuts").await;
        sent.push((name, text, send(&world, name, text).await, typed));
    }
    for (name, text, message, typed) in sent {
        let why = undelivered(&world, name, &message).await;
        assert!(why.contains("Enter was not pressed") && why.contains("Permission"), "{why}");
        assert_eq!(typed.bytes(), text);
    }
}

/// Keeps others from writing to the database.
async fn locked(world: &World) -> sqlx::SqliteConnection {
    use sqlx::Connection as _;
    let url = world.database_url();
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("a database");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.expect("the lock");
    connection
}

#[tokio::test]
async fn a_key_answers_no_dialog_that_opened_while_the_answer_was_noted() {
    use sqlx::Connection as _;
    let world = World::build().stand_in().store(crate::harness::Store::Sqlite).start().await;
    // Whichever file is there says what is asked.
    let asks = r#"
        (while :; do [ -e next ] && asked="touch next" || asked="touch first"
            [ "$asked" = "$shown" ] || dialog "$asked"; shown=$asked; sleep 0.05; done) &
        exec cat >> $typed"#;
    let asks = asks.replace("next ]", &format!("{}/next ]", world.root().display()));
    let typed = Typed::begin(&world, "p", &asks, "touch first").await;
    let (held, request) = ask(&world, &typed.agent, "toolu_1", "touch first").await;
    held.kill().await;
    world.write_state(&typed.agent, "waiting");
    world
        .wait_for("the state file is believed", async || {
            world.session("p").await["evidence"]["source"] == "state_file"
        })
        .await;
    decide(&world, &request, &json!({ "decision": "allow" })).await;

    // What cannot be noted is not done.
    let lock = locked(&world).await;
    world
        .wait_for("noting it has failed", async || {
            world.log().contains("cannot be answered by key")
        })
        .await;
    assert_eq!(typed.bytes(), "");

    // It is noted late: by then the terminal asks the next thing.
    world
        .wait_for("it is being noted", async || {
            let answer = world.get("/api/sessions/p");
            timeout(Duration::from_millis(500), answer).await.is_err()
        })
        .await;
    fs::write(world.root().join("next"), "").expect("a file");
    let shows_next = async || typed.screen(&world).await.contains("touch next");
    world.wait_for("the next dialog is open", &shows_next).await;
    lock.close().await.expect("its end");
    becomes(&world, &request, "delivered").await;
    for _ in 0..5 {
        assert!(shows_next().await);
    }
    assert_eq!(typed.bytes(), "");

    // Its own dialog is answered.
    fs::remove_file(world.root().join("next")).expect("it was there");
    world
        .wait_for("the key is pressed", async || {
            if typed.bytes() == "\r" { Ok(()) } else { Err(typed.bytes()) }
        })
        .await;
}
