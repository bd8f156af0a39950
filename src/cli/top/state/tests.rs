//! The model of `chorus top`, without a terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::{Action, Confirm, Link, Mode, Model, News, Pane, Snapshot, Subject};
use crate::api::permissions::Answer;
use crate::cli::client::StreamEvent;
use crate::cli::top::draw::tests::{request, session};
use crate::domain::ids::{PermissionId, SessionId};
use crate::domain::permission::{PermissionRequest, Verdict};
use crate::domain::time::Timestamp;

/// A model in a terminal that draws after everything that is heard or pressed, as the real one does.
struct Top {
    model: Model,
    now: i64,
}

impl Top {
    /// Two sessions, `a` and `b`, which ask for this one after another.
    fn with(requests: &[PermissionRequest]) -> Self {
        let sessions = vec![session(1, "a", "waiting"), session(2, "b", "busy")];
        let all = Snapshot { sessions, requests: requests.to_vec(), ..Snapshot::default() };
        let mut top = Self { model: Model::new(String::new()), now: 100_000 };
        top.hear(News::Snapshot(Box::new(all)));
        top.now += 10_000;
        top
    }

    fn hear(&mut self, news: News) -> Vec<Action> {
        let actions = self.model.hear(news, Timestamp(self.now));
        self.draw();
        actions
    }

    fn event(&mut self, kind: &str, data: &Value) -> Vec<Action> {
        let event = StreamEvent { id: Some(1), kind: kind.into(), data: data.to_string() };
        self.hear(News::Event(event))
    }

    fn draw(&mut self) {
        let drawn = crate::cli::top::draw::tests::drawn(&self.model, self.now);
        self.model.drawn(drawn);
    }

    fn key(&mut self, code: KeyCode) -> Vec<Action> {
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        let actions = self.model.press(key, Timestamp(self.now));
        self.draw();
        actions
    }

    fn keys(&mut self, text: &str) -> Vec<Action> {
        text.chars().flat_map(|c| self.key(KeyCode::Char(c))).collect()
    }

    fn under_the_cursor(&self) -> Option<PermissionId> {
        self.model.chosen_request().map(|r| r.id)
    }
}

fn settled(r: &PermissionRequest, by: &str) -> Value {
    let mut data = json!(r);
    data["status"] = json!("decided");
    data["verdict"] = json!("allow");
    data["decided_by"] = json!(by);
    data
}

fn allow(r: &PermissionRequest) -> Vec<Action> {
    vec![Action::Decide(r.id, Answer::plain(Verdict::Allow))]
}

#[test]
fn a_key_decides_what_is_under_the_cursor_once() {
    let (one, two) = (request(1, 1, "make"), request(2, 2, "make deploy"));
    let mut top = Top::with(&[two.clone(), one.clone()]);
    assert_eq!(top.under_the_cursor(), Some(one.id), "who has waited longest comes first");
    assert_eq!(top.keys("j"), []);
    assert_eq!(top.keys("a"), allow(&two));
    assert_eq!(top.keys("a"), [], "the first decision is on its way");
    top.event("permission_resolved", &settled(&two, "cli"));
    assert_eq!(top.under_the_cursor(), Some(one.id));
    top.now += 1_000;
    let deny = Action::Decide(one.id, Answer::plain(Verdict::Deny));
    assert_eq!(top.keys("d"), [deny]);
    // It was refused: it may be decided again.
    top.hear(News::NotDecided(one.id, "no".into()));
    assert_eq!(top.keys("a"), allow(&one));
}

#[test]
fn a_decision_right_after_the_list_has_changed_is_confirmed() {
    let (one, two) = (request(1, 1, "make"), request(2, 2, "rm -rf /"));
    let mut top = Top::with(&[one.clone(), two.clone()]);
    top.event("permission_resolved", &settled(&one, "dashboard"));
    top.now += 100;
    assert_eq!(top.keys("a"), [], "the key may have been meant for the one that is gone");
    assert_eq!(top.model.mode, Mode::Confirm(Confirm::Decide(two.id, Verdict::Allow)));
    assert_eq!(top.keys("d"), [], "anything else is no");
    assert_eq!(top.model.mode, Mode::Browse);
    assert_eq!(top.keys("a"), []);
    assert_eq!(top.key(KeyCode::Enter), allow(&two));
    top.now += 1_000;
    let three = request(3, 1, "make test");
    top.event("permission_request", &json!(three));
    assert_eq!(top.keys("j"), []);
    assert_eq!(top.keys("aaaa"), [], "a key that is held down says yes once");
    top.now += 300;
    assert_eq!(top.keys("a"), allow(&three));
}

#[test]
fn what_slid_under_the_cursor_before_it_was_drawn_is_not_decided() {
    let (one, two) = (request(1, 1, "make"), request(2, 2, "rm -rf /"));
    let mut top = Top::with(&[one.clone(), two.clone()]);
    let gone = StreamEvent {
        id: Some(1),
        kind: "permission_resolved".into(),
        data: settled(&one, "terminal").to_string(),
    };
    // Heard, but not drawn yet when the key comes.
    top.model.hear(News::Event(gone), Timestamp(top.now));
    assert_eq!(top.under_the_cursor(), Some(two.id));
    assert_eq!(top.keys("a"), []);
    let notice = top.model.notice.as_ref().expect("a word about it");
    assert!(notice.text.contains("no longer waits"), "{notice:?}");
    assert_eq!(top.model.mode, Mode::Browse);
}

#[test]
fn a_request_that_is_settled_meanwhile_ends_what_was_being_said_about_it() {
    let (one, two) = (request(1, 1, "make"), request(2, 2, "ls"));
    let mut top = Top::with(&[one.clone(), two.clone()]);
    top.keys("Duse npm");
    top.event("permission_resolved", &settled(&one, "dashboard"));
    assert_eq!(top.model.mode, Mode::Browse);
    assert!(top.model.notice.as_ref().is_some_and(|n| n.text.contains("somebody else")));
    assert_eq!(top.key(KeyCode::Enter), [Action::Attach(SessionId(two.session_id.0))]);
}

#[test]
fn a_denial_carries_what_is_typed_and_pasted() {
    let one = request(1, 1, "make");
    let mut top = Top::with(std::slice::from_ref(&one));
    top.keys("Duse ");
    top.model.paste("npm\u{1b}[31m\rplease");
    let answer =
        Answer { message: Some("use npm[31m\nplease".into()), ..Answer::plain(Verdict::Deny) };
    assert_eq!(top.key(KeyCode::Enter), [Action::Decide(one.id, answer)]);
}

#[test]
fn questions_are_answered_one_after_another() {
    let mut asked = request(1, 1, "");
    asked.tool = "AskUserQuestion".into();
    asked.input = json!({"questions": [
        {"question": "Which colour?", "options": [{"label": "Red"}, {"label": "Blue"}]},
        {"question": "Which sizes?", "multiSelect": true, "options": [{"label": "S"}, {"label": "M"}, {"label": "L"}]},
        {"question": "Which name?", "options": [{"label": "x"}]},
    ]});
    let mut top = Top::with(std::slice::from_ref(&asked));
    assert_eq!(top.keys("a"), [], "a question is not just approved");
    top.keys("2");
    top.key(KeyCode::Enter);
    top.keys(" 3");
    top.key(KeyCode::Enter);
    top.keys("tmine");
    let actions = top.key(KeyCode::Enter);
    let answers =
        json!({"Which colour?": ["Blue"], "Which sizes?": ["S", "L"], "Which name?": "mine"});
    let [Action::Decide(id, answer)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((*id, answer.decision), (asked.id, Verdict::Allow));
    assert_eq!(answer.answers.clone().map(Value::Object), Some(answers));
}

#[test]
fn a_prompt_is_followed_until_it_has_arrived_and_kept_if_it_has_not() {
    let mut top = Top::with(&[]);
    assert_eq!(top.model.focus(), Pane::Sessions);
    top.keys("jsgo on");
    let b = SessionId(uuid::Uuid::from_u128(2));
    let sent = top.key(KeyCode::Enter);
    assert_eq!(sent, [Action::Send { session: b, text: "go on".into(), queue: true }]);
    let mut message = json!({
        "id": uuid::Uuid::from_u128(9), "session_id": b, "conversation_id": null, "direction": "user",
        "content": "go on", "source": "cli", "delivery_status": "undelivered",
        "delivery_error": "a dialog is open", "agent_id": null, "timestamp": "2026-01-01T00:00:00Z",
    });
    // The event may come before the answer that names the message.
    top.event("message", &message);
    message["delivery_status"] = json!("sending");
    let message = serde_json::from_value(message).expect("a message");
    top.hear(News::Sent(Box::new(message), "go on".into()));
    let notice = top.model.notice.clone().expect("a word about it");
    assert!(notice.bad && notice.text.contains("a dialog is open"), "{notice:?}");
    top.keys("s");
    assert!(matches!(&top.model.mode, Mode::Prompt(_, line) if line.text() == "go on"));
}

#[test]
fn sessions_are_followed_by_events_and_loaded_where_they_are_new() {
    let mut top = Top::with(&[]);
    let moved = |id: u128, new: &str| {
        json!({
            "session_id": uuid::Uuid::from_u128(id), "old": "busy", "new": new, "detail": {"tool": "Bash"},
            "evidence": {"source": "hook", "what": "x", "at": "2026-01-01T00:00:00Z"},
            "unsure": true, "permission_prompt": null, "restarts": 0,
        })
    };
    assert_eq!(top.event("claude_status", &moved(2, "idle")), []);
    let b = SessionId(uuid::Uuid::from_u128(2));
    let row = top.model.row(b).expect("b");
    assert_eq!((row.view.claude_status.as_str(), row.view.unsure), ("idle", true));
    let c = SessionId(uuid::Uuid::from_u128(3));
    assert_eq!(top.event("claude_status", &moved(3, "busy")), [Action::Load(c)]);
    top.hear(News::Session(Box::new(session(3, "c", "busy"))));
    assert_eq!(top.model.sessions().len(), 3);
    top.event("session_status", &json!({"session_id": c, "new_status": "completed"}));
    top.event("claude_status", &moved(3, "stopped"));
    assert_eq!(top.model.sessions().len(), 2, "one that was ended on purpose is no news");
    // What is being read goes on growing.
    assert_eq!(top.keys("l"), [Action::Story(SessionId(uuid::Uuid::from_u128(1)))]);
    assert!(matches!(&top.model.mode, Mode::Read(r) if matches!(r.what, Subject::Story(_))));
    let said =
        json!({"session_id": uuid::Uuid::from_u128(1), "content": "hi", "direction": "assistant"});
    let a = SessionId(uuid::Uuid::from_u128(1));
    assert_eq!(top.event("message", &said), [], "it is being read already");
    assert_eq!(top.hear(News::Story(a, "so far".into())), [Action::Story(a)]);
    assert_eq!(top.hear(News::Story(a, "all".into())), []);
    assert!(matches!(&top.model.mode, Mode::Read(r) if r.text.as_deref() == Some("all")));
    assert_eq!(top.event("message", &said), [Action::Story(a)]);
    for garbage in ["message", "claude_status", "permission_request", "tool_use", "new_kind"] {
        assert_eq!(top.event(garbage, &json!({"session_id": 7, "content": []})), [], "{garbage}");
    }
}

#[test]
fn an_interruption_is_confirmed_and_a_filter_narrows_both_lists() {
    let (one, two) = (request(1, 1, "make"), request(2, 2, "ls"));
    let mut top = Top::with(&[one, two.clone()]);
    assert_eq!(top.keys("iq"), [], "anything else is no");
    let a = SessionId(uuid::Uuid::from_u128(1));
    assert_eq!(top.keys("i"), []);
    top.now += 300;
    assert_eq!(top.keys("i"), [Action::Interrupt(a)]);
    top.keys("/LS");
    top.key(KeyCode::Enter);
    assert_eq!(top.under_the_cursor(), Some(two.id));
    assert_eq!(top.model.inbox().len(), 1);
    assert_eq!(top.keys("a"), [], "the list has just changed");
    top.key(KeyCode::Esc);
    top.key(KeyCode::Esc);
    assert_eq!((top.model.inbox().len(), top.keys("q")), (2, vec![Action::Quit]));
}

#[test]
fn the_sessions_list_leads_to_the_request_before_it_is_decided() {
    let one = request(1, 1, "make");
    let mut top = Top::with(std::slice::from_ref(&one));
    top.key(KeyCode::Tab);
    assert_eq!(top.model.focus(), Pane::Sessions);
    assert_eq!(top.keys("a"), [], "it is not shown whole there");
    assert_eq!(top.model.focus(), Pane::Inbox);
    assert_eq!(top.keys("a"), allow(&one));
}

#[test]
fn while_the_server_is_away_that_is_said_from_the_first_failure_on() {
    let mut top = Top::with(&[]);
    top.hear(News::Offline("gone".into()));
    let since = top.now;
    top.now += 5_000;
    top.hear(News::Offline("still gone".into()));
    assert_eq!(top.model.link, Link::Offline { since: Timestamp(since), why: "gone".into() });
    top.hear(News::Online);
    assert_eq!(top.model.link, Link::Live);
}
