//! Sessions: creating and finding them, and looking at one. What happens to one later is in
//! [`super::life`].

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::engine::Unit;
use super::error::Error;
use super::live::Live;
use super::observe::{Report, observe};
use super::{App, elsewhere, launch, projects, spending, terminal};
use crate::claude::launch::Start as Begin;
use crate::claude::profile::Profile;
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::{ConversationId, MessageId, ProjectId, SessionId, TaskId};
use crate::domain::message::{Delivery, MessageSource};
use crate::domain::observation::Fact;
use crate::domain::project::Project;
use crate::domain::prompt::Prompt;
use crate::domain::session::{
    Launch, Runtime, Sending, Session, SessionName, SessionSort, SessionState, Source,
};
use crate::domain::time::Timestamp;
use crate::domain::usage::{Budget, Usd};
use crate::store::messages::Outgoing;
use crate::store::{Cursor, Page, Write, sessions};
use crate::tmux::Capture;

/// A session as somebody wants it.
#[derive(Clone, Debug)]
pub struct New {
    /// Its name; made of the prompt if there is none.
    pub name: Option<SessionName>,
    /// What its name is made of instead, if that is taken with a number after it.
    pub like: Option<SessionName>,
    /// The project; the default one if there is none.
    pub project: Option<ProjectId>,
    /// The first prompt.
    pub prompt: Option<String>,
    /// Where the prompt comes from.
    pub source: MessageSource,
    /// The directory to work in; the project's root if there is none.
    pub workspace: Option<String>,
    /// Chorus itself has made that directory, so it need not be inside of the project.
    pub managed: bool,
    /// How Claude is launched.
    pub launch: Launch,
    /// What is kept with it.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The conversation that its own begins as a copy of.
    pub fork_of: Option<ConversationId>,
    /// Makes a repeated request safe.
    pub idempotency_key: Option<String>,
}

/// What the live state knows beside a session's own row.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The permission that it waits for longest, in one line.
    pub permission_prompt: Option<String>,
    /// Permission requests that nobody has decided.
    pub pending_permissions: usize,
    /// Prompts that wait to be sent.
    pub queued_messages: usize,
    /// A process of somebody's own that goes on with the same conversation.
    pub elsewhere_pid: Option<u32>,
    /// The branch that its task's edits go to.
    pub branch: Option<String>,
    /// The title of the task that it works on.
    pub task: Option<String>,
}

fn look_beside(live: &Live, id: SessionId) -> Beside {
    let pending =
        || live.open.values().filter(|o| o.request.session_id == id && o.decision.is_none());
    let task = live.tasks.at_work().find(|k| k.task.session_id == Some(id));
    Beside {
        branch: task.and_then(|k| k.attempt.as_ref()?.branch.clone()),
        task: task.map(|k| k.task.title.clone()),
        permission_prompt: pending()
            .min_by_key(|o| o.request.requested_at)
            .map(|o| o.request.summary.clone()),
        pending_permissions: pending().count(),
        queued_messages: live.queue(id).count(),
        elsewhere_pid: live.elsewhere.get(&id).map(|p| p.pid),
    }
}

/// What the live state knows beside a session's own row.
pub async fn beside(app: &App, id: SessionId) -> Result<Beside, Error> {
    Ok(app.engine.read(move |live| look_beside(live, id)).await?)
}

/// Lists sessions.
pub async fn list(
    app: &App,
    filter: &sessions::Filter,
    sort: SessionSort,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<(Page<Session>, HashMap<SessionId, Beside>), Error> {
    let page = sessions::list(&app.db, filter, sort, after, limit).await?;
    let ids: Vec<SessionId> = page.items.iter().map(|s| s.id).collect();
    let beside = app
        .engine
        .read(move |live| ids.into_iter().map(|id| (id, look_beside(live, id))).collect())
        .await?;
    Ok((page, beside))
}

/// The names of the sessions that are in memory.
pub async fn names(app: &App) -> Result<HashMap<SessionId, String>, Error> {
    let named = |live: &Live| live.sessions().map(|s| (s.id, s.name.to_string())).collect();
    Ok(app.engine.read(named).await?)
}

/// Finds a session by its id.
pub async fn by_id(app: &App, id: SessionId) -> Result<Session, Error> {
    if let Some(session) = app.engine.read(move |live| live.session(id).cloned()).await? {
        return Ok(session);
    }
    sessions::by_id(&app.db, id).await?.ok_or_else(|| Error::no_session(&id.to_string()))
}

/// Finds a session by its id, its name or its tmux session's name: the live one, else the newest.
pub async fn find(app: &App, name: &str) -> Result<Session, Error> {
    if let Ok(id) = name.parse() {
        return by_id(app, id).await;
    }
    let wanted = name.to_owned();
    let running = app
        .engine
        .read(move |live| {
            let named = |s: &&Session| {
                s.is_live() && (s.name.as_str() == wanted || s.tmux_session == wanted)
            };
            live.sessions().find(named).cloned()
        })
        .await?;
    match running {
        Some(session) => Ok(session),
        None => sessions::by_name(&app.db, name).await?.ok_or_else(|| Error::no_session(name)),
    }
}

/// The same for a filter that may be left out.
pub async fn find_id(app: &App, name: Option<&str>) -> Result<Option<SessionId>, Error> {
    match name {
        Some(name) => Ok(Some(find(app, name).await?.id)),
        None => Ok(None),
    }
}

/// Creates a session and starts Claude in it.
pub async fn create(app: &Arc<App>, new: New) -> Result<Session, Error> {
    let key = new.idempotency_key.clone();
    if let Some(key) = &key
        && let Some(made) = sessions::by_idempotency_key(&app.db, key).await?
    {
        return by_id(app, made.id).await;
    }
    let (prepared, start) = prepare(app, new).await?;
    let id = prepared.id;
    let begin = move |live: &mut Live, unit: &mut Unit| {
        if let Some(twin) = key.as_deref().and_then(|k| live.session_of_key(k)) {
            return Ok(Some(twin));
        }
        prepared.begin(live, unit, None)?;
        if let Some(key) = key {
            live.remember_session_key(key, id);
        }
        Ok::<_, Error>(None)
    };
    if let Some(twin) = app.engine.run(begin).await? {
        return by_id(app, twin).await;
    }
    launch::run(app, start).await?;
    by_id(app, id).await
}

/// A session that can be made: all that needs a look at the world has been looked at.
pub(super) struct Prepared {
    /// The id that it gets.
    pub id: SessionId,
    new: New,
    project: Project,
    workspace: String,
    claude_version: String,
    prompt: Option<Prompt>,
    budget: Option<Usd>,
    conversation: ConversationId,
    prefix: String,
}

/// Checks everything about a session that is wanted. Tells also how to start it once it is made.
pub(super) async fn prepare(app: &Arc<App>, new: New) -> Result<(Prepared, launch::Start), Error> {
    let project = match new.project {
        Some(id) => projects::get(app, id).await?,
        None => projects::default(app).await?,
    };
    let workspace = match &new.workspace {
        Some(path) if new.managed => {
            projects::folder("workspace_path", std::path::Path::new(path))?
        }
        Some(path) => projects::inside(&project, "workspace_path", path)?,
        None => projects::folder("project", std::path::Path::new(&project.root))?,
    };
    let claude = launch::installed(app).await?;
    launch::check(&new.launch)?;
    spending::check(new.launch.budget_usd)
        .map_err(|_| Error::invalid("launch.budget_usd", "expected more than 0"))?;
    let prompt = match new.prompt.as_deref().filter(|p| !p.is_empty()) {
        Some(text) => {
            let profile = Profile::of(&claude.version);
            let prompt = Prompt::new(text, false, profile.leading_blank_disarms_slash);
            Some(prompt.map_err(|e| Error::invalid("initial_prompt", e.to_string()))?)
        }
        None => None,
    };
    let id = SessionId::new();
    let conversation = ConversationId(uuid::Uuid::new_v4().to_string());
    let begin = match new.fork_of.clone() {
        Some(from) => Begin::Fork { from, to: conversation.clone() },
        None => Begin::New(conversation.clone()),
    };
    // An argument is taken as it is: what is done to a text that is pasted is not undone there.
    let text = prompt.as_ref().map(|p| p.expected().to_owned());
    let start = launch::Start { session: id, begin, prompt: text };
    let prepared = Prepared {
        id,
        budget: new.launch.budget_usd.or(app.config.budget()),
        new,
        project,
        workspace: workspace.to_string_lossy().into_owned(),
        claude_version: claude.version,
        prompt,
        conversation,
        prefix: app.config.session_prefix.clone(),
    };
    Ok((prepared, start))
}

impl Prepared {
    /// Makes it, about to be launched. Tells the message that is its first prompt.
    pub(super) fn begin(
        self,
        live: &mut Live,
        unit: &mut Unit,
        task_id: Option<TaskId>,
    ) -> Result<Option<MessageId>, Error> {
        let Self { id, new, prompt, conversation, prefix, .. } = self;
        let name = match new.name {
            Some(name) if live.is_taken(&name, id) => {
                return Err(Error::conflict(format!(
                    "a live session is called {name} already; choose another name"
                )));
            }
            Some(name) => name,
            None => {
                let text = prompt.as_ref().and_then(|p| SessionName::from_text(p.text()));
                let wanted = new.like.or(text).unwrap_or_else(SessionName::fallback);
                live.free_name(&wanted, id)
            }
        };
        let now = unit.now;
        let state = SessionState { budget: self.budget.map(Budget::of), ..SessionState::new(now) };
        let session = Session {
            id,
            project_id: self.project.id,
            tmux_session: format!("{prefix}-{name}"),
            name,
            runtime: Runtime::Tmux,
            workspace_path: self.workspace,
            task_id,
            launch: new.launch,
            metadata: new.metadata,
            claude_version: Some(self.claude_version),
            state,
            hidden: false,
            created_at: now,
            updated_at: now,
        };
        unit.write(Write::AddSession {
            session: Box::new(session.clone()),
            idempotency_key: new.idempotency_key,
        });
        unit.write(Write::Audit(act(now, new.source.into(), "session.created", &session)));
        live.admit(session);
        observe(
            live,
            unit,
            Report::fact(id, Source::Chorus, now, Fact::LaunchBegan { conversation }),
        )?;
        let Some(prompt) = &prompt else { return Ok(None) };
        Ok(Some(add_first_prompt(live, unit, id, prompt, new.source)?))
    }
}

/// What the audit log keeps of something that was done to a session.
pub(super) fn act(at: Timestamp, actor: Actor, action: &'static str, session: &Session) -> Act {
    let data = json!({ "name": session.name, "workspace_path": session.workspace_path });
    Act::new(at, actor, action, data).session(session.id).subject(session.id)
}

/// The first prompt goes as an argument of the command line, and is confirmed like any other.
fn add_first_prompt(
    live: &mut Live,
    unit: &mut Unit,
    id: SessionId,
    prompt: &Prompt,
    source: MessageSource,
) -> Result<MessageId, Error> {
    let mut outgoing = Outgoing::queued(id, prompt.text(), source, unit.now);
    outgoing.message.delivery_status = Some(Delivery::Sending);
    let sending = Sending {
        message: outgoing.message.id,
        digest: prompt.digest().to_owned(),
        since: unit.now,
        raw: false,
    };
    live.queue_mut(id).push_back(outgoing.clone());
    unit.write(Write::AddMessage { message: Box::new(outgoing), idempotency_key: None });
    let message = sending.message;
    observe(live, unit, Report::fact(id, Source::Chorus, unit.now, Fact::SendBegan(sending)))?;
    Ok(message)
}

/// Replaces what is kept with a session.
pub async fn set_metadata(
    app: &App,
    name: &str,
    metadata: serde_json::Map<String, serde_json::Value>,
) -> Result<Session, Error> {
    let session = find(app, name).await?;
    let id = session.id;
    app.engine
        .run(move |live, unit| {
            live.admit(session);
            let session = live.session_mut(id).ok_or_else(|| Error::no_session(&id.to_string()))?;
            session.metadata = metadata;
            let session = session.clone();
            if !session.is_live() {
                live.retire(id);
            }
            unit.touch(id);
            Ok(session)
        })
        .await
}

/// The command that attaches a terminal to a session, as words.
pub async fn attach_command(app: &Arc<App>, name: &str) -> Result<(Session, Vec<String>), Error> {
    let session = find(app, name).await?;
    elsewhere::leave_alone(&session)?;
    if app.pane(session.id).is_none() {
        return Err(Error::conflict(format!(
            "{0} has no terminal: it does not run; `chorus resume {0}` goes on with it",
            session.name
        )));
    }
    let argv = crate::tmux::attach_command(
        &app.config.tmux,
        &app.data.tmux_socket(),
        &session.tmux_session,
        None,
    );
    Ok((session, argv))
}

/// The end of a session's terminal, with so many lines before the visible ones.
pub async fn output(app: &Arc<App>, session: &Session, lines: u32) -> Result<String, Error> {
    terminal::capture(app, session.id, Capture { escapes: false, scrollback: lines }).await
}
