//! Answers to a `PermissionRequest` hook that waits.

use serde_json::{Map, Value, json};

use crate::domain::permission::{PLAN, QUESTION};

/// What a person (or a rule) decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The tool may run, with changed input if given.
    Allow {
        /// The whole input to use instead.
        updated_input: Option<Value>,
    },
    /// The tool may not run.
    Deny {
        /// What Claude is told; it goes on with it.
        message: Option<String>,
        /// End the turn. Claude Code then fires no Stop and writes no decision into the transcript:
        /// it looks as if somebody had pressed Escape (recorded from both versions).
        interrupt: bool,
    },
}

/// Makes the JSON that answers a waiting `PermissionRequest` of `tool` with `input`.
///
/// 2.1.329 ignores an allowance of `ExitPlanMode` or `AskUserQuestion` without `updatedInput`
/// (2.1.197 does not mind it): a plan gets an empty one, a question its own input back, to which
/// the caller adds the answers by [`with_answers`].
pub fn answer(tool: &str, input: &Value, answer: &Answer) -> Value {
    let decision = match answer {
        Answer::Allow { updated_input } => {
            let updated = updated_input.clone().or_else(|| match tool {
                PLAN => Some(json!({})),
                QUESTION => Some(input.clone()),
                _ => None,
            });
            let mut decision = json!({"behavior": "allow"});
            if let Some(updated) = updated {
                decision["updatedInput"] = updated;
            }
            decision
        }
        Answer::Deny { message, interrupt } => {
            let mut decision = json!({"behavior": "deny"});
            if let Some(message) = message {
                decision["message"] = json!(message);
            }
            if *interrupt {
                decision["interrupt"] = json!(true);
            }
            decision
        }
    };
    json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}})
}

/// Makes the JSON that answers a `PreToolUse` hook so that the call does not happen. Claude is told
/// why, and goes on.
pub fn refusal(why: &str) -> Value {
    json!({"hookSpecificOutput": {
        "hookEventName": "PreToolUse",
        "permissionDecision": "deny",
        "permissionDecisionReason": why,
    }})
}

/// Makes the `updatedInput` that answers an `AskUserQuestion`: its questions as received and the
/// answers, by the question's text. `None` if the input holds no questions.
pub fn with_answers(input: &Value, answers: Map<String, Value>) -> Option<Value> {
    let questions = input.get("questions").filter(|q| q.is_array())?;
    Some(json!({"questions": questions, "answers": answers}))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, answer, with_answers};

    fn recorded(text: &str) -> Value {
        serde_json::from_str(text).expect("a recording")
    }

    #[test]
    fn answers_equal_those_that_were_seen_to_work() {
        let allow = Answer::Allow { updated_input: None };
        let bash = json!({"command": "ls"});
        assert_eq!(
            answer("Bash", &bash, &allow),
            recorded(include_str!("../../../tests/fixtures/claude/examples/answer-allow.json"))
        );
        assert_eq!(
            answer("ExitPlanMode", &json!({"plan": "p"}), &allow),
            recorded(include_str!("../../../tests/fixtures/claude/examples/answer-plan.json"))
        );
        let deny =
            Answer::Deny { message: Some("Not that file: use other.txt".into()), interrupt: false };
        assert_eq!(
            answer("Write", &json!({}), &deny),
            recorded(include_str!("../../../tests/fixtures/claude/examples/answer-deny.json"))
        );
        let ask = recorded(include_str!(
            "../../../tests/fixtures/claude/hooks/PermissionRequest-AskUserQuestion.json"
        ));
        let input = &ask["tool_input"];
        let blue = [("Which colour should the button be?".to_owned(), json!("Blue"))];
        let updated_input = with_answers(input, blue.into_iter().collect());
        assert_eq!(
            answer("AskUserQuestion", input, &Answer::Allow { updated_input }),
            recorded(include_str!("../../../tests/fixtures/claude/examples/answer-question.json"))
        );
    }

    #[test]
    fn a_question_without_questions_cannot_be_answered() {
        assert_eq!(with_answers(&json!({}), serde_json::Map::new()), None);
    }

    #[test]
    fn an_interrupting_denial_says_so() {
        let deny = Answer::Deny { message: None, interrupt: true };
        assert_eq!(
            answer("Bash", &json!({}), &deny)["hookSpecificOutput"]["decision"],
            json!({"behavior": "deny", "interrupt": true})
        );
    }
}
