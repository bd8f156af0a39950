//! `/api/permissions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::caller::decider;
use super::list::{self, Paging};
use super::problem::{Body, Path, Problem, Query};
use crate::domain::ids::PermissionId;
use crate::domain::permission::{Decision, PermissionRequest, PermissionStatus, Verdict};
use crate::services::permissions::{Which, Wish};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// With an allowance: the whole input that is used instead of Claude's. Not for questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub updated_input: Option<Map<String, Value>>,
    /// With an allowance of a question: what answers it. Each question's text, with a label, a list
    /// of labels, or any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub answers: Option<Map<String, Value>>,
}

/// The longest message that goes with a denial. Bytes.
const MESSAGE_LIMIT: usize = 10_000;

impl Answer {
    /// Plainly yes or no.
    pub fn plain(decision: Verdict) -> Self {
        Self {
            decision,
            message: None,
            interrupt: false,
            for_session: false,
            updated_input: None,
            answers: None,
        }
    }

    /// What is wished for, if its fields go together.
    pub(super) fn wish(self) -> Result<Wish, Problem> {
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
        if self.updated_input.is_some() && deny {
            return Err(Problem::field("updated_input", "goes with `allow` only"));
        }
        if self.answers.is_some() && deny {
            return Err(Problem::field("answers", "goes with `allow` only"));
        }
        if self.for_session && self.updated_input.is_some() {
            return Err(Problem::field(
                "for_session",
                "does not go with `updated_input`: it would allow what Claude asked for",
            ));
        }
        let decision = Decision {
            verdict: self.decision,
            message: self.message,
            interrupt: self.interrupt,
            for_session: self.for_session,
            updated_input: self.updated_input.map(Value::Object),
            rule: None,
        };
        Ok(Wish { decision, answers: self.answers })
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
    let session = sessions::find_id(&app, filter.session.as_deref()).await?;
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
        (status = 422, description = "An unusable field, or a question without its answers", body = Problem)))]
pub async fn respond(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<PermissionId>,
    Body(answer): Body<Answer>,
) -> Result<Json<PermissionRequest>, Problem> {
    let by = decider(&headers);
    Ok(Json(permissions::decide(&app, id, answer.wish()?, by).await?))
}

/// A decision on several requests.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerToMany {
    /// On these. Else on all that nobody has decided, of `session` or for `tool`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<PermissionId>,
    /// Of this session (id, name or tmux name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// For this tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Yes or no.
    pub decision: Verdict,
    /// With a denial: what Claude is told. It goes on with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// With a denial: end the turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupt: bool,
    /// With an allowance: do not ask again for the same in its session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_session: bool,
}

/// What became of each.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Outcomes {
    /// How many were decided.
    pub decided: usize,
    /// How many were not.
    pub failed: usize,
    /// Each, oldest first or in the order of `ids`.
    pub results: Vec<Outcome>,
}

/// What became of one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The request.
    pub id: PermissionId,
    /// The status that it would have been answered with by itself.
    pub status: u16,
    /// The request, if it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PermissionRequest>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Requests that are decided together at most.
const TOGETHER: usize = 500;

/// Decides several permission requests alike.
///
/// Each has an outcome of its own. The answer's status is 200 if all were decided (or none waited),
/// and 207 if any was not; what was decided stays decided.
#[utoipa::path(post, path = "/api/permissions/respond", tag = "permissions", request_body = AnswerToMany,
    responses((status = 200, description = "All were decided", body = Outcomes),
        (status = 207, description = "Some were not", body = Outcomes),
        (status = 404, description = "No such session", body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn respond_to_many(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(many): Body<AnswerToMany>,
) -> Result<Response, Problem> {
    let which = match (many.ids.is_empty(), &many.session, &many.tool) {
        (false, None, None) if many.ids.len() <= TOGETHER => Which::These(many.ids),
        (false, None, None) => {
            return Err(Problem::field("ids", format!("at most {TOGETHER}")));
        }
        (false, ..) => return Err(Problem::field("ids", "goes without `session` and `tool`")),
        (true, None, None) => {
            return Err(Problem::field("ids", "give `ids`, or a `session` or `tool`"));
        }
        (true, session, _) => {
            let session = match session {
                Some(name) => Some(sessions::find(&app, name).await?.id),
                None => None,
            };
            Which::Pending { session, tool: many.tool }
        }
    };
    let answer = Answer {
        message: many.message,
        interrupt: many.interrupt,
        for_session: many.for_session,
        ..Answer::plain(many.decision)
    };
    let wish = answer.wish()?;
    let all = permissions::decide_all(&app, which, &wish, decider(&headers)).await?;
    let results: Vec<Outcome> = all
        .into_iter()
        .map(|(id, outcome)| match outcome {
            Ok(request) => Outcome { id, status: 200, request: Some(request), problem: None },
            Err(e) => {
                let problem = Problem::from(e);
                Outcome { id, status: problem.status, request: None, problem: Some(problem) }
            }
        })
        .collect();
    let failed = results.iter().filter(|r| r.problem.is_some()).count();
    let outcomes = Outcomes { decided: results.len() - failed, failed, results };
    let status = if failed == 0 { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    Ok((status, Json(outcomes)).into_response())
}
