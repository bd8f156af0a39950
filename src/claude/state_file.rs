//! State files: `sessions/<pid>.json`, in which each running Claude Code says what it does.
//!
//! The file is rewritten in place (truncate, write), so a reader may see an empty or half one:
//! [`StateError::Json`] means "read again in 5 ms", never "gone". It is written 6–130 ms after what
//! it tells of, and its times are not ordered finer than 250 ms against those of hooks. `idle` is
//! said for up to 300 ms at the start although a prompt is about to run, and for 10–90 ms between
//! the end of a turn and a queued prompt. After SIGKILL the file stays: compare pid and start time
//! (all recorded from 2.1.197 and 2.1.329).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::json::{self, kind, text};
pub use super::paths::sessions_dir;
use crate::domain::ids::ConversationId;
use crate::domain::observation::Fact;
use crate::domain::session::{ClaudeStatus, Process};
use crate::domain::time::Timestamp;

/// The longest file that is read, in bytes. Real ones have a few hundred.
const MAX_BYTES: u64 = 256 << 10;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no JSON; most likely it is being written.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but no object.
    #[error("expected an object, found {0}")]
    NoObject(&'static str),
    /// `pid` is missing or no process id.
    #[error("`pid` must be a process id")]
    Pid,
    /// It is far too long for a state file.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
}

/// What a state file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFile {
    /// The process.
    pub pid: u32,
    /// Its start time in clock ticks since boot, as in `/proc/<pid>/stat`.
    pub proc_start: Option<u64>,
    /// The conversation.
    pub session_id: Option<ConversationId>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The name given with `--name`, or one that Claude Code made.
    pub name: Option<String>,
    /// What it does. `None` if the file does not say, or in a word that is not known.
    pub status: Option<ClaudeStatus>,
    /// The word itself.
    pub status_word: Option<String>,
    /// What it waits for: `permission prompt`, `input needed`, `dialog open`, …
    pub waiting_for: Option<String>,
    /// Since when the status holds.
    pub status_at: Option<Timestamp>,
    /// When the process started.
    pub started_at: Option<Timestamp>,
    /// The version of Claude Code.
    pub version: Option<String>,
    /// `interactive`, `headless`, …
    pub kind: Option<String>,
}

impl StateFile {
    /// The process, if the file says when it started.
    pub fn process(&self) -> Option<Process> {
        Some(Process { pid: self.pid, start: self.proc_start? })
    }

    /// The fact, if the status is one that is known.
    pub fn fact(&self) -> Option<Fact> {
        Some(Fact::StateFile { status: self.status?, waiting_for: self.waiting_for.clone() })
    }
}

/// Reads the contents of a state file. Fields that are missing or of another kind are `None`.
///
/// # Errors
/// If it is no JSON object with a `pid`.
pub fn parse(bytes: &[u8]) -> Result<StateFile, StateError> {
    let map = match json::parse(bytes)? {
        Value::Object(map) => map,
        other => return Err(StateError::NoObject(kind(&other))),
    };
    let pid = map.get("pid").and_then(Value::as_u64);
    let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let owned = |key| text(&map, key).map(str::to_owned);
    let status_word = owned("status");
    Ok(StateFile {
        pid: pid.ok_or(StateError::Pid)?,
        proc_start: start_time(&map),
        session_id: owned("sessionId").map(ConversationId),
        cwd: owned("cwd"),
        name: owned("name"),
        status: match status_word.as_deref() {
            Some("idle") => Some(ClaudeStatus::Idle),
            Some("busy") => Some(ClaudeStatus::Busy),
            Some("waiting") => Some(ClaudeStatus::Waiting),
            _ => None,
        },
        status_word,
        waiting_for: owned("waitingFor"),
        status_at: time(&map, "statusUpdatedAt").or_else(|| time(&map, "updatedAt")),
        started_at: time(&map, "startedAt"),
        version: owned("version"),
        kind: owned("kind"),
    })
}

/// Reads a state file. `None` if there is none.
///
/// # Errors
/// If it cannot be read, or as [`parse`].
pub fn read(path: &Path) -> Result<Option<StateFile>, StateError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(StateError::TooLong);
    }
    parse(&bytes).map(Some)
}

/// The process id that a file in the folder of state files is named by; `None` for any other file
/// (2.1.329 keeps a `<pid>.<hash>.key` beside each).
pub fn pid_of(path: &Path) -> Option<u32> {
    (path.extension()? == "json").then_some(())?;
    path.file_stem()?.to_str()?.parse().ok()
}

/// `procStart` is a string of digits; a number would do too.
fn start_time(map: &Map<String, Value>) -> Option<u64> {
    match map.get("procStart")? {
        Value::String(s) => s.parse().ok(),
        other => other.as_u64(),
    }
}

/// Milliseconds since the epoch.
fn time(map: &Map<String, Value>, key: &str) -> Option<Timestamp> {
    map.get(key).and_then(Value::as_i64).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::json;

    use super::{StateError, parse, pid_of, read};
    use crate::domain::observation::Fact;
    use crate::domain::session::{ClaudeStatus, Process};
    use crate::domain::time::Timestamp;

    const RECORDED: &[u8] =
        include_bytes!("../../tests/fixtures/claude/examples/sessions-PID.json");

    #[test]
    fn a_recording_is_read() {
        let state = parse(RECORDED).expect("a state");
        assert_eq!(state.process(), Some(Process { pid: 6307, start: 181_488 }));
        assert_eq!(
            state.session_id.as_ref().map(|id| id.0.as_str()),
            Some("41c27149-0ab0-4289-ada6-2b42f4a57476")
        );
        assert_eq!(
            (state.cwd.as_deref(), state.name.as_deref()),
            (Some("/project"), Some("task-7"))
        );
        assert_eq!(state.status_at, Some(Timestamp(1_795_195_234_543)));
        assert_eq!(
            (state.version.as_deref(), state.kind.as_deref()),
            (Some("2.1.197"), Some("interactive"))
        );
        assert_eq!(
            state.fact(),
            Some(Fact::StateFile {
                status: ClaudeStatus::Waiting,
                waiting_for: Some("permission prompt".into())
            })
        );
    }

    #[test]
    fn the_newer_version_is_read_too() {
        let state =
            parse(include_bytes!("../../tests/fixtures/claude/examples/sessions-PID-2.1.329.json"))
                .expect("a state");
        assert_eq!(state.process(), Some(Process { pid: 1819, start: 248_143 }));
        assert_eq!(state.status, Some(ClaudeStatus::Busy));
        assert_eq!(state.version.as_deref(), Some("2.1.329"));
    }

    #[test]
    fn an_unknown_status_loses_only_itself() {
        let body = json!({"pid": 7, "status": "dreaming", "cwd": 7, "procStart": 99, "name": "n"});
        let state = parse(body.to_string().as_bytes()).expect("a state");
        assert_eq!((state.status, state.fact()), (None, None));
        assert_eq!(state.status_word.as_deref(), Some("dreaming"));
        assert_eq!(
            (state.cwd, state.proc_start, state.name.as_deref()),
            (None, Some(99), Some("n"))
        );
    }

    #[test]
    fn half_a_file_is_told_apart_from_a_wrong_one() {
        assert!(matches!(parse(b""), Err(StateError::Json(_))));
        assert!(matches!(parse(&RECORDED[..60]), Err(StateError::Json(_))));
        assert!(matches!(parse(b"[]"), Err(StateError::NoObject("an array"))));
        for pid in [json!(null), json!(-1), json!(0), json!("7"), json!(5_000_000_000_u64)] {
            let body = json!({ "pid": pid }).to_string();
            assert!(matches!(parse(body.as_bytes()), Err(StateError::Pid)), "{body}");
        }
    }

    #[test]
    fn files_are_read_within_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("6307.json");
        assert!(matches!(read(&path), Ok(None)));
        std::fs::write(&path, RECORDED).expect("written");
        assert_eq!(read(&path).expect("read").expect("a state").pid, 6307);
        std::fs::write(&path, vec![b' '; 300 << 10]).expect("written");
        assert!(matches!(read(&path), Err(StateError::TooLong)));
    }

    #[test]
    fn only_state_files_have_a_pid() {
        assert_eq!(pid_of(Path::new("/c/sessions/6307.json")), Some(6307));
        for other in ["6307.abc.key", "x.json", "6307.json.tmp", "6307"] {
            assert_eq!(pid_of(Path::new(other)), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_mutated_recording_is_read_or_refused(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            end in any::<prop::sample::Index>(),
        ) {
            let mut bytes = RECORDED.to_vec();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = parse(&bytes);
            let _ = parse(&bytes[..end.index(bytes.len())]);
        }
    }
}
