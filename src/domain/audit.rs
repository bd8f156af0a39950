//! The audit log: who did what, each entry bound to the one before it.
//!
//! An entry's hash is the SHA-256, in lower-case hexadecimal, of the text `chorus-audit-1` followed
//! by the entry's fields in this order: the hash of the entry before it (64 zeros before the first),
//! the time in milliseconds since the Unix epoch, the actor's kind, the actor's name, the action, the
//! session's id, the subject's id, the data as it is stored. Each field is written as its length in
//! bytes in decimal, `:`, and its bytes; one that is absent as `-`. So no two entries are written
//! alike, and none can be changed, taken out or moved without its followers showing it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::hex::hex;
use super::ids::{RuleId, SessionId};
use super::message::MessageSource;
use super::permission::DecidedBy;
use super::scrub::scrub_json;
use super::time::Timestamp;

/// What the first entry follows.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// `cli`, `dashboard`, `api`, `rule`, `terminal` or `chorus` itself.
    pub kind: String,
    /// Which of that kind: a rule's id.
    pub name: Option<String>,
}

impl Actor {
    fn of_kind(kind: &str) -> Self {
        Self { kind: kind.to_owned(), name: None }
    }

    /// Chorus itself: time passed.
    pub fn chorus() -> Self {
        Self::of_kind("chorus")
    }

    /// A rule.
    pub fn rule(id: RuleId) -> Self {
        Self { kind: DecidedBy::Rule.as_str().to_owned(), name: Some(id.to_string()) }
    }
}

impl From<DecidedBy> for Actor {
    fn from(by: DecidedBy) -> Self {
        Self::of_kind(by.as_str())
    }
}

impl From<MessageSource> for Actor {
    fn from(source: MessageSource) -> Self {
        Self::of_kind(source.as_str())
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}:{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// An act, about to be written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: `permission.decided`, `rule.created`, …
    pub action: &'static str,
    /// The session that it concerns.
    pub session: Option<SessionId>,
    /// What it was done to: the id of a request, a rule, a session, a project.
    pub subject: Option<String>,
    /// More, as JSON, scrubbed.
    pub data: String,
}

impl Act {
    /// An act. The data is scrubbed here.
    pub fn new(
        at: Timestamp,
        actor: Actor,
        action: &'static str,
        mut data: serde_json::Value,
    ) -> Self {
        scrub_json(&mut data);
        Self { at, actor, action, session: None, subject: None, data: data.to_string() }
    }

    /// It concerns this session.
    pub fn session(mut self, id: SessionId) -> Self {
        self.session = Some(id);
        self
    }

    /// It was done to this.
    pub fn subject(mut self, id: impl ToString) -> Self {
        self.subject = Some(id.to_string());
        self
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place: 1, 2, 3, …
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: `permission.decided`, `rule.created`, …
    pub action: String,
    /// The session that it concerns.
    pub session_id: Option<String>,
    /// What it was done to: the id of a request, a rule, a session, a project.
    pub subject_id: Option<String>,
    /// More, as JSON text, exactly as it was hashed.
    pub data: String,
    /// The hash of the entry before it.
    pub prev: String,
    /// Its own.
    pub hash: String,
}

impl Entry {
    /// Makes the entry that follows another: its id and hash.
    pub fn after((id, prev): (i64, &str), act: Act) -> Self {
        let mut entry = Self {
            id: id + 1,
            at: act.at,
            actor: act.actor,
            action: act.action.to_owned(),
            session_id: act.session.map(|s| s.to_string()),
            subject_id: act.subject,
            data: act.data,
            prev: prev.to_owned(),
            hash: String::new(),
        };
        entry.hash = entry.sealed();
        entry
    }

    /// The hash that it must have.
    fn sealed(&self) -> String {
        let at = self.at.0.to_string();
        let fields = [
            Some(self.prev.as_str()),
            Some(&at),
            Some(&self.actor.kind),
            self.actor.name.as_deref(),
            Some(&self.action),
            self.session_id.as_deref(),
            self.subject_id.as_deref(),
            Some(&self.data),
        ];
        let mut hash = Sha256::new();
        hash.update("chorus-audit-1");
        for field in fields {
            match field {
                Some(text) => {
                    hash.update(text.len().to_string());
                    hash.update(":");
                    hash.update(text);
                }
                None => hash.update("-"),
            }
        }
        hex(&hash.finalize())
    }
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The entry's content is not what was hashed.
    Changed,
    /// Entries before this one are gone.
    Missing,
    /// The entry does not follow the one before it: they were exchanged, or that one was written
    /// anew.
    Reordered,
}

/// Goes through a log from its beginning.
#[derive(Clone, Debug)]
pub struct Checker {
    last: (i64, String),
}

impl Default for Checker {
    fn default() -> Self {
        Self { last: (0, GENESIS.to_owned()) }
    }
}

impl Checker {
    /// The last entry that was found good; 0 before the first.
    pub fn last_id(&self) -> i64 {
        self.last.0
    }

    /// The last entry's hash.
    pub fn last_hash(&self) -> &str {
        &self.last.1
    }

    /// Looks at the next entry.
    pub fn next(&mut self, entry: &Entry) -> Result<(), Damage> {
        if entry.hash != entry.sealed() {
            return Err(Damage::Changed);
        }
        if entry.id != self.last.0 + 1 {
            return Err(Damage::Missing);
        }
        if entry.prev != self.last.1 {
            return Err(Damage::Reordered);
        }
        self.last = (entry.id, entry.hash.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Act, Actor, Checker, Damage, Entry, GENESIS};
    use crate::domain::time::Timestamp;

    fn log(texts: &[String]) -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let last = log.last().map_or((0, GENESIS.to_owned()), |e| (e.id, e.hash.clone()));
            let act = Act::new(Timestamp(i as i64), Actor::chorus(), "rule.created", json!(text));
            log.push(Entry::after((last.0, &last.1), act));
        }
        log
    }

    fn check(log: &[Entry]) -> Result<(), (i64, Damage)> {
        let mut checker = Checker::default();
        log.iter().try_for_each(|e| checker.next(e).map_err(|d| (e.id, d)))
    }

    proptest! {
        #[test]
        fn any_single_tampering_is_found_where_it_is(
            texts in proptest::collection::vec(".{0,20}", 3..8),
            at in 0usize..7,
        ) {
            let whole = log(&texts);
            prop_assert_eq!(check(&whole), Ok(()));
            let at = at % whole.len();
            let id = whole[at].id;

            let mut changed = whole.clone();
            changed[at].data.push(' ');
            prop_assert_eq!(check(&changed), Err((id, Damage::Changed)));
            let mut changed = whole.clone();
            changed[at].actor.name = Some(String::new());
            prop_assert_eq!(check(&changed), Err((id, Damage::Changed)));

            if at + 1 < whole.len() {
                let mut missing = whole.clone();
                missing.remove(at);
                prop_assert_eq!(check(&missing), Err((id + 1, Damage::Missing)));
                let mut moved = whole.clone();
                moved.swap(at, at + 1);
                let (a, b) = (moved[at].id, moved[at + 1].id);
                (moved[at].id, moved[at + 1].id) = (b, a);
                prop_assert_eq!(check(&moved), Err((id, Damage::Reordered)));
            }
        }
    }

    #[test]
    fn the_encoding_is_as_documented() {
        let entry = &log(&["x".to_owned()])[0];
        // printf 'chorus-audit-164:<64 zeros>1:06:chorus-12:rule.created--3:"x"' | sha256sum
        assert_eq!(entry.hash, EXPECTED);
    }

    const EXPECTED: &str = "6c7cab673242ca9920de284e8c7ab60f4300cd0dda2d508239a10f18c9d1daf7";
}
