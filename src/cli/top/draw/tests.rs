//! What the screen shows, by ratatui's own terminal for tests.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::{Palette, draw};
use crate::api::sessions::SessionView;
use crate::cli::top::state::{Drawn, Model, News, Snapshot};
use crate::domain::ids::ProjectId;
use crate::domain::permission::PermissionRequest;
use crate::domain::time::Timestamp;

/// The time on the screens. Milliseconds.
const NOW: i64 = 1_767_225_600_000;

/// A session that does this.
pub fn session(id: u128, name: &str, claude: &str) -> SessionView {
    serde_json::from_value(json!({
        "id": uuid::Uuid::from_u128(id), "name": name, "project_id": uuid::Uuid::from_u128(77),
        "tmux_session": format!("claude-{name}"), "runtime": "tmux", "workspace_path": "/p",
        "status": if claude == "stopped" { "error" } else { "active" },
        "claude_status": claude, "detail": {},
        "evidence": { "source": "hook", "what": "PreToolUse", "at": Timestamp(NOW - 12_000) },
        "unsure": false, "claude_session_id": null, "claude_version": null, "restarts": 0, "pid": 1,
        "task_id": null, "permission_prompt": null, "pending_permissions": 0, "queued_messages": 0,
        "tokens": { "input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0 },
        "launch": {}, "metadata": {}, "created_at": Timestamp(NOW), "updated_at": Timestamp(NOW),
    }))
    .expect("a session")
}

/// A request of a session's to run a command. A smaller id has waited longer.
pub fn request(id: u128, session: u128, command: &str) -> PermissionRequest {
    serde_json::from_value(json!({
        "id": uuid::Uuid::from_u128(id + 1_000), "session_id": uuid::Uuid::from_u128(session),
        "conversation_id": null, "tool": "Bash", "input": { "command": command },
        "summary": format!("Bash: {command}"), "tool_use_id": null, "agent_type": null,
        "session_rule": null, "status": "pending", "verdict": null, "message": null,
        "updated_input": null, "decided_by": null, "rule_id": null, "rule": null,
        "requested_at": Timestamp(NOW - 100_000 + i64::try_from(id).expect("small") * 1_000),
        "decided_at": null, "updated_at": Timestamp(NOW),
    }))
    .expect("a request")
}

/// What keys are about when this is drawn.
pub fn drawn(model: &Model, now: i64) -> Drawn {
    screen(model, 100, 30, now, true).1
}

fn screen(model: &Model, width: u16, height: u16, now: i64, colours: bool) -> (String, Drawn) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let mut told = Drawn::default();
    terminal
        .draw(|frame| told = draw(frame, model, Timestamp(now), Palette { colours }))
        .expect("a screen");
    let buffer = terminal.backend().buffer();
    let coloured = buffer.content.iter().any(|cell| {
        cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
    });
    assert!(colours || !coloured, "NO_COLOR means none");
    (terminal.backend().to_string(), told)
}

fn fleet() -> Model {
    let mut plan = request(2, 3, "");
    plan.tool = "ExitPlanMode".into();
    plan.input = json!({"plan": "1. Tidy up\n2. Go home"});
    let mut first = request(1, 1, "cargo test --workspace && git push --force origin main");
    first.input["description"] = json!("Tests and pushes");
    first.rule = Some("ask before Bash git push --force *".into());
    let mut failed = session(4, "broken", "stopped");
    failed.detail.error = Some("exited with status 1".into());
    let mut hostile = session(2, "docs", "busy");
    hostile.detail.tool = Some("Edit\u{1b}]0;owned\u{7}".into());
    hostile.unsure = true;
    let sessions = vec![
        session(1, "fix-the-flaky-test", "waiting"),
        hostile,
        session(3, "plans", "waiting"),
        failed,
        session(5, "quiet", "idle"),
    ];
    let all = Snapshot {
        sessions,
        requests: vec![first, plan],
        projects: [(ProjectId(uuid::Uuid::from_u128(77)), "chorus".to_owned())].into(),
        more: false,
    };
    let mut model = Model::new("http://127.0.0.1:8000".into());
    model.hear(News::Snapshot(Box::new(all)), Timestamp(NOW - 60_000));
    let quiet = crate::domain::ids::SessionId(uuid::Uuid::from_u128(5));
    model.hear(News::Last(quiet, "All\nis \u{1b}[2Jwell".into()), Timestamp(NOW));
    model
}

fn snapshot(name: &str, screen: &str) {
    insta::with_settings!({ snapshot_path => "../../../../tests/snapshots/top", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, screen);
    });
}

#[test]
fn the_screen_adapts_to_its_width() {
    let model = fleet();
    for (name, width, height) in [("wide", 130, 24), ("usual", 80, 24), ("narrow", 60, 20)] {
        let (screen, _) = screen(&model, width, height, NOW, true);
        assert!(!screen.contains('\u{1b}') && !screen.contains('\u{7}'), "{screen}");
        snapshot(name, &screen);
    }
    // Nothing of it depends on colours, and no size is too small to be drawn.
    screen(&model, 80, 24, NOW, false);
    for (width, height) in [(1, 1), (5, 3), (20, 6), (60, 8)] {
        screen(&model, width, height, NOW, true);
    }
}

#[test]
fn a_long_command_says_that_there_is_more_of_it() {
    let long = format!("{}rm -rf /", "echo fine; ".repeat(200));
    let all = Snapshot {
        sessions: vec![session(1, "a", "waiting")],
        requests: vec![request(1, 1, &long)],
        ..Snapshot::default()
    };
    let mut model = Model::new(String::new());
    model.hear(News::Snapshot(Box::new(all)), Timestamp(NOW));
    let (shown, _) = screen(&model, 80, 24, NOW, true);
    assert!(shown.contains("more lines: v shows them"), "{shown}");
    let press = |model: &mut Model, c| {
        let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(c));
        model.press(key, Timestamp(NOW));
        let (shown, drawn) = screen(model, 80, 24, NOW, true);
        model.drawn(drawn);
        shown
    };
    // What is drawn is what keys are about.
    let drawn = screen(&model, 80, 24, NOW, true).1;
    model.drawn(drawn);
    press(&mut model, 'v');
    assert!(press(&mut model, 'G').contains("rm -rf /"));
}

#[test]
fn what_is_typed_and_what_went_wrong_stand_above_the_keys() {
    let mut model = fleet();
    model.hear(News::Offline("the server went away".into()), Timestamp(NOW - 7_000));
    let (shown, drawn) = screen(&model, 80, 24, NOW, true);
    assert!(shown.contains("OFFLINE for 7s") && shown.contains("the server went away"), "{shown}");
    model.drawn(drawn);
    for c in "suse ünïcode".chars() {
        model.press(crossterm::event::KeyCode::Char(c).into(), Timestamp(NOW));
    }
    let (shown, _) = screen(&model, 80, 24, NOW, true);
    assert!(shown.contains("queue for fix-the-flaky-test: use ünïcode"), "{shown}");
}
