//! The world itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chorus::server::Running;
use rustix::process::Signal;
use scripted_model::{Script, ScriptedModel};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Agent, Fact, Output, PATIENCE, Store, processes};

/// The key that Claude Code is given. It is nobody's.
const KEY: &str = "sk-ant-dummy";

/// Stands in for Claude Code: it is there, and does nothing. With `STAND_IN=shell` in its
/// environment it does what is typed into its pane.
const STAND_IN: &str = r#"#!/bin/sh
case "$1" in --version) echo "2.1.329 (Claude Code)"; exit ;; esac
if [ "$STAND_IN" = shell ]; then
    while IFS= read -r line; do sh -c "$line"; done
fi
exec sleep 100000
"#;

/// How a world is to be.
pub struct Builder {
    stand_in: bool,
    script: Script,
    env: Vec<(String, String)>,
    serve: Vec<String>,
    data: Option<PathBuf>,
    serves: bool,
    store: Store,
}

/// A home, a project, a scripted model, and a running `chorus serve`.
pub struct World {
    root: TempDir,
    /// The model that a real Claude Code speaks to.
    pub model: ScriptedModel,
    env: BTreeMap<String, String>,
    serve: Vec<String>,
    data: PathBuf,
    server: Mutex<Option<Child>>,
    /// Dropped after the server has ended.
    database: Option<scratch_postgres::Database>,
}

impl World {
    /// A world with the real Claude Code of `CHORUS_TEST_CLAUDE`.
    pub async fn start() -> Self {
        Self::build().start().await
    }

    /// A world in which a program that only sits there stands in for Claude Code. Sessions start
    /// in milliseconds; hooks are the story's to run.
    pub async fn with_stand_in() -> Self {
        Self::build().stand_in().start().await
    }

    /// The same, with this database.
    pub async fn on(store: Store) -> Self {
        Self::build().stand_in().store(store).start().await
    }

    /// A world to be.
    pub fn build() -> Builder {
        Builder {
            stand_in: false,
            script: Script::standard(),
            env: Vec::new(),
            serve: vec!["--port".into(), "0".into()],
            data: None,
            serves: true,
            store: Store::by_default(),
        }
    }
}

impl Builder {
    /// See [`World::with_stand_in`].
    pub fn stand_in(mut self) -> Self {
        self.stand_in = true;
        self
    }

    /// What the model says, besides its standard scenarios.
    pub fn script(mut self, script: Script) -> Self {
        self.script = self.script.extended_with(script);
        self
    }

    /// Sets a variable in the environment of everything. An empty value removes it.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The arguments of `chorus serve`, instead of `--port 0`.
    pub fn serve(mut self, args: &[&str]) -> Self {
        self.serve = args.iter().map(ToString::to_string).collect();
        self
    }

    /// The data folder, relative to the world's root.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data = Some(path.into());
        self
    }

    /// No server yet: the story starts it.
    pub fn without_server(mut self) -> Self {
        self.serves = false;
        self
    }

    /// With this database; else with the one that `CHORUS_TEST_STORE` names.
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Makes it so.
    pub async fn start(self) -> World {
        // Short: the kernel takes sockets' paths of a hundred bytes only.
        let root = tempfile::Builder::new().prefix("ch").tempdir_in("/tmp").expect("a folder");
        let top = root.path().canonicalize().expect("its path");
        let (home, project) = (top.join("home"), top.join("project"));
        for dir in [&home, &project, &top.join("run")] {
            fs::create_dir_all(dir).expect("a folder");
        }
        fs::set_permissions(top.join("run"), fs::Permissions::from_mode(0o700)).expect("its mode");
        fs::write(home.join(".claude.json"), accepted(&project).to_string()).expect("a file");
        let claude = if self.stand_in { stand_in(&top) } else { real_claude() };
        let model = ScriptedModel::start(self.script).expect("a scripted model");
        let text = |p: &Path| p.to_string_lossy().into_owned();
        let mut env: BTreeMap<String, String> = [
            ("HOME", text(&home)),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("XDG_RUNTIME_DIR", text(&top.join("run"))),
            ("ANTHROPIC_BASE_URL", model.url()),
            ("ANTHROPIC_API_KEY", KEY.into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ("DISABLE_AUTOUPDATER", "1".into()),
            ("CHORUS_CLAUDE", text(&claude)),
            ("CHORUS_LOGIN_SHELL", "false".into()),
            ("CHORUS_PROJECT_ROOT", text(&project)),
            ("CHORUS_LOG", "info,chorus=debug".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let database = self.store.make().await;
        if let Some(database) = &database {
            env.insert("CHORUS_DATABASE_URL".into(), database.url().to_owned());
        }
        for (name, value) in self.env {
            if value.is_empty() {
                env.remove(&name);
            } else {
                env.insert(name, value);
            }
        }
        let data = top.join(self.data.unwrap_or_else(|| "data".into()));
        let server = Mutex::new(None);
        let world = World { root, model, env, serve: self.serve, data, server, database };
        world.make_repository().await;
        if self.serves {
            world.start_again().await;
        }
        world
    }
}

/// A `.claude.json` in which every question of a first start is answered.
fn accepted(project: &Path) -> Value {
    json!({
        "hasCompletedOnboarding": true,
        "customApiKeyResponses": { "approved": [&KEY[KEY.len().saturating_sub(20)..]], "rejected": [] },
        "projects": { project.to_string_lossy(): {
            "hasTrustDialogAccepted": true,
            "hasClaudeMdExternalIncludesApproved": false,
            "hasClaudeMdExternalIncludesWarningShown": true,
            "enabledMcpjsonServers": [],
            "disabledMcpjsonServers": [],
        } },
    })
}

fn stand_in(top: &Path) -> PathBuf {
    let path = top.join("claude");
    fs::write(&path, STAND_IN).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    path
}

fn real_claude() -> PathBuf {
    match std::env::var_os("CHORUS_TEST_CLAUDE") {
        Some(path) => path.into(),
        None => panic!("CHORUS_TEST_CLAUDE names no Claude Code to test with: use `make test`"),
    }
}

impl World {
    // --- places ---

    /// The folder in which everything is.
    pub fn root(&self) -> PathBuf {
        self.root.path().canonicalize().expect("the world's folder")
    }

    /// Its home.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// The scratch git repository: the default project.
    pub fn project(&self) -> PathBuf {
        self.root().join("project")
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The server's Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.short("api.sock")
    }

    /// tmux's socket.
    pub fn tmux_socket(&self) -> PathBuf {
        self.short("tmux.sock")
    }

    fn short(&self, name: &str) -> PathBuf {
        let path = self.data.join(name);
        let elsewhere =
            fs::read_dir(self.root().join("run/chorus")).into_iter().flatten().flatten();
        let mut elsewhere = elsewhere.map(|e| e.path());
        elsewhere.find(|p| p.to_string_lossy().ends_with(&format!("-{name}"))).unwrap_or(path)
    }

    /// The environment that everything is started with.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Sets a variable for everything that is started from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.into(), value.into());
    }

    /// Where the database is, as a URL.
    pub fn database_url(&self) -> String {
        let file = || format!("sqlite://{}", self.data.join("chorus.db").display());
        self.database.as_ref().map_or_else(file, |d| d.url().to_owned())
    }

    /// Runs SQL on the database, which no server has open.
    pub async fn sql(&self, statement: &'static str) {
        use sqlx::Connection as _;
        let url = self.database_url();
        if url.starts_with("sqlite:") {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("a database");
            sqlx::raw_sql(statement).execute(&mut connection).await.expect("the statement");
            connection.close().await.expect("its end");
        } else {
            let mut connection = sqlx::PgConnection::connect(&url).await.expect("a database");
            sqlx::raw_sql(statement).execute(&mut connection).await.expect("the statement");
            connection.close().await.expect("its end");
        }
    }

    // --- the server ---

    /// Where the running server says it is.
    pub fn running(&self) -> Running {
        let bytes = fs::read(self.data.join("server.json")).expect("server.json");
        serde_json::from_slice(&bytes).expect("server.json's content")
    }

    /// Its address, as `127.0.0.1:1234`.
    pub fn host(&self) -> String {
        self.running().url.trim_start_matches("http://").to_owned()
    }

    /// The server's log, so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.root().join("serve.log")
    }

    /// Starts the server (again) and waits until it answers. Tells how long that took.
    pub async fn start_again(&self) -> Duration {
        let began = Instant::now();
        let pid = self.spawn_server();
        loop {
            let ended = self.lock().as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("the server ended at once: {status}\n{}", self.log_tail());
            }
            let told = fs::read(self.data.join("server.json")).ok();
            let running: Option<Running> = told.and_then(|b| serde_json::from_slice(&b).ok());
            if running.is_some_and(|r| r.pid == pid)
                && self.request("GET", "/healthz").try_send().await.is_ok_and(|a| a.status == 200)
            {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "the server does not answer\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Starts the server without waiting for it.
    pub fn spawn_server(&self) -> u32 {
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_chorus"))
            .arg("--data-dir")
            .arg(&self.data)
            .arg("serve")
            .args(&self.serve)
            .env_clear()
            .envs(&self.env)
            .current_dir(self.project())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("chorus serve");
        let pid = child.id();
        let before = self.lock().replace(child);
        assert!(before.is_none(), "the story has a server already");
        pid
    }

    /// The server's process.
    pub fn server_pid(&self) -> u32 {
        self.lock().as_ref().expect("a server").id()
    }

    /// Kills the server as nothing survives: SIGKILL.
    pub fn kill9(&self) {
        if let Some(mut child) = self.lock().take() {
            child.kill().expect("its end");
            child.wait().expect("its status");
        }
    }

    /// Stops the server as `kill` does, and waits for its end.
    pub async fn stop(&self) -> Option<i32> {
        let mut child = self.lock().take().expect("a server");
        processes::signal(child.id(), Signal::TERM);
        self.wait_for("the server ends after SIGTERM", async || child.try_wait().ok().flatten())
            .await
            .code()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- commands ---

    /// Runs `chorus` with this world's data folder, from its project.
    pub async fn cli(&self, args: &[&str]) -> Output {
        self.cli_in(&self.project(), args).await
    }

    /// The same from another directory.
    pub async fn cli_in(&self, dir: &Path, args: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_chorus"));
        command.arg("--data-dir").arg(&self.data).args(args).current_dir(dir);
        processes::run(command).await
    }

    /// Any program, in this world's environment.
    pub fn command(&self, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// Runs tmux on this world's server.
    pub async fn tmux(&self, args: &[&str]) -> Output {
        let mut command = self.command("tmux");
        command.arg("-S").arg(self.tmux_socket()).args(args);
        processes::run(command).await
    }

    async fn make_repository(&self) {
        for args in [
            &["init", "-q", "-b", "main"][..],
            &[
                "-c",
                "user.name=T",
                "-c",
                "user.email=t@example.com",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "Begin",
            ],
        ] {
            let mut command = self.command("git");
            command.args(args).current_dir(self.project());
            processes::run(command).await.ok();
        }
    }

    // --- sessions ---

    /// Creates a session and tells its id. `extra` joins the request's body.
    pub async fn create(&self, name: &str, extra: &Value) -> String {
        let mut body = json!({ "name": name });
        if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
            body.extend(extra.clone());
        }
        let view = self.post("/api/sessions", &body).await.expect(201).json();
        view["id"].as_str().expect("an id").to_owned()
    }

    /// Creates a session of the stand-in's, whose conversation has begun and waits for a prompt.
    pub async fn begin(&self, name: &str) -> Agent {
        self.begin_with(name, &json!({})).await
    }

    /// The same; `extra` joins the request's body.
    pub async fn begin_with(&self, name: &str, extra: &Value) -> Agent {
        let id = self.create(name, extra).await;
        let agent = self.agent(&id).await;
        self.post_hook(&agent, "SessionStart", &json!({ "source": "startup" })).await.expect(204);
        agent
    }

    /// A session, as the API shows it.
    pub async fn session(&self, name: &str) -> Value {
        self.get(format!("/api/sessions/{name}")).await.expect(200).json()
    }

    /// Waits until Claude does this: `idle`, `busy`, `waiting`, `stopped`.
    pub async fn wait_for_status(&self, session: &str, status: &str) -> Value {
        self.wait_for(&format!("{session} is {status}"), async || {
            let view = self.session(session).await;
            if view["claude_status"] == status { Ok(view) } else { Err(view.to_string()) }
        })
        .await
    }

    /// Waits for a permission request of a session that nobody has decided, and tells it.
    pub async fn wait_for_request(&self, session: &str) -> Value {
        self.wait_for(&format!("{session} asks for a permission"), async || {
            self.get(format!("/api/permissions?status=pending&session={session}"))
                .await
                .rows()
                .pop()
        })
        .await
    }

    /// What is on a session's screen, by tmux itself.
    pub async fn pane_text(&self, session: &str) -> String {
        let target =
            format!("={}:", self.session(session).await["tmux_session"].as_str().expect("a name"));
        self.tmux(&["capture-pane", "-p", "-t", &target]).await.stdout
    }

    /// Runs a shell command inside a session's pane, as a child of what stands in for Claude
    /// there (start it with `{"launch": {"env": {"STAND_IN": "shell"}}}`).
    pub async fn run_in_pane(&self, session: &str, script: &str) -> Output {
        let began = Instant::now();
        let base = self.root().join(format!("pane-{}", uuid::Uuid::new_v4().simple()));
        let file = |kind: &str| format!("{}.{kind}", base.display());
        fs::write(
            file("sh"),
            format!(
                "{{\n{script}\n}} > {} 2> {}\necho $? > {}\nmv {} {}\n",
                file("out"),
                file("err"),
                file("part"),
                file("part"),
                file("code")
            ),
        )
        .expect("a script");
        let target =
            format!("={}:", self.session(session).await["tmux_session"].as_str().expect("a name"));
        self.tmux(&["send-keys", "-t", &target, "-l", &format!("sh {}", file("sh"))]).await.ok();
        self.tmux(&["send-keys", "-t", &target, "Enter"]).await.ok();
        let code = self
            .wait_for("the command in the pane ends", async || {
                fs::read_to_string(file("code")).ok()
            })
            .await;
        let read = |kind: &str| fs::read_to_string(file(kind)).unwrap_or_default();
        Output {
            code: code.trim().parse().ok(),
            stdout: read("out"),
            stderr: read("err"),
            took: began.elapsed(),
        }
    }

    /// Writes the state file of a session's Claude, as it does itself.
    pub fn write_state(&self, agent: &Agent, status: &str) {
        let dir = self.home().join(".claude/sessions");
        fs::create_dir_all(&dir).expect("a folder");
        let now = chorus::clock::now().0;
        let state = json!({ "pid": agent.pid, "sessionId": agent.conversation, "status": status,
            "statusUpdatedAt": now, "updatedAt": now });
        fs::write(dir.join(format!("{}.json", agent.pid)), state.to_string()).expect("a file");
    }

    /// Waits until a fact is true, for up to [`PATIENCE`].
    pub async fn wait_for<F: Fact>(&self, what: &str, fact: impl AsyncFnMut() -> F) -> F::Known {
        super::wait_for(what, fact).await
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the end of the server's log ---\n{}\n---", self.log_tail());
        }
        if let Some(mut child) = self.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let socket = self.tmux_socket();
        if socket.exists() {
            let _ = Command::new("tmux")
                .arg("-S")
                .arg(socket)
                .arg("kill-server")
                .env_clear()
                .envs(&self.env)
                .stderr(Stdio::null())
                .status();
        }
        processes::end_all(&self.home());
    }
}
