//! Who makes a request: the command line and the page say so themselves, by `X-Chorus-Client`.

use axum::http::HeaderMap;

use crate::domain::audit::Actor;
use crate::domain::message::MessageSource;
use crate::domain::permission::DecidedBy;

/// Who it is, as decisions name it.
pub fn decider(headers: &HeaderMap) -> DecidedBy {
    match headers.get("x-chorus-client").and_then(|c| c.to_str().ok()) {
        Some("cli") => DecidedBy::Cli,
        Some("dashboard") => DecidedBy::Dashboard,
        _ => DecidedBy::Api,
    }
}

/// The same for the audit log.
pub fn actor(headers: &HeaderMap) -> Actor {
    decider(headers).into()
}

/// The same for prompts.
pub fn source(headers: &HeaderMap) -> MessageSource {
    match decider(headers) {
        DecidedBy::Cli => MessageSource::Cli,
        DecidedBy::Dashboard => MessageSource::Dashboard,
        DecidedBy::Api | DecidedBy::Rule | DecidedBy::Terminal => MessageSource::Api,
    }
}
