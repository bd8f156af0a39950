//! Speaking as a session's Claude Code does: by its hooks.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::http::Request;
use super::{Output, PATIENCE, World, processes};

/// A session's Claude, as its hooks see it.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The session's id.
    pub session: String,
    /// The conversation.
    pub conversation: String,
    /// The process in the pane.
    pub pid: u32,
    /// Its environment: the session's token is in there.
    pub env: BTreeMap<String, String>,
    cwd: String,
}

impl World {
    /// Takes the part of a session's Claude.
    pub async fn agent(&self, session: &str) -> Agent {
        self.wait_for("the session's process runs in its environment", async || {
            let view = self.get(format!("/api/sessions/{session}")).await.expect(200).json();
            let pid = view["pid"].as_u64().ok_or("no process yet")? as u32;
            let env = processes::environment(pid);
            if !env.contains_key("CHORUS_HOOK_TOKEN") {
                return Err("no token in its environment yet");
            }
            Ok(Agent {
                session: view["id"].as_str().ok_or("no id")?.to_owned(),
                conversation: view["claude_session_id"]
                    .as_str()
                    .ok_or("no conversation")?
                    .to_owned(),
                cwd: view["workspace_path"].as_str().ok_or("no workspace")?.to_owned(),
                pid,
                env,
            })
        })
        .await
    }

    /// Runs the real `chorus hook` with this payload, to its end.
    pub async fn hook(&self, agent: &Agent, event: &str, payload: &Value) -> Output {
        self.begin_hook(agent, event, payload).await.end().await
    }

    /// Starts the real `chorus hook`; a permission request waits for its answer.
    pub async fn begin_hook(&self, agent: &Agent, event: &str, payload: &Value) -> Held {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_chorus"))
            .args(["hook", event])
            .env_clear()
            .envs(&agent.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the hook's process");
        let mut stdin = child.stdin.take().expect("its input");
        // One that has nothing to say leaves without reading.
        let _ = stdin.write_all(agent.payload(event, payload).to_string().as_bytes()).await;
        drop(stdin);
        Held { child, began }
    }

    /// Posts a hook over HTTP as `chorus hook` would.
    pub async fn post_hook(&self, agent: &Agent, event: &str, payload: &Value) -> super::Answer {
        self.hook_request(agent, event, payload).send().await
    }

    /// The same, still to be sent.
    pub fn hook_request(&self, agent: &Agent, event: &str, payload: &Value) -> Request<'_> {
        let request = self.request("POST", format!("/api/hooks/{event}")).via(super::Via::Unix);
        agent
            .headers()
            .into_iter()
            .fold(request, |r, (name, value)| r.header(name, value))
            .json(&agent.payload(event, payload))
    }
}

impl Agent {
    /// What Claude Code writes: the event's own fields, and those that all events have.
    pub fn payload(&self, event: &str, own: &Value) -> Value {
        let mut payload = json!({
            "session_id": self.conversation,
            "transcript_path": format!("{}/no-such-transcript.jsonl", self.cwd),
            "cwd": self.cwd,
            "hook_event_name": event,
            "permission_mode": "default",
        });
        if let (Some(payload), Some(own)) = (payload.as_object_mut(), own.as_object()) {
            payload.extend(own.clone());
        }
        payload
    }

    /// What shows that a hook belongs to the session.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let var = |name: &str| self.env.get(name).cloned().unwrap_or_default();
        vec![
            ("x-chorus-session", self.session.clone()),
            ("authorization", format!("Bearer {}", var("CHORUS_HOOK_TOKEN"))),
            ("x-chorus-generation", var("CHORUS_GENERATION")),
        ]
    }

    /// The own fields of a tool call's hooks.
    pub fn call(id: &str, command: &str) -> Value {
        json!({ "tool_name": "Bash", "tool_input": { "command": command }, "tool_use_id": id })
    }

    /// The same with a result.
    pub fn called(id: &str, command: &str) -> Value {
        let mut call = Self::call(id, command);
        call["tool_response"] = json!({ "stdout": format!("did {command}"), "stderr": "" });
        call["duration_ms"] = json!(3);
        call
    }
}

/// A hook's process.
pub struct Held {
    child: Child,
    began: Instant,
}

impl Held {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a process that has not been waited for")
    }

    /// Whether it still waits.
    pub fn is_waiting(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// Waits for its end.
    pub async fn end(self) -> Output {
        self.end_within(PATIENCE).await
    }

    /// Waits for its end, but not longer than this.
    pub async fn end_within(self, limit: Duration) -> Output {
        let Ok(output) = timeout(limit, self.child.wait_with_output()).await else {
            panic!("the hook still waits after {limit:?}")
        };
        let output = output.expect("its output");
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: self.began.elapsed(),
        }
    }

    /// Kills it, as Claude Code does when the question is settled in the terminal.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("its end");
    }
}
