//! Reading of JSON that was written by JavaScript and may be cut, mistyped or hostile.

use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::hex::hex;
use crate::domain::permission::PLAN;

/// Reads JSON. JavaScript cuts strings between the halves of a surrogate pair and writes the
/// remaining half as an escape, which is no Unicode: such a half, and bytes that are no UTF-8,
/// become U+FFFD. Nesting deeper than 128 levels is an error.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => {
            let text = String::from_utf8_lossy(bytes);
            let repaired = without_lone_surrogates(&text);
            if matches!((&text, &repaired), (Cow::Borrowed(_), Cow::Borrowed(_))) {
                return Err(error);
            }
            serde_json::from_str(&repaired)
        }
    }
}

fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let escape = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match escape(at) {
            Some(0xd800..=0xdbff) if matches!(escape(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&text[kept..at]);
                out.push_str("\\ufffd");
                at += 6;
                kept = at;
            }
            // Skip what is escaped, so that the second half of `\\` starts no escape.
            _ => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// What kind of value it is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The member `key` if it is a string that is not empty.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str).filter(|s| !s.is_empty())
}

/// The texts of content blocks (`[{"type": "text", "text": …}, …]`), joined by line breaks; other
/// blocks are named in brackets. A plain string is itself.
pub(super) fn block_text(content: &Value) -> Option<String> {
    let blocks = match content {
        Value::String(s) => return Some(s.clone()),
        Value::Array(blocks) => blocks,
        _ => return None,
    };
    let mut out = String::new();
    for block in blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        match (block.get("text").and_then(Value::as_str), block.get("type").and_then(Value::as_str))
        {
            (Some(text), _) => out.push_str(text),
            (None, Some(kind)) => {
                out.push('[');
                out.push_str(kind);
                out.push(']');
            }
            (None, None) => out.push_str(&block.to_string()),
        }
    }
    Some(out)
}

/// Digest of a tool call's input, equal for the same call whether a hook or the transcript tells of
/// it: SHA-256, in hexadecimal, of the tool and its input with sorted keys.
///
/// Three differences between the two are levelled: members that are `null`, `false` or empty may be
/// filled in by Claude Code; paths may be made absolute, so only their last part counts; and the
/// plan of `ExitPlanMode` is in the hook only (recorded from 2.1.329), so its input does not count.
pub fn input_digest(tool: &str, input: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(tool.as_bytes());
    if tool != PLAN {
        feed(&mut hash, None, input);
    }
    hex(&hash.finalize())
}

/// Feeds a value, each with a tag so that different values cannot read the same. The depth is
/// bounded by the parser's.
fn feed(hash: &mut Sha256, key: Option<&str>, value: &Value) {
    let string = |hash: &mut Sha256, tag: &[u8], s: &str| {
        hash.update(tag);
        hash.update((s.len() as u64).to_le_bytes());
        hash.update(s.as_bytes());
    };
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(b) => hash.update(if *b { b"t" } else { b"f" }),
        Value::Number(n) => string(hash, b"#", &n.to_string()),
        Value::String(s) => {
            let path = matches!(key, Some("file_path" | "notebook_path" | "path"));
            let s = if path { s.rsplit('/').next().unwrap_or(s) } else { s };
            string(hash, b"s", s);
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| feed(hash, None, item));
            hash.update(b"]");
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().filter(|(_, v)| !is_blank(v)).collect();
            members.sort_unstable_by_key(|(k, _)| k.as_str());
            hash.update(b"{");
            for (key, value) in members {
                string(hash, b"k", key);
                feed(hash, Some(key), value);
            }
            hash.update(b"}");
        }
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{input_digest, parse};

    #[test]
    fn half_characters_become_replacement_characters() {
        let cases = [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00b""#, "\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d \ud83d""#, "\\ud83d \u{fffd}"),
            (r#""\ud83d\ude00""#, "😀"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()).expect(text), json!(expected));
        }
        assert_eq!(parse(b"\"a\xffb\"").expect("repaired"), json!("a\u{fffd}b"));
        assert!(parse(br#"{"a": "#).is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn the_digest_is_the_same_from_hook_and_transcript() {
        let hook = json!({"file_path": "/project/a.txt", "old_string": "x", "replace_all": false});
        let transcript = json!({"old_string": "x", "file_path": "a.txt"});
        assert_eq!(input_digest("Edit", &hook), input_digest("Edit", &transcript));
        assert_ne!(input_digest("Edit", &hook), input_digest("Write", &hook));
        assert_ne!(
            input_digest("Bash", &json!({"command": "a"})),
            input_digest("Bash", &json!({"command": "b"}))
        );
        assert_eq!(
            input_digest("ExitPlanMode", &json!({"plan": "p"})),
            input_digest("ExitPlanMode", &json!({}))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_string_survives_repair(text in r#"[\\ud83de0a"x]{0,40}"#) {
            let _ = parse(format!("\"{text}\"").as_bytes());
        }
    }
}
