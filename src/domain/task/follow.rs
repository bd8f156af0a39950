//! What becomes of a task when its session moves.

use super::{Attempt, Task, TaskStatus};
use crate::domain::ids::MessageId;
use crate::domain::session::{ClaudeStatus, Session, Status};
use crate::domain::time::Timestamp;

/// What was heard of a session at once, besides its state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Prompts that arrived.
    pub delivered: Vec<MessageId>,
    /// Prompts that did not, and why.
    pub undelivered: Vec<(MessageId, String)>,
    /// The turn ended, and nothing goes on in the background.
    pub turn_ended: bool,
}

/// What becomes of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// It goes on as this.
    Becomes(TaskStatus),
    /// Its prompt did not arrive: it is pending again.
    Back(String),
    /// Its session is gone.
    Interrupted(String),
}

/// What becomes of a task at work, now that this was heard of its session and its state is this. The
/// same state again changes nothing more.
pub fn follow(
    task: &Task,
    attempt: &Attempt,
    session: &Session,
    heard: &Heard,
    now: Timestamp,
) -> Option<Move> {
    use TaskStatus::{Assigned, Running, Waiting};
    let state = &session.state;
    let ours = |message: &MessageId| attempt.message_id == Some(*message);
    let gone = session.hidden
        || state.claude_status == ClaudeStatus::Stopped
            && state.process.is_none()
            && state.status != Status::Paused
            && !session.starts_again(now);
    if let Some((_, why)) = heard.undelivered.iter().find(|(m, _)| ours(m))
        && task.status == Assigned
    {
        return Some(Move::Back(why.clone()));
    }
    if gone {
        let why = state.detail.error.clone().unwrap_or_else(|| "its session was ended".into());
        return Some(match task.status {
            Assigned => Move::Back(why),
            _ => Move::Interrupted(why),
        });
    }
    let delivered = heard.delivered.iter().any(ours);
    let asks = state.claude_status == ClaudeStatus::Waiting && state.started;
    let next = match task.status {
        Assigned if delivered && asks => Waiting,
        Assigned if delivered => Running,
        Running if asks => Waiting,
        Waiting if matches!(state.claude_status, ClaudeStatus::Busy | ClaudeStatus::Idle) => {
            Running
        }
        _ => return None,
    };
    Some(Move::Becomes(next))
}
