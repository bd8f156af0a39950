//! A session, as a list shows it.

use std::fmt::Write as _;

use crate::domain::ids::{SessionId, TaskId};
use crate::domain::message::Direction;
use crate::domain::session::{ClaudeStatus, Session, Status};
use crate::domain::time::Timestamp;
use crate::domain::todo::Progress;
use crate::services::glance::Glance;
use crate::services::sessions::Beside;
use crate::services::spending;
use crate::web::words;

/// A session, as a list shows it.
#[derive(Clone)]
pub struct Row {
    pub id: SessionId,
    pub name: String,
    pub status: ClaudeStatus,
    /// It runs, starts or can be resumed.
    pub active: bool,
    pub unsure: bool,
    /// Somebody else's terminal: Chorus listens only.
    pub elsewhere: bool,
    /// What the state rests on.
    pub evidence: String,
    pub at: Timestamp,
    /// What it does or waits for, in a few words.
    pub doing: String,
    pub error: String,
    pub remedy: String,
    pub limit_until: Option<Timestamp>,
    pub quiet_since: Option<Timestamp>,
    pub task: Option<(TaskId, String)>,
    pub branch: String,
    /// The beginning of what Claude said last.
    pub said: String,
    pub progress: Option<Progress>,
    /// The activity of the last half hour, as the path of an SVG of 120 by 24.
    pub spark: String,
    pub cost: String,
    /// How full the context is, in per cent.
    pub context: Option<i64>,
    pub queued: usize,
}

impl Row {
    /// Puts together what is known of a session.
    pub fn new(s: Session, beside: Beside, glance: Glance) -> Self {
        let d = &s.state.detail;
        let used = spending::used(&s);
        let said = glance.last.filter(|(who, _)| *who != Direction::User).map(|(_, words)| words);
        Self {
            id: s.id,
            status: s.state.claude_status,
            active: s.state.status == Status::Active,
            unsure: s.state.unsure,
            elsewhere: s.is_elsewhere(),
            evidence: words::evidence(&s.state),
            at: s.state.evidence.at,
            doing: words::doing(&s, &beside),
            error: d.error.clone().unwrap_or_default(),
            remedy: d.remedy.clone().unwrap_or_default(),
            limit_until: d.limit_until,
            quiet_since: d.quiet_since,
            task: s.task_id.map(|id| (id, beside.task.unwrap_or_default())),
            branch: beside.branch.unwrap_or_default(),
            said: said.unwrap_or_default(),
            progress: glance.progress,
            spark: spark(&glance.activity),
            cost: words::cost(&used),
            context: used.context.and_then(|c| c.percent),
            queued: beside.queued_messages,
            name: s.name.to_string(),
        }
    }

    /// Whether a person should look at it although it asks nothing.
    pub fn has_problem(&self) -> bool {
        !self.error.is_empty()
            || !self.remedy.is_empty()
            || self.limit_until.is_some()
            || self.quiet_since.is_some()
            || !self.active
    }

    /// Whether a prompt would be taken at once.
    pub fn takes_prompts(&self) -> bool {
        self.active && !self.elsewhere && self.status == ClaudeStatus::Idle
    }
}

/// Bars, the present minute at the right. A session that did nothing has none.
fn spark(activity: &[u16]) -> String {
    let most = activity.iter().copied().max().unwrap_or(0).max(6);
    let mut path = String::new();
    for (minute, count) in activity.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (u32::from(*count) * 22).div_ceil(u32::from(most));
        let _ = write!(path, "M{} 24v-{height}h3v{height}z", minute * 4);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::spark;

    #[test]
    fn bars_are_as_high_as_their_part_of_the_highest() {
        assert_eq!(spark(&[0, 0]), "");
        assert_eq!(spark(&[44, 0, 22]), "M0 24v-22h3v22zM8 24v-11h3v11z");
        // A single event does not fill the height.
        assert_eq!(spark(&[1]), "M0 24v-4h3v4z");
    }
}
