//! Filling in the `{{name}}` placeholders of a turn.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::ask::Ask;
use crate::script::{Repetition, ToolCall, Turn};

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    // Invariant: a constant pattern, compiled by the unit tests.
    Regex::new(r"\{\{(\w+)\}\}").expect("the pattern is valid")
});

/// What placeholders stand for in one answer. Looked up on demand: most turns hold none, and
/// finding the working directory means searching a large request.
pub(crate) struct Placeholders<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) prompt: &'a str,
    pub(crate) repetition: Repetition,
}

impl Placeholders<'_> {
    /// `turn` with every placeholder in its strings filled in.
    pub(crate) fn fill(&self, turn: &Turn) -> Turn {
        let optional = |text: &Option<String>| text.as_deref().map(|text| self.text(text));
        Turn {
            text: optional(&turn.text),
            thinking: optional(&turn.thinking),
            tools: turn.tools.iter().map(|tool| self.tool(tool)).collect(),
            stop_reason: optional(&turn.stop_reason),
            error_type: optional(&turn.error_type),
            error_message: optional(&turn.error_message),
            ..turn.clone()
        }
    }

    fn tool(&self, tool: &ToolCall) -> ToolCall {
        ToolCall {
            name: self.text(&tool.name),
            input: tool.input.iter().map(|(key, value)| (key.clone(), self.value(value))).collect(),
            id: tool.id.as_deref().map(|id| self.text(id)),
        }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        PLACEHOLDER
            .replace_all(text, |found: &Captures<'_>| {
                self.look_up(&found[1]).unwrap_or_else(|| Cow::Owned(found[0].to_owned()))
            })
            .into_owned()
    }

    fn look_up(&self, name: &str) -> Option<Cow<'_, str>> {
        let Repetition { number, of } = self.repetition;
        match name {
            "cwd" => Some(self.ask.working_directory().unwrap_or(".").into()),
            "plan_file" => Some(self.ask.plan_file().unwrap_or("plan.md").into()),
            "prompt" => Some(self.prompt.into()),
            "n" => Some(number.to_string().into()),
            "nn" => {
                let width = of.to_string().len();
                Some(format!("{number:0width$}").into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::Script;

    fn fill(turn: &Value, repetition: Repetition) -> Turn {
        let request = json!({"system": "Working directory: /srv/space\n"}).to_string();
        let ask = Ask::parse(request.as_bytes()).unwrap();
        let script = Script::from_json(&json!([turn]).to_string()).unwrap();
        let placeholders = Placeholders { ask: &ask, prompt: "say $1 {{n}}", repetition };
        placeholders.fill(script.turn_at("default", 0).unwrap().0)
    }

    #[test]
    fn all_strings_are_filled_in_and_unknown_names_stay() {
        let turn = json!({
            "text": "{{prompt}} in {{cwd}}, {{other}}",
            "tools": [{"name": "Write", "id": "t-{{n}}",
                "input": {"file_path": "{{cwd}}/a", "list": ["{{plan_file}}", 3], "{{cwd}}": true}}],
            "usage": {"input_tokens": 5},
        });
        let filled = fill(&turn, Repetition { number: 1, of: 1 });
        // What a placeholder brings in is not searched again.
        assert_eq!(filled.text.as_deref(), Some("say $1 {{n}} in /srv/space, {{other}}"));
        assert_eq!(filled.tools[0].id.as_deref(), Some("t-1"));
        assert_eq!(
            Value::Object(filled.tools[0].input.clone()),
            json!({"file_path": "/srv/space/a", "list": ["plan.md", 3], "{{cwd}}": true})
        );
        assert_eq!(filled.usage["input_tokens"], 5);
    }

    #[test]
    fn a_repeated_turn_knows_its_number() {
        let turn = json!({"text": "call-{{nn}} ({{n}})", "repeat": 50});
        let filled = fill(&turn, Repetition { number: 7, of: 50 });
        assert_eq!(filled.text.as_deref(), Some("call-07 (7)"));
    }
}
