//! What was asked: kept in memory within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use serde::Serialize;
use serde_json::Value;

/// The most [`Request`]s kept in memory (fewer when their prompts pass 64 MiB); the newest stay.
pub const REQUESTS_KEPT: usize = 10_000;
/// The most [`Recorded`] bodies kept in memory (fewer when they pass 256 MiB); the newest stay.
pub const BODIES_KEPT: usize = 2_000;

const REQUEST_BYTES: usize = 64 << 20;
const BODY_BYTES: usize = 256 << 20;

/// Header values that must not reach a file, should someone use a real key.
const SECRET_HEADERS: [&str; 2] = ["authorization", "x-api-key"];

/// What kind of request it was. In JSON the name in `snake_case`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A turn of a conversation: the only kind that is scripted.
    Main,
    /// A request without tools: a title, a summary of a page, ...
    Side,
    /// A request for an answer that follows a JSON schema.
    Structured,
    /// A request to summarize the conversation so that it can be compacted.
    Compact,
    /// A probe of the quota (`max_tokens` 1).
    Quota,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// Any other address: telemetry and the like.
    Other,
}

/// One request to `/v1/messages`, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// When it arrived: milliseconds since the Unix epoch.
    pub at: u64,
    /// What kind it was.
    pub kind: Kind,
    /// The scenario its conversation is in.
    pub scenario: String,
    /// The turn of that scenario, 0 = the first. Only a [`Kind::Main`] request plays it.
    pub turn: usize,
    /// The CLI's session id (header `x-claude-code-session-id`); empty without one.
    pub session: String,
    /// The model asked for.
    pub model: Option<String>,
    /// Whether a streamed answer was asked for.
    pub stream: bool,
    /// The text of the latest user prompt.
    pub prompt: String,
}

/// One request as it came, whatever its address.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When it arrived: milliseconds since the Unix epoch.
    pub at: u64,
    /// What kind it was.
    pub kind: Kind,
    /// The scenario its conversation is in; only for `/v1/messages`.
    pub scenario: Option<String>,
    /// The turn of that scenario, 0 = the first; only for `/v1/messages`.
    pub turn: Option<usize>,
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case; of a repeated header the last.
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: Bytes,
}

impl Recorded {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When the body is empty or not JSON.
    pub fn json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }

    /// One line of JSON for the log, newline included. Secret headers are left out of it.
    pub(crate) fn log_line(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Line<'a> {
            at: u64,
            kind: Kind,
            #[serde(skip_serializing_if = "Option::is_none")]
            scenario: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            turn: Option<usize>,
            method: &'a str,
            path: &'a str,
            headers: BTreeMap<&'a str, &'a str>,
            body: Value,
        }
        let headers = self.headers.iter().map(|(name, value)| {
            let secret = SECRET_HEADERS.contains(&name.as_str());
            (name.as_str(), if secret { "(hidden)" } else { value })
        });
        let mut line = serde_json::to_vec(&Line {
            at: self.at,
            kind: self.kind,
            scenario: self.scenario.as_deref(),
            turn: self.turn,
            method: &self.method,
            path: &self.path,
            headers: headers.collect(),
            body: self.json().unwrap_or(Value::Null),
        })?;
        line.push(b'\n');
        Ok(line)
    }

    fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
        headers + self.path.len() + self.body.len()
    }
}

/// Everything asked of one server, the newest of it.
#[derive(Debug)]
pub(crate) struct Records {
    requests: Mutex<Recent<Request>>,
    bodies: Mutex<Recent<Arc<Recorded>>>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self {
            requests: Mutex::new(Recent::new(REQUESTS_KEPT, REQUEST_BYTES)),
            bodies: Mutex::new(Recent::new(BODIES_KEPT, BODY_BYTES)),
        }
    }

    pub(crate) fn add_request(&self, request: Request) {
        let weight = request.prompt.len();
        lock(&self.requests).push(request, weight);
    }

    pub(crate) fn add_body(&self, recorded: Arc<Recorded>) {
        let weight = recorded.weight();
        lock(&self.bodies).push(recorded, weight);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.requests).items().cloned().collect()
    }

    pub(crate) fn bodies(&self) -> Vec<Arc<Recorded>> {
        lock(&self.bodies).items().cloned().collect()
    }
}

/// Locks, also after a panic elsewhere: what is guarded here is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The newest items, bounded in number and in bytes. The very newest always stays.
#[derive(Debug)]
struct Recent<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    most_items: usize,
    most_bytes: usize,
}

impl<T> Recent<T> {
    fn new(most_items: usize, most_bytes: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, most_items, most_bytes }
    }

    fn push(&mut self, item: T, weight: usize) {
        self.items.push_back((weight, item));
        self.bytes += weight;
        while self.items.len() > 1
            && (self.items.len() > self.most_items || self.bytes > self.most_bytes)
        {
            if let Some((weight, _)) = self.items.pop_front() {
                self.bytes -= weight;
            }
        }
    }

    fn items(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_kept() {
        let mut recent = Recent::new(3, 100);
        for item in 0..5 {
            recent.push(item, 10);
        }
        assert!(recent.items().eq(&[2, 3, 4]));
        recent.push(5, 85);
        assert!(recent.items().eq(&[4, 5]));
        recent.push(6, 1_000);
        assert!(recent.items().eq(&[6]));
        recent.push(7, 1);
        assert!(recent.items().eq(&[7]));
        assert_eq!(recent.bytes, 1);
    }

    #[test]
    fn a_log_line_is_one_line_without_secrets() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let recorded = Recorded {
            at: 5,
            kind: Kind::CountTokens,
            scenario: None,
            turn: None,
            method: "POST".into(),
            path: "/v1/messages/count_tokens".into(),
            headers: [header("x-api-key", "sk-secret"), header("x-other", "kept")].into(),
            body: Bytes::from_static(b"{\n \"a\": 1\n}"),
        };
        let line = String::from_utf8(recorded.log_line().unwrap()).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains("sk-secret"), "{line}");
        assert!(line.contains("kept"), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["kind"], "count_tokens");
        assert_eq!(value["body"]["a"], 1);
        assert!(value.get("turn").is_none());
    }
}
