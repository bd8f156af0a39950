//! The texts by which screens are told apart. A later version may change them before Chorus does,
//! so each can be given by configuration.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::start::StartKind;

/// Regular expressions, each matched on one line or, where said, on text whose line breaks and
/// blanks have become single blanks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patterns {
    /// A hint below the box while Claude works.
    pub busy: String,
    /// The line with the spinner above the box.
    pub spinner: String,
    /// The line above the box that says that a request is tried again.
    pub retrying: String,
    /// The line above the box while background work goes on.
    pub background: String,
    /// The hint that nobody is logged in.
    pub not_logged_in: String,
    /// The question of a permission dialog (blanks collapsed).
    pub permission: String,
    /// The question of a plan's dialog (blanks collapsed).
    pub plan: String,
    /// The footer of a question of Claude's (blanks collapsed).
    pub question: String,
    /// The text of the dialog about the auto mode's check (blanks collapsed).
    pub auto_mode: String,
    /// The title of the menu that goes back to an earlier point (blanks collapsed).
    pub rewind: String,
    /// Its footer (blanks collapsed).
    pub rewind_footer: String,
    /// What blocks a start, by kind (blanks collapsed). A kind that is left out keeps its own.
    pub start: BTreeMap<StartKind, String>,
}

impl Default for Patterns {
    fn default() -> Self {
        Self {
            busy: r"\besc to interrupt\b".into(),
            spinner: r"^[·✢✳✶✻✽*] \S+…(?: \(.*\))?\s*$".into(),
            retrying: r"[Rr]etrying in \d+s · attempt \d+/\d+".into(),
            background: r"^[·✢✳✶✻✽*] Waiting for \d+ background ".into(),
            not_logged_in: r"\bNot logged in · ".into(),
            permission: r"Do you want to (?:proceed|create .+|make this edit to .+|overwrite .+|allow Claude to .+)\?".into(),
            plan: r"Would you like to proceed\?|Exit plan mode\?".into(),
            question: r"Enter to select · ".into(),
            auto_mode: r"Auto mode can't check actions in this session .*Enter to stay in auto mode".into(),
            rewind: r"Rewind Restore the code and/or conversation".into(),
            rewind_footer: r"Enter to continue · Esc to cancel".into(),
            start: StartKind::ALL.iter().map(|kind| (*kind, start(*kind).to_owned())).collect(),
        }
    }
}

fn start(kind: StartKind) -> &'static str {
    match kind {
        StartKind::Onboarding => r"Choose the text style|Security notes: 1\.",
        StartKind::Offline => r"Unable to connect to Anthropic services",
        StartKind::Settings => r"Settings Error .*Files with errors are skipped",
        StartKind::Trust => r"Yes, I trust this folder",
        StartKind::AddDir => r"Adding a new directory: .*Yes, add it",
        StartKind::ApiKey => r"Detected a custom API key in your environment",
        StartKind::Mcp => r"[Nn]ew MCP servers? found in this project",
        StartKind::ClaudeMdImports => r"Allow external CLAUDE\.md file imports\?",
        StartKind::Login => r"Select login method:",
        StartKind::NotLoggedIn => r"Not logged in · ",
        StartKind::BypassRefused => r"cannot be used with root/sudo privileges",
        StartKind::BypassWarning => r"running in Bypass Permissions mode.*Yes, I accept",
        StartKind::ConversationInUse => r"Session ID \S+ is already in use",
        StartKind::NoConversation => r"No conversation found with session ID",
        StartKind::Unknown => r"Enter to confirm · Esc to ",
    }
}

/// A pattern is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("status pattern `{name}`: {error}")]
pub struct PatternError {
    /// Which.
    pub name: String,
    /// Why.
    pub error: Box<regex::Error>,
}

/// The patterns, ready to read screens.
#[derive(Clone, Debug)]
pub struct Screens {
    pub(super) busy: Regex,
    pub(super) spinner: Regex,
    pub(super) retrying: Regex,
    pub(super) background: Regex,
    pub(super) not_logged_in: Regex,
    pub(super) permission: Regex,
    pub(super) plan: Regex,
    pub(super) question: Regex,
    pub(super) auto_mode: Regex,
    pub(super) rewind: Regex,
    pub(super) rewind_footer: Regex,
    pub(super) start: Vec<(StartKind, Regex)>,
}

/// The patterns that were recorded.
static RECORDED: LazyLock<Screens> =
    LazyLock::new(|| Screens::new(&Patterns::default()).expect("the defaults are tested"));

impl Default for Screens {
    fn default() -> Self {
        RECORDED.clone()
    }
}

impl Screens {
    /// Compiles patterns.
    ///
    /// # Errors
    /// If one is no regular expression, or too large a one.
    pub fn new(patterns: &Patterns) -> Result<Self, PatternError> {
        let compile = |name: &str, pattern: &str| {
            RegexBuilder::new(pattern)
                .size_limit(1 << 20)
                .build()
                .map_err(|error| PatternError { name: name.to_owned(), error: Box::new(error) })
        };
        let start = StartKind::ALL.iter().map(|kind| {
            let pattern = patterns.start.get(kind).map_or(start(*kind), String::as_str);
            Ok((*kind, compile(&format!("start.{kind:?}"), pattern)?))
        });
        Ok(Self {
            busy: compile("busy", &patterns.busy)?,
            spinner: compile("spinner", &patterns.spinner)?,
            retrying: compile("retrying", &patterns.retrying)?,
            background: compile("background", &patterns.background)?,
            not_logged_in: compile("not_logged_in", &patterns.not_logged_in)?,
            permission: compile("permission", &patterns.permission)?,
            plan: compile("plan", &patterns.plan)?,
            question: compile("question", &patterns.question)?,
            auto_mode: compile("auto_mode", &patterns.auto_mode)?,
            rewind: compile("rewind", &patterns.rewind)?,
            rewind_footer: compile("rewind_footer", &patterns.rewind_footer)?,
            start: start.collect::<Result<_, _>>()?,
        })
    }
}
