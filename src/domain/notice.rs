//! Notices: what a person is told of without looking.
//!
//! Events of a session are a reason to tell something ([`Watch`] makes [`News`] of them). Whether
//! there is still something to tell when the time has come, and in which words, [`notice`] says: of
//! the session as it is then, so that what was settled meanwhile is not told at all.

mod watch;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{PermissionId, SessionId};
use super::names::names;
use super::permission::{PLAN, PermissionRequest, QUESTION, subject};
use super::question;
use super::scrub::scrub;
use super::session::{ClaudeStatus, Session, Status};
use super::time::Timestamp;

pub use watch::{Activity, Watch};

/// The longest text of a notice. Characters.
const LONGEST: usize = 1_000;
/// What is read of a longer one, so that a secret at the end of what is shown is recognised whole.
const READ: usize = 4 * LONGEST;
/// Requests that one notice names; it counts the others.
const NAMED: usize = 5;
/// Requests that are remembered for one notice; more are heard of in the next one.
const REMEMBERED: usize = 1_000;

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Claude waits for a decision: a tool call, a plan, a question, a dialog in its terminal.
    Permission,
    /// A turn that took long has ended.
    Finished,
    /// A turn failed, Claude crashed, or its start is blocked.
    Error,
    /// A usage limit has begun.
    Limit,
    /// Claude is busy, but nothing has been heard of it for long.
    Quiet,
    /// Somebody tries whether notices arrive.
    Test,
}

names!(NoticeKind {
    Permission => "permission", Finished => "finished", Error => "error", Limit => "limit",
    Quiet => "quiet", Test => "test",
});

impl NoticeKind {
    /// Whether nothing goes on until a person does something.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::Permission | Self::Error)
    }
}

/// What a person is told. All texts are scrubbed of secrets and bounded, and otherwise as hostile
/// as what Claude writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// What it is about.
    pub kind: NoticeKind,
    /// The last event that was a reason for it, by its place in the log; 0 if none was.
    pub event_id: i64,
    /// The session; none if it is about none.
    pub session_id: Option<SessionId>,
    /// The session's name.
    pub session: String,
    /// The project's name.
    pub project: String,
    /// One line. Of outside texts only the session's name is in it.
    pub title: String,
    /// Why, and what exactly: the command, the plan, the error. May have several lines.
    pub body: String,
    /// How many permission requests it is about.
    pub count: usize,
    /// The first of these.
    pub requests: Vec<Asked>,
    /// The command that shows the session in a terminal, if one does.
    pub attach: Option<String>,
    /// The page's address.
    pub url: String,
    /// When it was made.
    pub at: Timestamp,
}

/// A permission request, as a notice names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    /// Its id.
    pub id: PermissionId,
    /// The tool.
    pub tool: String,
    /// One line that says what would happen.
    pub summary: String,
}

/// What is to be told, as people want it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The kinds that are told.
    pub kinds: Vec<NoticeKind>,
    /// How long a turn has to take for its end to be told. Milliseconds.
    pub finished_after_ms: i64,
    /// When nothing is told.
    pub quiet_hours: QuietHours,
    /// Permission requests are told then, too.
    pub quiet_permissions: bool,
}

impl Rules {
    fn allow(&self, kind: NoticeKind, minute: u16) -> bool {
        let quiet = self.quiet_hours.contain(minute)
            && !(kind == NoticeKind::Permission && self.quiet_permissions);
        self.kinds.contains(&kind) && !quiet
    }
}

/// Why a session may have to be told of: what was heard since it was told of last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// The last event.
    pub event_id: i64,
    /// Permission requests that came.
    pub asked: BTreeSet<PermissionId>,
    /// Claude waits for something.
    pub waits: bool,
    /// A turn or a start failed, or Claude ended.
    pub failed: bool,
    /// Nothing more is heard.
    pub quiet: bool,
    /// A turn ended.
    pub finished: Option<Turn>,
}

/// A turn that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How long it took, in milliseconds; not known of one that began before the server did.
    pub took_ms: Option<i64>,
}

impl News {
    /// That this request came.
    pub fn asked(event_id: i64, id: PermissionId) -> Self {
        Self { event_id, asked: BTreeSet::from([id]), ..Self::default() }
    }

    /// Whether there is nothing new.
    pub fn is_empty(&self) -> bool {
        *self == Self { event_id: self.event_id, ..Self::default() }
    }

    /// Adds what was heard later.
    pub fn add(&mut self, later: Self) {
        self.event_id = self.event_id.max(later.event_id);
        self.asked.extend(later.asked);
        while self.asked.len() > REMEMBERED {
            self.asked.pop_last();
        }
        self.waits |= later.waits;
        self.failed |= later.failed;
        self.quiet |= later.quiet;
        self.finished = later.finished.or(self.finished);
    }
}

/// A session at the time when it would be told of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The session.
    pub session: &'a Session,
    /// Its project's name.
    pub project: &'a str,
    /// Its permission requests that nobody has decided, oldest first.
    pub pending: &'a [&'a PermissionRequest],
    /// The page's address.
    pub url: &'a str,
}

/// When it would be told.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// Minutes since midnight, where the person is.
    pub minute: u16,
}

/// What a person is to be told of a session now; nothing if it is settled already, switched off, or
/// not wanted at this hour. The most pressing of several things is told.
pub fn notice(news: &News, about: &About<'_>, rules: &Rules, moment: Moment) -> Option<Notice> {
    if about.session.hidden {
        return None;
    }
    let by_urgency = [
        permission(news, about),
        failure(news, about, moment.now),
        quiet(news, about, moment.now),
        finished(news, about, rules),
    ];
    let mut allowed =
        by_urgency.into_iter().flatten().filter(|told| rules.allow(told.kind, moment.minute));
    let told = allowed.next()?;
    let session = about.session;
    let name = session.name.to_string();
    Some(Notice {
        kind: told.kind,
        event_id: news.event_id,
        session_id: Some(session.id),
        title: format!("{name} {}", told.title),
        body: shown(&told.body),
        count: told.asked.len(),
        requests: told.asked.into_iter().take(NAMED).map(asked).collect(),
        attach: (!session.is_elsewhere()).then(|| format!("chorus attach {name}")),
        session: name,
        project: cut(about.project, LONGEST).into(),
        url: format!("{}#session-{}", about.url, session.id),
        at: moment.now,
    })
}

struct Told<'a> {
    kind: NoticeKind,
    title: String,
    body: String,
    asked: Vec<&'a PermissionRequest>,
}

impl Told<'_> {
    fn new(kind: NoticeKind, title: impl Into<String>, body: String) -> Self {
        Self { kind, title: title.into(), body, asked: Vec::new() }
    }
}

fn permission<'a>(news: &News, about: &About<'a>) -> Option<Told<'a>> {
    let state = &about.session.state;
    let kind = NoticeKind::Permission;
    let asked: Vec<_> =
        about.pending.iter().copied().filter(|r| news.asked.contains(&r.id)).collect();
    if let [request] = asked[..] {
        let title = match request.tool.as_str() {
            PLAN => "has a plan to approve",
            QUESTION => "has a question",
            _ => "asks for a permission",
        };
        return Some(Told { asked, ..Told::new(kind, title, what(request)) });
    }
    if !asked.is_empty() {
        let mut body: Vec<_> = asked.iter().take(NAMED).map(|r| r.summary.clone()).collect();
        if asked.len() > NAMED {
            body.push(format!("… and {} more", asked.len() - NAMED));
        }
        let title = format!("asks for {} permissions", asked.len());
        return Some(Told { asked, ..Told::new(kind, title, body.join("\n")) });
    }
    // What it asks by a hook is told of as a request, once.
    let in_terminal = news.waits
        && state.claude_status == ClaudeStatus::Waiting
        && state.started
        && about.pending.is_empty()
        && !about.session.is_elsewhere();
    let body = state.detail.waiting_for.clone().unwrap_or_default();
    in_terminal.then(|| Told::new(kind, "waits for an answer in its terminal", body))
}

fn failure<'a>(news: &News, about: &About<'a>, now: Timestamp) -> Option<Told<'a>> {
    let state = &about.session.state;
    if about.session.is_elsewhere() {
        return None;
    }
    let detail = &state.detail;
    if let Some(limit) = state.limit.filter(|limit| news.failed && !limit.over) {
        // Each further attempt meets the same limit.
        let begins = limit.tries == 1 && state.claude_status == ClaudeStatus::Idle;
        let body = match limit.until.map(|until| until.ms_since(now)) {
            Some(ms) if ms > 0 => {
                format!("It ends in {}; the session goes on by itself.", span(ms))
            }
            _ => "When it ends is not known; the session tries again by itself.".to_owned(),
        };
        return begins.then(|| Told::new(NoticeKind::Limit, "has met a usage limit", body));
    }
    let blocked = state.claude_status == ClaudeStatus::Waiting && !state.started;
    let (title, what) = if news.failed && state.status == Status::Error {
        ("does not run", detail.error.clone())
    } else if news.waits && blocked {
        ("cannot start", detail.waiting_for.clone())
    } else if news.failed && state.claude_status == ClaudeStatus::Idle && detail.error.is_some() {
        ("ran into an error", detail.error.clone())
    } else {
        return None;
    };
    let lines = [what, detail.remedy.clone()].into_iter().flatten().collect::<Vec<_>>();
    Some(Told::new(NoticeKind::Error, title, lines.join("\n")))
}

fn quiet<'a>(news: &News, about: &About<'a>, now: Timestamp) -> Option<Told<'a>> {
    let since = about.session.state.detail.quiet_since.filter(|_| news.quiet)?;
    if about.session.is_elsewhere() {
        return None;
    }
    let body =
        format!("It is busy, but nothing was heard of it for {}.", span(now.ms_since(since)));
    Some(Told::new(NoticeKind::Quiet, "has gone quiet", body))
}

fn finished<'a>(news: &News, about: &About<'a>, rules: &Rules) -> Option<Told<'a>> {
    let turn = news.finished?;
    let state = &about.session.state;
    let long = turn.took_ms.is_none_or(|ms| ms >= rules.finished_after_ms);
    let well = state.claude_status == ClaudeStatus::Idle
        && state.detail.error.is_none()
        // Who interrupts is there.
        && state.evidence.what != "interrupted";
    if !long || !well || about.session.is_elsewhere() {
        return None;
    }
    let took = turn.took_ms.map(|ms| format!("The turn took {}.", span(ms)));
    Some(Told::new(NoticeKind::Finished, "has finished", took.unwrap_or_default()))
}

fn asked(request: &PermissionRequest) -> Asked {
    Asked { id: request.id, tool: shown(&request.tool), summary: shown(&request.summary) }
}

/// What a single request would do.
fn what(request: &PermissionRequest) -> String {
    let text = |key: &str| request.input.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    let whole = match request.tool.as_str() {
        PLAN => text("plan"),
        QUESTION => Some(question::listing(&question::questions(QUESTION, &request.input))),
        tool => subject(tool, &request.input).map(|subject| format!("{tool}: {subject}")),
    };
    whole.filter(|t| !t.trim().is_empty()).unwrap_or_else(|| request.summary.clone())
}

/// A text without secrets, cut to what is shown.
fn shown(text: &str) -> String {
    let scrubbed = scrub(cut(text, READ));
    let shown = cut(&scrubbed, LONGEST);
    let rest = if shown.len() < scrubbed.len() { "…" } else { "" };
    format!("{shown}{rest}")
}

fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// A span of time in words.
fn span(ms: i64) -> String {
    let s = ms.max(0) / 1_000;
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        _ => format!("{} h", s / 3_600),
    }
}

/// Hours of the day in which nothing is told: `22:00-07:00`, over midnight if the end is before the
/// beginning; none if empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours(Option<(u16, u16)>);

impl QuietHours {
    /// Whether they contain this minute of the day.
    pub fn contain(self, minute: u16) -> bool {
        match self.0 {
            None => false,
            Some((from, to)) if from < to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
        }
    }
}

impl TryFrom<String> for QuietHours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let minute = |clock: &str| {
            let (h, m) = clock.trim().split_once(':')?;
            let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
            let (h, m): (u16, u16) =
                (digits(h) && digits(m)).then(|| Some((h.parse().ok()?, m.parse().ok()?)))??;
            (h < 24 && m < 60).then_some(h * 60 + m)
        };
        let both = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match both {
            Some((from, to)) if from != to => Ok(Self(Some((from, to)))),
            _ => Err(format!("expected two times of the day such as 22:00-07:00, not {text:?}")),
        }
    }
}

impl From<QuietHours> for String {
    fn from(hours: QuietHours) -> Self {
        hours.to_string()
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((from, to)) = self.0 else { return Ok(()) };
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests;
