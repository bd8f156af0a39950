use serde_json::json;

use super::{About, Activity, Moment, News, Notice, NoticeKind, QuietHours, Rules, Watch, notice};
use crate::domain::ids::{PermissionId, ProjectId, SessionId};
use crate::domain::permission::{PermissionRequest, PermissionStatus, summarise};
use crate::domain::session::{
    ClaudeStatus, Detail, Launch, Limit, Runtime, Session, SessionName, SessionState, Status,
};
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn rules() -> Rules {
    Rules {
        kinds: NoticeKind::ALL.to_vec(),
        finished_after_ms: 30_000,
        quiet_hours: QuietHours::default(),
        quiet_permissions: false,
    }
}

fn session(status: ClaudeStatus) -> Session {
    let mut state = SessionState::new(NOW);
    (state.claude_status, state.started) = (status, true);
    Session {
        id: SessionId::new(),
        project_id: ProjectId::new(),
        name: SessionName::new("fix").expect("a name"),
        tmux_session: "claude-fix".into(),
        runtime: Runtime::Tmux,
        workspace_path: "/w".into(),
        task_id: None,
        launch: Launch::default(),
        metadata: serde_json::Map::new(),
        claude_version: None,
        state,
        hidden: false,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn request(session: &Session, tool: &str, input: serde_json::Value) -> PermissionRequest {
    PermissionRequest {
        id: PermissionId::new(),
        session_id: session.id,
        conversation_id: None,
        tool: tool.into(),
        summary: summarise(tool, &input),
        input,
        tool_use_id: None,
        agent_type: None,
        session_rule: None,
        status: PermissionStatus::Pending,
        verdict: None,
        message: None,
        updated_input: None,
        decided_by: None,
        rule_id: None,
        rule: None,
        requested_at: NOW,
        decided_at: None,
        updated_at: NOW,
    }
}

fn tell(
    news: &News,
    session: &Session,
    pending: &[PermissionRequest],
    rules: &Rules,
    minute: u16,
) -> Option<Notice> {
    let pending: Vec<_> = pending.iter().collect();
    let about = About { session, project: "shop", pending: &pending, url: "http://h/" };
    notice(news, &about, rules, Moment { now: NOW, minute })
}

fn now(news: &News, session: &Session, pending: &[PermissionRequest]) -> Option<Notice> {
    tell(news, session, pending, &rules(), 0)
}

fn activity(old: ClaudeStatus, new: ClaudeStatus, detail: Detail, at: i64) -> Activity {
    Activity { old, new, detail, at: Timestamp(at) }
}

#[test]
fn a_request_tells_what_exactly_where_and_how_to_get_there() {
    let s = session(ClaudeStatus::Waiting);
    let r = request(&s, "Bash", json!({"command": "curl -H 'x-api-key: sk-ant-abcdefghijklm' x"}));
    let told = now(&News::asked(7, r.id), &s, std::slice::from_ref(&r)).expect("a notice");
    assert_eq!((told.kind, told.event_id, told.count), (NoticeKind::Permission, 7, 1));
    assert_eq!(told.title, "fix asks for a permission");
    assert!(told.body.starts_with("Bash: curl -H"), "{}", told.body);
    assert!(!told.body.contains("abcdefghijklm"), "secrets stay here: {}", told.body);
    assert!(!told.requests[0].summary.contains("abcdefghijklm"));
    assert_eq!(
        (told.project.as_str(), told.attach.as_deref()),
        ("shop", Some("chorus attach fix"))
    );
    assert_eq!(told.url, format!("http://h/#session-{}", s.id));

    let plan = request(&s, "ExitPlanMode", json!({"plan": "# Plan\n1. go"}));
    let told = now(&News::asked(1, plan.id), &s, &[plan]).expect("a notice");
    assert_eq!(
        (told.title.as_str(), told.body.as_str()),
        ("fix has a plan to approve", "# Plan\n1. go")
    );
    let ask = json!({"questions": [{"question": "Which colour?", "header": "C", "multiSelect": false,
        "options": [{"label": "Blue", "description": "b"}, {"label": "Red", "description": "r"}]}]});
    let question = request(&s, "AskUserQuestion", ask);
    let told = now(&News::asked(1, question.id), &s, &[question]).expect("a notice");
    assert_eq!(told.title, "fix has a question");
    assert!(told.body.contains("Which colour?") && told.body.contains("Blue"), "{}", told.body);
}

#[test]
fn many_requests_are_one_notice_and_settled_ones_are_none() {
    let s = session(ClaudeStatus::Waiting);
    let all: Vec<_> =
        (0..10).map(|n| request(&s, "Bash", json!({ "command": format!("make {n}") }))).collect();
    let mut news = News::default();
    all.iter().for_each(|r| news.add(News::asked(1, r.id)));
    let told = now(&news, &s, &all).expect("a notice");
    assert_eq!((told.count, told.requests.len()), (10, 5));
    assert_eq!(told.title, "fix asks for 10 permissions");
    assert!(told.body.contains("Bash: make 0\n") && told.body.ends_with("… and 5 more"));
    assert_eq!(now(&news, &s, &all[..1]).expect("a notice").title, "fix asks for a permission");
    assert_eq!(now(&news, &session(ClaudeStatus::Busy), &[]), None, "all of them are settled");
    let other = News::asked(2, PermissionId::new());
    assert_eq!(now(&other, &s, &all), None, "those that are open were told of before");
}

#[test]
fn texts_are_bounded() {
    let s = session(ClaudeStatus::Waiting);
    let r = request(&s, "Bash", json!({ "command": "é".repeat(100_000) }));
    let told = now(&News::asked(1, r.id), &s, &[r]).expect("a notice");
    assert_eq!(told.body.chars().count(), 1_001);
    let mut news = News::default();
    (0..5_000).for_each(|n| news.add(News::asked(n, PermissionId::new())));
    assert_eq!(news.asked.len(), 1_000);
}

#[test]
fn the_end_of_a_long_turn_is_told_of_a_short_one_is_not() {
    use ClaudeStatus::{Busy, Idle, Starting, Waiting};
    let s = session(Idle);
    let turn = |ms: i64| {
        let mut watch = Watch::default();
        let hear =
            |w: &mut Watch, old, new, at| w.hear(at, activity(old, new, Detail::default(), at));
        assert!(hear(&mut watch, Starting, Idle, 0).is_empty(), "a start is no turn");
        assert!(hear(&mut watch, Idle, Busy, 10).is_empty());
        assert!(hear(&mut watch, Busy, Busy, 20).is_empty());
        hear(&mut watch, Busy, Waiting, 30);
        assert!(hear(&mut watch, Waiting, Busy, 40).is_empty());
        hear(&mut watch, Busy, Idle, 10 + ms)
    };
    assert_eq!(now(&turn(29_999), &s, &[]), None);
    let told = now(&turn(180_000), &s, &[]).expect("a notice");
    assert_eq!((told.kind, told.body.as_str()), (NoticeKind::Finished, "The turn took 3 min."));
    assert_eq!(now(&turn(180_000), &session(Busy), &[]), None, "it goes on already");
    let mut interrupted = session(Idle);
    interrupted.state.evidence.what = "interrupted".into();
    assert_eq!(now(&turn(180_000), &interrupted, &[]), None, "somebody is there");
    // One that began before anybody listened.
    let mut watch = Watch::of(&session(Busy).state);
    let news = watch.hear(9, activity(Busy, Idle, Detail::default(), 5));
    let told = now(&news, &s, &[]).expect("a notice");
    assert_eq!((told.kind, told.body.as_str()), (NoticeKind::Finished, ""));
}

#[test]
fn failures_are_told_once_with_what_to_do() {
    use ClaudeStatus::{Busy, Idle, Starting, Stopped, Waiting};
    let detail = |error: &str| Detail {
        error: Some(error.into()),
        remedy: Some("do this".into()),
        ..Detail::default()
    };
    let mut watch = Watch::default();
    let news = watch.hear(3, activity(Busy, Stopped, detail("killed"), 1));
    let mut s = session(Stopped);
    (s.state.status, s.state.detail) = (Status::Error, detail("killed"));
    let told = now(&news, &s, &[]).expect("a notice");
    assert_eq!((told.kind, told.title.as_str()), (NoticeKind::Error, "fix does not run"));
    assert_eq!(told.body, "killed\ndo this");
    assert_eq!(now(&news, &session(Starting), &[]), None, "it was started again");
    assert!(watch.hear(4, activity(Stopped, Stopped, detail("killed"), 2)).is_empty());

    let news = Watch::default().hear(3, activity(Busy, Idle, detail("overloaded: x"), 1));
    let mut s = session(Idle);
    s.state.detail = detail("overloaded: x");
    assert_eq!(now(&news, &s, &[]).expect("a notice").title, "fix ran into an error");

    let waits = Detail { waiting_for: Some("the trust dialog".into()), ..Detail::default() };
    let mut watch = Watch::default();
    let news = watch.hear(3, activity(Starting, Waiting, waits.clone(), 1));
    let mut s = session(Waiting);
    (s.state.started, s.state.detail) = (false, waits.clone());
    let told = now(&news, &s, &[]).expect("a notice");
    assert_eq!((told.kind, told.title.as_str()), (NoticeKind::Error, "fix cannot start"));
    assert!(watch.hear(4, activity(Waiting, Waiting, waits.clone(), 2)).is_empty());
    // The same in the middle of a conversation is a question that no hook asks.
    s.state.started = true;
    let told = now(&news, &s, &[]).expect("a notice");
    assert_eq!(told.title, "fix waits for an answer in its terminal");
    s.runtime = Runtime::External;
    assert_eq!(now(&news, &s, &[]), None, "somebody sits there, and other servers see it too");
}

#[test]
fn a_limit_and_silence_are_told_when_they_begin() {
    use ClaudeStatus::{Busy, Idle};
    let error = Detail { error: Some("rate_limit: x".into()), ..Detail::default() };
    let news = Watch::default().hear(3, activity(Busy, Idle, error.clone(), 1));
    let mut s = session(Idle);
    s.state.detail = error;
    let until = Some(NOW.plus_ms(7_200_000));
    s.state.limit = Some(Limit { since: NOW, until, tries: 1, over: false });
    let told = now(&news, &s, &[]).expect("a notice");
    assert_eq!((told.kind, told.title.as_str()), (NoticeKind::Limit, "fix has met a usage limit"));
    assert_eq!(told.body, "It ends in 2 h; the session goes on by itself.");
    s.state.limit = Some(Limit { since: NOW, until, tries: 2, over: false });
    assert_eq!(now(&news, &s, &[]), None);

    let silent = Detail { quiet_since: Some(NOW.plus_ms(-600_000)), ..Detail::default() };
    let mut watch = Watch::default();
    let news = watch.hear(3, activity(Busy, Busy, silent.clone(), 1));
    let mut s = session(Busy);
    assert_eq!(now(&news, &s, &[]), None, "it was heard of again");
    s.state.detail = silent.clone();
    let told = now(&news, &s, &[]).expect("a notice");
    assert_eq!((told.kind, told.title.as_str()), (NoticeKind::Quiet, "fix has gone quiet"));
    assert!(watch.hear(4, activity(Busy, Busy, silent, 2)).is_empty());
}

#[test]
fn switches_and_quiet_hours_hold() {
    let s = session(ClaudeStatus::Waiting);
    let r = [request(&s, "Bash", json!({"command": "make"}))];
    let news = News::asked(1, r[0].id);
    let mut rules = rules();
    rules.quiet_hours = QuietHours::try_from("22:00-07:00".to_owned()).expect("hours");
    let told = |rules: &Rules, minute| tell(&news, &s, &r, rules, minute).is_some();
    assert!(told(&rules, 12 * 60));
    assert!(!told(&rules, 23 * 60) && !told(&rules, 0) && !told(&rules, 6 * 60 + 59));
    rules.quiet_permissions = true;
    assert!(told(&rules, 23 * 60));
    rules.kinds.retain(|kind| *kind != NoticeKind::Permission);
    assert!(!told(&rules, 12 * 60));
    // What is not wanted does not hide what is.
    let mut broken = session(ClaudeStatus::Waiting);
    (broken.state.status, broken.state.detail.error) = (Status::Error, Some("gone".into()));
    let both = News { failed: true, ..news };
    assert_eq!(tell(&both, &broken, &r, &rules, 720).expect("a notice").kind, NoticeKind::Error);
}

#[test]
fn quiet_hours_are_read_and_written() {
    let hours = |text: &str| QuietHours::try_from(text.to_owned());
    let night = hours(" 22:00 - 07:30 ").expect("hours");
    assert_eq!(night.to_string(), "22:00-07:30");
    let contained =
        |h: QuietHours, all: &[u16]| all.iter().map(|m| h.contain(*m)).collect::<Vec<_>>();
    assert_eq!(
        contained(night, &[0, 449, 450, 720, 1_319, 1_320, 1_439]),
        [true, true, false, false, false, true, true]
    );
    let noon = hours("12:00-13:00").expect("hours");
    assert_eq!(contained(noon, &[719, 720, 779, 780]), [false, true, true, false]);
    assert!(!hours("").expect("none").contain(0));
    for bad in
        ["22:00", "22-7", "22:00-24:00", "7:00-8:00", "aa:bb-cc:dd", "12:00-12:00", "1é:00-02:00"]
    {
        assert!(hours(bad).expect_err(bad).contains("22:00-07:00"));
    }
}
