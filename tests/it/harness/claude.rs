//! Being the person at a real Claude Code's keyboard.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::{World, processes, wait_longer};

/// How long Claude Code may take to start and ask its model, on a machine that starts several.
const START: Duration = Duration::from_secs(60);

impl World {
    /// Creates a session of the real Claude Code with a first prompt that picks a scenario, and
    /// waits until the model has heard of it.
    pub async fn play(&self, name: &str, scenario: &str, launch: &Value) {
        let prompt = format!("scenario:{scenario} please");
        let heard = || self.model.requests().iter().filter(|r| r.prompt.contains(&prompt)).count();
        let before = heard();
        self.create(name, &json!({ "initial_prompt": prompt, "launch": launch })).await;
        wait_longer(START, &format!("{name}'s Claude asks its model"), async || {
            if heard() > before { Ok(()) } else { Err(self.session(name).await.to_string()) }
        })
        .await;
    }

    /// Sends a prompt that picks a scenario.
    pub async fn ask(&self, session: &str, scenario: &str) {
        let body = json!({ "text": format!("scenario:{scenario} please"), "queue": true });
        self.post(format!("/api/sessions/{session}/send"), &body).await.expect(202);
    }

    /// Sends one of Claude Code's own commands.
    pub async fn command_of_claude(&self, session: &str, command: &str) {
        let body = json!({ "text": command, "raw": true });
        self.post(format!("/api/sessions/{session}/send"), &body).await.expect(202);
    }

    /// Presses a key in a session's terminal, by its name in tmux.
    pub async fn press(&self, session: &str, key: &str) {
        let target = self.pane(session).await;
        self.tmux(&["send-keys", "-t", &target, key]).await.ok();
    }

    /// A session's pane, as tmux wants it named.
    pub async fn pane(&self, session: &str) -> String {
        format!("={}:", self.session(session).await["tmux_session"].as_str().expect("a name"))
    }

    /// Waits until this text is on a session's screen.
    pub async fn wait_for_screen(&self, session: &str, text: &str) {
        self.wait_for(&format!("{session}'s screen shows {text:?}"), async || {
            let screen = self.pane_text(session).await;
            if screen.contains(text) { Ok(()) } else { Err(screen) }
        })
        .await;
    }

    /// Waits until a file is there.
    pub async fn wait_for_file(&self, path: &Path) {
        self.wait_for(&format!("{} is there", path.display()), async || path.exists()).await;
    }

    /// Waits until the one tool call of a session, or the newest, has this status; tells its row.
    pub async fn wait_for_call(&self, session: &str, status: &str) -> Value {
        self.wait_for(&format!("{session}'s newest call is {status}"), async || {
            let rows = self.get(format!("/api/sessions/{session}/logs")).await.rows();
            match rows.into_iter().max_by_key(|row| row["id"].as_i64()) {
                Some(row) if row["status"] == status => Ok(row),
                row => Err(format!("{row:?}")),
            }
        })
        .await
    }

    /// Waits until a permission request is in this status, and tells it.
    pub async fn wait_for_outcome(&self, request: &Value, status: &str) -> Value {
        let id = request["id"].as_str().expect("an id");
        self.wait_for(&format!("the request is {status}"), async || {
            let now = self.get(format!("/api/permissions/{id}")).await.expect(200).json();
            if now["status"] == status { Ok(now) } else { Err(now.to_string()) }
        })
        .await
    }

    /// The process of the hook that waits for a decision.
    pub async fn held_hook(&self) -> u32 {
        self.wait_for("a hook waits for a decision", async || {
            let living = processes::living_in(&self.home()).into_iter();
            let mut waiting = living
                .filter(|pid| processes::arguments(*pid).ends_with(&["PermissionRequest".into()]));
            waiting.next()
        })
        .await
    }

    /// Decides a permission request through the API.
    pub async fn decide(&self, request: &Value, answer: &Value) {
        let id = request["id"].as_str().expect("an id");
        self.post(format!("/api/permissions/{id}/respond"), answer).await.expect(200);
    }

    /// Everything that was said in a session, as the API lists it.
    pub async fn said(&self, session: &str) -> Vec<String> {
        let rows = self.get(format!("/api/sessions/{session}/messages")).await.rows();
        rows.iter().filter_map(|row| row["content"].as_str().map(str::to_owned)).collect()
    }

    /// Waits until something was said in a session.
    pub async fn wait_for_words(&self, session: &str, words: &str) {
        self.wait_for(&format!("{words:?} was said in {session}"), async || {
            let said = self.said(session).await;
            if said.iter().any(|s| s.contains(words)) { Ok(()) } else { Err(format!("{said:?}")) }
        })
        .await;
    }
}

/// The configuration of a tool server with the one tool `mcp__demo__echo`.
pub fn demo_tools() -> Value {
    json!({ "mcpServers": { "demo": { "command": scripted_model(), "args": ["mcp"] } } })
}

/// The scripted model's program.
fn scripted_model() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("scripted-model", "mcp")).clone()
}

/// The program that stands in for GitButler's.
pub fn stand_in_but() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("stand-in-but", "--version")).clone()
}

/// A program of another member. It lies beside ours; tests of our package alone do not build it.
fn built(name: &str, word: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_chorus")).with_file_name(name);
    let knows = |path: &Path| {
        let mut ran = Command::new(path);
        let ran = ran.arg(word).stdin(Stdio::null()).stdout(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    };
    if !knows(&path) {
        let mut cargo = Command::new(env!("CARGO"));
        let built = cargo.args(["build", "--quiet", "-p", name]).status();
        assert!(built.is_ok_and(|s| s.success()) && knows(&path), "{}", path.display());
    }
    path
}
