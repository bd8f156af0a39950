//! How long calls ran: a transcript tells when each line was made, and no more.

use std::collections::HashMap;

use super::TranscriptItem;
use crate::domain::ids::ToolUseId;
use crate::domain::observation::Fact;
use crate::domain::permission::Verdict;
use crate::domain::record::{Record, ToolStatus};
use crate::domain::time::Timestamp;

/// How many calls may be under way; the time of further ones is not taken.
const LIMIT: usize = 256;

/// The calls of one transcript that have begun and have no result yet.
///
/// A call runs from its own line, or from the line that says a hook allowed it, to the line of its
/// result. What is answered at the keyboard leaves no line: the wait for that counts as running.
/// A call whose beginning was not read (the server was restarted while it ran) has no time.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    began: HashMap<ToolUseId, Timestamp>,
}

impl Timing {
    /// Takes note of what an item tells of calls, and adds to results how long the call ran.
    pub fn take(&mut self, item: &mut TranscriptItem) {
        for fact in &item.facts {
            if let Fact::DecisionHonoured { tool_use, verdict: Verdict::Allow } = fact
                && let Some(began) = self.began.get_mut(tool_use)
            {
                *began = item.at;
            }
        }
        for record in &mut item.records {
            let Record::Tool(call) = record else { continue };
            if call.status == ToolStatus::Running {
                if self.began.len() < LIMIT {
                    self.began.insert(call.id.clone(), call.at);
                }
            } else if let Some(began) = self.began.remove(&call.id)
                && call.status != ToolStatus::Denied
            {
                call.duration_ms = Some((call.at.0 - began.0).max(0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Timing;
    use crate::claude::transcript::parse_line;
    use crate::domain::record::Record;
    use crate::domain::time::Timestamp;

    fn durations(lines: &[Value]) -> Vec<Option<i64>> {
        let mut timing = Timing::default();
        let items = lines.iter().filter_map(|line| {
            let mut item =
                parse_line(line.to_string().as_bytes(), Timestamp(0)).expect("a line")?;
            timing.take(&mut item);
            Some(item.records)
        });
        let calls = items.flatten().filter_map(|r| match r {
            Record::Tool(call) => Some(call.duration_ms),
            _ => None,
        });
        calls.collect()
    }

    fn call(at: &str, id: &str) -> Value {
        let block = json!({ "type": "tool_use", "id": id, "name": "Bash", "input": {} });
        let message = json!({ "id": "m", "content": [block] });
        json!({ "type": "assistant", "timestamp": at, "message": message })
    }

    fn decided(at: &str, id: &str, decision: &str) -> Value {
        let attachment = json!({
            "type": "hook_permission_decision", "toolUseID": id, "decision": decision,
        });
        json!({ "type": "attachment", "timestamp": at, "attachment": attachment })
    }

    fn result(at: &str, id: &str) -> Value {
        let block = json!({ "type": "tool_result", "tool_use_id": id, "content": "x" });
        json!({ "type": "user", "timestamp": at, "message": { "content": [block] } })
    }

    #[test]
    fn a_call_runs_from_its_line_or_its_allowance_to_its_result() {
        let lines = [
            call("2026-11-20T17:00:00.000Z", "a"),
            call("2026-11-20T17:00:01.000Z", "b"),
            decided("2026-11-20T17:01:00.000Z", "b", "allow"),
            result("2026-11-20T17:00:00.250Z", "a"),
            result("2026-11-20T17:01:00.040Z", "b"),
            result("2026-11-20T17:01:00.050Z", "never seen to begin"),
        ];
        assert_eq!(durations(&lines), [None, None, Some(250), Some(40), None]);
    }

    #[test]
    fn a_denied_call_ran_no_time() {
        let lines = [
            call("2026-11-20T17:00:00.000Z", "a"),
            decided("2026-11-20T17:00:09.000Z", "a", "deny"),
            result("2026-11-20T17:00:09.010Z", "a"),
        ];
        assert_eq!(durations(&lines), [None, None, None]);
    }
}
