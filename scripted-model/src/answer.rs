//! From a request to the turn that answers it, and from a turn to an API message.

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ask::{Ask, Place};
use crate::expand::Placeholders;
use crate::record::Kind;
use crate::script::{Script, Turn};

/// What a conversation gets that went on past its scenario.
const END: &str = "(end of script)";
/// The text of answers nobody scripted: titles and the like.
const SIDE: &str = "Scripted session";
/// What a conversation is compacted to.
const SUMMARY: &str = "<summary>Scripted summary of the conversation.</summary>";
/// Any base64 will do: the client only hands it back.
const SIGNATURE: &str = "c2NyaXB0ZWQ=";

/// The turn that answers `ask`, placeholders filled in.
pub(crate) fn turn_for(script: &Script, ask: &Ask, kind: Kind, place: &Place<'_>) -> Turn {
    match kind {
        Kind::Main => match script.turn_at(place.scenario, place.turn) {
            Some((turn, repetition)) => {
                let placeholders = Placeholders { ask, prompt: &place.prompt, repetition };
                placeholders.fill(turn)
            }
            None => Turn::saying(END),
        },
        Kind::Quota => Turn::saying("#"),
        Kind::Compact => Turn::saying(SUMMARY),
        Kind::Structured => Turn::saying(smallest(ask.schema()).to_string()),
        Kind::Side | Kind::CountTokens | Kind::Other => Turn::saying(SIDE),
    }
}

/// The smallest object with every field that `schema` requires.
fn smallest(schema: &Value) -> Value {
    let Some(required) = schema["required"].as_array().filter(|names| !names.is_empty()) else {
        return json!({ "title": SIDE });
    };
    required
        .iter()
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), plain(&schema["properties"][name])))
        .collect()
}

/// A plain value for one field of a schema.
fn plain(field: &Value) -> Value {
    if let Some(first) = field["enum"].get(0) {
        return first.clone();
    }
    // A type may be a list, such as ["string", "null"].
    let name = match &field["type"] {
        Value::Array(names) => names.iter().find(|name| *name != "null"),
        name => Some(name),
    };
    match name.and_then(Value::as_str) {
        Some("boolean") => json!(false),
        Some("number" | "integer") => json!(0),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!(SIDE),
    }
}

/// A Messages API answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    #[serde(rename = "type")]
    object: &'static str,
    role: &'static str,
    model: String,
    pub(crate) content: Vec<Block>,
    pub(crate) stop_reason: Option<String>,
    stop_sequence: Option<String>,
    pub(crate) usage: Map<String, Value>,
}

/// One content block of a [`Message`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block {
    Thinking { thinking: String, signature: String },
    Text { text: String },
    ToolUse { id: String, name: String, input: Map<String, Value> },
}

impl Message {
    /// What `turn` says in answer to `ask`.
    pub(crate) fn new(ask: &Ask, turn: Turn) -> Self {
        let stop_reason = turn.stop_reason.unwrap_or_else(|| {
            let reason = if turn.tools.is_empty() { "end_turn" } else { "tool_use" };
            reason.to_owned()
        });
        let mut content = Vec::new();
        if let Some(thinking) = turn.thinking.filter(|text| !text.is_empty()) {
            content.push(Block::Thinking { thinking, signature: SIGNATURE.to_owned() });
        }
        if let Some(text) = turn.text.filter(|text| !text.is_empty()) {
            content.push(Block::Text { text });
        }
        content.extend(turn.tools.into_iter().map(|tool| Block::ToolUse {
            id: tool.id.unwrap_or_else(|| fresh_id("toolu_", 24)),
            name: tool.name,
            input: tool.input,
        }));
        let mut usage = usage(ask.tokens(), &content);
        usage.extend(turn.usage);
        Self {
            id: fresh_id("msg_", 24),
            object: "message",
            role: "assistant",
            model: ask.model().unwrap_or("scripted").to_owned(),
            content,
            stop_reason: Some(stop_reason),
            stop_sequence: None,
            usage,
        }
    }

    /// The message as its stream begins: nothing said yet.
    pub(crate) fn opening(&self) -> Self {
        let mut usage = self.usage.clone();
        usage.insert("output_tokens".to_owned(), json!(1));
        Self { content: Vec::new(), stop_reason: None, usage, ..self.clone() }
    }
}

/// Estimated token counts; four bytes make a token, about as in the real API.
fn usage(input: usize, content: &[Block]) -> Map<String, Value> {
    let output: usize = content.iter().map(Block::bytes).sum();
    let counts = [
        ("input_tokens", input),
        ("cache_creation_input_tokens", 0),
        ("cache_read_input_tokens", 0),
        ("output_tokens", (output / 4).max(1)),
    ];
    counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

impl Block {
    /// How much the model said in this block, roughly.
    fn bytes(&self) -> usize {
        match self {
            Self::Thinking { thinking, .. } => thinking.len(),
            Self::Text { text } => text.len(),
            Self::ToolUse { name, input, .. } => name.len() + json!(input).to_string().len(),
        }
    }
}

/// `prefix` and so many (at most 32) random hex digits, as the API's own ids look.
pub(crate) fn fresh_id(prefix: &str, digits: usize) -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("{prefix}{}", &random[..digits.min(random.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Value) -> Ask {
        Ask::parse(body.to_string().as_bytes()).unwrap()
    }

    fn turn(script: &str, ask: &Ask) -> Turn {
        let script = Script::from_json(script).unwrap();
        turn_for(&script, ask, ask.kind(), &ask.place(&script))
    }

    #[test]
    fn past_the_end_the_script_says_so() {
        let ask = ask(&json!({"tools": [{}], "messages": [{"role": "assistant"}]}));
        assert_eq!(turn(r#"[{"text": "a"}]"#, &ask), Turn::saying(END));
    }

    #[test]
    fn side_requests_are_answered_without_a_turn() {
        let said = |body: &Value| turn(r#"[{"text": "a"}]"#, &ask(body)).text.unwrap();
        assert_eq!(said(&json!({"max_tokens": 1})), "#");
        assert_eq!(said(&json!({})), SIDE);
        let schema = json!({
            "required": ["title", "ok", "n", "list", "kind", "maybe"],
            "properties": {
                "title": {"type": "string"}, "ok": {"type": "boolean"}, "n": {"type": "integer"},
                "list": {"type": "array"}, "kind": {"enum": ["bug", "task"]},
                "maybe": {"type": ["null", "number"]}, "unasked": {"type": "string"},
            },
        });
        let answer: Value = serde_json::from_str(&said(&json!({
            "output_config": {"format": {"type": "json_schema", "schema": schema}}
        })))
        .unwrap();
        let expected =
            json!({"title": SIDE, "ok": false, "n": 0, "list": [], "kind": "bug", "maybe": 0});
        assert_eq!(answer, expected);
        let bare = said(&json!({"output_format": {"type": "json_schema"}}));
        assert_eq!(bare, json!({ "title": SIDE }).to_string());
    }

    #[test]
    fn a_message_holds_thinking_then_text_then_tools() {
        let ask = ask(&json!({"model": "m-1", "tools": [{}]}));
        let turn = turn(
            r#"[{"text": "t", "thinking": "h", "tools": [{"name": "Bash"}, {"name": "X", "id": "i"}],
                 "usage": {"input_tokens": 900, "cache_read_input_tokens": 7}}]"#,
            &ask,
        );
        let message = serde_json::to_value(Message::new(&ask, turn)).unwrap();
        assert_eq!(message["type"], "message");
        assert_eq!(message["model"], "m-1");
        assert_eq!(message["stop_reason"], "tool_use");
        let types: Vec<_> = message["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].as_str().unwrap())
            .collect();
        assert_eq!(types, ["thinking", "text", "tool_use", "tool_use"]);
        let id = message["content"][2]["id"].as_str().unwrap();
        assert!(id.starts_with("toolu_") && id.len() == 30, "{id}");
        assert_eq!(message["content"][2]["input"], json!({}));
        assert_eq!(message["content"][3]["id"], "i");
        assert_eq!(message["usage"]["input_tokens"], 900);
        assert_eq!(message["usage"]["cache_read_input_tokens"], 7);
        assert!(message["usage"]["output_tokens"].as_u64().unwrap() >= 1);
    }

    #[test]
    fn the_stop_reason_follows_the_turn() {
        let ask = ask(&json!({"tools": [{}]}));
        let reason = |script: &str| Message::new(&ask, turn(script, &ask)).stop_reason.unwrap();
        assert_eq!(reason(r#"[{"text": "t"}]"#), "end_turn");
        assert_eq!(reason(r#"[{"stop_reason": "max_tokens"}]"#), "max_tokens");
    }
}
