//! The names of Claude Code's own tools.

use crate::domain::permission::{PLAN, QUESTION};

/// Those of 2.1.197 and 2.1.329 that a user meets.
pub const KNOWN: [&str; 22] = [
    "Agent",
    QUESTION,
    "Bash",
    "BashOutput",
    "Edit",
    "EnterPlanMode",
    PLAN,
    "Glob",
    "Grep",
    "KillShell",
    "LSP",
    "MultiEdit",
    "NotebookEdit",
    "Read",
    "Skill",
    "Task",
    "TaskCreate",
    "TaskUpdate",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Write",
];
/// Those that edit the file that their input names.
pub const EDITING: [&str; 4] = ["Edit", "MultiEdit", "NotebookEdit", "Write"];
/// The tool that runs commands.
pub const SHELL: &str = "Bash";
/// What stands for every tool of an MCP server.
pub const MCP: &str = "mcp";
/// What stands for every tool that is not known.
pub const OTHER: &str = "other";

/// A tool's name if it is one of [`KNOWN`], else what stands for it: a name out of a closed set,
/// for labels of metrics.
pub fn label(tool: &str) -> &'static str {
    match KNOWN.iter().find(|known| **known == tool) {
        Some(known) => known,
        None if tool.starts_with("mcp__") => MCP,
        None => OTHER,
    }
}

/// The file that a call edits, as its input names it.
pub fn edited<'i>(tool: &str, input: &'i serde_json::Value) -> Option<&'i str> {
    let key = if tool == "NotebookEdit" { "notebook_path" } else { "file_path" };
    EDITING.contains(&tool).then(|| input.get(key)?.as_str()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{edited, label};

    #[test]
    fn edits_name_their_file() {
        assert_eq!(edited("Write", &json!({"file_path": "/a"})), Some("/a"));
        assert_eq!(edited("NotebookEdit", &json!({"notebook_path": "/n"})), Some("/n"));
        assert_eq!(edited("Read", &json!({"file_path": "/a"})), None);
        assert_eq!(edited("Edit", &json!({"file_path": 1})), None);
    }

    #[test]
    fn labels_are_of_a_closed_set() {
        assert_eq!(label("Bash"), "Bash");
        assert_eq!(label("mcp__demo__echo"), "mcp");
        assert_eq!(label("Bash\n# evil"), "other");
    }
}
