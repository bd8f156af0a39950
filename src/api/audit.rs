//! `/api/audit`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::list::{self, Paging};
use super::problem::{Problem, Query};
use crate::domain::audit::{Actor, Damage, Entry};
use crate::domain::time::Timestamp;
use crate::services::{App, audit, sessions};

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only of this action, such as `permission.decided`.
    action: Option<String>,
    /// Only by actors of this kind, such as `rule`.
    actor: Option<String>,
    /// Only what concerns this session (id, name or tmux name).
    session: Option<String>,
    /// Only what was done to this: the id of a request, a rule, a session, a project.
    subject: Option<String>,
}

/// An entry of the audit log. Its hash is over the data as the database holds it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its place: 1, 2, 3, …
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: `permission.decided`, `rule.created`, …
    pub action: String,
    /// The session that it concerns.
    pub session_id: Option<String>,
    /// What it was done to.
    pub subject_id: Option<String>,
    /// More, scrubbed of secrets.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
    /// The hash of the entry before it.
    pub prev: String,
    /// Its own.
    pub hash: String,
}

impl From<Entry> for AuditEntry {
    fn from(e: Entry) -> Self {
        // What somebody has written over is shown as it is.
        let data = serde_json::from_str(&e.data).unwrap_or(serde_json::Value::String(e.data));
        Self {
            id: e.id,
            at: e.at,
            actor: e.actor,
            action: e.action,
            session_id: e.session_id,
            subject_id: e.subject_id,
            data,
            prev: e.prev,
            hash: e.hash,
        }
    }
}

/// What checking the audit log has found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// Nothing was changed, taken out or moved. That nothing was cut off the end only `last_hash`
    /// shows, if it was noted elsewhere before.
    pub ok: bool,
    /// Entries that are whole, from the first on.
    pub whole: i64,
    /// The hash of the last of them.
    pub last_hash: String,
    /// The first bad entry.
    pub bad: Option<BadEntry>,
}

/// An entry that is not as it was written.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BadEntry {
    /// What is wrong.
    pub damage: Damage,
    /// The entry. If entries are missing, the one after them.
    pub entry: AuditEntry,
}

/// Lists the audit log, the newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", operation_id = "list_audit", params(Filter, Paging),
    responses((status = 200, body = [AuditEntry]), (status = 404, description = "No such session", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Response, Problem> {
    let (limit, cursor) = paging.check()?;
    let session = sessions::find_id(&app, filter.session.as_deref()).await?;
    let filter = audit::Filter {
        action: filter.action,
        actor: filter.actor,
        session,
        subject: filter.subject,
    };
    let page = audit::list(&app, &filter, cursor.as_ref(), limit).await?;
    Ok(list::answer(&uri, page, AuditEntry::from))
}

/// Checks that the audit log is whole, from its first entry to its last.
#[utoipa::path(get, path = "/api/audit/verify", tag = "audit", operation_id = "verify_audit",
    responses((status = 200, body = Verification)))]
pub async fn verify(State(app): State<Arc<App>>) -> Result<Json<Verification>, Problem> {
    let checked = audit::check(&app).await?;
    let bad = checked.bad.map(|(entry, damage)| BadEntry { damage, entry: entry.into() });
    Ok(Json(Verification {
        ok: bad.is_none(),
        whole: checked.whole,
        last_hash: checked.last_hash,
        bad,
    }))
}
