//! `GET /api/activity`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::{Problem, Query};
use crate::services::App;
use crate::services::activity::{self, Activity, MOST_DAYS};

/// Of which time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// The last so many days: 1 to 90; 14 unless given.
    days: Option<u16>,
}

/// Sums up what was done lately: tool calls, tasks and cost by day, tool calls by hour and by how long they took.
#[utoipa::path(get, path = "/api/activity", tag = "usage", operation_id = "get_activity", params(Wanted),
    responses((status = 200, body = Activity),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn get(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Activity>, Problem> {
    let days = wanted.days.unwrap_or(activity::DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Problem::field("days", format!("expected 1 to {MOST_DAYS}")));
    }
    Ok(Json(activity::report(&app, days).await?))
}
