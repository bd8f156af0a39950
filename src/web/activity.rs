//! **Activity**: what was done lately, as charts that are drawn here and need no script.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::shell::Shell;
use super::{html, no_such_part};
use crate::api::problem::{Problem, Query};
use crate::services::App;
use crate::services::activity::{self, Activity, Done};

/// The page's routes.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/activity", get(page))
}

#[derive(Deserialize)]
struct Wanted {
    part: Option<String>,
    days: Option<u16>,
}

#[derive(Template)]
#[template(path = "activity.html", blocks = ["charts"])]
struct Page {
    shell: Shell,
    days: u16,
    charts: Vec<Chart>,
}

/// A chart of bars. All lengths are in the units of its SVG: 600 wide, 140 high.
struct Chart {
    title: &'static str,
    /// What a screen reader says of it, and people under the title.
    summary: String,
    /// The name and class of each part of the bars.
    legend: Vec<(&'static str, &'static str)>,
    bars: Vec<Bar>,
    /// The value at the top.
    top: String,
}

struct Bar {
    /// What it is of: a day, an hour, a span.
    label: String,
    /// Whether the label is written under it; not all have room.
    labelled: bool,
    x: f64,
    width: f64,
    parts: Vec<Part>,
    /// The figures, in the order of the legend.
    figures: Vec<String>,
}

struct Part {
    class: &'static str,
    y: f64,
    height: f64,
}

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 140.0;
/// Labels that fit under a chart.
const LABELS: usize = 8;

impl Chart {
    #[expect(clippy::cast_precision_loss, reason = "a pixel more or less does not matter")]
    fn new(
        title: &'static str,
        summary: String,
        legend: Vec<(&'static str, &'static str)>,
        values: Vec<(String, Vec<i64>)>,
        figure: impl Fn(i64) -> String,
    ) -> Self {
        let most = values.iter().map(|(_, parts)| parts.iter().sum::<i64>()).max().unwrap_or(0);
        let top = most.max(1) as f64;
        let step = WIDTH / values.len().max(1) as f64;
        let every = values.len().div_ceil(LABELS).max(1);
        let last = values.len().saturating_sub(1);
        let bar = |(i, (label, amounts)): (usize, (String, Vec<i64>))| {
            let mut from = HEIGHT;
            let parts = amounts.iter().zip(&legend).filter(|(amount, _)| **amount > 0);
            let parts = parts.map(|(amount, (_, class))| {
                let height = (*amount as f64 / top * (HEIGHT - 4.0)).max(1.0);
                from -= height;
                Part { class, y: from, height }
            });
            Bar {
                labelled: (last - i).is_multiple_of(every),
                x: i as f64 * step + step * 0.1,
                width: step * 0.8,
                parts: parts.collect(),
                figures: amounts.iter().map(|a| figure(*a)).collect(),
                label,
            }
        };
        let bars = values.into_iter().enumerate().map(bar).collect();
        Self { title, summary, bars, top: figure(most), legend }
    }
}

async fn page(
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let days = wanted.days.unwrap_or(activity::DAYS).clamp(1, activity::MOST_DAYS);
    let shell = Shell::of(&app, "activity").await?;
    let charts = charts(activity::report(&app, days).await?);
    let page = Page { shell, days, charts };
    match wanted.part.as_deref() {
        None => html(page),
        Some("charts") => html(page.as_charts()),
        Some(part) => Err(no_such_part(part)),
    }
}

fn charts(activity: Activity) -> Vec<Chart> {
    let calls = |d: &Done| vec![d.calls, d.failed, d.denied];
    let plain = |n: i64| n.to_string();
    let sum = |of: &dyn Fn(&Done) -> i64| activity.days.iter().map(|d| of(&d.done)).sum::<i64>();
    let ran = || vec![("ran", "good"), ("failed", "bad"), ("denied", "denied")];
    let hour = |at: String| at.get(11..16).unwrap_or_default().to_owned();
    let dollars = |cents: i64| format!("${}.{:02}", cents / 100, cents % 100);
    let day = |day: &str| day.get(5..).unwrap_or_default().to_owned();
    let cents = |d: &activity::DayDone| d.cost_usd.0 / 10_000_000;
    let today: i64 = activity.hours.iter().map(|h| calls(&h.done).iter().sum::<i64>()).sum();
    vec![
        Chart::new(
            "Tool calls in the last 24 hours",
            format!("{today} calls, by hour of UTC"),
            ran(),
            activity.hours.iter().map(|h| (hour(h.hour.to_string()), calls(&h.done))).collect(),
            plain,
        ),
        Chart::new(
            "Tool calls by day",
            format!(
                "{} ran, {} failed, {} were denied",
                sum(&|d| d.calls),
                sum(&|d| d.failed),
                sum(&|d| d.denied)
            ),
            ran(),
            activity.days.iter().map(|d| (day(&d.day), calls(&d.done))).collect(),
            plain,
        ),
        Chart::new(
            "How long tool calls take",
            "Calls by their duration".to_owned(),
            vec![("calls", "plain")],
            ["< 0.1 s", "< 1 s", "< 10 s", "< 1 min", "< 10 min", "longer"]
                .into_iter()
                .zip(&activity.durations)
                .map(|(label, count)| (label.to_owned(), vec![*count]))
                .collect(),
            plain,
        ),
        Chart::new(
            "Tasks by day",
            format!(
                "{} completed, {} given up",
                sum(&|d| d.tasks_completed),
                sum(&|d| d.tasks_failed)
            ),
            vec![("completed", "good"), ("given up", "bad")],
            activity
                .days
                .iter()
                .map(|d| (day(&d.day), vec![d.done.tasks_completed, d.done.tasks_failed]))
                .collect(),
            plain,
        ),
        Chart::new(
            "Cost by day",
            format!("{} in all", dollars(activity.days.iter().map(cents).sum())),
            vec![("US dollars", "plain")],
            activity.days.iter().map(|d| (day(&d.day), vec![cents(d)])).collect(),
            dollars,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Chart, HEIGHT};

    #[test]
    fn bars_stand_on_one_another_and_stay_inside() {
        let legend = vec![("a", "good"), ("b", "bad")];
        let values = vec![("x".to_owned(), vec![1, 1]), ("y".to_owned(), vec![0, 4])];
        let chart = Chart::new("t", String::new(), legend, values, |n| n.to_string());
        assert_eq!(chart.top, "4");
        let [x, y] = chart.bars.as_slice() else { panic!("two bars") };
        assert!((x.parts[0].y + x.parts[0].height - HEIGHT).abs() < 0.01);
        assert!((x.parts[1].y + x.parts[1].height - x.parts[0].y).abs() < 0.01);
        assert_eq!((y.parts.len(), y.parts[0].class), (1, "bad"));
        assert!(y.parts[0].y >= 0.0);
    }

    #[test]
    fn nothing_is_a_chart_too() {
        let chart =
            Chart::new("t", String::new(), vec![("a", "good")], Vec::new(), |n| n.to_string());
        assert!(chart.bars.is_empty());
    }
}
