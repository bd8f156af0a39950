//! Opening a document in a person's editor.
//!
//! The editor is a program with arguments, split into words here and run without a shell. One that needs
//! a terminal gets a session on Chorus's own tmux server, which goes when the editor ends; one with
//! windows of its own is started and left alone.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::{audit, files};
use crate::domain::audit::Actor;
use crate::domain::document::Document;
use crate::process;
use crate::services::error::Error;
use crate::services::{App, launch};
use crate::tmux::{Capture, NewSession, PaneId, Scope, Tmux, TmuxError};

/// An editor that ends sooner has not been able to begin.
const EARLY_END: Duration = Duration::from_millis(300);

/// How an editor is told where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// `+10 file`: vi and what came after it, nano, emacs, kakoune, micro.
    Plus,
    /// `file:10`: helix, zed, sublime text.
    Colon,
    /// `--goto file:10`: Visual Studio Code and its kin.
    Goto,
    /// Not known: the file alone.
    FileOnly,
}

/// What is known of an editor by its program's name: its habit, and whether it needs a terminal.
fn known(program: &str, words: &[String], windows: bool) -> (Habit, bool) {
    match program {
        "vi" | "vim" | "nvim" | "nano" | "kak" | "micro" | "jed" | "joe" | "mg" | "ne" => {
            (Habit::Plus, true)
        }
        "emacs" => {
            let in_terminal =
                words.iter().any(|w| w == "-nw" || w == "--no-window-system" || w == "-t");
            (Habit::Plus, in_terminal || !windows)
        }
        "emacsclient" => {
            let in_terminal = words.iter().any(|w| matches!(w.as_str(), "-t" | "-nw" | "--tty"));
            (Habit::Plus, in_terminal || !windows)
        }
        "gvim" | "mvim" | "gedit" | "kate" => (Habit::Plus, false),
        "hx" | "helix" => (Habit::Colon, true),
        "subl" | "zed" | "zeditor" => (Habit::Colon, false),
        "code" | "code-insiders" | "codium" | "cursor" | "windsurf" => (Habit::Goto, false),
        _ => (Habit::FileOnly, true),
    }
}

/// The arguments after the program: the person's own, and what leads to the line.
fn arguments(habit: Habit, own: &[String], file: &str, line: u32) -> Vec<String> {
    let mut args = own.to_vec();
    match habit {
        Habit::Plus => args.extend([format!("+{line}"), file.to_owned()]),
        Habit::Colon => args.push(format!("{file}:{line}")),
        Habit::Goto => args.extend(["--goto".to_owned(), format!("{file}:{line}")]),
        Habit::FileOnly => args.push(file.to_owned()),
    }
    args
}

/// Splits a command into words as a shell would, quotes and backslashes included, and nothing more.
fn words(command: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = chars.next().ok_or("ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("has a quote without its end");
    }
    words.extend(word);
    Ok(words)
}

/// Where an editor was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The tmux session it runs in, and the command that shows that; `None` if it has windows of its
    /// own.
    pub terminal: Option<(String, Vec<String>)>,
}

/// Opens a document's file at a line.
pub async fn open(
    app: &Arc<App>,
    document: &Document,
    line: u32,
    actor: Actor,
) -> Result<Opened, Error> {
    let root = super::root(app, document).await?;
    // Whatever leads out of the root is not shown either.
    let (at, path) = (root.clone(), document.path.clone());
    let there = super::blocking(move || files::stat(&at, &path)).await?;
    there.map_err(|e| super::trouble(&document.path, e))?;
    let file = root.join(&document.path);
    let file =
        file.to_str().ok_or_else(|| Error::invalid("document", "its path is not valid UTF-8"))?;
    let own = words(&app.config.editor).map_err(|why| {
        Error::conflict(format!("the setting `editor` ({:?}) {why}", app.config.editor))
    })?;
    let env = launch::environment(app).await;
    let Some((program, own)) = own.split_first() else {
        return Err(Error::conflict(
            "the setting `editor` is empty: set $EDITOR, or `editor` in chorus.toml",
        ));
    };
    let found = on_path(program, env.get("PATH").map_or("", String::as_str)).ok_or_else(|| {
        let why = format!("the editor {program:?} is not there: install it, or set `editor` in chorus.toml, CHORUS_EDITOR or EDITOR to another one");
        Error::conflict(why)
    })?;
    let windows = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|v| env.contains_key(*v))
        || cfg!(target_os = "macos");
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (habit, in_terminal) = known(&name, own, windows);
    let mut argv = vec![found.to_string_lossy().into_owned()];
    argv.extend(arguments(habit, own, file, line));
    let terminal = if in_terminal {
        Some(in_tmux(app, document, &root, &argv).await?)
    } else {
        detached(&argv, &root, env)?;
        None
    };
    let data = json!({ "path": document.path, "line": line, "editor": argv[0] });
    audit(app, actor, "document.opened", document, data).await?;
    Ok(Opened { argv, terminal })
}

/// Finds a program as a shell does.
fn on_path(program: &str, path: &str) -> Option<PathBuf> {
    let runs = |file: &PathBuf| {
        file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|p| p.is_absolute()).filter(runs);
    }
    path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(program)).find(runs)
}

fn detached(argv: &[String], root: &Path, env: &HashMap<String, String>) -> Result<(), Error> {
    let mut command = tokio::process::Command::new(&argv[0]);
    command.args(&argv[1..]).current_dir(root).env_clear().envs(env).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command
        .spawn()
        .map_err(|e| Error::conflict(format!("the editor {:?} cannot be started: {e}", argv[0])))?;
    // Nobody waits for it, but its end is to leave no trace.
    tokio::spawn(async move { child.wait().await });
    Ok(())
}

/// Starts it on Chorus's tmux server, or finds the one that has this document open already.
async fn in_tmux(
    app: &Arc<App>,
    document: &Document,
    root: &Path,
    argv: &[String],
) -> Result<(String, Vec<String>), Error> {
    let tmux = app.tmux().await?;
    let name = format!("edit-{}", document.id);
    let words: Vec<OsString> = argv.iter().map(OsString::from).collect();
    let attach =
        crate::tmux::attach_command(&app.config.tmux, &app.data.tmux_socket(), &name, None);
    let pane = match tmux.new_session(NewSession::new(&name, root, words)).await {
        Ok(pane) => pane,
        // Somebody edits it already: two editors of one file would overwrite each other.
        Err(TmuxError::Exists { .. }) => return Ok((name, attach)),
        Err(e) => return Err(e.into()),
    };
    let ended = match process::identify(pane.pid) {
        Some(editor) => timeout(EARLY_END, process::wait_gone(editor)).await.is_ok(),
        None => true,
    };
    if ended {
        // In a dead pane the last line is tmux's own, and what was said first has moved up.
        let whole = Capture { scrollback: 50, ..Capture::default() };
        let screen = tmux.capture(pane.pane, whole).await.unwrap_or_default();
        tmux.kill_session(&name).await?;
        let its_own = |l: &&str| !l.trim().is_empty() && !l.starts_with("Pane is dead");
        let said = screen.lines().find(its_own).unwrap_or("without a word");
        let why = format!("the editor {:?} ended at once: {}", argv[0], said.trim_end());
        return Err(Error::conflict(why));
    }
    close_at_end(tmux, pane.pane).await?;
    Ok((name, attach))
}

/// Has the terminal go with the editor: there is nothing left to be seen.
async fn close_at_end(tmux: &Tmux, pane: PaneId) -> Result<(), Error> {
    match tmux.set_option(&Scope::Pane(pane), "remain-on-exit", "off").await {
        Ok(()) | Err(TmuxError::NotFound { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Habit, arguments, known, words};

    #[test]
    fn editors_are_told_the_line_in_their_own_way() {
        let line = |command: &str| {
            let all = words(command).expect("words");
            let (habit, terminal) = known(&all[0], &all[1..], false);
            (arguments(habit, &all[1..], "/p/a b.md", 7).join("|"), terminal)
        };
        let told = |args: &str, terminal| (args.to_owned(), terminal);
        for editor in ["vim", "nvim", "nano", "emacs", "vi"] {
            assert_eq!(line(editor), told("+7|/p/a b.md", true), "{editor}");
        }
        assert_eq!(line("emacs -nw"), told("-nw|+7|/p/a b.md", true));
        assert_eq!(line("hx"), told("/p/a b.md:7", true));
        assert_eq!(line("code --wait"), told("--wait|--goto|/p/a b.md:7", false));
        assert_eq!(line("my-editor --flag 'two words'"), told("--flag|two words|/p/a b.md", true));
        assert_eq!(known("emacs", &[], true), (Habit::Plus, false));
    }

    #[test]
    fn a_command_is_split_and_no_more() {
        let split = |c: &str| words(c).expect("words").join("|");
        assert_eq!(split("vim -u  NONE"), "vim|-u|NONE");
        assert_eq!(split(r#"a "b c" 'd "e' f\ g "h\"i" """#), r#"a|b c|d "e|f g|h"i|"#);
        assert_eq!(split("vim; rm -rf $HOME `x` | y"), "vim;|rm|-rf|$HOME|`x`|||y");
        assert!(words("vim 'x").is_err() && words("vim \\").is_err());
        assert_eq!(split(" "), "");
    }
}
