//! Taking in what the sources tell: the one way by which hooks, transcripts, state files, the
//! process table and people's decisions become state, rows and events.

mod requests;

use std::collections::HashMap;

use serde_json::json;

use super::engine::{Effect, Unit};
use super::live::Live;
use super::{git, spending, tasks};
use crate::domain::audit::Actor;
use crate::domain::event::{self, EventKind, NewEvent};
use crate::domain::ids::{ConversationId, MessageId, SessionId, Stamp};
use crate::domain::message::{Delivery, Direction, MessageSource};
use crate::domain::observation::{Fact, Observation};
use crate::domain::permission::PermissionRequest;
use crate::domain::record::{Record, ToolStatus};
use crate::domain::reducer::{Change, is_current, reduce};
use crate::domain::rule::Place;
use crate::domain::scrub::scrub;
use crate::domain::session::{ClaudeStatus, SessionState, Source};
use crate::domain::task::Heard;
use crate::domain::time::Timestamp;
use crate::store::Write;
use crate::store::messages::Outgoing;

pub use requests::{reconsider, settle_forgotten};

/// What Claude is told when the usage limit is over that ended its turn.
const GO_ON: &str = "continue";

/// What one source tells of one session at once.
#[derive(Clone, Debug)]
pub struct Report {
    /// The session.
    pub session: SessionId,
    /// Who tells.
    pub source: Source,
    /// Which of the session's processes it speaks of, if it says so.
    pub generation: Option<u32>,
    /// Which conversation it speaks of.
    pub conversation: Option<ConversationId>,
    /// Where that conversation's transcript is.
    pub transcript_path: Option<String>,
    /// The facts, each with its time by the source's clock.
    pub facts: Vec<(Timestamp, Fact)>,
    /// What is for the record, scrubbed.
    pub records: Vec<Record>,
    /// The digests of the prompts among the records, by the utterances' keys.
    pub prompts: HashMap<String, String>,
    /// The request that a `PermissionAsked` among the facts is about.
    pub asks: Option<Box<PermissionRequest>>,
    /// Where the file is that the request is about.
    pub place: Option<Place>,
    /// A hook that is kept as it came: its delivery, and what it said.
    pub raw: Option<(Stamp, serde_json::Value)>,
    /// What was read is in this report.
    pub read_to: Option<ReadTo>,
    /// It tells of the past: what it has for the record makes no events.
    pub past: bool,
}

/// How far a transcript has been read.
#[derive(Clone, Debug)]
pub struct ReadTo {
    /// The sub-agent whose transcript it is, if not the conversation's own.
    pub agent: Option<String>,
    /// Bytes.
    pub offset: u64,
    /// Which file.
    pub file: String,
}

impl Report {
    /// A report of nothing yet.
    pub fn new(session: SessionId, source: Source) -> Self {
        Self {
            session,
            source,
            generation: None,
            conversation: None,
            transcript_path: None,
            facts: Vec::new(),
            records: Vec::new(),
            prompts: HashMap::new(),
            asks: None,
            place: None,
            raw: None,
            read_to: None,
            past: false,
        }
    }

    /// A report of a single fact.
    pub fn fact(session: SessionId, source: Source, at: Timestamp, fact: Fact) -> Self {
        Self { facts: vec![(at, fact)], ..Self::new(session, source) }
    }
}

/// The session is not in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSession;

/// Takes in a report: moves the state, and notes the rows, events and effects that follow.
pub fn observe(live: &mut Live, unit: &mut Unit, report: Report) -> Result<(), UnknownSession> {
    let before = live.session(report.session).ok_or(UnknownSession)?.state.clone();
    let mut intake = Intake { live, unit, id: report.session, heard: Heard::default() };
    intake.take(report);
    intake.close(&before);
    Ok(())
}

struct Intake<'a> {
    live: &'a mut Live,
    unit: &'a mut Unit,
    id: SessionId,
    /// What is of interest to the session's task.
    heard: Heard,
}

impl Intake<'_> {
    fn take(&mut self, report: Report) {
        let Report { source, generation, conversation, asks, facts, records, prompts, raw, .. } =
            report;
        // A clock that was set back must not make a fact outlast all that follow it.
        let now = self.unit.now;
        let observation = |at: Timestamp, fact| Observation {
            at: at.min(now),
            source,
            generation,
            conversation: conversation.clone(),
            fact,
        };
        if matches!(
            source,
            Source::Hook | Source::StateFile | Source::Transcript | Source::Telemetry
        ) {
            self.live.hear(self.id, now);
        }
        let asked = asks.as_ref().map(|r| (r.id, r.requested_at));
        if let Some(request) = asks {
            // A hook of an older process asks for nobody any more.
            let stale = generation.is_some_and(|g| g != self.state().generation);
            match self.live.open.get_mut(&request.id) {
                // The same hook again, after a restart.
                Some(open) => open.place = open.place.take().or(report.place),
                None if !stale => self.remember(*request, report.place),
                None => {}
            }
        }
        // A transcript may tell of earlier processes: of those only the record speaks. The launch may
        // have a time of a clock that was set back since.
        let since = if source == Source::Transcript {
            self.state().launched_at.min(now)
        } else {
            Timestamp(i64::MIN)
        };
        for (at, fact) in facts.into_iter().filter(|(at, _)| *at >= since) {
            self.reduce(&observation(at, fact));
        }
        // The transcript confirms a prompt as well as its hook, which may have been lost.
        for record in &records {
            if let Record::Said(u) = record
                && u.at >= since
                && let Some(digest) = prompts.get(&u.key)
            {
                let digest = digest.clone();
                self.reduce(&observation(u.at, Fact::PromptSubmitted { digest, automatic: false }));
            }
        }
        if let Some((id, at)) = asked {
            self.apply_rules(id, at.min(now));
        }
        for record in records {
            self.record(conversation.as_ref(), record, &prompts, report.past);
        }
        if let (Some(id), Some(path)) = (&conversation, report.transcript_path) {
            self.unit.write(Write::LocateTranscript { id: id.clone(), path });
            self.unit.then(Effect::Rewatch(self.id));
        }
        if let (Some(id), Some(ReadTo { agent, offset, file })) = (conversation, report.read_to) {
            self.unit.write(Write::TranscriptRead { id, agent, offset, file });
        }
        if let Some((stamp, data)) = raw {
            let mut event = NewEvent::new(EventKind::Hook, self.id, self.unit.now, &data);
            event.dedupe_key = Some(stamp.to_string());
            self.unit.write(Write::Event(event));
        }
    }

    fn state(&self) -> &SessionState {
        // Checked by `observe`; nothing in between removes a session.
        &self.live.session(self.id).expect("the session is in memory").state
    }

    fn reduce(&mut self, o: &Observation) {
        let now = self.unit.now;
        let Some(session) = self.live.session_mut(self.id) else { return };
        for change in reduce(&mut session.state, o, now) {
            self.change(change, o);
        }
        if let (Fact::TurnEnded { background: 0 }, ClaudeStatus::Idle) =
            (&o.fact, self.state().claude_status)
        {
            self.heard.turn_ended = is_current(self.state(), o);
        }
    }

    // --- the record ---

    fn record(
        &mut self,
        conversation: Option<&ConversationId>,
        record: Record,
        prompts: &HashMap<String, String>,
        past: bool,
    ) {
        let session = self.id;
        match (record, conversation) {
            (Record::Tool(call), _) => {
                if !past
                    && call.status == ToolStatus::Running
                    && let Some(file) = git::claims::edited_by(self.live, session, &call)
                {
                    self.unit.then(Effect::Edited(session, file));
                }
                self.unit.write(Write::Tool {
                    session,
                    conversation: conversation.cloned(),
                    call: Box::new(call),
                    past,
                });
            }
            (Record::Said(utterance), Some(id)) => {
                let source = match utterance.direction {
                    // A sub-agent is told by Claude, not by a person.
                    Direction::User if utterance.agent_id.is_none() => MessageSource::Terminal,
                    _ => MessageSource::Hook,
                };
                let prompt = prompts.get(&utterance.key).cloned();
                self.unit.write(Write::Say {
                    session,
                    conversation: id.clone(),
                    source,
                    utterance,
                    prompt,
                    past,
                });
            }
            (Record::Usage(mut response), Some(id)) => {
                response.at = response.at.clamp(Timestamp(0), self.unit.now);
                let (conversation, response) = (id.clone(), Box::new(response));
                self.unit.write(Write::Usage { session, conversation, response });
                self.unit.then(Effect::Account(session));
            }
            (Record::Total(total), Some(id)) => {
                self.unit.write(Write::SettleUsage { session, conversation: id.clone(), total });
                self.unit.then(Effect::Account(session));
            }
            // Without its conversation an utterance has no identity: the transcript will tell it.
            (Record::Said(_) | Record::Usage(_) | Record::Total(_), None) => {}
        }
    }

    // --- what follows from a change ---

    fn change(&mut self, change: Change, o: &Observation) {
        let at = o.at;
        match change {
            Change::Status { old, new } => {
                let data = json!({
                    "session_id": self.id, "name": self.name(), "old_status": old, "new_status": new, "at": at,
                });
                self.unit.event(EventKind::SessionStatus, self.id, at, &data);
            }
            Change::Activity { old, new } => self.activity(old, new, at),
            Change::ConversationStarted(id) => {
                self.unit.write(Write::StartConversation {
                    id,
                    session: self.id,
                    transcript: None,
                    at,
                });
                self.unit.then(Effect::Rewatch(self.id));
            }
            Change::ConversationEnded { id, reason } => {
                self.unit.write(Write::EndConversation { id, reason, at });
            }
            Change::Permission { id, status, decided } => {
                let decision = match &o.fact {
                    Fact::PermissionDecided { decision, .. } => Some(decision.clone()),
                    _ => None,
                };
                self.permission(id, status, decided, decision, at);
            }
            Change::RequestMatched { id, tool_use } => {
                if let Some(open) = self.live.open.get_mut(&id) {
                    open.request.tool_use_id = Some(tool_use.clone());
                }
                self.unit.write(Write::MatchPermission { request: id, call: tool_use });
            }
            Change::BudgetSpent => {
                if let Some(session) = self.live.session(self.id) {
                    let act =
                        spending::act(self.unit.now, Actor::chorus(), "budget.spent", session);
                    self.unit.write(Write::Audit(act));
                }
            }
            Change::Stop => self.unit.then(Effect::Interrupt(self.id)),
            Change::MaySend => self.unit.then(Effect::WakeCourier(self.id)),
            Change::LimitOver => {
                self.unit.then(Effect::WakeQueue);
                self.go_on();
            }
            Change::Delivered(message) => {
                self.heard.delivered.push(message);
                self.deliver(message, Delivery::Delivered, None);
            }
            Change::TakenBack(message) => self.unit.write(Write::TakeBack(message)),
            Change::Undelivered { message, error } => {
                self.heard.undelivered.push((message, error.clone()));
                self.deliver(message, Delivery::Undelivered, Some(error));
            }
        }
    }

    fn name(&self) -> String {
        self.live.session(self.id).map(|s| s.name.to_string()).unwrap_or_default()
    }

    fn activity(&mut self, old: ClaudeStatus, new: ClaudeStatus, at: Timestamp) {
        let state = self.state();
        let prompt = self
            .live
            .open
            .values()
            .find(|p| p.request.session_id == self.id && p.decision.is_none())
            .map(|p| scrub(&p.request.summary));
        let data = json!({
            "session_id": self.id,
            "name": self.name(),
            "task_id": self.live.session(self.id).and_then(|s| s.task_id),
            "old": old,
            "new": new,
            "detail": state.detail,
            "evidence": state.evidence,
            "unsure": state.unsure,
            "permission_prompt": prompt,
            "restarts": state.generation.saturating_sub(1),
            "at": at,
        });
        self.unit.event(EventKind::ClaudeStatus, self.id, at, &data);
        if old != new {
            if let Some(task) = self.live.session(self.id).and_then(|s| s.task_id)
                && matches!(new, ClaudeStatus::Idle | ClaudeStatus::Stopped)
            {
                self.unit.then(Effect::Commit(task));
            }
            self.unit.then(Effect::WakeCourier(self.id));
            if matches!(new, ClaudeStatus::Idle | ClaudeStatus::Stopped) {
                self.unit.then(Effect::WakeQueue);
            }
        }
    }

    /// Has Claude asked to go on, before anything else that waits to be sent.
    fn go_on(&mut self) {
        let outgoing = Outgoing::queued(self.id, GO_ON, MessageSource::Chorus, self.unit.now);
        self.live.queue_mut(self.id).push_front(outgoing.clone());
        self.unit.write(Write::AddMessage { message: Box::new(outgoing), idempotency_key: None });
        self.unit.then(Effect::WakeCourier(self.id));
    }

    fn deliver(&mut self, message: MessageId, status: Delivery, error: Option<String>) {
        let queue = self.live.queue_mut(self.id);
        if let Some(i) = queue.iter().position(|m| m.message.id == message)
            && let Some(mut sent) = queue.remove(i)
        {
            sent.message.delivery_status = Some(status);
            sent.message.delivery_error.clone_from(&error);
            self.unit.write(Write::Event(event::message(&sent.message)));
        }
        self.unit.write(Write::Deliver { message, status, error });
        self.unit.then(Effect::WakeCourier(self.id));
    }

    // --- at the end ---

    fn close(&mut self, before: &SessionState) {
        tasks::follow(self.live, self.unit, self.id, &self.heard);
        let Some(session) = self.live.session(self.id) else { return };
        let after = &session.state;
        if before == after {
            return;
        }
        let watch = |s: &SessionState| (s.process, s.conversation.clone());
        let rewatch = watch(before) != watch(after);
        if before.spending != after.spending
            || before.context != after.context
            || before.budget != after.budget
        {
            let data = spending::event(session, self.unit.now);
            self.unit.event(EventKind::Usage, self.id, self.unit.now, &data);
        }
        // Its place is free only now, whatever was told of its end before.
        let gone = before.process.is_some() && after.process.is_none();
        let ended = before.is_live() && !session.is_live();
        self.unit.touch(self.id);
        if gone {
            self.unit.then(Effect::WakeQueue);
        }
        if rewatch {
            self.unit.then(Effect::Rewatch(self.id));
        }
        if ended {
            self.live.retire(self.id);
        }
    }
}
