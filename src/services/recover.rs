//! Finding out what became of sessions: after a start of the server, and whenever in doubt.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::error::Error;
use super::live::Live;
use super::observe::Report;
use super::{App, couriers, ingest, keyboard, launch, life, tasks, terminal};
use crate::clock;
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::session::{ClaudeStatus, Process, Session, Source};
use crate::process;
use crate::tmux::Pane;

/// A launch that leaves no process for this long has failed. Where many start at once, the last one has waited
/// for all the others. Milliseconds.
const LAUNCH_PATIENCE_MS: i64 = 120_000;

/// Brings everything up to date after a start: what hooks left in the spool, which terminals and
/// processes are still there, which prompts were under way.
pub async fn run(app: &Arc<App>) {
    ingest::drain_spool(app).await;
    let running = |live: &Live| -> Vec<Session> {
        live.sessions().filter(|s| s.is_live()).cloned().collect()
    };
    let Ok(sessions) = app.engine.read(running).await else { return };
    if !sessions.is_empty()
        && let Err(e) = panes(app).await
    {
        tracing::warn!(error = %e, "tmux cannot be asked which sessions are still there");
    }
    for session in &sessions {
        app.accounts.sum_up(session.id);
        check(app, session.id).await;
        if let Some(sending) = session.state.sending.clone() {
            let (app, id) = (app.clone(), session.id);
            app.clone().tasks.spawn(async move { couriers::recover(&app, id, sending).await });
        }
    }
    let decided = |live: &Live| -> Vec<PermissionId> {
        live.open.values().filter(|o| o.decision.is_some()).map(|o| o.request.id).collect()
    };
    for id in app.engine.read(decided).await.unwrap_or_default() {
        keyboard::stand_in(app, id);
    }
    tasks::recover(app).await;
    launch::tidy(app).await;
    app.watcher.sweep();
    if !sessions.is_empty() {
        tracing::info!(sessions = sessions.len(), "took up {} sessions again", sessions.len());
    }
}

/// Finds the pane of every session, and the tmux sessions that none of ours explains.
pub async fn panes(app: &Arc<App>) -> Result<(), Error> {
    let tmux = app.tmux().await?;
    let panes =
        tmux.list_panes().await.map_err(|e| Error::Unavailable { problem: e.to_string() })?;
    let names = |live: &Live| -> Vec<(SessionId, String, Option<Process>)> {
        let ours = live.sessions().filter(|s| s.is_live() && !s.is_elsewhere());
        ours.map(|s| (s.id, s.tmux_session.clone(), s.state.process)).collect()
    };
    let sessions = app.engine.read(names).await?;
    let prefix = format!("{}-", app.config.session_prefix);
    let alive = panes.iter().filter(|p| !p.dead).map(|p| &p.session);
    let mut orphans: Vec<String> =
        alive.filter(|name| name.starts_with(&prefix)).cloned().collect();
    orphans.sort();
    orphans.dedup();
    for (id, name, claude) in sessions {
        orphans.retain(|o| *o != name);
        app.set_pane(id, terminal::pane_of(&panes, &name, claude).map(|p| p.pane));
    }
    let mut known = app.orphans.lock().unwrap_or_else(PoisonError::into_inner);
    for name in orphans.iter().filter(|name| !known.contains(name)) {
        tracing::warn!(tmux_session = %name, "the tmux session {name} runs, but no session of Chorus's explains it");
    }
    *known = orphans;
    Ok(())
}

/// Checks whether a session's process is still there.
pub async fn check(app: &Arc<App>, id: SessionId) {
    let Ok(Some(session)) = app.engine.read(move |live| live.session(id).cloned()).await else {
        return;
    };
    let generation = session.state.generation;
    match session.state.process {
        Some(process) if process::alive(process) => {}
        Some(_) => process_gone(app, id, generation).await,
        None if session.state.claude_status == ClaudeStatus::Stopped => {}
        // The server died between the launch and its note of the process.
        None => {
            // If tmux cannot be asked, nothing is known.
            let Ok(pane) = find_pane(app, &session).await else { return };
            let launched_at = session.state.launched_at;
            // Who was to launch it is dead, or has had the time to.
            let overdue = launched_at < app.started_at
                || clock::now().ms_since(launched_at) > LAUNCH_PATIENCE_MS;
            match pane.filter(|p| !p.dead).and_then(|p| process::identify(p.pid)) {
                Some(process) => {
                    let mut report =
                        Report::fact(id, Source::Process, clock::now(), Fact::Launched { process });
                    report.generation = Some(generation);
                    super::tell(app, report).await;
                }
                None if overdue => {
                    if launched_at < app.started_at {
                        tasks::launch_lost(app, id).await;
                    }
                    process_gone(app, id, generation).await;
                }
                None => {}
            }
        }
    }
}

async fn find_pane(app: &Arc<App>, session: &Session) -> Result<Option<Pane>, Error> {
    let panes = app.tmux().await?.list_panes().await;
    let panes = panes.map_err(|e| Error::Unavailable { problem: e.to_string() })?;
    Ok(terminal::pane_of(&panes, &session.tmux_session, session.state.process).cloned())
}

/// Notes that a session's process is gone, and how it ended as far as tmux knows.
pub async fn process_gone(app: &Arc<App>, id: SessionId, generation: u32) {
    let Ok(Some(session)) = app.engine.read(move |live| live.session(id).cloned()).await else {
        return;
    };
    if session.state.generation != generation
        || session.state.claude_status == ClaudeStatus::Stopped && session.state.process.is_none()
    {
        return;
    }
    if session.is_elsewhere() {
        let gone = Fact::ProcessGone { how: None, orderly: true };
        let mut report = Report::fact(id, Source::Process, clock::now(), gone);
        report.generation = Some(generation);
        return super::tell(app, report).await;
    }
    // The kernel tells of the death a moment before tmux has noticed it, and tmux notices that the
    // terminal is closed before it has heard how the process ended.
    let explained = |p: &Pane| p.dead && (p.dead_status.is_some() || p.dead_signal.is_some());
    let mut pane = find_pane(app, &session).await.unwrap_or_default();
    for _ in 0..15 {
        if pane.as_ref().is_none_or(explained) {
            break;
        }
        sleep(Duration::from_millis(20)).await;
        pane = find_pane(app, &session).await.unwrap_or_default();
    }
    let (how, orderly) = match &pane {
        Some(Pane { dead_signal: Some(signal), .. }) => {
            (Some(format!("killed by signal {signal}")), false)
        }
        Some(Pane { dead_status: Some(0), .. }) => (Some("it exited".to_owned()), true),
        Some(Pane { dead_status: Some(status), .. }) => {
            (Some(format!("exit status {status}")), false)
        }
        Some(_) => (None, false),
        None => (Some("its terminal was closed".to_owned()), false),
    };
    if pane.is_none() {
        app.set_pane(id, None);
    }
    if !session.state.started && pane.is_some() {
        // It may have said why it cannot start, and left it on the screen.
        super::launch::name_blocker(app, id, generation).await;
    }
    let mut report =
        Report::fact(id, Source::Process, clock::now(), Fact::ProcessGone { how, orderly });
    report.generation = Some(generation);
    super::tell(app, report).await;
    if let Ok(session) = super::sessions::by_id(app, id).await {
        life::after_crash(app, &session);
    }
}
