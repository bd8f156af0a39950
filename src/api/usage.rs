//! `/api/usage`: what was used, summed up.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Problem, Query};
use crate::clock;
use crate::domain::ids::ProjectId;
use crate::domain::record;
use crate::domain::time::Day;
use crate::domain::usage::Cost;
use crate::services::App;
use crate::services::error::Error;
use crate::store::usage::{self, Group, Sum};

/// Lines of a report at most.
const MOST: u32 = 500;
/// Lines of a report unless told.
const USUAL: u32 = 100;
/// Days of a report unless told.
const DAYS: i64 = 30;

/// What usage is summed up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// Days in UTC, the latest first.
    #[default]
    Day,
    /// Models, what cost most first.
    Model,
    /// Projects, what cost most first.
    Project,
    /// Sessions, what cost most first.
    Session,
}

/// Which usage.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// What it is summed up by; `day` unless told.
    #[serde(default)]
    by: UsageBy,
    /// From this day on, in UTC (`2026-01-31`); the last 30 days unless told.
    since: Option<String>,
    /// Up to this day, included; today unless told.
    until: Option<String>,
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Lines at most: 1 to 500.
    limit: Option<u32>,
}

/// What was used, summed up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    /// From this day on, in UTC.
    pub since: String,
    /// Up to this day, included.
    pub until: String,
    /// What the lines are summed up by.
    pub by: UsageBy,
    /// The sum of all, also of what has no line.
    pub total: UsageSum,
    /// The lines.
    pub sums: Vec<UsageSum>,
    /// There would be more lines.
    pub more: bool,
}

/// What was used by one thing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UsageSum {
    /// The day, the model, or the id of the project or session; empty for the sum of all.
    pub key: String,
    /// The name of the project or session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it cost; nothing if that is not known.
    pub cost: Option<Cost>,
    /// Its tokens.
    pub tokens: record::Usage,
    /// Responses of the model.
    pub responses: i64,
}

/// Sums up what was used: by day, model, project or session.
#[utoipa::path(get, path = "/api/usage", tag = "usage", params(Wanted),
    responses((status = 200, body = UsageReport),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn report(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<UsageReport>, Problem> {
    let limit = wanted.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::field("limit", format!("expected 1 to {MOST}")));
    }
    let until = day("until", wanted.until.as_deref())?.unwrap_or_else(|| Day::of(clock::now()));
    let since = day("since", wanted.since.as_deref())?.unwrap_or(Day(until.0 - DAYS + 1));
    if since > until {
        return Err(Problem::field("since", format!("expected no later day than {until}")));
    }
    let group = match wanted.by {
        UsageBy::Day => Group::Day,
        UsageBy::Model => Group::Model,
        UsageBy::Project => Group::Project,
        UsageBy::Session => Group::Session,
    };
    let project = wanted.project_id.map(|id| id.to_string());
    let read = async |by, limit| {
        let read = usage::report(&app.db, by, (since, until), project.as_deref(), limit).await;
        read.map_err(Error::from)
    };
    let mut sums = read(Some(group), limit + 1).await?;
    let more = sums.len() > limit as usize;
    sums.truncate(limit as usize);
    let total = read(None, 1).await?.pop();
    let empty = || Sum { key: String::new(), name: String::new(), spending: Default::default() };
    Ok(Json(UsageReport {
        since: since.to_string(),
        until: until.to_string(),
        by: wanted.by,
        total: line(total.unwrap_or_else(empty), None),
        sums: sums.into_iter().map(|sum| line(sum, Some(group))).collect(),
        more,
    }))
}

fn day(field: &'static str, text: Option<&str>) -> Result<Option<Day>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match Day::parse(text) {
        Some(day) => Ok(Some(day)),
        None => Err(Problem::field(field, "expected a date such as 2026-01-31")),
    }
}

fn line(sum: Sum, by: Option<Group>) -> UsageSum {
    let key = match (by, sum.key.parse()) {
        (Some(Group::Day), Ok(day)) => Day(day).to_string(),
        _ => sum.key,
    };
    UsageSum {
        key,
        name: Some(sum.name).filter(|name| !name.is_empty()),
        cost: sum.spending.cost(),
        tokens: sum.spending.tokens,
        responses: sum.spending.responses,
    }
}
