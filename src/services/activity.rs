//! What was done lately, over all sessions and tasks, for the charts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::error::Error;
use crate::clock;
use crate::domain::time::{Day, Timestamp};
use crate::domain::usage::Usd;
use crate::store::{activity, usage};

const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;

/// Days that are summed up unless told, and at most.
pub const DAYS: u16 = 14;
/// See [`DAYS`].
pub const MOST_DAYS: u16 = 90;

/// What was done in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// Tool calls that ran well.
    pub calls: i64,
    /// Tool calls that failed or were cut off.
    pub failed: i64,
    /// Tool calls that were denied.
    pub denied: i64,
    /// Tasks that were completed.
    pub tasks_completed: i64,
    /// Tasks that were given up.
    pub tasks_failed: i64,
}

/// A day of UTC.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DayDone {
    /// The day, as `2026-11-21`.
    pub day: String,
    /// What was done.
    #[serde(flatten)]
    pub done: Done,
    /// What was spent, in US dollars: Claude Code's word where there is one, else estimated.
    pub cost_usd: Usd,
}

/// An hour.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HourDone {
    /// When it began.
    pub hour: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub done: Done,
}

/// What was done lately.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// The last 24 hours, the present one last.
    pub hours: Vec<HourDone>,
    /// The last days, today last.
    pub days: Vec<DayDone>,
    /// How many tool calls of these days took less than 0.1, 1, 10, 60 and 600 seconds, and how many longer.
    pub durations: Vec<i64>,
}

/// Sums up the last `days`.
///
/// # Errors
/// If the store cannot be read.
pub async fn report(app: &App, days: u16) -> Result<Activity, Error> {
    let now = clock::now();
    let today = Day::of(now);
    let first = Day(today.0 - i64::from(days) + 1);
    let since = Timestamp(first.0 * DAY_HOURS * HOUR_MS);
    let this_hour = now.0.div_euclid(HOUR_MS);
    let mut hours: Vec<Done> = vec![Done::default(); 24];
    let mut by_day: Vec<Done> = vec![Done::default(); usize::from(days)];
    let mut count = |hour: i64, add: &dyn Fn(&mut Done)| {
        let at = |index: i64| usize::try_from(index).ok();
        if let Some(done) = at(hour - this_hour + 23).and_then(|i| hours.get_mut(i)) {
            add(done);
        }
        let day = hour.div_euclid(DAY_HOURS) - first.0;
        if let Some(done) = at(day).and_then(|i| by_day.get_mut(i)) {
            add(done);
        }
    };
    for (hour, status, calls) in activity::calls(&app.db, since).await? {
        count(hour, &|done| match status.as_str() {
            "completed" => done.calls += calls,
            "denied" => done.denied += calls,
            "error" | "interrupted" => done.failed += calls,
            _ => {}
        });
    }
    for (hour, outcome, tasks) in activity::attempts(&app.db, since).await? {
        count(hour, &|done| match outcome.as_str() {
            "completed" => done.tasks_completed += tasks,
            _ => done.tasks_failed += tasks,
        });
    }
    let mut durations = vec![0; activity::STEPS];
    for (step, calls) in activity::durations(&app.db, since).await? {
        if let Some(at) = usize::try_from(step).ok().and_then(|i| durations.get_mut(i)) {
            *at += calls;
        }
    }
    let spent =
        usage::report(&app.db, Some(usage::Group::Day), (first, today), None, u32::from(days))
            .await?;
    // The key is the day's number.
    let cost =
        |day: Day| spent.iter().find(|s| s.key == day.0.to_string()).map(|s| s.spending.total());
    let hour = |(i, done)| HourDone { hour: Timestamp((this_hour - 23 + i) * HOUR_MS), done };
    let day = |(i, done)| {
        let day = Day(first.0 + i);
        DayDone { cost_usd: cost(day).unwrap_or(Usd(0)), day: day.to_string(), done }
    };
    Ok(Activity {
        hours: (0..).zip(hours).map(hour).collect(),
        days: (0..).zip(by_day).map(day).collect(),
        durations,
    })
}
