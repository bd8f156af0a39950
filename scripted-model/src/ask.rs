//! What a Messages request asks for: its kind, and its place in the script.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::record::Kind;
use crate::script::Script;

/// Text the CLI adds to a user message on its own; never the user's words.
const REMINDER: &str = "<system-reminder>";

static KEYWORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"scenario:([A-Za-z0-9_-]+)"));
static WORKING_DIRECTORY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[Ww]orking directory: *(/[^\n<]*)"));
static PLAN_FILE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(/[^\s"\\]+/plans/[\w.-]+\.md)"#));

fn pattern(source: &str) -> Regex {
    // Invariant: all patterns are the constants above, and every unit test run compiles them.
    Regex::new(source).expect("the pattern is valid")
}

/// A Messages request, read leniently: a CLI newer than this program may send shapes it
/// does not know, and they must not stop a test that does not care about them.
#[derive(Debug)]
pub(crate) struct Ask {
    body: Value,
    bytes: usize,
}

/// Where a conversation stands in the script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) scenario: &'a str,
    /// 0 = the scenario's first turn.
    pub(crate) turn: usize,
    /// The latest user prompt; empty when there is none.
    pub(crate) prompt: String,
}

impl Ask {
    /// Reads a request body; an empty one counts as `{}`.
    pub(crate) fn parse(raw: &[u8]) -> serde_json::Result<Self> {
        let body = if raw.is_empty() { Value::Null } else { serde_json::from_slice(raw)? };
        Ok(Self { body, bytes: raw.len() })
    }

    /// The model the client asked for.
    pub(crate) fn model(&self) -> Option<&str> {
        self.body["model"].as_str()
    }

    /// Whether the answer is to be streamed.
    pub(crate) fn stream(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or(false)
    }

    /// A rough token count of the whole request.
    pub(crate) fn tokens(&self) -> usize {
        (self.bytes / 4).max(1)
    }

    /// Whether this is a turn of a conversation or one of the side requests.
    pub(crate) fn kind(&self) -> Kind {
        if self.body["max_tokens"].as_u64() == Some(1) {
            return Kind::Quota;
        }
        let last =
            self.messages().last().map(|message| own_text(&message["content"])).unwrap_or_default();
        if last.contains("create a detailed summary of") && last.contains("<summary>") {
            return Kind::Compact;
        }
        if self.output_format().is_some() {
            return Kind::Structured;
        }
        match self.body["tools"].as_array() {
            Some(tools) if !tools.is_empty() => Kind::Main,
            _ => Kind::Side,
        }
    }

    /// The place of this request in `script`, found from its messages alone.
    pub(crate) fn place<'a>(&self, script: &'a Script) -> Place<'a> {
        let mut scenario = script.default_name();
        let mut after = 0;
        let mut prompt = String::new();
        for (index, message) in self.messages().iter().enumerate() {
            if message["role"] != "user" {
                continue;
            }
            let text = own_text(&message["content"]);
            let named = KEYWORD
                .captures_iter(&text)
                .filter_map(|found| script.known(found.get(1)?.as_str()))
                .last();
            if let Some(name) = named {
                scenario = name;
                after = index + 1;
            }
            if !text.trim().is_empty() {
                prompt = text;
            }
        }
        let turn = self.messages()[after..]
            .iter()
            .filter(|message| message["role"] == "assistant")
            .count();
        Place { scenario, turn, prompt }
    }

    /// The CLI's working directory, as its system prompt (or else a message) tells it.
    pub(crate) fn working_directory(&self) -> Option<&str> {
        find(&self.body["system"], &WORKING_DIRECTORY)
            .or_else(|| find(&self.body["messages"], &WORKING_DIRECTORY))
            .map(str::trim)
    }

    /// The plan file that plan mode tells the model to write.
    pub(crate) fn plan_file(&self) -> Option<&str> {
        find(&self.body["messages"], &PLAN_FILE)
    }

    /// The JSON schema of a structured-output request; null when it gives none.
    pub(crate) fn schema(&self) -> &Value {
        self.output_format().map_or(&Value::Null, |format| &format["schema"])
    }

    fn output_format(&self) -> Option<&Value> {
        [&self.body["output_config"]["format"], &self.body["output_format"]]
            .into_iter()
            .find(|format| format.as_object().is_some_and(|fields| !fields.is_empty()))
    }

    fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The user's own text in a message: no tool results, no injected reminders.
fn own_text(content: &Value) -> String {
    let blocks: &[Value] = match content {
        Value::String(_) => std::slice::from_ref(content),
        Value::Array(blocks) => blocks,
        _ => &[],
    };
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Value::String(text) => Some(text.as_str()),
            _ if block["type"] == "text" => block["text"].as_str(),
            _ => None,
        })
        .filter(|text| !text.starts_with(REMINDER))
        .collect();
    texts.join("\n")
}

/// The first match of `pattern` in any string within `value`, in document order.
fn find<'v>(value: &'v Value, pattern: &Regex) -> Option<&'v str> {
    match value {
        Value::String(text) => {
            pattern.captures(text).and_then(|found| found.get(1)).map(|found| found.as_str())
        }
        Value::Array(items) => items.iter().find_map(|item| find(item, pattern)),
        Value::Object(fields) => fields.values().find_map(|field| find(field, pattern)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(body: &Value) -> Ask {
        Ask::parse(body.to_string().as_bytes()).unwrap()
    }

    fn user(content: impl Into<Value>) -> Value {
        json!({"role": "user", "content": content.into()})
    }

    fn assistant() -> Value {
        json!({"role": "assistant", "content": [{"type": "text", "text": "scenario:b"}]})
    }

    fn place(messages: &[Value]) -> (String, usize, String) {
        let script =
            Script::from_json(r#"{"default":"d","scenarios":{"d":[],"a":[],"b":[]}}"#).unwrap();
        let ask = ask(&json!({ "messages": messages }));
        let place = ask.place(&script);
        (place.scenario.to_owned(), place.turn, place.prompt)
    }

    #[test]
    fn without_a_keyword_the_default_counts_all_answers() {
        assert_eq!(place(&[]), ("d".into(), 0, String::new()));
        assert_eq!(
            place(&[user("hi"), assistant(), user("again")]),
            ("d".into(), 1, "again".into())
        );
    }

    #[test]
    fn the_last_keyword_wins_and_answers_after_it_count() {
        let talk = [
            user("scenario:a go"),
            assistant(),
            user("more"),
            assistant(),
            user("x scenario:a then scenario:b"),
            assistant(),
            user(json!([{"type": "tool_result", "content": "scenario:a"}])),
        ];
        assert_eq!(place(&talk[..1]), ("a".into(), 0, "scenario:a go".into()));
        assert_eq!(place(&talk[..4]), ("a".into(), 2, "more".into()));
        let (scenario, turn, prompt) = place(&talk);
        assert_eq!((scenario.as_str(), turn), ("b", 1));
        assert_eq!(prompt, "x scenario:a then scenario:b");
    }

    #[test]
    fn unknown_names_reminders_and_system_messages_pick_nothing() {
        let reminder = json!([
            {"type": "text", "text": "<system-reminder>scenario:b</system-reminder>"},
            {"type": "text", "text": "scenario:a"},
        ]);
        let talk = [
            user(reminder),
            json!({"role": "system", "content": "scenario:b"}),
            assistant(),
            user("scenario:nowhere"),
        ];
        assert_eq!(place(&talk), ("a".into(), 1, "scenario:nowhere".into()));
    }

    #[test]
    fn kinds_are_told_apart() {
        let tools = json!([{"name": "Bash"}]);
        let kind = |body: Value| ask(&body).kind();
        assert_eq!(kind(json!({"max_tokens": 1, "tools": tools})), Kind::Quota);
        let summary = user("please create a detailed summary of it in <summary> tags");
        assert_eq!(kind(json!({"messages": [summary], "tools": tools})), Kind::Compact);
        let format = json!({"format": {"type": "json_schema"}});
        assert_eq!(kind(json!({"output_config": format, "tools": tools})), Kind::Structured);
        assert_eq!(kind(json!({"output_format": {"type": "x"}})), Kind::Structured);
        assert_eq!(kind(json!({"output_config": {}, "tools": tools})), Kind::Main);
        assert_eq!(kind(json!({"tools": []})), Kind::Side);
        assert_eq!(Ask::parse(b"").unwrap().kind(), Kind::Side);
        assert!(Ask::parse(b"{").is_err());
    }

    #[test]
    fn the_directory_comes_from_the_system_prompt_first() {
        let message = user("Working directory: /from/message \nnext");
        let system =
            json!([{"type": "text", "text": "x\nPrimary working directory: /from/system\n"}]);
        let both = json!({"system": system, "messages": [message]});
        assert_eq!(ask(&both).working_directory(), Some("/from/system"));
        let one = json!({"system": "none", "messages": [message]});
        assert_eq!(ask(&one).working_directory(), Some("/from/message"));
        assert_eq!(ask(&json!({})).working_directory(), None);
    }

    #[test]
    fn the_plan_file_is_found_anywhere_in_the_messages() {
        let text = "write your plan to /home/u/.claude/plans/brave-fox.md, then";
        let messages = json!([user(json!([{"type": "tool_result", "content": [{"text": text}]}]))]);
        assert_eq!(
            ask(&json!({ "messages": messages })).plan_file(),
            Some("/home/u/.claude/plans/brave-fox.md")
        );
    }
}
