//! Questions that Claude asks people (`AskUserQuestion`), and what answers them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::permission::QUESTION;

/// The longest answer. Bytes.
const ANSWER_LIMIT: usize = 10_000;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Its text, which is its key.
    pub question: String,
    /// Several answers are taken.
    #[serde(default, rename = "multiSelect")]
    pub several: bool,
    /// What Claude proposes to answer.
    #[serde(default)]
    pub options: Vec<Choice>,
}

/// A proposed answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Choice {
    /// The answer.
    pub label: String,
    /// What it means.
    #[serde(default)]
    pub description: String,
}

/// Answers that do not go with the questions: the field to blame, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAnswer {
    /// Which.
    pub field: String,
    /// Why.
    pub problem: String,
}

impl BadAnswer {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// The questions in a call's input; none if the call asks nothing.
pub fn questions(tool: &str, input: &Value) -> Vec<Question> {
    if tool != QUESTION {
        return Vec::new();
    }
    let questions = input.get("questions").and_then(Value::as_array);
    let read = |q: &Value| serde_json::from_value(q.clone()).ok();
    questions.into_iter().flatten().filter_map(read).collect()
}

/// The questions in one line.
pub fn summary(input: &Value) -> String {
    let texts: Vec<String> = questions(QUESTION, input).into_iter().map(|q| q.question).collect();
    if texts.is_empty() { input.to_string() } else { texts.join(" · ") }
}

/// The questions with their choices, one after another, for somebody who is to answer them.
pub fn listing(questions: &[Question]) -> String {
    let one = |q: &Question| {
        let labels: Vec<&str> = q.options.iter().map(|o| o.label.as_str()).collect();
        let several = if q.several { ", several may be chosen" } else { "" };
        format!("{:?} ({}{several})", q.question, labels.join(" | "))
    };
    questions.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Checks answers, by their questions' texts, and writes each as one text. Several labels are
/// joined by commas, as Claude Code itself does it. Any text is an answer: a person may say
/// something that no choice says.
pub fn checked(
    questions: &[Question],
    answers: &Map<String, Value>,
) -> Result<Map<String, Value>, BadAnswer> {
    for asked in answers.keys() {
        if !questions.iter().any(|q| q.question == *asked) {
            return Err(BadAnswer::new(
                format!("answers.{asked}"),
                format!("there is no such question; asked is: {}", listing(questions)),
            ));
        }
    }
    let mut checked = Map::new();
    for q in questions {
        let field = || format!("answers.{}", q.question);
        let Some(answer) = answers.get(&q.question) else {
            return Err(BadAnswer::new(
                field(),
                format!("every question needs an answer; asked is: {}", listing(questions)),
            ));
        };
        let text = match answer {
            Value::String(text) => text.clone(),
            Value::Array(labels) => {
                let labels: Option<Vec<&str>> = labels.iter().map(Value::as_str).collect();
                let labels = labels
                    .ok_or_else(|| BadAnswer::new(field(), "expected a text or a list of texts"))?;
                if labels.len() > 1 && !q.several {
                    return Err(BadAnswer::new(field(), "this question takes one answer"));
                }
                if labels.iter().any(|label| label.trim().is_empty()) {
                    return Err(BadAnswer::new(field(), "an answer is empty"));
                }
                labels.join(", ")
            }
            _ => return Err(BadAnswer::new(field(), "expected a text or a list of texts")),
        };
        if text.trim().is_empty() || text.len() > ANSWER_LIMIT {
            return Err(BadAnswer::new(field(), format!("expected 1 to {ANSWER_LIMIT} bytes")));
        }
        checked.insert(q.question.clone(), Value::String(text));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{checked, listing, questions};

    fn two() -> Value {
        json!({"questions": [
            {"question": "Which colour?", "options": [{"label": "Red"}, {"label": "Blue"}]},
            {"question": "Which sizes?", "multiSelect": true, "options": [{"label": "S"}, {"label": "L"}]},
        ]})
    }

    #[test]
    fn every_question_gets_one_text() {
        let asked = questions("AskUserQuestion", &two());
        assert_eq!(
            listing(&asked),
            r#""Which colour?" (Red | Blue); "Which sizes?" (S | L, several may be chosen)"#
        );
        let answers = |answers: Value| checked(&asked, answers.as_object().expect("an object"));
        let good = answers(json!({"Which sizes?": ["S", "L"], "Which colour?": "a warm one"}));
        let good = Value::Object(good.expect("good answers"));
        assert_eq!(good, json!({"Which colour?": "a warm one", "Which sizes?": "S, L"}));
        for (bad, field) in [
            (json!({}), "answers.Which colour?"),
            (json!({"Which colour?": "Red"}), "answers.Which sizes?"),
            (json!({"Which colour?": "Red", "Which sizes?": []}), "answers.Which sizes?"),
            (
                json!({"Which colour?": ["Red", "Blue"], "Which sizes?": "S"}),
                "answers.Which colour?",
            ),
            (json!({"Which colour?": 3, "Which sizes?": "S"}), "answers.Which colour?"),
            (json!({"Which colour?": "Red", "Which sizes?": "S", "Why?": "x"}), "answers.Why?"),
        ] {
            assert_eq!(answers(bad.clone()).expect_err("bad").field, field, "{bad}");
        }
    }

    #[test]
    fn other_tools_ask_nothing() {
        assert_eq!(questions("Bash", &two()), []);
        assert_eq!(questions("AskUserQuestion", &json!({"questions": "?"})), []);
    }
}
