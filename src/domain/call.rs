//! A tool call as a person has to read it before saying yes. What is shown of one is decided here, for
//! the page, `chorus top` and the command line alike: nothing of its input is left out.

use std::fmt::Write as _;

use serde_json::Value;

use super::direction::visible;
use super::permission::{PLAN, QUESTION, subject_key};
use super::question::{self, Question};

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'i> {
    /// What its tool is about.
    pub view: View<'i>,
    /// Every input that the view does not show.
    pub rest: Vec<Input>,
}

/// An input: its name and its value.
pub type Input = (String, String);

/// What a tool is about, as that wants to be read.
#[derive(Clone, Debug, PartialEq)]
pub enum View<'i> {
    /// A command, an address, a file.
    Text(&'i str),
    /// A plan.
    Plan(&'i str),
    /// What would change in a file.
    Edits {
        /// The file.
        file: &'i str,
        /// The changes, in their order.
        edits: Vec<Edit<'i>>,
    },
    /// Questions to people.
    Questions(Vec<Question>),
    /// Nothing is known of the tool: all of it is in the rest.
    Inputs,
}

/// A change of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit<'i> {
    /// What is replaced; empty if the text is new.
    pub old: &'i str,
    /// By what.
    pub new: &'i str,
    /// What else is said of this change.
    pub rest: Vec<Input>,
}

impl<'i> Call<'i> {
    /// Reads a call. What has not the form that is known of its tool is shown as inputs.
    pub fn of(tool: &str, input: &'i Value) -> Self {
        let (view, shown) = special(tool, input).unwrap_or((View::Inputs, Vec::new()));
        Self { view, rest: inputs(input, &shown) }
    }

    /// All of it as text.
    fn text(&self) -> String {
        let mut text = String::new();
        match &self.view {
            View::Text(what) => text.push_str(what),
            View::Plan(plan) => text.push_str(plan.trim()),
            View::Edits { file, edits } => {
                text.push_str(file);
                for edit in edits {
                    marked(&mut text, '-', edit.old);
                    marked(&mut text, '+', edit.new);
                    list(&mut text, &edit.rest);
                }
            }
            View::Questions(asked) => asked.iter().for_each(|q| ask(&mut text, q)),
            View::Inputs if self.rest.is_empty() => text.push_str("(no input)"),
            View::Inputs => {}
        }
        list(&mut text, &self.rest);
        text
    }
}

/// A call whole, as text that is what it looks like.
pub fn in_full(tool: &str, input: &Value) -> String {
    visible(Call::of(tool, input).text().trim_start_matches('\n'))
}

/// What is known of a tool's input, and the names of the inputs that this shows.
fn special<'i>(tool: &str, input: &'i Value) -> Option<(View<'i>, Vec<&'static str>)> {
    let word = |key: &str| input.get(key).and_then(Value::as_str);
    let one =
        |file, old, new| View::Edits { file, edits: vec![Edit { old, new, rest: Vec::new() }] };
    Some(match tool {
        PLAN => (View::Plan(word("plan")?), vec!["plan"]),
        QUESTION => {
            let asked = question::questions(tool, input);
            let all = input.get("questions")?.as_array()?.len();
            // One that cannot be read is to be seen nevertheless.
            let shown = if asked.len() == all { vec!["questions"] } else { Vec::new() };
            (View::Questions(asked), shown)
        }
        "Edit" => {
            let view = one(word("file_path")?, word("old_string")?, word("new_string")?);
            (view, vec!["file_path", "old_string", "new_string"])
        }
        "MultiEdit" => {
            let edit = |edit: &'i Value| {
                let (old, new) =
                    (edit.get("old_string")?.as_str()?, edit.get("new_string")?.as_str()?);
                Some(Edit { old, new, rest: inputs(edit, &["old_string", "new_string"]) })
            };
            let edits = input.get("edits")?.as_array()?.iter().map(edit).collect::<Option<_>>()?;
            (View::Edits { file: word("file_path")?, edits }, vec!["file_path", "edits"])
        }
        "Write" => (one(word("file_path")?, "", word("content")?), vec!["file_path", "content"]),
        "NotebookEdit" => {
            let view = one(word("notebook_path")?, "", word("new_source")?);
            (view, vec!["notebook_path", "new_source"])
        }
        tool => {
            let key = subject_key(tool)?;
            (View::Text(word(key)?), vec![key])
        }
    })
}

/// The inputs but for those that are shown already.
fn inputs(input: &Value, shown: &[&str]) -> Vec<Input> {
    let written = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    match input {
        Value::Object(all) => {
            let rest = all.iter().filter(|(key, _)| !shown.contains(&key.as_str()));
            rest.map(|(key, value)| (key.clone(), written(value))).collect()
        }
        other => vec![("input".to_owned(), written(other))],
    }
}

fn marked(text: &mut String, mark: char, lines: &str) {
    for line in lines.lines() {
        let _ = write!(text, "\n{mark} {line}");
    }
}

/// One input a line; the further lines of a value are indented, so that none of them looks like another
/// input.
fn list(text: &mut String, inputs: &[Input]) {
    for (key, value) in inputs {
        let glue = if value.contains('\n') { "\n  " } else { " " };
        let _ = write!(text, "\n{key}:{glue}{}", value.trim_end().replace('\n', "\n  "));
    }
}

fn ask(text: &mut String, q: &Question) {
    let several = if q.several { " (several may be chosen)" } else { "" };
    let _ = write!(text, "\n? {}{several}", q.question);
    for option in &q.options {
        let glue = if option.description.is_empty() { "" } else { ": " };
        let _ = write!(text, "\n  - {}{glue}{}", option.label, option.description);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::in_full;

    #[test]
    fn whoever_decides_sees_all_of_what_would_happen() {
        let long = "x".repeat(50_000);
        assert_eq!(in_full("Bash", &json!({"command": long})), long, "a command is shown whole");
        for (tool, input, text) in [
            (
                "Bash",
                json!({"command": "make\nmake all", "dangerouslyDisableSandbox": true}),
                "make\nmake all\ndangerouslyDisableSandbox: true",
            ),
            ("ExitPlanMode", json!({"plan": "# Plan\n\n1. Go\n"}), "# Plan\n\n1. Go"),
            (
                "ExitPlanMode",
                json!({"plan": "1. Go", "allowedPrompts": [{"tool": "Bash"}]}),
                "1. Go\nallowedPrompts:\n  [\n    {\n      \"tool\": \"Bash\"\n    }\n  ]",
            ),
            (
                "Edit",
                json!({"file_path": "/a", "old_string": "a\nb", "new_string": "c", "replace_all": true}),
                "/a\n- a\n- b\n+ c\nreplace_all: true",
            ),
            (
                "MultiEdit",
                json!({"file_path": "/a", "edits": [
                    {"old_string": "a", "new_string": "b"},
                    {"old_string": "c", "new_string": "d", "replace_all": true}]}),
                "/a\n- a\n+ b\n- c\n+ d\nreplace_all: true",
            ),
            ("Write", json!({"file_path": "/a", "content": "one\ntwo\n"}), "/a\n+ one\n+ two"),
            (
                "NotebookEdit",
                json!({"notebook_path": "/n", "new_source": "x = 1", "edit_mode": "insert"}),
                "/n\n+ x = 1\nedit_mode: insert",
            ),
            ("WebFetch", json!({"url": "https://a", "prompt": "b"}), "https://a\nprompt: b"),
            ("mcp__a__b", json!({"text": "hi\nforce: true"}), "text:\n  hi\n  force: true"),
            ("mcp__a__b", json!({}), "(no input)"),
            ("mcp__a__b", json!(["a"]), "input:\n  [\n    \"a\"\n  ]"),
            // What has not the form that is known of the tool.
            ("Edit", json!({"file_path": "/a", "old_string": 1}), "file_path: /a\nold_string: 1"),
            ("Bash", json!({"command": "rm \u{202e}/tmp"}), "rm ⟨U+202E⟩/tmp"),
            (
                "AskUserQuestion",
                json!({"questions": [{"question": "Which?", "multiSelect": true,
                    "options": [{"label": "A", "description": "one"}, {"label": "B"}]}]}),
                "? Which? (several may be chosen)\n  - A: one\n  - B",
            ),
        ] {
            assert_eq!(in_full(tool, &input), text, "{tool} {input}");
        }
        let odd = json!({"questions": [{"question": "Which?"}, {"text": "odd"}]});
        assert!(in_full("AskUserQuestion", &odd).contains("odd"));
    }
}
