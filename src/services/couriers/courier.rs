//! One courier: how a prompt gets into the terminal.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::{BOX_WAIT, SECOND_WAIT, brought_back, excerpt};
use crate::claude::profile::Profile;
use crate::claude::screen::InputBox;
use crate::clock;
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::message::{Delivery, Direction};
use crate::domain::observation::Fact;
use crate::domain::prompt;
use crate::domain::session::{ClaudeStatus, Sending, Source};
use crate::services::error::Error;
use crate::services::live::Live;
use crate::services::observe::{Report, observe};
use crate::services::{App, terminal};
use crate::store::Write;
use crate::store::messages::{self, Outgoing};
use crate::tmux::{Key, PaneId, TmuxError};

/// How long Claude must have been idle before a prompt is typed. Milliseconds.
const SETTLED_AFTER_MS: i64 = 250;
/// How long Claude may take to put a prompt back that was interrupted. Milliseconds.
const BROUGHT_BACK_WITHIN_MS: i64 = 2_000;
/// Between the paste and Enter: an Enter that follows a large paste at once is swallowed.
const BEFORE_ENTER: Duration = Duration::from_millis(60);
/// How long Claude Code may take to confirm before Enter is pressed once more.
const FIRST_WAIT: Duration = Duration::from_millis(1_500);
/// How long it may take if the text has left the input box: it is on its way within Claude Code.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// How long a large paste may take to be drawn.
const DRAWN_WAIT: Duration = Duration::from_secs(5);
/// How long somebody's draft may hold up a queued prompt.
const DRAFT_PATIENCE: Duration = Duration::from_secs(60);

/// One courier at work.
pub(super) struct Courier {
    pub(super) app: Arc<App>,
    pub(super) session: SessionId,
    pub(super) wake: Arc<Notify>,
}

impl Courier {
    /// Sends what waits, one prompt after the other, as long as Claude takes them.
    pub(super) async fn work(self) {
        loop {
            match self.next().await {
                Some(order) => {
                    self.let_settle().await;
                    self.send(order).await;
                }
                None => {
                    // Under the lock: a call after this one finds nobody at work and sends another.
                    let mut at_work =
                        self.app.couriers.0.at_work.lock().unwrap_or_else(PoisonError::into_inner);
                    at_work.remove(&self.session);
                    break;
                }
            }
        }
        // What came between the last look and the sign-off.
        if self.next().await.is_some() {
            self.app.couriers.wake(self.session);
        }
    }

    /// The prompt to send now, if there is one and Claude is idle.
    async fn next(&self) -> Option<Outgoing> {
        if self.app.shutdown.is_cancelled() {
            return None;
        }
        let id = self.session;
        let look = move |live: &Live| {
            let state = &live.session(id)?.state;
            let idle = state.claude_status == ClaudeStatus::Idle
                && state.started
                && !state.is_limited()
                && !state.is_out_of_budget()
                && state.sending.is_none();
            live.queue(id)
                .find(|m| idle && m.message.delivery_status == Some(Delivery::Queued))
                .cloned()
        };
        self.app.engine.read(look).await.ok().flatten()
    }

    /// Claude Code says `idle` for a moment between a turn and what follows it by itself (up to 90 ms
    /// measured): wait until that moment is over.
    async fn let_settle(&self) {
        let id = self.session;
        let since = move |live: &Live| live.session(id).map(|s| s.state.evidence.at);
        if let Ok(Some(at)) = self.app.engine.read(since).await {
            let rest = SETTLED_AFTER_MS.saturating_sub(clock::now().ms_since(at));
            // Not longer, if the clock was set back.
            let rest = rest.clamp(0, SETTLED_AFTER_MS).unsigned_abs();
            sleep(Duration::from_millis(rest)).await;
        }
    }

    async fn send(&self, order: Outgoing) {
        let message = order.message.id;
        match self.try_send(&order).await {
            Ok(()) => {}
            Err(Setback::Later) => {}
            Err(Setback::Failed(why)) => {
                tracing::warn!(%message, session = %self.session, reason = %why, "prompt {message} was not delivered");
                self.observe(Fact::SendFailed { message, error: why }).await;
            }
        }
    }

    async fn try_send(&self, order: &Outgoing) -> Result<(), Setback> {
        let Some(pane) = self.app.pane(self.session) else {
            self.begin(order).await?;
            return Err(Setback::Failed("the session has no terminal".into()));
        };
        let blocked = self.clear_way(order).await;
        self.begin(order).await?;
        blocked.map_err(Setback::Failed)?;
        // To note it may have taken long: what has opened meanwhile must not get the text.
        if !self.sees(BOX_WAIT, |shown| *shown == InputBox::Empty).await {
            return Err(Setback::Failed(self.left("the input box was no longer free").await));
        }
        let pieces = self.paste(pane, order.text.as_deref().unwrap_or_default()).await?;
        sleep(BEFORE_ENTER).await;
        // Nothing is pressed while the text is not in the box: a dialog would take it for a yes.
        if !self.is_drawn(pieces).await {
            let why = "the text did not appear in the input box, so Enter was not pressed";
            return Err(Setback::Failed(self.give_up(why).await));
        }
        self.press_enter(pane).await?;
        if self.settled(order.message.id, FIRST_WAIT).await {
            return Ok(());
        }
        // Not confirmed. If the text still stands in the box, the Enter was lost.
        if matches!(terminal::input_box(&self.app, self.session).await, Ok(InputBox::Draft(_))) {
            self.press_enter(pane).await?;
        }
        if self.settled(order.message.id, SECOND_WAIT).await {
            return Ok(());
        }
        // Taken from the box, but not confirmed: the machine is slow. To call it undelivered now
        // could have it sent twice.
        let look = terminal::input_box(&self.app, self.session).await;
        if matches!(look, Ok(InputBox::Empty)) && self.settled(order.message.id, LAST_WAIT).await {
            return Ok(());
        }
        Err(Setback::Failed(self.give_up("Claude Code did not confirm the prompt").await))
    }

    /// Pastes a text, and tells in how many pieces.
    async fn paste(&self, pane: PaneId, text: &str) -> Result<usize, Setback> {
        let session = crate::services::sessions::by_id(&self.app, self.session).await?;
        let profile = Profile::of(session.claude_version.as_deref().unwrap_or_default());
        let tmux = self.app.tmux().await?;
        let pieces = prompt::pieces(text, profile.wraps_long_pastes);
        for piece in &pieces {
            tmux.paste(pane, piece).await?;
        }
        Ok(pieces.len())
    }

    /// Waits until what was pasted is in the input box, and tells whether it is. Of many pieces it has to
    /// stand still: an Enter among them would be swallowed, or would send the half of them.
    async fn is_drawn(&self, pieces: usize) -> bool {
        let mut before = None;
        self.sees(DRAWN_WAIT, |shown| {
            let InputBox::Draft(text) = shown else { return false };
            pieces == 1 || before.replace(text.clone()).as_ref() == Some(text)
        })
        .await
    }

    /// Waits until the input box is as wanted, and tells whether it is.
    async fn sees(&self, limit: Duration, mut wanted: impl FnMut(&InputBox) -> bool) -> bool {
        let began = Instant::now();
        loop {
            let shown = terminal::input_box(&self.app, self.session).await;
            if shown.is_ok_and(|shown| wanted(&shown)) {
                return true;
            }
            if began.elapsed() > limit {
                return false;
            }
            sleep(2 * BEFORE_ENTER).await;
        }
    }

    /// Clears what is left of a prompt in the input box, and says why it failed.
    async fn give_up(&self, why: &str) -> String {
        let id = self.session;
        let idle = move |live: &Live| {
            live.session(id).map(|s| s.state.claude_status) == Some(ClaudeStatus::Idle)
        };
        // While Claude is busy, the Ctrl+C that clears the box would interrupt it.
        let idle = self.app.engine.read(idle).await.unwrap_or(false);
        if idle && terminal::clear_draft(&self.app, id, BOX_WAIT).await {
            return format!("{why}; the text was cleared from the input box");
        }
        self.left(why).await
    }

    /// Why a prompt failed, with what the terminal shows instead.
    async fn left(&self, why: &str) -> String {
        match terminal::dialog(&self.app, self.session).await {
            Some(dialog) => format!("{why}; the terminal shows {dialog}"),
            None => why.to_owned(),
        }
    }

    /// Waits until the box is there and empty; clears a draft if told to.
    async fn clear_way(&self, order: &Outgoing) -> Result<(), String> {
        let began = Instant::now();
        let mut cleared = false;
        loop {
            match terminal::input_box(&self.app, self.session).await.map_err(|e| e.to_string())? {
                InputBox::Empty if !self.may_be_brought_back().await => return Ok(()),
                InputBox::Empty => {}
                InputBox::Draft(text) => {
                    if !cleared && (order.force || self.brought_back(&text).await) {
                        cleared = terminal::clear_draft(&self.app, self.session, BOX_WAIT).await;
                        if !cleared {
                            return Err("the draft in the input box could not be cleared".into());
                        }
                    } else if began.elapsed() > DRAFT_PATIENCE {
                        let draft = excerpt(&text);
                        return Err(format!(
                            "somebody's draft has been in the input box: {draft:?}"
                        ));
                    }
                }
                InputBox::Bash(_) if began.elapsed() > DRAFT_PATIENCE => {
                    return Err("the input box has been in its shell mode".into());
                }
                InputBox::Hidden if began.elapsed() > BOX_WAIT => {
                    let what = terminal::dialog(&self.app, self.session).await;
                    let what = what.unwrap_or_else(|| "something else".into());
                    return Err(format!("the terminal shows {what}, not the input box"));
                }
                _ => {}
            }
            if self.next().await.is_none_or(|m| m.message.id != order.message.id) {
                return Err("Claude was no longer idle".into());
            }
            let pause = if began.elapsed() < BOX_WAIT { 100 } else { 1_000 };
            let _ = timeout(Duration::from_millis(pause), self.wake.notified()).await;
        }
    }

    /// Whether Claude has just become idle without an answer: it may be about to put the prompt back.
    async fn may_be_brought_back(&self) -> bool {
        let id = self.session;
        let since = move |live: &Live| live.session(id).map(|s| s.state.evidence.at);
        let since = self.app.engine.read(since).await.ok().flatten();
        since.is_some_and(|at| clock::now().ms_since(at) < BROUGHT_BACK_WITHIN_MS)
            && messages::last_said(&self.app.db, id)
                .await
                .is_ok_and(|last| last.is_some_and(|m| m.direction == Direction::User))
    }

    async fn brought_back(&self, draft: &str) -> bool {
        brought_back(&self.app, self.session, draft).await.unwrap_or_default()
    }

    /// Notes durably that the prompt is about to be typed, before it is.
    async fn begin(&self, order: &Outgoing) -> Result<(), Setback> {
        let (id, message, raw) = (self.session, order.message.id, order.raw);
        let digest = crate::domain::prompt::digest(order.text.as_deref().unwrap_or_default());
        let begun = self.app.engine.run(move |live, unit| {
            let idle = live.session(id).is_some_and(|s| {
                s.state.claude_status == ClaudeStatus::Idle
                    && s.state.sending.is_none()
                    && !s.state.is_out_of_budget()
            });
            let queued = live.queue(id).any(|m| m.message.id == message);
            if !idle || !queued {
                return Ok(false);
            }
            let now = unit.now;
            let sending = Sending { message, digest, since: now, raw };
            observe(live, unit, Report::fact(id, Source::Chorus, now, Fact::SendBegan(sending)))?;
            if let Some(m) = live.queue_mut(id).iter_mut().find(|m| m.message.id == message) {
                m.message.delivery_status = Some(Delivery::Sending);
                unit.write(Write::Event(crate::domain::event::message(&m.message)));
            }
            unit.write(Write::Deliver { message, status: Delivery::Sending, error: None });
            Ok::<_, Error>(true)
        });
        match begun.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Setback::Later),
            Err(e) => Err(Setback::Failed(e.to_string())),
        }
    }

    async fn press_enter(&self, pane: PaneId) -> Result<(), Setback> {
        Ok(self.app.tmux().await?.send_key(pane, Key::Enter).await?)
    }

    async fn is_settled(&self, message: MessageId) -> bool {
        let id = self.session;
        let open = move |live: &Live| live.queue(id).any(|m| m.message.id == message);
        !self.app.engine.read(open).await.unwrap_or(false)
    }

    /// Waits until the message is delivered, or has failed otherwise.
    async fn settled(&self, message: MessageId, limit: Duration) -> bool {
        let wait = async {
            while !self.is_settled(message).await {
                self.wake.notified().await;
            }
        };
        timeout(limit, wait).await.is_ok()
    }

    async fn observe(&self, fact: Fact) {
        crate::services::tell(
            &self.app,
            Report::fact(self.session, Source::Chorus, clock::now(), fact),
        )
        .await;
    }
}

enum Setback {
    /// Claude is no longer idle, or the message is settled: it stays in the queue, or is gone.
    Later,
    /// It will not arrive.
    Failed(String),
}

impl From<Error> for Setback {
    fn from(e: Error) -> Self {
        Self::Failed(e.to_string())
    }
}

impl From<TmuxError> for Setback {
    fn from(e: TmuxError) -> Self {
        Self::Failed(e.to_string())
    }
}
