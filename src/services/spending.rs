//! What sessions use: Claude Code's own log of it is taken in, sums are told to the sessions, and one that
//! has no budget left is stopped.
//!
//! Every response is one row of the store, whether the transcript tells of it or Claude Code's log; the
//! sums of a session stand in the transaction of the row. One task reads them when they have moved, and
//! tells them as an observation, so that what follows is the reducer's to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use utoipa::ToSchema;

use super::error::Error;
use super::observe::{Report, observe};
use super::sessions::find;
use super::{App, ingest, life};
use crate::claude::{models, telemetry};
use crate::clock;
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::{ConversationId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::record::Record;
use crate::domain::session::{Session, Source};
use crate::domain::time::Timestamp;
use crate::domain::usage::{Budget, BudgetLevel, Cost, Usd};
use crate::store::{Write, usage};

/// What is to be looked after. Each session is in it once at most.
#[derive(Clone, Default)]
pub struct Accounts(Arc<Inner>);

#[derive(Default)]
struct Inner {
    due: Mutex<Due>,
    woken: Notify,
}

#[derive(Default)]
struct Due {
    sums: BTreeSet<SessionId>,
    stops: BTreeSet<SessionId>,
}

impl Accounts {
    /// A session's sums have moved.
    pub fn sum_up(&self, session: SessionId) {
        self.note(|due| due.sums.insert(session));
    }

    /// A session's turn is to be interrupted.
    pub fn stop(&self, session: SessionId) {
        self.note(|due| due.stops.insert(session));
    }

    fn note(&self, add: impl FnOnce(&mut Due) -> bool) {
        add(&mut self.0.due.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.woken.notify_one();
    }

    fn take(&self) -> Due {
        std::mem::take(&mut self.0.due.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Begins to look after it.
pub fn start(app: &Arc<App>) {
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        loop {
            tokio::select! {
                () = app.shutdown.cancelled() => return,
                () = app.accounts.0.woken.notified() => {}
            }
            let due = app.accounts.take();
            for session in due.sums {
                if let Err(e) = tell_sum(&app, session).await {
                    tracing::warn!(error = %e, %session, "what {session} has used cannot be summed up; the next response does it");
                }
            }
            for session in due.stops {
                interrupt(&app, session).await;
            }
        }
    });
}

async fn tell_sum(app: &App, id: SessionId) -> Result<(), Error> {
    let spending = usage::of_session(&app.db, id).await?;
    let fact = Fact::Spent(spending);
    ingest::observed(app, Report::fact(id, Source::Chorus, clock::now(), fact)).await
}

async fn interrupt(app: &Arc<App>, session: SessionId) {
    match life::interrupt(app, &session.to_string()).await {
        Ok(session) => {
            tracing::info!(session = %session.id, "the turn of {} is interrupted: its budget is spent", session.name);
        }
        // The turn has just ended, or nobody but its user may touch it.
        Err(e) => tracing::debug!(%session, error = %e, "{session} was not interrupted"),
    }
}

/// Fills in what a response cost by the list, for those of which Claude Code does not say it.
pub fn estimate(app: &App, records: &mut [Record]) {
    for record in records {
        if let Record::Usage(response) = record {
            response.estimated = models::estimate(&app.config.prices, response);
        }
    }
}

/// Takes in a body of Claude Code's log.
pub async fn take_log(
    app: &App,
    session: SessionId,
    token: Option<&str>,
    body: Bytes,
) -> Result<(), Error> {
    if token != Some(app.log_token(session).as_str()) {
        return Err(Error::Unauthorised("this is not the session's token".into()));
    }
    let requests = telemetry::requests(&body, clock::now());
    let requests = requests.map_err(|e| Error::invalid("body", e.to_string()))?;
    let mut by_conversation: HashMap<ConversationId, Vec<Record>> = HashMap::new();
    for (conversation, response) in requests {
        by_conversation.entry(conversation).or_default().push(Record::Usage(response));
    }
    for (conversation, records) in by_conversation {
        let conversation = Some(conversation);
        let report = Report { conversation, records, ..Report::new(session, Source::Telemetry) };
        ingest::observed(app, report).await?;
    }
    Ok(())
}

/// The variables by which a session's Claude sends its log here; none if the user has telemetry of their
/// own, or wants none. `env` is what Claude is given otherwise.
pub async fn variables(
    app: &App,
    session: &Session,
    mut env: impl Iterator<Item = &String>,
) -> BTreeMap<String, String> {
    let Some(receiver) = app.receiver().filter(|_| app.config.claude_telemetry) else {
        return BTreeMap::new();
    };
    let config = app.claude_config_dir(session).await;
    let workspace = std::path::Path::new(&session.workspace_path);
    if env.any(|name| telemetry::concerns(name)) || telemetry::is_in_settings(&config, workspace) {
        tracing::info!(session = %session.id, "Claude Code's telemetry is set up by its user: {} keeps it, and its cost is estimated", session.name);
        return BTreeMap::new();
    }
    telemetry::variables(&endpoint(receiver, session.id), &app.log_token(session.id))
}

fn endpoint(receiver: SocketAddr, session: SessionId) -> String {
    format!("http://{receiver}/v1/logs/{session}")
}

/// Sets what a session may cost from now on; nothing if there is no limit.
pub async fn set_budget(
    app: &App,
    name: &str,
    limit: Option<Usd>,
    actor: Actor,
) -> Result<Session, Error> {
    let session = find(app, name).await?;
    check_budget(&session, limit)?;
    let id = session.id;
    app.engine
        .run(move |live, unit| {
            let now = unit.now;
            live.admit(session);
            observe(live, unit, Report::fact(id, Source::Chorus, now, Fact::BudgetSet(limit)))?;
            let session = live.session(id).ok_or_else(|| Error::no_session(&id.to_string()))?;
            let session = session.clone();
            unit.write(Write::Audit(act(now, actor, "budget.set", &session)));
            if !session.is_live() {
                live.retire(id);
            }
            Ok(session)
        })
        .await
}

/// What the audit log keeps of a session's budget.
pub(super) fn act(at: Timestamp, actor: Actor, action: &'static str, session: &Session) -> Act {
    let budget = session.state.budget.map(|budget| budget.limit);
    let spent = session.state.spending.total();
    let data = json!({ "name": session.name, "budget_usd": budget, "spent_usd": spent });
    Act::new(at, actor, action, data).session(session.id).subject(session.id)
}

/// Refuses what [`set_budget`] would refuse.
pub fn check_budget(session: &Session, limit: Option<Usd>) -> Result<(), Error> {
    super::elsewhere::leave_alone(session)?;
    check(limit)
}

/// Checks a budget.
pub fn check(limit: Option<Usd>) -> Result<(), Error> {
    match limit {
        Some(Usd(0)) => Err(Error::invalid("budget_usd", "expected more than 0")),
        _ => Ok(()),
    }
}

/// What a session may cost, and how much of that is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetView {
    /// At most this, in US dollars. Estimated cost counts as well.
    pub usd: Usd,
    /// How much of it is spent, in per cent.
    pub percent: i64,
    /// What follows from that.
    pub level: BudgetLevel,
}

/// How full the model's context is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContextView {
    /// The model that responded last.
    pub model: String,
    /// Tokens in its context after that: the prompt, cached or not, and the response.
    pub used: i64,
    /// Tokens that fit into it, if the model is known.
    pub window: Option<i64>,
    /// How full it is, in per cent.
    pub percent: Option<i64>,
}

/// What a session has used, as it is shown.
pub struct Used {
    /// What it cost.
    pub cost: Option<Cost>,
    /// How full its context is.
    pub context: Option<ContextView>,
    /// What it may cost.
    pub budget: Option<BudgetView>,
}

/// What a session has used, as it is shown.
pub fn used(session: &Session) -> Used {
    let state = &session.state;
    let spent = state.spending.total();
    let view = |budget: Budget| BudgetView {
        usd: budget.limit,
        percent: percent(spent, budget.limit),
        level: budget.level,
    };
    let context = state.context.as_ref().map(|known| {
        let launched = session.launch.model.as_deref().and_then(models::marked_window);
        let context = known.with_window(state.window.max(launched));
        ContextView {
            percent: context.percent(),
            model: context.model,
            used: context.used,
            window: context.window,
        }
    });
    Used { cost: state.spending.cost(), context, budget: state.budget.map(view) }
}

fn percent(part: Usd, whole: Usd) -> i64 {
    let percent = i128::from(part.0) * 100 / i128::from(whole.0.max(1));
    i64::try_from(percent).unwrap_or(i64::MAX)
}

/// The event that says what a session has used.
pub fn event(session: &Session, at: Timestamp) -> Value {
    let Used { cost, context, budget } = used(session);
    json!({
        "session_id": session.id,
        "name": session.name,
        "cost": cost,
        "tokens": session.state.spending.tokens,
        "context": context,
        "budget": budget,
        "at": at,
    })
}
