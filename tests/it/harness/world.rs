//! The world itself.

mod builder;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use builder::Builder;
use chorus::server::Running;
use rustix::process::Signal;
use scripted_model::ScriptedModel;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Agent, Fact, Output, PATIENCE, Store, processes};

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
        Builder::default()
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
            &["config", "user.name", "T"],
            &["config", "user.email", "t@example.com"],
            &["commit", "-q", "--allow-empty", "-m", "Begin"],
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

    /// The default project's id.
    pub async fn default_project(&self) -> String {
        let projects = self.get("/api/projects").await.rows();
        projects[0]["id"].as_str().expect("an id").to_owned()
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
