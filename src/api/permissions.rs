//! `/api/permissions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::list::{self, Paging};
use super::problem::{Body, Path, Problem, Query};
use crate::domain::ids::PermissionId;
use crate::domain::permission::{
    DecidedBy, Decision, PermissionRequest, PermissionStatus, Verdict,
};
use crate::services::{App, permissions, sessions};

/// Which requests.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only with this status.
    status: Option<PermissionStatus>,
    /// Only of this session (id, name or tmux name).
    session: Option<String>,
}

/// A person's answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Yes or no.
    pub decision: Verdict,
    /// With a denial: what Claude is told. It goes on with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// With a denial: end the turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupt: bool,
    /// With an allowance: do not ask again for the same in this session. The request's
    /// `session_rule` says what that is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_session: bool,
}

/// The longest message that goes with a denial. Bytes.
const MESSAGE_LIMIT: usize = 10_000;

impl Answer {
    fn decision(self) -> Result<Decision, Problem> {
        let deny = self.decision == Verdict::Deny;
        if self.message.is_some() && !deny {
            return Err(Problem::field(
                "message",
                "goes with `deny` only: Claude is not told about an allowance",
            ));
        }
        if self.message.as_ref().is_some_and(|m| m.len() > MESSAGE_LIMIT) {
            return Err(Problem::field("message", format!("at most {MESSAGE_LIMIT} bytes")));
        }
        if self.interrupt && !deny {
            return Err(Problem::field("interrupt", "goes with `deny` only"));
        }
        if self.for_session && deny {
            return Err(Problem::field("for_session", "goes with `allow` only"));
        }
        Ok(Decision {
            verdict: self.decision,
            message: self.message,
            interrupt: self.interrupt,
            for_session: self.for_session,
        })
    }
}

/// Who decides: the CLI and the page say so themselves.
pub(super) fn decider(headers: &HeaderMap) -> DecidedBy {
    match headers.get("x-chorus-client").and_then(|c| c.to_str().ok()) {
        Some("cli") => DecidedBy::Cli,
        Some("dashboard") => DecidedBy::Dashboard,
        _ => DecidedBy::Api,
    }
}

/// Lists permission requests, the newest first.
#[utoipa::path(get, path = "/api/permissions", tag = "permissions", params(Filter, Paging),
    responses((status = 200, body = [PermissionRequest]), (status = 404, body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let session = match filter.session {
        Some(name) => Some(sessions::find(&app, &name).await?.id),
        None => None,
    };
    let page = permissions::list(&app, filter.status, session, cursor.as_ref(), limit).await?;
    Ok(list::answer(&uri, page, |r| r))
}

/// Shows a permission request.
#[utoipa::path(get, path = "/api/permissions/{id}", tag = "permissions", params(("id" = PermissionId, Path)),
    responses((status = 200, body = PermissionRequest), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<PermissionId>,
) -> Result<Json<PermissionRequest>, Problem> {
    Ok(Json(permissions::get(&app, id).await?))
}

/// Decides a permission request. The first decision wins.
///
/// The answer shows the request as it is then: `decided`. What becomes of it follows as
/// `permission_resolved` events: `delivered` when Claude was told, `honoured` when it obeyed.
#[utoipa::path(post, path = "/api/permissions/{id}/respond", tag = "permissions", params(("id" = PermissionId, Path)),
    request_body = Answer,
    responses((status = 200, body = PermissionRequest), (status = 404, body = Problem),
        (status = 409, description = "It is decided already", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn respond(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<PermissionId>,
    Body(answer): Body<Answer>,
) -> Result<Json<PermissionRequest>, Problem> {
    let by = decider(&headers);
    Ok(Json(permissions::decide(&app, id, answer.decision()?, by).await?))
}
