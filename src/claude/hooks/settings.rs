//! The settings that a managed session is launched with.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::HookEvent;
use crate::claude::profile::Profile;
use crate::claude::tools::EDITING;
use crate::domain::session::PermissionMode;

/// How long Claude Code waits for the answer to a permission request, in seconds. Without a value
/// it gives up after ten minutes.
pub(super) const PERMISSION_TIMEOUT: u32 = 86_400;

/// How long Claude Code waits for any other hook, in seconds. `chorus hook` takes milliseconds; it
/// must never hold Claude up, and what it cannot deliver it keeps for later.
pub(super) const TIMEOUT: u32 = 5;

/// The events a managed session reports. Each costs Claude 4–12 ms, so what another source tells as
/// well is left out: `PreToolUse`, `PostToolUse`, `PostToolUseFailure`, `PostToolBatch` and
/// `MessageDisplay` (the transcript has calls and their results 50–400 ms later). A tool call that
/// needs no permission costs Claude nothing; but see [`settings`] for edits in a shared directory.
pub const SUBSCRIBED: [HookEvent; 11] = [
    HookEvent::SessionStart,
    HookEvent::UserPromptSubmit,
    HookEvent::PermissionRequest,
    HookEvent::Stop,
    HookEvent::StopFailure,
    HookEvent::SubagentStart,
    HookEvent::SubagentStop,
    HookEvent::PreCompact,
    HookEvent::PostCompact,
    HookEvent::Notification,
    HookEvent::SessionEnd,
];

/// Makes the `--settings` JSON of a managed session: for each event of [`SUBSCRIBED`] a hook that
/// runs `<chorus> hook <event>` directly, without a shell, and synchronously (asynchronous hooks
/// change places and are lost at exit).
///
/// In the default mode, and in the plan mode that leads to it, the auto mode is disabled where the
/// version offers it: its permission
/// dialog has a row that allows and switches over (recorded from 2.1.329).
///
/// `edits` asks before each call of a tool that edits the file that it names: for sessions that share
/// their directory with others.
pub fn settings(chorus: &Path, mode: PermissionMode, edits: bool, profile: &Profile) -> Value {
    let hook = |event: &HookEvent| {
        let timeout =
            if *event == HookEvent::PermissionRequest { PERMISSION_TIMEOUT } else { TIMEOUT };
        json!({
            "type": "command",
            "command": chorus.to_string_lossy(),
            "args": ["hook", event.as_str()],
            "timeout": timeout,
        })
    };
    let mut hooks: Map<String, Value> = SUBSCRIBED
        .iter()
        .map(|event| (event.as_str().to_owned(), json!([{ "hooks": [hook(event)] }])))
        .collect();
    if edits {
        let event = HookEvent::PreToolUse;
        let matcher = EDITING.join("|");
        let group = json!([{ "matcher": matcher, "hooks": [hook(&event)] }]);
        hooks.insert(event.as_str().to_owned(), group);
    }
    let mut settings = json!({ "hooks": hooks });
    if profile.disable_auto_mode && matches!(mode, PermissionMode::Default | PermissionMode::Plan) {
        settings["permissions"] = json!({ "disableAutoMode": "disable" });
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{SUBSCRIBED, settings};
    use crate::claude::profile::Profile;
    use crate::domain::session::PermissionMode;

    #[test]
    fn every_event_runs_chorus_directly() {
        let profile = Profile::of("2.1.329");
        let value = settings(Path::new("/opt/chorus"), PermissionMode::Default, false, &profile);
        let hooks = value["hooks"].as_object().expect("hooks");
        assert_eq!(hooks.len(), SUBSCRIBED.len());
        assert_eq!(
            hooks["Stop"],
            json!([{"hooks": [{"type": "command", "command": "/opt/chorus",
                "args": ["hook", "Stop"], "timeout": 5}]}])
        );
        assert_eq!(hooks["PermissionRequest"][0]["hooks"][0]["timeout"], 86_400);
        assert!(!hooks.contains_key("PreToolUse") && !hooks.contains_key("WorktreeCreate"));
        let value = settings(Path::new("/c"), PermissionMode::Default, true, &profile);
        let group = &value["hooks"]["PreToolUse"][0];
        assert_eq!(group["matcher"], "Edit|MultiEdit|NotebookEdit|Write");
        assert_eq!(group["hooks"][0]["args"], json!(["hook", "PreToolUse"]));
    }

    #[test]
    fn auto_mode_is_disabled_only_where_it_is_in_the_way() {
        let new = Profile::of("2.1.329");
        let old = Profile::of("2.1.197");
        let path = Path::new("/c");
        assert_eq!(
            settings(path, PermissionMode::Default, false, &new)["permissions"],
            json!({"disableAutoMode": "disable"})
        );
        assert!(settings(path, PermissionMode::Auto, false, &new).get("permissions").is_none());
        assert!(settings(path, PermissionMode::Default, false, &old).get("permissions").is_none());
    }
}
