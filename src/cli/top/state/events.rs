//! What the model makes of what the server tells.

use std::collections::HashMap;

use serde_json::Value;

use super::{Action, Confirm, FATES, Link, Mode, Model, Row, Sent, Subject};
use crate::api::sessions::SessionView;
use crate::cli::client::StreamEvent;
use crate::cli::show;
use crate::domain::ids::{MessageId, PermissionId, ProjectId, SessionId};
use crate::domain::message::Delivery;
use crate::domain::permission::{DecidedBy, PermissionRequest, PermissionStatus, Verdict};
use crate::domain::record::Message;
use crate::domain::session::{ClaudeStatus, Status};
use crate::domain::time::Timestamp;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// What nobody has decided.
    pub requests: Vec<PermissionRequest>,
    /// The projects' names.
    pub projects: HashMap<ProjectId, String>,
    /// There is more than was read.
    pub more: bool,
}

/// What the server tells, or what became of something that was done.
#[derive(Clone, Debug)]
pub enum News {
    /// Everything, read anew.
    Snapshot(Box<Snapshot>),
    /// An event of the stream.
    Event(StreamEvent),
    /// The server has gone.
    Offline(String),
    /// It is back, and tells what was missed.
    Online,
    /// The projects' names.
    Projects(HashMap<ProjectId, String>),
    /// A session as it is now.
    Session(Box<SessionView>),
    /// A request as it is now.
    Request(Box<PermissionRequest>),
    /// What was said last in a session.
    Last(SessionId, String),
    /// What was said and done in a session.
    Story(SessionId, String),
    /// A decision was taken.
    Decided(Box<PermissionRequest>),
    /// A decision was not taken.
    NotDecided(PermissionId, String),
    /// A prompt is on its way; its exact text.
    Sent(Box<Message>, String),
    /// A prompt was refused: its text, and why.
    NotSent(SessionId, String, String),
    /// Something else was done, or was not.
    Done(Result<String, String>),
}

impl Model {
    /// Takes in news.
    pub fn hear(&mut self, news: News, now: Timestamp) -> Vec<Action> {
        match news {
            News::Snapshot(all) => self.start_over(*all, now),
            News::Event(event) => return self.event(&event, now),
            News::Online => self.link = Link::Live,
            News::Offline(why) => {
                // Since the first of many failed calls.
                if !matches!(self.link, Link::Offline { .. }) {
                    self.link = Link::Offline { since: now, why };
                }
            }
            News::Projects(names) => self.projects = names,
            News::Session(view) => self.put(*view),
            News::Request(request) => self.put_request(*request, now),
            News::Last(session, text) => {
                if self.row(session).is_some_and(|row| row.last.is_empty()) {
                    self.last(Some(session), &text);
                }
            }
            News::Story(session, text) => return self.told(session, text),
            News::Decided(request) => {
                let denied = request.verdict == Some(Verdict::Deny);
                let done = if denied { "denied" } else { "approved" };
                self.settle(&request, now);
                self.tell(format!("{done} {}", show::line(&request.summary, 200)), false, now);
            }
            News::NotDecided(id, why) => {
                self.deciding.remove(&id);
                self.tell(why, true, now);
            }
            News::Sent(message, text) => {
                let (id, session) = (message.id, message.session_id);
                self.sent.push(Sent { id, session, text });
                self.tell(format!("{}: on its way…", self.name(session)), false, now);
                let known = self.fates.iter().find(|(fate, ..)| *fate == id).cloned();
                if let Some((id, status, error)) = known {
                    self.fate(id, status, error, now);
                }
            }
            News::NotSent(session, text, why) => {
                self.drafts.insert(session, text);
                self.tell(format!("{why}; s takes the text up again"), true, now);
            }
            News::Done(Ok(text)) => self.tell(text, false, now),
            News::Done(Err(text)) => self.tell(text, true, now),
        }
        Vec::new()
    }

    fn start_over(&mut self, all: Snapshot, now: Timestamp) {
        let mut last: HashMap<SessionId, String> =
            self.rows.drain(..).map(|row| (row.view.id, row.last)).collect();
        let listed = all.sessions.into_iter().filter(show::is_listed);
        self.rows = listed
            .map(|view| Row { last: last.remove(&view.id).unwrap_or_default(), view })
            .collect();
        self.projects = all.projects;
        self.more = all.more;
        self.link = Link::Live;
        let ids = |model: &Self| model.requests.iter().map(|r| r.id).collect::<Vec<_>>();
        let before = ids(self);
        self.hold_cursor(|model| {
            model.requests = all.requests;
            model.requests.sort_by_key(|r| (r.requested_at, r.id));
        });
        let after = ids(self);
        if before != after {
            self.moved = Some(now);
        }
        self.deciding.retain(|id| after.contains(id));
        self.leave_what_is_gone(None, now);
    }

    fn event(&mut self, event: &StreamEvent, now: Timestamp) -> Vec<Action> {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else { return Vec::new() };
        let session = data["session_id"].as_str().and_then(|id| id.parse::<SessionId>().ok());
        let mut actions = Vec::new();
        match event.kind.as_str() {
            "session_status" | "claude_status" => actions = self.moved_on(&event.kind, &data),
            "permission_request" => {
                let request = serde_json::from_value::<PermissionRequest>(data);
                if let Ok(request) = request
                    && request.status == PermissionStatus::Pending
                {
                    actions.push(Action::LoadRequest(request.id));
                    self.put_request(request, now);
                }
            }
            "permission_resolved" => {
                if let Ok(request) = serde_json::from_value::<PermissionRequest>(data) {
                    self.settle(&request, now);
                }
            }
            "message" => self.said(&data, now),
            "tool_use" => {
                let word = |key: &str| data[key].as_str().unwrap_or_default();
                self.last(session, &format!("{} {}", word("tool"), word("status")));
            }
            _ => {}
        }
        if let Some(session) = session
            && matches!(event.kind.as_str(), "message" | "tool_use")
            && matches!(&self.mode, Mode::Read(r) if r.what == Subject::Story(session))
        {
            match &mut self.telling {
                // Read once more when that has come: what has happened since may not be in it.
                Some((of, again)) if *of == session => *again = true,
                _ => {
                    self.telling = Some((session, false));
                    actions.push(Action::Story(session));
                }
            }
        }
        actions
    }

    /// A session's story is there.
    fn told(&mut self, session: SessionId, text: String) -> Vec<Action> {
        let again = self.telling.take_if(|(of, _)| *of == session).is_some_and(|(_, again)| again);
        let Mode::Read(reading) = &mut self.mode else { return Vec::new() };
        if reading.what != Subject::Story(session) {
            return Vec::new();
        }
        reading.text = Some(text);
        if !again {
            return Vec::new();
        }
        self.telling = Some((session, false));
        vec![Action::Story(session)]
    }

    /// A session's life or its Claude's activity moved.
    fn moved_on(&mut self, kind: &str, data: &Value) -> Vec<Action> {
        let read = |key: &str| data[key].clone();
        let Ok(id) = serde_json::from_value::<SessionId>(read("session_id")) else {
            return Vec::new();
        };
        let Some(row) = self.rows.iter_mut().find(|row| row.view.id == id) else {
            return vec![Action::Load(id)];
        };
        let view = &mut row.view;
        if kind == "session_status" {
            let new = data["new_status"].as_str().and_then(Status::parse);
            view.status = new.unwrap_or(view.status);
        } else {
            let new = data["new"].as_str().and_then(ClaudeStatus::parse);
            view.claude_status = new.unwrap_or(view.claude_status);
            view.detail = serde_json::from_value(read("detail")).unwrap_or_default();
            if let Ok(evidence) = serde_json::from_value(read("evidence")) {
                view.evidence = evidence;
            }
            view.unsure = data["unsure"] == true;
            view.permission_prompt = data["permission_prompt"].as_str().map(str::to_owned);
        }
        self.rows.retain(|row| show::is_listed(&row.view));
        Vec::new()
    }

    fn put(&mut self, view: SessionView) {
        match self.rows.iter_mut().find(|row| row.view.id == view.id) {
            Some(row) => row.view = view,
            None => self.rows.push(Row { view, last: String::new() }),
        }
        self.rows.retain(|row| show::is_listed(&row.view));
    }

    fn put_request(&mut self, request: PermissionRequest, now: Timestamp) {
        if request.status != PermissionStatus::Pending {
            return self.settle(&request, now);
        }
        if let Some(known) = self.requests.iter_mut().find(|r| r.id == request.id) {
            *known = request;
            return;
        }
        self.hold_cursor(|model| {
            model.requests.push(request);
            model.requests.sort_by_key(|r| (r.requested_at, r.id));
        });
        self.moved = Some(now);
    }

    /// A request no longer waits.
    fn settle(&mut self, request: &PermissionRequest, now: Timestamp) {
        let ours = self.deciding.remove(&request.id);
        if self.request(request.id).is_none() {
            return;
        }
        self.hold_cursor(|model| model.requests.retain(|r| r.id != request.id));
        self.moved = Some(now);
        self.leave_what_is_gone((!ours).then_some(request), now);
    }

    /// Changes the inbox, and keeps the cursor on its item; if that goes, on the one that takes its
    /// place.
    pub(super) fn hold_cursor(&mut self, change: impl FnOnce(&mut Self)) {
        let ids = |model: &Self| model.inbox().iter().map(|r| r.id).collect::<Vec<_>>();
        let before = ids(self);
        let chosen = self.chosen_request().map(|r| r.id);
        change(self);
        let after = ids(self);
        let at = before.iter().position(|id| Some(*id) == chosen).unwrap_or(0);
        self.request = match chosen.filter(|id| after.contains(id)) {
            Some(chosen) => Some(chosen),
            None => after.get(at.min(after.len().saturating_sub(1))).copied(),
        };
    }

    /// Ends what was being said about a request that no longer waits.
    fn leave_what_is_gone(&mut self, settled: Option<&PermissionRequest>, now: Timestamp) {
        let about = match &self.mode {
            Mode::Confirm(Confirm::Decide(id, _)) | Mode::Refuse(id, _) => Some(*id),
            Mode::Choose(choosing) => Some(choosing.request),
            _ => None,
        };
        if about.is_some_and(|id| self.request(id).is_none()) {
            self.mode = Mode::Browse;
            let by = match settled.and_then(|r| r.decided_by) {
                Some(DecidedBy::Rule) => "by a rule",
                Some(DecidedBy::Terminal) => "in its terminal",
                Some(_) => "by somebody else",
                None => "without you",
            };
            let text = format!("nothing was decided here: it was settled {by} meanwhile");
            self.tell(text, true, now);
        }
    }

    fn said(&mut self, data: &Value, now: Timestamp) {
        let session = serde_json::from_value::<SessionId>(data["session_id"].clone()).ok();
        if data["agent_id"].is_null()
            && let Some(text) = data["content"].as_str()
        {
            let who = if data["direction"] == "user" { "you: " } else { "" };
            self.last(session, &format!("{who}{text}"));
        }
        let status = data["delivery_status"].as_str().and_then(Delivery::parse);
        let id = serde_json::from_value(data["id"].clone());
        if let (Some(status), Ok(id)) = (status, id) {
            let error = data["delivery_error"].as_str().map(str::to_owned);
            self.fate(id, status, error, now);
        }
    }

    /// A prompt's delivery moved.
    fn fate(&mut self, id: MessageId, status: Delivery, error: Option<String>, now: Timestamp) {
        let Some(at) = self.sent.iter().position(|sent| sent.id == id) else {
            self.fates.truncate(FATES - 1);
            self.fates.push_front((id, status, error));
            return;
        };
        let Sent { session, text, .. } = self.sent[at].clone();
        let name = self.name(session).to_owned();
        let (told, bad) = match status {
            Delivery::Queued => ("queued until Claude is idle".to_owned(), false),
            Delivery::Sending => ("on its way…".to_owned(), false),
            Delivery::Delivered => ("delivered".to_owned(), false),
            Delivery::Undelivered => {
                let why = error.unwrap_or_default();
                self.drafts.insert(session, text);
                (format!("undelivered: {why}; s takes the text up again"), true)
            }
        };
        self.tell(format!("{name}: {told}"), bad, now);
        if matches!(status, Delivery::Delivered | Delivery::Undelivered) {
            self.sent.remove(at);
        }
    }

    fn last(&mut self, session: Option<SessionId>, text: &str) {
        if let Some(row) = self.rows.iter_mut().find(|row| Some(row.view.id) == session) {
            row.last = show::line(text, 300);
        }
    }
}
