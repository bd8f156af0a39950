//! Rules: what is allowed, asked or denied without anybody being asked each time.
//!
//! A rule that denies goes before one that asks, and that before one that allows; among rules of
//! one action the oldest decides. What a pattern means depends on the action, and is always read so
//! that a mistake asks once too often: an allowance must cover the whole call for certain, a denial
//! is enough if any part of it may be meant. `matching` has the details.

mod matching;
mod proposal;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{ProjectId, RuleId, SessionId};
use super::names::names;
use super::permission::{is_dialogue, subject};
use super::scrub::scrub;
use super::time::Timestamp;

pub use matching::{Call, Place, normalised};
pub use proposal::proposals;

/// The longest pattern. Characters.
const PATTERN_LIMIT: usize = 2_000;
/// The most `*` in one pattern: what matching costs grows with them.
const STARS: usize = 16;
/// The longest note. Characters.
const NOTE_LIMIT: usize = 1_000;

/// How much of a rule's words a request remembers. Characters.
const WORDS_KEPT: usize = 1_000;

/// What a rule does with a call that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    // In the order of precedence.
    /// It does not run, and Claude is told so.
    Deny,
    /// People are asked, even where another rule would allow it.
    Ask,
    /// It runs. Never a plan or a question: those are for people.
    Allow,
}

names!(RuleAction { Deny => "deny", Ask => "ask", Allow => "allow" });

/// Which calls a rule is about. What is not given matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pattern {
    /// The tool's name; `*` matches any part of it: `Bash`, `mcp__demo__*`.
    pub tool: String,
    /// The command, in which `*` stands for anything (`\*` for itself): `git *`. In a rule that
    /// allows, `*` takes in no `; & | < > ( ) ${`, no backtick and no line's end, and the whole
    /// command must match. In others it is enough that one simple command in it matches. For
    /// `WebFetch` this is the address, for `WebSearch` the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The file, relative to the project's folder or absolute: `src/**`, `/etc/*`. `*` stays within
    /// a folder, `**` does not. In a rule that allows, both the path as it is written and the real
    /// one, symbolic links followed, must match; in others either is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// What it does.
    pub action: RuleAction,
    /// Which calls it is about.
    #[serde(flatten)]
    pub pattern: Pattern,
    /// Only in this project.
    pub project_id: Option<ProjectId>,
    /// Only in this session.
    pub session_id: Option<SessionId>,
    /// Why it is there, for people; Claude is told it with a denial.
    pub note: Option<String>,
    /// The rule in words.
    pub words: String,
    /// Who made it: `cli`, `dashboard` or `api`.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// How many requests it has decided, or left to people.
    pub hits: i64,
    /// When it did that last.
    pub last_hit_at: Option<Timestamp>,
}

/// A rule that decided a request, or left it to people, as the request remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMatch {
    /// Which.
    pub id: RuleId,
    /// The rule in words, scrubbed.
    pub words: String,
}

impl RuleMatch {
    /// What a request remembers of a rule.
    pub fn of(rule: &Rule) -> Self {
        let words = scrub(&rule.words);
        let words = match words.char_indices().nth(WORDS_KEPT) {
            Some((cut, _)) => format!("{}…", &words[..cut]),
            None => words.into_owned(),
        };
        Self { id: rule.id, words }
    }
}

impl Pattern {
    /// The pattern that matches this very call: what "allow for the session" makes a rule of. Plans
    /// and questions have none. A tool without a subject is matched whatever its input.
    pub fn exactly(tool: &str, input: &serde_json::Value) -> Option<Self> {
        if is_dialogue(tool) {
            return None;
        }
        let subject = subject(tool, input);
        let (command, path) = match subject {
            Some(subject) if is_of_files(tool) => (None, Some(escaped(&subject))),
            Some(subject) => (Some(escaped(&subject)), None),
            None => (None, None),
        };
        Some(Self { tool: escaped(tool), command, path })
    }

    /// The pattern in words.
    pub fn words(&self) -> String {
        let tool = match self.tool.as_str() {
            "*" => "any tool".to_owned(),
            tool => literally(tool).unwrap_or_else(|| tool.to_owned()),
        };
        let with = |pattern: &str, exact: &str, like: &str| match literally(pattern) {
            Some(text) => format!(" with {exact}: {text}"),
            None => format!(" with {like}: {pattern}"),
        };
        let mut words = tool;
        match (&self.command, &self.path) {
            (None, None) => words.push_str(" with any input"),
            (command, path) => {
                if let Some(command) = command {
                    words.push_str(&with(command, "exactly", "anything like"));
                }
                if let Some(path) = path {
                    words.push_str(&with(path, "exactly the file", "files like"));
                }
            }
        }
        words
    }

    /// Checks it: the field to blame, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let known = |c: char| c.is_ascii_alphanumeric() || r"_-.:*\".contains(c);
        if self.tool.is_empty() || !self.tool.chars().all(known) {
            return Err(("tool", "expected a tool's name, such as Bash or mcp__demo__*".into()));
        }
        let patterns = [
            ("tool", Some(&self.tool)),
            ("command", self.command.as_ref()),
            ("path", self.path.as_ref()),
        ];
        for (field, pattern) in patterns {
            let Some(pattern) = pattern else { continue };
            let unusable = pattern.is_empty() || pattern.contains('\0');
            if unusable || pattern.chars().count() > PATTERN_LIMIT {
                return Err((field, format!("expected 1 to {PATTERN_LIMIT} characters")));
            }
            if pattern.matches('*').count() > STARS && literally(pattern).is_none() {
                return Err((field, format!("at most {STARS} `*`")));
            }
        }
        if let Some(path) = &self.path {
            if path.split('/').any(|part| part == "..") {
                return Err(("path", "`..` is resolved in calls; a pattern has none".into()));
            }
            if path.starts_with('~') {
                return Err((
                    "path",
                    "begins with / or is relative to the project's folder".into(),
                ));
            }
        }
        Ok(())
    }
}

impl Rule {
    /// A new rule, for every project and session.
    pub fn new(action: RuleAction, pattern: Pattern, created_by: &str, at: Timestamp) -> Self {
        let rule = Self {
            id: RuleId::new(),
            action,
            pattern,
            project_id: None,
            session_id: None,
            note: None,
            words: String::new(),
            created_by: created_by.to_owned(),
            created_at: at,
            updated_at: at,
            hits: 0,
            last_hit_at: None,
        };
        rule.reworded()
    }

    /// What a rule does, in words, to be shown before it is made and wherever it has decided.
    pub fn describe(action: RuleAction, pattern: &Pattern, project: bool, session: bool) -> String {
        let place = match (session, project) {
            (true, _) => ", in one session",
            (false, true) => ", in one project",
            (false, false) => ", everywhere",
        };
        let action = if action == RuleAction::Ask { "ask about" } else { action.as_str() };
        format!("{action} {}{place}", pattern.words())
    }

    /// Sets [`Self::words`] anew.
    pub fn reworded(mut self) -> Self {
        let (project, session) = (self.project_id.is_some(), self.session_id.is_some());
        self.words = Self::describe(self.action, &self.pattern, project, session);
        self
    }

    /// Checks a note.
    pub fn check_note(note: &str) -> Result<(), (&'static str, String)> {
        let unusable = note.trim().is_empty() || note.contains('\0');
        if unusable || note.chars().count() > NOTE_LIMIT {
            return Err(("note", format!("expected 1 to {NOTE_LIMIT} characters")));
        }
        Ok(())
    }

    /// Whether it is about this call.
    pub fn matches(&self, call: &Call<'_>) -> bool {
        self.session_id.is_none_or(|id| id == call.session)
            && self.project_id.is_none_or(|id| Some(id) == call.project)
            && !(self.action == RuleAction::Allow && is_dialogue(call.tool))
            && matching::matches(&self.pattern, self.action, call)
    }

    /// What Claude is told when the rule denies.
    pub fn refusal(&self) -> String {
        let why = self.note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
        format!("A rule of the user's does not allow this: {}{why}.", self.words)
    }
}

/// The rule that decides a call, if one does.
pub fn deciding<'r>(
    rules: impl IntoIterator<Item = &'r Rule>,
    call: &Call<'_>,
) -> Option<&'r Rule> {
    rules
        .into_iter()
        .filter(|rule| rule.matches(call))
        .min_by_key(|rule| (rule.action, rule.created_at, rule.id))
}

/// Whether a tool's subject is a file.
fn is_of_files(tool: &str) -> bool {
    matches!(tool, "Write" | "Edit" | "MultiEdit" | "Read" | "NotebookEdit")
}

/// The file that a call is about.
pub fn file<'i>(tool: &str, input: &'i serde_json::Value) -> Option<&'i str> {
    let key = match tool {
        "NotebookEdit" => "notebook_path",
        "Glob" | "Grep" | "LS" => "path",
        tool if is_of_files(tool) => "file_path",
        _ => return None,
    };
    input.get(key)?.as_str()
}

/// A pattern that matches this text only.
pub fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('*', r"\*")
}

/// The one text that a pattern matches; `None` if it matches several.
fn literally(pattern: &str) -> Option<String> {
    matching::parse(pattern).into_iter().try_fold(String::new(), |mut text, token| match token {
        matching::Token::Char(c) => {
            text.push(c);
            Some(text)
        }
        matching::Token::Star => None,
    })
}

#[cfg(test)]
mod tests;
