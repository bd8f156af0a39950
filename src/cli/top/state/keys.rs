//! What the model makes of keys.

use std::collections::HashSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Map, Value};

use super::{Action, Choosing, Confirm, HELD, MOVED, Mode, Model, Pane, Reading, Subject};
use crate::api::permissions::Answer;
use crate::cli::top::line::Line;
use crate::domain::call::in_full;
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::permission::Verdict;
use crate::domain::question;
use crate::domain::session::ClaudeStatus;
use crate::domain::time::Timestamp;

impl Model {
    /// Takes in a key.
    pub fn press(&mut self, key: KeyEvent, now: Timestamp) -> Vec<Action> {
        let pause = now.ms_since(std::mem::replace(&mut self.pressed, now));
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return vec![Action::Quit],
                KeyCode::Char('z') => return vec![Action::Suspend],
                _ => {}
            }
        }
        match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse(key, now),
            Mode::Filter => self.type_filter(key, now),
            Mode::Confirm(what) => self.confirm(what, key, pause),
            Mode::Refuse(id, line) => self.type_refusal(id, line, key),
            Mode::Prompt(session, line) => self.type_prompt(session, line, key),
            Mode::Choose(choosing) => self.choose(choosing, key),
            Mode::Read(reading) => self.read(reading, key),
        }
    }

    /// Takes in a text that is pasted: it belongs into the line that is typed, if one is.
    pub fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Refuse(_, line) | Mode::Prompt(_, line) => line.insert(text),
            Mode::Filter => self.filter.insert(&text.replace(['\n', '\r'], " ")),
            Mode::Choose(Choosing { own: Some(line), .. }) => line.insert(text),
            _ => {}
        }
    }

    fn browse(&mut self, key: KeyEvent, now: Timestamp) -> Vec<Action> {
        let page = isize::try_from(self.drawn.page).unwrap_or(10).max(1);
        match key.code {
            KeyCode::Char('q') => return vec![Action::Quit],
            KeyCode::Char('j') | KeyCode::Down => self.step(1),
            KeyCode::Char('k') | KeyCode::Up => self.step(-1),
            KeyCode::PageDown => self.step(page),
            KeyCode::PageUp => self.step(-page),
            KeyCode::Char('g') | KeyCode::Home => self.step(isize::MIN),
            KeyCode::Char('G') | KeyCode::End => self.step(isize::MAX),
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus() {
                    Pane::Inbox => Pane::Sessions,
                    Pane::Sessions => Pane::Inbox,
                };
                if self.inbox().is_empty() {
                    self.tell("nothing waits for you", false, now);
                }
            }
            KeyCode::Esc => {
                self.notice = None;
                self.narrow(Line::default(), now);
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?') => self.mode = reading(Subject::Help, Some(String::new())),
            KeyCode::Char('a') => return self.decide(Verdict::Allow, now),
            KeyCode::Char('d') => return self.decide(Verdict::Deny, now),
            KeyCode::Char('D') => {
                if let Some(id) = self.meant(now) {
                    self.mode = Mode::Refuse(id, Line::default());
                }
            }
            KeyCode::Char('r') => {
                if let Some(id) = self.meant(now) {
                    self.answer(id, now);
                }
            }
            KeyCode::Char('v') => {
                let shown = self.drawn.request.and_then(|id| self.request(id));
                if let Some(r) = shown {
                    self.mode = reading(Subject::Request(r.id), Some(in_full(&r.tool, &r.input)));
                }
            }
            KeyCode::Char('s') => {
                if let Some(session) = self.meant_session(now) {
                    let draft = self.drafts.get(&session).map(String::as_str).unwrap_or_default();
                    self.mode = Mode::Prompt(session, Line::of(draft));
                }
            }
            KeyCode::Char('i') => {
                if let Some(session) = self.meant_session(now) {
                    self.mode = Mode::Confirm(Confirm::Interrupt(session));
                }
            }
            KeyCode::Char('l') => {
                if let Some(session) = self.meant_session(now) {
                    self.mode = reading(Subject::Story(session), None);
                    self.telling = Some((session, false));
                    return vec![Action::Story(session)];
                }
            }
            KeyCode::Enter => {
                return self.meant_session(now).map(Action::Attach).into_iter().collect();
            }
            _ => {}
        }
        Vec::new()
    }

    /// Moves the cursor of the list that has the keys.
    fn step(&mut self, by: isize) {
        let to = |at: Option<usize>, len: usize| {
            at.unwrap_or(0).saturating_add_signed(by).min(len.saturating_sub(1))
        };
        self.focus = self.focus();
        match self.focus {
            Pane::Inbox => {
                let ids: Vec<_> = self.inbox().iter().map(|r| r.id).collect();
                let chosen = self.chosen_request().map(|r| r.id);
                let at = ids.iter().position(|id| Some(*id) == chosen);
                self.request = ids.get(to(at, ids.len())).copied();
            }
            Pane::Sessions => {
                let ids: Vec<_> = self.sessions().iter().map(|row| row.view.id).collect();
                let chosen = self.listed_session();
                let at = ids.iter().position(|id| Some(*id) == chosen);
                self.session = ids.get(to(at, ids.len())).copied();
            }
        }
    }

    /// The request that a key is about: the one that the screen showed under the cursor when it was
    /// pressed. One that has slid there since, or is of a list that has not the keys, is not meant.
    fn meant(&mut self, now: Timestamp) -> Option<PermissionId> {
        let Some(id) = self.drawn.request else {
            let asks = self.drawn.session.and_then(|session| {
                self.inbox().iter().find(|r| r.session_id == session).map(|r| r.id)
            });
            match asks {
                // To be looked at first: the sessions' list does not show it whole.
                Some(id) => (self.focus, self.request) = (Pane::Inbox, Some(id)),
                None => self.tell("it waits for no decision", false, now),
            }
            return None;
        };
        if self.request(id).is_none() {
            self.tell("nothing was decided: that one no longer waits", true, now);
            return None;
        }
        if self.is_deciding(id) {
            self.tell("the decision on that one is on its way", false, now);
            return None;
        }
        Some(id)
    }

    fn meant_session(&mut self, now: Timestamp) -> Option<SessionId> {
        let session = self.drawn.session.filter(|id| self.row(*id).is_some());
        if session.is_none() {
            self.tell("there is no such session any more", true, now);
        }
        session
    }

    fn decide(&mut self, verdict: Verdict, now: Timestamp) -> Vec<Action> {
        let Some(id) = self.meant(now) else { return Vec::new() };
        let asks = self.request(id).is_some_and(|r| r.tool == crate::domain::permission::QUESTION);
        if asks && verdict == Verdict::Allow {
            self.answer(id, now);
            return Vec::new();
        }
        if self.moved.is_some_and(|at| now.ms_since(at) < MOVED) {
            self.mode = Mode::Confirm(Confirm::Decide(id, verdict));
            return Vec::new();
        }
        self.decided(id, Answer::plain(verdict))
    }

    fn decided(&mut self, id: PermissionId, answer: Answer) -> Vec<Action> {
        self.deciding.insert(id);
        vec![Action::Decide(id, answer)]
    }

    /// Begins to answer a request's questions.
    fn answer(&mut self, id: PermissionId, now: Timestamp) {
        let questions =
            self.request(id).map(|r| question::questions(&r.tool, &r.input)).unwrap_or_default();
        if questions.is_empty() {
            self.tell("it asks no question: a approves it, D denies it and says why", false, now);
            return;
        }
        self.mode = Mode::Choose(Choosing {
            request: id,
            own: questions[0].options.is_empty().then(Line::default),
            questions,
            at: 0,
            cursor: 0,
            marked: HashSet::new(),
            answers: Map::new(),
        });
    }

    fn confirm(&mut self, what: Confirm, key: KeyEvent, pause: i64) -> Vec<Action> {
        let again = match what {
            Confirm::Decide(_, Verdict::Allow) => 'a',
            Confirm::Decide(_, Verdict::Deny) => 'd',
            Confirm::Interrupt(_) => 'i',
        };
        match (key.code, what) {
            (KeyCode::Enter, _) => {}
            (KeyCode::Char(c), _) if c == again && pause >= HELD => {}
            (KeyCode::Char(c), _) if c == again => {
                self.mode = Mode::Confirm(what);
                return Vec::new();
            }
            // Anything else is no.
            _ => return Vec::new(),
        }
        match what {
            Confirm::Decide(id, verdict) => self.decided(id, Answer::plain(verdict)),
            Confirm::Interrupt(session) => vec![Action::Interrupt(session)],
        }
    }

    fn type_filter(&mut self, key: KeyEvent, now: Timestamp) -> Vec<Action> {
        match key.code {
            KeyCode::Enter => {}
            KeyCode::Esc => self.narrow(Line::default(), now),
            _ => {
                let mut line = self.filter.clone();
                edit(&mut line, key);
                self.narrow(line, now);
                self.mode = Mode::Filter;
            }
        }
        Vec::new()
    }

    /// Narrows the lists. What is under the cursor then may be another.
    fn narrow(&mut self, filter: Line, now: Timestamp) {
        if self.filter.text() != filter.text() {
            self.moved = Some(now);
        }
        self.hold_cursor(|model| model.filter = filter);
    }

    fn type_refusal(&mut self, id: PermissionId, mut line: Line, key: KeyEvent) -> Vec<Action> {
        match key.code {
            KeyCode::Esc => {}
            KeyCode::Enter => {
                let message = Some(line.text().trim().to_owned()).filter(|m| !m.is_empty());
                let answer = Answer { message, ..Answer::plain(Verdict::Deny) };
                return self.decided(id, answer);
            }
            _ => {
                edit(&mut line, key);
                self.mode = Mode::Refuse(id, line);
            }
        }
        Vec::new()
    }

    fn type_prompt(&mut self, session: SessionId, mut line: Line, key: KeyEvent) -> Vec<Action> {
        match key.code {
            KeyCode::Esc => {
                // What was typed is there when somebody comes back to it.
                self.drafts.insert(session, line.text().to_owned());
            }
            KeyCode::Enter if line.text().trim().is_empty() => {}
            KeyCode::Enter => {
                self.drafts.remove(&session);
                let queue = self.is_queued(session);
                return vec![Action::Send { session, text: line.text().to_owned(), queue }];
            }
            _ => {
                edit(&mut line, key);
                self.mode = Mode::Prompt(session, line);
            }
        }
        Vec::new()
    }

    /// Whether a prompt to this session has to wait for its turn.
    pub fn is_queued(&self, session: SessionId) -> bool {
        self.row(session).is_some_and(|row| row.view.claude_status != ClaudeStatus::Idle)
    }

    fn choose(&mut self, mut now: Choosing, key: KeyEvent) -> Vec<Action> {
        let several = now.questions[now.at].several;
        let len = now.questions[now.at].options.len();
        if let Some(line) = &mut now.own {
            match key.code {
                KeyCode::Esc if len > 0 => now.own = None,
                KeyCode::Esc => return Vec::new(),
                KeyCode::Enter if line.text().trim().is_empty() => {}
                KeyCode::Enter => {
                    let text = Value::String(line.text().to_owned());
                    return self.next_question(now, text);
                }
                _ => edit(line, key),
            }
            self.mode = Mode::Choose(now);
            return Vec::new();
        }
        match key.code {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Char('j') | KeyCode::Down => now.cursor = (now.cursor + 1).min(len - 1),
            KeyCode::Char('k') | KeyCode::Up => now.cursor = now.cursor.saturating_sub(1),
            KeyCode::Char('t') => now.own = Some(Line::default()),
            KeyCode::Char(' ') if several => toggle(&mut now.marked, now.cursor),
            KeyCode::Char(c @ '1'..='9') if (c as usize - '1' as usize) < len => {
                now.cursor = c as usize - '1' as usize;
                if several {
                    toggle(&mut now.marked, now.cursor);
                }
            }
            KeyCode::Enter => {
                let mut chosen: Vec<usize> = now.marked.iter().copied().collect();
                chosen.sort_unstable();
                if chosen.is_empty() {
                    chosen.push(now.cursor);
                }
                let options = &now.questions[now.at].options;
                let labels = chosen.into_iter().map(|n| options[n].label.clone().into());
                let labels = Value::Array(labels.collect());
                return self.next_question(now, labels);
            }
            _ => {}
        }
        self.mode = Mode::Choose(now);
        Vec::new()
    }

    fn next_question(&mut self, mut now: Choosing, answer: Value) -> Vec<Action> {
        now.answers.insert(now.questions[now.at].question.clone(), answer);
        now.at += 1;
        let Some(next) = now.questions.get(now.at) else {
            let answer = Answer { answers: Some(now.answers), ..Answer::plain(Verdict::Allow) };
            return self.decided(now.request, answer);
        };
        now.own = next.options.is_empty().then(Line::default);
        now.cursor = 0;
        now.marked.clear();
        self.mode = Mode::Choose(now);
        Vec::new()
    }

    fn read(&mut self, mut reading: Reading, key: KeyEvent) -> Vec<Action> {
        // What goes on growing is scrolled from its end.
        let grows = matches!(reading.what, Subject::Story(_));
        let page = self.drawn.page.max(1);
        let (down, up) = match key.code {
            KeyCode::Esc | KeyCode::Char('q' | 'l' | 'v' | '?') => return Vec::new(),
            KeyCode::Char('j') | KeyCode::Down => (1, 0),
            KeyCode::Char('k') | KeyCode::Up => (0, 1),
            KeyCode::Char(' ') | KeyCode::PageDown => (page, 0),
            KeyCode::PageUp => (0, page),
            KeyCode::Char('G') | KeyCode::End => (usize::MAX, 0),
            KeyCode::Char('g') | KeyCode::Home => (0, usize::MAX),
            _ => (0, 0),
        };
        let (away, back) = if grows { (up, down) } else { (down, up) };
        reading.scrolled =
            reading.scrolled.saturating_add(away).saturating_sub(back).min(self.drawn.scroll);
        self.mode = Mode::Read(reading);
        Vec::new()
    }
}

fn reading(what: Subject, text: Option<String>) -> Mode {
    Mode::Read(Reading { what, text, scrolled: 0 })
}

fn toggle(marked: &mut HashSet<usize>, n: usize) {
    if !marked.remove(&n) {
        marked.insert(n);
    }
}

fn edit(line: &mut Line, key: KeyEvent) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('u') if control => line.delete_to_start(),
        KeyCode::Char('w') if control => line.delete_word(),
        KeyCode::Char('a') if control => line.home(),
        KeyCode::Char('e') if control => line.end(),
        KeyCode::Char('j') if control => line.insert("\n"),
        KeyCode::Char(_) if control => {}
        KeyCode::Char(c) => line.insert(c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace => line.backspace(),
        KeyCode::Delete => line.delete(),
        KeyCode::Left => line.left(),
        KeyCode::Right => line.right(),
        KeyCode::Home => line.home(),
        KeyCode::End => line.end(),
        _ => {}
    }
}
