//! `make demo`: the main job, on a real Claude Code, told as it happens.
//!
//! A scratch repository, a scripted model in the place of Anthropic's API, a `chorus serve` with its
//! own data folder, and the Claude Code that `CHORUS_TEST_CLAUDE` names, with its own HOME and a
//! clean environment. Nothing of the user's is read or touched. `KEEP=1` leaves the page up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use chorus::api::permissions::Answer;
use chorus::api::sessions::{NewSession, SessionView};
use chorus::cli::client::{Client, Events};
use chorus::config::DataDir;
use chorus::domain::permission::{PermissionRequest, Verdict};
use chorus::domain::record::{CommandLog, Message};
use chorus::domain::session::ClaudeStatus;
use chorus::server::Running;
use hyper::Method;
use scripted_model::{Script, ScriptedModel};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long any one step may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The key that Claude Code is given; nobody checks it.
const KEY: &str = "sk-ant-dummy";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("demo: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line of the story with the time since its beginning.
struct Story(Instant);

impl Story {
    fn tell(&self, line: &str) {
        println!("{:7.2} s  {line}", self.0.elapsed().as_secs_f64());
    }
}

async fn run() -> Result<()> {
    let claude = std::env::var("CHORUS_TEST_CLAUDE").map_err(|_| {
        anyhow!("CHORUS_TEST_CLAUDE must name a Claude Code program; `make demo` sees to that")
    })?;
    let keep = std::env::var("KEEP").is_ok_and(|k| !k.is_empty() && k != "0");
    let story = Story(Instant::now());
    let scratch = tempfile::Builder::new().prefix("chorus-demo-").tempdir()?;
    let world = World::make(scratch.path(), Path::new(&claude))?;
    story.tell(&format!("a scratch git repository: {}", world.project.display()));
    let model = ScriptedModel::start(script()?)?;
    story.tell(&format!("a scripted model in the place of the API: {}", model.url()));
    let server = world.serve(&model.url())?;
    let client = world.client().await?;
    let page = Running::find(&world.data).map(|r| r.url).unwrap_or_default();
    story.tell(&format!("chorus serve answers; the page: {page}"));
    main_job(&story, &client, &world).await?;
    if keep {
        story.tell(&format!("KEEP: the page stays up at {page} until you press Ctrl+C"));
        story.tell("a second session waits there for your decision");
        let second = NewSession {
            initial_prompt: Some("scenario:demo and wait for me".into()),
            ..NewSession::default()
        };
        let _: SessionView = client.post("/api/sessions", &second).await?;
        tokio::signal::ctrl_c().await?;
    }
    let sessions: Vec<SessionView> = client.list("/api/sessions", 10).await?;
    for session in sessions {
        let path = format!("/api/sessions/{}", session.id);
        let _: Value = client.call(Method::DELETE, &path, None::<&Value>).await?;
    }
    drop(server);
    story.tell("everything that was started is ended");
    Ok(())
}

async fn main_job(story: &Story, client: &Client, world: &World) -> Result<()> {
    let mut events = client.events("", None).await?;
    let new = NewSession {
        name: Some("demo".to_owned().try_into()?),
        initial_prompt: Some(
            "Please mark the second line of notes.txt as done (scenario:demo)".into(),
        ),
        ..NewSession::default()
    };
    let session: SessionView = client.post("/api/sessions", &new).await?;
    let version = session.claude_version.as_deref().unwrap_or("?");
    story.tell(&format!(
        "a session: Claude Code {version} starts in tmux ({})",
        session.tmux_session
    ));
    let asked =
        follow(story, &mut events, "a permission request", |kind, _| kind == "permission_request")
            .await?;
    let request: PermissionRequest = client
        .get(&format!("/api/permissions/{}", asked["id"].as_str().unwrap_or_default()))
        .await?;
    story.tell(&format!("Claude asks: {}", request.summary));
    let yes = Answer::plain(Verdict::Allow);
    let decided = Instant::now();
    let _: PermissionRequest =
        client.post(&format!("/api/permissions/{}/respond", request.id), &yes).await?;
    story.tell("approved through the API");
    // A turn's end is told by a hook, what was done in it a moment later by the transcript.
    let (mut edited, mut ended) = (false, false);
    follow(story, &mut events, "the edit and the end of the turn", |kind, data| {
        edited |= kind == "tool_use" && data["tool"] == "Edit" && data["status"] == "completed";
        ended |= kind == "claude_status" && data["new"] == ClaudeStatus::Idle.as_str();
        edited && ended
    })
    .await?;
    story.tell(&format!(
        "edited, and the turn is over, {} ms after the decision",
        decided.elapsed().as_millis()
    ));
    let notes = std::fs::read_to_string(world.project.join("notes.txt"))?;
    if !notes.contains("write the demo: done") {
        bail!("the file was not edited: {notes:?}");
    }
    what_is_kept(client).await
}

/// Tells events as they come, until one is the wanted one; returns its data.
async fn follow(
    story: &Story,
    events: &mut Events,
    what: &str,
    mut wanted: impl FnMut(&str, &Value) -> bool,
) -> Result<Value> {
    let search = async {
        while let Some(event) = events.next().await? {
            let data: Value = serde_json::from_str(&event.data)?;
            match event.kind.as_str() {
                "claude_status" if data["old"] != data["new"] => {
                    let (new, by) = (&data["new"], &data["evidence"]);
                    story.tell(&format!(
                        "  {} is {} ({}: {})",
                        word(&data["name"]),
                        word(new),
                        word(&by["source"]),
                        word(&by["what"])
                    ));
                }
                "tool_use" => {
                    story.tell(&format!("  {} {}", word(&data["tool"]), word(&data["status"])))
                }
                "permission_resolved" => {
                    story.tell(&format!("  the request is {}", word(&data["status"])))
                }
                _ => {}
            }
            if wanted(&event.kind, &data) {
                return Ok(data);
            }
        }
        bail!("the stream ended")
    };
    timeout(PATIENCE, search)
        .await
        .map_err(|_| anyhow!("{what} did not come within {} s", PATIENCE.as_secs()))?
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// What the log holds afterwards. The transcript is written a moment after the fact.
async fn what_is_kept(client: &Client) -> Result<()> {
    let began = Instant::now();
    let (said, done, asked) = loop {
        let said: Vec<Message> = client.list("/api/sessions/demo/messages", 100).await?;
        let done: Vec<CommandLog> = client.list("/api/sessions/demo/logs", 100).await?;
        let asked: Vec<PermissionRequest> = client.list("/api/permissions", 100).await?;
        let whole = said.iter().any(|m| m.content.contains("marked as done"))
            && asked.iter().all(|r| !r.status.is_open());
        if whole || began.elapsed() > PATIENCE {
            break (said, done, asked);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    println!("\nWhat Chorus keeps (`chorus logs demo`):");
    let mut lines: Vec<_> =
        said.iter().map(|m| (m.timestamp, format!("{}: {}", m.direction, m.content))).collect();
    lines.extend(done.iter().map(|t| {
        let took = t.duration_ms.map_or_else(|| "unknown".into(), |ms| format!("{ms} ms"));
        (t.timestamp, format!("tool {} {} (took {took})", t.tool, t.status))
    }));
    lines.extend(
        asked
            .iter()
            .map(|r| (r.requested_at, format!("permission for {}: {}", r.summary, r.status))),
    );
    lines.sort();
    for (at, line) in lines {
        println!("  {at}  {line}");
    }
    println!();
    Ok(())
}

fn script() -> Result<Script> {
    let notes = "{{cwd}}/notes.txt";
    let own = json!({ "scenarios": { "demo": [
        { "text": "I will look at the file first.", "tools": [{ "name": "Read", "input": { "file_path": notes } }] },
        { "text": "Now the edit.", "tools": [{ "name": "Edit", "input": {
            "file_path": notes, "old_string": "write the demo", "new_string": "write the demo: done" } }] },
        { "text": "The second line is marked as done." }
    ] } });
    Ok(Script::standard().extended_with(Script::from_json(&own.to_string())?))
}

/// The demo's own corner of the disk.
struct World {
    home: PathBuf,
    project: PathBuf,
    data: DataDir,
    claude: PathBuf,
}

impl World {
    fn make(root: &Path, claude: &Path) -> Result<Self> {
        let root = root.canonicalize()?;
        let world = Self {
            home: root.join("home"),
            project: root.join("project"),
            data: DataDir(root.join("data")),
            claude: claude.canonicalize().context("CHORUS_TEST_CLAUDE")?,
        };
        std::fs::create_dir(&world.home)?;
        std::fs::create_dir(&world.project)?;
        std::fs::write(world.project.join("notes.txt"), "read the README\nwrite the demo\n")?;
        world.git(&["init", "-q"])?;
        world.git(&["add", "."])?;
        let who = ["-c", "user.name=demo", "-c", "user.email=demo@localhost"];
        world.git(&[&who[..], &["commit", "-q", "-m", "Begin"]].concat())?;
        // What a person answers once: the first-start questions, the key, the folder.
        let answered = json!({
            "hasCompletedOnboarding": true,
            "customApiKeyResponses": { "approved": [KEY], "rejected": [] },
            "projects": { world.project.to_string_lossy(): { "hasTrustDialogAccepted": true } },
        });
        std::fs::write(world.home.join(".claude.json"), answered.to_string())?;
        Ok(world)
    }

    fn git(&self, args: &[&str]) -> Result<()> {
        let status = Command::new("git")
            .args(args)
            .current_dir(&self.project)
            .env("HOME", &self.home)
            .status()?;
        if status.success() { Ok(()) } else { bail!("git {args:?}: {status}") }
    }

    fn serve(&self, model: &str) -> Result<Server> {
        let program = program()?;
        let path = std::env::var("PATH").unwrap_or_default();
        let text = |p: &Path| p.to_string_lossy().into_owned();
        let env = BTreeMap::from([
            ("HOME", text(&self.home)),
            ("PATH", path),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("ANTHROPIC_BASE_URL", model.to_owned()),
            ("ANTHROPIC_API_KEY", KEY.into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ("DISABLE_AUTOUPDATER", "1".into()),
            ("CHORUS_CLAUDE", text(&self.claude)),
            ("CHORUS_DATA_DIR", text(&self.data.0)),
            ("CHORUS_LOGIN_SHELL", "false".into()),
            ("CHORUS_LOG", "warn".into()),
        ]);
        let child = Command::new(program)
            .args(["serve", "--project-root"])
            .arg(&self.project)
            .env_clear()
            .envs(env)
            .current_dir(&self.project)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Server { child, tmux: self.data.tmux_socket() })
    }

    async fn client(&self) -> Result<Client> {
        let began = Instant::now();
        loop {
            match Client::find(&self.data).await {
                Ok(client) => return Ok(client),
                Err(e) if began.elapsed() > PATIENCE => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// The `chorus` next to this example.
fn program() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().and_then(Path::parent).context("the example's folder")?;
    Ok(folder.join("chorus"))
}

/// The running server and its tmux: ended however the demo ends.
struct Server {
    child: Child,
    tmux: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let quietly = |command: &mut Command| {
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        quietly(Command::new("kill").arg(self.child.id().to_string()));
        let _ = self.child.wait();
        quietly(Command::new("tmux").arg("-S").arg(&self.tmux).arg("kill-server"));
    }
}
