//! Tool calls and the permissions they need: which request belongs to which call, and what became
//! of it.

use super::{Change, Step};
use crate::domain::ids::{PermissionId, ToolUseId};
use crate::domain::observation::Observation;
use crate::domain::permission::{DecidedBy, PermissionStatus, Verdict};
use crate::domain::session::{ClaudeStatus, OpenRequest, StartedCall};
use crate::domain::time::Timestamp;

/// Calls that are remembered until they end. Claude Code runs a few at a time.
const CALLS: usize = 32;

impl Step<'_> {
    pub(super) fn tool_started(
        &mut self,
        tool_use: &ToolUseId,
        tool: &str,
        digest: &str,
        agent: Option<&str>,
        o: &Observation,
    ) {
        let open = &mut self.state.open;
        // Two calls may be alike, and one call may be told of twice.
        let told = open.iter().any(|r| r.tool_use_id.as_ref() == Some(tool_use));
        let matched = open.iter_mut().find(|r| {
            !told
                && r.tool_use_id.is_none()
                && r.tool == tool
                && r.input_digest == digest
                && r.agent_id.as_deref() == agent
        });
        if let Some(r) = matched {
            r.tool_use_id = Some(tool_use.clone());
            self.changes.push(Change::RequestMatched { id: r.id, tool_use: tool_use.clone() });
        } else if !told && !self.state.calls.iter().any(|call| call.id == *tool_use) {
            if self.state.calls.len() == CALLS {
                self.state.calls.remove(0);
            }
            self.state.calls.push(StartedCall {
                id: tool_use.clone(),
                tool: tool.to_owned(),
                input_digest: digest.to_owned(),
                agent_id: agent.map(str::to_owned),
            });
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
        self.state.calls.retain(|call| call.id != *tool_use);
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
        // What was answered here stays, until the outcome of its call is told.
        while let Some(i) = self.state.open.iter().position(|r| {
            r.agent_id.as_deref() == agent && r.asked_at <= o.at && r.verdict.is_none()
        }) {
            let settled = self.state.open.remove(i);
            self.settled_in_terminal(settled.id, None);
        }
        // The call is told of before the question about it, by the transcript or a hook.
        let call = self.state.calls.iter().position(|call| {
            call.tool == tool && call.input_digest == digest && call.agent_id.as_deref() == agent
        });
        let call = call.map(|i| self.state.calls.remove(i).id);
        if let Some(tool_use) = call.clone() {
            self.changes.push(Change::RequestMatched { id, tool_use });
        }
        self.state.open.push(OpenRequest {
            id,
            asked_at: o.at,
            tool: tool.to_owned(),
            input_digest: digest.to_owned(),
            tool_use_id: call,
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
        self.state.answered_at = Some(o.at);
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
        // A decision that Claude never heard of was overtaken too.
        for id in self.take_unanswered(at) {
            self.settled_in_terminal(id, None);
        }
    }

    pub(super) fn settle_undecided(&mut self, to: PermissionStatus, at: Timestamp) {
        for id in self.take_unanswered(at) {
            self.changes.push(Change::Permission { id, status: to, decided: None });
        }
    }

    /// What was delivered and has left no trace by now will leave none.
    pub(super) fn settle_unproved(&mut self) {
        for r in self.state.open.extract_if(.., |r| r.delivered) {
            self.changes.push(Change::Permission {
                id: r.id,
                status: PermissionStatus::Cancelled,
                decided: None,
            });
        }
    }

    /// Takes out the requests that no answer of ours was delivered to. The others stay: what became
    /// of them is in the transcript, which Claude Code writes a moment after its turn has ended.
    fn take_unanswered(&mut self, at: Timestamp) -> Vec<PermissionId> {
        let (taken, kept) = std::mem::take(&mut self.state.open)
            .into_iter()
            .partition(|r| r.asked_at <= at && !r.delivered);
        self.state.open = kept;
        taken.into_iter().map(|r: OpenRequest| r.id).collect()
    }
}
