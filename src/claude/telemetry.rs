//! Claude Code's own log of what its requests cost, which it sends by OpenTelemetry (OTLP over HTTP, as
//! JSON; <https://opentelemetry.io/docs/specs/otlp/>, recorded from 2.1.197 and 2.1.329).
//!
//! It is asked for by variables of the launch, unless the user has any of these: then the log is
//! theirs. Nothing but the events `api_request` is looked at.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::json::{self, kind};
use super::models;
use crate::domain::ids::ConversationId;
use crate::domain::record::{Response, Usage};
use crate::domain::time::Timestamp;
use crate::domain::usage::{MOST_FOR_A_RESPONSE, Usd};

/// The largest settings file that is looked at. Bytes.
const SETTINGS_LIMIT: u64 = 1024 * 1024;

/// Requests that are taken of one body at most. Claude Code sends up to 512 events at once.
const MOST: usize = 4_096;

/// Whether a variable is about telemetry.
pub fn concerns(variable: &str) -> bool {
    variable.starts_with("OTEL_")
        || variable.starts_with("CLAUDE_CODE_OTEL_")
        || matches!(
            variable,
            "CLAUDE_CODE_ENABLE_TELEMETRY" | "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"
        )
}

/// Whether the settings that Claude Code will read set any such variable: the user's, the project's, or
/// those of the machine.
pub fn is_in_settings(config_dir: &Path, workspace: &Path) -> bool {
    let project = workspace.join(".claude");
    let files = [
        config_dir.join("settings.json"),
        project.join("settings.json"),
        project.join("settings.local.json"),
        "/etc/claude-code/managed-settings.json".into(),
        "/Library/Application Support/ClaudeCode/managed-settings.json".into(),
    ];
    files.iter().any(|file| sets_any(file))
}

fn sets_any(file: &Path) -> bool {
    let fits = std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.len() <= SETTINGS_LIMIT);
    let Some(bytes) = fits.then(|| std::fs::read(file).ok()).flatten() else { return false };
    let Ok(Value::Object(settings)) = json::parse(&bytes) else { return false };
    let env = settings.get("env").and_then(Value::as_object);
    env.is_some_and(|env| env.keys().any(|name| concerns(name)))
}

/// The variables that have Claude Code send its log, and nothing else, to this endpoint with this
/// bearer token. Events wait for a second at most; a receiver that is away costs nothing, and at the
/// end half a second.
pub fn variables(endpoint: &str, token: &str) -> BTreeMap<String, String> {
    [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS", "500"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORT_INTERVAL", "1000"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", &format!("Authorization=Bearer {token}")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The body is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but no `ExportLogsServiceRequest`.
    #[error("expected an object with `resourceLogs`, found {0}")]
    Shape(&'static str),
}

/// Reads what requests cost, each with its conversation, from a body that was received at `now`. A request
/// without an id is left out: it could not be known again in the transcript, and would count twice.
///
/// # Errors
/// If the body is no log. Single records that cannot be read are skipped.
pub fn requests(body: &[u8], now: Timestamp) -> Result<Vec<(ConversationId, Response)>, LogError> {
    let body = json::parse(body)?;
    let Some(resources) = body.get("resourceLogs").and_then(Value::as_array) else {
        return Err(LogError::Shape(kind(&body)));
    };
    let scopes = resources.iter().flat_map(|resource| list(resource, "scopeLogs"));
    let records = scopes.flat_map(|scope| list(scope, "logRecords")).filter_map(Value::as_object);
    Ok(records.filter_map(|record| request(record, now)).take(MOST).collect())
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn request(record: &Map<String, Value>, now: Timestamp) -> Option<(ConversationId, Response)> {
    let attributes = record.get("attributes")?.as_array()?;
    let attribute = |wanted: &str| {
        let found =
            attributes.iter().find(|a| a.get("key").and_then(Value::as_str) == Some(wanted));
        found?.get("value")?.as_object()
    };
    let text = |name: &str| json::text(attribute(name)?, "stringValue");
    if text("event.name")? != "api_request" {
        return None;
    }
    let conversation = ConversationId(text("session.id")?.to_owned());
    let request_id = text("request_id")?.to_owned();
    let number = |name: &str| number(attribute(name)?);
    let told =
        number("cost_usd").and_then(Usd::from_dollars).filter(|usd| *usd <= MOST_FOR_A_RESPONSE)?;
    #[expect(clippy::cast_possible_truncation, reason = "a conversion from floats saturates")]
    let tokens = |name| models::tokens(number(name).unwrap_or(0.0) as i64);
    let at = text("event.timestamp").and_then(Timestamp::parse).unwrap_or(now);
    let response = Response {
        message_id: None,
        request_id: Some(request_id),
        model: models::plain(text("model")?).to_owned(),
        usage: Usage {
            input_tokens: tokens("input_tokens"),
            output_tokens: tokens("output_tokens"),
            cache_creation_input_tokens: tokens("cache_creation_tokens"),
            cache_read_input_tokens: tokens("cache_read_tokens"),
        },
        cached_for_an_hour: 0,
        off_list: false,
        told: Some(told),
        estimated: None,
        at,
    };
    Some((conversation, response))
}

/// A number, in any of the ways in which exporters write one.
fn number(value: &Map<String, Value>) -> Option<f64> {
    ["doubleValue", "intValue", "stringValue"].into_iter().find_map(|kind| {
        match value.get(kind)? {
            Value::Number(n) => n.as_f64(),
            Value::String(s) => s.parse().ok(),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::{concerns, is_in_settings, requests, variables};
    use crate::domain::time::Timestamp;
    use crate::domain::usage::Usd;

    /// A record as 2.1.329 wrote it, without what is not looked at.
    fn record() -> Value {
        json!({"timeUnixNano": "1795264353452000000", "body": {"stringValue": "claude_code.api_request"},
        "attributes": [
            {"key": "session.id", "value": {"stringValue": "46cfd151-edaa-4a3f-ab49-84ee402c9f36"}},
            {"key": "event.name", "value": {"stringValue": "api_request"}},
            {"key": "event.timestamp", "value": {"stringValue": "2026-11-21T12:32:33.452Z"}},
            {"key": "event.sequence", "value": {"intValue": 6}},
            {"key": "model", "value": {"stringValue": "claude-opus-5-5"}},
            {"key": "input_tokens", "value": {"intValue": 14013}},
            {"key": "output_tokens", "value": {"intValue": "15"}},
            {"key": "cache_read_tokens", "value": {"doubleValue": 7.0}},
            {"key": "cache_creation_tokens", "value": {"intValue": 0}},
            {"key": "cost_usd", "value": {"doubleValue": 0.056352}},
            {"key": "request_id", "value": {"stringValue": "req_3eab85ff6a784f1ea32e"}},
        ]})
    }

    fn log(records: &[Value]) -> Vec<u8> {
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string().into_bytes()
    }

    fn without(key: &str) -> Value {
        let mut record = record();
        let attributes = record["attributes"].as_array_mut().expect("attributes");
        attributes.retain(|a| a["key"] != key);
        record
    }

    #[test]
    fn a_request_is_read_with_its_cost() {
        let mut other = record();
        other["attributes"][1]["value"]["stringValue"] = json!("user_prompt");
        let read = requests(&log(&[other, record()]), Timestamp(5)).expect("a log");
        let [(conversation, response)] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!(conversation.0, "46cfd151-edaa-4a3f-ab49-84ee402c9f36");
        assert_eq!(response.request_id.as_deref(), Some("req_3eab85ff6a784f1ea32e"));
        assert_eq!(response.told, Some(Usd(56_352_000)));
        let usage = response.usage;
        let tokens = (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens);
        assert_eq!(tokens, (14_013, 15, 7));
        assert_eq!(response.at.to_string(), "2026-11-21T12:32:33.452Z");
    }

    #[test]
    fn what_could_not_be_known_again_is_left_out() {
        for key in ["session.id", "request_id", "cost_usd", "model", "event.name"] {
            assert_eq!(requests(&log(&[without(key)]), Timestamp(5)).expect("a log"), [], "{key}");
        }
        let late = requests(&log(&[without("event.timestamp")]), Timestamp(5)).expect("a log");
        assert_eq!(late[0].1.at, Timestamp(5));
        assert!(requests(b"{}", Timestamp(5)).is_err() && requests(b"x", Timestamp(5)).is_err());
        let many = vec![record(); 5_000];
        assert_eq!(requests(&log(&many), Timestamp(5)).expect("a log").len(), 4_096);
    }

    #[test]
    fn telemetry_of_the_users_own_is_seen() {
        for name in
            ["OTEL_LOGS_EXPORTER", "CLAUDE_CODE_ENABLE_TELEMETRY", "OTEL_RESOURCE_ATTRIBUTES"]
        {
            assert!(concerns(name), "{name}");
        }
        assert!(!concerns("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"));
        assert!(variables("http://127.0.0.1:1/v1/logs/s", "t").keys().all(|name| concerns(name)));
        let folder = tempfile::tempdir().expect("a folder");
        let (config, workspace) = (folder.path().join("c"), folder.path().join("w"));
        fs::create_dir_all(workspace.join(".claude")).expect("a folder");
        fs::create_dir_all(&config).expect("a folder");
        let seen = || is_in_settings(&config, &workspace);
        assert!(!seen());
        let local = workspace.join(".claude/settings.local.json");
        for (text, expected) in [
            (r#"{"env": {"OTEL_LOGS_EXPORTER": "otlp"}}"#, true),
            (r#"{"env": {"PATH": "/"}, "OTEL_LOGS_EXPORTER": "otlp"}"#, false),
            ("{", false),
        ] {
            fs::write(&local, text).expect("a file");
            assert_eq!(seen(), expected, "{text}");
        }
        fs::write(config.join("settings.json"), r#"{"env": {"OTEL_X": "1"}}"#).expect("a file");
        assert!(seen());
    }
}
