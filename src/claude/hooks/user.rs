//! Chorus's hooks in the user's own settings, for the Claudes that people start themselves.
//!
//! The file is the user's: it is edited in place, so that whatever else is in it stays as it was
//! written, comments and blanks included.

use std::path::Path;

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstNode, CstObject, CstRootNode};
use jsonc_parser::json;

use super::settings::{PERMISSION_TIMEOUT, TIMEOUT};
use super::{HookEvent, SUBSCRIBED};

/// What tells a hook of ours from others: its first two arguments.
const OURS: [&str; 2] = ["hook", "--user"];

/// Why settings are left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserHooksError {
    /// They are no JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// They are more than JSON: they have comments, or a comma too many.
    #[error("Claude Code cannot read it, and skips it whole: {0}; mend it first")]
    Strict(String),
    /// Something in them is not what Claude Code expects there.
    #[error("`{0}` in it is not what Claude Code expects there")]
    Shape(String),
}

/// A hook of ours in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserHook {
    /// The event.
    pub event: String,
    /// The program.
    pub command: String,
    /// Where it looks for the server.
    pub socket: String,
}

fn root(text: &str) -> Result<CstRootNode, UserHooksError> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|e| UserHooksError::Json(e.to_string()))
}

fn hooks_of(root: &CstRootNode) -> Result<Option<CstObject>, UserHooksError> {
    let shape = |what: &str| UserHooksError::Shape(what.to_owned());
    let settings = root.object_value().ok_or_else(|| shape("the whole"))?;
    match settings.get("hooks") {
        Some(hooks) => Ok(Some(hooks.object_value().ok_or_else(|| shape("hooks"))?)),
        None => Ok(None),
    }
}

/// Adds a hook for every event that a managed session reports; those that are there are replaced.
/// `socket` is where the server listens.
///
/// # Errors
/// If the settings are not what they should be; then nothing is to be written.
pub fn add(text: &str, chorus: &Path, socket: &Path) -> Result<String, UserHooksError> {
    let wanted = SUBSCRIBED.map(|event| UserHook {
        event: event.as_str().to_owned(),
        command: chorus.to_string_lossy().into_owned(),
        socket: socket.to_string_lossy().into_owned(),
    });
    let empty = text.trim().is_empty();
    // Claude Code itself takes no comments: it would skip the whole file, and our hooks with it.
    if let Err(e) = serde_json::from_str::<serde::de::IgnoredAny>(text)
        && !empty
    {
        return Err(UserHooksError::Strict(e.to_string()));
    }
    let there = installed(text)?;
    if there.len() == wanted.len() && wanted.iter().all(|hook| there.contains(hook)) {
        return Ok(text.to_owned());
    }
    let without = remove(text)?;
    let root = root(&without)?;
    hooks_of(&root)?;
    let settings = root.object_value_or_set();
    let hooks = settings.object_value_or_set("hooks");
    for UserHook { event, command, socket } in wanted {
        if hooks.get(&event).is_some_and(|p| p.array_value().is_none()) {
            return Err(UserHooksError::Shape(format!("hooks.{event}")));
        }
        let asks = event == HookEvent::PermissionRequest.as_str();
        let timeout = if asks { PERMISSION_TIMEOUT } else { TIMEOUT };
        let (hook, user, name) = (OURS[0], OURS[1], event.clone());
        hooks.array_value_or_set(&event).append(json!({
            "hooks": [{
                "type": "command",
                "command": command,
                "args": [hook, user, socket, name],
                "timeout": timeout,
            }],
        }));
    }
    Ok(root.to_string())
}

/// Removes every hook of ours, and what was there only for them.
///
/// # Errors
/// As [`add`].
pub fn remove(text: &str) -> Result<String, UserHooksError> {
    let root = root(text)?;
    let Some(hooks) = hooks_of(&root)? else { return Ok(text.to_owned()) };
    let mut removed = false;
    for event in hooks.properties() {
        let Some(matchers) = event.array_value() else { continue };
        for matcher in matchers.elements() {
            let Some(inner) = inner_hooks(&matcher) else { continue };
            let ours: Vec<CstNode> = inner.elements().into_iter().filter(is_ours).collect();
            if ours.is_empty() {
                continue;
            }
            removed = true;
            if ours.len() == inner.elements().len() {
                matcher.remove();
            } else {
                ours.into_iter().for_each(CstNode::remove);
            }
        }
        if removed && matchers.elements().is_empty() {
            event.remove();
        }
    }
    if !removed {
        return Ok(text.to_owned());
    }
    if hooks.properties().is_empty()
        && let Some(property) = root.object_value().and_then(|o| o.get("hooks"))
    {
        property.remove();
    }
    Ok(root.to_string())
}

/// Finds the hooks of ours.
///
/// # Errors
/// As [`add`].
pub fn installed(text: &str) -> Result<Vec<UserHook>, UserHooksError> {
    let root = root(text)?;
    let mut found = Vec::new();
    for event in hooks_of(&root)?.into_iter().flat_map(|hooks| hooks.properties()) {
        let name = event.decoded_name().unwrap_or_default();
        let matchers = event.array_value().into_iter().flat_map(|m| m.elements());
        let inner = matchers.filter_map(|m| inner_hooks(&m)).flat_map(|inner| inner.elements());
        found.extend(inner.filter(is_ours).map(|hook| UserHook {
            event: name.clone(),
            command: hook.as_object().and_then(|h| word(&h, "command")).unwrap_or_default(),
            socket: words(&hook).nth(OURS.len()).flatten().unwrap_or_default(),
        }));
    }
    Ok(found)
}

fn inner_hooks(matcher: &CstNode) -> Option<CstArray> {
    matcher.as_object()?.array_value("hooks")
}

fn word(object: &CstObject, key: &str) -> Option<String> {
    object.get(key)?.value()?.as_string_lit()?.decoded_value().ok()
}

fn words(hook: &CstNode) -> impl Iterator<Item = Option<String>> {
    let args = hook.as_object().and_then(|hook| hook.array_value("args"));
    let args = args.into_iter().flat_map(|args| args.elements());
    args.map(|arg| arg.as_string_lit().and_then(|s| s.decoded_value().ok()))
}

fn is_ours(hook: &CstNode) -> bool {
    words(hook).take(OURS.len()).eq(OURS.iter().map(|word| Some((*word).to_owned())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::{UserHooksError, add, installed, remove};
    use crate::claude::hooks::SUBSCRIBED;

    const THEIRS: &str = r#"{
    "model": "opus",
    "hooks": {
        "Stop": [ { "hooks": [ { "type": "command", "command": "say done" } ] } ]
    },
    "permissions": { "allow": ["Bash(ls:*)"] }
}
"#;

    fn add_to(text: &str) -> String {
        add(text, Path::new("/opt/a b/chorus"), Path::new("/run/c.sock")).expect("settings")
    }

    #[test]
    fn what_is_added_is_found_and_removed() {
        for text in [THEIRS, "{}", "{}\n", "{\"a\":1}", "{\n  \"hooks\": {}\n}\n"] {
            let with = add_to(text);
            assert_eq!(installed(&with).expect("hooks").len(), SUBSCRIBED.len(), "{with}");
            assert_eq!(add_to(&with), with, "adding twice changes nothing");
            let without = remove(&with).expect("settings");
            assert!(installed(&without).expect("hooks").is_empty());
            let same = |a: &str, b: &str| {
                let read = |t: &str| {
                    let mut value: Value = serde_json::from_str(t).expect("JSON");
                    if value["hooks"].as_object().is_some_and(serde_json::Map::is_empty) {
                        value.as_object_mut().expect("an object").remove("hooks");
                    }
                    value
                };
                read(a) == read(b)
            };
            assert!(same(&without, text), "{text} became {without}");
        }
    }

    #[test]
    fn what_is_the_users_stays_as_it_is() {
        let with = add_to(THEIRS);
        for part in ["\"say done\"", "\"permissions\": { \"allow\": [\"Bash(ls:*)\"] }"] {
            assert!(with.contains(part), "{with}");
        }
        assert_eq!(remove(THEIRS).expect("settings"), THEIRS);
    }

    #[test]
    fn hooks_go_again_from_a_file_that_got_comments_since() {
        let with = add_to(THEIRS).replacen('{', "{\n    // mine\n", 1);
        let without = remove(&with).expect("settings");
        assert!(installed(&without).expect("hooks").is_empty() && without.contains("// mine"));
    }

    #[test]
    fn an_empty_file_gets_hooks_and_what_is_no_settings_is_left_alone() {
        assert_eq!(installed(&add_to("")).expect("hooks").len(), SUBSCRIBED.len());
        let refused = |text: &str| add(text, Path::new("/c"), Path::new("/s")).unwrap_err();
        for text in ["{", "{\n  // mine\n}", "{\"a\": 1,}"] {
            assert!(matches!(refused(text), UserHooksError::Strict(_)), "{text}");
        }
        for text in ["[]", "1", r#"{"hooks": []}"#, r#"{"hooks": {"Stop": {}}}"#] {
            assert!(matches!(refused(text), UserHooksError::Shape(_)), "{text}");
        }
    }
}
