//! Permission requests: finding them and deciding them.

use std::sync::Arc;

use super::App;
use super::error::Error;
use super::observe::{Report, observe};
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::permission::{
    DecidedBy, Decision, PermissionRequest, PermissionStatus, SessionRule, Verdict,
};
use crate::domain::session::Source;
use crate::store::{Cursor, Page, Write, permissions};

/// Lists requests, the newest first.
pub async fn list(
    app: &App,
    status: Option<PermissionStatus>,
    session: Option<SessionId>,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<PermissionRequest>, Error> {
    let filter = permissions::Filter { status: status.map(|s| s.to_string()), session };
    Ok(permissions::list(&app.db, &filter, after, limit).await?)
}

/// Finds a request.
pub async fn get(app: &App, id: PermissionId) -> Result<PermissionRequest, Error> {
    permissions::by_id(&app.db, id).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: PermissionId) -> Error {
    Error::NotFound { what: "permission request", name: id.to_string() }
}

/// The request of a session that has waited longest.
pub async fn oldest_pending(app: &App, session: SessionId) -> Result<PermissionId, Error> {
    let oldest = app
        .engine
        .read(move |live| {
            live.open
                .values()
                .filter(|o| o.request.session_id == session && o.decision.is_none())
                .min_by_key(|o| (o.request.requested_at, o.request.id))
                .map(|o| o.request.id)
        })
        .await?;
    oldest.ok_or_else(|| Error::conflict("the session waits for no permission"))
}

/// Decides a request. The first decision wins.
pub async fn decide(
    app: &Arc<App>,
    id: PermissionId,
    decision: Decision,
    by: DecidedBy,
) -> Result<PermissionRequest, Error> {
    let wanted = decision.clone();
    let decided = app
        .engine
        .run(move |live, unit| {
            let Some(open) = live.open.get(&id) else { return Ok(None) };
            if open.decision.is_some() {
                return Err(already(&open.request));
            }
            let session = open.request.session_id;
            let rule = SessionRule::of(&open.request.tool, &open.request.input);
            if decision.for_session && rule.is_none() {
                return Err(Error::invalid(
                    "for_session",
                    "plans and questions are decided one by one",
                ));
            }
            let for_session = decision.for_session && decision.verdict == Verdict::Allow;
            let fact = Fact::PermissionDecided { id, decision, by };
            let now = unit.now;
            observe(live, unit, Report::fact(session, Source::Chorus, now, fact))?;
            if let Some(rule) = rule.filter(|_| for_session)
                && live.add_rule(session, rule.clone())
            {
                unit.write(Write::AddRule { session, rule, at: now });
            }
            Ok(live.open.get(&id).map(|o| o.request.clone()))
        })
        .await?;
    let request = match decided {
        Some(request) if request.decided_by.is_some() => request,
        // It left the live state: settled before, or by this very decision.
        _ => {
            let stored = get(app, id).await?;
            if stored.decided_by != Some(by) || stored.verdict != Some(wanted.verdict) {
                return Err(already(&stored));
            }
            stored
        }
    };
    super::keyboard::stand_in(app, id);
    tracing::info!(request = %id, session = %request.session_id, verdict = %wanted.verdict, by = %by, "request {id} was decided");
    Ok(request)
}

fn already(request: &PermissionRequest) -> Error {
    let by = request.decided_by.map(|by| format!(" by {by}")).unwrap_or_default();
    let verdict = request.verdict.map(|v| format!(" ({v})")).unwrap_or_default();
    Error::conflict(format!(
        "this request is {} already{by}{verdict}; nothing was changed",
        request.status
    ))
}
