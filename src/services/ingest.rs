//! Taking in hooks: from Claude Code over the socket, and from the spool.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

use super::error::{Error, Thing};
use super::held::Place;
use super::observe::{Report, observe};
use super::{App, git, places};
use crate::claude::hooks::{self, HookError, HookEvent, HookReport};
use crate::clock;
use crate::domain::ids::{PermissionId, SessionId, Stamp};
use crate::domain::message::Direction;
use crate::domain::observation::Fact;
use crate::domain::permission::{
    Decision, PermissionRequest, PermissionStatus, Verdict, summarise,
};
use crate::domain::prompt;
use crate::domain::record::Record;
use crate::domain::rule::Pattern;
use crate::domain::scrub::{scrub, scrub_json};
use crate::domain::session::Source;
use crate::domain::time::Timestamp;
use crate::spool;
use crate::store::permissions;

/// Files of the spool that are taken in one go.
const SPOOL_BATCH: usize = 2_000;

/// A hook as it came in.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The session it says it belongs to.
    pub session: Option<SessionId>,
    /// The token it shows.
    pub token: Option<String>,
    /// The delivery's id.
    pub stamp: Stamp,
    /// When the hook ran.
    pub at: Timestamp,
    /// Which of the session's processes ran it.
    pub generation: Option<u32>,
    /// The process that ran it, as the kernel tells: a Claude, where its session is not known otherwise.
    pub pid: Option<u32>,
    /// It may have been delivered before.
    pub again: bool,
    /// The event, by any of its names.
    pub event: String,
    /// The payload as Claude Code wrote it.
    pub payload: Bytes,
}

/// A hook was taken in.
pub enum Taken {
    /// It is durable, and there is nothing to tell Claude.
    Done,
    /// It is durable, and this is what Claude is told, in its words.
    Answered(Value),
    /// It asks for a permission, durably.
    Asked(Waiting),
}

/// A hook that waits for a decision. If it is dropped before, the hook has left.
pub struct Waiting {
    app: Arc<App>,
    session: SessionId,
    request: PermissionId,
    tool: String,
    input: Value,
    generation: Option<u32>,
    place: Place,
    answered: bool,
}

impl Waiting {
    /// Waits for the decision, in Claude Code's words. `None` if there is nothing to tell.
    ///
    /// # Errors
    /// If the server stops: the hook comes again to the next one.
    pub async fn answer(mut self) -> Result<Option<Value>, Error> {
        let decision = tokio::select! {
            () = self.app.shutdown.cancelled() => {
                self.answered = true;
                return Err(Error::Unavailable { problem: "Chorus is shutting down".into() });
            }
            decision = self.place.told() => decision,
        };
        self.answered = true;
        let Some(decision) = decision else { return Ok(None) };
        let answer = hooks::answer(&self.tool, &self.input, &claude_answer(decision));
        self.report(Fact::AnswerDelivered { id: self.request });
        Ok(Some(answer))
    }

    fn report(&self, fact: Fact) {
        let mut report = Report::fact(self.session, Source::Hook, clock::now(), fact);
        report.generation = self.generation;
        let app = self.app.clone();
        self.app.tasks.spawn(async move { super::tell(&app, report).await });
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.report(Fact::HookGone { id: self.request });
        }
    }
}

fn claude_answer(decision: Decision) -> hooks::Answer {
    match decision.verdict {
        Verdict::Allow => hooks::Answer::Allow { updated_input: decision.updated_input },
        Verdict::Deny => {
            hooks::Answer::Deny { message: decision.message, interrupt: decision.interrupt }
        }
    }
}

/// Takes in a hook.
pub async fn take(app: &Arc<App>, mut delivery: Delivery) -> Result<Taken, Error> {
    // What has happened cannot be yet to come. Were it believed, it would outlast all that follows.
    delivery.at = delivery.at.clamp(Timestamp(0), clock::now());
    let event = HookEvent::parse(&delivery.event);
    let mut told =
        hooks::parse(event.clone(), &delivery.payload, delivery.at).map_err(unreadable)?;
    let session = identify(app, &delivery, &told).await?;
    // What was spooled is taken one by one: that is its limit.
    if !delivery.again {
        app.hook_rate.pass(session, Instant::now()).map_err(|wait| Error::TooMany { wait })?;
    }
    let asked = told.permission.take();
    let edit = (event == HookEvent::PreToolUse).then(|| call(&told.records)).flatten();
    let mut report = report(session, &delivery, &event, told);
    let Some(asked) = asked else {
        observed(app, report).await?;
        let Some((tool, input)) = edit else { return Ok(Taken::Done) };
        return Ok(match git::claims::before_edit(app, session, &tool, &input).await? {
            Some(why) => Taken::Answered(hooks::refusal(&why)),
            None => Taken::Done,
        });
    };
    // The delivery's id is the request's: a hook that comes again asks the same question.
    let id = PermissionId(delivery.stamp.0);
    if let Some(known) = permissions::by_id(&app.db, id).await? {
        asked_by(session, &known)?;
        if !known.status.is_open() {
            return Ok(Taken::Done);
        }
    }
    report.facts.push((delivery.at, asked.fact(id, delivery.stamp)));
    report.asks = Some(Box::new(PermissionRequest {
        id,
        session_id: session,
        conversation_id: report.conversation.clone(),
        summary: summarise(&asked.tool, &asked.input),
        session_rule: Pattern::exactly(&asked.tool, &asked.input).map(|p| p.words()),
        tool: asked.tool.clone(),
        input: asked.input.clone(),
        tool_use_id: None,
        agent_type: asked.agent_type,
        status: PermissionStatus::Pending,
        verdict: None,
        message: None,
        updated_input: None,
        decided_by: None,
        rule_id: None,
        rule: None,
        requested_at: delivery.at,
        decided_at: None,
        updated_at: delivery.at,
    }));
    load(app, session).await?;
    report.place = places::of(app, session, &asked.tool, &asked.input).await?;
    let held = app.held.clone();
    let (place, decided) = app
        .engine
        .run(move |live, unit| {
            if let Some(open) = live.open.get(&id) {
                asked_by(session, &open.request)?;
            }
            // The place is taken before the question is known: no decision can come too early.
            let place = held.wait_for(id);
            observe(live, unit, report)?;
            Ok::<_, Error>((place, live.open.get(&id).map(|open| open.decision.clone())))
        })
        .await?;
    let waiting = Waiting {
        app: app.clone(),
        session,
        request: id,
        tool: asked.tool,
        input: asked.input,
        generation: delivery.generation,
        place,
        answered: false,
    };
    match decided {
        // A decision that was made while the hook was away.
        Some(Some(decision)) => {
            app.held.tell(id, Some(decision));
        }
        Some(None) => {}
        // It is not open: of an older process, or settled in the same moment.
        None => {
            app.held.tell(id, None);
        }
    }
    Ok(Taken::Asked(waiting))
}

/// Refuses the id of another session's request: whoever comes with it is told the decision.
fn asked_by(session: SessionId, known: &PermissionRequest) -> Result<(), Error> {
    if known.session_id == session {
        return Ok(());
    }
    let why = "another session has asked with it; every question needs one of its own";
    Err(Error::invalid("x-chorus-stamp", why))
}

/// The call that a hook tells of, its input exact.
fn call(records: &[Record]) -> Option<(String, Value)> {
    records.iter().find_map(|record| match record {
        Record::Tool(call) => Some((call.tool.clone(), call.input.clone()?)),
        _ => None,
    })
}

fn unreadable(e: HookError) -> Error {
    let field = match &e {
        HookError::Json(_) => "body",
        HookError::Field { field, .. } => field,
    };
    Error::invalid(field, e.to_string())
}

/// Whether a hook is kept as it came: Chorus makes nothing else of it.
fn is_kept_raw(event: &HookEvent) -> bool {
    matches!(event, HookEvent::Unknown(_) | HookEvent::Notification)
}

fn report(session: SessionId, delivery: &Delivery, event: &HookEvent, told: HookReport) -> Report {
    let mut records = told.records;
    scrub_records(&mut records);
    let raw = is_kept_raw(event).then(|| {
        let mut payload: Value = serde_json::from_slice(&delivery.payload).unwrap_or_default();
        scrub_json(&mut payload);
        (delivery.stamp, serde_json::json!({ "session_id": session, "event": event.as_str(), "at": delivery.at, "payload": payload }))
    });
    // Where the transcript is: told at the beginning, and by nobody else as soon.
    let starts = told.facts.iter().any(|f| matches!(f, Fact::ConversationStarted { .. }));
    Report {
        generation: delivery.generation,
        conversation: told.conversation,
        transcript_path: told.transcript_path.filter(|_| starts),
        facts: told.facts.into_iter().map(|fact| (delivery.at, fact)).collect(),
        records,
        raw,
        ..Report::new(session, Source::Hook)
    }
}

/// Finds the session that a hook belongs to, and checks that it may speak for it.
async fn identify(
    app: &Arc<App>,
    delivery: &Delivery,
    told: &HookReport,
) -> Result<SessionId, Error> {
    if let Some(id) = delivery.session {
        let shown = delivery.token.as_deref().unwrap_or_default();
        if shown != app.hook_token(id) {
            return Err(Error::Unauthorised("this is not the session's hook token".into()));
        }
        return Ok(id);
    }
    let conversation = told.conversation.clone();
    let named = conversation.as_ref().map(|c| c.0.clone()).unwrap_or_default();
    let found = app
        .engine
        .read(move |live| {
            live.sessions()
                .find(|s| conversation.is_some() && s.state.conversation == conversation)
                .map(|s| s.id)
        })
        .await?;
    if let Some(id) = found {
        return Ok(id);
    }
    if let Some(pid) = delivery.pid
        && let Some(id) = super::elsewhere::speaks(app, pid, told, delivery.at).await?
    {
        return Ok(id);
    }
    Err(Error::NotFound { what: Thing::Conversation, name: named })
}

/// Makes sure that a session is in memory.
async fn load(app: &App, id: SessionId) -> Result<(), Error> {
    if app.engine.read(move |live| live.session(id).is_some()).await? {
        return Ok(());
    }
    let session = crate::store::sessions::by_id(&app.db, id).await?;
    let session = session.ok_or_else(|| Error::no_session(&id.to_string()))?;
    app.engine
        .run(move |live, _| {
            live.admit(session);
            live.retire(id);
            Ok::<_, Error>(())
        })
        .await
}

/// Takes in a report, durably.
pub async fn observed(app: &App, report: Report) -> Result<(), Error> {
    // Nearly always the session is in memory: to ask first would cost a turn of the engine.
    let try_observe = |report: Report| {
        app.engine.run(move |live, unit| {
            if live.session(report.session).is_none() {
                return Ok(Some(report));
            }
            observe(live, unit, report)?;
            Ok::<_, Error>(None)
        })
    };
    let Some(report) = try_observe(report).await? else { return Ok(()) };
    load(app, report.session).await?;
    match try_observe(report).await? {
        None => Ok(()),
        Some(report) => Err(Error::no_session(&report.session.to_string())),
    }
}

/// The digests of prompts by their utterances' keys: taken before secrets are removed.
pub fn prompt_digests(records: &[Record]) -> HashMap<String, String> {
    let said = records.iter().filter_map(|r| match r {
        Record::Said(u) if u.direction == Direction::User => {
            Some((u.key.clone(), prompt::digest(&u.text)))
        }
        _ => None,
    });
    said.collect()
}

/// Removes secrets from what is for the record.
pub fn scrub_records(records: &mut [Record]) {
    for record in records {
        match record {
            Record::Tool(call) => {
                if let Some(input) = &mut call.input {
                    scrub_json(input);
                }
                if let Some(result) = &mut call.result
                    && let Cow::Owned(clean) = scrub(result)
                {
                    *result = clean.into();
                }
            }
            Record::Said(u) => {
                if let Cow::Owned(clean) = scrub(&u.text) {
                    u.text = clean;
                }
            }
            Record::Usage(_) | Record::Total(_) => {}
        }
    }
}

/// Takes in what hooks left in the spool, oldest first. A file goes when it is durable in the
/// store; taking one in twice does no harm.
pub async fn drain_spool(app: &Arc<App>) {
    loop {
        let dir = app.data.spool();
        let listed = tokio::task::spawn_blocking(move || oldest(dir)).await.unwrap_or_default();
        let full = listed.len() == SPOOL_BATCH;
        let mut kept = false;
        for path in listed {
            let Ok(bytes) = fs::read(&path) else { continue };
            match spooled(&bytes) {
                Some(delivery) => match take(app, delivery).await {
                    Ok(_) => {}
                    Err(Error::Unavailable { problem }) => {
                        tracing::warn!(%problem, "the spool waits for the store");
                        kept = true;
                        break;
                    }
                    Err(e) => {
                        tracing::warn!(error = %e, path = %path.display(), "a spooled hook is of no use")
                    }
                },
                None => {
                    tracing::warn!(path = %path.display(), "a file in the spool is no hook of ours")
                }
            }
            let _ = fs::remove_file(&path);
        }
        if !full || kept {
            return;
        }
    }
}

fn oldest(dir: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|p| p.extension().is_some_and(|e| e == "hook")).collect();
    files.sort();
    files.truncate(SPOOL_BATCH);
    files
}

fn spooled(bytes: &[u8]) -> Option<Delivery> {
    let (meta, payload) = spool::Meta::decode(bytes)?;
    Some(Delivery {
        session: Some(meta.session.parse().ok()?),
        token: Some(meta.token),
        stamp: meta.stamp,
        at: meta.at,
        generation: meta.generation,
        pid: None,
        again: true,
        event: meta.event,
        payload: Bytes::copy_from_slice(payload),
    })
}
