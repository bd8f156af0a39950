//! How Claude is launched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::is_zero;
use crate::domain::names::names;
use crate::domain::usage::Usd;

/// How Claude is launched. The same for every runtime; kept with the session and used again on
/// every restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Launch {
    /// `--model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `--permission-mode`; `default` unless chosen, so that Claude asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// `--allowedTools`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_tools: Vec<String>,
    /// `--disallowedTools`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disallowed_tools: Vec<String>,
    /// `--mcp-config`, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub mcp_config: Option<serde_json::Value>,
    /// `--add-dir`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_dirs: Vec<String>,
    /// Extra environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `CLAUDE_CONFIG_DIR`: another account or configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claude_config_dir: Option<String>,
    /// What is appended to the system prompt, by `--append-system-prompt-file`: a file in Chorus's own
    /// folder that is there until Claude has started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_system_prompt: Option<String>,
    /// Further arguments, passed as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    /// How often within an hour Claude is started again by itself, with its conversation, after it
    /// has ended unasked.
    #[serde(skip_serializing_if = "is_zero")]
    pub crash_restarts: u32,
    /// What the session may cost to begin with, in US dollars, by Claude Code's own word or else
    /// estimated. When that is spent, its turn is interrupted and it takes no further prompts.
    /// `budget_usd` of the session itself changes it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<Usd>,
}

/// Claude Code's permission modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// Ask for whatever is not allowed.
    Default,
    /// Edits inside the project need no permission.
    AcceptEdits,
    /// Read and plan only.
    Plan,
    /// Claude Code's own classifier decides.
    Auto,
    /// Deny instead of asking.
    DontAsk,
    /// Ask for nothing.
    BypassPermissions,
}

names!(PermissionMode {
    Default => "default", AcceptEdits => "acceptEdits", Plan => "plan", Auto => "auto",
    DontAsk => "dontAsk", BypassPermissions => "bypassPermissions",
});
