//! What can be said of costs.

use crate::api::usage::UsageBy;
use crate::domain::usage::Usd;

/// What a session may cost: nothing in it is any sum.
#[derive(Clone, Copy, Debug)]
pub struct Limit(pub Option<Usd>);

pub(super) fn budget(text: &str) -> Result<Limit, String> {
    if text == "none" { Ok(Limit(None)) } else { usd(text).map(|usd| Limit(Some(usd))) }
}

pub(super) fn usd(text: &str) -> Result<Usd, String> {
    let number = text.trim_start_matches('$').parse().ok();
    number.and_then(Usd::from_dollars).ok_or_else(|| "expected a sum such as 2.50".into())
}

/// Shows what was used.
#[derive(Debug, clap::Args)]
pub struct Usage {
    /// What to sum up by: day, model, project or session
    #[arg(long, default_value = "day", value_parser = by)]
    pub by: UsageBy,
    /// From this day on, in UTC, such as 2026-01-31 [default: 30 days ago]
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,
    /// Up to this day, included [default: today]
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
    /// At most N lines
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub limit: u32,
}

fn by(text: &str) -> Result<UsageBy, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "expected day, model, project or session".into())
}
