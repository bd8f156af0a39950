//! `POST /api/hooks/{event}`: what Claude Code tells.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::{Peer, refuse_without_token};
use super::bearer;
use super::problem::{Path, Problem};
use crate::clock;
use crate::domain::ids::{SessionId, Stamp};
use crate::domain::time::Timestamp;
use crate::services::App;
use crate::services::error::Error;
use crate::services::ingest::{self, Delivery, Taken};
use crate::services::metrics::HookOutcome;

/// Takes in a hook of Claude Code's.
///
/// The body is the hook's payload as Claude Code wrote it. The event's name may be in any case. A
/// hook shows its session's token as a bearer; without one, the payload's `session_id` tells which
/// session of Chorus's it belongs to, and `X-Chorus-Pid`, over the Unix socket, which Claude that is not
/// Chorus's has run it: the process that has started the caller. Answered with an empty 204 once it is durable;
/// `permissionrequest` is answered when somebody has decided.
#[utoipa::path(post, path = "/api/hooks/{event}", tag = "hooks",
    params(("event" = String, Path, description = "`Stop`, `posttooluse`, `tool-complete`, …")),
    request_body(content = Object, content_type = "application/json"),
    responses((status = 204, description = "Taken"),
        (status = 200, description = "What Claude is told, in its format: a permission request's answer, or why a file is not to be edited", body = Object),
        (status = 401, description = "Not this session's token", body = Problem),
        (status = 403, description = "No token, though the caller runs below a Claude that has one", body = Problem),
        (status = 404, description = "No session of Chorus's", body = Problem),
        (status = 413, description = "Too large", body = Problem),
        (status = 422, description = "Not a hook's payload, or a stamp of another session's question", body = Problem),
        (status = 429, description = "Too many of this session's", body = Problem)))]
pub async fn receive(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(event): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let session = parsed::<SessionId>(&headers, "x-chorus-session")?;
    if session.is_none() {
        refuse_without_token(&app, &peer).await?;
    }
    let delivery = Delivery {
        session,
        token: bearer(&headers),
        stamp: parsed::<Stamp>(&headers, "x-chorus-stamp")?.unwrap_or_else(Stamp::new),
        at: parsed::<i64>(&headers, "x-chorus-at")?.map_or_else(clock::now, Timestamp),
        generation: parsed::<u32>(&headers, "x-chorus-generation")?,
        pid: parsed::<u32>(&headers, "x-chorus-pid")?.filter(|pid| peer.is_child_of(*pid)),
        again: headers.contains_key("x-chorus-again"),
        event,
        payload: body?,
    };
    let begun = delivery.at;
    let taken = ingest::take(&app, delivery).await;
    let outcome = match &taken {
        Ok(_) => HookOutcome::Taken,
        Err(Error::TooMany { .. }) => HookOutcome::Limited,
        Err(_) => HookOutcome::Refused,
    };
    let lag = clock::now().ms_since(begun).max(0).unsigned_abs();
    app.metrics.hook(outcome, Duration::from_millis(lag));
    match taken? {
        Taken::Done => Ok(StatusCode::NO_CONTENT.into_response()),
        Taken::Answered(answer) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            Ok((json, answer.to_string()).into_response())
        }
        Taken::Asked(waiting) => match waiting.answer().await? {
            Some(answer) => {
                let json = [(header::CONTENT_TYPE, "application/json")];
                Ok((json, answer.to_string()).into_response())
            }
            // Settled elsewhere: no opinion.
            None => Ok(StatusCode::NO_CONTENT.into_response()),
        },
    }
}

fn parsed<T: std::str::FromStr>(
    headers: &HeaderMap,
    name: &'static str,
) -> Result<Option<T>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let value = value.to_str().ok().and_then(|v| v.trim().parse().ok());
    value.map(Some).ok_or_else(|| Problem::field(name, "not a value of this header's"))
}
