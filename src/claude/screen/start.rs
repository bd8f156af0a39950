//! What can block a start, before any conversation begins and any hook runs.

use serde::{Deserialize, Serialize};

use super::dialog::collapse;
use super::patterns::Screens;
use super::{lines, live_box, plain};

/// What blocks the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartKind {
    /// The first start: theme, security notes.
    Onboarding,
    /// Anthropic's services cannot be reached.
    Offline,
    /// A settings file is no JSON; one with comments is none for Claude Code.
    Settings,
    /// Is this folder trusted?
    Trust,
    /// Is a further folder (`--add-dir`) trusted? 2.1.329 asks, 2.1.197 does not.
    AddDir,
    /// Is the key in the environment to be used?
    ApiKey,
    /// Are the project's MCP servers to be used?
    Mcp,
    /// May instructions from outside of the project be read?
    ClaudeMdImports,
    /// How to log in?
    Login,
    /// Nobody is logged in.
    NotLoggedIn,
    /// Asking for no permission at all is refused.
    BypassRefused,
    /// Asking for no permission at all needs a confirmation.
    BypassWarning,
    /// The conversation's id is taken.
    ConversationInUse,
    /// There is no such conversation.
    NoConversation,
    /// A dialog that is none of these.
    Unknown,
}

impl StartKind {
    /// Every kind, in the order in which Claude Code shows them.
    pub const ALL: [Self; 15] = [
        Self::BypassRefused,
        Self::ConversationInUse,
        Self::NoConversation,
        Self::Offline,
        Self::Settings,
        Self::Onboarding,
        Self::Trust,
        Self::AddDir,
        Self::ApiKey,
        Self::BypassWarning,
        Self::Mcp,
        Self::ClaudeMdImports,
        Self::Login,
        Self::NotLoggedIn,
        Self::Unknown,
    ];

    /// What it is, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onboarding => "Claude Code's first-start questions",
            Self::Offline => "Claude Code cannot reach Anthropic's services",
            Self::Settings => "a settings file that Claude Code cannot read",
            Self::Trust => "the question whether this folder is trusted",
            Self::AddDir => "the question whether a further folder is trusted",
            Self::ApiKey => "the question whether to use the API key in the environment",
            Self::Mcp => "the question whether to use the project's MCP servers",
            Self::ClaudeMdImports => "the question whether CLAUDE.md may import outside files",
            Self::Login => "the login menu",
            Self::NotLoggedIn => "nobody is logged in to Claude Code",
            Self::BypassRefused => "bypassPermissions is refused for root",
            Self::BypassWarning => "the warning about bypassPermissions",
            Self::ConversationInUse => "the conversation's id is already in use",
            Self::NoConversation => "Claude Code has no such conversation",
            Self::Unknown => "a question that Chorus does not know",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Onboarding => "run `claude` once in a terminal and answer its questions",
            Self::Offline => {
                "check the network; run `claude` once in a terminal to finish its setup"
            }
            Self::Settings => {
                "`chorus attach` shows which; mend it (comments are not allowed in it) and restart"
            }
            Self::Unknown => "`chorus attach` shows it: answer it there",
            Self::Trust => {
                "run `claude` once in this repository's root and trust it, or attach and answer"
            }
            Self::ApiKey => {
                "run `claude` once in a terminal and approve the key, or attach and answer"
            }
            Self::AddDir => "run `claude` once in that folder and trust it, or attach and answer",
            Self::Mcp => {
                "attach and answer, or set `enableAllProjectMcpServers` in Claude Code's settings"
            }
            Self::ClaudeMdImports => "run `claude` once in this folder and answer, or attach",
            Self::Login | Self::NotLoggedIn => {
                "run `claude` in a terminal and /login, or set ANTHROPIC_API_KEY"
            }
            Self::BypassRefused => "run Chorus as another user than root, or choose another mode",
            Self::BypassWarning => "attach and answer, or choose another permission mode",
            Self::ConversationInUse => "restart the session with a fresh conversation",
            Self::NoConversation => {
                "restart the session fresh; older versions resume only in the folder it began in"
            }
        }
    }

    /// The row that lets the start go on, where Chorus may choose it when it was told to.
    pub fn accept(self) -> Option<&'static str> {
        match self {
            Self::Trust => Some("Yes, I trust this folder"),
            Self::AddDir => Some("Yes, add it"),
            Self::ApiKey => Some("Yes"),
            Self::Mcp => Some("Use this MCP server"),
            Self::ClaudeMdImports => Some("Yes, allow external imports"),
            _ => None,
        }
    }
}

/// A dialog or message that blocks the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartDialog {
    /// Which.
    pub kind: StartKind,
    /// What it is, for people.
    pub name: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Screens {
    /// Reads what blocks the start. Look only while no conversation has begun: a conversation may
    /// quote such a text.
    pub fn blocking_dialog(&self, text: &str) -> Option<StartDialog> {
        let text = plain(text);
        let lines = lines(&text);
        let found =
            |kind: StartKind| StartDialog { kind, name: kind.name(), remedy: kind.remedy() };
        if live_box(&lines).is_some() {
            return self.not_logged_in(&text).then(|| found(StartKind::NotLoggedIn));
        }
        let whole = collapse(&lines);
        self.start
            .iter()
            .find(|(_, pattern)| pattern.is_match(&whole))
            .map(|(kind, _)| found(*kind))
    }
}
