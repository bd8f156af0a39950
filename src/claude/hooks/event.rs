//! The names of hook events.

use std::fmt;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A hook event. The list is 2.1.329's; 2.1.197 lacks the last three.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum HookEvent {
            $($(#[$doc])* $name,)+
            /// One this version of Chorus does not know, as it was named.
            Unknown(String),
        }

        impl HookEvent {
            /// Every event that is known.
            pub const KNOWN: &[Self] = &[$(Self::$name),+];

            /// The name as Claude Code writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => stringify!($name),)+
                    Self::Unknown(name) => name,
                }
            }
        }
    };
}

events!(
    /// The model asks for a tool; before any permission.
    PreToolUse,
    /// A tool ran.
    PostToolUse,
    /// A tool ran and failed.
    PostToolUseFailure,
    /// All tool calls of one response are answered.
    PostToolBatch,
    /// Claude Code notifies its user.
    Notification,
    /// A prompt was taken; in 2.1.329 also one that only waits in the queue.
    UserPromptSubmit,
    /// A slash command became a prompt.
    UserPromptExpansion,
    /// A conversation begins or goes on.
    SessionStart,
    /// A conversation ends.
    SessionEnd,
    /// The turn ended.
    Stop,
    /// The turn ended in an error.
    StopFailure,
    /// A sub-agent began.
    SubagentStart,
    /// A sub-agent ended.
    SubagentStop,
    /// Compaction begins.
    PreCompact,
    /// Compaction ended.
    PostCompact,
    /// Claude Code asks for a permission, a plan's approval or an answer.
    PermissionRequest,
    /// The auto mode's classifier refused.
    PermissionDenied,
    /// Setting up.
    Setup,
    /// A teammate has nothing to do.
    TeammateIdle,
    /// An entry of the task list was made.
    TaskCreated,
    /// An entry of the task list was completed.
    TaskCompleted,
    /// An MCP server asks.
    Elicitation,
    /// An MCP server was answered.
    ElicitationResult,
    /// A settings file changed.
    ConfigChange,
    /// A worktree is to be made (a hook replaces the making: never subscribe).
    WorktreeCreate,
    /// A worktree is to be removed.
    WorktreeRemove,
    /// Instructions were read.
    InstructionsLoaded,
    /// The working directory changed.
    CwdChanged,
    /// A watched file changed.
    FileChanged,
    /// Text of Claude's was shown.
    MessageDisplay,
    /// The model is about to change.
    PreModelSwitch,
    /// The model changed.
    PostModelSwitch,
    /// A directory was added.
    DirectoryAdded,
);

/// A longer name than any event has; what is cut off names nothing anyway.
const MAX_NAME: usize = 100;

impl HookEvent {
    /// Reads a name in any case, with or without `-` and `_`, and the specifications' aliases
    /// `tooluse` and `tool-complete` (both [`Self::PostToolUse`]).
    pub fn parse(name: &str) -> Self {
        let plain: String = name
            .chars()
            .filter(|c| !matches!(c, '-' | '_'))
            .map(|c| c.to_ascii_lowercase())
            .take(MAX_NAME)
            .collect();
        if matches!(plain.as_str(), "tooluse" | "toolcomplete") {
            return Self::PostToolUse;
        }
        Self::KNOWN
            .iter()
            .find(|event| event.as_str().eq_ignore_ascii_case(&plain))
            .cloned()
            .unwrap_or_else(|| Self::Unknown(name.chars().take(MAX_NAME).collect()))
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::HookEvent;

    #[test]
    fn names_are_read_in_any_case_and_by_alias() {
        assert_eq!(HookEvent::KNOWN.len(), 33);
        for event in HookEvent::KNOWN {
            assert_eq!(HookEvent::parse(event.as_str()), *event);
            assert_eq!(HookEvent::parse(&event.as_str().to_lowercase()), *event);
        }
        for alias in ["tooluse", "tool-complete", "posttooluse", "post-tool-use", "POST_TOOL_USE"] {
            assert_eq!(HookEvent::parse(alias), HookEvent::PostToolUse, "{alias}");
        }
        assert_eq!(HookEvent::parse("permissionrequest"), HookEvent::PermissionRequest);
        assert_eq!(HookEvent::parse("Novelty"), HookEvent::Unknown("Novelty".into()));
    }
}
