//! Claude's own list of what it has to do, as its calls of the tools for that list tell it.
//!
//! `TodoWrite` writes the whole list, `{todos: [{content, activeForm, status}]}`. Newer versions have `TaskCreate` instead,
//! `{subject, activeForm}`, which answers `Task #1 created successfully: …`, and `TaskUpdate`, `{taskId, status}`.

use serde_json::Value;

/// How far Claude has come with its own list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done.
    pub done: usize,
    /// All of it.
    pub total: usize,
    /// What it is at, in its words.
    pub doing: Option<String>,
}

/// A call that changes the list.
#[derive(Clone, Debug)]
pub struct TodoCall {
    /// The tool.
    pub tool: String,
    /// Its input.
    pub input: Value,
    /// What it answered, if it has.
    pub result: Option<String>,
}

/// What a list looks like after these calls, oldest first. `None` if there is nothing on it.
pub fn progress(calls: &[TodoCall]) -> Option<Progress> {
    let mut items: Vec<Item> = Vec::new();
    for call in calls {
        match call.tool.as_str() {
            "TodoWrite" => {
                let todos = call.input.get("todos").and_then(Value::as_array);
                items = todos.into_iter().flatten().map(Item::written).collect();
            }
            "TaskCreate" => items.extend(Item::created(call)),
            "TaskUpdate" => {
                let id = call.input.get("taskId").map(plain).unwrap_or_default();
                let status = call.input.get("status").and_then(Value::as_str);
                if let (Some(item), Some(status)) = (items.iter_mut().find(|i| i.id == id), status)
                {
                    item.status = status.to_owned();
                }
            }
            _ => {}
        }
    }
    items.retain(|i| i.status != "deleted");
    let doing = items.iter().find(|i| i.status == "in_progress");
    (!items.is_empty()).then(|| Progress {
        done: items.iter().filter(|i| i.status == "completed").count(),
        total: items.len(),
        doing: doing.map(|i| i.words.clone()),
    })
}

struct Item {
    id: String,
    words: String,
    status: String,
}

/// An id may be a text or a number.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn words(value: &Value, key: &str) -> String {
    let word = |key: &str| value.get(key).and_then(Value::as_str).filter(|w| !w.is_empty());
    word("activeForm").or_else(|| word(key)).unwrap_or_default().to_owned()
}

impl Item {
    fn written(todo: &Value) -> Self {
        let status = todo.get("status").and_then(Value::as_str).unwrap_or("pending");
        Self { id: String::new(), words: words(todo, "content"), status: status.to_owned() }
    }

    fn created(call: &TodoCall) -> Option<Self> {
        let (_, rest) = call.result.as_deref()?.split_once('#')?;
        let id = rest.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
        let words = words(&call.input, "subject");
        Some(Self { id: id.to_owned(), words, status: "pending".into() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Progress, TodoCall, progress};

    fn call(tool: &str, input: Value, result: &str) -> TodoCall {
        TodoCall { tool: tool.into(), input, result: Some(result.into()) }
    }

    #[test]
    fn a_written_list_is_the_last_one_written() {
        let first = json!({"todos": [{"content": "a", "status": "pending"}]});
        let last = json!({"todos": [
            {"content": "Look", "activeForm": "Looking", "status": "completed"},
            {"content": "Write", "activeForm": "Writing", "status": "in_progress"},
            {"content": "Test", "status": "pending"},
        ]});
        let calls = [call("TodoWrite", first, ""), call("TodoWrite", last, "")];
        let expected = Progress { done: 1, total: 3, doing: Some("Writing".into()) };
        assert_eq!(progress(&calls), Some(expected));
        assert_eq!(progress(&[call("TodoWrite", json!({"todos": []}), "")]), None);
    }

    #[test]
    fn a_list_made_one_by_one_is_put_together() {
        let calls = [
            call("TaskCreate", json!({"subject": "Look"}), "Task #1 created successfully: Look"),
            call("TaskCreate", json!({"subject": "Write"}), "Task #2 created successfully: Write"),
            call("TaskCreate", json!({"subject": "No"}), "Task #3 created successfully: No"),
            call("TaskUpdate", json!({"taskId": "1", "status": "completed"}), ""),
            call("TaskUpdate", json!({"taskId": "2", "status": "in_progress"}), ""),
            call("TaskUpdate", json!({"taskId": "3", "status": "deleted"}), ""),
            call("TaskUpdate", json!({"taskId": "9", "status": "completed"}), ""),
        ];
        let expected = Progress { done: 1, total: 2, doing: Some("Write".into()) };
        assert_eq!(progress(&calls), Some(expected));
    }

    #[test]
    fn nonsense_is_no_list() {
        assert_eq!(
            progress(&[call("TodoWrite", json!("x"), ""), call("TaskCreate", json!(1), "")]),
            None
        );
    }
}
