//! Rules: making, changing and removing them, and what one would do.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::engine::Unit;
use super::error::{Error, Thing};
use super::live::Live;
use super::observe::reconsider;
use super::{App, permissions, places};
use crate::domain::audit::{Act, Actor};
use crate::domain::ids::{PermissionId, ProjectId, RuleId, SessionId};
use crate::domain::permission::{DecidedBy, PermissionRequest, Verdict};
use crate::domain::rule::{self, Call, Pattern, Place, Rule, RuleAction, RuleMatch};
use crate::domain::time::Timestamp;
use crate::store::{self, Write};

/// A rule as somebody wants it.
#[derive(Clone, Debug)]
pub struct New {
    /// What it does.
    pub action: RuleAction,
    /// Which calls it is about.
    pub pattern: Pattern,
    /// Only in this project.
    pub project: Option<ProjectId>,
    /// Only in this session.
    pub session: Option<SessionId>,
    /// Why it is there.
    pub note: Option<String>,
}

/// What is to change about a rule.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// What it does.
    pub action: Option<RuleAction>,
    /// The tool.
    pub tool: Option<String>,
    /// The command; `Some(None)` takes it away.
    pub command: Option<Option<String>>,
    /// The path; `Some(None)` takes it away.
    pub path: Option<Option<String>>,
    /// The note; `Some(None)` takes it away.
    pub note: Option<Option<String>>,
}

fn unknown(id: RuleId) -> Error {
    Error::NotFound { what: Thing::Rule, name: id.to_string() }
}

fn invalid((field, problem): (&'static str, String)) -> Error {
    Error::invalid(field, problem)
}

/// Lists all rules, oldest first.
pub async fn list(app: &App) -> Result<Vec<Rule>, Error> {
    Ok(app.engine.read(|live| live.rules().to_vec()).await?)
}

/// Finds a rule.
pub async fn get(app: &App, id: RuleId) -> Result<Rule, Error> {
    let rule = app.engine.read(move |live| live.rule(id).cloned()).await?;
    rule.ok_or_else(|| unknown(id))
}

/// Makes a rule out of what was asked for, without keeping it.
async fn draft(app: &App, new: New, by: DecidedBy) -> Result<Rule, Error> {
    new.pattern.check().map_err(invalid)?;
    if let Some(note) = &new.note {
        Rule::check_note(note).map_err(invalid)?;
    }
    let (project, session) = (new.project, new.session);
    let (no_project, no_session) = app
        .engine
        .read(move |live| {
            (
                project.is_some_and(|id| live.project(id).is_none()),
                session.is_some_and(|id| live.session(id).is_none()),
            )
        })
        .await?;
    if no_project {
        return Err(Error::invalid("project_id", "there is no such project"));
    }
    if no_session {
        return Err(Error::invalid("session_id", "there is no such session that runs"));
    }
    let rule = Rule {
        project_id: new.project,
        session_id: new.session,
        note: new.note,
        ..Rule::new(new.action, new.pattern, by.as_str(), crate::clock::now())
    };
    Ok(rule.reworded())
}

/// Adds a rule, which also decides what waits at this moment. Tells which requests those are.
pub async fn add(
    app: &Arc<App>,
    new: New,
    by: DecidedBy,
) -> Result<(Rule, Vec<PermissionRequest>), Error> {
    let rule = draft(app, new, by).await?;
    let id = rule.id;
    let places = where_pending(app).await?;
    let decided = app
        .engine
        .run(move |live, unit| {
            create(live, unit, rule, by);
            Ok::<_, Error>(reconsider(live, unit, places))
        })
        .await?;
    settle(app, &decided);
    Ok((get(app, id).await?, decided))
}

fn create(live: &mut Live, unit: &mut Unit, rule: Rule, by: DecidedBy) {
    unit.write(Write::AddRule(Box::new(rule.clone())));
    unit.write(Write::Audit(act(unit.now, by, "rule.created", &rule, None)));
    live.put_rule(rule);
}

/// Allows something for a session, which also decides what waits at this moment. Tells which
/// requests those are.
pub(super) fn allow_for_session(
    live: &mut Live,
    unit: &mut Unit,
    session: SessionId,
    pattern: Pattern,
    by: DecidedBy,
) -> Vec<PermissionRequest> {
    let same = |r: &Rule| {
        r.action == RuleAction::Allow && r.session_id == Some(session) && r.pattern == pattern
    };
    if live.rules().iter().any(same) {
        return Vec::new();
    }
    let rule = Rule::new(RuleAction::Allow, pattern, by.as_str(), unit.now);
    let rule = Rule { session_id: Some(session), ..rule };
    create(live, unit, rule.reworded(), by);
    reconsider(live, unit, HashMap::new())
}

/// Changes a rule, which also decides what waits at this moment.
pub async fn change(
    app: &Arc<App>,
    id: RuleId,
    patch: Patch,
    by: DecidedBy,
) -> Result<(Rule, Vec<PermissionRequest>), Error> {
    let places = where_pending(app).await?;
    let decided = app
        .engine
        .run(move |live, unit| {
            let mut rule = live.rule(id).cloned().ok_or_else(|| unknown(id))?;
            let before = RuleMatch::of(&rule).words;
            let Patch { action, tool, command, path, note } = patch;
            rule.action = action.unwrap_or(rule.action);
            rule.pattern.tool = tool.unwrap_or(rule.pattern.tool);
            rule.pattern.command = command.unwrap_or(rule.pattern.command);
            rule.pattern.path = path.unwrap_or(rule.pattern.path);
            rule.note = note.unwrap_or(rule.note);
            rule.pattern.check().map_err(invalid)?;
            if let Some(note) = &rule.note {
                Rule::check_note(note).map_err(invalid)?;
            }
            rule.updated_at = unit.now;
            let rule = rule.reworded();
            let act = act(unit.now, by, "rule.changed", &rule, Some(&before));
            unit.write(Write::SaveRule(Box::new(rule.clone())));
            unit.write(Write::Audit(act));
            live.put_rule(rule);
            Ok::<_, Error>(reconsider(live, unit, places))
        })
        .await?;
    settle(app, &decided);
    Ok((get(app, id).await?, decided))
}

/// Removes a rule. What it has decided stays decided.
pub async fn remove(app: &App, id: RuleId, by: DecidedBy) -> Result<(), Error> {
    app.engine
        .run(move |live, unit| {
            let rule = live.remove_rule(id).ok_or_else(|| unknown(id))?;
            unit.write(Write::DeleteRule(id));
            unit.write(Write::Audit(act(unit.now, by, "rule.removed", &rule, None)));
            Ok(())
        })
        .await
}

/// What the audit log has to hold of a rule's making, change or end.
pub(super) fn act(
    at: Timestamp,
    by: impl Into<Actor>,
    action: &'static str,
    rule: &Rule,
    before: Option<&str>,
) -> Act {
    let words = RuleMatch::of(rule).words;
    let mut data = json!({ "rule": words, "note": rule.note, "project_id": rule.project_id });
    if let Some(before) = before {
        data["before"] = json!(before);
    }
    let act = Act::new(at, by.into(), action, data).subject(rule.id);
    match rule.session_id {
        Some(session) => act.session(session),
        None => act,
    }
}

/// Sees to it that what a rule has decided is obeyed, as with any decision.
fn settle(app: &Arc<App>, decided: &[PermissionRequest]) {
    for request in decided {
        super::keyboard::stand_in(app, request.id);
    }
}

/// Where the files are now that pending requests are about.
async fn where_pending(app: &App) -> Result<HashMap<PermissionId, Place>, Error> {
    let pending = app
        .engine
        .read(|live| {
            let undecided = live.open.values().filter(|o| o.decision.is_none());
            undecided.map(|o| o.request.clone()).collect::<Vec<_>>()
        })
        .await?;
    let mut found = HashMap::new();
    for r in pending {
        if let Some(place) = places::of(app, r.session_id, &r.tool, &r.input).await? {
            found.insert(r.id, place);
        }
    }
    Ok(found)
}

// --- what a rule would do ---

/// What a rule would have done with past requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The rule in words.
    pub words: String,
    /// Requests that were looked at, the last ones.
    pub considered: usize,
    /// Those that it matches.
    pub matched: usize,
    /// Those that would have ended otherwise, with all other rules as they are now.
    pub would_change: usize,
    /// Some that it matches, those that would have ended otherwise first.
    pub examples: Vec<Example>,
}

/// A request that a rule matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Example {
    /// The request.
    pub id: PermissionId,
    /// Its session.
    pub session_id: SessionId,
    /// What it would have done.
    pub summary: String,
    /// How it was decided, if it was.
    pub was: Option<Verdict>,
    /// By whom.
    pub decided_by: Option<DecidedBy>,
    /// What the rules would do with it.
    pub would: RuleAction,
    /// Whether that is something else.
    pub changes: bool,
}

/// Examples that are shown.
const EXAMPLES: usize = 20;

/// Tries a rule on the last requests, as the record holds them: scrubbed, their files as they are
/// now.
pub async fn preview(app: &App, new: New, last: u32) -> Result<Preview, Error> {
    let rule = draft(app, new, DecidedBy::Api).await?;
    let requests = permissions::list(app, None, None, None, last).await?.items;
    let sessions = store::permissions::places(&app.db, last).await?;
    let (rules, roots) = app
        .engine
        .read(|live| {
            let roots: HashMap<_, _> = live.projects().map(|p| (p.id, p.root.clone())).collect();
            (live.rules().to_vec(), roots)
        })
        .await?;
    let sessions: HashMap<_, _> =
        sessions.into_iter().map(|(id, project, workspace)| (id, (project, workspace))).collect();
    let tried = move || try_on(&rule, &rules, &requests, &sessions, &roots);
    // Files are looked up.
    let tried = tokio::task::spawn_blocking(tried).await;
    tried.map_err(|e| Error::Unavailable { problem: format!("the preview broke off: {e}") })
}

fn try_on(
    rule: &Rule,
    rules: &[Rule],
    requests: &[PermissionRequest],
    sessions: &HashMap<SessionId, (ProjectId, String)>,
    roots: &HashMap<ProjectId, String>,
) -> Preview {
    let mut preview =
        Preview { words: rule.words.clone(), considered: requests.len(), ..Preview::default() };
    for r in requests {
        let around = sessions.get(&r.session_id);
        let root = around.and_then(|(project, _)| roots.get(project));
        let place = around
            .zip(root)
            .zip(rule::file(&r.tool, &r.input))
            .map(|(((_, workspace), root), path)| places::look_up(root.clone(), workspace, path));
        let call = Call {
            tool: &r.tool,
            input: &r.input,
            session: r.session_id,
            project: around.map(|(project, _)| *project),
            place: place.as_ref(),
        };
        if !rule.matches(&call) {
            continue;
        }
        preview.matched += 1;
        let would =
            rule::deciding(rules.iter().chain([rule]), &call).map_or(rule.action, |r| r.action);
        let by_rule = r.decided_by == Some(DecidedBy::Rule);
        let changes = match would {
            RuleAction::Allow => r.verdict != Some(Verdict::Allow),
            RuleAction::Deny => r.verdict != Some(Verdict::Deny),
            RuleAction::Ask => by_rule,
        };
        preview.would_change += usize::from(changes);
        preview.examples.push(Example {
            id: r.id,
            session_id: r.session_id,
            summary: r.summary.clone(),
            was: r.verdict,
            decided_by: r.decided_by,
            would,
            changes,
        });
    }
    preview.examples.sort_by_key(|e| !e.changes);
    preview.examples.truncate(EXAMPLES);
    preview
}

/// The rules that "always allow" could mean for a request, the narrowest first, with its project.
pub async fn proposals(
    app: &App,
    id: PermissionId,
) -> Result<(Vec<Pattern>, Option<ProjectId>), Error> {
    let request = permissions::get(app, id).await?;
    let place = places::of(app, request.session_id, &request.tool, &request.input).await?;
    let session = super::sessions::by_id(app, request.session_id).await.ok();
    let proposals = rule::proposals(&request.tool, &request.input, place.as_ref());
    Ok((proposals, session.map(|s| s.project_id)))
}
