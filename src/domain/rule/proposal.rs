//! Proposals: the rules that "always allow" could mean for a call, the narrowest first.

use serde_json::Value;

use super::{Call, Pattern, Place, RuleAction, escaped, file};
use crate::domain::permission::{is_dialogue, subject};

/// Programs whose first argument says what they do.
const WITH_SUBCOMMANDS: &[&str] = &[
    "apt",
    "brew",
    "bun",
    "bundle",
    "cargo",
    "composer",
    "deno",
    "docker",
    "dotnet",
    "gh",
    "git",
    "go",
    "gradle",
    "helm",
    "just",
    "kubectl",
    "make",
    "mix",
    "mvn",
    "npm",
    "pip",
    "pnpm",
    "poetry",
    "rake",
    "rustup",
    "task",
    "terraform",
    "uv",
    "yarn",
];

/// Programs that only look, whatever their arguments.
const LOOKING: &[&str] = &[
    "basename", "cat", "cut", "date", "df", "diff", "dirname", "du", "echo", "file", "grep",
    "head", "ls", "pwd", "realpath", "stat", "tail", "tree", "uname", "wc", "which",
];

/// Subcommands that run whatever follows them, so that their name alone says nothing.
const RUN_ANYTHING: &[&str] = &["exec", "run", "x", "dlx", "shell", "eval"];

/// The patterns that could be allowed from a call on. Plans and questions have none.
pub fn proposals(tool: &str, input: &Value, place: Option<&Place>) -> Vec<Pattern> {
    if is_dialogue(tool) {
        return Vec::new();
    }
    let any = Pattern { tool: escaped(tool), ..Pattern::default() };
    // The tool, whatever its input, comes last.
    let exactly = Pattern::exactly(tool, input).filter(|pattern| *pattern != any);
    let mut all: Vec<Pattern> = exactly.into_iter().collect();
    if tool == "Bash"
        && let Some(prefix) = subject(tool, input).as_deref().and_then(prefix)
    {
        all.push(Pattern { command: Some(format!("{} *", escaped(&prefix))), ..any.clone() });
    }
    if file(tool, input).is_some()
        && let Some(place) = place
        && let Some((folder, _)) = place.given.rsplit_once('/')
    {
        let root = format!("{}/", place.root.trim_end_matches('/'));
        // Within the project its own folders are meant, wherever it is.
        let folder = format!("{folder}/");
        let path = match folder.strip_prefix(&root) {
            Some(below) => format!("{}**", escaped(below)),
            None => format!("{}**", escaped(&folder)),
        };
        all.push(Pattern { path: Some(path), ..any.clone() });
    }
    all.push(any);
    all
}

/// The beginning of a command that says what it does: `npm test`, `git log`, `ls`.
fn prefix(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let plain = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/".contains(c))
    };
    let prefix = match words.as_slice() {
        [program, ..] if LOOKING.contains(program) => (*program).to_owned(),
        [program @ ("npm" | "pnpm" | "yarn" | "bun"), "run", script, ..] if plain(script) => {
            format!("{program} run {script}")
        }
        [program, sub, ..]
            if WITH_SUBCOMMANDS.contains(program) && plain(sub) && !RUN_ANYTHING.contains(sub) =>
        {
            format!("{program} {sub}")
        }
        _ => return None,
    };
    // It has to cover the very call it is made from: nothing in it may begin another command.
    let pattern = Pattern {
        tool: "Bash".into(),
        command: Some(format!("{} *", escaped(&prefix))),
        path: None,
    };
    let input = serde_json::json!({ "command": command });
    let call = Call {
        tool: "Bash",
        input: &input,
        session: crate::domain::ids::SessionId(uuid::Uuid::nil()),
        project: None,
        place: None,
    };
    super::matching::matches(&pattern, RuleAction::Allow, &call).then_some(prefix)
}
