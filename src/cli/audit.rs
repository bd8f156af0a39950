//! `chorus audit`.

use anyhow::Result;

use super::args::{Audit, AuditWhat};
use super::client::Client;
use super::commands::path;
use super::exit::Exit;
use super::show;
use crate::api::audit::{AuditEntry, Verification};

/// Shows the audit log, or checks that it is whole.
pub async fn run(client: &Client, audit: Audit, json: bool) -> Result<Exit> {
    if let Some(AuditWhat::Verify) = audit.what {
        return verify(client, json).await;
    }
    let mut query = Vec::new();
    if let Some(session) = &audit.session {
        path(session, "")?;
        query.push(format!("session={session}"));
    }
    if let Some(action) = &audit.action {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !action.chars().all(plain) {
            return Err(Exit::Usage.error(format!("{action:?} is no action")));
        }
        query.push(format!("action={action}"));
    }
    let path = format!("/api/audit?{}", query.join("&"));
    let mut entries: Vec<AuditEntry> = client.list(path.trim_end_matches('?'), audit.last).await?;
    entries.reverse();
    show::audit(&entries, json)?;
    Ok(Exit::Ok)
}

async fn verify(client: &Client, json: bool) -> Result<Exit> {
    let found: Verification = client.get("/api/audit/verify").await?;
    let text = match &found.bad {
        None => format!("whole: {} entries, the last {}", found.whole, found.last_hash),
        Some(bad) => {
            let damage = serde_json::to_value(bad.damage)?;
            format!(
                "BROKEN at entry {}: {}; the {} before it are whole",
                bad.entry.id,
                damage.as_str().unwrap_or_default(),
                found.whole
            )
        }
    };
    show::done(&text, &found, json)?;
    Ok(if found.ok { Exit::Ok } else { Exit::Failed })
}
