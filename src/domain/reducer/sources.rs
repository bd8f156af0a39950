//! The slower sources, which have the last word: the state file, the process table, time.

use super::{
    Change, DOUBT_AFTER_MS, FILE_WINS_AFTER_MS, PROOF_LIMIT_MS, SKEW_MS, START_LIMIT_MS, Step,
};
use crate::domain::observation::{Fact, Observation};
use crate::domain::permission::PermissionStatus;
use crate::domain::session::{ClaudeStatus, Detail, Evidence, FileView, Source, Status};
use crate::domain::time::Timestamp;

/// Unasked ends that are remembered.
const CRASHES: usize = 16;

impl Step<'_> {
    pub(super) fn state_file(
        &mut self,
        status: ClaudeStatus,
        waiting_for: Option<String>,
        o: &Observation,
        now: Timestamp,
    ) {
        if self.state.file.as_ref().is_some_and(|f| f.at > o.at) {
            return;
        }
        if let Some(id) = &o.conversation
            && self.state.conversation.as_ref() != Some(id)
            && o.at > self.state.evidence.at
        {
            // A SessionStart was missed: the file knows the conversation.
            self.switch_conversation(id);
        }
        if status == ClaudeStatus::Waiting {
            let latest = o.at.plus_ms(SKEW_MS);
            for r in self.state.open.iter_mut().filter(|r| r.asked_at <= latest) {
                r.seen_waiting = true;
            }
        }
        self.state.file = Some(FileView { status, at: o.at, waiting_for });
        self.settle_by_file();
        self.follow_file(now);
    }

    /// Settles requests whose dialog the state file shows to be closed.
    pub(super) fn settle_by_file(&mut self) {
        let Some(file) = self.state.file.clone() else { return };
        if file.status == ClaudeStatus::Waiting {
            return;
        }
        while let Some(i) = self.state.open.iter().position(|r| {
            r.verdict.is_none() && file.at > r.asked_at && (r.seen_waiting || r.hook_gone)
        }) {
            let r = self.state.open.remove(i);
            self.settled_in_terminal(r.id, None);
        }
    }

    /// Takes over the state file's status where it is newer, or has been contradicted for long.
    pub(super) fn follow_file(&mut self, now: Timestamp) {
        let Some(file) = self.state.file.clone() else { return };
        if self.state.process.is_none() && self.state.claude_status == ClaudeStatus::Stopped {
            return;
        }
        let shown = self.state.claude_status;
        let newer = file.at >= self.state.evidence.at;
        // The dialog that was just answered, told late.
        let answered = self.state.answered_at.is_some_and(|t| file.at <= t.plus_ms(SKEW_MS));
        if answered
            && file.status == ClaudeStatus::Waiting
            && self.state.undecided().next().is_none()
        {
            return;
        }
        let overdue = file.status != shown
            && matches!(shown, ClaudeStatus::Idle | ClaudeStatus::Busy | ClaudeStatus::Waiting)
            && now.ms_since(self.state.evidence.at) >= FILE_WINS_AFTER_MS;
        if !newer && !overdue {
            return;
        }
        // A question whose hook still waits is open, whatever a sub-agent or the file makes of it.
        let asked = self.state.undecided().any(|r| !r.hook_gone);
        let status = if asked && file.status != ClaudeStatus::Waiting {
            ClaudeStatus::Waiting
        } else {
            file.status
        };
        // Before the conversation begins the file says `idle` behind a start-up dialog.
        if !self.state.started && status == ClaudeStatus::Idle {
            return;
        }
        let at = if newer { file.at } else { self.state.evidence.at };
        let what = status.as_str().to_owned();
        let o = Observation {
            at,
            source: Source::StateFile,
            generation: None,
            conversation: None,
            fact: Fact::Noted,
        };
        let before = self.state.claude_status;
        if before == status && !newer {
            return;
        }
        let keep = (before == status).then(|| self.state.detail.clone());
        if self.claim(status, &o, &what) {
            if let Some(detail) = keep {
                self.state.detail = detail;
            }
            if status == ClaudeStatus::Waiting && self.state.detail.waiting_for.is_none() {
                self.state.detail.waiting_for = file.waiting_for;
            }
        }
    }

    pub(super) fn process_gone(&mut self, how: Option<&str>, orderly: bool, o: &Observation) {
        let s = &mut *self.state;
        // Two may notice the same death in the same moment: it counts once.
        let told = s.claude_status == ClaudeStatus::Stopped && s.status != Status::Active;
        if told && s.process.is_none() {
            return;
        }
        let ended = s.ending || orderly;
        s.process = None;
        s.file = None;
        s.claude_status = ClaudeStatus::Stopped;
        s.evidence =
            Evidence { source: o.source, what: "exited".into(), at: o.at.max(s.evidence.at) };
        s.unsure = false;
        let blocked = s.detail.waiting_for.take().filter(|_| !s.started);
        let mut detail = Detail::default();
        if s.pausing {
            s.status = Status::Paused;
        } else if ended {
            s.status = Status::Completed;
        } else {
            s.status = Status::Error;
            if s.started {
                s.crashes.truncate(CRASHES - 1);
                s.crashes.insert(0, o.at);
            }
            let how = how.unwrap_or("the process is gone");
            detail.error = Some(match blocked {
                Some(dialog) => format!("Claude Code did not start ({dialog}): {how}"),
                None => format!("Claude Code ended unasked: {how}"),
            });
            detail.remedy = s.detail.remedy.take().or_else(|| {
                Some("`chorus restart` starts it again with the same conversation".to_owned())
            });
        }
        s.detail = detail;
        self.settle_undecided(PermissionStatus::Cancelled, Timestamp(i64::MAX));
        if self.state.sending.is_some() {
            self.undelivered("Claude Code ended before it took the prompt");
        }
        if let Some(id) = self.state.conversation.clone() {
            self.changes.push(Change::ConversationEnded { id, reason: "process ended".into() });
        }
    }

    pub(super) fn tick(
        &mut self,
        quiet_since: Option<Timestamp>,
        decision_limit_ms: i64,
        now: Timestamp,
    ) {
        let expired: Vec<_> = self
            .state
            .undecided()
            .filter(|r| now.ms_since(r.asked_at) > decision_limit_ms)
            .map(|r| r.id)
            .collect();
        for id in expired {
            self.state.open.retain(|r| r.id != id);
            self.changes.push(Change::Permission {
                id,
                status: PermissionStatus::Expired,
                decided: None,
            });
        }
        if let Some(file) = &self.state.file
            && file.status != ClaudeStatus::Waiting
        {
            // The file has been past the question for a while: it was answered unseen.
            let at = file.at;
            for r in self.state.open.iter_mut() {
                if at > r.asked_at && now.ms_since(at) >= FILE_WINS_AFTER_MS {
                    r.seen_waiting = true;
                }
            }
            self.settle_by_file();
        }
        self.follow_file(now);
        if matches!(self.state.claude_status, ClaudeStatus::Idle | ClaudeStatus::Stopped)
            && now.ms_since(self.state.evidence.at) > PROOF_LIMIT_MS
        {
            self.settle_unproved();
        }
        let s = &mut *self.state;
        if !s.started
            && s.claude_status == ClaudeStatus::Starting
            && now.ms_since(s.launched_at) > START_LIMIT_MS
            && s.detail.error.is_none()
        {
            s.status = Status::Error;
            s.detail.error =
                Some(format!("Claude Code has not started after {} s", START_LIMIT_MS / 1000));
            s.detail.remedy = Some(
                "`chorus attach` shows its terminal; `chorus doctor` checks the installation"
                    .into(),
            );
        }
        s.detail.quiet_since = quiet_since.filter(|_| s.claude_status == ClaudeStatus::Busy);
        s.unsure = s.detail.quiet_since.is_some()
            || s.file.is_none()
                && matches!(s.claude_status, ClaudeStatus::Busy | ClaudeStatus::Waiting)
                && s.started
                && now.ms_since(s.evidence.at) > DOUBT_AFTER_MS;
    }
}
