//! `/api/permissions/rules`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::decider;
use super::problem::{Body, Path, Problem, Query, given};
use crate::domain::ids::{PermissionId, ProjectId, RuleId, SessionId};
use crate::domain::rule::{Pattern, Rule, RuleAction};
use crate::services::App;
use crate::services::rules::{self, Patch, Preview};

/// A rule to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// What it does: `allow`, `ask` or `deny`. One that denies goes before one that asks, and that
    /// before one that allows; among rules of one action the oldest decides.
    pub action: RuleAction,
    /// The tool's name; `*` matches any part of it.
    pub tool: String,
    /// The command, in which `*` stands for anything (`\*` for itself).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The file, relative to the project's folder or absolute, with `*` and `**`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only in this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Only in this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Why it is there, for people; Claude is told it with a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl NewRule {
    fn wanted(self) -> rules::New {
        rules::New {
            action: self.action,
            pattern: Pattern { tool: self.tool, command: self.command, path: self.path },
            project: self.project_id,
            session: self.session_id,
            note: self.note,
        }
    }
}

/// A rule as it stands after it was made or changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MadeRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// Requests that were waiting and that it has decided at once.
    pub decided: Vec<PermissionId>,
}

/// What may be changed about a rule. `null` takes a command, a path or a note away.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulePatch {
    /// What it does.
    pub action: Option<RuleAction>,
    /// The tool.
    pub tool: Option<String>,
    /// The command.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub command: Option<Option<String>>,
    /// The file.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub path: Option<Option<String>>,
    /// Why it is there.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub note: Option<Option<String>>,
}

/// On how many requests a rule is tried.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Last {
    /// The last so many: 1 to 1,000; 200 unless given.
    last: Option<u32>,
}

/// A rule that "always allow" could mean.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Proposal {
    /// The rule in words, to be shown before it is made.
    pub words: String,
    /// What to make it with.
    pub rule: NewRule,
}

/// Lists the rules, oldest first.
#[utoipa::path(get, path = "/api/permissions/rules", tag = "rules", operation_id = "list_rules",
    responses((status = 200, body = [Rule])))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<Rule>>, Problem> {
    Ok(Json(rules::list(&app).await?))
}

/// Makes a rule. It decides what comes from now on, and what waits at this moment: `decided` in the
/// answer says which requests those are.
#[utoipa::path(post, path = "/api/permissions/rules", tag = "rules", operation_id = "create_rule",
    request_body = NewRule,
    responses((status = 201, body = MadeRule),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(new): Body<NewRule>,
) -> Result<Response, Problem> {
    let (rule, decided) = rules::add(&app, new.wanted(), decider(&headers)).await?;
    let location = format!("/api/permissions/rules/{}", rule.id);
    let made = MadeRule { rule, decided: decided.into_iter().map(|r| r.id).collect() };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)).into_response())
}

/// Shows a rule.
#[utoipa::path(get, path = "/api/permissions/rules/{id}", tag = "rules", operation_id = "get_rule",
    params(("id" = RuleId, Path)),
    responses((status = 200, body = Rule), (status = 404, body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<RuleId>,
) -> Result<Json<Rule>, Problem> {
    Ok(Json(rules::get(&app, id).await?))
}

/// Changes a rule. It decides what waits at this moment, too.
#[utoipa::path(patch, path = "/api/permissions/rules/{id}", tag = "rules", operation_id = "update_rule",
    params(("id" = RuleId, Path)), request_body = RulePatch,
    responses((status = 200, body = MadeRule), (status = 404, body = Problem),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn update(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<RuleId>,
    Body(patch): Body<RulePatch>,
) -> Result<Json<MadeRule>, Problem> {
    let RulePatch { action, tool, command, path, note } = patch;
    let patch = Patch { action, tool, command, path, note };
    let (rule, decided) = rules::change(&app, id, patch, decider(&headers)).await?;
    Ok(Json(MadeRule { rule, decided: decided.into_iter().map(|r| r.id).collect() }))
}

/// Removes a rule. What it has decided stays decided.
#[utoipa::path(delete, path = "/api/permissions/rules/{id}", tag = "rules", operation_id = "delete_rule",
    params(("id" = RuleId, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(id): Path<RuleId>,
) -> Result<StatusCode, Problem> {
    rules::remove(&app, id, decider(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries a rule on the last requests, without making it.
#[utoipa::path(post, path = "/api/permissions/rules/preview", tag = "rules", operation_id = "preview_rule",
    params(Last), request_body = NewRule,
    responses((status = 200, body = Preview),
        (status = 422, description = "An unusable field", body = Problem)))]
pub async fn preview(
    State(app): State<Arc<App>>,
    Query(last): Query<Last>,
    Body(rule): Body<NewRule>,
) -> Result<Json<Preview>, Problem> {
    let last = last.last.unwrap_or(200);
    if !(1..=1_000).contains(&last) {
        return Err(Problem::field("last", "expected 1 to 1000"));
    }
    Ok(Json(rules::preview(&app, rule.wanted(), last).await?))
}

/// Lists the rules that "always allow" could mean for a request, the narrowest first. Plans and
/// questions have none.
#[utoipa::path(get, path = "/api/permissions/{id}/rules", tag = "rules", operation_id = "propose_rules",
    params(("id" = PermissionId, Path)),
    responses((status = 200, body = [Proposal]), (status = 404, body = Problem)))]
pub async fn proposals(
    State(app): State<Arc<App>>,
    Path(id): Path<PermissionId>,
) -> Result<Json<Vec<Proposal>>, Problem> {
    let (patterns, project_id) = rules::proposals(&app, id).await?;
    let proposal = |pattern: Pattern| Proposal {
        words: Rule::describe(RuleAction::Allow, &pattern, project_id.is_some(), false),
        rule: NewRule {
            action: RuleAction::Allow,
            tool: pattern.tool,
            command: pattern.command,
            path: pattern.path,
            project_id,
            session_id: None,
            note: None,
        },
    };
    Ok(Json(patterns.into_iter().map(proposal).collect()))
}
