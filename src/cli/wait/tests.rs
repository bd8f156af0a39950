//! What ends a wait.

use serde_json::json;

use super::{Outcome, judge};
use crate::api::sessions::SessionView;
use crate::cli::args::Until;

fn session(claude: &str, more: &serde_json::Value) -> SessionView {
    let mut view = json!({
        "id": uuid::Uuid::now_v7(), "name": "a", "project_id": uuid::Uuid::now_v7(),
        "tmux_session": "claude-a", "runtime": "tmux", "workspace_path": "/p", "status": "active",
        "claude_status": claude, "detail": {},
        "evidence": { "source": "hook", "what": "Stop", "at": "2026-01-01T00:00:00Z" },
        "unsure": false, "claude_session_id": null, "claude_version": null, "restarts": 0, "pid": 1,
        "task_id": null, "permission_prompt": null, "pending_permissions": 0, "queued_messages": 0,
        "tokens": { "input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0 },
        "launch": {}, "metadata": {}, "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        view[key] = value.clone();
    }
    serde_json::from_value(view).expect("a session")
}

#[test]
fn a_wait_ends_when_claude_has_finished_or_somebody_is_needed() {
    let until = |claude: &str, more: serde_json::Value| {
        let s = session(claude, &more);
        [Until::Idle, Until::Done, Until::Permission].map(|until| judge(&s, until, true))
    };
    let (idle, waiting) = (Some(Outcome::Idle), Some(Outcome::Waiting));
    assert_eq!(until("idle", json!({})), [idle, idle, None]);
    assert_eq!(until("waiting", json!({})), [waiting, None, waiting]);
    assert_eq!(until("busy", json!({})), [None; 3]);
    assert_eq!(until("starting", json!({})), [None; 3]);
    assert_eq!(until("stopped", json!({ "status": "paused" })), [Some(Outcome::Ended); 3]);
    let failed = json!({ "detail": { "error": "server_error: 500" } });
    assert_eq!(until("idle", failed)[0], Some(Outcome::Failed));
}

#[test]
fn a_session_that_goes_on_by_itself_has_not_finished() {
    let limited =
        json!({ "detail": { "limit_until": "2026-01-01T05:00:00Z", "error": "rate_limit: x" } });
    assert_eq!(judge(&session("idle", &limited), Until::Idle, true), None);
    let queued = json!({ "queued_messages": 1 });
    assert_eq!(judge(&session("idle", &queued), Until::Idle, true), None);
}

#[test]
fn the_idleness_before_a_prompt_arrives_is_not_its_turns_end() {
    let (idle, waiting) = (session("idle", &json!({})), session("waiting", &json!({})));
    assert_eq!(judge(&idle, Until::Idle, false), None);
    assert_eq!(judge(&waiting, Until::Idle, false), Some(Outcome::Waiting));
}
