//! Sessions of the stand-in, and the hooks that it would run.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::machine;
use crate::sandbox::{Sandbox, Server};
use crate::wire::{self, Wire};

/// The size of a hook's payload. Bytes.
const PAYLOAD: usize = 2_700;
/// What a `tool_use_id` begins with; 24 digits follow.
const ID: &[u8] = b"toolu_";
const DIGITS: usize = 24;

/// A session whose Claude Code is the stand-in.
pub struct Session {
    /// Its id.
    pub id: String,
    /// The conversation.
    pub conversation: String,
    /// The environment that Claude's hooks have.
    pub env: HashMap<String, String>,
    /// Its process.
    pub pid: u32,
}

impl Session {
    /// Starts one, and does what Claude Code does until it is idle.
    pub fn start(server: &Server<'_>, name: &str) -> Result<Self> {
        Self::of(server, &server.call("POST", "/api/sessions", Some(&json!({ "name": name })))?)
    }

    /// The same of one that was just started otherwise.
    pub fn of(server: &Server<'_>, view: &Value) -> Result<Self> {
        let text = |field: &str| view[field].as_str().map(str::to_owned).context("not a session");
        let (id, conversation) = (text("id")?, text("claude_session_id")?);
        let file = server.sandbox.path(&format!("home/{id}.env"));
        let began = Instant::now();
        while !file.exists() {
            ensure!(began.elapsed() < Duration::from_secs(10), "{id} does not start");
            sleep(Duration::from_millis(1));
        }
        let env = fs::read_to_string(file)?;
        let env = env.lines().filter_map(|l| l.split_once('='));
        let env = env.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let pid = view["pid"].as_u64().and_then(|p| p.try_into().ok()).context("no process")?;
        let session = Self { id, conversation, env, pid };
        session.begin(server)?;
        Ok(session)
    }

    /// Tells of its start, and that it is idle.
    fn begin(&self, server: &Server<'_>) -> Result<()> {
        let more = json!({ "source": "startup", "model": "claude-opus-5-5" });
        let mut wire = server.unix()?.patient()?;
        wire.write_all(&self.event("SessionStart", &more))?;
        wire::taken(&mut wire)?;
        self.say(server.sandbox, "idle")
    }

    /// Says in its state file what it does.
    pub fn say(&self, sandbox: &Sandbox, status: &str) -> Result<()> {
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let state = json!({
            "pid": self.pid, "sessionId": self.conversation, "cwd": sandbox.path("project"),
            "startedAt": now, "procStart": machine::started(self.pid)?, "version": "2.1.329",
            "kind": "interactive", "status": status, "updatedAt": now, "statusUpdatedAt": now,
        });
        let file = sandbox.path(&format!("home/.claude/sessions/{}.json", self.pid));
        let part = file.with_extension("part");
        fs::write(&part, state.to_string())?;
        fs::rename(part, file)?;
        Ok(())
    }

    /// A hook with this in its payload.
    pub fn event(&self, event: &str, more: &Value) -> Vec<u8> {
        let mut payload = json!({
            "session_id": self.conversation, "cwd": "/project", "hook_event_name": event,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            payload[name] = value.clone();
        }
        self.request(event, &payload.to_string())
    }

    fn request(&self, event: &str, payload: &str) -> Vec<u8> {
        let var = |name: &str| self.env.get(name).map_or("", String::as_str);
        let (token, generation) = (var("CHORUS_HOOK_TOKEN"), var("CHORUS_GENERATION"));
        format!(
            "POST /api/hooks/{event} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             Authorization: Bearer {token}\r\nX-Chorus-Session: {}\r\n\
             X-Chorus-Generation: {generation}\r\n\r\n{payload}",
            payload.len(),
            self.id,
        )
        .into_bytes()
    }

    /// The payload of an ended tool call, of the size that is usual.
    pub fn payload(&self) -> String {
        let mut payload = json!({
            "session_id": self.conversation,
            "transcript_path": "/home/user/.claude/projects/-project/none.jsonl",
            "cwd": "/project",
            "prompt_id": "93e9d73d-540e-4990-b1ef-fe1c6213d48e",
            "permission_mode": "default",
            "effort": { "level": "high" },
            "hook_event_name": "PostToolUse",
            "tool_name": "Bash",
            "tool_input": { "command": "cargo test --workspace", "description": "Run the tests" },
            "tool_response": {
                "stdout": "", "stderr": "", "interrupted": false, "isImage": false,
                "noOutputExpected": false,
            },
            "tool_use_id": format!("toolu_{:024x}", 0),
            "duration_ms": 4711,
        });
        let mut output = String::new();
        for n in 0.. {
            let left = PAYLOAD.saturating_sub(payload.to_string().len() + output.len());
            if left == 0 {
                break;
            }
            // A line break is two bytes of JSON.
            let line = format!("test reducer::tests::case_{n:04} ... ok\n");
            output.push_str(&line[..line.len().min(left)]);
        }
        payload["tool_response"]["stdout"] = Value::String(output);
        payload.to_string()
    }

    /// The same of call number `n`.
    pub fn payload_of(&self, n: u64) -> String {
        self.payload().replace(&format!("toolu_{:024x}", 0), &format!("toolu_{n:024x}"))
    }

    /// The hook of an ended tool call, with this number in its id.
    pub fn tool_call(&self, n: u64) -> Result<Vec<u8>> {
        Ok(self.request("PostToolUse", &self.payload_of(n)))
    }

    /// A hook of this session's that can be sent again and again.
    pub fn hook(&self) -> Result<Hook> {
        let bytes = self.request("PostToolUse", &self.payload());
        let id_at = wire::find(&bytes, ID).context("no id")? + ID.len();
        Ok(Hook { bytes, id_at })
    }
}

/// A rendered hook, of which only the tool call's id changes.
pub struct Hook {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Hook {
    /// Sends it for call number `n`.
    pub fn send(&mut self, wire: &mut Wire, n: u64) -> Result<()> {
        let mut number = n;
        for digit in self.bytes[self.id_at..self.id_at + DIGITS].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(number % 16) as usize];
            number /= 16;
        }
        Ok(wire.write_all(&self.bytes)?)
    }
}

/// Takes the numbers of calls off the front of `seen`, which holds a piece of the live stream.
pub fn calls(seen: &mut Vec<u8>, mut each: impl FnMut(u64)) {
    let mut done = 0;
    while let Some(at) = wire::find(&seen[done..], ID) {
        let from = done + at + ID.len();
        let Some(digits) = seen.get(from..from + DIGITS) else {
            done += at;
            break;
        };
        done = from + DIGITS;
        let number = std::str::from_utf8(digits).ok().and_then(|d| u64::from_str_radix(d, 16).ok());
        number.into_iter().for_each(&mut each);
    }
    // The beginning of an id may be all that has come.
    let keep = done.max(seen.len().saturating_sub(ID.len() - 1)).min(seen.len());
    seen.drain(..if wire::find(&seen[done..], ID).is_some() { done } else { keep });
}
