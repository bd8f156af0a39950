//! Permission requests as cards: what Claude asks, whole, and what a person can answer.

use serde_json::Value;

use super::diff::{Diff, diff};
use super::markdown::{self, SafeHtml};
use super::plain::visible;
use crate::domain::ids::SessionId;
use crate::domain::permission::{PermissionRequest, PermissionStatus, in_full, subject};
use crate::domain::question::{self, Question};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::{App, permissions, sessions};

/// A request that waits.
pub struct Card {
    /// Its id.
    pub id: String,
    /// The session that asks.
    pub session_id: SessionId,
    /// Its name.
    pub session: String,
    /// The tool.
    pub tool: String,
    /// What would happen.
    pub ask: Ask,
    /// Why, in Claude's words.
    pub description: String,
    /// What "allow for the session" would allow.
    pub session_rule: String,
    /// The sub-agent that asks.
    pub agent: String,
    /// When Claude asked.
    pub at: Timestamp,
}

/// What is asked.
pub enum Ask {
    /// A call, as text: the command, the input.
    Call(String),
    /// An edit of a file.
    Edit {
        /// The file.
        file: String,
        /// What would change in it.
        diff: Diff,
    },
    /// A plan.
    Plan(SafeHtml),
    /// Questions.
    Questions(Vec<Question>),
}

/// The requests that wait, of one session or of all, those that have waited longest first; and whether there are more.
pub async fn pending(
    app: &App,
    session: Option<SessionId>,
    most: u32,
) -> Result<(Vec<Card>, bool), Error> {
    let waits = Some(PermissionStatus::Pending);
    let page = permissions::list(app, waits, session, None, most).await?;
    let names = sessions::names(app).await?;
    let card = |r: PermissionRequest| {
        let name = names.get(&r.session_id).cloned().unwrap_or_default();
        Card::new(r, name)
    };
    Ok((page.items.into_iter().rev().map(card).collect(), page.next.is_some()))
}

impl Card {
    fn new(request: PermissionRequest, session: String) -> Self {
        let word = |key: &str| request.input.get(key).and_then(Value::as_str);
        Self {
            id: request.id.to_string(),
            session_id: request.session_id,
            session,
            ask: ask(&request.tool, &request.input),
            description: visible(word("description").unwrap_or_default()),
            session_rule: visible(request.session_rule.as_deref().unwrap_or_default()),
            agent: request.agent_type.clone().unwrap_or_default(),
            at: request.requested_at,
            tool: request.tool,
        }
    }
}

/// What a call would do, or has done, by its input.
pub fn ask(tool: &str, input: &Value) -> Ask {
    let word = |key: &str| input.get(key).and_then(Value::as_str);
    let questions = question::questions(tool, input);
    if !questions.is_empty() {
        return Ask::Questions(questions);
    }
    let file = || visible(&subject(tool, input).unwrap_or_default());
    match (tool, word("plan"), word("old_string"), word("new_string"), word("content")) {
        ("ExitPlanMode", Some(plan), ..) => Ask::Plan(markdown::render(&visible(plan))),
        ("Edit", _, Some(old), Some(new), _) => Ask::Edit { file: file(), diff: diff(old, new) },
        ("Write", .., Some(content)) => Ask::Edit { file: file(), diff: diff("", content) },
        _ => Ask::Call(visible(&in_full(tool, input))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Ask, ask};

    #[test]
    fn each_kind_of_request_is_shown_as_what_it_is() {
        let edit = json!({"file_path": "/a.rs", "old_string": "a\n", "new_string": "b\n"});
        assert!(matches!(ask("Edit", &edit), Ask::Edit { diff, .. } if diff.lines.len() == 2));
        let write = json!({"file_path": "/a.rs", "content": "one\ntwo\n"});
        assert!(
            matches!(ask("Write", &write), Ask::Edit { file, diff } if file == "/a.rs" && diff.lines.len() == 2)
        );
        assert!(matches!(ask("ExitPlanMode", &json!({"plan": "# P"})), Ask::Plan(_)));
        assert!(matches!(ask("Bash", &json!({"command": "ls"})), Ask::Call(c) if c == "ls"));
        let turned = json!({"command": "rm \u{202e}/tmp"});
        assert!(matches!(ask("Bash", &turned), Ask::Call(c) if c == "rm ⟨U+202E⟩/tmp"));
        let asked = json!({"questions": [{"question": "Which?", "options": [{"label": "A"}]}]});
        assert!(matches!(ask("AskUserQuestion", &asked), Ask::Questions(q) if q.len() == 1));
    }
}
