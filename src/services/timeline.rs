//! A session's conversation as people read it: what was said and what was called, in one order, from its
//! end backwards. What sub-agents did is beside the call that began them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use super::App;
use super::error::{Error, Thing};
use crate::domain::ids::{SessionId, ToolUseId};
use crate::domain::permission::PermissionRequest;
use crate::domain::record::{CommandLog, Message, ToolStatus};
use crate::domain::time::Timestamp;
use crate::store::{Cursor, logs, messages, permissions};

pub use crate::store::logs::Agent;

/// How long after its call a permission may be asked for: it waits for those before it.
const ASKED_WITHIN: i64 = 24 * 3_600_000;
/// A hook may tell of a request sooner than the transcript of its call. Milliseconds.
const EARLIER: i64 = 60_000;
/// Requests and sub-agents that are looked at for one page.
const MOST: u32 = 500;

/// One thing in a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Somebody said something.
    Said(Box<Message>),
    /// A tool was called.
    Called(Box<Call>),
    /// A sub-agent is at work, and which call began it is not known.
    Agent(Agent),
}

/// A call with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The call.
    pub log: CommandLog,
    /// The permission that it needed.
    pub request: Option<PermissionRequest>,
    /// The sub-agent that it began.
    pub agent: Option<String>,
}

/// A part of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Talk {
    /// What it holds, in order.
    pub entries: Vec<Entry>,
    /// Where what comes before it ends, if there is anything.
    pub earlier: Option<Place>,
}

/// A place in a conversation: what comes before it is meant. Written as `m` or `c` (a message or a call)
/// with a [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    called: bool,
    at: Cursor,
}

impl Place {
    fn end() -> Self {
        Self { called: true, at: Cursor { at: i64::MAX, id: i64::MAX.to_string() } }
    }

    /// At one time what was said comes first. So for messages, what is before it …
    fn of_messages(&self) -> Cursor {
        // "~" is after every id.
        let id = if self.called { "~".to_owned() } else { self.at.id.clone() };
        Cursor { at: self.at.at, id }
    }

    /// … and for calls.
    fn of_calls(&self) -> Cursor {
        let id = if self.called { self.at.id.clone() } else { "0".to_owned() };
        Cursor { at: self.at.at, id }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.called { 'c' } else { 'm' }, self.at)
    }
}

/// Text that is no place in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPlace;

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let called = match text.chars().next() {
            Some('c') => true,
            Some('m') => false,
            _ => return Err(BadPlace),
        };
        Ok(Self { called, at: text[1..].parse().map_err(|_| BadPlace)? })
    }
}

/// Reads the last so many entries before a place, or of all: of the session itself, or of one of its
/// sub-agents.
pub async fn read(
    app: &App,
    session: SessionId,
    agent: Option<&str>,
    before: Option<&Place>,
    limit: u32,
) -> Result<Talk, Error> {
    let end = Place::end();
    let place = before.unwrap_or(&end);
    // One more than wanted tells whether there is more.
    let more = limit + 1;
    let said = messages::before(&app.db, session, agent, &place.of_messages(), more).await?;
    let called = logs::before(&app.db, session, agent, &place.of_calls(), more).await?;
    let mut rows: Vec<Row> = said.into_iter().map(|m| Row::Said(Box::new(m))).collect();
    rows.extend(called.into_iter().map(|l| Row::Called(Box::new(l))));
    rows.sort_by_key(|row| Reverse(row.order()));
    let earlier = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let earlier = rows.last().filter(|_| earlier).map(Row::place);
    rows.reverse();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Talk::default()) };
    let from = first.order().0;
    // What the last entry began comes after it.
    let to = if before.is_none() { i64::MAX } else { last.order().0 };
    let asked = (from.saturating_sub(EARLIER), last.order().0.saturating_add(ASKED_WITHIN));
    let (from, to, asked) =
        (Timestamp(from), Timestamp(to), (Timestamp(asked.0), Timestamp(asked.1)));
    let requests = permissions::of_calls(&app.db, session, asked.0, asked.1, MOST).await?;
    let agents = match agent {
        // Those of a sub-agent's are beside the session's own.
        Some(_) => Vec::new(),
        None => logs::agents(&app.db, session, from, to, MOST).await?,
    };
    Ok(Talk { entries: arrange(rows, requests, agents), earlier })
}

/// Reads one call, whole.
pub async fn call(app: &App, session: SessionId, id: &ToolUseId) -> Result<CommandLog, Error> {
    let unknown = || Error::NotFound { what: Thing::Call, name: id.0.clone() };
    logs::by_call(&app.db, session, id).await?.ok_or_else(unknown)
}

enum Row {
    Said(Box<Message>),
    Called(Box<CommandLog>),
}

impl Row {
    /// Where it stands: time, kind, and among its kind.
    fn order(&self) -> (i64, bool, i64, String) {
        match self {
            Self::Said(m) => (m.timestamp.0, false, 0, m.id.to_string()),
            Self::Called(l) => (l.timestamp.0, true, l.id, String::new()),
        }
    }

    fn place(&self) -> Place {
        let at = match self {
            Self::Said(m) => Cursor { at: m.timestamp.0, id: m.id.to_string() },
            Self::Called(l) => Cursor { at: l.timestamp.0, id: l.id.to_string() },
        };
        Place { called: matches!(self, Self::Called(_)), at }
    }
}

/// Puts permissions and sub-agents to the calls that they belong to.
fn arrange(rows: Vec<Row>, requests: Vec<PermissionRequest>, agents: Vec<Agent>) -> Vec<Entry> {
    let of_call = |r: PermissionRequest| Some((r.tool_use_id.clone()?, r));
    let mut requests: HashMap<ToolUseId, PermissionRequest> =
        requests.into_iter().filter_map(of_call).collect();
    let mut known = HashSet::new();
    let mut entries: Vec<Entry> = rows
        .into_iter()
        .map(|row| match row {
            Row::Said(message) => Entry::Said(message),
            Row::Called(log) => {
                let agent = agent_of(&log);
                known.extend(agent.clone());
                let request = requests.remove(&log.tool_use_id);
                Entry::Called(Box::new(Call { log: *log, request, agent }))
            }
        })
        .collect();
    let mut unknown: Vec<Agent> =
        agents.into_iter().filter(|agent| !known.contains(&agent.id)).collect();
    // A call tells of its agent only when it is over. One that runs and one that is at work are a pair.
    let mut running: Vec<&mut Call> = entries.iter_mut().filter_map(begins).collect();
    if let ([call], [agent]) = (running.as_mut_slice(), unknown.as_slice())
        && call.log.timestamp <= agent.since
    {
        call.agent = Some(agent.id.clone());
        unknown.clear();
    }
    for agent in unknown {
        let at = entries.iter().position(|entry| time(entry) > agent.since);
        entries.insert(at.unwrap_or(entries.len()), Entry::Agent(agent));
    }
    entries
}

fn time(entry: &Entry) -> Timestamp {
    match entry {
        Entry::Said(message) => message.timestamp,
        Entry::Called(call) => call.log.timestamp,
        Entry::Agent(agent) => agent.since,
    }
}

/// The tools that begin a sub-agent: older versions call it a task.
fn is_agent_tool(tool: &str) -> bool {
    matches!(tool, "Agent" | "Task")
}

fn begins(entry: &mut Entry) -> Option<&mut Call> {
    match entry {
        Entry::Called(call)
            if is_agent_tool(&call.log.tool)
                && call.agent.is_none()
                && call.log.status == ToolStatus::Running =>
        {
            Some(call)
        }
        _ => None,
    }
}

/// The sub-agent that a call began. Claude Code says so in the call's result, as `agentId: …`.
fn agent_of(log: &CommandLog) -> Option<String> {
    if !is_agent_tool(&log.tool) {
        return None;
    }
    let result = log.result.as_deref()?;
    let (_, rest) = result.rsplit_once("agentId: ")?;
    let id: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written_and_what_is_none_is_refused() {
        for text in ["m-5_0199-a", "c17_3"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for bad in ["", "x17_3", "c", "m17", "ä17_3", "c17_'"] {
            assert_eq!(bad.parse::<Place>(), Err(BadPlace), "{bad:?}");
        }
    }

    #[test]
    fn at_one_time_words_come_before_calls() {
        let call: Place = "c17_3".parse().unwrap();
        let (said, called) = (call.of_messages(), call.of_calls());
        assert_eq!((said.to_string().as_str(), called.to_string().as_str()), ("17_~", "17_3"));
        let message: Place = "m17_ab".parse().unwrap();
        let (said, called) = (message.of_messages(), message.of_calls());
        assert_eq!((said.to_string().as_str(), called.to_string().as_str()), ("17_ab", "17_0"));
    }
}
