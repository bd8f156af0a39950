//! Tool calls and the permissions they need: which request belongs to which call, and what became
//! of it.

use super::{Change, Step};
use crate::domain::ids::{PermissionId, ToolUseId};
use crate::domain::observation::Observation;
use crate::domain::permission::{DecidedBy, PermissionStatus, Verdict};
use crate::domain::session::{ClaudeStatus, OpenRequest};
use crate::domain::time::Timestamp;

impl Step<'_> {
    pub(super) fn tool_started(
        &mut self,
        tool_use: &ToolUseId,
        tool: &str,
        digest: &str,
        agent: Option<&str>,
        o: &Observation,
    ) {
        let matched = self.state.open.iter_mut().find(|r| {
            r.tool_use_id.is_none()
                && r.tool == tool
                && r.input_digest == digest
                && r.agent_id.as_deref() == agent
        });
        if let Some(r) = matched {
            r.tool_use_id = Some(tool_use.clone());
            self.changes.push(Change::RequestMatched { id: r.id, tool_use: tool_use.clone() });
        }
        if o.at >= self.state.evidence.at
            && self.state.claude_status == ClaudeStatus::Busy
            && self.of_this_conversation(o)
        {
            self.state.detail.tool = Some(tool.to_owned());
        }
    }

    pub(super) fn tool_finished(&mut self, tool_use: &ToolUseId, denied: bool, o: &Observation) {
        let verdict = if denied { Verdict::Deny } else { Verdict::Allow };
        if let Some(i) =
            self.state.open.iter().position(|r| r.tool_use_id.as_ref() == Some(tool_use))
        {
            self.settle_by_outcome(i, verdict, o.at);
        }
        // A refused call may be the turn's end (a person's No) or not (a hook's): not for us.
        if !denied
            && self.of_this_conversation(o)
            && self.state.undecided().next().is_none()
            && o.at >= self.state.evidence.at
        {
            if self.state.claude_status == ClaudeStatus::Waiting {
                self.claim(ClaudeStatus::Busy, o, "tool finished");
            }
            if self.state.claude_status == ClaudeStatus::Busy {
                self.state.detail.tool = None;
            }
        }
    }

    pub(super) fn asked(
        &mut self,
        id: PermissionId,
        tool: &str,
        digest: &str,
        agent: Option<&str>,
        o: &Observation,
    ) {
        if let Some(r) = self.state.open.iter_mut().find(|r| r.id == id) {
            r.hook_gone = false;
            return;
        }
        // Within one agent Claude Code asks one after another: a new question means that the
        // earlier one has been answered, and if not here, then at the terminal.
        while let Some(i) = self.state.open.iter().position(|r| {
            r.agent_id.as_deref() == agent
                && r.asked_at <= o.at
                && (r.verdict.is_none() || r.delivered)
        }) {
            let settled = self.state.open.remove(i);
            if settled.verdict.is_none() {
                self.settled_in_terminal(settled.id, None);
            }
        }
        self.state.open.push(OpenRequest {
            id,
            asked_at: o.at,
            tool: tool.to_owned(),
            input_digest: digest.to_owned(),
            tool_use_id: None,
            agent_id: agent.map(str::to_owned),
            verdict: None,
            delivered: false,
            hook_gone: false,
            seen_waiting: false,
        });
        if self.claim(ClaudeStatus::Waiting, o, "PermissionRequest") {
            self.state.detail.tool = Some(tool.to_owned());
            self.state.detail.waiting_for = Some("permission prompt".into());
        }
    }

    pub(super) fn answer_delivered(&mut self, id: PermissionId, o: &Observation) {
        let Some(r) = self.state.open.iter_mut().find(|r| r.id == id) else { return };
        if r.verdict.is_none() || std::mem::replace(&mut r.delivered, true) {
            return;
        }
        self.changes.push(Change::Permission {
            id,
            status: PermissionStatus::Delivered,
            decided: None,
        });
        if self.state.undecided().next().is_none() {
            self.claim(ClaudeStatus::Busy, o, "permission answered");
        }
    }

    /// Claude Code ends the waiting hook when the dialog was answered with No, and when it ends.
    /// Whether the dialog is still open is for the state file to say.
    pub(super) fn hook_gone(&mut self, id: PermissionId) {
        if let Some(r) = self.state.open.iter_mut().find(|r| r.id == id) {
            r.hook_gone = true;
        }
        self.settle_by_file();
    }

    pub(super) fn honoured(&mut self, tool_use: &ToolUseId, verdict: Verdict) {
        let found =
            self.state.open.iter().position(|r| {
                r.tool_use_id.as_ref() == Some(tool_use) && r.verdict == Some(verdict)
            });
        if let Some(i) = found {
            let r = self.state.open.remove(i);
            self.changes.push(Change::Permission {
                id: r.id,
                status: PermissionStatus::Honoured,
                decided: None,
            });
        }
    }

    pub(super) fn settle_by_outcome(&mut self, i: usize, outcome: Verdict, _at: Timestamp) {
        let r = self.state.open.remove(i);
        match r.verdict {
            Some(v) if v == outcome => {
                self.changes.push(Change::Permission {
                    id: r.id,
                    status: PermissionStatus::Honoured,
                    decided: None,
                });
            }
            // Ours was not what happened: the terminal was faster.
            _ => self.settled_in_terminal(r.id, Some(outcome)),
        }
    }

    pub(super) fn settled_in_terminal(&mut self, id: PermissionId, verdict: Option<Verdict>) {
        self.changes.push(Change::Permission {
            id,
            status: PermissionStatus::AnsweredInTerminal,
            decided: Some((verdict, DecidedBy::Terminal)),
        });
    }

    /// The dialog is closed and we had no part in it.
    pub(super) fn answered_in_terminal(&mut self, at: Timestamp) {
        while let Some(i) = self.state.open.iter().position(|r| r.asked_at <= at) {
            let r = self.state.open.remove(i);
            if r.verdict.is_none() {
                self.settled_in_terminal(r.id, None);
            }
        }
    }

    pub(super) fn settle_undecided(&mut self, to: PermissionStatus, at: Timestamp) {
        while let Some(i) = self.state.open.iter().position(|r| r.asked_at <= at) {
            let r = self.state.open.remove(i);
            if !r.delivered {
                self.changes.push(Change::Permission { id: r.id, status: to, decided: None });
            }
        }
    }
}
