//! Conversations of the past: what Claude Code wrote down before Chorus was there, taken into the
//! record so that it can be searched and gone on with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::elsewhere;
use super::error::Error;
use super::live::Live;
use super::reader::Reader;
use super::{App, projects};
use crate::claude::past::{self, About, Past};
use crate::claude::paths;
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::{ConversationId, ProjectId, SessionId};
use crate::domain::session::{
    ClaudeStatus, Launch, Runtime, Session, SessionName, SessionState, Status,
};
use crate::domain::time::Timestamp;
use crate::store::{Write, conversations};

/// A conversation that may be imported.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its transcript.
    pub past: Past,
    /// What it is about.
    pub about: About,
    /// The session that it is part of already.
    pub session: Option<SessionId>,
}

/// What became of one of the conversations that were asked for.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Which.
    pub conversation: ConversationId,
    /// The session that it is part of now, or why there is none.
    pub session: Result<Session, String>,
    /// It was known before.
    pub known: bool,
}

/// Where to look: the folder that was asked for, else that of the user's own Claude Code.
async fn config_dir(app: &App, asked: Option<&str>) -> Result<PathBuf, Error> {
    match asked.map(Path::new) {
        Some(path) if !path.is_absolute() => {
            Err(Error::invalid("claude_config_dir", "expected an absolute path"))
        }
        Some(path) if !path.join("projects").is_dir() => Err(Error::invalid(
            "claude_config_dir",
            format!("{} is no configuration folder of Claude Code's", path.display()),
        )),
        Some(path) => Ok(path.to_owned()),
        None => elsewhere::config_dir(app).await.ok_or_else(|| {
            Error::invalid("claude_config_dir", "there is no HOME to look in; name the folder")
        }),
    }
}

async fn find(config: PathBuf) -> Vec<Past> {
    tokio::task::spawn_blocking(move || past::find(&config)).await.unwrap_or_default()
}

/// Lists the conversations that Claude Code has kept, those that were held last first; only those below
/// `folder` if one is given, and only those that no session is part of yet if they are to be `new`. At
/// most `limit`.
pub async fn candidates(
    app: &App,
    config: Option<&str>,
    folder: Option<&Path>,
    new: bool,
    limit: usize,
) -> Result<Vec<Candidate>, Error> {
    let mut candidates = Vec::new();
    for past in find(config_dir(app, config).await?).await {
        if candidates.len() == limit {
            break;
        }
        let session = conversations::session_of(&app.db, &past.conversation).await?;
        if new && session.is_some() {
            continue;
        }
        let Some(about) = about(&past).await else { continue };
        let cwd = about.cwd.as_deref().map(Path::new);
        if folder.is_some_and(|f| !cwd.is_some_and(|cwd| cwd.starts_with(f))) {
            continue;
        }
        candidates.push(Candidate { past, about, session });
    }
    Ok(candidates)
}

async fn about(past: &Past) -> Option<About> {
    let path = past.path.clone();
    tokio::task::spawn_blocking(move || past::about(&path)).await.unwrap_or_default()
}

/// Imports conversations: each becomes a session that has ended, with everything that was said and
/// done in it, and can be resumed. One that is known already is read on from where it was left.
/// Nobody is notified of what happened long ago.
pub async fn import(
    app: &Arc<App>,
    config: Option<&str>,
    wanted: &[ConversationId],
    actor: Actor,
) -> Result<Vec<Imported>, Error> {
    let dir = config_dir(app, config).await?;
    let found = find(dir).await;
    let mut imported = Vec::new();
    for conversation in wanted {
        let past = found.iter().find(|p| p.conversation == *conversation);
        let (session, known) = match past {
            Some(past) => match one(app, config, past, actor.clone()).await {
                Ok((session, known)) => (Ok(session), known),
                Err(e @ Error::Unavailable { .. }) => return Err(e),
                Err(e) => (Err(e.to_string()), false),
            },
            None => (Err("there is no transcript of it; GET lists those there are".into()), false),
        };
        imported.push(Imported { conversation: conversation.clone(), session, known });
    }
    Ok(imported)
}

async fn one(
    app: &Arc<App>,
    config: Option<&str>,
    past: &Past,
    actor: Actor,
) -> Result<(Session, bool), Error> {
    if let Some(id) = conversations::session_of(&app.db, &past.conversation).await? {
        let session = super::sessions::by_id(app, id).await?;
        // The watcher reads those of sessions that run.
        if !session.is_live() {
            read(app, &session, past).await?;
        }
        return Ok((session, true));
    }
    let about = about(past).await;
    let about = about.ok_or_else(|| Error::conflict("nothing was said in it"))?;
    let project = project_of(app, about.cwd.as_deref().map(Path::new)).await?;
    let launch = Launch { claude_config_dir: config.map(str::to_owned), ..Launch::default() };
    let (wanted, at) = (past.clone(), about.started_at.unwrap_or(past.modified_at));
    let id = app
        .engine
        .run(move |live, unit| {
            let session = session(live, project, &wanted, about, launch, at);
            let id = session.id;
            unit.write(Write::AddSession {
                session: Box::new(session.clone()),
                idempotency_key: None,
            });
            unit.write(Write::StartConversation {
                id: wanted.conversation.clone(),
                session: id,
                transcript: Some(wanted.path.to_string_lossy().into_owned()),
                at,
            });
            let data = serde_json::json!({ "conversation": wanted.conversation });
            let act = Act::new(unit.now, actor, "session.imported", data);
            unit.write(Write::Audit(act.session(id).subject(id)));
            live.admit(session);
            live.retire(id);
            Ok::<_, Error>(id)
        })
        .await?;
    let session = super::sessions::by_id(app, id).await?;
    read(app, &session, past).await?;
    let (conversation, ended_at) = (past.conversation.clone(), past.modified_at);
    app.engine
        .run(move |_, unit| {
            unit.write(Write::EndConversation {
                id: conversation,
                reason: "imported".into(),
                at: ended_at,
            });
            Ok::<_, Error>(())
        })
        .await?;
    tracing::info!(session = %id, "a conversation of the past was imported");
    Ok((super::sessions::by_id(app, id).await?, false))
}

/// A session that has ended, in which a conversation was held.
fn session(
    live: &Live,
    project: ProjectId,
    past: &Past,
    about: About,
    launch: Launch,
    at: Timestamp,
) -> Session {
    let folder = about.cwd.as_deref().and_then(|c| Path::new(c).file_name()?.to_str());
    let names = [about.title.as_deref(), about.prompt.as_deref(), folder];
    let name = names.into_iter().flatten().find_map(SessionName::from_text);
    let mut state = SessionState::new(at);
    state.status = Status::Completed;
    state.claude_status = ClaudeStatus::Stopped;
    state.evidence.what = "imported".into();
    state.conversation = Some(past.conversation.clone());
    // What happened then moves nothing now.
    state.launched_at = crate::clock::now();
    let id = SessionId::new();
    Session {
        id,
        project_id: project,
        name: live.free_name(&name.unwrap_or_else(SessionName::fallback), id),
        tmux_session: String::new(),
        runtime: Runtime::External,
        workspace_path: about.cwd.unwrap_or_default(),
        task_id: None,
        launch,
        metadata: serde_json::Map::new(),
        claude_version: about.version,
        state,
        hidden: false,
        created_at: at,
        updated_at: past.modified_at,
    }
}

/// The project of a folder that may be gone.
async fn project_of(app: &App, cwd: Option<&Path>) -> Result<ProjectId, Error> {
    match cwd.filter(|cwd| cwd.is_dir()) {
        Some(cwd) => elsewhere::project_of(app, cwd).await,
        None => Ok(projects::default(app).await?.id),
    }
}

/// Reads a transcript, and those of its sub-agents, into the record.
async fn read(app: &Arc<App>, session: &Session, past: &Past) -> Result<(), Error> {
    let known = conversations::of_session(&app.db, session.id).await?;
    let known = known.into_iter().find(|c| c.id == past.conversation);
    let known = known.ok_or_else(|| Error::no_session(&session.id.to_string()))?;
    Reader::of(&known).of_the_past().read(app, &past.path).await;
    let mut agents = conversations::subagents(&app.db, &known.id).await?;
    for (agent, file) in paths::subagent_transcripts(&past.path) {
        let (offset, inode) = agents.remove(&agent).unwrap_or_default();
        let reader = Reader::of_agent(&known, agent, offset, &inode);
        reader.of_the_past().read(app, &file).await;
    }
    Ok(())
}
