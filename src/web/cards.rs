//! Permission requests as cards: what Claude asks, whole, and what a person can answer.

use serde_json::Value;

use super::diff::{self, Diff};
use super::markdown::{self, SafeHtml};
use crate::domain::call::{self, Call, Input, View};
use crate::domain::direction::visible;
use crate::domain::ids::SessionId;
use crate::domain::permission::{PermissionRequest, PermissionStatus};
use crate::domain::question::Question;
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
    /// What "allow for the session" would allow.
    pub session_rule: String,
    /// The sub-agent that asks.
    pub agent: String,
    /// When Claude asked.
    pub at: Timestamp,
}

/// What a call would do, or has done: all of it.
pub struct Ask {
    /// What it is about.
    pub what: What,
    /// Every input that this does not show.
    pub rest: Vec<Input>,
}

/// What a call is about.
pub enum What {
    /// A text: the command, the address.
    Text(String),
    /// Changes of a file.
    Edits {
        /// The file.
        file: String,
        /// What would change in it.
        edits: Vec<Edit>,
    },
    /// A plan.
    Plan(SafeHtml),
    /// Questions, which are told apart by their own texts.
    Questions(Vec<Question>),
    /// Its inputs are all that is known.
    Inputs,
}

/// A change of a file.
pub struct Edit {
    /// Its lines.
    pub diff: Diff,
    /// What else is said of it.
    pub rest: Vec<Input>,
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
        Self {
            id: request.id.to_string(),
            session_id: request.session_id,
            session,
            ask: ask(&request.tool, &request.input),
            session_rule: visible(request.session_rule.as_deref().unwrap_or_default()),
            agent: request.agent_type.clone().unwrap_or_default(),
            at: request.requested_at,
            tool: request.tool,
        }
    }
}

/// What a call would do, or has done, by its input.
pub fn ask(tool: &str, input: &Value) -> Ask {
    let call = Call::of(tool, input);
    let what = match call.view {
        View::Text(text) => What::Text(visible(text)),
        View::Plan(plan) => What::Plan(markdown::render(&visible(plan))),
        View::Edits { file, edits } => {
            let edits = edits.into_iter().map(edit).collect();
            What::Edits { file: visible(file), edits }
        }
        View::Questions(asked) => What::Questions(asked),
        View::Inputs => What::Inputs,
    };
    Ask { what, rest: shown(call.rest) }
}

fn edit(edit: call::Edit) -> Edit {
    Edit { diff: diff::diff(edit.old, edit.new), rest: shown(edit.rest) }
}

fn shown(inputs: Vec<Input>) -> Vec<Input> {
    inputs.into_iter().map(|(key, value)| (visible(&key), visible(&value))).collect()
}

#[cfg(test)]
mod tests {
    use askama::Template;
    use serde_json::{Value, json};

    use super::{Card, What, ask};
    use crate::domain::permission::PermissionRequest;
    use crate::domain::time::Timestamp;
    use crate::web::diff::LineKind;

    #[test]
    fn each_kind_of_request_is_shown_as_what_it_is() {
        let what = |tool: &str, input: Value| ask(tool, &input).what;
        let edit = json!({"file_path": "/a.rs", "old_string": "a\n", "new_string": "b\n"});
        assert!(
            matches!(what("Edit", edit), What::Edits { file, edits } if file == "/a.rs" && edits[0].diff.lines.len() == 2)
        );
        assert!(matches!(what("ExitPlanMode", json!({"plan": "# P"})), What::Plan(_)));
        let turned = json!({"command": "rm \u{202e}/tmp"});
        assert!(matches!(what("Bash", turned), What::Text(c) if c == "rm ⟨U+202E⟩/tmp"));
        assert!(matches!(what("mcp__a__b", json!({"a": 1})), What::Inputs));
    }

    #[derive(Template)]
    #[template(
        source = r#"{% import "parts/card.html" as parts %}{% call parts::card(card, false) %}{% endcall %}"#,
        ext = "html"
    )]
    struct One {
        card: Card,
    }

    /// The card of a request.
    fn card(tool: &str, input: Value) -> String {
        let id = uuid::Uuid::from_u128(1);
        let request: PermissionRequest = serde_json::from_value(json!({
            "id": id, "session_id": id, "conversation_id": null, "tool": tool, "input": input,
            "summary": "", "tool_use_id": null, "agent_type": null, "session_rule": null,
            "status": "pending", "verdict": null, "message": null, "updated_input": null,
            "decided_by": null, "rule_id": null, "rule": null, "requested_at": Timestamp(0),
            "decided_at": null, "updated_at": Timestamp(0),
        }))
        .expect("a request");
        One { card: Card::new(request, "s".into()) }.render().expect("a card")
    }

    #[test]
    fn a_card_shows_every_input() {
        for (tool, input, parts) in [
            (
                "Bash",
                json!({"command": "make", "dangerouslyDisableSandbox": true}),
                &["make", "<dt>dangerouslyDisableSandbox</dt>", "true"][..],
            ),
            (
                "MultiEdit",
                json!({"file_path": "/a", "edits": [
                    {"old_string": "one", "new_string": "two"},
                    {"old_string": "three", "new_string": "four", "replace_all": true}]}),
                &["/a", "- one", "+ two", "- three", "+ four", "<dt>replace_all</dt>"],
            ),
            (
                "NotebookEdit",
                json!({"notebook_path": "/n", "new_source": "x = 1", "edit_mode": "insert"}),
                &["/n", "+ x = 1", "<dt>edit_mode</dt>", "insert"],
            ),
            ("mcp__a__b", json!({"text": "hi\nho"}), &["<dt>text</dt>", "hi\nho"]),
            // What answers it is the text as it is, what is read is not.
            (
                "AskUserQuestion",
                json!({"questions": [{"question": "\u{202e}Q?", "options": [
                    {"label": "\u{2067}A", "description": "\u{200f}B"}]}]}),
                &[
                    "data-question=\"\u{202e}Q?\"",
                    "<legend>⟨U+202E⟩Q?",
                    "value=\"\u{2067}A\"",
                    "⟨U+2067⟩A",
                    "⟨U+200F⟩B",
                ],
            ),
        ] {
            let card = card(tool, input);
            for part in parts {
                assert!(card.contains(part), "{part}: {card}");
            }
        }
    }
}
