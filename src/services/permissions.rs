//! Permission requests: finding them and deciding them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::{Error, Thing};
use super::live::Live;
use super::observe::{Report, observe};
use super::{App, rules};
use crate::claude::hooks;
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::permission::{
    DecidedBy, Decision, PermissionRequest, PermissionStatus, QUESTION, Verdict, is_dialogue,
};
use crate::domain::question;
use crate::domain::rule::Pattern;
use crate::domain::session::Source;
use crate::store::{Cursor, Page, permissions};

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
    Error::NotFound { what: Thing::Request, name: id.to_string() }
}

/// The request of a session that has waited longest.
pub async fn oldest_pending(app: &App, session: SessionId) -> Result<PermissionId, Error> {
    let oldest = pending(app, move |r| r.session_id == session).await?.first().copied();
    oldest.ok_or_else(|| {
        Error::conflict(
            "the session waits for no permission; `chorus permissions` lists what waits",
        )
    })
}

/// A decision as somebody wants it.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The decision.
    pub decision: Decision,
    /// What answers a question, by its text.
    pub answers: Option<Map<String, Value>>,
}

impl Wish {
    /// The decision on this request, if it goes with it.
    fn on(self, request: &PermissionRequest) -> Result<Decision, Error> {
        let Self { mut decision, answers } = self;
        let allows = decision.verdict == Verdict::Allow;
        if request.tool == QUESTION {
            if decision.updated_input.is_some() {
                return Err(Error::invalid("updated_input", "a question takes `answers`"));
            }
            if allows {
                decision.updated_input = Some(answered(request, answers)?);
            }
        } else if answers.is_some() {
            return Err(Error::invalid("answers", "this request asks no question"));
        }
        if decision.for_session && is_dialogue(&request.tool) {
            return Err(Error::invalid(
                "for_session",
                "plans and questions are decided one by one",
            ));
        }
        Ok(decision)
    }
}

/// A question's input with the answers.
fn answered(
    request: &PermissionRequest,
    answers: Option<Map<String, Value>>,
) -> Result<Value, Error> {
    let asked = question::questions(&request.tool, &request.input);
    let Some(answers) = answers else {
        let asked = question::listing(&asked);
        return Err(Error::invalid(
            "answers",
            format!("a question is answered, not just allowed; asked is: {asked}"),
        ));
    };
    let answers = question::checked(&asked, &answers)
        .map_err(|bad| Error::invalid(&bad.field, bad.problem))?;
    hooks::with_answers(&request.input, answers)
        .ok_or_else(|| Error::invalid("answers", "the request holds no questions"))
}

/// Decides a request. The first decision wins.
pub async fn decide(
    app: &Arc<App>,
    id: PermissionId,
    wish: Wish,
    by: DecidedBy,
) -> Result<PermissionRequest, Error> {
    let wanted = wish.decision.verdict;
    let decided = app
        .engine
        .run(move |live, unit| {
            let Some(open) = live.open.get(&id) else { return Ok(None) };
            if open.decision.is_some() {
                return Err(already(&open.request));
            }
            let session = open.request.session_id;
            let decision = wish.on(&open.request)?;
            let rule = Pattern::exactly(&open.request.tool, &open.request.input)
                .filter(|_| decision.for_session);
            let fact = Fact::PermissionDecided { id, decision, by };
            let now = unit.now;
            observe(live, unit, Report::fact(session, Source::Chorus, now, fact))?;
            let besides = match rule {
                Some(pattern) => rules::allow_for_session(live, unit, session, pattern, by),
                None => Vec::new(),
            };
            Ok(Some((live.open.get(&id).map(|o| o.request.clone()), besides)))
        })
        .await?;
    let (request, besides) = decided.unwrap_or_default();
    let request = match request {
        Some(request) if request.decided_by.is_some() => request,
        // It left the live state: settled before, or by this very decision.
        _ => {
            let stored = get(app, id).await?;
            if stored.decided_by != Some(by) || stored.verdict != Some(wanted) {
                return Err(already(&stored));
            }
            stored
        }
    };
    for request in besides.iter().chain([&request]) {
        super::keyboard::stand_in(app, request.id);
    }
    tracing::info!(request = %id, session = %request.session_id, verdict = %wanted, by = %by, "request {id} was decided");
    Ok(request)
}

/// Which requests are decided together.
#[derive(Clone, Debug)]
pub enum Which {
    /// These.
    These(Vec<PermissionId>),
    /// All that nobody has decided, of this session and for this tool.
    Pending {
        /// Only of this session.
        session: Option<SessionId>,
        /// Only for this tool.
        tool: Option<String>,
    },
}

/// Decides several requests alike, oldest first. Each has an outcome of its own: what one of them
/// refuses does not hold up the others.
pub async fn decide_all(
    app: &Arc<App>,
    which: Which,
    wish: &Wish,
    by: DecidedBy,
) -> Result<Vec<(PermissionId, Result<PermissionRequest, Error>)>, Error> {
    let ids = match which {
        Which::These(ids) => ids,
        Which::Pending { session, tool } => {
            let wanted = move |r: &PermissionRequest| {
                session.is_none_or(|s| s == r.session_id)
                    && tool.as_ref().is_none_or(|t| *t == r.tool)
            };
            pending(app, wanted).await?
        }
    };
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        outcomes.push((id, decide(app, id, wish.clone(), by).await));
    }
    Ok(outcomes)
}

/// The requests that nobody has decided, oldest first.
async fn pending(
    app: &App,
    wanted: impl Fn(&PermissionRequest) -> bool + Send + 'static,
) -> Result<Vec<PermissionId>, Error> {
    let look = move |live: &Live| {
        let undecided = live.open.values().filter(|o| o.decision.is_none()).map(|o| &o.request);
        let mut found: Vec<_> =
            undecided.filter(|r| wanted(r)).map(|r| (r.requested_at, r.id)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    };
    Ok(app.engine.read(look).await?)
}

fn already(request: &PermissionRequest) -> Error {
    let by = request.decided_by.map(|by| format!(" by {by}")).unwrap_or_default();
    let verdict = request.verdict.map(|v| format!(" ({v})")).unwrap_or_default();
    Error::conflict(format!(
        "this request is {} already{by}{verdict}; nothing was changed",
        request.status
    ))
}
