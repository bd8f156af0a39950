//! What can be done with sessions and panes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Tmux;
use super::error::TmuxError;
use super::format::{PANE_FORMAT, read_pane};
use super::quote::{CommandLine, DEAD, MAX_ARGUMENT, check_text};
use super::types::{Capture, Key, NewSession, Pane, PaneId, Scope};

/// The longest text that is pasted, in bytes. Longer ones belong in a file.
pub const MAX_PASTE: usize = 1 << 20;
/// The user option that carries a folder past format expansion.
const CWD_OPTION: &str = "@chorus_cwd";

impl Tmux {
    /// Lists the panes of all sessions but the keeper.
    pub async fn list_panes(&self) -> Result<Vec<Pane>, TmuxError> {
        let line = CommandLine::new("list-panes").raw("-a -F").arg(PANE_FORMAT);
        let body = self.run(line).await?.pop().unwrap_or_default();
        let mut panes = Vec::new();
        for line in body.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            let pane = read_pane(line).ok_or_else(|| TmuxError::unexpected("list-panes", line))?;
            if pane.session != self.config.keeper {
                if pane.dead && pane.dead_status.is_none() && pane.dead_signal.is_none() {
                    self.server.reap();
                }
                panes.push(pane);
            }
        }
        Ok(panes)
    }

    /// Makes a session and starts its program in it.
    ///
    /// The pane remains when the program ends; the session has no status line, so that the program
    /// has every row. That the program cannot be executed shows as an early end with status 1.
    ///
    /// # Errors
    /// [`TmuxError::Exists`] if the name is taken, [`TmuxError::Invalid`] for arguments that
    /// cannot be passed on.
    pub async fn new_session(&self, new: NewSession) -> Result<Pane, TmuxError> {
        check_name(&new.name)?;
        let (target, size) =
            (format!("={}:", new.name), format!("-x {} -y {}", new.width, new.height));
        let line = with_cwd(&new.cwd, "new-session")?;
        let line = line.raw("-d -P -F").arg(PANE_FORMAT).raw("-s").arg(&new.name);
        let line = line.raw("-n").arg(&new.name).raw(size);
        let line = add_program(line, &new.env, &new.argv)?;
        // On one line: a program that ends at once must find the option set.
        let line = line.then("set-option").raw("-w -t").arg(&target).raw("remain-on-exit on");
        let line = line.then("set-option").raw("-t").arg(&target).raw("status off");
        let bodies = self.run(line).await?;
        let body = bodies.get(1).map_or(&[][..], Vec::as_slice);
        read_pane(body).ok_or_else(|| TmuxError::unexpected("new-session", body))
    }

    /// Starts a program in a pane that exists, ending what still runs there.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] without the pane, [`TmuxError::Invalid`] as for `new_session`.
    pub async fn respawn_pane(
        &self,
        pane: PaneId,
        cwd: &Path,
        env: &[(OsString, OsString)],
        argv: &[OsString],
    ) -> Result<Pane, TmuxError> {
        let line = with_cwd(cwd, "respawn-pane")?.raw(format!("-k -t {pane}"));
        let line = add_program(line, env, argv)?;
        let line = line.then("display-message").raw(format!("-p -t {pane}")).arg(PANE_FORMAT);
        let body = self.run(line).await?.pop().unwrap_or_default();
        read_pane(&body).ok_or_else(|| TmuxError::unexpected("respawn-pane", &body))
    }

    /// Ends a session with all its panes; their programs get SIGHUP.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] if there is none.
    pub async fn kill_session(&self, name: &str) -> Result<(), TmuxError> {
        check_name(name)?;
        let line = CommandLine::new("kill-session").raw("-t").arg(format!("={name}"));
        self.run(line).await.map(drop)
    }

    /// Closes a pane; its program gets SIGHUP.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] if there is none.
    pub async fn kill_pane(&self, pane: PaneId) -> Result<(), TmuxError> {
        self.run(CommandLine::new("kill-pane").raw(format!("-t {pane}"))).await.map(drop)
    }

    /// Reads what a pane shows: one line for each row, without trailing blanks.
    ///
    /// Bytes that are no UTF-8 are replaced. In a dead pane tmux adds a last line that says so, which
    /// moves the first row into the scrollback.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] if there is none.
    pub async fn capture(&self, pane: PaneId, what: Capture) -> Result<String, TmuxError> {
        let mut line = CommandLine::new("capture-pane").raw(format!("-p -t {pane}"));
        if what.escapes {
            line = line.raw("-e");
        }
        if what.scrollback > 0 {
            line = line.raw(format!("-S -{}", what.scrollback));
        }
        let body = self.run(line.fenced()).await?.pop().unwrap_or_default();
        Ok(String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Reads what a pane shows, with escapes, and where its cursor is (column, row).
    ///
    /// The two are asked one after the other, so the answer counts only if the cursor has not moved
    /// in between; a busy program gets a few tries.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] if there is none.
    pub async fn look(&self, pane: PaneId) -> Result<(String, (u32, u32)), TmuxError> {
        let what = Capture { escapes: true, scrollback: 0 };
        let mut before = self.cursor(pane).await?;
        for _ in 0..5 {
            let screen = self.capture(pane, what).await?;
            let after = self.cursor(pane).await?;
            if before == after {
                return Ok((screen, after));
            }
            before = after;
        }
        Ok((self.capture(pane, what).await?, before))
    }

    async fn cursor(&self, pane: PaneId) -> Result<(u32, u32), TmuxError> {
        let line = CommandLine::new("display-message").raw(format!("-p -t {pane}"));
        let line = line.arg("#{cursor_x} #{cursor_y}");
        let body = self.run(line).await?.pop().unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let mut numbers = text.split_whitespace().map(|n| n.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(x), Some(y)) => Ok((x, y)),
            _ => Err(TmuxError::unexpected("display-message", &body)),
        }
    }

    /// Pastes text, byte for byte, as a bracketed paste if the program has asked for those.
    ///
    /// Newlines stay LF. From tmux 3.7 on, control characters other than newline and tab arrive in
    /// caret notation; refuse them before.
    ///
    /// # Errors
    /// [`TmuxError::PaneDead`] if the program has ended, [`TmuxError::NotFound`] without the pane,
    /// [`TmuxError::Invalid`] for a NUL or more than [`MAX_PASTE`] bytes.
    pub async fn paste(&self, pane: PaneId, text: &str) -> Result<(), TmuxError> {
        if text.is_empty() {
            return Ok(());
        }
        let (line, buffer) = paste(pane, text)?;
        let outcome = self.run_if_alive(pane, line).await;
        if let Err(TmuxError::PaneDead(_) | TmuxError::NotFound { .. }) = outcome {
            self.run(CommandLine::new("delete-buffer").raw(format!("-b {buffer}"))).await?;
        }
        outcome
    }

    /// Presses a key. A person's copy mode in that pane is left first, or it would take the key.
    ///
    /// # Errors
    /// [`TmuxError::PaneDead`] if the program has ended, [`TmuxError::NotFound`] without the pane.
    pub async fn send_key(&self, pane: PaneId, key: Key) -> Result<(), TmuxError> {
        let line = CommandLine::new("copy-mode").raw(format!("-q -t {pane}"));
        let press = format!("send-keys -t {pane} {}", key.name());
        self.run_if_alive(pane, line.then_if_alive(pane, &press)).await
    }

    /// Sets an option. The value is taken as it is.
    ///
    /// # Errors
    /// [`TmuxError::Refused`] for an option or value that tmux does not know.
    pub async fn set_option(
        &self,
        scope: &Scope,
        name: &str,
        value: &str,
    ) -> Result<(), TmuxError> {
        let line = CommandLine::new("set-option");
        let line = match scope {
            Scope::Server => line.raw("-s"),
            Scope::Global => line.raw("-g"),
            Scope::GlobalWindow => line.raw("-wg"),
            Scope::Session(session) => line.raw("-t").arg(format!("={session}:")),
            Scope::Pane(pane) => line.raw(format!("-p -t {pane}")),
        };
        check_text("the option", name.as_bytes(), 256)?;
        check_text("the option's value", value.as_bytes(), MAX_PASTE)?;
        self.run(line.raw("--").arg(name).arg(value)).await.map(drop)
    }

    /// Runs a line whose last command is one of `then_if_alive`.
    async fn run_if_alive(&self, pane: PaneId, line: CommandLine) -> Result<(), TmuxError> {
        let last = self.run(line).await?.pop().unwrap_or_default();
        if last == DEAD.as_bytes() { Err(TmuxError::PaneDead(pane)) } else { Ok(()) }
    }
}

/// The line that pastes text, and the name of the buffer that it leaves if the pane is dead.
pub(super) fn paste(pane: PaneId, text: &str) -> Result<(CommandLine, String), TmuxError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    check_text("the text", text.as_bytes(), MAX_PASTE)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let buffer = format!("chorus-{}-{number}", std::process::id());
    let line = CommandLine::new("set-buffer").raw(format!("-b {buffer} --")).arg(text);
    let paste = format!("paste-buffer -p -r -d -b {buffer} -t {pane}");
    Ok((line.then_if_alive(pane, &paste), buffer))
}

/// Refuses session names that mean something to tmux's targets or formats.
pub(super) fn check_name(name: &str) -> Result<(), TmuxError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || name.len() > 200 || name.starts_with('-') || !name.bytes().all(plain) {
        let why = format!("{name:?}: use letters, digits, - and _, not - first, at most 200");
        return Err(TmuxError::Invalid { what: "the session's name", why });
    }
    Ok(())
}

/// Begins `command` with its folder.
///
/// `-c` is a format, in which a folder's name could run a program (`#(…)`); the value of an option
/// is inserted without being expanded again.
fn with_cwd(cwd: &Path, command: &'static str) -> Result<CommandLine, TmuxError> {
    let bytes = cwd.as_os_str().as_bytes();
    check_text("the folder", bytes, 4096)?;
    if !cwd.is_absolute() {
        let why = format!("{} is not absolute", cwd.display());
        return Err(TmuxError::Invalid { what: "the folder", why });
    }
    let mut line = CommandLine::new("set-option").raw("-g").raw(CWD_OPTION).arg(bytes);
    line.label = command;
    Ok(line.then(command).raw("-c").arg(format!("#{{{CWD_OPTION}}}")))
}

/// Ends a command with variables and a program.
///
/// tmux executes several words directly but gives a single one to a shell, so a program without
/// arguments goes through `env`, which replaces itself by it.
fn add_program(
    mut line: CommandLine,
    env: &[(OsString, OsString)],
    argv: &[OsString],
) -> Result<CommandLine, TmuxError> {
    let invalid = |why: &str| TmuxError::Invalid { what: "the program", why: why.into() };
    for (key, value) in env {
        if key.is_empty() || key.as_bytes().contains(&b'=') {
            let why = format!("{key:?} is no name of a variable");
            return Err(TmuxError::Invalid { what: "the environment", why });
        }
        let pair = [key.as_bytes(), b"=", value.as_bytes()].concat();
        check_text("an environment variable", &pair, MAX_ARGUMENT - 1)?;
        line = line.raw("-e").arg(pair);
    }
    let program = argv.first().filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| invalid("it is empty"))?;
    line = line.raw("--");
    if argv.len() == 1 {
        if program.as_bytes().contains(&b'=') || program.as_bytes().starts_with(b"-") {
            return Err(invalid("alone, its name must not hold = or begin with -"));
        }
        line = line.arg(OsStr::new("env").as_bytes());
    }
    for argument in argv {
        check_text("an argument of the program", argument.as_bytes(), MAX_ARGUMENT - 1)?;
        line = line.arg(argument.as_bytes());
    }
    Ok(line)
}
