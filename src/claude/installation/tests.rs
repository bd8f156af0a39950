use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::{
    AskError, GlobalConfig, Level, examine, find, login, parse_login, stale_hooks, version,
};
use crate::claude::profile::Profile;

/// Written by another process: a file that this one has open for writing, even in a fork that is
/// about to become something else, cannot be run.
fn program(folder: &Path, name: &str, body: &str) -> PathBuf {
    let path = folder.join(name);
    let status = std::process::Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"])
        .args([path.as_os_str(), OsStr::new(body)])
        .status();
    assert!(status.expect("a shell").success());
    path
}

const CLAUDE: &str = r#"case "$1" in
--version) echo "2.1.329 (Claude Code)";;
auth) echo '{"loggedIn": false, "authMethod": "none"}'; exit 1;;
esac"#;

#[test]
fn the_binary_is_found_where_it_was_named_or_on_the_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let claude = program(folder.path(), "claude", CLAUDE);
    let other = program(folder.path(), "other", CLAUDE);
    let path = Some(folder.path().as_os_str());
    assert_eq!(find(None, path), Some(claude.clone()));
    assert_eq!(find(Some(Path::new("other")), path), Some(other.clone()));
    assert_eq!(find(Some(&other), None), Some(other));
    assert_eq!(find(Some(&folder.path().join("none")), path), None);
    assert_eq!(find(None, Some(OsStr::new("relative::"))), None);
    std::fs::set_permissions(&claude, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(find(None, path), None);
}

#[tokio::test]
async fn the_binary_is_asked_within_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = Duration::from_secs(30);
    let claude = program(folder.path(), "claude", CLAUDE);
    assert_eq!(version(&claude, long).await.expect("a version"), "2.1.329 (Claude Code)");
    assert!(!login(&claude, &[], long).await.expect("an answer").logged_in);

    let odd = program(folder.path(), "odd", "echo hello");
    assert!(matches!(version(&odd, long).await, Err(AskError::Answer { .. })));
    assert!(matches!(login(&odd, &[], long).await, Err(AskError::Answer { .. })));
    let slow = program(folder.path(), "slow", "exec sleep 600");
    let short = Duration::from_millis(50);
    assert!(matches!(version(&slow, short).await, Err(AskError::Timeout { .. })));
    let none = folder.path().join("none");
    assert!(matches!(version(&none, long).await, Err(AskError::Io { .. })));
    let marks = program(
        folder.path(),
        "env",
        "echo \"{\\\"loggedIn\\\": true, \\\"authMethod\\\": \\\"$A\\\"}\"",
    );
    let env = [("A".to_owned(), "b".to_owned())];
    assert_eq!(login(&marks, &env, long).await.expect("an answer").method.as_deref(), Some("b"));
}

#[test]
fn a_login_is_read_without_its_secrets() {
    let login = parse_login(br#"{"loggedIn": true, "authMethod": "api_key", "apiKeySource": "X"}"#);
    assert!(login.expect("a login").logged_in);
    assert_eq!(parse_login(b"{}"), None);
    assert_eq!(parse_login(b"Not logged in"), None);
}

fn config(value: &serde_json::Value) -> GlobalConfig {
    GlobalConfig::parse(value.to_string().as_bytes()).expect("a configuration")
}

#[test]
fn trust_follows_the_rules_of_each_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    for made in ["repo/.git", "repo/sub", "repo/.git/worktrees/w", "plain/sub", "w"] {
        std::fs::create_dir_all(at(made)).expect("a folder");
    }
    let link = format!("gitdir: {}\n", at("repo/.git/worktrees/w").display());
    std::fs::write(at("w/.git"), link).expect("written");
    let trusting = |path: &Path| {
        config(&json!({"projects": {
            path.to_string_lossy(): {"hasTrustDialogAccepted": true},
            "/elsewhere": {"hasTrustDialogAccepted": false},
        }}))
    };
    let older = Profile::of("2.1.197");
    let newer = Profile::of("2.1.329");
    let root = trusting(&at("repo"));
    assert!(root.trusts(&at("repo/sub"), &newer) && root.trusts(&at("repo/sub"), &older));
    assert!(root.trusts(&at("w"), &newer), "a worktree, by its repository");
    assert!(!root.trusts(&at("plain/sub"), &newer));
    let above = trusting(folder.path());
    assert!(above.trusts(&at("repo/sub"), &older));
    assert!(!above.trusts(&at("repo/sub"), &newer), "no higher than the repository's root");
    assert!(above.trusts(&at("plain/sub"), &newer));
    assert!(!trusting(Path::new("/elsewhere/x")).trusts(Path::new("/elsewhere"), &older));
}

#[test]
fn keys_are_compared_by_their_end() {
    let config = config(&json!({"customApiKeyResponses": {"approved": ["45678901234567890123"]}}));
    assert!(config.approves_key("sk-ant-12345678901234567890123"));
    assert!(!config.approves_key("sk-ant-dummy"));
    let short = self::config(&json!({"customApiKeyResponses": {"approved": ["sk-ant-dummy"]}}));
    assert!(short.approves_key("sk-ant-dummy"));
}

#[test]
fn stale_hooks_are_found_and_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("p");
    std::fs::create_dir_all(project.join(".claude")).expect("a folder");
    let hook = |command: &str| json!([{"matcher": "Edit", "hooks": [{"type": "command", "command": command}]}]);
    let settings = json!({"hooks": {
        "PreToolUse": hook("but claude pre-tool"),
        "PostToolUse": hook("/usr/local/bin/but -C /p claude post-tool"),
        "Stop": hook("echo nothing but claude"),
        "Notification": hook("notify-send 'halibut claude'"),
        "Odd": 7,
    }});
    std::fs::write(project.join(".claude/settings.local.json"), settings.to_string())
        .expect("written");
    let user =
        json!({"hooks": {"Stop": [{"hooks": [{"command": "but", "args": ["claude", "stop"]}]}]}});
    std::fs::write(folder.path().join("settings.json"), user.to_string()).expect("written");
    std::fs::write(project.join(".claude/settings.json"), "{broken").expect("written");
    let events: Vec<String> =
        stale_hooks(&project, Some(folder.path())).into_iter().map(|hook| hook.event).collect();
    assert_eq!(events, ["PreToolUse", "PostToolUse", "Stop"]);
}

#[tokio::test]
async fn everything_is_looked_at_and_each_problem_has_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().to_string_lossy().into_owned();
    let none = examine(None, folder.path(), |_| None, Duration::from_secs(30)).await;
    assert_eq!((none.len(), none[0].level), (1, Level::Fail));

    program(folder.path(), "claude", CLAUDE);
    let env = |name: &str| match name {
        "PATH" | "HOME" => Some(home.clone()),
        "ANTHROPIC_API_KEY" => Some("sk-ant-not-to-be-shown".to_owned()),
        _ => None,
    };
    let findings = examine(None, folder.path(), env, Duration::from_secs(30)).await;
    let levels: Vec<Level> = findings.iter().map(|f| f.level).collect();
    assert_eq!(
        levels,
        [Level::Ok, Level::Fail, Level::Fail, Level::Warn, Level::Warn],
        "version, login, onboarding, trust, key: {findings:?}"
    );
    for finding in &findings {
        assert_eq!(finding.remedy.is_some(), finding.level != Level::Ok, "{finding:?}");
        assert!(!format!("{finding:?}").contains("not-to-be-shown"));
    }
}
