//! Sending prompts so that they provably arrive.
//!
//! One courier at a time works for a session. It sends only when Claude is known to be idle and the
//! input box is empty, pastes, presses Enter separately, and waits for Claude Code itself to confirm
//! the very text (UserPromptSubmit, or the transcript). Enter is pressed once more if need be, but
//! never while a dialog could take it as a yes. What is not confirmed is cleared from the box again
//! and ends as `undelivered` with the reason.

use std::collections::{HashMap, hash_map::Entry};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::error::Error;
use super::live::Live;
use super::observe::{Report, observe};
use super::{App, terminal};
use crate::claude::profile::Profile;
use crate::claude::screen::InputBox;
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::message::{Delivery, Direction, MessageSource};
use crate::domain::observation::Fact;
use crate::domain::prompt::{self, Prompt};
use crate::domain::record::Message;
use crate::domain::scrub::scrub;
use crate::domain::session::{ClaudeStatus, Sending, Session, Source, Status};
use crate::store::messages::Outgoing;
use crate::store::{Write, messages};
use crate::tmux::{Key, PaneId, TmuxError};

/// How long Claude must have been idle before a prompt is typed. Milliseconds.
const SETTLED_AFTER_MS: i64 = 250;
/// Between the paste and Enter: an Enter that follows a large paste at once is swallowed.
const BEFORE_ENTER: Duration = Duration::from_millis(60);
/// How long Claude Code may take to confirm before Enter is pressed once more.
const FIRST_WAIT: Duration = Duration::from_millis(1_500);
/// How long it may take after that.
const SECOND_WAIT: Duration = Duration::from_millis(3_500);
/// How long somebody's draft may hold up a queued prompt.
const DRAFT_PATIENCE: Duration = Duration::from_secs(60);
/// How long the input box may take to appear or to be cleared.
const BOX_WAIT: Duration = Duration::from_secs(3);
/// Prompts that may wait for one session.
const QUEUE_LIMIT: usize = 100;

/// A prompt as somebody wants it sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub source: MessageSource,
    /// Wait until Claude is idle.
    pub queue: bool,
    /// A command of Claude Code's.
    pub raw: bool,
    /// Clear somebody's draft.
    pub force: bool,
    /// Makes a repeated request safe.
    pub idempotency_key: Option<String>,
}

/// The couriers at work.
#[derive(Clone, Default)]
pub struct Couriers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    at_work: Mutex<HashMap<SessionId, Arc<Notify>>>,
    calls: Mutex<Option<mpsc::UnboundedSender<SessionId>>>,
}

impl Couriers {
    /// Something changed that a session's courier may wait for.
    pub fn wake(&self, session: SessionId) {
        let at_work = self.0.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(courier) = at_work.get(&session) {
            courier.notify_one();
            return;
        }
        drop(at_work);
        let calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = &*calls {
            // The receiver takes a call and is done with it: none pile up.
            let _ = calls.send(session);
        }
    }
}

/// Begins to take calls.
pub fn start(app: &Arc<App>) {
    let (calls, mut taken) = mpsc::unbounded_channel();
    *app.couriers.0.calls.lock().unwrap_or_else(PoisonError::into_inner) = Some(calls);
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        loop {
            let session = tokio::select! {
                () = app.shutdown.cancelled() => return,
                call = taken.recv() => call,
            };
            let Some(session) = session else { return };
            let wake = Arc::new(Notify::new());
            match app
                .couriers
                .0
                .at_work
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(session)
            {
                Entry::Occupied(busy) => {
                    busy.get().notify_one();
                    continue;
                }
                Entry::Vacant(free) => free.insert(wake.clone()),
            };
            let courier = Courier { app: app.clone(), session, wake };
            app.tasks.spawn(async move { courier.work().await });
        }
    });
}

/// Takes an order: checks the text, and puts it in the session's queue.
pub async fn submit(app: &Arc<App>, id: SessionId, order: Order) -> Result<Message, Error> {
    if let Some(key) = &order.idempotency_key
        && let Some(sent) = messages::by_idempotency_key(&app.db, id, key).await?
    {
        return Ok(sent.message);
    }
    let session = super::sessions::by_id(app, id).await?;
    let profile = Profile::of(session.claude_version.as_deref().unwrap_or_default());
    let prompt = Prompt::new(&order.text, order.raw, profile.leading_blank_disarms_slash)
        .map_err(|e| Error::invalid("text", e.to_string()))?;
    if !order.queue && !order.force && session.state.claude_status == ClaudeStatus::Idle {
        refuse_draft(app, &session).await?;
    }
    let message = Message {
        id: MessageId::new(),
        session_id: id,
        conversation_id: None,
        direction: Direction::User,
        content: scrub(prompt.text()).into_owned(),
        source: order.source,
        delivery_status: Some(Delivery::Queued),
        delivery_error: None,
        agent_id: None,
        timestamp: crate::clock::now(),
    };
    let outgoing = Outgoing {
        message,
        text: Some(prompt.text().to_owned()),
        raw: order.raw,
        force: order.force,
    };
    let key = order.idempotency_key;
    let queue = order.queue;
    let taken = app
        .engine
        .run(move |live, unit| {
            if let Some(twin) = key.as_deref().and_then(|k| live.seen_key(id, k)) {
                return Ok(Err(twin));
            }
            let session = live.session(id).ok_or_else(|| Error::no_session(&id.to_string()))?;
            let waiting = live.queue(id).count();
            admissible(session, queue, waiting)?;
            if let Some(key) = &key {
                live.remember_key(id, key.clone(), outgoing.message.id);
            }
            live.queue_mut(id).push_back(outgoing.clone());
            let message = outgoing.message.clone();
            unit.write(Write::AddMessage { message: Box::new(outgoing), idempotency_key: key });
            unit.then(super::engine::Effect::WakeCourier(id));
            Ok::<_, Error>(Ok(message))
        })
        .await?;
    match taken {
        Ok(message) => Ok(message),
        Err(twin) => {
            let twin = messages::by_id(&app.db, twin).await?;
            twin.map(|t| t.message).ok_or_else(|| {
                Error::conflict("the first request with this key is still being taken")
            })
        }
    }
}

fn admissible(session: &Session, queue: bool, waiting: usize) -> Result<(), Error> {
    let state = &session.state;
    let name = &session.name;
    if state.claude_status == ClaudeStatus::Stopped || state.status == Status::Paused {
        return Err(Error::conflict(format!(
            "Claude does not run in {name}; `chorus restart {name}` starts it again"
        )));
    }
    if waiting >= QUEUE_LIMIT {
        return Err(Error::conflict(format!(
            "{QUEUE_LIMIT} prompts are queued for {name} already"
        )));
    }
    if queue || state.claude_status == ClaudeStatus::Idle && waiting == 0 && state.sending.is_none()
    {
        return Ok(());
    }
    let why = match state.claude_status {
        ClaudeStatus::Waiting => "waits for a decision",
        ClaudeStatus::Starting => "is still starting",
        ClaudeStatus::Idle => "is just being sent another prompt",
        _ => "is busy",
    };
    Err(Error::conflict(format!(
        "Claude {why} in {name}; set `queue` (--queue) to have the prompt sent when it is idle"
    )))
}

async fn refuse_draft(app: &Arc<App>, session: &Session) -> Result<(), Error> {
    let name = &session.name;
    match terminal::input_box(app, session.id).await? {
        InputBox::Draft(text) => Err(Error::conflict(format!(
            "somebody's draft is in the input box of {name}: {:?}; set `force` (--force) to clear it, or `queue` to wait",
            excerpt(&text),
        ))),
        InputBox::Bash(_) => Err(Error::conflict(format!(
            "the input box of {name} is in its shell mode; leave it there with Backspace, or `queue` to wait"
        ))),
        InputBox::Empty | InputBox::Hidden => Ok(()),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

struct Courier {
    app: Arc<App>,
    session: SessionId,
    wake: Arc<Notify>,
}

impl Courier {
    async fn work(self) {
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
            let rest = SETTLED_AFTER_MS.saturating_sub(crate::clock::now().ms_since(at));
            sleep(Duration::from_millis(u64::try_from(rest).unwrap_or(0))).await;
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
        self.paste(pane, order.text.as_deref().unwrap_or_default()).await?;
        sleep(BEFORE_ENTER).await;
        self.press_enter(pane).await?;
        if self.settled(order.message.id, FIRST_WAIT).await {
            return Ok(());
        }
        // Not confirmed. If the text still stands in the box, the Enter was lost. Nothing is pressed
        // while there is no box: a dialog would take it for a yes.
        if matches!(terminal::input_box(&self.app, self.session).await, Ok(InputBox::Draft(_))) {
            self.press_enter(pane).await?;
        }
        if self.settled(order.message.id, SECOND_WAIT).await {
            return Ok(());
        }
        Err(Setback::Failed(self.give_up().await))
    }

    async fn paste(&self, pane: PaneId, text: &str) -> Result<(), Setback> {
        let session = super::sessions::by_id(&self.app, self.session).await?;
        let profile = Profile::of(session.claude_version.as_deref().unwrap_or_default());
        let tmux = self.app.tmux().await?;
        for piece in prompt::pieces(text, profile.wraps_long_pastes) {
            tmux.paste(pane, piece).await?;
        }
        Ok(())
    }

    /// Clears what is left of an unconfirmed prompt, and says why it failed.
    async fn give_up(&self) -> String {
        let id = self.session;
        let idle = move |live: &Live| {
            live.session(id).map(|s| s.state.claude_status) == Some(ClaudeStatus::Idle)
        };
        // While Claude is busy, the Ctrl+C that clears the box would interrupt it.
        let idle = self.app.engine.read(idle).await.unwrap_or(false);
        if idle && terminal::clear_draft(&self.app, id, BOX_WAIT).await {
            return "Claude Code did not confirm the prompt; the text was cleared from the input box".into();
        }
        match terminal::dialog(&self.app, id).await {
            Some(dialog) => {
                format!("Claude Code did not confirm the prompt; its terminal shows {dialog}")
            }
            None => "Claude Code did not confirm the prompt".into(),
        }
    }

    /// Waits until the box is there and empty; clears a draft if told to.
    async fn clear_way(&self, order: &Outgoing) -> Result<(), String> {
        let began = Instant::now();
        let mut cleared = false;
        loop {
            match terminal::input_box(&self.app, self.session).await.map_err(|e| e.to_string())? {
                InputBox::Empty => return Ok(()),
                InputBox::Draft(_) if order.force && !cleared => {
                    cleared = terminal::clear_draft(&self.app, self.session, BOX_WAIT).await;
                    if !cleared {
                        return Err("the draft in the input box could not be cleared".into());
                    }
                }
                InputBox::Draft(text) if began.elapsed() > DRAFT_PATIENCE => {
                    return Err(format!(
                        "somebody's draft has been in the input box: {:?}",
                        excerpt(&text)
                    ));
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

    /// Notes durably that the prompt is about to be typed, before it is.
    async fn begin(&self, order: &Outgoing) -> Result<(), Setback> {
        let (id, message, raw) = (self.session, order.message.id, order.raw);
        let digest = crate::domain::prompt::digest(order.text.as_deref().unwrap_or_default());
        let begun = self.app.engine.run(move |live, unit| {
            let idle = live.session(id).is_some_and(|s| {
                s.state.claude_status == ClaudeStatus::Idle && s.state.sending.is_none()
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
        super::tell(
            &self.app,
            Report::fact(self.session, Source::Chorus, crate::clock::now(), fact),
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

/// Settles a prompt that was on its way when an earlier server died: if nothing confirms it within
/// a while, what is left of it in the input box is cleared, and it is `undelivered`.
pub async fn recover(app: &Arc<App>, session: SessionId, sending: Sending) {
    let waited = async {
        loop {
            let same =
                move |live: &Live| live.session(session).and_then(|s| s.state.sending.clone());
            match app.engine.read(same).await {
                Ok(Some(s)) if s.message == sending.message => {
                    sleep(Duration::from_millis(100)).await
                }
                _ => return,
            }
        }
    };
    if timeout(SECOND_WAIT, waited).await.is_ok() {
        return;
    }
    let idle = move |live: &Live| {
        live.session(session).map(|s| s.state.claude_status) == Some(ClaudeStatus::Idle)
    };
    let idle = app.engine.read(idle).await.unwrap_or(false);
    let cleared = idle && terminal::clear_draft(app, session, BOX_WAIT).await;
    let error = format!(
        "the server was stopped while it sent this, and Claude Code did not confirm it{}",
        if cleared { "; the text was cleared from the input box" } else { "" }
    );
    let fact = Fact::SendFailed { message: sending.message, error };
    super::tell(app, Report::fact(session, Source::Chorus, crate::clock::now(), fact)).await;
}
