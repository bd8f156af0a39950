use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{HookError, HookEvent, HookReport, parse};
use crate::domain::observation::{Fact, StartSource};
use crate::domain::prompt::digest;
use crate::domain::record::{Record, ToolCall, ToolStatus};
use crate::domain::time::Timestamp;

const AT: Timestamp = Timestamp(1_795_200_000_000);

fn recordings() -> BTreeMap<String, Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/claude/hooks");
    std::fs::read_dir(folder)
        .expect("the recordings")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a recording"))
        })
        .collect()
}

fn event_of(name: &str) -> HookEvent {
    HookEvent::parse(name.split('-').next().expect("an event"))
}

fn recorded(name: &str) -> HookReport {
    parse(event_of(name), &recordings()[name], AT).expect(name)
}

fn only_fact(name: &str) -> Fact {
    let mut facts = recorded(name).facts;
    assert_eq!(facts.len(), 1, "{name}");
    facts.remove(0)
}

fn tool(name: &str) -> ToolCall {
    match recorded(name).records.remove(0) {
        Record::Tool(call) => call,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_recording_is_understood() {
    let all = recordings();
    assert!(all.len() > 60);
    for (name, body) in &all {
        let event = event_of(name);
        assert!(!matches!(event, HookEvent::Unknown(_)), "{name}");
        let report = parse(event.clone(), body, AT).expect(name);
        assert_eq!(report.event, event);
        assert!(report.conversation.is_some() && report.transcript_path.is_some(), "{name}");
        assert_eq!(report.permission.is_some(), report.facts.is_empty(), "{name}");
    }
}

#[test]
fn conversations_begin_and_end() {
    let started = |name| match recorded(name).facts.pop() {
        Some(Fact::ConversationStarted { source }) => source,
        other => panic!("{other:?}"),
    };
    assert_eq!(started("SessionStart-startup"), StartSource::Startup);
    let first = |name| recorded(name).facts.remove(0);
    assert_eq!(first("SessionStart-startup"), Fact::WindowTold(Some(1_000_000)));
    assert_eq!(first("SessionStart-startup-2.1.329"), Fact::WindowTold(None));
    assert_eq!(started("SessionStart-resume-2.1.329"), StartSource::Resume);
    assert_eq!(started("SessionStart-clear"), StartSource::Clear);
    assert_eq!(started("SessionStart-compact"), StartSource::Compact);
    assert_eq!(
        only_fact("SessionEnd-prompt_input_exit"),
        Fact::ConversationEnded { reason: "prompt_input_exit".into() }
    );
}

#[test]
fn prompts_are_told_with_their_digest() {
    let report = recorded("UserPromptSubmit");
    let text = "please do scenario:hello now";
    assert_eq!(report.facts, [Fact::PromptSubmitted { digest: digest(text), automatic: false }]);
    assert_eq!(report.prompt.expect("a prompt").text, text);
    assert!(report.records.is_empty(), "the transcript tells it, exactly once");

    let report = recorded("UserPromptSubmit-task-notification-2.1.329");
    assert!(matches!(report.facts[..], [Fact::PromptSubmitted { automatic: true, .. }]));
    assert_eq!(report.prompt, None);
}

#[test]
fn a_long_paste_is_confirmed_by_its_own_text() {
    let body = json!({"session_id": "s",
        "prompt": "\n\n<pasted_content id=\"fd3b\">\nl0\nl1\n</pasted_content id=\"fd3b\">\n"});
    let report =
        parse(HookEvent::UserPromptSubmit, body.to_string().as_bytes(), AT).expect("a report");
    assert_eq!(
        report.facts,
        [Fact::PromptSubmitted { digest: digest("l0\nl1"), automatic: false }]
    );
}

#[test]
fn tool_calls_are_recorded() {
    let bash = tool("PostToolUse-Bash");
    assert_eq!(bash.id.0, "toolu_310e0373b878454f9a8a44a9");
    assert_eq!((bash.tool.as_str(), bash.status), ("Bash", ToolStatus::Completed));
    assert_eq!((bash.result.as_deref(), bash.duration_ms, bash.at), (Some("ran"), Some(175), AT));
    assert_eq!(bash.input.expect("an input")["command"], "touch made-by-bash.txt && echo ran");

    let failed = tool("PostToolUseFailure-Bash");
    assert_eq!(failed.status, ToolStatus::Error);
    assert_eq!(failed.result.as_deref(), Some("Exit code 3\noops"));

    assert_eq!(tool("PreToolUse-Bash").status, ToolStatus::Running);
    assert!(matches!(only_fact("PreToolUse-Bash"), Fact::ToolStarted { .. }));
    assert!(matches!(only_fact("PostToolUse-Write"), Fact::ToolFinished { denied: false, .. }));
    assert_eq!(tool("PostToolUse-Write").result.as_deref(), Some("created /project/notes.txt"));
    assert_eq!(
        tool("PostToolUse-AskUserQuestion").result.as_deref(),
        Some("Which colour should the button be? → Blue")
    );
    assert_eq!(tool("PostToolUse-Agent").result.as_deref(), Some("Child report."));
    assert_eq!(tool("PostToolUse-mcp__demo__echo").result.as_deref(), Some("echo: hi"));
}

#[test]
fn a_permission_request_finds_its_call() {
    let ask = recorded("PermissionRequest-Bash").permission.expect("a request");
    assert_eq!(ask.tool, "Bash");
    assert_eq!(ask.suggestions.len(), 2);
    for (asked, called) in [
        ("PermissionRequest-Bash", "PreToolUse-Bash"),
        ("PermissionRequest-Edit", "PreToolUse-Edit"),
        ("PermissionRequest-WebFetch", "PreToolUse-WebFetch"),
        ("PermissionRequest-Write", "PreToolUse-Write"),
        ("PermissionRequest-ExitPlanMode", "PreToolUse-ExitPlanMode"),
        ("PermissionRequest-AskUserQuestion", "PreToolUse-AskUserQuestion"),
    ] {
        let ask = recorded(asked).permission.expect("a request");
        match only_fact(called) {
            Fact::ToolStarted { input_digest, .. } => assert_eq!(ask.input_digest, input_digest),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn turns_end() {
    assert_eq!(only_fact("Stop"), Fact::TurnEnded { background: 0 });
    assert_eq!(only_fact("Stop-background-subagent-2.1.329"), Fact::TurnEnded { background: 1 });
    assert_eq!(
        only_fact("StopFailure-billing_error"),
        Fact::TurnFailed {
            kind: "billing_error".into(),
            message: "Credit balance is too low".into(),
            resets_at: None,
        }
    );
    assert_eq!(only_fact("SubagentStart-general-purpose"), Fact::Subagent { began: true });
    assert_eq!(only_fact("SubagentStop-general-purpose"), Fact::Subagent { began: false });
    assert_eq!(only_fact("SubagentStop-none"), Fact::Noted);
    assert_eq!(only_fact("PreCompact-manual"), Fact::Compacting { began: true });
    assert_eq!(only_fact("PostCompact-manual"), Fact::Compacting { began: false });
    assert!(matches!(
        only_fact("Notification-agent_needs_input-2.1.329"),
        Fact::Notified { kind, .. } if kind == "agent_needs_input"
    ));
}

#[test]
fn errors_name_the_field() {
    let error = |event: HookEvent, body: &Value| {
        parse(event, body.to_string().as_bytes(), AT).expect_err("an error").to_string()
    };
    assert_eq!(
        error(HookEvent::Stop, &json!({})),
        "Stop: `session_id` must be a string, found nothing"
    );
    assert_eq!(
        error(HookEvent::PostToolUse, &json!({"session_id": "s", "tool_use_id": 7})),
        "PostToolUse: `tool_use_id` must be a string, found a number"
    );
    assert_eq!(
        error(HookEvent::PermissionRequest, &json!({"session_id": "s", "tool_name": ""})),
        "PermissionRequest: `tool_name` must be a string, found an empty string"
    );
    assert_eq!(
        error(HookEvent::Stop, &json!([])),
        "Stop: `body` must be an object, found an array"
    );
    assert!(matches!(parse(HookEvent::Stop, b"{", AT), Err(HookError::Json(_))));
}

#[test]
fn an_unknown_event_is_noted() {
    let report = parse(HookEvent::parse("Novelty"), br#"{"session_id": 1}"#, AT).expect("a report");
    assert_eq!((report.facts, report.conversation), (vec![Fact::Noted], None));
}

#[test]
fn a_huge_payload_is_read() {
    let body = json!({"session_id": "s", "tool_use_id": "t", "tool_name": "Bash",
        "tool_response": {"stdout": "x".repeat(20 << 20)}});
    let report = parse(HookEvent::PostToolUse, body.to_string().as_bytes(), AT).expect("a report");
    assert!(
        matches!(&report.records[..], [Record::Tool(c)] if c.result.as_ref().is_some_and(|r| r.len() == 20 << 20))
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(event in 0..33_usize, body in any::<Vec<u8>>()) {
        let _ = parse(HookEvent::KNOWN[event].clone(), &body, AT);
    }

    #[test]
    fn a_mutated_recording_is_read_or_refused(
        pick in any::<prop::sample::Index>(),
        event in 0..33_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let all: Vec<_> = recordings().into_iter().collect();
        let (name, mut body) = all[pick.index(all.len())].clone();
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = parse(event_of(&name), &body, AT);
        let _ = parse(HookEvent::KNOWN[event].clone(), &body, AT);
    }

    /// Every value of every recording is replaced by one of another kind.
    #[test]
    fn a_mistyped_recording_is_read_or_refused(
        pick in any::<prop::sample::Index>(),
        field in any::<prop::sample::Index>(),
        with in prop::sample::select(vec![json!(null), json!(true), json!(-1), json!(""), json!([[]]), json!({"a": {}})]),
    ) {
        let all: Vec<_> = recordings().into_iter().collect();
        let (name, body) = &all[pick.index(all.len())];
        let mut value: Value = serde_json::from_slice(body).expect("JSON");
        let map = value.as_object_mut().expect("an object");
        let key = map.keys().nth(field.index(map.len())).expect("a key").clone();
        map[&key] = with;
        let _ = parse(event_of(name), value.to_string().as_bytes(), AT);
    }
}
