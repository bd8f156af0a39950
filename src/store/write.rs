//! Writing: everything that may change, as data, applied within one transaction.
//!
//! The services decide in memory what is to be written; a group of such decisions becomes one
//! commit. Events come last, so that their ids are in the order of the commits.

use super::{
    Result, Slot, Tx, audit, claims, conversations, documents, events, logs, messages, permissions,
    projects, references, retention, rules, sessions, tasks, templates, usage,
};
use crate::domain::audit::Act;
use crate::domain::claim::Claim;
use crate::domain::event::{self, Event, NewEvent};
use crate::domain::ids::{
    ConversationId, DocumentId, MessageId, PermissionId, ProjectId, ReferenceId, RuleId, SessionId,
    TaskId, TemplateId, ToolUseId,
};
use crate::domain::message::{Delivery, MessageSource};
use crate::domain::permission::PermissionRequest;
use crate::domain::project::Project;
use crate::domain::record::{Response, ToolCall, Total, Utterance};
use crate::domain::rule::Rule;
use crate::domain::session::Session;
use crate::domain::task::template::Template;
use crate::domain::task::{Attempt, Task};
use crate::domain::time::Timestamp;

/// A permission request's row, with what only the store keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct SettledPermission {
    /// The request as it is now.
    pub request: PermissionRequest,
    /// The denial ends the turn.
    pub interrupts: bool,
}

/// One thing to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Adds a project.
    AddProject(Project),
    /// Changes one.
    SaveProject(Project),
    /// Removes one that no session belongs to.
    DeleteProject(ProjectId),
    /// Adds a session.
    AddSession {
        /// The session.
        session: Box<Session>,
        /// Makes a repeated request safe.
        idempotency_key: Option<String>,
    },
    /// Changes one.
    SaveSession(Box<Session>),
    /// Forgets one that has ended, with everything that belongs to it but the audit log.
    PurgeSession(SessionId),
    /// Begins a conversation, or goes on with it.
    StartConversation {
        /// Which.
        id: ConversationId,
        /// In which session.
        session: SessionId,
        /// Its transcript, if known already.
        transcript: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// Tells where a conversation's transcript is.
    LocateTranscript {
        /// Which.
        id: ConversationId,
        /// Where.
        path: String,
    },
    /// Ends a conversation.
    EndConversation {
        /// Which.
        id: ConversationId,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The transcript has been read up to here; its rows are in this transaction.
    TranscriptRead {
        /// Which.
        id: ConversationId,
        /// The sub-agent whose transcript it is, if not the conversation's own.
        agent: Option<String>,
        /// Bytes.
        offset: u64,
        /// Which file.
        file: String,
    },
    /// What a source tells of a tool call.
    Tool {
        /// The session.
        session: SessionId,
        /// The conversation.
        conversation: Option<ConversationId>,
        /// The call.
        call: Box<ToolCall>,
        /// It happened long ago: there is no event of it.
        past: bool,
    },
    /// What a source tells that was said.
    Say {
        /// The session.
        session: SessionId,
        /// The conversation.
        conversation: ConversationId,
        /// Where it came from.
        source: MessageSource,
        /// The utterance.
        utterance: Utterance,
        /// If it is a prompt: the digest of its exact text, by which it is known again if Chorus
        /// sent it.
        prompt: Option<String>,
        /// It happened long ago: there is no event of it.
        past: bool,
    },
    /// What a source tells of a response of the model.
    Usage {
        /// The session.
        session: SessionId,
        /// The conversation.
        conversation: ConversationId,
        /// The response.
        response: Box<Response>,
    },
    /// What Claude Code says that a conversation cost in all.
    SettleUsage {
        /// The session.
        session: SessionId,
        /// The conversation.
        conversation: ConversationId,
        /// The sum, of one model.
        total: Total,
    },
    /// A prompt that Chorus is to send.
    AddMessage {
        /// The message.
        message: Box<messages::Outgoing>,
        /// The request's `Idempotency-Key`.
        idempotency_key: Option<String>,
    },
    /// A prompt's delivery moved.
    Deliver {
        /// Which.
        message: MessageId,
        /// To.
        status: Delivery,
        /// Why it failed.
        error: Option<String>,
    },
    /// A prompt that was given up for lost has arrived.
    TakeBack(MessageId),
    /// A permission is asked for.
    AddPermission(Box<PermissionRequest>),
    /// A request moved on.
    SavePermission(Box<SettledPermission>),
    /// The call that a request belongs to.
    MatchPermission {
        /// The request.
        request: PermissionId,
        /// The call.
        call: ToolUseId,
    },
    /// Adds a rule.
    AddRule(Box<Rule>),
    /// Changes one; not how often it has decided.
    SaveRule(Box<Rule>),
    /// Removes one.
    DeleteRule(RuleId),
    /// A rule decided a request, or left it to people.
    RuleHit {
        /// Which.
        id: RuleId,
        /// When.
        at: Timestamp,
    },
    /// A task has edited a file, or is about to.
    AddClaim(Claim),
    /// A task is over: nothing is claimed by it any more.
    ReleaseClaims(TaskId),
    /// What became of the files of a project's documents.
    Files {
        /// The project.
        project: ProjectId,
        /// What became of each.
        changes: Vec<documents::Change>,
        /// They are found for the first time: there are no events of them.
        first: bool,
        /// When.
        at: Timestamp,
    },
    /// The documents of a project were looked for: what is found from now on is news.
    DocumentsKnown(ProjectId),
    /// Changes what is kept about a document.
    DescribeDocument {
        /// Which.
        id: DocumentId,
        /// What is to change.
        patch: documents::Patch,
        /// When.
        at: Timestamp,
    },
    /// Makes a reference, if its document and its task are there.
    AddReference {
        /// What it is to be.
        reference: Box<references::NewReference>,
        /// When.
        at: Timestamp,
        /// Gets its id.
        id: Slot<ReferenceId>,
    },
    /// Changes one.
    ChangeReference {
        /// Which.
        id: ReferenceId,
        /// What is to change.
        change: references::ReferenceChange,
        /// When.
        at: Timestamp,
    },
    /// Removes one.
    DeleteReference(ReferenceId),
    /// Adds a task.
    AddTask {
        /// The task.
        task: Box<Task>,
        /// Makes a repeated request safe.
        idempotency_key: Option<String>,
    },
    /// Changes one; of its labels and what it depends on, only what the task itself shows.
    SaveTask(Box<Task>),
    /// Changes one together with its labels and what it depends on.
    RelinkTask(Box<Task>),
    /// Removes one that nothing depends on, with its attempts.
    DeleteTask(TaskId),
    /// Adds an attempt, or changes it.
    SaveAttempt {
        /// Of which task.
        task: TaskId,
        /// The attempt.
        attempt: Box<Attempt>,
    },
    /// What a session works on from here on: what is written for it later is stamped with that.
    SetTask {
        /// The session.
        session: SessionId,
        /// The task.
        task: Option<TaskId>,
    },
    /// Adds a template.
    AddTemplate {
        /// The template.
        template: Box<Template>,
        /// Makes a repeated request safe.
        idempotency_key: Option<String>,
    },
    /// Changes one.
    SaveTemplate(Box<Template>),
    /// Removes one.
    DeleteTemplate(TemplateId),
    /// Something was done that is for the audit log.
    Audit(Act),
    /// An event.
    Event(NewEvent),
}

/// What writing has made so far.
#[derive(Default)]
struct Made {
    /// The events in order. Without a value it is that of the next call, if that is news.
    events: Vec<Option<NewEvent>>,
    /// Calls to write: together, as most of what is written is calls.
    calls: Vec<logs::Told>,
    /// Sessions to save, each once.
    sessions: Vec<Session>,
    /// Acts for the audit log, in order.
    acts: Vec<Act>,
}

impl Made {
    fn event(&mut self, event: NewEvent) {
        self.events.push(Some(event));
    }
}

impl Tx {
    /// Writes all of it, and tells which events it made, in order.
    pub async fn apply(&mut self, writes: Vec<Write>) -> Result<Vec<Event>> {
        self.count(writes.len());
        // A name that was given up may be another's within the same group.
        let ended = writes.iter().filter_map(|write| match write {
            Write::SaveSession(session) if !session.is_live() => Some(session.id),
            _ => None,
        });
        sessions::end(self, &ended.collect::<Vec<_>>()).await?;
        let mut made = Made::default();
        for write in writes {
            self.write(write, &mut made).await?;
        }
        // Nothing refers to a session's state or to calls: they can come last, together.
        sessions::save(self, &made.sessions).await?;
        let tools = logs::upsert(self, &made.calls).await?;
        let mut of_calls = made.calls.iter().zip(tools).map(|(told, tool)| {
            let tool = tool.filter(|_| !told.past)?;
            Some(event::tool_use(told.session, &tool, &told.call))
        });
        // Acts and events are numbered in the order of the commits, so they come last.
        self.take_turn().await?;
        audit::append(self, made.acts).await?;
        let events = made.events.into_iter();
        let new = events.filter_map(|e| e.or_else(|| of_calls.next().flatten())).collect();
        events::append(self, new).await
    }

    async fn write(&mut self, write: Write, made: &mut Made) -> Result<()> {
        match write {
            Write::AddProject(p) => projects::insert(self, &p).await,
            Write::SaveProject(p) => projects::update(self, &p).await,
            Write::DeleteProject(id) => {
                documents::clear(self, id).await?;
                projects::delete(self, id).await
            }
            Write::AddSession { session, idempotency_key } => {
                sessions::insert(self, &session, idempotency_key.as_deref()).await
            }
            Write::SaveSession(session) => {
                // The last state counts.
                made.sessions.retain(|s| s.id != session.id);
                made.sessions.push(*session);
                Ok(())
            }
            Write::PurgeSession(id) => retention::purge(self, id).await,
            Write::StartConversation { id, session, transcript, at } => {
                conversations::start(self, &id, session, transcript.as_deref(), at).await
            }
            Write::LocateTranscript { id, path } => conversations::locate(self, &id, &path).await,
            Write::EndConversation { id, reason, at } => {
                conversations::end(self, &id, &reason, at).await
            }
            Write::TranscriptRead { id, agent: None, offset, file } => {
                conversations::read_to(self, &id, offset, &file).await
            }
            Write::TranscriptRead { id, agent: Some(agent), offset, file } => {
                conversations::read_subagent_to(self, &id, &agent, offset, &file).await
            }
            Write::Tool { session, conversation, call, past } => {
                made.calls.push(logs::Told { session, conversation, call, past });
                made.events.push(None);
                Ok(())
            }
            Write::Say { session, conversation, source, utterance, prompt, past } => {
                if let Some(digest) = prompt
                    && messages::claim(self, session, &conversation, &digest, &utterance).await?
                {
                    return Ok(());
                }
                let id = MessageId::new();
                if messages::say(self, id, session, &conversation, source, &utterance).await?
                    && !past
                {
                    made.event(event::said(session, id, source, &utterance));
                }
                Ok(())
            }
            Write::Usage { session, conversation, response } => {
                usage::add(self, session, &conversation, &response).await
            }
            Write::SettleUsage { session, conversation, total } => {
                usage::settle(self, session, &conversation, &total).await
            }
            Write::AddMessage { message, idempotency_key } => {
                made.event(event::message(&message.message));
                messages::insert(self, &message, idempotency_key.as_deref()).await
            }
            Write::Deliver { message, status, error } => {
                messages::deliver(self, message, status, error.as_deref()).await
            }
            Write::TakeBack(id) => {
                let message = messages::take_back(self, id).await?;
                message.iter().for_each(|m| made.event(event::message(m)));
                Ok(())
            }
            Write::AddPermission(r) => permissions::insert(self, &r).await,
            Write::SavePermission(s) => permissions::save(self, &s.request, s.interrupts).await,
            Write::MatchPermission { request, call } => {
                permissions::set_tool_use(self, request, &call).await
            }
            Write::AddRule(rule) => rules::insert(self, &rule).await,
            Write::SaveRule(rule) => rules::update(self, &rule).await,
            Write::DeleteRule(id) => rules::delete(self, id).await,
            Write::RuleHit { id, at } => rules::hit(self, id, at).await,
            Write::AddClaim(claim) => claims::insert(self, &claim).await,
            Write::ReleaseClaims(task) => claims::release(self, task).await,
            Write::Files { project, changes, first, at } => {
                let events = documents::apply(self, project, &changes, at).await?;
                if !first {
                    events.into_iter().for_each(|e| made.event(e));
                }
                Ok(())
            }
            Write::DocumentsKnown(project) => documents::set_known(self, project).await,
            Write::DescribeDocument { id, patch, at } => {
                let event = documents::describe(self, id, &patch, at).await?;
                event.into_iter().for_each(|e| made.event(e));
                Ok(())
            }
            Write::AddReference { reference, at, id } => {
                if let Some(given) = references::insert(self, &reference, at).await? {
                    id.fill(given);
                }
                Ok(())
            }
            Write::ChangeReference { id, change, at } => {
                references::change(self, id, &change, at).await
            }
            Write::DeleteReference(id) => references::delete(self, id).await,
            Write::AddTask { task, idempotency_key } => {
                tasks::insert(self, &task, idempotency_key.as_deref()).await
            }
            Write::SaveTask(task) => tasks::update(self, &task).await,
            Write::RelinkTask(task) => tasks::relink(self, &task).await,
            Write::DeleteTask(id) => {
                references::delete_of_task(self, id).await?;
                tasks::delete(self, id).await
            }
            Write::SaveAttempt { task, attempt } => tasks::save_attempt(self, task, &attempt).await,
            Write::SetTask { session, task } => sessions::set_task(self, session, task).await,
            Write::AddTemplate { template, idempotency_key } => {
                templates::insert(self, &template, idempotency_key.as_deref()).await
            }
            Write::SaveTemplate(template) => templates::update(self, &template).await,
            Write::DeleteTemplate(id) => templates::delete(self, id).await,
            Write::Audit(act) => {
                made.acts.push(act);
                Ok(())
            }
            Write::Event(e) => {
                made.event(e);
                Ok(())
            }
        }
    }
}
