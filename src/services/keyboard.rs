//! Answering Claude Code's dialog by its keys: for a decision that no hook has carried to it.
//!
//! The hook may have been ended, or Claude Code may not have done as it was told. The dialog's rows
//! are read, and the pointer is moved to a row by its text; no digit and no Enter is sent blindly,
//! because what they mean differs from version to version.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::couriers::{self, Order};
use super::error::Error;
use super::live::{Live, Open};
use super::observe::Report;
use super::{App, ingest, terminal};
use crate::claude::screen::{Dialog, DialogKind};
use crate::clock;
use crate::domain::ids::PermissionId;
use crate::domain::message::MessageSource;
use crate::domain::observation::Fact;
use crate::domain::permission::{DecidedBy, PLAN, PermissionStatus, QUESTION, Verdict, landmark};
use crate::domain::session::{ClaudeStatus, Source};
use crate::tmux::{Capture, Key};

/// How long a hook may take to carry a decision. It may be on its way back after a restart of the
/// server, and Claude Code swallows keys in the first half second of a dialog.
const HOOK_PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at the dialog: a key that was swallowed is pressed again.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks at the dialog. Another one may be open before it.
const LOOKS: u32 = 60;
/// How long Claude Code takes to draw what a key did.
const DRAWN: Duration = Duration::from_millis(150);

/// Sees to it that a decision is obeyed: if its hook does not carry it, keys do.
pub fn stand_in(app: &Arc<App>, id: PermissionId) {
    let app = app.clone();
    let shutdown = app.shutdown.clone();
    app.clone().tasks.spawn(async move {
        let insist = async {
            sleep(HOOK_PATIENCE).await;
            for _ in 0..LOOKS {
                let Some(open) = unheard(&app, id).await else { return };
                if open.decision.as_ref().is_some_and(|d| d.updated_input.is_some()) {
                    // A key would allow what Claude asked for, which is not what was decided.
                    tracing::warn!(request = %id, "request {id} was decided with input of its own, which only its hook could carry; `chorus attach` shows its dialog");
                    return;
                }
                if let Err(e) = answer(&app, &open).await {
                    tracing::warn!(request = %id, error = %e, "request {id} cannot be answered by key");
                }
                sleep(PAUSE).await;
            }
            tracing::warn!(request = %id, "request {id} was decided, but its dialog could not be answered; `chorus attach` shows it");
        };
        shutdown.run_until_cancelled(insist).await;
    });
}

/// The decided request, if Claude still waits for it and no hook is about to tell.
async fn unheard(app: &App, id: PermissionId) -> Option<Open> {
    let look = move |live: &Live| {
        let open = live.open.get(&id)?;
        let request = &open.request;
        let waits = live.session(request.session_id).is_some_and(|s| {
            let file = s.state.file.as_ref().map(|f| f.status);
            file.unwrap_or(s.state.claude_status) == ClaudeStatus::Waiting
        });
        // An agent asks one thing after another: what was asked later is what its dialog shows.
        let latest = !live.open.values().any(|other| {
            other.request.session_id == request.session_id
                && other.request.requested_at > request.requested_at
        });
        (open.decision.is_some() && waits && latest).then(|| open.clone())
    };
    let open = app.engine.read(look).await.ok().flatten()?;
    (!app.held.is_waiting(id)).then_some(open)
}

/// Looks at the terminal, and answers the dialog if it is this request's.
async fn answer(app: &Arc<App>, open: &Open) -> Result<(), Error> {
    let Some(dialog) = shown(app, open).await? else { return Ok(()) };
    let Some(decision) = &open.decision else { return Ok(()) };
    let session = open.request.session_id;
    let Some(pane) = app.pane(session) else { return Ok(()) };
    let tmux = app.tmux().await?;
    let key = match decision.verdict {
        Verdict::Deny => Key::Escape,
        Verdict::Allow => {
            let Some(steps) = dialog.allow_once().and_then(|row| dialog.steps_to(row)) else {
                return Err(Error::conflict("its dialog has no row that allows just this"));
            };
            let step = if steps < 0 { Key::Up } else { Key::Down };
            for _ in 0..steps.unsigned_abs() {
                tmux.send_key(pane, step).await?;
            }
            if steps != 0 {
                sleep(DRAWN).await;
                if !is_ready(app, open, Verdict::Allow).await? {
                    return Ok(());
                }
            }
            Key::Enter
        }
    };
    // Noted first: should the server die in between, the next one looks at the dialog again.
    let first = open.request.status == PermissionStatus::Decided;
    let fact = Fact::AnswerDelivered { id: open.request.id };
    ingest::observed(app, Report::fact(session, Source::Chorus, clock::now(), fact)).await?;
    // That may have taken long: the terminal may have answered, and the next dialog may be open.
    if !is_ready(app, open, decision.verdict).await? {
        return Ok(());
    }
    tmux.send_key(pane, key).await?;
    tracing::info!(request = %open.request.id, "request {} was answered by key: no hook carried it", open.request.id);
    if let Some(why) = decision.message.clone().filter(|_| first && !decision.interrupt) {
        // A refusal by key has no words: they follow as a prompt.
        let order = Order {
            text: why,
            source: source(open.request.decided_by),
            queue: true,
            raw: false,
            force: false,
            idempotency_key: None,
        };
        couriers::submit(app, session, order).await?;
    }
    Ok(())
}

/// Whether the key that answers may be pressed: the dialog is this request's, and for a yes the pointer
/// is at the row that allows just this.
async fn is_ready(app: &Arc<App>, open: &Open, verdict: Verdict) -> Result<bool, Error> {
    let Some(dialog) = shown(app, open).await? else { return Ok(false) };
    let at_yes = || dialog.allow_once().is_some_and(|row| row.selected);
    Ok(verdict == Verdict::Deny || at_yes())
}

/// The open dialog, if it is about this request.
async fn shown(app: &Arc<App>, open: &Open) -> Result<Option<Dialog>, Error> {
    let text = terminal::capture(app, open.request.session_id, Capture::default()).await?;
    let Some(dialog) = app.screens.dialog(&text) else { return Ok(None) };
    let ours = match open.request.tool.as_str() {
        PLAN => dialog.kind == DialogKind::Plan,
        QUESTION => dialog.kind == DialogKind::Question,
        tool => {
            let words = landmark(tool, &open.request.input);
            let words = squeezed(&words);
            // Without a word to know it by it may be another's.
            dialog.kind == DialogKind::Permission
                && !words.is_empty()
                && squeezed(&text).contains(&words)
        }
    };
    Ok(ours.then_some(dialog))
}

/// Without blanks: a narrow terminal breaks lines anywhere.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

fn source(by: Option<DecidedBy>) -> MessageSource {
    match by {
        Some(DecidedBy::Dashboard) => MessageSource::Dashboard,
        Some(DecidedBy::Cli) => MessageSource::Cli,
        _ => MessageSource::Api,
    }
}
