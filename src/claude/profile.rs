//! What differs between versions of Claude Code, as data.
//!
//! Two versions were recorded: 2.1.197 and 2.1.329. A version between or after them runs on the
//! newer profile, because each of its choices is harmless in the older version too (the hooks and
//! settings were tried in both), while the older profile's are not harmless in the newer.

use std::fmt;
use std::str::FromStr;

/// A version of Claude Code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 2 in 2.1.329.
    pub major: u32,
    /// 1 in 2.1.329.
    pub minor: u32,
    /// 329 in 2.1.329.
    pub patch: u32,
}

/// The text is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a version such as 2.1.329")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    /// Reads the first word of `claude --version` (`2.1.329 (Claude Code)`), with or without a
    /// suffix such as `-beta.1`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let word = text.split_whitespace().next().ok_or(VersionError)?;
        let word = word.strip_prefix('v').unwrap_or(word);
        let number = word.split(['-', '+']).next().ok_or(VersionError)?;
        let mut parts = number.split('.').map(|part| part.parse().map_err(|_| VersionError));
        let mut next = || parts.next().ok_or(VersionError)?;
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(VersionError) } else { Ok(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// How a version behaves where versions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The version, if it could be read.
    pub version: Option<Version>,
    /// The recorded version whose behaviour is expected.
    pub like: Version,
    /// Neither recorded version: what is expected was not tried.
    pub untested: bool,
    /// ` /compact` is a prompt (2.1.197) and no command (2.1.329).
    pub leading_blank_disarms_slash: bool,
    /// Permission dialogs may have a row that allows and switches to the auto mode, and the default
    /// mode is that mode: pass `--permission-mode` always, and disable it by settings.
    pub disable_auto_mode: bool,
    /// Dialogs at the start have the refusing row selected, and their rows have no numbers.
    pub start_dialogs_refuse_by_default: bool,
    /// `UserPromptSubmit` of a queued prompt comes when it is queued; otherwise when it is sent,
    /// and not at all if it is taken up within the running turn.
    pub queued_prompts_are_reported_at_once: bool,
    /// A paste of four lines or 800 characters arrives wrapped in `<pasted_content>`, unless it
    /// comes in smaller pieces.
    pub wraps_long_pastes: bool,
    /// Sub-agents run in the background unless that is switched off.
    pub background_subagents: bool,
    /// `--resume` works from another directory than the conversation began in.
    pub resumes_anywhere: bool,
    /// Variables for every launch, unless the launch sets them itself.
    pub env: &'static [(&'static str, &'static str)],
}

/// The older recorded version.
pub const OLDER: Version = Version { major: 2, minor: 1, patch: 197 };

/// The newer recorded version.
pub const NEWER: Version = Version { major: 2, minor: 1, patch: 329 };

/// The first keeps the screen's text in the scrollback, as in the older version; the second makes
/// Claude wait for its sub-agents, so that the end of the turn is the end of the work (both tried
/// with 2.1.329; `0` in a launch's own environment switches either off).
const NEWER_ENV: &[(&str, &str)] =
    &[("CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN", "1"), ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")];

impl Profile {
    /// Chooses by what `claude --version` printed. Text that is no version runs on the newest
    /// profile, as untested.
    pub fn of(version: &str) -> Self {
        let version = version.parse().ok();
        match version {
            Some(v) if v <= OLDER => Self {
                version,
                like: OLDER,
                untested: v < OLDER,
                leading_blank_disarms_slash: true,
                disable_auto_mode: false,
                start_dialogs_refuse_by_default: false,
                queued_prompts_are_reported_at_once: false,
                wraps_long_pastes: false,
                background_subagents: false,
                resumes_anywhere: false,
                env: &[],
            },
            _ => Self {
                version,
                like: NEWER,
                untested: version != Some(NEWER),
                leading_blank_disarms_slash: false,
                disable_auto_mode: true,
                start_dialogs_refuse_by_default: true,
                queued_prompts_are_reported_at_once: true,
                wraps_long_pastes: true,
                background_subagents: true,
                // Only the newest does; in between, the stricter rule is safe.
                resumes_anywhere: version.is_some_and(|v| v >= NEWER),
                env: NEWER_ENV,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NEWER, OLDER, Profile, Version};

    #[test]
    fn versions_are_read() {
        assert_eq!("2.1.329 (Claude Code)".parse(), Ok(NEWER));
        assert_eq!("v2.1.197\n".parse(), Ok(OLDER));
        assert_eq!("3.0.0-beta.1".parse(), Ok(Version { major: 3, minor: 0, patch: 0 }));
        for bad in ["", "2.1", "2.1.x", "2.1.3.4", "Claude Code"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
        assert_eq!(NEWER.to_string(), "2.1.329");
    }

    #[test]
    fn each_version_has_its_profile() {
        let of = |v| Profile::of(v);
        assert!(of("2.1.197 (Claude Code)").leading_blank_disarms_slash);
        assert!(!of("2.1.197").untested && !of("2.1.329").untested);
        for version in ["2.1.198", "2.1.250", "2.1.330", "3.0.0", "garbage"] {
            let profile = of(version);
            assert_eq!((profile.like, profile.untested), (NEWER, true), "{version}");
        }
        assert_eq!((of("2.0.5").like, of("2.0.5").untested), (OLDER, true));
    }
}
