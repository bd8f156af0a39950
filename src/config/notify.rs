//! The settings of notices: the table `[notify]`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::notice::{NoticeKind, QuietHours, Rules};

/// What people are told of without looking, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// Tell of permission requests, plans and questions.
    pub permission: bool,
    /// Tell of turns that have ended.
    pub finished: bool,
    /// Tell of errors, crashes and starts that are blocked.
    pub error: bool,
    /// Tell of usage limits that begin.
    pub limit: bool,
    /// Tell of sessions that are busy and silent (see `quiet_after`).
    pub quiet: bool,
    /// Seconds that a turn has to take for its end to be told.
    pub finished_after: f64,
    /// Seconds in which what happens in one session becomes one notice. What is settled before they
    /// are over is not told.
    pub gather: f64,
    /// Hours in which nothing is told, such as `22:00-07:00`, in this machine's time zone.
    pub quiet_hours: QuietHours,
    /// Tell of permission requests in these hours, too.
    pub quiet_permissions: bool,
    /// Tell on the desktop.
    pub desktop: bool,
    /// Tell on the desktop also what a page in a browser shows already.
    pub desktop_with_page: bool,
    /// Tell in the terminals that are attached to sessions, with their bell.
    pub terminal: bool,
    /// A program with its arguments that is given every notice as JSON on its standard input; none if
    /// empty. No shell reads it.
    pub command: Vec<String>,
    /// Seconds after which that program is ended.
    pub command_timeout: f64,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            permission: true,
            finished: true,
            error: true,
            limit: true,
            quiet: true,
            finished_after: 30.0,
            gather: 1.0,
            quiet_hours: QuietHours::default(),
            quiet_permissions: false,
            desktop: true,
            desktop_with_page: false,
            terminal: true,
            command: Vec::new(),
            command_timeout: 10.0,
        }
    }
}

impl Notify {
    /// Whether each setting is in its range, and what is expected.
    pub(super) fn checks(&self) -> [(&'static str, bool, &'static str); 4] {
        let found = |program: &String| {
            let path = Path::new(program);
            !program.is_empty() && (path.is_absolute() || !program.contains('/'))
        };
        [
            (
                "notify.finished_after",
                (0.0..=86_400.0).contains(&self.finished_after),
                "expected 0 to 86400 seconds",
            ),
            ("notify.gather", (0.0..=60.0).contains(&self.gather), "expected 0 to 60 seconds"),
            (
                "notify.command_timeout",
                (0.1..=50.0).contains(&self.command_timeout),
                "expected 0.1 to 50 seconds",
            ),
            (
                "notify.command",
                self.command.first().is_none_or(found),
                "expected a program, by its name or its absolute path, and then its arguments",
            ),
        ]
    }

    /// What is to be told.
    pub fn rules(&self) -> Rules {
        let kinds = [
            (self.permission, NoticeKind::Permission),
            (self.finished, NoticeKind::Finished),
            (self.error, NoticeKind::Error),
            (self.limit, NoticeKind::Limit),
            (self.quiet, NoticeKind::Quiet),
        ];
        #[expect(clippy::cast_possible_truncation, reason = "its range is checked")]
        let finished_after_ms = (self.finished_after * 1_000.0) as i64;
        Rules {
            kinds: kinds.into_iter().filter(|(on, _)| *on).map(|(_, kind)| kind).collect(),
            finished_after_ms,
            quiet_hours: self.quiet_hours,
            quiet_permissions: self.quiet_permissions,
        }
    }
}
