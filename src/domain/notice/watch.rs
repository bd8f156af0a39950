//! Reading from a session's events what is new about it.

use serde::Deserialize;

use super::{News, Turn};
use crate::domain::session::{ClaudeStatus, Detail, SessionState};
use crate::domain::time::Timestamp;

/// What a `claude_status` event says, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct Activity {
    /// From.
    pub old: ClaudeStatus,
    /// To.
    pub new: ClaudeStatus,
    /// More about it.
    #[serde(default)]
    pub detail: Detail,
    /// When.
    pub at: Timestamp,
}

/// What the events of one session have said so far: what stays the same is no news.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    turn: Option<Began>,
    waits_for: Option<Option<String>>,
    error: Option<String>,
    quiet_since: Option<Timestamp>,
}

/// When the present turn began.
#[derive(Clone, Copy, Debug)]
enum Began {
    At(Timestamp),
    /// Before anybody listened.
    Before,
}

impl Watch {
    /// Begins with how a session is: nothing of that is news.
    pub fn of(state: &SessionState) -> Self {
        let turns = matches!(state.claude_status, ClaudeStatus::Busy | ClaudeStatus::Waiting);
        let waits = state.claude_status == ClaudeStatus::Waiting;
        Self {
            turn: (turns && state.started).then_some(Began::Before),
            waits_for: waits.then(|| state.detail.waiting_for.clone()),
            error: state.detail.error.clone(),
            quiet_since: state.detail.quiet_since,
        }
    }

    /// What a `claude_status` event, the log's `event_id`, says anew.
    pub fn hear(&mut self, event_id: i64, activity: Activity) -> News {
        let Activity { old, new, detail, at } = activity;
        let mut news = News { event_id, ..News::default() };
        match new {
            ClaudeStatus::Busy => {
                self.turn.get_or_insert(Began::At(at));
            }
            ClaudeStatus::Idle if old != new => {
                news.finished = self.turn.take().map(|began| Turn {
                    took_ms: match began {
                        Began::At(began) => Some(at.ms_since(began)),
                        Began::Before => None,
                    },
                });
            }
            ClaudeStatus::Stopped => self.turn = None,
            _ => {}
        }
        let waits_for = (new == ClaudeStatus::Waiting).then_some(detail.waiting_for);
        news.waits = waits_for.is_some() && waits_for != self.waits_for;
        news.failed = detail.error.is_some() && detail.error != self.error;
        news.quiet = detail.quiet_since.is_some() && detail.quiet_since != self.quiet_since;
        (self.waits_for, self.error, self.quiet_since) =
            (waits_for, detail.error, detail.quiet_since);
        news
    }
}
