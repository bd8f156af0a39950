//! Messages: who speaks, by which way, and whether a prompt arrived.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::names;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To Claude.
    User,
    /// From Claude.
    Assistant,
    /// Neither: a summary after compaction, an error's text.
    System,
}

names!(Direction { User => "user", Assistant => "assistant", System => "system" });

/// By which way a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageSource {
    /// The web page.
    Dashboard,
    /// The API.
    Api,
    /// Chorus's command line.
    Cli,
    /// Slack.
    Slack,
    /// n8n.
    N8n,
    /// Typed into Claude's own terminal.
    Terminal,
    /// Told by Claude Code.
    Hook,
    /// Chorus itself: "continue" after a usage limit.
    Chorus,
}

names!(MessageSource {
    Dashboard => "dashboard", Api => "api", Cli => "cli", Slack => "slack", N8n => "n8n",
    Terminal => "terminal", Hook => "hook", Chorus => "chorus",
});

/// Whether a prompt arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Waits in Chorus until Claude is idle.
    Queued,
    /// On its way into the terminal.
    Sending,
    /// Claude Code confirmed the very text.
    Delivered,
    /// It did not arrive; the reason is with the message, and the text is kept.
    Undelivered,
}

names!(Delivery {
    Queued => "queued", Sending => "sending", Delivered => "delivered", Undelivered => "undelivered",
});
