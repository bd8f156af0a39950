//! How Claude is started: arguments and environment.

mod check;

use std::collections::BTreeMap;

pub use check::validate;
use serde_json::Value;

use super::paths::CONFIG_DIR;
use super::profile::Profile;
use crate::domain::ids::ConversationId;
use crate::domain::session::{Launch, PermissionMode};

/// The longest argument that Linux takes, in bytes: one page less than 32, without the final NUL
/// (tried: 131 071 arrive, one more is refused by the kernel).
pub const MAX_ARGUMENT: usize = 131_071;

/// Why a launch is refused. The fields are those of [`Launch`], as the API names them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct LaunchError {
    /// The field, with the entry where it is a list (`extra_args[2]`, `env.PATH`).
    pub field: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl LaunchError {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// Which conversation Claude is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A new one with this id, which must be a UUID that was never used.
    New(ConversationId),
    /// One that exists goes on.
    Resume(ConversationId),
    /// A new one that begins as a copy.
    Fork {
        /// The one that is copied.
        from: ConversationId,
        /// The new one's id.
        to: ConversationId,
    },
}

impl Start {
    /// The conversation that the process will have.
    pub fn conversation(&self) -> &ConversationId {
        match self {
            Self::New(id) | Self::Resume(id) | Self::Fork { to: id, .. } => id,
        }
    }
}

/// What to run Claude with; the binary itself is the caller's to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The arguments, without the binary.
    pub args: Vec<String>,
    /// Variables to set on top of what [`inherits`] lets through.
    pub env: BTreeMap<String, String>,
}

/// Makes the arguments and the environment of one start.
///
/// `prompt` is given on the command line, where it arrives exactly (and is seen in `ps`); text that
/// begins with `/word` is a command there too. `system_prompt` is the file that holds what the launch
/// appends to the system prompt: Claude Code reads it once, when it starts. Flags that take several
/// values come before `--`, because they would swallow the prompt.
///
/// # Errors
/// If the launch asks for what Chorus itself decides, or holds what cannot be passed.
pub fn invocation(
    launch: &Launch,
    start: &Start,
    name: &str,
    settings: &Value,
    system_prompt: Option<&str>,
    prompt: Option<&str>,
    profile: &Profile,
) -> Result<Invocation, LaunchError> {
    validate(launch)?;
    let mut args = Vec::new();
    match start {
        Start::New(id) => flag(&mut args, "--session-id", &id.0),
        Start::Resume(id) => flag(&mut args, "--resume", &id.0),
        Start::Fork { from, to } => {
            flag(&mut args, "--resume", &from.0);
            args.push("--fork-session".to_owned());
            flag(&mut args, "--session-id", &to.0);
        }
    }
    flag(&mut args, "--name", name);
    flag(&mut args, "--settings", &settings.to_string());
    let mode = launch.permission_mode.unwrap_or(PermissionMode::Default);
    flag(&mut args, "--permission-mode", mode.as_str());
    if let Some(model) = &launch.model {
        flag(&mut args, "--model", model);
    }
    if let Some(file) = system_prompt {
        flag(&mut args, "--append-system-prompt-file", file);
    }
    args.extend(launch.extra_args.iter().cloned());
    for (option, values) in [
        ("--allowedTools", &launch.allowed_tools),
        ("--disallowedTools", &launch.disallowed_tools),
        ("--add-dir", &launch.add_dirs),
    ] {
        if !values.is_empty() {
            args.push(option.to_owned());
            args.extend(values.iter().cloned());
        }
    }
    if let Some(config) = &launch.mcp_config {
        flag(&mut args, "--mcp-config", &config.to_string());
    }
    if let Some(prompt) = prompt {
        args.push("--".to_owned());
        args.push(prompt.to_owned());
    }
    if let Some(long) = args.iter().find(|arg| arg.len() > MAX_ARGUMENT) {
        let what = if Some(long.as_str()) == prompt { "prompt" } else { "launch" };
        let reason = format!("{} bytes; an argument may have {MAX_ARGUMENT}", long.len());
        return Err(LaunchError::new(what, reason));
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err(LaunchError::new("launch", "a NUL character cannot be passed"));
    }
    Ok(Invocation { args, env: environment(launch, profile) })
}

fn environment(launch: &Launch, profile: &Profile) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> =
        profile.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    env.extend(launch.env.clone());
    if let Some(dir) = &launch.claude_config_dir {
        env.insert(CONFIG_DIR.to_owned(), dir.clone());
    }
    env
}

/// Pushes an option and its value, which may begin with a dash.
fn flag(args: &mut Vec<String>, option: &str, value: &str) {
    if value.starts_with('-') {
        args.push(format!("{option}={value}"));
    } else {
        args.extend([option.to_owned(), value.to_owned()]);
    }
}

/// Whether a variable of the surrounding environment is passed on to Claude.
///
/// Chorus's own are not (the session's own are added by the caller), nor what marks a process as
/// one inside of Claude Code or tmux. `ANTHROPIC_*` and the user's `CLAUDE_CODE_*` settings are.
pub fn inherits(name: &str) -> bool {
    let ours = name.starts_with("CHORUS_") || name == "TMUX" || name.starts_with("TMUX_");
    !ours && !FOREIGN.contains(&name)
}

/// Variables that a Claude Code sets for what it runs.
const FOREIGN: [&str; 6] = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_TMPDIR",
    "CLAUDE_PROJECT_DIR",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Invocation, LaunchError, Start, inherits, invocation, validate};
    use crate::claude::profile::Profile;
    use crate::domain::ids::ConversationId;
    use crate::domain::session::{Launch, PermissionMode};

    fn id(text: &str) -> ConversationId {
        ConversationId(text.to_owned())
    }

    fn make(
        launch: &Launch,
        start: &Start,
        prompt: Option<&str>,
    ) -> Result<Invocation, LaunchError> {
        let file = launch.append_system_prompt.as_ref().map(|_| "/data/launch/1.md");
        let settings = json!({"hooks": {}});
        invocation(launch, start, "task-7", &settings, file, prompt, &Profile::of("2.1.329"))
    }

    #[test]
    fn a_plain_start_asks_for_permissions() {
        let made = make(&Launch::default(), &Start::New(id("u")), Some("-x !y")).expect("a start");
        assert_eq!(
            made.args,
            [
                "--session-id",
                "u",
                "--name",
                "task-7",
                "--settings",
                "{\"hooks\":{}}",
                "--permission-mode",
                "default",
                "--",
                "-x !y",
            ]
        );
        assert_eq!(made.env["CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN"], "1");
    }

    #[test]
    fn every_option_is_passed_and_lists_end_before_the_prompt() {
        let launch = Launch {
            model: Some("opus".into()),
            permission_mode: Some(PermissionMode::Plan),
            allowed_tools: vec!["Bash(git *)".into(), "Edit".into()],
            disallowed_tools: vec!["WebFetch".into()],
            mcp_config: Some(json!({"mcpServers": {}})),
            add_dirs: vec!["/a b".into()],
            env: [("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS".to_owned(), "0".to_owned())].into(),
            claude_config_dir: Some("/c".into()),
            append_system_prompt: Some("- be brief".into()),
            extra_args: vec!["--effort".into(), "high".into()],
            crash_restarts: 0,
            budget_usd: None,
        };
        let made = make(&launch, &Start::Resume(id("u")), None).expect("a start");
        assert_eq!(
            made.args[6..],
            [
                "--permission-mode",
                "plan",
                "--model",
                "opus",
                "--append-system-prompt-file",
                "/data/launch/1.md",
                "--effort",
                "high",
                "--allowedTools",
                "Bash(git *)",
                "Edit",
                "--disallowedTools",
                "WebFetch",
                "--add-dir",
                "/a b",
                "--mcp-config",
                "{\"mcpServers\":{}}",
            ]
        );
        assert_eq!(made.env["CLAUDE_CONFIG_DIR"], "/c");
        assert_eq!(made.env["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"], "0", "the launch's own wins");
        let fork = Start::Fork { from: id("a"), to: id("b") };
        let made = make(&Launch::default(), &fork, None).expect("a start");
        assert_eq!(made.args[..5], ["--resume", "a", "--fork-session", "--session-id", "b"]);
    }

    #[test]
    fn what_chorus_decides_is_refused_by_field() {
        let extra = |args: &[&str]| {
            let extra_args = args.iter().map(|a| (*a).to_owned()).collect();
            validate(&Launch { extra_args, ..Launch::default() })
        };
        for bad in [
            "--session-id",
            "--resume=x",
            "-r",
            "-p",
            "--print",
            "--bare",
            "--safe-mode",
            "--bg",
            "--settings={}",
            "--permission-mode",
            "--dangerously-skip-permissions",
            "--",
            "-cp",
            "--worktree",
            "--allowed-tools",
        ] {
            let error = extra(&["--verbose", bad]).expect_err(bad);
            assert_eq!(error.field, "extra_args[1]", "{bad}");
        }
        assert!(extra(&["update"]).is_err());
        assert_eq!(extra(&["--effort", "high", "--betas=x"]), Ok(()));
        assert_eq!(
            extra(&["--model", "x"]).expect_err("owned").to_string(),
            "extra_args[0]: --model is not available: use `model`"
        );
    }

    #[test]
    fn variables_are_checked_by_name() {
        let env = |name: &str, value: &str| {
            let env = [(name.to_owned(), value.to_owned())].into();
            validate(&Launch { env, ..Launch::default() })
        };
        assert_eq!(env("MY_VAR2", "x"), Ok(()));
        assert_eq!(env("ANTHROPIC_BASE_URL", "http://127.0.0.1"), Ok(()));
        for bad in ["", "1A", "A-B", "A=B", "CHORUS_X", "TMUX", "CLAUDECODE", "CLAUDE_CONFIG_DIR"] {
            assert_eq!(env(bad, "x").expect_err(bad).field, format!("env.{bad}"));
        }
        assert!(env("A", "x\0y").is_err());
    }

    #[test]
    fn what_cannot_be_passed_is_refused() {
        let start = Start::New(id("u"));
        let long = "x".repeat(131_072);
        let error = make(&Launch::default(), &start, Some(&long)).expect_err("too long");
        assert_eq!(error.field, "prompt");
        assert!(make(&Launch::default(), &start, Some(&long[1..])).is_ok());
        assert!(make(&Launch::default(), &start, Some("a\0b")).is_err());
        let dashed = Launch { add_dirs: vec!["--x".into()], ..Launch::default() };
        assert_eq!(validate(&dashed).expect_err("dashed").field, "add_dirs[0]");
        let mcp = Launch { mcp_config: Some(json!([])), ..Launch::default() };
        assert_eq!(validate(&mcp).expect_err("a list").field, "mcp_config");
    }

    #[test]
    fn marks_of_other_programs_are_not_inherited() {
        for name in ["PATH", "ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CHORUSES", "TMUXX"] {
            assert!(inherits(name), "{name}");
        }
        for name in ["CHORUS_TOKEN", "CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "TMUX", "TMUX_PANE"] {
            assert!(!inherits(name), "{name}");
        }
    }
}
