//! What happens to a session after it was created: it is interrupted, paused, resumed, restarted,
//! forked and ended, and started again after a crash.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::engine::Unit;
use super::error::Error;
use super::live::Live;
use super::observe::{Report, observe};
use super::sessions::{self, New, act, by_id, find};
use super::{App, elsewhere, launch, tasks};
use crate::claude::launch::Start as Begin;
use crate::clock;
use crate::domain::audit::Actor;
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::message::MessageSource;
use crate::domain::observation::Fact;
use crate::domain::session::{
    ClaudeStatus, Process, Runtime, Session, SessionName, Source, Status,
};
use crate::domain::task::Heard;
use crate::process;
use crate::store::Write;
use crate::tmux::Key;

/// How long Claude may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait after the first crash; after each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Ends a session and hides it. Doing it again does nothing.
pub async fn end(app: &Arc<App>, name: &str, actor: Actor) -> Result<(), Error> {
    let session = find(app, name).await?;
    let id = session.id;
    elsewhere::leave_alone(&session)?;
    tracing::info!(session = %id, "session {id} is ended on request");
    stop(app, &session).await?;
    app.engine
        .run(move |live, unit| {
            live.admit(session);
            let now = unit.now;
            if let Some(session) = live.session_mut(id)
                && !std::mem::replace(&mut session.hidden, true)
            {
                unit.write(Write::Audit(act(now, actor, "session.ended", session)));
                unit.touch(id);
            }
            // One that was set aside has no process whose end could tell.
            tasks::follow(live, unit, id, &Heard::default());
            live.retire(id);
            Ok::<_, Error>(())
        })
        .await
}

/// Ends the Claude of a session, what it started, and its terminal.
async fn stop(app: &Arc<App>, session: &Session) -> Result<(), Error> {
    let id = session.id;
    let known = session.clone();
    let present = app
        .engine
        .run(move |live, unit| {
            live.admit(known);
            Present::told(live, unit, id, Fact::EndRequested)
        })
        .await?;
    present.end(app).await;
    if app.pane(id).is_some() {
        let tmux = app.tmux().await?;
        // Gone already is as good.
        let _ = tmux.kill_session(&session.tmux_session).await;
        app.set_pane(id, None);
    }
    Ok(())
}

/// What runs in a session, or is just being launched there, in the moment in which somebody asks for
/// its end. It is not known before: a launch that was under way then may have come to its process.
struct Present {
    session: SessionId,
    generation: u32,
    process: Option<Process>,
}

impl Present {
    /// Tells a session what is asked for, and what runs there by then.
    fn told(live: &mut Live, unit: &mut Unit, id: SessionId, fact: Fact) -> Result<Self, Error> {
        observe(live, unit, Report::fact(id, Source::Chorus, unit.now, fact))?;
        let state = &live.session(id).ok_or_else(|| Error::no_session(&id.to_string()))?.state;
        Ok(Self { session: id, generation: state.generation, process: state.process })
    }

    /// Ends it. A launch that has no process yet is over with this, and finds that out itself.
    async fn end(self, app: &Arc<App>) {
        if let Some(claude) = self.process {
            end_claude(claude).await;
        }
        super::recover::process_gone(app, self.session, self.generation).await;
    }
}

/// Ends a Claude and whatever it started.
pub(super) async fn end_claude(claude: Process) {
    // Collected first: once Claude is gone, nothing ties them to it.
    let children = process::descendants(claude.pid);
    // That it is gone already is as good; what cannot be signalled is killed next.
    let _ = process::terminate(claude);
    if timeout(GRACE, process::wait_gone(claude)).await.is_err() {
        let _ = process::kill(claude);
        let _ = timeout(GRACE, process::wait_gone(claude)).await;
    }
    process::end_tree(children, Duration::from_secs(1)).await;
}

/// Interrupts the turn with one Escape.
pub async fn interrupt(app: &Arc<App>, name: &str) -> Result<Session, Error> {
    let session = find(app, name).await?;
    elsewhere::leave_alone(&session)?;
    let pane = app.pane(session.id);
    match (session.state.claude_status, pane) {
        (ClaudeStatus::Busy | ClaudeStatus::Waiting, Some(pane)) if session.state.started => {
            let tmux = app.tmux().await?;
            let pressed = tmux.send_key(pane, Key::Escape).await;
            pressed?;
            Ok(session)
        }
        (status, _) => Err(Error::conflict(format!(
            "Claude is {status} in {}: there is no turn to interrupt",
            session.name
        ))),
    }
}

/// Sets a session aside: its Claude ends, its name, its conversation and its queue stay.
pub async fn pause(app: &Arc<App>, name: &str, actor: Actor) -> Result<Session, Error> {
    let session = find(app, name).await?;
    let id = session.id;
    let state = &session.state;
    if state.status == Status::Paused {
        return Ok(session);
    }
    elsewhere::leave_alone(&session)?;
    if session.hidden || state.status == Status::Completed {
        return Err(Error::conflict(format!(
            "{} has ended: there is nothing to pause",
            session.name
        )));
    }
    let present = app
        .engine
        .run(move |live, unit| {
            // It may have ended by itself long ago.
            refuse_namesake(live, &session)?;
            unit.write(Write::Audit(act(unit.now, actor, "session.paused", &session)));
            live.admit(session);
            Present::told(live, unit, id, Fact::PauseRequested)
        })
        .await?;
    present.end(app).await;
    by_id(app, id).await
}

/// Goes on with a session that does not run, with its conversation. One that is just ending may end
/// first: its Claude says goodbye, and is shown as stopped, a moment before its process is gone.
pub async fn resume(app: &Arc<App>, name: &str, actor: Actor) -> Result<Session, Error> {
    let mut session = find(app, name).await?;
    let state = &session.state;
    if state.claude_status != ClaudeStatus::Stopped && !state.pausing {
        let why = format!("{0} runs already; `chorus attach {0}` shows it", session.name);
        return Err(Error::conflict(why));
    }
    if let Some(claude) = state.process {
        if timeout(GRACE, process::wait_gone(claude)).await.is_err() {
            let why = format!("{} is still ending; try again in a moment", session.name);
            return Err(Error::conflict(why));
        }
        super::recover::process_gone(app, session.id, state.generation).await;
        session = by_id(app, session.id).await?;
    }
    begin(app, session, false, "session.resumed", actor).await
}

/// Starts Claude again, with the same conversation or a fresh one.
pub async fn restart(
    app: &Arc<App>,
    name: &str,
    fresh: bool,
    actor: Actor,
) -> Result<Session, Error> {
    let session = find(app, name).await?;
    let id = session.id;
    elsewhere::leave_alone(&session)?;
    // Before anything is ended.
    refuse_homeless(&session)?;
    if !fresh {
        elsewhere::refuse_second(app, &session).await?;
    }
    launch::installed(app).await?;
    let again = async {
        if session.state.process.is_some() {
            let told = move |live: &mut Live, unit: &mut Unit| {
                Present::told(live, unit, id, Fact::EndRequested)
            };
            app.engine.run(told).await?.end(app).await;
        }
        begin(app, session, fresh, "session.restarted", actor).await
    };
    tasks::going_on(app, id, again).await
}

/// Takes over a session that somebody runs in a terminal of their own: it is ended there, and goes
/// on here with its conversation.
pub async fn adopt(app: &Arc<App>, name: &str, actor: Actor) -> Result<Session, Error> {
    let session = find(app, name).await?;
    if !session.is_elsewhere() {
        return Err(Error::conflict(format!("Chorus runs {} already", session.name)));
    }
    launch::installed(app).await?;
    if let Some(process) = session.state.process {
        tracing::info!(session = %session.id, pid = process.pid, "a Claude that ran elsewhere is ended: Chorus goes on with it");
        end_claude(process).await;
        super::recover::process_gone(app, session.id, session.state.generation).await;
    }
    begin(app, session, false, "session.adopted", actor).await
}

/// Makes another session whose conversation begins as a copy of this one's.
pub async fn fork(
    app: &Arc<App>,
    name: &str,
    new_name: Option<SessionName>,
    prompt: Option<String>,
    source: MessageSource,
) -> Result<Session, Error> {
    let session = find(app, name).await?;
    let resumable = match session.state.conversation.clone() {
        Some(conversation) if launch::resumable(app, &session, &conversation).await => conversation,
        _ => {
            return Err(Error::conflict(format!(
                "nothing has been said in {} yet: there is no conversation to copy",
                session.name
            )));
        }
    };
    let like = SessionName::new(&format!("{}-fork", session.name));
    let like = like.unwrap_or_else(|_| session.name.numbered(2));
    let new = New {
        // Where the other one works there may be this one too.
        managed: true,
        name: new_name,
        like: Some(like),
        project: Some(session.project_id),
        prompt,
        source,
        workspace: Some(session.workspace_path),
        launch: session.launch,
        metadata: session.metadata,
        fork_of: Some(resumable),
        idempotency_key: None,
    };
    sessions::create(app, new).await
}

/// Refuses to start a Claude whose folder is gone, as a worktree is that was taken away with its task.
fn refuse_homeless(session: &Session) -> Result<(), Error> {
    if std::path::Path::new(&session.workspace_path).is_dir() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the folder that {} works in is gone: {}; start its task anew (`chorus task start`), or make the folder again",
        session.name, session.workspace_path
    )))
}

/// Refuses to have a session live again whose name is another's by now.
fn refuse_namesake(live: &Live, session: &Session) -> Result<(), Error> {
    let Session { id, name, .. } = live.session(session.id).unwrap_or(session);
    if !live.is_taken(name, *id) {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "another live session is called {name} now; end that one first (`chorus kill {name}`), or go on with a \
         copy of this one's conversation (`chorus fork {id} --name NAME`)"
    )))
}

/// Begins another process in a session that has none.
async fn begin(
    app: &Arc<App>,
    session: Session,
    fresh: bool,
    what: &'static str,
    actor: Actor,
) -> Result<Session, Error> {
    let id = session.id;
    refuse_homeless(&session)?;
    if !fresh {
        elsewhere::refuse_second(app, &session).await?;
    }
    let claude = launch::installed(app).await?;
    let resumable = match &session.state.conversation {
        Some(conversation) if !fresh => {
            launch::resumable(app, &session, conversation).await.then(|| conversation.clone())
        }
        _ => None,
    };
    let begin = match resumable {
        Some(conversation) => Begin::Resume(conversation),
        None => Begin::New(ConversationId(uuid::Uuid::new_v4().to_string())),
    };
    let conversation = begin.conversation().clone();
    let task = tasks::recall(app, &session).await?;
    let prefix = app.config.session_prefix.clone();
    app.engine
        .run(move |live, unit| {
            refuse_namesake(live, &session)?;
            // Two may ask for it in the same moment.
            if live.session(id).is_some_and(|s| s.state.claude_status != ClaudeStatus::Stopped) {
                return Err(Error::conflict(format!("{} is being started", session.name)));
            }
            live.admit(session);
            let now = unit.now;
            if let Some(session) = live.session_mut(id) {
                session.claude_version = Some(claude.version);
                session.hidden = false;
                if session.is_elsewhere() {
                    session.runtime = Runtime::Tmux;
                    session.tmux_session = format!("{prefix}-{}", session.name);
                }
                unit.write(Write::Audit(act(now, actor, what, session)));
            }
            tasks::session_begins(live, unit, id, task);
            observe(
                live,
                unit,
                Report::fact(id, Source::Chorus, now, Fact::LaunchBegan { conversation }),
            )?;
            Ok(())
        })
        .await?;
    launch::run(app, launch::Start { session: id, begin, prompt: None }).await?;
    by_id(app, id).await
}

/// Starts a session again that has ended unasked, if that was wanted and has not happened too often.
pub fn after_crash(app: &Arc<App>, session: &Session) {
    let now = clock::now();
    if !session.starts_again(now) {
        return;
    }
    let crashes = session.crashes(now);
    let (app, id, generation) = (app.clone(), session.id, session.state.generation);
    let (tasks, shutdown) = (app.tasks.clone(), app.shutdown.clone());
    let again = async move {
        sleep(FIRST_PAUSE.saturating_mul(1 << (crashes - 1).min(6))).await;
        // Meanwhile somebody may have started or ended it.
        let Ok(session) = by_id(&app, id).await else { return };
        if session.hidden || session.state.generation != generation {
            return;
        }
        tracing::warn!(session = %id, "{} has ended unasked ({crashes} within the hour) and is started again", session.name);
        if let Err(e) = begin(&app, session, false, "session.restarted", Actor::chorus()).await {
            tracing::warn!(session = %id, error = %e, "{id} could not be started again");
            tasks::give_up(&app, id).await;
        }
    };
    tasks.spawn(async move { shutdown.run_until_cancelled(again).await });
}
