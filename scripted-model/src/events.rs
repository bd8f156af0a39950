//! The server-sent events that stream a [`Message`].

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::{Block, Message};

/// Characters per piece of streamed text: small, so that a turn has many pieces to pace.
const TEXT_PIECE: usize = 24;
/// Characters per piece of a tool's streamed input.
const INPUT_PIECE: usize = 200;

/// One event of the stream, as the API documents it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    MessageStart { message: Message },
    ContentBlockStart { index: usize, content_block: Block },
    ContentBlockDelta { index: usize, delta: Delta },
    ContentBlockStop { index: usize },
    MessageDelta { delta: Ending, usage: Map<String, Value> },
    MessageStop {},
}

/// A piece of a content block.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type")]
pub(crate) enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
}

/// How a message ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ending {
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

impl Event {
    /// Whether a paced stream pauses after this event.
    pub(crate) fn is_piece(&self) -> bool {
        matches!(self, Self::ContentBlockDelta { .. })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop {} => "message_stop",
        }
    }

    /// The event as it goes over the wire.
    pub(crate) fn frame(&self) -> serde_json::Result<Bytes> {
        let data = serde_json::to_string(self)?;
        Ok(format!("event: {}\ndata: {data}\n\n", self.name()).into())
    }
}

/// All events that stream `message`, in order.
pub(crate) fn events(message: Message) -> Vec<Event> {
    let mut events = vec![Event::MessageStart { message: message.opening() }];
    for (index, block) in message.content.into_iter().enumerate() {
        let (content_block, deltas) = split(block);
        events.push(Event::ContentBlockStart { index, content_block });
        events.extend(deltas.into_iter().map(|delta| Event::ContentBlockDelta { index, delta }));
        events.push(Event::ContentBlockStop { index });
    }
    events.push(Event::MessageDelta {
        delta: Ending { stop_reason: message.stop_reason, stop_sequence: None },
        usage: message.usage,
    });
    events.push(Event::MessageStop {});
    events
}

/// A block as its stream begins, and the pieces that fill it.
fn split(block: Block) -> (Block, Vec<Delta>) {
    match block {
        Block::Text { text } => {
            let deltas = pieces(&text, TEXT_PIECE).map(|text| Delta::Text { text });
            let empty = Block::Text { text: String::new() };
            (empty, deltas.collect())
        }
        Block::Thinking { thinking, signature } => {
            let deltas = pieces(&thinking, TEXT_PIECE)
                .map(|thinking| Delta::Thinking { thinking })
                .chain([Delta::Signature { signature }]);
            let empty = Block::Thinking { thinking: String::new(), signature: String::new() };
            (empty, deltas.collect())
        }
        Block::ToolUse { id, name, input } => {
            let json = Value::Object(input).to_string();
            let deltas =
                pieces(&json, INPUT_PIECE).map(|partial_json| Delta::Input { partial_json });
            let empty = Block::ToolUse { id, name, input: Map::new() };
            (empty, deltas.collect())
        }
    }
}

/// `text` in pieces of `size` characters (not bytes: a piece must be valid UTF-8).
fn pieces(text: &str, size: usize) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ask::Ask;
    use crate::script::{Script, Turn};

    fn stream(turn: &Value) -> Vec<Value> {
        let ask = Ask::parse(br#"{"model": "m"}"#).unwrap();
        let script = Script::from_json(&json!([turn]).to_string()).unwrap();
        let turn: Turn = script.turn_at("default", 0).unwrap().0.clone();
        events(Message::new(&ask, turn))
            .iter()
            .map(|event| serde_json::to_value(event).unwrap())
            .collect()
    }

    fn joined(events: &[Value], field: &str) -> String {
        events.iter().filter_map(|event| event["delta"][field].as_str()).collect()
    }

    #[test]
    fn a_text_is_streamed_in_pieces_between_start_and_stop() {
        let text = "Grüße aus der Stadt, in der es seit Tagen ohne Pause schneit ❄.";
        let events = stream(&json!({ "text": text }));
        let types: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(
            types,
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_delta",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop"
            ]
        );
        assert_eq!(events[0]["message"]["content"], json!([]));
        assert_eq!(events[0]["message"]["stop_reason"], Value::Null);
        assert_eq!(events[0]["message"]["usage"]["output_tokens"], 1);
        assert_eq!(joined(&events, "text"), text);
        assert_eq!(events[6]["delta"]["stop_reason"], "end_turn");
        assert!(events[6]["usage"]["output_tokens"].as_u64().unwrap() > 1);
    }

    #[test]
    fn thinking_ends_with_its_signature() {
        let events = stream(&json!({"thinking": "hm", "text": "ok"}));
        assert_eq!(events[1]["content_block"]["type"], "thinking");
        assert_eq!(events[2]["delta"], json!({"type": "thinking_delta", "thinking": "hm"}));
        assert_eq!(events[3]["delta"]["type"], "signature_delta");
        assert_eq!(events[5]["index"], 1);
    }

    #[test]
    fn a_tool_starts_empty_and_its_input_is_streamed_as_json() {
        let input = json!({"command": "x".repeat(500)});
        let events = stream(&json!({"tools": [{"name": "Bash", "input": input}]}));
        assert_eq!(events[1]["content_block"]["name"], "Bash");
        assert_eq!(events[1]["content_block"]["input"], json!({}));
        let sent: Value = serde_json::from_str(&joined(&events, "partial_json")).unwrap();
        assert_eq!(sent, input);
        let none = stream(&json!({"tools": [{"name": "ExitPlanMode"}]}));
        assert_eq!(joined(&none, "partial_json"), "{}");
    }

    #[test]
    fn a_frame_names_its_event_twice() {
        let frame = Event::ContentBlockStop { index: 2 }.frame().unwrap();
        assert_eq!(
            frame,
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
        );
        let last = Event::MessageStop {}.frame().unwrap();
        assert!(last.ends_with(b"{\"type\":\"message_stop\"}\n\n"));
    }
}
