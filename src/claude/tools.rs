//! The names of Claude Code's own tools.

/// Those of 2.1.197 and 2.1.329 that a user meets.
pub const KNOWN: [&str; 22] = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "Edit",
    "EnterPlanMode",
    "ExitPlanMode",
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

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_are_of_a_closed_set() {
        assert_eq!(label("Bash"), "Bash");
        assert_eq!(label("mcp__demo__echo"), "mcp");
        assert_eq!(label("Bash\n# evil"), "other");
    }
}
