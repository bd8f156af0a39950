//! What a launch may ask for.

use super::{LaunchError, inherits};
use crate::claude::paths::CONFIG_DIR;
use crate::domain::session::Launch;

/// Checks a launch.
///
/// # Errors
/// If it asks for what Chorus itself decides, or holds what cannot be passed.
pub fn validate(launch: &Launch) -> Result<(), LaunchError> {
    for (i, arg) in launch.extra_args.iter().enumerate() {
        extra_argument(arg, i == 0)
            .map_err(|reason| LaunchError::new(format!("extra_args[{i}]"), reason))?;
    }
    for (field, values) in [
        ("allowed_tools", &launch.allowed_tools),
        ("disallowed_tools", &launch.disallowed_tools),
        ("add_dirs", &launch.add_dirs),
    ] {
        for (i, value) in values.iter().enumerate() {
            if value.trim().is_empty() || value.starts_with('-') || value.contains('\0') {
                let reason = format!("{value:?} would not be taken as a value");
                return Err(LaunchError::new(format!("{field}[{i}]"), reason));
            }
        }
    }
    for (field, value) in [
        ("model", &launch.model),
        ("append_system_prompt", &launch.append_system_prompt),
        ("claude_config_dir", &launch.claude_config_dir),
    ] {
        if value.as_ref().is_some_and(|value| value.is_empty() || value.contains('\0')) {
            return Err(LaunchError::new(field, "must not be empty or hold a NUL character"));
        }
    }
    if launch.mcp_config.as_ref().is_some_and(|config| !config.is_object()) {
        return Err(LaunchError::new("mcp_config", "must be an object with `mcpServers`"));
    }
    for (name, value) in &launch.env {
        variable(name, value).map_err(|reason| LaunchError::new(format!("env.{name}"), reason))?;
    }
    Ok(())
}

/// Options that Chorus sets itself, or that would take the session out of its hands; each with what
/// to use instead.
const OWNED: &[(&str, &str)] = &[
    ("--session-id", "Chorus chooses the conversation"),
    ("--resume", "Chorus chooses the conversation"),
    ("--continue", "Chorus chooses the conversation"),
    ("--fork-session", "Chorus chooses the conversation"),
    ("--from-pr", "Chorus chooses the conversation"),
    ("--teleport", "Chorus chooses the conversation"),
    ("--name", "the session has a name"),
    ("--settings", "Chorus's hooks are given by it; put settings into a settings file"),
    ("--permission-mode", "use `permission_mode`"),
    ("--dangerously-skip-permissions", "use `permission_mode`"),
    ("--allow-dangerously-skip-permissions", "use `permission_mode`"),
    ("--permission-prompt-tool", "Chorus answers"),
    ("--permission-prompts", "Chorus answers"),
    ("--model", "use `model`"),
    ("--allowedTools", "use `allowed_tools`"),
    ("--allowed-tools", "use `allowed_tools`"),
    ("--disallowedTools", "use `disallowed_tools`"),
    ("--disallowed-tools", "use `disallowed_tools`"),
    ("--mcp-config", "use `mcp_config`"),
    ("--add-dir", "use `add_dirs`"),
    ("--append-system-prompt", "use `append_system_prompt`"),
    ("--append-system-prompt-file", "use `append_system_prompt`"),
    ("--print", "the session would not be interactive"),
    ("--input-format", "the session would not be interactive"),
    ("--output-format", "the session would not be interactive"),
    ("--no-session-persistence", "there would be no transcript"),
    ("--bare", "it switches Chorus's hooks off"),
    ("--safe-mode", "it switches Chorus's hooks off"),
    ("--bg", "the session would leave its terminal"),
    ("--background", "the session would leave its terminal"),
    ("--cloud", "the session would leave its terminal"),
    ("--desktop", "the session would leave its terminal"),
    ("--tmux", "the session has its own tmux"),
    ("--worktree", "use a worktree workspace"),
    ("--ax-screen-reader", "Chorus could not read the screen"),
    ("--help", "it starts no session"),
    ("--version", "it starts no session"),
];

fn extra_argument(arg: &str, first: bool) -> Result<(), String> {
    if arg == "--" || arg.contains('\0') {
        return Err(format!("{arg:?} cannot be passed"));
    }
    if arg.starts_with('-') && !arg.starts_with("--") {
        return Err(format!("write the long form of {arg:?}"));
    }
    if first && !arg.starts_with("--") {
        return Err(format!("{arg:?} is no option; it would be taken as a command or a prompt"));
    }
    let option = arg.split('=').next().unwrap_or(arg);
    match OWNED.iter().find(|(owned, _)| *owned == option) {
        Some((owned, instead)) => Err(format!("{owned} is not available: {instead}")),
        None => Ok(()),
    }
}

fn variable(name: &str, value: &str) -> Result<(), String> {
    let plain = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain {
        return Err("not a name for a variable: letters, digits and _ only".to_owned());
    }
    if name == CONFIG_DIR {
        return Err("use `claude_config_dir`".to_owned());
    }
    if !inherits(name) {
        return Err("Chorus sets or removes this variable itself".to_owned());
    }
    if matches!(name, "CLAUDE_CODE_SIMPLE" | "CLAUDE_CODE_SAFE_MODE") {
        return Err("it switches Chorus's hooks off".to_owned());
    }
    if value.contains('\0') {
        return Err("a NUL character cannot be passed".to_owned());
    }
    Ok(())
}
