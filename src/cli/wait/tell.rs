//! What is printed of a wait.

use std::io::Write as _;

use anyhow::Result;

use super::{Outcome, Waited};
use crate::cli::args::Until;
use crate::cli::show;
use crate::domain::permission::{PermissionRequest, QUESTION};

/// Prints what one wait has come to. With `words`, only what Claude said, if it has finished.
pub fn one(waited: &Waited, words: bool, json: bool) -> Result<()> {
    if json {
        return show::json(waited);
    }
    match (&waited.message, waited.outcome) {
        (Some(message), Outcome::Idle) if words => print(&show::safe(message.content.trim_end())),
        _ => state(waited),
    }
}

/// Prints what several have come to; of a single one, what Claude said.
pub fn all(ended: &[Waited], until: Until, json: bool) -> Result<()> {
    if json {
        return show::json(&ended);
    }
    if let [only] = ended {
        return one(only, until != Until::Permission, false);
    }
    for waited in ended {
        state(waited)?;
        if let Some(message) = waited.message.as_ref().filter(|_| waited.outcome == Outcome::Idle) {
            print(&show::indented(&message.content, 40))?;
        }
    }
    Ok(())
}

/// Tells of a question while it is waited on.
pub fn meanwhile(request: &PermissionRequest) {
    eprintln!("chorus: Claude asks for {}\n  → {}", show::call(request), remedy(request));
}

fn state(waited: &Waited) -> Result<()> {
    let name = &waited.session.name;
    let detail = &waited.session.detail;
    let trouble = detail.error.as_deref().or(detail.waiting_for.as_deref()).map(show::safe);
    let because = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
    match waited.outcome {
        Outcome::Idle => print(&format!("{name} is idle"))?,
        Outcome::Waiting if !waited.requests.is_empty() => {
            print(&format!("{name} waits for you"))?;
            show::permissions(&waited.requests, std::slice::from_ref(&waited.session), false)?;
            for request in &waited.requests {
                print(&format!("  → {}", remedy(request)))?;
            }
            return Ok(());
        }
        Outcome::Waiting => print(&format!("{name} waits for you{because}"))?,
        Outcome::Failed => print(&format!("{name}'s turn failed{because}"))?,
        Outcome::Ended => print(&format!("{name} is {}{because}", waited.session.status))?,
        Outcome::Undelivered => {
            let why = waited.message.as_ref().and_then(|m| m.delivery_error.as_deref());
            print(&format!("undelivered: {}", show::safe(why.unwrap_or("for no known reason"))))?;
        }
        Outcome::TimedOut => {
            print(&format!("{name} is still {}", waited.session.claude_status))?;
        }
    }
    if let Some(remedy) = detail.remedy.as_deref().filter(|_| waited.outcome != Outcome::Idle) {
        print(&format!("  → {}", show::safe(remedy)))?;
    }
    Ok(())
}

fn remedy(request: &PermissionRequest) -> String {
    let answer = if request.tool == QUESTION { " --answer …" } else { "" };
    format!("`chorus approve {0}{answer}`, or `chorus deny {0} -m '…'`", request.id)
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}
