//! Permission requests: what becomes of them in memory, store, event log and audit log.

use std::collections::HashMap;

use serde_json::json;

use super::{Intake, Live, Observation, Unit};
use crate::domain::audit::{Act, Actor};
use crate::domain::event::EventKind;
use crate::domain::ids::PermissionId;
use crate::domain::observation::Fact;
use crate::domain::permission::{
    self, DecidedBy, Decision, PermissionRequest, PermissionStatus, QUESTION, Verdict,
};
use crate::domain::rule::{self, Place, RuleMatch};
use crate::domain::scrub::{scrub, scrub_json};
use crate::domain::session::Source;
use crate::domain::task::Heard;
use crate::domain::time::Timestamp;
use crate::services::engine::Effect;
use crate::services::live::Open;
use crate::store::{SettledPermission, Write};

/// Looks at all requests that nobody has decided once more, as the rules have changed. `places` says
/// where their files are now. Tells which requests were decided.
pub fn reconsider(
    live: &mut Live,
    unit: &mut Unit,
    mut places: HashMap<PermissionId, Place>,
) -> Vec<PermissionRequest> {
    let undecided = live.open.values().filter(|open| open.decision.is_none());
    let pending: Vec<_> = undecided.map(|o| (o.request.id, o.request.session_id)).collect();
    let mut decided = Vec::new();
    for (id, session) in pending {
        let Some(before) = live.session(session).map(|s| s.state.clone()) else { continue };
        if let Some(open) = live.open.get_mut(&id) {
            open.place = places.remove(&id).or(open.place.take());
        }
        let now = unit.now;
        let mut intake = Intake { live, unit, id: session, heard: Heard::default() };
        intake.apply_rules(id, now);
        intake.close(&before);
        let open = live.open.get(&id).filter(|open| open.decision.is_some());
        decided.extend(open.map(|open| open.request.clone()));
    }
    decided
}

/// Settles the requests that no session in memory follows: nobody will tell what became of them.
pub fn settle_forgotten(live: &mut Live, unit: &mut Unit) {
    let followed = |r: &PermissionRequest| {
        let session = live.session(r.session_id);
        session.is_some_and(|s| s.state.open.iter().any(|open| open.id == r.id))
    };
    let requests = live.open.values().map(|open| &open.request);
    let forgotten: Vec<_> =
        requests.filter(|r| !followed(r)).map(|r| (r.id, r.session_id)).collect();
    for (id, session) in forgotten {
        let now = unit.now;
        let mut intake = Intake { live, unit, id: session, heard: Heard::default() };
        intake.permission(id, PermissionStatus::Cancelled, None, None, now);
    }
}

impl Intake<'_> {
    /// Puts a new request into memory and store.
    pub(super) fn remember(&mut self, request: PermissionRequest, place: Option<Place>) {
        self.unit.write(Write::AddPermission(Box::new(request.clone())));
        self.permission_event(EventKind::PermissionRequest, &request);
        self.live.open.insert(request.id, Open { request, decision: None, place });
    }

    /// Decides a request that nobody has decided by the rules, or notes the one that leaves it to
    /// people.
    pub(super) fn apply_rules(&mut self, id: PermissionId, at: Timestamp) {
        let Some(open) = self.live.open.get(&id).filter(|open| open.decision.is_none()) else {
            return;
        };
        let project = self.live.session(self.id).map(|s| s.project_id);
        let Some(rule) = rule::deciding(self.live.rules(), &open.call(project)) else { return };
        let mut rule = rule.clone();
        if open.request.rule_id == Some(rule.id) {
            // It has left this to people before.
            return;
        }
        let decision = Decision::by(&rule);
        let noted = RuleMatch::of(&rule);
        let rule_id = rule.id;
        rule.hits += 1;
        rule.last_hit_at = Some(at);
        self.live.put_rule(rule);
        self.unit.write(Write::RuleHit { id: rule_id, at });
        match decision {
            Some(decision) => {
                let fact = Fact::PermissionDecided { id, decision, by: DecidedBy::Rule };
                self.reduce(&Observation {
                    at,
                    source: Source::Chorus,
                    generation: None,
                    conversation: None,
                    fact,
                });
            }
            None => self.left_to_people(id, noted, at),
        }
    }

    fn left_to_people(&mut self, id: PermissionId, rule: RuleMatch, at: Timestamp) {
        let Some(open) = self.live.open.get_mut(&id) else { return };
        let request = &mut open.request;
        let act = act(
            Actor::rule(rule.id),
            "permission.left_to_people",
            request,
            at,
            json!({ "rule": rule.words }),
        );
        request.rule_id = Some(rule.id);
        request.rule = Some(rule.words);
        request.updated_at = at;
        let request = request.clone();
        self.unit.write(Write::Audit(act));
        self.unit.write(Write::SavePermission(Box::new(SettledPermission {
            request,
            interrupts: false,
        })));
    }

    pub(super) fn permission(
        &mut self,
        id: PermissionId,
        status: PermissionStatus,
        decided: Option<(Option<Verdict>, DecidedBy)>,
        decision: Option<Decision>,
        at: Timestamp,
    ) {
        let Some(open) = self.live.open.get_mut(&id) else { return };
        let request = &mut open.request;
        request.status = status;
        request.updated_at = at;
        if let Some((verdict, by)) = decided {
            request.verdict = verdict;
            request.decided_by = Some(by);
            request.decided_at = Some(at);
        }
        if let Some(decision) = decision {
            request.message.clone_from(&decision.message);
            request.updated_input.clone_from(&decision.updated_input);
            if let Some(rule) = decision.rule.clone() {
                request.rule_id = Some(rule.id);
                request.rule = Some(rule.words);
            }
            open.decision = Some(decision.clone());
            self.unit.then(Effect::Answer(id, decision));
        }
        let done = recorded(open, decided, at);
        let request = &mut open.request;
        if !status.is_open() {
            // Nobody needs the exact input any more.
            scrub_json(&mut request.input);
            request.updated_input.iter_mut().for_each(scrub_json);
            request.summary = permission::summarise(&request.tool, &request.input);
            request.message = request.message.take().map(|m| scrub(&m).into_owned());
            self.unit.then(Effect::Release(id));
        }
        let interrupts = open.decision.as_ref().is_some_and(|d| d.interrupt);
        let request = request.clone();
        if let Some(act) = done {
            self.unit.write(Write::Audit(act));
        }
        self.permission_event(EventKind::PermissionResolved, &request);
        if !status.is_open() {
            self.live.open.remove(&id);
        }
        self.unit.write(Write::SavePermission(Box::new(SettledPermission { request, interrupts })));
    }

    /// The log of events is kept, so what it holds is scrubbed; the exact input is at the request.
    fn permission_event(&mut self, kind: EventKind, request: &PermissionRequest) {
        let mut shown = request.clone();
        scrub_json(&mut shown.input);
        shown.updated_input.iter_mut().for_each(scrub_json);
        shown.summary = permission::summarise(&shown.tool, &shown.input);
        shown.session_rule = None;
        let mut data = json!(shown);
        data["session_name"] = json!(self.name());
        self.unit.event(kind, self.id, request.updated_at, &data);
    }
}

/// What the audit log has to hold of a request's move.
fn recorded(
    open: &Open,
    decided: Option<(Option<Verdict>, DecidedBy)>,
    at: Timestamp,
) -> Option<Act> {
    let request = &open.request;
    let Some((verdict, by)) = decided else {
        return (request.status == PermissionStatus::Expired)
            .then(|| act(Actor::chorus(), "permission.expired", request, at, json!({})));
    };
    let actor = match (by, request.rule_id) {
        (DecidedBy::Rule, Some(rule)) => Actor::rule(rule),
        _ => Actor::from(by),
    };
    let mut data = json!({ "verdict": verdict });
    if let (Some(decision), true) = (&open.decision, by != DecidedBy::Terminal) {
        data["message"] = json!(decision.message);
        data["interrupt"] = json!(decision.interrupt);
        data["for_session"] = json!(decision.for_session);
        data["rule"] = json!(decision.rule.as_ref().map(|rule| &rule.words));
        if let Some(updated) = &decision.updated_input {
            if request.tool == QUESTION {
                data["answers"] = updated.get("answers").cloned().unwrap_or_default();
            } else {
                data["ran_instead"] = json!(permission::summarise(&request.tool, updated));
            }
        }
    }
    Some(act(actor, "permission.decided", request, at, data))
}

fn act(
    actor: Actor,
    action: &'static str,
    request: &PermissionRequest,
    at: Timestamp,
    mut data: serde_json::Value,
) -> Act {
    data["tool"] = json!(request.tool);
    data["summary"] = json!(request.summary);
    Act::new(at, actor, action, data).session(request.session_id).subject(request.id)
}
