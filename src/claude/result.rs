//! What a tool answered, as text for people.

use serde_json::{Map, Value};

use super::json::{block_text, text};
use crate::domain::permission::{PLAN, QUESTION};

/// Makes a text of a `tool_response` (the transcript's `toolUseResult` has the same forms). Shapes
/// were recorded from 2.1.197 and 2.1.329; any other becomes compact JSON.
pub(super) fn result_text(tool: &str, response: &Value) -> Option<String> {
    let map = match response {
        Value::Null => return None,
        Value::String(s) => return Some(s.clone()),
        Value::Array(_) => return block_text(response),
        Value::Object(map) => map,
        other => return Some(other.to_string()),
    };
    let special = match tool {
        "Bash" | "PowerShell" => Some(streams(map)),
        "Read" => map.get("file").and_then(|file| file.get("content")).and_then(block_text),
        "Write" | "Edit" | "MultiEdit" => file_change(map),
        PLAN => text(map, "plan").map(str::to_owned),
        QUESTION => map.get("answers").and_then(Value::as_object).map(answers),
        "Agent" | "Task" => map.get("content").and_then(block_text).or_else(|| {
            (text(map, "status") == Some("async_launched"))
                .then(|| "started in the background".to_owned())
        }),
        "WebFetch" => text(map, "result").map(str::to_owned),
        _ => map.get("content").filter(|c| c.is_array()).and_then(block_text),
    };
    Some(special.unwrap_or_else(|| response.to_string()))
}

fn streams(map: &Map<String, Value>) -> String {
    let mut out = text(map, "stdout").unwrap_or_default().to_owned();
    if let Some(stderr) = text(map, "stderr") {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(stderr);
    }
    if map.get("isImage") == Some(&Value::Bool(true)) {
        out = "[image]".to_owned();
    }
    if map.get("interrupted") == Some(&Value::Bool(true)) {
        out.push_str("\n[interrupted]");
    }
    out
}

/// A file's change as a headline and, where there is one, its diff.
fn file_change(map: &Map<String, Value>) -> Option<String> {
    let path = text(map, "filePath")?;
    let created = text(map, "type") == Some("create");
    let mut out = format!("{} {path}", if created { "created" } else { "changed" });
    for hunk in map.get("structuredPatch").and_then(Value::as_array).into_iter().flatten() {
        let number = |key| hunk.get(key).and_then(Value::as_i64).unwrap_or_default();
        out.push_str(&format!(
            "\n@@ -{},{} +{},{} @@",
            number("oldStart"),
            number("oldLines"),
            number("newStart"),
            number("newLines")
        ));
        for line in hunk.get("lines").and_then(Value::as_array).into_iter().flatten() {
            out.push('\n');
            out.push_str(line.as_str().unwrap_or_default());
        }
    }
    Some(out)
}

fn answers(map: &Map<String, Value>) -> String {
    let lines: Vec<String> = map
        .iter()
        .map(|(question, answer)| match answer.as_str() {
            Some(answer) => format!("{question} → {answer}"),
            None => format!("{question} → {answer}"),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::result_text;

    #[test]
    fn results_read_well() {
        let cases = [
            ("Bash", json!({"stdout": "ran", "stderr": "", "interrupted": false}), "ran"),
            ("Bash", json!({"stdout": "a", "stderr": "b"}), "a\nb"),
            ("Read", json!({"type": "text", "file": {"content": "line one\n"}}), "line one\n"),
            (
                "Write",
                json!({"type": "create", "filePath": "/p/n", "structuredPatch": []}),
                "created /p/n",
            ),
            (
                "Edit",
                json!({"filePath": "/p/n", "structuredPatch": [
                    {"oldStart": 1, "oldLines": 1, "newStart": 1, "newLines": 1, "lines": ["-a", "+b"]}]}),
                "changed /p/n\n@@ -1,1 +1,1 @@\n-a\n+b",
            ),
            ("AskUserQuestion", json!({"answers": {"Which?": "Blue"}}), "Which? → Blue"),
            ("mcp__demo__echo", json!([{"type": "text", "text": "echo: hi"}]), "echo: hi"),
            (
                "Agent",
                json!({"content": [{"type": "text", "text": "Child report."}]}),
                "Child report.",
            ),
            ("Agent", json!({"status": "async_launched"}), "started in the background"),
            ("TaskUpdate", json!({"success": true}), "{\"success\":true}"),
            ("Any", json!("Error: x"), "Error: x"),
        ];
        for (tool, response, expected) in cases {
            assert_eq!(result_text(tool, &response).as_deref(), Some(expected), "{tool}");
        }
        assert_eq!(result_text("Bash", &json!(null)), None);
    }
}
