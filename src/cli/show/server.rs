//! What the commands print about the server and what is around it.

use std::io::Write as _;

use anyhow::Result;

use super::{done, json, line, safe};
use crate::config::{Loaded, Setting};
use crate::doctor::{Finding, Level};
use crate::services::database::Checked;
use crate::services::notices::{NoticeAttempt, NoticeOutcome};
use crate::services::summary::SessionCounts;
use crate::services::user_hooks;

/// Prints every setting with its origin.
pub fn config(loaded: &Loaded, as_json: bool) -> Result<()> {
    let settings = loaded.settings();
    if as_json {
        let values: serde_json::Map<_, _> =
            settings.into_iter().map(|s| (s.name, s.value)).collect();
        let origins = serde_json::to_value(&loaded.origins)?;
        return json(
            &serde_json::json!({ "values": values, "origins": origins, "warnings": loaded.warnings }),
        );
    }
    for Setting { name, value, origin } in settings {
        say!("{name:25} {value}  ({origin})");
    }
    for warning in &loaded.warnings {
        say!("warning: {warning}");
    }
    Ok(())
}

/// Prints what is in the database.
pub fn database(checked: &Checked, as_json: bool) -> Result<()> {
    if as_json {
        return json(checked);
    }
    say!("{}", checked.database);
    for migration in &checked.check.applied {
        say!("  applied      {}", safe(migration));
    }
    for migration in &checked.check.pending {
        say!("  to be applied  {}", safe(migration));
    }
    for (table, rows) in &checked.check.rows {
        say!("  {table:20} {rows:>10}");
    }
    match checked.check.problems.as_slice() {
        [] => say!("  sound"),
        problems => problems.iter().try_for_each(|p| {
            say!("  PROBLEM: {}", safe(p));
            anyhow::Ok(())
        })?,
    }
    Ok(())
}

/// Prints what is known of the hooks in the user's settings.
pub fn user_hooks(status: &user_hooks::Status, as_json: bool) -> Result<()> {
    let file = status.settings.display().to_string();
    let text = match (&status.program, status.stale) {
        (None, _) => format!("no hooks of Chorus's in {}", safe(&file)),
        (Some(program), stale) => {
            let note = if stale { "; `chorus hooks install` renews them" } else { "" };
            let program = safe(&program.display().to_string());
            format!(
                "{} of {} hooks in {} run {program}{note}",
                status.events,
                status.of,
                safe(&file)
            )
        }
    };
    done(&text, status, as_json)
}

/// Prints the doctor's findings.
pub fn findings(findings: &[Finding], as_json: bool) -> Result<()> {
    if as_json {
        return json(&findings);
    }
    for f in findings {
        let mark = match f.level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        say!("{mark}  {}", safe(&f.what));
        if let Some(remedy) = &f.remedy {
            say!("      → {}", safe(remedy));
        }
    }
    Ok(())
}

/// Prints what became of a notice by each channel.
pub fn attempts(attempts: &[NoticeAttempt], as_json: bool) -> Result<()> {
    if as_json {
        return json(&attempts);
    }
    for a in attempts {
        let mark = match a.outcome {
            NoticeOutcome::Told => "told  ",
            NoticeOutcome::Silent => "silent",
            NoticeOutcome::Failed => "FAILED",
        };
        say!("{mark}  {:9} {}", safe(&a.channel), line(&a.detail, 400));
    }
    Ok(())
}

/// Prints what the sessions do, in a few words; nothing if there are none.
pub fn summary(summary: &SessionCounts, as_json: bool) -> Result<()> {
    if as_json {
        return json(summary);
    }
    let counts = [
        (summary.waiting, "waiting"),
        (summary.busy, "busy"),
        (summary.idle, "idle"),
        (summary.starting, "starting"),
    ];
    let there = counts.into_iter().filter(|(n, _)| *n > 0);
    let words: Vec<String> = there.map(|(n, what)| format!("{n} {what}")).collect();
    if !words.is_empty() {
        say!("{}", words.join(" "));
    }
    Ok(())
}
