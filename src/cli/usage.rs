//! `chorus usage` and `chorus budget`, and how the other commands show what sessions used.

use anyhow::Result;
use hyper::Method;
use serde_json::json;

use super::args::{Limit, Usage};
use super::client::{Client, encoded};
use super::commands::path;
use super::show;
use crate::api::sessions::SessionView;
use crate::api::usage::{UsageReport, UsageSum};
use crate::domain::record;
use crate::domain::usage::{BudgetLevel, Cost, CostSource};
use crate::services::spending::ContextView;

/// Shows what was used.
pub async fn report(client: &Client, wanted: Usage, as_json: bool) -> Result<()> {
    let mut query =
        format!("?by={}&limit={}", json!(wanted.by).as_str().unwrap_or("day"), wanted.limit);
    for (name, value) in [("since", &wanted.since), ("until", &wanted.until)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let report: UsageReport = client.get(&format!("/api/usage{query}")).await?;
    show::usage(&report, as_json)
}

/// Shows what a session has spent, and of which budget.
pub async fn spent(client: &Client, session: &str, as_json: bool) -> Result<()> {
    let view: SessionView = client.get(&path(session, "")?).await?;
    let cost = view.cost.as_ref().map_or_else(|| "nothing".to_owned(), with_source);
    let text = match &view.budget {
        None => format!("{} has spent {cost}; it may cost any sum", view.name),
        Some(b) => format!("{} has spent {cost} of {}: {} %", view.name, b.usd, b.percent),
    };
    show::done(&text, &view, as_json)
}

/// Sets what a session may cost.
pub async fn budget(client: &Client, session: &str, limit: Limit, as_json: bool) -> Result<()> {
    let patch = json!({ "budget_usd": limit.0 });
    let view: SessionView = client.call(Method::PATCH, &path(session, "")?, Some(&patch)).await?;
    let text = match &view.budget {
        None => format!("{} may cost any sum", view.name),
        Some(b) if b.level == BudgetLevel::Spent => {
            format!("{} may cost {}, which it has spent: it takes no prompts", view.name, b.usd)
        }
        Some(b) => format!("{} may cost {}; {} % of it is spent", view.name, b.usd, b.percent),
    };
    show::done(&text, &view, as_json)
}

/// What a session has used, line by line.
pub(super) fn details(s: &SessionView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(cost) = &s.cost {
        lines.push(format!("  cost        {}", with_source(cost)));
    }
    if let Some(budget) = &s.budget {
        lines.push(format!("  budget      {}, {} % of it spent", budget.usd, budget.percent));
    }
    let tokens = &s.tokens;
    lines.push(format!("  tokens      {} in, {} out", tokens.input_tokens, tokens.output_tokens));
    if let Some(c) = &s.context {
        let of = c.window.map(|window| format!(" of {window}")).unwrap_or_default();
        lines.push(format!("  context     {}{of} tokens ({})", c.used, context(Some(c))));
    }
    lines
}

/// A cost, and whose word it is.
fn with_source(cost: &Cost) -> String {
    let source = match cost.source {
        CostSource::Claude => "by Claude Code".to_owned(),
        CostSource::Estimated => "estimated".to_owned(),
        CostSource::Mixed => format!("{} of it estimated", cost.estimated_usd),
    };
    format!("{} ({source})", cost.usd)
}

/// A cost in a few characters: `~` marks what is not only Claude Code's word.
pub(super) fn cost(cost: Option<&Cost>) -> String {
    match cost {
        None => "-".into(),
        Some(cost) => {
            let mark = if cost.source == CostSource::Claude { "" } else { "~" };
            let more = if cost.unpriced_responses > 0 { "+" } else { "" };
            format!("{mark}{}{more}", cost.usd)
        }
    }
}

/// How full a context is, in a few characters.
pub(super) fn context(context: Option<&ContextView>) -> String {
    let percent = context.and_then(|c| c.percent);
    percent.map_or_else(|| "-".into(), |percent| format!("{percent}%"))
}

/// The lines of a table, and their sum.
pub(super) fn table(report: &UsageReport) -> Vec<String> {
    let label = |s: &UsageSum| show::safe(s.name.as_ref().unwrap_or(&s.key));
    let lines = report.sums.iter().map(|s| (label(s), s));
    let lines: Vec<_> = lines.chain([("all".to_owned(), &report.total)]).collect();
    let wide = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0).max(8);
    let head = ["COST", "RESPONSES", "INPUT", "OUTPUT", "CACHE WRITE", "CACHE READ"];
    let row = |label: &str, cells: [String; 6]| {
        let [c, r, i, o, w, x] = cells;
        format!("{label:wide$}  {c:>10}  {r:>9}  {i:>12}  {o:>10}  {w:>12}  {x:>12}")
    };
    let by = json!(report.by).as_str().unwrap_or_default().to_uppercase();
    let mut table = vec![row(&by, head.map(str::to_owned))];
    table.extend(lines.iter().map(|(label, s)| {
        let record::Usage { input_tokens, output_tokens, .. } = s.tokens;
        let numbers = [
            s.responses,
            input_tokens,
            output_tokens,
            s.tokens.cache_creation_input_tokens,
            s.tokens.cache_read_input_tokens,
        ];
        let [r, i, o, w, x] = numbers.map(|n| n.to_string());
        row(label, [cost(s.cost.as_ref()), r, i, o, w, x])
    }));
    if report.more {
        table.push("there are more; --limit shows up to 500".into());
    }
    table
}
