//! Hooks that were left behind by other tools and stop Claude Code.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::claude::json;

/// The longest settings file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// GitButler's hooks for Claude (`but claude pre-tool`, `post-tool`, `stop`), which it has not had
/// since 0.20. They end with code 2, by which a hook blocks: every call, and every end of a turn.
static BUT_CLAUDE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s/;&|])but(?:\.exe)? [^;&|]*\bclaude +(?:pre-tool|post-tool|stop)\b")
        .expect("a constant pattern")
});

/// A hook that was left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleHook {
    /// The settings file.
    pub file: PathBuf,
    /// The event.
    pub event: String,
    /// Its command.
    pub command: String,
}

/// Finds stale hooks in the settings of a project and of its user.
pub fn stale_hooks(project: &Path, config_dir: Option<&Path>) -> Vec<StaleHook> {
    let names = ["settings.json", "settings.local.json"];
    let folders = [Some(project.join(".claude")), config_dir.map(Path::to_owned)];
    let files =
        folders.into_iter().flatten().flat_map(|folder| names.map(|name| folder.join(name)));
    let mut found: Vec<StaleHook> = Vec::new();
    for file in files {
        let mut bytes = Vec::new();
        let read = File::open(&file).and_then(|f| f.take(MAX_BYTES).read_to_end(&mut bytes));
        // What cannot be read, Claude Code cannot run either.
        if let (Ok(_), Ok(settings)) = (read, json::parse(&bytes)) {
            found.extend(in_settings(&file, &settings));
        }
    }
    found
}

fn in_settings(file: &Path, settings: &Value) -> Vec<StaleHook> {
    let mut found = Vec::new();
    let events = settings.get("hooks").and_then(Value::as_object).into_iter().flatten();
    for (event, groups) in events {
        let hooks = groups.as_array().into_iter().flatten();
        let hooks = hooks.filter_map(|group| group.get("hooks")?.as_array()).flatten();
        for hook in hooks {
            let Some(command) = hook.get("command").and_then(Value::as_str) else { continue };
            let args = hook.get("args").and_then(Value::as_array).into_iter().flatten();
            let words: Vec<&str> =
                std::iter::once(command).chain(args.filter_map(Value::as_str)).collect();
            let command = words.join(" ");
            if BUT_CLAUDE.is_match(&command) {
                found.push(StaleHook { file: file.to_owned(), event: event.clone(), command });
            }
        }
    }
    found
}
