//! A scripted stand-in for the Anthropic Messages API.
//!
//! The real Claude Code CLI runs against it (`ANTHROPIC_BASE_URL`) with no network and no
//! account: a prompt holding `scenario:NAME` makes the "model" play that scenario of a
//! [`Script`], turn by turn, tool calls included. Chorus's demo and tests use it; it is
//! never shipped.
//!
//! ```
//! use scripted_model::{Script, ScriptedModel};
//!
//! let script = Script::from_json(r#"[{"text": "Hello, {{prompt}}"}]"#)?;
//! let model = ScriptedModel::start(script)?;
//! println!("export ANTHROPIC_BASE_URL={}", model.url());
//! assert!(model.requests().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a turn is chosen
//!
//! From the request alone, so any number of CLI processes share one server: the last user
//! message holding `scenario:NAME` (a name the script knows) picks the scenario, and the
//! number of assistant messages after it picks the turn. With no such keyword anywhere, the
//! default scenario is played and all assistant messages count. Past the end of a scenario
//! the answer is the text `(end of script)`. A sub-agent is a conversation of its own:
//! `scenario:NAME` in the Agent tool's `prompt` scripts it. Newer CLIs run sub-agents in the
//! background and start one more turn of the parent when each ends; give that turn a text.
//!
//! # Side requests
//!
//! They never consume a turn: a request without tools (a title, for example) gets a short
//! text, a structured-output request gets the fields its schema requires, a quota probe
//! (`max_tokens` 1) gets one token, a compaction request gets a `<summary>`, and
//! `/v1/messages/count_tokens` gets a count.
//!
//! # Other addresses
//!
//! `GET /healthz` answers `ok`, `GET /requests` the list of [`Request`]s as JSON,
//! `GET /v1/models` an empty list, and everything else (`HEAD /`, telemetry) `{}`.

mod answer;
mod ask;
mod events;
mod expand;
mod failures;
mod http;
pub mod mcp;
mod playback;
mod record;
mod script;
mod server;

pub use record::{BODIES_KEPT, Kind, REQUESTS_KEPT, Recorded, Request};
pub use script::{Script, ScriptError, ToolCall, Turn};
pub use server::{Options, ScriptedModel};
