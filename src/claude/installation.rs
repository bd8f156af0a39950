//! The Claude Code that is installed: where it is, whether it is ready, what would get in the way.
//!
//! No secret's value is read into a finding: keys are counted, logins are named.

mod config;
mod stale;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

pub use config::{GlobalConfig, git_root};
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use stale::{StaleHook, stale_hooks};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use utoipa::ToSchema;

use super::json;
use super::launch::inherits;
use super::paths;
use super::profile::Profile;

/// How long a question to the binary may take. It starts in 0.3 to 1 s on a quiet machine.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The most that is read of an answer, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could, or not everywhere.
    Warn,
    /// Sessions will not start.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How serious it is.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), remedy: None }
    }

    fn bad(level: Level, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level, what: what.into(), remedy: Some(remedy.into()) }
    }
}

/// Why the binary could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It could not be run.
    #[error("cannot run {binary}: {error}", binary = .binary.display())]
    Io {
        /// The binary.
        binary: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It did not answer in time.
    #[error("{binary} did not answer within {}s", .after.as_secs(), binary = .binary.display())]
    Timeout {
        /// The binary.
        binary: PathBuf,
        /// How long it had.
        after: Duration,
    },
    /// Its answer makes no sense.
    #[error("{binary} answered something unexpected: {answer:?}", binary = .binary.display())]
    Answer {
        /// The binary.
        binary: PathBuf,
        /// The beginning of what it said.
        answer: String,
    },
}

/// Whether somebody is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Somebody is.
    pub logged_in: bool,
    /// How (`api_key`, `oauth`, …; `none`).
    pub method: Option<String>,
}

/// Finds the binary: the configured one, else the first `claude` on `path` (as in `$PATH`).
pub fn find(configured: Option<&Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    if let Some(configured) = configured {
        let named = configured.components().count() == 1 && !configured.is_absolute();
        if !named {
            return is_executable(configured).then(|| configured.to_owned());
        }
    }
    let name = configured.unwrap_or(Path::new("claude"));
    std::env::split_paths(path?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Asks the binary for its version, as it prints it (`2.1.329 (Claude Code)`).
///
/// # Errors
/// If it cannot be run, is too slow, or prints no version.
pub async fn version(binary: &Path, timeout: Duration) -> Result<String, AskError> {
    let answer = ask(binary, &["--version"], &[], timeout).await?;
    let text = String::from_utf8_lossy(&answer).trim().to_owned();
    if Profile::of(&text).version.is_some() {
        Ok(text)
    } else {
        Err(AskError::Answer {
            binary: binary.to_owned(),
            answer: text.chars().take(200).collect(),
        })
    }
}

/// Asks the binary whether somebody is logged in. `env` is set on top of the surrounding
/// environment (another configuration folder, a key).
///
/// # Errors
/// If it cannot be run, is too slow, or prints no JSON (exit code 1 with JSON is "not logged in").
pub async fn login(
    binary: &Path,
    env: &[(String, String)],
    timeout: Duration,
) -> Result<Login, AskError> {
    let answer = ask(binary, &["auth", "status"], env, timeout).await?;
    parse_login(&answer).ok_or_else(|| AskError::Answer {
        binary: binary.to_owned(),
        answer: String::from_utf8_lossy(&answer).chars().take(200).collect(),
    })
}

fn parse_login(answer: &[u8]) -> Option<Login> {
    let value = json::parse(answer).ok()?;
    let logged_in = value.get("loggedIn").and_then(Value::as_bool)?;
    let method = value.get("authMethod").and_then(Value::as_str).map(str::to_owned);
    Some(Login { logged_in, method })
}

/// Runs the binary and reads what it prints; its exit code says nothing that it does not print.
async fn ask(
    binary: &Path,
    args: &[&str],
    env: &[(String, String)],
    timeout: Duration,
) -> Result<Vec<u8>, AskError> {
    let failed = |error| AskError::Io { binary: binary.to_owned(), error };
    let mut command = Command::new(binary);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if !name.to_str().is_some_and(inherits) {
            command.env_remove(&name);
        }
    }
    command.env("DISABLE_AUTOUPDATER", "1").envs(env.iter().map(|(k, v)| (k, v)));
    let mut child = command.spawn().map_err(failed)?;
    let answer = async {
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_OUTPUT).read_to_end(&mut answer).await?;
        }
        child.wait().await?;
        Ok(answer)
    };
    match tokio::time::timeout(timeout, answer).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(AskError::Timeout { binary: binary.to_owned(), after: timeout }),
    }
}

/// Looks at everything that a session in `folder` needs of Claude Code. `env` looks up variables.
pub async fn examine(
    configured: Option<&Path>,
    folder: &Path,
    env: impl Fn(&str) -> Option<String>,
    timeout: Duration,
) -> Vec<Finding> {
    let path = env("PATH");
    let Some(binary) = find(configured, path.as_deref().map(OsStr::new)) else {
        return vec![Finding::bad(
            Level::Fail,
            match configured {
                Some(path) => format!("no program at {}", path.display()),
                None => "no `claude` on the PATH".to_owned(),
            },
            "install Claude Code (npm install -g @anthropic-ai/claude-code), or set its path in the configuration",
        )];
    };
    let mut findings = Vec::new();
    let profile = match version(&binary, timeout).await {
        Ok(text) => {
            let profile = Profile::of(&text);
            findings.push(version_finding(&binary, &profile));
            profile
        }
        Err(error) => {
            findings.push(Finding::bad(
                Level::Fail,
                error.to_string(),
                "run it in a terminal and see what it says",
            ));
            return findings;
        }
    };
    findings.push(login_finding(login(&binary, &[], timeout).await));
    findings.extend(config_findings(folder, &profile, &env));
    let config_dir = paths::config_dir(&env);
    findings.extend(stale_hooks(folder, config_dir.as_deref()).into_iter().map(|hook| {
        Finding::bad(
            Level::Fail,
            format!(
                "{} runs `{}`, which no longer exists and blocks every call",
                hook.file.display(),
                hook.command
            ),
            "remove this hook from the file; Chorus does its work",
        )
    }));
    findings
}

fn version_finding(binary: &Path, profile: &Profile) -> Finding {
    let at = binary.display();
    match profile.version {
        Some(version) if profile.untested => Finding::bad(
            Level::Warn,
            format!(
                "Claude Code {version} at {at} is not tested; it is treated like {}",
                profile.like
            ),
            "if something is amiss, report it with this version, or install a tested one",
        ),
        Some(version) => Finding::ok(format!("Claude Code {version} at {at}")),
        None => {
            Finding::bad(Level::Warn, format!("{at} has no known version"), "update Claude Code")
        }
    }
}

fn login_finding(login: Result<Login, AskError>) -> Finding {
    match login {
        Ok(Login { logged_in: true, method }) => {
            Finding::ok(format!("logged in ({})", method.as_deref().unwrap_or("unknown method")))
        }
        Ok(Login { logged_in: false, .. }) => Finding::bad(
            Level::Fail,
            "nobody is logged in to Claude Code",
            "run `claude` in a terminal and /login, or set ANTHROPIC_API_KEY",
        ),
        Err(error) => Finding::bad(
            Level::Warn,
            format!("whether somebody is logged in is unknown: {error}"),
            "run `claude auth status` in a terminal",
        ),
    }
}

fn config_findings(
    folder: &Path,
    profile: &Profile,
    env: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let Some(file) = paths::global_config(&env) else {
        return vec![Finding::bad(Level::Fail, "HOME is not set", "set it")];
    };
    let config = match GlobalConfig::read(&file) {
        Ok(config) => config.unwrap_or_default(),
        Err(error) => {
            let what = format!("{}: {error}", file.display());
            return vec![Finding::bad(Level::Fail, what, "run `claude` once in a terminal")];
        }
    };
    let mut findings = Vec::new();
    findings.push(if config.onboarded {
        Finding::ok("Claude Code's first-start questions are answered")
    } else {
        Finding::bad(
            Level::Fail,
            "Claude Code's first-start questions are not answered",
            "run `claude` once in a terminal",
        )
    });
    let sandboxed = env("CLAUDE_CODE_SANDBOXED").is_some_and(|value| value == "1");
    findings.push(if sandboxed || config.trusts(folder, profile) {
        Finding::ok(format!("{} is trusted", folder.display()))
    } else {
        let root = git_root(folder).unwrap_or_else(|| folder.to_owned());
        Finding::bad(
            Level::Warn,
            format!("{} is not trusted: Claude Code will ask at the start", folder.display()),
            format!("run `claude` once in {} and trust it", root.display()),
        )
    });
    if let Some(key) = env("ANTHROPIC_API_KEY").filter(|key| !key.is_empty())
        && !config.approves_key(&key)
    {
        findings.push(Finding::bad(
            Level::Warn,
            "the API key in the environment is not approved: Claude Code will ask at the start",
            "run `claude` once in a terminal and approve it, or use ANTHROPIC_AUTH_TOKEN",
        ));
    }
    findings
}

#[cfg(test)]
mod tests;
