//! `POST /api/database/prune`: retention, now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::decider;
use super::problem::{Body, Problem};
use crate::services::App;
use crate::services::retention::{self, Forgotten, Policy};

/// What is to be forgotten. What is not given is as the configuration says; 0 keeps for ever.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Sessions that ended and did not change for so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_days: Option<u32>,
    /// Whole texts of results over 50 KB that are so many days old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs_days: Option<u32>,
    /// Events that are so many days old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_days: Option<u32>,
    /// The sessions that ended first, until the database is no larger than so many megabytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_mb: Option<u32>,
    /// Only tell what would be forgotten.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was forgotten, or would be.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct Pruned {
    /// Nothing was.
    pub dry_run: bool,
    /// Sessions, with their messages, calls, requests and rules.
    pub sessions: u64,
    /// What their texts come to, in bytes, roughly.
    pub bytes: i64,
    /// Whole texts of long results, those of these sessions apart.
    pub outputs: u64,
    /// Events, those of these sessions apart.
    pub events: u64,
}

/// Forgets what is older than it is to be kept: for good.
///
/// The audit log keeps everything. A session that has not ended is never forgotten.
#[utoipa::path(post, path = "/api/database/prune", tag = "database", operation_id = "prune_database",
    request_body = Prune,
    responses((status = 200, body = Pruned), (status = 422, description = "An unusable value", body = Problem)))]
pub async fn prune(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(asked): Body<Prune>,
) -> Result<Json<Pruned>, Problem> {
    let configured = Policy::configured(&app.config);
    let chosen = |asked: Option<u32>, configured| match asked {
        Some(0) => None,
        Some(value) => Some(value),
        None => configured,
    };
    let policy = Policy {
        sessions_days: chosen(asked.sessions_days, configured.sessions_days),
        outputs_days: chosen(asked.outputs_days, configured.outputs_days),
        events_days: chosen(asked.events_days, configured.events_days),
        database_mb: chosen(asked.database_mb, configured.database_mb),
    };
    let Forgotten { sessions, bytes, outputs, events } = if asked.dry_run {
        retention::preview(&app, &policy).await?
    } else {
        retention::apply(&app, &policy, decider(&headers).into()).await?
    };
    Ok(Json(Pruned { dry_run: asked.dry_run, sessions, bytes, outputs, events }))
}
