//! Lines of type `user`: prompts, tools' results, and what Claude Code writes in the user's name.

use serde_json::{Map, Value};

use super::Line;
use crate::claude::json::{block_text, text};
use crate::claude::text::{is_automatic, tagged, unwrap_paste};
use crate::domain::ids::ToolUseId;
use crate::domain::message::Direction;
use crate::domain::observation::Fact;
use crate::domain::record::{Record, ToolCall, ToolStatus};

/// How the line begins that says somebody pressed Escape (`…]` or `… for tool use]`).
const INTERRUPTED: &str = "[Request interrupted by user";

/// How the result begins of a call that was refused at the dialog or cut off while it ran.
const REJECTED: &str = "The user doesn't want to proceed with this tool use.";

impl Line<'_> {
    pub(super) fn user(&mut self) {
        if self.flag("isMeta") {
            return;
        }
        match self.content() {
            Some(Value::String(said)) => {
                let said = said.clone();
                if self.flag("isCompactSummary") {
                    self.say(0, Direction::System, said);
                } else {
                    self.words(&said);
                }
            }
            Some(Value::Array(blocks)) => {
                let blocks = blocks.clone();
                let results: Vec<_> = blocks
                    .iter()
                    .filter_map(Value::as_object)
                    .filter(|block| text(block, "type") == Some("tool_result"))
                    .collect();
                if results.is_empty() {
                    // A prompt with images, or an interruption.
                    let said = block_text(&Value::Array(blocks)).unwrap_or_default();
                    if self.flag("isCompactSummary") {
                        self.say(0, Direction::System, said);
                    } else {
                        self.words(&said);
                    }
                } else {
                    results.into_iter().for_each(|block| self.tool_result(block));
                }
            }
            _ => {}
        }
    }

    fn words(&mut self, said: &str) {
        let start = said.trim_start();
        // Both versions say so of what a person wrote; an older one may not.
        if let Some("typed" | "queued") = text(self.map, "promptSource") {
            self.prompt(said);
        } else if start.starts_with(INTERRUPTED) {
            self.item.facts.push(Fact::Interrupted);
        } else if start.starts_with("<command-name>") || start.starts_with("<command-message>") {
            self.item.facts.push(Fact::CommandRun);
        } else if start.starts_with("<local-command-") || start.starts_with("<system-reminder>") {
            // A command's output, a note to the model.
        } else if let Some(command) = tagged(start, "bash-input") {
            self.say(0, Direction::User, format!("!{command}"));
        } else if start.starts_with("<bash-stdout>") || start.starts_with("<bash-stderr>") {
            let output = |tag| tagged(start, tag).unwrap_or_default();
            let output = format!("{}{}", output("bash-stdout"), output("bash-stderr"));
            self.say(0, Direction::System, output);
        } else if is_automatic(said) || text(self.map, "promptSource") == Some("system") {
            self.notification(said);
        } else {
            self.prompt(said);
        }
    }

    pub(super) fn prompt(&mut self, said: &str) {
        self.say(0, Direction::User, unwrap_paste(said));
    }

    fn tool_result(&mut self, block: &Map<String, Value>) {
        let Some(id) = text(block, "tool_use_id") else { return };
        let result = block.get("content").and_then(block_text);
        let failed = block.get("is_error") == Some(&Value::Bool(true));
        let outcome = self.map.get("toolUseResult");
        let rejected = outcome.and_then(Value::as_str) == Some("User rejected tool use")
            || failed && result.as_deref().is_some_and(|r| r.starts_with(REJECTED));
        let cut_off =
            outcome.and_then(|o| o.get("interrupted")).and_then(Value::as_bool) == Some(true);
        // `toolDenialKind` is 2.1.329's; 2.1.197 tells a hook's denial by the attachment alone.
        let (status, denied) = match text(self.map, "toolDenialKind") {
            Some("interrupted" | "cancelled") => (ToolStatus::Interrupted, false),
            // The same line for a refusal at the dialog and for Escape during the run. What may
            // have run in part must not be called denied; whoever knows that the call waited for
            // a permission can.
            _ if rejected => (ToolStatus::Interrupted, true),
            Some(_) => (ToolStatus::Denied, true),
            None if cut_off => (ToolStatus::Interrupted, false),
            None if failed => (ToolStatus::Error, false),
            None => (ToolStatus::Completed, false),
        };
        self.item.facts.push(Fact::ToolFinished { tool_use: ToolUseId(id.to_owned()), denied });
        let call = self.call(id, status);
        self.item.records.push(Record::Tool(ToolCall { result: result.map(Into::into), ..call }));
    }
}
