//! Sending prompts so that they provably arrive.
//!
//! One courier at a time works for a session. It sends only when Claude is known to be idle and the
//! input box is empty, pastes, presses Enter separately, and waits for Claude Code itself to confirm
//! the very text (UserPromptSubmit, or the transcript). Enter is pressed once more if need be, but
//! never while a dialog could take it as a yes. What is not confirmed is cleared from the box again
//! and ends as `undelivered` with the reason.

mod courier;

use std::collections::{HashMap, hash_map::Entry};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use courier::Courier;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use super::error::Error;
use super::live::Live;
use super::observe::Report;
use super::{App, elsewhere, terminal};
use crate::claude::profile::Profile;
use crate::claude::screen::InputBox;
use crate::domain::ids::SessionId;
use crate::domain::message::{Direction, MessageSource};
use crate::domain::observation::Fact;
use crate::domain::prompt::Prompt;
use crate::domain::record::Message;
use crate::domain::session::{ClaudeStatus, Sending, Session, Source, Status};
use crate::store::messages::Outgoing;
use crate::store::{Write, messages};

/// How long the confirmation of a prompt may take once the first wait for it is over.
const SECOND_WAIT: Duration = Duration::from_millis(3_500);
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
    elsewhere::leave_alone(&session)?;
    let profile = Profile::of(session.claude_version.as_deref().unwrap_or_default());
    let prompt = Prompt::new(&order.text, order.raw, profile.leading_blank_disarms_slash)
        .map_err(|e| Error::invalid("text", e.to_string()))?;
    if !order.queue && !order.force && session.state.claude_status == ClaudeStatus::Idle {
        refuse_draft(app, &session).await?;
    }
    let now = crate::clock::now();
    let outgoing = Outgoing {
        raw: order.raw,
        force: order.force,
        ..Outgoing::queued(id, prompt.text(), order.source, now)
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

pub(super) fn admissible(session: &Session, queue: bool, waiting: usize) -> Result<(), Error> {
    let state = &session.state;
    let name = &session.name;
    if state.claude_status == ClaudeStatus::Stopped || state.status == Status::Paused {
        return Err(Error::conflict(format!(
            "Claude does not run in {name}; `chorus resume {name}` goes on with it"
        )));
    }
    if state.is_out_of_budget() {
        return Err(Error::conflict(format!(
            "the budget of {name} is spent; raise it: `chorus budget {name} USD`, or PATCH \
             /api/sessions/{name} with `budget_usd`"
        )));
    }
    if waiting >= QUEUE_LIMIT {
        return Err(Error::conflict(format!(
            "{QUEUE_LIMIT} prompts are queued for {name} already"
        )));
    }
    let free = state.claude_status == ClaudeStatus::Idle && !state.is_limited();
    if queue || free && waiting == 0 && state.sending.is_none() {
        return Ok(());
    }
    let why = match state.claude_status {
        ClaudeStatus::Idle if state.is_limited() => "waits for its usage limit to end",
        ClaudeStatus::Waiting => "waits for a decision",
        ClaudeStatus::Starting => "is still starting",
        ClaudeStatus::Idle => "is just being sent another prompt",
        _ => "is busy",
    };
    Err(Error::conflict(format!(
        "Claude {why} in {name}; set `queue` (--queue) to have the prompt sent when it is idle"
    )))
}

pub(super) async fn refuse_draft(app: &Arc<App>, session: &Session) -> Result<(), Error> {
    let name = &session.name;
    match terminal::input_box(app, session.id).await? {
        InputBox::Draft(text) if brought_back(app, session.id, &text).await? => Ok(()),
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

/// Whether a draft is nobody's: Claude Code itself puts a prompt back into the box when it is
/// interrupted before it has said anything.
async fn brought_back(app: &App, session: SessionId, draft: &str) -> Result<bool, Error> {
    // The box breaks lines where it likes.
    let words = |text: &str| text.split_whitespace().collect::<String>();
    Ok(messages::last_said(&app.db, session).await?.is_some_and(|last| {
        last.direction == Direction::User && words(&last.content) == words(draft)
    }))
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
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
    // A first prompt is an argument of Claude's: as long as that starts, it is on its way. If it ends
    // before, that tells.
    let starts = move |live: &Live| live.session(session).is_some_and(|s| !s.state.started);
    if app.engine.read(starts).await.unwrap_or(true) {
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
