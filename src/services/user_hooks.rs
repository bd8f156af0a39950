//! Chorus's hooks in the user's own settings: installing them, and undoing it exactly.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::claude::hooks::{SUBSCRIBED, UserHooksError, user};
use crate::claude::paths;
use crate::config::DataDir;

/// Settings are small; what is longer is not theirs.
const MAX_BYTES: u64 = 4 << 20;

/// Why the settings were left alone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no place for them.
    #[error(
        "neither HOME nor CLAUDE_CONFIG_DIR is set: there is no place for Claude Code's settings"
    )]
    NoHome,
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path} is left as it is: {error}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why.
        error: UserHooksError,
    },
}

/// What is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UserHooks)]
pub struct Status {
    /// The settings.
    #[schema(value_type = String)]
    pub settings: PathBuf,
    /// How many of the events are subscribed to.
    pub events: usize,
    /// How many there are.
    pub of: usize,
    /// The program that the hooks run.
    #[schema(value_type = Option<String>)]
    pub program: Option<PathBuf>,
    /// That program is not there any more, or not all events are subscribed to.
    pub stale: bool,
}

/// What was there before, to be put back as it was.
#[derive(Serialize, Deserialize)]
struct Undo {
    settings: PathBuf,
    /// None if there was no file.
    before: Option<String>,
    after: String,
}

/// The user's settings of Claude Code, symbolic links resolved.
fn settings_file() -> Result<PathBuf, Error> {
    let dir = paths::config_dir(|name| std::env::var(name).ok()).ok_or(Error::NoHome)?;
    let file = dir.join("settings.json");
    Ok(file.canonicalize().unwrap_or(file))
}

fn undo_file(data: &DataDir) -> PathBuf {
    data.0.join("user-hooks.json")
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| Error::Io { path: path.to_owned(), error }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(io(path)(std::io::Error::other("too large for settings")));
        }
        _ => {}
    }
    fs::read_to_string(path).map(Some).map_err(io(path))
}

/// Writes a file whole or not at all; one that is there keeps its mode.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mode = fs::metadata(path).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(io(dir))?;
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let written = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    written().map_err(|error| {
        let _ = fs::remove_file(&part);
        io(path)(error)
    })
}

/// Adds the hooks. Doing it again renews them.
pub fn install(data: &DataDir, program: &Path) -> Result<Status, Error> {
    let path = settings_file()?;
    let before = read(&path)?;
    let refused = |error| Error::Settings { path: path.clone(), error };
    let text = before.clone().unwrap_or_default();
    let after = user::add(&text, program, &data.socket()).map_err(refused)?;
    let again = user::installed(&text).is_ok_and(|hooks| !hooks.is_empty());
    let earlier = undo(data).filter(|undo| undo.settings == path && undo.after == text);
    // What is to be put back is what was there before the first time.
    let before = match earlier {
        Some(undo) => undo.before,
        None if again => Some(user::remove(&text).map_err(refused)?),
        None => before,
    };
    let note = Undo { settings: path.clone(), before, after: after.clone() };
    let note = serde_json::to_string(&note).unwrap_or_default();
    write(&undo_file(data), &note)?;
    write(&path, &after)?;
    status(&path)
}

fn undo(data: &DataDir) -> Option<Undo> {
    serde_json::from_str(&read(&undo_file(data)).ok()??).ok()
}

/// Removes the hooks. Settings that nobody has changed since become what they were, byte by byte; of
/// others only the hooks are taken out.
pub fn uninstall(data: &DataDir) -> Result<Status, Error> {
    let path = settings_file()?;
    if let Some(text) = read(&path)? {
        match undo(data).filter(|undo| undo.settings == path && undo.after == text) {
            Some(Undo { before: Some(before), .. }) => write(&path, &before)?,
            Some(Undo { before: None, .. }) => fs::remove_file(&path).map_err(io(&path))?,
            None => {
                let refused = |error| Error::Settings { path: path.clone(), error };
                let without = user::remove(&text).map_err(refused)?;
                if without != text {
                    write(&path, &without)?;
                }
            }
        }
    }
    let _ = fs::remove_file(undo_file(data));
    status(&path)
}

/// Tells what is installed.
pub fn look() -> Result<Status, Error> {
    status(&settings_file()?)
}

fn status(path: &Path) -> Result<Status, Error> {
    let refused = |error| Error::Settings { path: path.to_owned(), error };
    let hooks = user::installed(&read(path)?.unwrap_or_default()).map_err(refused)?;
    let program = hooks.first().map(|hook| PathBuf::from(&hook.command));
    let missing = program.as_ref().is_some_and(|program| !program.is_file());
    let events = hooks.len();
    let stale = missing || events > 0 && events != SUBSCRIBED.len();
    Ok(Status { settings: path.to_owned(), events, of: SUBSCRIBED.len(), program, stale })
}
