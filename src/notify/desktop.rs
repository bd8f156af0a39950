//! Notifications of the desktop.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::program::{Failure, Program};
use crate::domain::direction::turns;

/// How long the desktop may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest line that is shown. Characters.
const TITLE: usize = 120;
/// The longest text that is shown. Characters.
const BODY: usize = 500;

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub title: String,
    /// Some lines.
    pub body: String,
    /// It stays until somebody has seen it.
    pub urgent: bool,
}

/// The way to the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desktop {
    /// By `notify-send`, which is here.
    NotifySend(PathBuf),
    /// By `osascript`, which is here.
    Osascript(PathBuf),
}

/// Why there is no way to a desktop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// Nobody sits here, or this was started without the session's environment.
    #[error("no desktop session is in the environment (neither D-Bus nor a display)")]
    NoSession,
    /// The program is missing.
    #[error("{0} is not installed")]
    NoProgram(&'static str),
}

impl Absent {
    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoSession => {
                "start the server from within the desktop session, or use notify.command; \
                 notify.desktop = false says that none is wanted"
            }
            Self::NoProgram(_) => {
                "install it (apt install libnotify-bin), or use notify.command; \
                 notify.desktop = false says that none is wanted"
            }
        }
    }
}

impl Desktop {
    /// Finds the way, by an environment such as this process's.
    ///
    /// # Errors
    /// See [`Absent`].
    pub fn find(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Absent> {
        let path = env("PATH").unwrap_or_default();
        let program = |name: &str| {
            std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file))
        };
        if cfg!(target_os = "macos") {
            return program("osascript").map(Self::Osascript).ok_or(Absent::NoProgram("osascript"));
        }
        let set = |name| env(name).filter(|value| !value.is_empty());
        let bus = |dir: OsString| Path::new(&dir).join("bus").exists();
        let session = ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"];
        if !session.into_iter().any(|name| set(name).is_some())
            && !set("XDG_RUNTIME_DIR").is_some_and(bus)
        {
            return Err(Absent::NoSession);
        }
        program("notify-send").map(Self::NotifySend).ok_or(Absent::NoProgram("notify-send"))
    }

    /// The program that it goes by.
    pub fn program(&self) -> &Path {
        match self {
            Self::NotifySend(path) | Self::Osascript(path) => path,
        }
    }

    /// Shows a message.
    ///
    /// # Errors
    /// What the program says, or that it took longer than five seconds.
    pub async fn show(&self, message: &Message) -> Result<(), Failure> {
        Program { argv: self.argv(message), ..Program::default() }.run(PATIENCE).await
    }

    fn argv(&self, message: &Message) -> Vec<OsString> {
        let title = plain(&message.title.replace('\n', " "), TITLE);
        let body = plain(&message.body, BODY);
        let words: Vec<String> = match self {
            Self::NotifySend(_) => {
                let urgency = if message.urgent { "critical" } else { "normal" };
                let options = ["--app-name=Chorus".into(), format!("--urgency={urgency}")];
                // `--` ends the options: what follows may begin with a dash.
                options.into_iter().chain(["--".into(), title, escaped(&body)]).collect()
            }
            Self::Osascript(_) => {
                // The texts are arguments of the script, not a part of it.
                let script = [
                    "on run argv",
                    "display notification (item 2 of argv) with title (item 1 of argv)",
                    "end run",
                ];
                let script = script.into_iter().flat_map(|line| ["-e".to_owned(), line.to_owned()]);
                script.chain(["--".into(), title, body]).collect()
            }
        };
        [self.program().into()].into_iter().chain(words.into_iter().map(Into::into)).collect()
    }
}

/// Without what could steer a terminal or turn the reading direction, and bounded.
fn plain(text: &str, most: usize) -> String {
    let kept = text.replace('\t', " ");
    let kept: Vec<char> =
        kept.chars().filter(|c| *c == '\n' || !c.is_control() && !turns(*c)).collect();
    let cut = kept.len() > most;
    kept.into_iter().take(most - usize::from(cut)).chain(cut.then_some('…')).collect()
}

/// The desktop reads the body as markup, and `notify-send` before it as C reads a string.
fn escaped(body: &str) -> String {
    body.replace('\\', "\\\\").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::{Absent, Desktop, Message};

    fn message(title: &str, body: &str) -> Message {
        Message { title: title.into(), body: body.into(), urgent: true }
    }

    #[test]
    fn hostile_text_is_only_text() {
        let way = Desktop::NotifySend("/usr/bin/notify-send".into());
        let hostile = message(
            "--help\u{1b}]0;x\u{7}\n\u{202e}x",
            "-h <b>&\"'`$(id)\\n\\101\u{0}\u{9b}31m\u{2066}\r\nnext",
        );
        assert_eq!(
            way.argv(&hostile),
            [
                "/usr/bin/notify-send",
                "--app-name=Chorus",
                "--urgency=critical",
                "--",
                "--help]0;x x",
                "-h &lt;b&gt;&amp;\"'`$(id)\\\\n\\\\10131m\nnext",
            ]
        );
        let way = Desktop::Osascript("/usr/bin/osascript".into());
        let argv = way.argv(&message("a\" & do shell script \"id", "b"));
        assert_eq!(argv[argv.len() - 3..], ["--", "a\" & do shell script \"id", "b"]);
    }

    #[test]
    fn long_text_is_cut() {
        let way = Desktop::NotifySend("n".into());
        let argv = way.argv(&message(&"t".repeat(10_000), &"é".repeat(10_000)));
        let length = |i: usize| argv[i].to_string_lossy().chars().count();
        assert_eq!((length(4), length(5)), (120, 500));
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn without_a_desktop_there_is_no_way_and_that_is_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let find = |session: bool| {
            Desktop::find(|name| match name {
                "PATH" => Some(dir.path().into()),
                "DISPLAY" if session => Some(":0".into()),
                _ => None,
            })
        };
        assert_eq!(find(false), Err(Absent::NoSession));
        assert_eq!(find(true), Err(Absent::NoProgram("notify-send")));
        let file = dir.path().join("notify-send");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(find(true), Err(Absent::NoProgram("notify-send")), "it cannot be executed");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        assert_eq!(find(true), Ok(Desktop::NotifySend(file)));
    }
}
