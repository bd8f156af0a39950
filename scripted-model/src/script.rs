//! The script: named scenarios, each a list of turns.

mod load;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use load::ScriptError;

/// What the stand-in model says: named scenarios and the one played when none is named.
///
/// As JSON, either
///
/// ```json
/// {"default": "hello", "scenarios": {"hello": [{"text": "Hi."}]}}
/// ```
///
/// or a bare list of turns, which is one scenario called `default`. Without `"default"` the
/// scenario of that name is the default, else the first one in the file. Unknown fields are
/// errors, so a misspelt field cannot silently change what a test plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    default: String,
    scenarios: BTreeMap<String, Vec<Turn>>,
}

impl Script {
    /// Reads a script from JSON.
    ///
    /// # Errors
    ///
    /// [`ScriptError`] says where the text is not JSON, which field is unknown or of the wrong
    /// type, or what makes no sense (an unknown default, `times` without `status`, ...).
    pub fn from_json(json: &str) -> Result<Self, ScriptError> {
        load::from_json(json)
    }

    /// The bundled scenarios (`scenarios.json` beside this crate's `Cargo.toml`).
    #[must_use]
    pub fn standard() -> Self {
        // Invariant: the file is compiled in, and a unit test loads it.
        Self::from_json(include_str!("../scenarios.json")).expect("the bundled script is valid")
    }

    /// This script plus the scenarios of `other`, which win where both have a name.
    /// The default stays this script's.
    #[must_use]
    pub fn extended_with(mut self, other: Self) -> Self {
        self.scenarios.extend(other.scenarios);
        self
    }

    /// The scenario played when a conversation names none.
    #[must_use]
    pub fn default_name(&self) -> &str {
        &self.default
    }

    /// All scenario names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scenarios.keys().map(String::as_str)
    }

    /// The turns of one scenario as written (a repeated turn appears once).
    #[must_use]
    pub fn scenario(&self, name: &str) -> Option<&[Turn]> {
        self.scenarios.get(name).map(Vec::as_slice)
    }

    /// The name as this script holds it, if it is one of its scenarios.
    pub(crate) fn known(&self, name: &str) -> Option<&str> {
        self.scenarios.get_key_value(name).map(|(name, _)| name.as_str())
    }

    /// The turn at `index` (0 = first) of a scenario, repeats counted; `None` past its end.
    pub(crate) fn turn_at(&self, scenario: &str, index: usize) -> Option<(&Turn, Repetition)> {
        let mut left = index;
        for turn in self.scenarios.get(scenario)? {
            let times = turn.repeat.get();
            match u32::try_from(left) {
                Ok(done) if done < times => {
                    let repetition = Repetition { number: done + 1, of: times };
                    return Some((turn, repetition));
                }
                _ => left -= times as usize,
            }
        }
        None
    }
}

/// Which playing of a repeated turn this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repetition {
    /// 1 for the first.
    pub(crate) number: u32,
    /// How often the turn is played in all.
    pub(crate) of: u32,
}

/// One answer of the model. Every field may be left out.
///
/// Strings (also those inside a tool's input) may hold `{{cwd}}` (the CLI's working
/// directory, read from its system prompt), `{{plan_file}}` (the file plan mode tells the
/// model to write), `{{prompt}}` (the latest user prompt), and in a repeated turn `{{n}}`
/// (1, 2, ...) or `{{nn}}` (the same, with leading zeros to one width). Any other `{{name}}`
/// stays as it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// A text block, streamed in small pieces.
    pub text: Option<String>,
    /// A thinking block, before the text.
    pub thinking: Option<String>,
    /// Tool calls; several are parallel calls of one answer.
    pub tools: Vec<ToolCall>,
    /// Why the model stopped; by default `tool_use` with tools, else `end_turn`.
    pub stop_reason: Option<String>,
    /// Wait before the first byte of the answer, in milliseconds.
    pub delay_ms: u64,
    /// Wait after each streamed piece, in milliseconds: holds the CLI in its busy state.
    pub chunk_ms: u64,
    /// Answer with this HTTP error (400 to 599) instead.
    pub status: Option<u16>,
    /// With `status`: fail this often, then answer normally. Counted per session, scenario
    /// and turn. Without it the error is permanent.
    pub times: Option<u32>,
    /// With `status`: the `type` of the error body; by default the API's own for that status.
    pub error_type: Option<String>,
    /// With `status`: the `message` of the error body.
    pub error_message: Option<String>,
    /// With `status`: the `retry-after` header, in seconds.
    pub retry_after: Option<f64>,
    /// Read the request and never answer, until the client leaves.
    pub hang: bool,
    /// End the stream in its middle, as a server does that gives up: the CLI sees an answer
    /// without its end and asks again. A request that does not stream is answered whole.
    pub cut: bool,
    /// Break the connection in the middle of the stream: the CLI sees a network error, and
    /// newer ones retry the stream itself, up to their limit. A request that does not stream
    /// is answered whole.
    pub broken: bool,
    /// Token counts that replace or join the estimated ones (`input_tokens`,
    /// `output_tokens`, `cache_read_input_tokens`, ...).
    pub usage: Map<String, Value>,
    /// Play this turn so many times in a row, each as a turn of its own.
    pub repeat: NonZeroU32,
}

impl Default for Turn {
    /// An empty answer, played once.
    fn default() -> Self {
        Self {
            text: None,
            thinking: None,
            tools: Vec::new(),
            stop_reason: None,
            delay_ms: 0,
            chunk_ms: 0,
            status: None,
            times: None,
            error_type: None,
            error_message: None,
            retry_after: None,
            hang: false,
            cut: false,
            broken: false,
            usage: Map::new(),
            repeat: NonZeroU32::MIN,
        }
    }
}

impl Turn {
    /// A turn that only says `text`.
    #[must_use]
    pub fn saying(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }
}

/// One tool call of a [`Turn`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name as the CLI knows it (`Bash`, `mcp__server__tool`).
    pub name: String,
    /// What the tool is called with: any JSON object.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// The call's id; by default a fresh one (`toolu_` and 24 hex digits) per answer.
    #[serde(default)]
    pub id: Option<String>,
}
