//! Starting Claude Code in a session's terminal.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::engine::Unit;
use super::error::Error;
use super::live::Live;
use super::observe::{Report, observe};
use super::{App, terminal};
use crate::claude::installation;
use crate::claude::launch::{self as claude_launch, LaunchError, Start as Begin};
use crate::claude::profile::Profile;
use crate::claude::{hooks, paths};
use crate::clock;
use crate::config::Config;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::session::{ClaudeStatus, Launch, PermissionMode, Process, Session, Source};
use crate::process;
use crate::tmux::{Capture, NewSession, PaneId};

/// How long a login shell may take to tell its environment.
const LOGIN_SHELL: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// In which session.
    pub session: SessionId,
    /// With which conversation.
    pub begin: Begin,
    /// The first prompt.
    pub prompt: Option<String>,
}

/// The Claude Code program.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Where it is.
    pub path: PathBuf,
    /// What it says about itself.
    pub version: String,
}

/// What `chorus exec` is told: read once, and removed. It keeps secrets and long prompts out of
/// every command line but Claude's own, and out of tmux's limits.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: HashMap<String, String>,
    /// The folder it works in.
    pub folder: String,
}

/// Finds the Claude Code program as sessions do that get this environment.
pub fn program(config: &Config, env: &HashMap<String, String>) -> Option<PathBuf> {
    let find = |path: Option<&OsStr>| installation::find(Some(&config.claude), path);
    // A login shell may set PATH anew, without what the shell had in which the server was started.
    find(env.get("PATH").map(OsStr::new)).or_else(|| find(std::env::var_os("PATH").as_deref()))
}

/// Finds the Claude Code program and its version.
pub async fn installed(app: &App) -> Result<Installed, Error> {
    let found = program(&app.config, environment(app).await);
    let binary = found.ok_or_else(|| Error::Unavailable {
        problem: format!(
            "Claude Code ({}) is not there; install it (npm install -g @anthropic-ai/claude-code) or set `claude` \
             in the configuration to its path",
            app.config.claude.display()
        ),
    })?;
    // Asking takes a tenth of a second, and the answer changes only with the file.
    let changed = std::fs::metadata(&binary).and_then(|m| m.modified()).ok();
    let mut known = app.claude.lock().await;
    if let Some((at, installed)) = known.as_ref()
        && *at == changed
        && installed.path == binary
    {
        return Ok(installed.clone());
    }
    let version = installation::version(&binary, installation::TIMEOUT).await;
    let version = version.map_err(|e| Error::Unavailable { problem: e.to_string() })?;
    // Without the product's name behind it.
    let version = version.split_whitespace().next().unwrap_or_default().to_owned();
    let installed = Installed { path: binary, version };
    *known = Some((changed, installed.clone()));
    Ok(installed)
}

/// Checks how Claude is to be launched.
pub fn check(launch: &Launch) -> Result<(), Error> {
    claude_launch::validate(launch).map_err(refused)
}

fn refused(e: LaunchError) -> Error {
    Error::invalid(&format!("launch.{}", e.field), e.reason)
}

/// Whether there is something to resume: a conversation without any prompt leaves no transcript.
pub async fn resumable(app: &App, session: &Session, conversation: &ConversationId) -> bool {
    let config = app.claude_config_dir(session).await;
    let path = paths::transcript(&config, Path::new(&session.workspace_path), &conversation.0);
    path.is_file()
}

/// Starts Claude Code in the session's terminal, and watches it start; but not if it was ended or set
/// aside since. The session's launch has begun already.
pub async fn run(app: &Arc<App>, start: Start) -> Result<(), Error> {
    let id = start.session;
    match try_run(app, start).await {
        Ok(()) => Ok(()),
        Err(e) => {
            let fact = Fact::LaunchFailed {
                error: e.to_string(),
                remedy: Some("`chorus doctor` checks what is needed".into()),
            };
            super::tell(app, Report::fact(id, Source::Chorus, clock::now(), fact)).await;
            Err(e)
        }
    }
}

async fn try_run(app: &Arc<App>, start: Start) -> Result<(), Error> {
    let unavailable = |problem: String| Error::Unavailable { problem };
    let turn = app.starts.acquire().await.map_err(|e| unavailable(e.to_string()))?;
    let session = super::sessions::by_id(app, start.session).await?;
    let claude = installed(app).await?;
    let plan = plan(app, &session, &claude, &start).await?;
    let file =
        app.data.launches().join(format!("{}-{}.json", session.id, session.state.generation));
    let plan = serde_json::to_vec(&plan).map_err(|e| not_prepared(e.into()))?;
    write_private(&file, &plan).map_err(not_prepared)?;
    let argv: Vec<OsString> = vec![app.program.clone().into(), "exec".into(), file.clone().into()];
    let tmux = app.tmux().await?;
    let workspace = PathBuf::from(&session.workspace_path);
    let panes = tmux.list_panes().await.unwrap_or_default();
    let (id, generation) = (session.id, session.state.generation);
    let is_wanted =
        move |live: &Live| live.session(id).is_some_and(|session| session.wants(generation));
    // Whoever has ended it since its launch began has found nothing to end.
    if !app.engine.read(is_wanted).await? {
        let _ = std::fs::remove_file(&file);
        return Ok(());
    }
    let pane = match terminal::pane_of(&panes, &session.tmux_session, None) {
        Some(pane) => tmux.respawn_pane(pane.pane, &workspace, &[], &argv).await,
        None => {
            tmux.new_session(NewSession::new(session.tmux_session.clone(), workspace, argv)).await
        }
    };
    let pane = pane.map_err(|e| unavailable(e.to_string()))?;
    app.set_pane(id, Some(pane.pane));
    match process::identify(pane.pid) {
        Some(process) => {
            let mut report =
                Report::fact(id, Source::Chorus, clock::now(), Fact::Launched { process });
            report.generation = Some(generation);
            let launched = move |live: &mut Live, unit: &mut Unit| {
                let wanted = is_wanted(live);
                if wanted {
                    observe(live, unit, report)?;
                }
                Ok::<_, Error>(wanted)
            };
            if !app.engine.run(launched).await? {
                return take_back(app, &session, process, pane.pane).await;
            }
        }
        None => super::recover::process_gone(app, id, generation).await,
    }
    let app = app.clone();
    app.clone().tasks.spawn(async move { watch_start(&app, id, generation).await });
    drop(turn);
    Ok(())
}

/// Ends a process that nobody wanted any more when it came to be, with its terminal.
async fn take_back(
    app: &Arc<App>,
    session: &Session,
    process: Process,
    pane: PaneId,
) -> Result<(), Error> {
    super::life::end_claude(process).await;
    let (id, generation) = (session.id, session.state.generation);
    // A later launch may have taken the terminal over.
    let last = move |live: &Live| live.session(id).is_none_or(|s| s.state.generation == generation);
    if app.engine.read(last).await? {
        // Gone already is as good.
        let _ = app.tmux().await?.kill_pane(pane).await;
        app.set_pane(id, None);
    }
    Ok(())
}

async fn plan(
    app: &App,
    session: &Session,
    claude: &Installed,
    start: &Start,
) -> Result<Plan, Error> {
    let profile = Profile::of(&claude.version);
    if profile.untested {
        tracing::warn!(version = %claude.version, "Claude Code {} is newer than any this Chorus was tested with", claude.version);
    }
    let outfit = super::git::outfit(app, session).await?;
    let settings = hooks::settings(
        &app.program,
        session.launch.permission_mode.unwrap_or(PermissionMode::Default),
        outfit.edits,
        &profile,
    );
    let system_prompt = match &outfit.launch.append_system_prompt {
        Some(text) => {
            let file = system_prompt_file(app, session.id);
            write_private(&file, text.as_bytes()).map_err(not_prepared)?;
            Some(file.to_string_lossy().into_owned())
        }
        None => None,
    };
    let invocation = claude_launch::invocation(
        &outfit.launch,
        &start.begin,
        session.name.as_str(),
        &settings,
        system_prompt.as_deref(),
        start.prompt.as_deref(),
        &profile,
    )
    .map_err(refused)?;
    let theirs = environment(app).await.iter().filter(|(name, _)| claude_launch::inherits(name));
    let mut env: HashMap<String, String> = theirs.map(|(k, v)| (k.clone(), v.clone())).collect();
    env.extend(invocation.env);
    let telemetry = super::spending::variables(app, session, env.keys()).await;
    env.extend(telemetry);
    env.extend(outfit.env);
    env.insert("TERM".into(), "tmux-256color".into());
    let path = |p: PathBuf| p.to_string_lossy().into_owned();
    env.insert("CHORUS_SESSION".into(), session.id.to_string());
    env.insert("CHORUS_GENERATION".into(), session.state.generation.to_string());
    env.insert("CHORUS_HOOK_TOKEN".into(), app.hook_token(session.id));
    env.insert("CHORUS_SOCKET".into(), path(app.data.socket()));
    env.insert("CHORUS_SPOOL".into(), path(app.data.spool()));
    let binary = claude.path.to_string_lossy().into_owned();
    Ok(Plan {
        argv: std::iter::once(binary).chain(invocation.args).collect(),
        env,
        folder: session.workspace_path.clone(),
    })
}

fn not_prepared(e: std::io::Error) -> Error {
    Error::Unavailable { problem: format!("the launch could not be prepared: {e}") }
}

/// The file that holds what is appended to a session's system prompt, while its Claude starts.
fn system_prompt_file(app: &App, session: SessionId) -> PathBuf {
    app.data.launches().join(format!("{session}.md"))
}

/// Writes a file that nobody else may read.
fn write_private(file: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file)?.write_all(content)
}

/// Removes what Claude has read when it started. What an earlier server has left is removed too, but
/// for sessions that are still starting.
pub async fn tidy(app: &App) {
    let starting = |live: &Live| -> Vec<PathBuf> {
        let starting = live
            .sessions()
            .filter(|s| !s.state.started && s.state.claude_status != ClaudeStatus::Stopped);
        starting.map(|s| PathBuf::from(format!("{}.md", s.id))).collect()
    };
    let Ok(kept) = app.engine.read(starting).await else { return };
    let Ok(there) = std::fs::read_dir(app.data.launches()) else { return };
    for file in there.flatten().map(|entry| entry.path()) {
        let prompt = file.extension().is_some_and(|e| e == "md");
        if prompt && !kept.iter().any(|kept| file.ends_with(kept)) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Looks at the screen while nothing confirms the start: a dialog may block it, or the hook that
/// should have told was lost on a machine with too much to do.
async fn watch_start(app: &Arc<App>, id: SessionId, generation: u32) {
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = sleep(pause) => {}
        }
        let waits = move |s: &Session| {
            !s.state.started
                && s.state.generation == generation
                && s.state.claude_status != ClaudeStatus::Stopped
        };
        match app.engine.read(move |live| live.session(id).is_some_and(waits)).await {
            Ok(true) => {}
            // Claude Code begins a conversation even if nobody is logged in.
            Ok(false) => {
                tidy(app).await;
                return name_blocker(app, id, generation).await;
            }
            Err(_) => return,
        }
        look_at_start(app, id, generation).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// Tells what blocks the start, if the screen shows it.
pub async fn name_blocker(app: &Arc<App>, id: SessionId, generation: u32) {
    let Ok(text) = terminal::capture(app, id, Capture::default()).await else { return };
    if let Some(fact) = blocker(app, &text) {
        tell_screen(app, id, generation, fact).await;
    }
}

/// The same, or that Claude Code waits for input or works already.
async fn look_at_start(app: &Arc<App>, id: SessionId, generation: u32) {
    let Ok(text) = terminal::capture(app, id, Capture::default()).await else { return };
    let seen = || app.screens.activity(&text).map(|status| Fact::StartSeen { status });
    if let Some(fact) = blocker(app, &text).or_else(seen) {
        tell_screen(app, id, generation, fact).await;
    }
}

fn blocker(app: &App, text: &str) -> Option<Fact> {
    let dialog = app.screens.blocking_dialog(text)?;
    let (dialog, remedy) = (dialog.name.to_owned(), dialog.remedy.to_owned());
    Some(Fact::StartBlocked { dialog, remedy })
}

async fn tell_screen(app: &App, id: SessionId, generation: u32, fact: Fact) {
    let mut report = Report::fact(id, Source::Screen, clock::now(), fact);
    report.generation = Some(generation);
    super::tell(app, report).await;
}

/// The environment that Claude gets: a login shell's, over the server's own.
pub async fn environment(app: &App) -> &HashMap<String, String> {
    app.login_env.get_or_init(|| inherited(&app.config)).await
}

/// What sessions inherit: this process's environment, with the login shell's over it if that is asked.
pub async fn inherited(config: &Config) -> HashMap<String, String> {
    let mut env: HashMap<String, String> = std::env::vars().collect();
    if config.login_shell
        && let Some(shell) = env.get("SHELL").cloned()
    {
        match login_environment(&shell).await {
            Ok(login) => env.extend(login),
            Err(e) => {
                tracing::warn!(error = %e, %shell, "the login shell did not tell its environment; the server's own is used")
            }
        }
    }
    env
}

async fn login_environment(shell: &str) -> std::io::Result<HashMap<String, String>> {
    let mut command = Command::new(shell);
    command.args(["-l", "-c", "env -0"]).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = timeout(LOGIN_SHELL, command.output())
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    // A shell that greets puts its words before the first name.
    let name = |n: &str| n.lines().last().unwrap_or_default().to_owned();
    Ok(pairs
        .map(|(n, v)| (name(n), v.to_owned()))
        .filter(|(n, _)| !n.is_empty() && n != "_" && n != "SHLVL")
        .collect())
}
