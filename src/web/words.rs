//! What pages say of a session in a few words.

use crate::domain::session::{Session, SessionState};
use crate::domain::usage::CostSource;
use crate::services::sessions::Beside;
use crate::services::spending::Used;

/// What it does or waits for.
pub fn doing(session: &Session, beside: &Beside) -> String {
    let d = &session.state.detail;
    let said = [
        beside.permission_prompt.clone().or_else(|| d.waiting_for.clone()),
        d.tool.clone(),
        (d.background > 0).then(|| format!("{} in the background", d.background)),
        d.compacting.then(|| "compacting".to_owned()),
        d.budget.clone(),
        beside.elsewhere_pid.map(|pid| format!("process {pid} goes on with it elsewhere")),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// What its state rests on.
pub fn evidence(state: &SessionState) -> String {
    format!("{}: {}", state.evidence.source, state.evidence.what)
}

/// What it has cost; nothing if that is not known.
pub fn cost(used: &Used) -> String {
    used.cost.as_ref().map_or_else(String::new, |cost| match cost.source {
        CostSource::Claude => cost.usd.to_string(),
        CostSource::Estimated | CostSource::Mixed => format!("~{}", cost.usd),
    })
}
