//! Claudes that people started themselves: found by their state files, listened to, adopted.
//!
//! Chorus is a guest there: it reads what Claude Code writes anyway, types nothing and ends nothing,
//! until somebody has it adopt the session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Error;
use super::live::Live;
use super::observe::{Report, observe};
use super::{App, launch, projects};
use crate::claude::hooks::HookReport;
use crate::claude::paths;
use crate::claude::state_file::{self, StateFile};
use crate::domain::audit::Actor;
use crate::domain::ids::{ConversationId, ProjectId, SessionId};
use crate::domain::observation::{Fact, StartSource};
use crate::domain::session::{
    Launch, Process, Runtime, Session, SessionName, SessionState, Source,
};
use crate::domain::time::Timestamp;
use crate::process;
use crate::store::{Write, conversations};

/// Where Claude Code keeps the files of those that are started without a folder of their own.
pub async fn config_dir(app: &App) -> Option<PathBuf> {
    let env = launch::environment(app).await;
    paths::config_dir(|name| env.get(name).cloned())
}

/// Refuses what can be done only to a Claude that Chorus runs.
pub fn leave_alone(session: &Session) -> Result<(), Error> {
    if !session.is_elsewhere() || session.state.process.is_none() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "somebody runs {0} in a terminal of their own; `chorus adopt {0}` ends it there and goes on with it here",
        session.name
    )))
}

/// Looks at the state files of all processes that run and that nobody has `known`. Files of killed
/// ones stay, and pile up: they are not even opened.
pub async fn look_around(app: &Arc<App>, config: &Path, known: impl Fn(u32) -> bool) {
    let Ok(entries) = std::fs::read_dir(paths::sessions_dir(config)) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        let pid = state_file::pid_of(&path).filter(|pid| !known(*pid));
        if pid.and_then(process::identify).is_some() {
            look(app, config, &path).await;
        }
    }
}

/// Looks at one state file: if a Claude that Chorus did not start runs there, it is listed from now
/// on.
pub async fn look(app: &Arc<App>, config: &Path, path: &Path) {
    // One that is being written is told of again.
    let Ok(Some(file)) = state_file::read(path) else { return };
    let Some(found) = Found::of(file, config) else { return };
    if !process::alive(found.process)
        || !may_be_claude(found.process.pid)
        || process::environ_has(found.process.pid, "CHORUS_SESSION") != Some(false)
    {
        return;
    }
    if let Err(e) = take_up(app, found).await {
        tracing::warn!(error = %e, path = %path.display(), "a Claude that runs elsewhere cannot be listed");
    }
}

/// Finds the session of a hook that the user's own settings run, by the process that ran it; lists it
/// if it is new. `None` if that is no Claude, or none any more.
pub async fn speaks(
    app: &Arc<App>,
    pid: u32,
    told: &HookReport,
    at: Timestamp,
) -> Result<Option<SessionId>, Error> {
    let Some(process) = process::identify(pid) else { return Ok(None) };
    let of_process =
        move |live: &Live| live.sessions().find(|s| s.state.process == Some(process)).map(|s| s.id);
    if let Some(id) = app.engine.read(of_process).await? {
        return Ok(Some(id));
    }
    if !may_be_claude(pid) || process::environ_has(pid, "CHORUS_SESSION") == Some(true) {
        return Ok(None);
    }
    let (Some(conversation), Some(cwd), Some(transcript)) =
        (told.conversation.clone(), told.cwd.clone(), told.transcript_path.clone())
    else {
        return Ok(None);
    };
    let found =
        Found { process, conversation, cwd, name: None, version: None, started_at: at, transcript };
    take_up(app, found).await?;
    Ok(app.engine.read(of_process).await?)
}

/// Whether a process may be a Claude that somebody has started. What this server hangs below is none:
/// taken for one, it would make agents of everybody.
fn may_be_claude(pid: u32) -> bool {
    let own = std::process::id();
    pid > 1 && pid != own && !process::ancestors(own).contains(&pid)
}

/// A Claude that runs elsewhere.
struct Found {
    process: Process,
    conversation: ConversationId,
    cwd: String,
    name: Option<String>,
    version: Option<String>,
    started_at: Timestamp,
    transcript: String,
}

impl Found {
    fn of(file: StateFile, config: &Path) -> Option<Self> {
        let (process, conversation, cwd) = (file.process()?, file.session_id?, file.cwd?);
        let transcript = paths::transcript(config, Path::new(&cwd), &conversation.0);
        Some(Self {
            process,
            transcript: transcript.to_string_lossy().into_owned(),
            conversation,
            cwd,
            name: file.name,
            version: file.version,
            started_at: file.started_at.or(file.status_at)?,
        })
    }

    /// Its own name, or its folder's.
    fn wanted_name(&self) -> SessionName {
        let folder = Path::new(&self.cwd).file_name().and_then(|n| n.to_str());
        let names = [self.name.as_deref(), folder];
        let name = names.into_iter().flatten().find_map(SessionName::from_text);
        name.unwrap_or_else(SessionName::fallback)
    }
}

/// What is known of a Claude that was found.
enum Known {
    /// It is listed.
    Listed,
    /// Another process runs its conversation, in this session.
    Runs(SessionId),
    /// Nothing.
    No,
}

/// Notes that somebody goes on with a session's conversation in a terminal of their own. Two
/// processes write to one transcript then, and neither knows what the other was told.
async fn flag(app: &App, session: SessionId, process: Process) -> Result<(), Error> {
    let news = app
        .engine
        .run(move |live, _| {
            Ok::<_, Error>(live.elsewhere.insert(session, process) != Some(process))
        })
        .await?;
    if news {
        tracing::warn!(%session, pid = process.pid, "process {} goes on with the conversation of session {session}, which is Chorus's", process.pid);
    }
    Ok(())
}

/// Forgets what [`flag`] has noted of processes that have ended.
pub async fn unflag(app: &App) {
    let ended = |live: &mut Live, _: &mut super::engine::Unit| {
        live.elsewhere.retain(|_, process| process::alive(*process));
        Ok::<_, Error>(())
    };
    // If the engine does not answer, the next sweep does it.
    let _ = app.engine.run(ended).await;
}

/// Refuses to start a second process on a conversation that somebody goes on with.
pub async fn refuse_second(app: &App, session: &Session) -> Result<(), Error> {
    let id = session.id;
    let other = app.engine.read(move |live| live.elsewhere.get(&id).copied()).await?;
    match other.filter(|process| process::alive(*process)) {
        Some(other) => Err(Error::conflict(format!(
            "somebody goes on with the conversation of {} in a terminal of their own (process {}); end that one first, or fork the session",
            session.name, other.pid
        ))),
        None => Ok(()),
    }
}

async fn take_up(app: &Arc<App>, found: Found) -> Result<(), Error> {
    let (process, conversation) = (found.process, found.conversation.clone());
    let known = move |live: &Live| {
        let of_conversation =
            |s: &&Session| s.is_live() && s.state.conversation.as_ref() == Some(&conversation);
        match live.sessions().find(|s| s.state.process == Some(process)) {
            Some(_) => Known::Listed,
            None => live.sessions().find(of_conversation).map_or(Known::No, |s| Known::Runs(s.id)),
        }
    };
    match app.engine.read(known).await? {
        Known::Listed => return Ok(()),
        Known::Runs(session) => return flag(app, session, process).await,
        Known::No => {}
    }
    // One that ran before goes on in its session.
    let before = match conversations::session_of(&app.db, &found.conversation).await? {
        Some(id) => Some(super::sessions::by_id(app, id).await?),
        None => None,
    };
    if let Some(ours) = before.as_ref().filter(|s| s.runtime != Runtime::External) {
        return flag(app, ours.id, process).await;
    }
    let project = match &before {
        Some(session) => session.project_id,
        None => project_of(app, Path::new(&found.cwd)).await?,
    };
    app.engine.run(move |live, unit| begin(live, unit, before, project, found)).await
}

/// Begins a session for a Claude that runs already, or goes on with one.
fn begin(
    live: &mut Live,
    unit: &mut super::engine::Unit,
    before: Option<Session>,
    project: ProjectId,
    found: Found,
) -> Result<(), Error> {
    // Two looks may have found it.
    if live.sessions().any(|s| s.state.process == Some(found.process)) {
        return Ok(());
    }
    let now = unit.now;
    let id = match before {
        Some(session) => {
            let id = session.id;
            // Its name was free when it had ended, and may be another's now.
            let name = live.free_name(&session.name, id);
            live.admit(session);
            if let Some(session) = live.session_mut(id)
                && session.name != name
            {
                tracing::info!(session = %id, "{} goes on as {name}: its name is another session's now", session.name);
                session.name = name;
            }
            id
        }
        None => {
            let id = SessionId::new();
            let session = Session {
                id,
                project_id: project,
                name: live.free_name(&found.wanted_name(), id),
                tmux_session: String::new(),
                runtime: Runtime::External,
                workspace_path: found.cwd.clone(),
                task_id: None,
                launch: Launch::default(),
                metadata: serde_json::Map::new(),
                claude_version: found.version.clone(),
                state: SessionState::new(now),
                hidden: false,
                created_at: now,
                updated_at: now,
            };
            unit.write(Write::AddSession {
                session: Box::new(session.clone()),
                idempotency_key: None,
            });
            live.admit(session);
            tracing::info!(session = %id, pid = found.process.pid, "a Claude that was started elsewhere is listed");
            id
        }
    };
    let at = found.started_at.min(now);
    let tell = |source, fact| Report {
        conversation: Some(found.conversation.clone()),
        ..Report::fact(id, source, at, fact)
    };
    let conversation = found.conversation.clone();
    observe(live, unit, tell(Source::Chorus, Fact::LaunchBegan { conversation }))?;
    observe(live, unit, tell(Source::Process, Fact::Launched { process: found.process }))?;
    let started = Fact::ConversationStarted { source: StartSource::Other };
    let mut started = tell(Source::StateFile, started);
    started.transcript_path = Some(found.transcript);
    observe(live, unit, started)?;
    Ok(())
}

/// The project that a folder belongs to: one that holds it, else the git repository around it.
pub(super) async fn project_of(app: &App, cwd: &Path) -> Result<ProjectId, Error> {
    let folder = cwd.canonicalize().unwrap_or_else(|_| cwd.to_owned());
    let inside = folder.clone();
    let known = app
        .engine
        .read(move |live| {
            let around = live.projects().filter(|p| inside.starts_with(&p.root));
            around.max_by_key(|p| p.root.len()).map(|p| p.id)
        })
        .await?;
    if let Some(id) = known {
        return Ok(id);
    }
    let git = folder.ancestors().find(|d| d.join(".git").exists());
    let root = git.unwrap_or(&folder).to_string_lossy();
    Ok(projects::add(app, &root, None, Actor::chorus()).await?.0.id)
}
