//! What `chorus top` knows, as a pure model: snapshots, events and keys go in, what is to be done
//! comes out. It reads no clock and touches no terminal.

mod events;
mod keys;

use std::collections::{HashMap, HashSet, VecDeque};

pub use events::{News, Snapshot};
use serde_json::{Map, Value};

use super::line::Line;
use crate::api::permissions::Answer;
use crate::api::sessions::SessionView;
use crate::domain::ids::{MessageId, PermissionId, ProjectId, SessionId};
use crate::domain::message::Delivery;
use crate::domain::permission::{PermissionRequest, Verdict};
use crate::domain::question::Question;
use crate::domain::session::ClaudeStatus;
use crate::domain::time::Timestamp;

/// A decision so soon after the list has changed is confirmed: the key may have been meant for what
/// stood there before. Milliseconds.
const MOVED: i64 = 500;
/// The same key confirms only after a pause: one that is held down comes again by itself, and must not
/// say yes to everything that follows. Milliseconds.
const HELD: i64 = 250;
/// Prompts whose fate is remembered, as it may be told before the answer that names them.
const FATES: usize = 32;

/// What is to be done outside the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Leave.
    Quit,
    /// Stop, as Ctrl+Z does.
    Suspend,
    /// Show a session's terminal in this one.
    Attach(SessionId),
    /// Read a session anew.
    Load(SessionId),
    /// Read a request exactly as it is: events tell of it without its secrets.
    LoadRequest(PermissionId),
    /// Read what was said and done in a session last.
    Story(SessionId),
    /// Decide a request.
    Decide(PermissionId, Answer),
    /// Send a prompt.
    Send {
        /// To whom.
        session: SessionId,
        /// The prompt.
        text: String,
        /// Claude is not idle: keep it until it is.
        queue: bool,
    },
    /// Interrupt a session's turn.
    Interrupt(SessionId),
}

/// One of the two lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// What waits for a person.
    #[default]
    Inbox,
    /// What runs.
    Sessions,
}

/// What the keys are about at the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mode {
    /// The lists.
    #[default]
    Browse,
    /// Typing what the lists are narrowed to.
    Filter,
    /// Something is to be said once more before it is done.
    Confirm(Confirm),
    /// Typing why something is denied.
    Refuse(PermissionId, Line),
    /// Typing a prompt.
    Prompt(SessionId, Line),
    /// Answering questions.
    Choose(Choosing),
    /// Reading something long.
    Read(Reading),
}

/// What is to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// A decision.
    Decide(PermissionId, Verdict),
    /// An interruption.
    Interrupt(SessionId),
}

/// Answering a request's questions, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Choosing {
    /// The request.
    pub request: PermissionId,
    /// What it asks.
    pub questions: Vec<Question>,
    /// Which of them is asked now.
    pub at: usize,
    /// Where the cursor is among its choices.
    pub cursor: usize,
    /// Which were chosen, where several may be.
    pub marked: HashSet<usize>,
    /// An answer that is none of the choices.
    pub own: Option<Line>,
    /// What was answered.
    pub answers: Map<String, Value>,
}

/// Something long that somebody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub what: Subject,
    /// Its text; none while it is being fetched.
    pub text: Option<String>,
    /// How many lines it is scrolled away from where it begins: its end for what goes on growing,
    /// else its top.
    pub scrolled: usize,
}

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The keys.
    Help,
    /// All of a request.
    Request(PermissionId),
    /// What was said and done in a session.
    Story(SessionId),
}

/// A session, as it is listed.
#[derive(Clone, Debug)]
pub struct Row {
    /// The session.
    pub view: SessionView,
    /// What was said or done in it last.
    pub last: String,
}

/// Whether the server is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not yet.
    Connecting,
    /// It tells all that happens.
    Live,
    /// It is away since then, and is being called.
    Offline {
        /// Since when.
        since: Timestamp,
        /// Why.
        why: String,
    },
}

/// A line that tells what became of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The line.
    pub text: String,
    /// Whether it went wrong.
    pub bad: bool,
    /// Since when it stands there.
    pub at: Timestamp,
}

/// What the screen shows, as far as keys are about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// The request under the cursor.
    pub request: Option<PermissionId>,
    /// The session under the cursor.
    pub session: Option<SessionId>,
    /// How far what is read can be scrolled.
    pub scroll: usize,
    /// Rows of the list that has the keys.
    pub page: usize,
}

/// A prompt on its way.
#[derive(Clone, Debug)]
struct Sent {
    id: MessageId,
    session: SessionId,
    text: String,
}

/// All that `chorus top` knows.
#[derive(Debug)]
pub struct Model {
    /// Where the server is.
    pub server: String,
    /// Whether it is there.
    pub link: Link,
    /// What the keys are about.
    pub mode: Mode,
    /// What became of the last thing that was done.
    pub notice: Option<Notice>,
    /// What the lists are narrowed to.
    pub filter: Line,
    /// More waits or runs than is listed.
    pub more: bool,
    rows: Vec<Row>,
    requests: Vec<PermissionRequest>,
    projects: HashMap<ProjectId, String>,
    focus: Pane,
    request: Option<PermissionId>,
    session: Option<SessionId>,
    /// When the inbox changed last, other than by the cursor.
    moved: Option<Timestamp>,
    /// When a key was pressed last.
    pressed: Timestamp,
    /// A session's story is being read, and whether it has gone on since.
    telling: Option<(SessionId, bool)>,
    /// Decisions that are on their way.
    deciding: HashSet<PermissionId>,
    sent: Vec<Sent>,
    fates: VecDeque<(MessageId, Delivery, Option<String>)>,
    /// Texts that did not arrive.
    drafts: HashMap<SessionId, String>,
    drawn: Drawn,
}

impl Model {
    /// Knows nothing yet.
    pub fn new(server: String) -> Self {
        Self {
            server,
            link: Link::Connecting,
            mode: Mode::Browse,
            notice: None,
            filter: Line::default(),
            more: false,
            rows: Vec::new(),
            requests: Vec::new(),
            projects: HashMap::new(),
            focus: Pane::Inbox,
            request: None,
            session: None,
            moved: None,
            pressed: Timestamp::default(),
            telling: None,
            deciding: HashSet::new(),
            sent: Vec::new(),
            fates: VecDeque::new(),
            drafts: HashMap::new(),
            drawn: Drawn::default(),
        }
    }

    /// What waits for a person and passes the filter, who has waited longest first.
    pub fn inbox(&self) -> Vec<&PermissionRequest> {
        let passes = |r: &&PermissionRequest| {
            self.passes(&[
                self.name(r.session_id),
                &r.tool,
                &r.summary,
                self.project_of(r.session_id),
            ])
        };
        self.requests.iter().filter(passes).collect()
    }

    /// What runs and passes the filter, who needs somebody first.
    pub fn sessions(&self) -> Vec<&Row> {
        let passes = |row: &&Row| {
            let about = crate::cli::show::about(&row.view);
            let project = self.project(row.view.project_id);
            let status = row.view.claude_status.as_str();
            self.passes(&[row.view.name.as_str(), status, &about, &row.last, project])
        };
        let mut rows: Vec<&Row> = self.rows.iter().filter(passes).collect();
        let rank = |s: ClaudeStatus| match s {
            ClaudeStatus::Waiting => 0,
            ClaudeStatus::Stopped => 1,
            ClaudeStatus::Idle | ClaudeStatus::Busy | ClaudeStatus::Starting => 2,
        };
        rows.sort_by_key(|row| (rank(row.view.claude_status), row.view.name.as_str()));
        rows
    }

    fn passes(&self, texts: &[&str]) -> bool {
        let wanted = self.filter.text().to_lowercase();
        wanted.split_whitespace().all(|w| texts.iter().any(|t| t.to_lowercase().contains(w)))
    }

    /// How many sessions do this.
    pub fn count(&self, status: ClaudeStatus) -> usize {
        self.rows.iter().filter(|row| row.view.claude_status == status).count()
    }

    /// How many requests wait, the filtered ones too.
    pub fn waiting(&self) -> usize {
        self.requests.len()
    }

    /// The list that has the keys: the inbox only if there is something in it.
    pub fn focus(&self) -> Pane {
        if self.inbox().is_empty() { Pane::Sessions } else { self.focus }
    }

    /// The request under the cursor.
    pub fn chosen_request(&self) -> Option<&PermissionRequest> {
        let inbox = self.inbox();
        let chosen = inbox.iter().find(|r| Some(r.id) == self.request);
        chosen.or(inbox.first()).copied()
    }

    /// The session under the cursor: of the inbox, the one that asks.
    pub fn chosen_session(&self) -> Option<SessionId> {
        match self.focus() {
            Pane::Inbox => self.chosen_request().map(|r| r.session_id),
            Pane::Sessions => self.listed_session(),
        }
    }

    /// The session under the cursor of its own list.
    pub fn listed_session(&self) -> Option<SessionId> {
        let rows = self.sessions();
        let chosen = rows.iter().find(|row| Some(row.view.id) == self.session);
        chosen.or(rows.first()).map(|row| row.view.id)
    }

    /// A request that waits.
    pub fn request(&self, id: PermissionId) -> Option<&PermissionRequest> {
        self.requests.iter().find(|r| r.id == id)
    }

    /// A session.
    pub fn row(&self, id: SessionId) -> Option<&Row> {
        self.rows.iter().find(|row| row.view.id == id)
    }

    /// A session's name.
    pub fn name(&self, id: SessionId) -> &str {
        self.row(id).map_or("?", |row| row.view.name.as_str())
    }

    /// A project's name.
    pub fn project(&self, id: ProjectId) -> &str {
        self.projects.get(&id).map_or("", String::as_str)
    }

    fn project_of(&self, id: SessionId) -> &str {
        self.row(id).map_or("", |row| self.project(row.view.project_id))
    }

    /// Whether a decision on this request is on its way.
    pub fn is_deciding(&self, id: PermissionId) -> bool {
        self.deciding.contains(&id)
    }

    /// Whether the screen changes with time alone: ages are shown, or a notice that is to go.
    pub fn changes_with_time(&self) -> bool {
        let offline = matches!(self.link, Link::Offline { .. });
        !self.rows.is_empty() || !self.requests.is_empty() || offline || self.notice.is_some()
    }

    /// The screen shows this now: what keys are about until it is drawn again.
    pub fn drawn(&mut self, drawn: Drawn) {
        self.drawn = drawn;
        if let Mode::Read(reading) = &mut self.mode {
            reading.scrolled = reading.scrolled.min(drawn.scroll);
        }
    }

    fn tell(&mut self, text: impl Into<String>, bad: bool, now: Timestamp) {
        self.notice = Some(Notice { text: text.into(), bad, at: now });
    }
}

#[cfg(test)]
mod tests;
