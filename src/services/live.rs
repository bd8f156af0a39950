//! The live state: everything about sessions that is asked for often, in memory.
//!
//! Only the engine changes it, and only together with the store, so that it is at any time what
//! the store would give after a restart.

mod tasks;

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::claim::Claims;
use crate::domain::ids::{MessageId, PermissionId, ProjectId, RuleId, SessionId};
use crate::domain::permission::{Decision, PermissionRequest};
use crate::domain::project::Project;
use crate::domain::rule::{Call, Place, Rule};
use crate::domain::session::{Process, Session, SessionName};
use crate::domain::time::Timestamp;
use crate::store::messages::Outgoing;
use crate::store::{Db, StoreError, claims, messages, permissions, projects, rules, sessions};

pub use tasks::{Known, Tasks};

/// Ended sessions that stay in memory for their last hooks.
const ENDED: usize = 256;
/// `Idempotency-Key`s that are remembered; older ones are found in the store.
const KEYS: usize = 4_096;

/// A permission request that is not settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The request, its input exact.
    pub request: PermissionRequest,
    /// The decision, once made.
    pub decision: Option<Decision>,
    /// Where its file is, as far as that was looked up.
    pub place: Option<Place>,
}

impl Open {
    /// The call that it asks about.
    pub fn call(&self, project: Option<ProjectId>) -> Call<'_> {
        Call {
            tool: &self.request.tool,
            input: &self.request.input,
            session: self.request.session_id,
            project,
            place: self.place.as_ref(),
        }
    }
}

/// The live state.
#[derive(Default)]
pub struct Live {
    projects: BTreeMap<ProjectId, Project>,
    sessions: HashMap<SessionId, Session>,
    ended: VecDeque<SessionId>,
    /// Requests that are not settled.
    pub open: BTreeMap<PermissionId, Open>,
    /// Processes of people's that go on with a conversation of a session of ours. Each is seen again
    /// by whoever looks around, so they are not in the store.
    pub elsewhere: HashMap<SessionId, Process>,
    /// Which task has edited which file, where several share a directory.
    pub claims: Claims,
    /// Tasks that sessions work on, and those that changed lately.
    pub tasks: Tasks,
    rules: Vec<Rule>,
    queues: HashMap<SessionId, VecDeque<Outgoing>>,
    heard: HashMap<SessionId, Timestamp>,
    keys: VecDeque<((SessionId, String), MessageId)>,
    session_keys: VecDeque<(String, SessionId)>,
}

impl Live {
    /// Reads it from the store.
    pub async fn load(db: &Db) -> Result<Self, StoreError> {
        let mut live = Self::default();
        for project in projects::list(db).await? {
            live.projects.insert(project.id, project);
        }
        for session in sessions::live(db).await? {
            live.sessions.insert(session.id, session);
        }
        for (request, decision) in permissions::open(db).await? {
            live.open.insert(request.id, Open { request, decision, place: None });
        }
        for claim in claims::all(db).await? {
            live.claims.claim(claim);
        }
        live.tasks = Tasks::load(db).await?;
        live.rules = rules::all(db).await?;
        for message in messages::under_way(db).await? {
            live.queues.entry(message.message.session_id).or_default().push_back(message);
        }
        Ok(live)
    }

    // --- projects ---

    /// All projects.
    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.values()
    }

    /// One project.
    pub fn project(&self, id: ProjectId) -> Option<&Project> {
        self.projects.get(&id)
    }

    /// Adds or changes one.
    pub fn put_project(&mut self, project: Project) {
        self.projects.insert(project.id, project);
    }

    /// Removes one.
    pub fn remove_project(&mut self, id: ProjectId) {
        self.projects.remove(&id);
    }

    // --- sessions ---

    /// All sessions in memory: the live ones and those that ended lately.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// One session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// One session, to change it. The caller notes it in its unit.
    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// Whether a live session has this name, other than the one that it is for.
    pub fn is_taken(&self, name: &SessionName, id: SessionId) -> bool {
        self.sessions.values().any(|s| s.id != id && s.is_live() && s.name == *name)
    }

    /// A name for a session: the wanted one, or the first free one with a number after it.
    pub fn free_name(&self, wanted: &SessionName, id: SessionId) -> SessionName {
        if !self.is_taken(wanted, id) {
            return wanted.clone();
        }
        (2u32..)
            .map(|n| wanted.numbered(n))
            .find(|name| !self.is_taken(name, id))
            .unwrap_or_else(|| wanted.clone())
    }

    /// Takes a session into memory: a new one, or one that ended long ago and is heard of again.
    /// What is here already stays, as it may be newer.
    pub fn admit(&mut self, session: Session) {
        self.sessions.entry(session.id).or_insert(session);
    }

    /// Notes that a session has ended, and forgets the longest ended ones.
    pub fn retire(&mut self, id: SessionId) {
        self.ended.retain(|other| *other != id);
        self.ended.push_back(id);
        while self.ended.len() > ENDED {
            let Some(oldest) = self.ended.pop_front() else { break };
            self.drop_ended(oldest);
        }
    }

    /// Forgets a session that has ended.
    pub fn forget(&mut self, id: SessionId) {
        self.ended.retain(|other| *other != id);
        self.rules.retain(|rule| rule.session_id != Some(id));
        self.drop_ended(id);
    }

    fn drop_ended(&mut self, id: SessionId) {
        if self.sessions.get(&id).is_some_and(|s| !s.is_live()) {
            self.sessions.remove(&id);
            self.queues.remove(&id);
            self.heard.remove(&id);
            self.elsewhere.remove(&id);
        }
    }

    /// When anything was heard of a session's Claude last, since this server runs.
    pub fn heard(&self, id: SessionId) -> Option<Timestamp> {
        self.heard.get(&id).copied()
    }

    /// Notes that something was heard of a session's Claude.
    pub fn hear(&mut self, id: SessionId, at: Timestamp) {
        self.heard.insert(id, at);
    }

    /// The session that an earlier request with this `Idempotency-Key` made.
    pub fn session_of_key(&self, key: &str) -> Option<SessionId> {
        self.session_keys.iter().find(|(k, _)| k == key).map(|(_, id)| *id)
    }

    /// Remembers which session an `Idempotency-Key` made.
    pub fn remember_session_key(&mut self, key: String, session: SessionId) {
        if self.session_keys.len() == KEYS {
            self.session_keys.pop_front();
        }
        self.session_keys.push_back((key, session));
    }

    // --- permissions ---

    /// All rules, oldest first. Those of a session are kept: it may be started again.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// One rule.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Adds or changes one.
    pub fn put_rule(&mut self, rule: Rule) {
        match self.rules.iter_mut().find(|known| known.id == rule.id) {
            Some(known) => *known = rule,
            None => self.rules.push(rule),
        }
    }

    /// Removes one.
    pub fn remove_rule(&mut self, id: RuleId) -> Option<Rule> {
        let at = self.rules.iter().position(|rule| rule.id == id)?;
        Some(self.rules.remove(at))
    }

    /// Removes those of a project, and tells which.
    pub fn remove_rules_of(&mut self, project: ProjectId) -> Vec<Rule> {
        let (gone, kept) = std::mem::take(&mut self.rules)
            .into_iter()
            .partition(|rule| rule.project_id == Some(project));
        self.rules = kept;
        gone
    }

    // --- prompts to send ---

    /// A session's prompts that are queued or under way, oldest first.
    pub fn queue(&self, session: SessionId) -> impl Iterator<Item = &Outgoing> {
        self.queues.get(&session).into_iter().flatten()
    }

    /// The same, to change it.
    pub fn queue_mut(&mut self, session: SessionId) -> &mut VecDeque<Outgoing> {
        self.queues.entry(session).or_default()
    }

    /// The message that an earlier request with this `Idempotency-Key` made.
    pub fn seen_key(&self, session: SessionId, key: &str) -> Option<MessageId> {
        self.keys.iter().find(|((s, k), _)| *s == session && k == key).map(|(_, m)| *m)
    }

    /// Remembers an `Idempotency-Key`.
    pub fn remember_key(&mut self, session: SessionId, key: String, message: MessageId) {
        if self.keys.len() == KEYS {
            self.keys.pop_front();
        }
        self.keys.push_back(((session, key), message));
    }
}
