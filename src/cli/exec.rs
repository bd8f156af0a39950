//! Becoming another program.
//!
//! `chorus exec FILE` is what a session's pane runs. It reads the launch's plan, removes it, and
//! becomes Claude Code: the same process, so that nothing typed into the pane can ever reach a shell.
//!
//! `chorus apart PROGRAM ARGUMENTS…` is how the server runs git: in a session without a terminal.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::services::launch::Plan;

/// Becomes the planned program. Returns only if that fails.
pub fn main(file: &Path) -> ExitCode {
    let read = std::fs::read(file);
    let _ = std::fs::remove_file(file);
    let plan: Option<Plan> = read.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some((plan, (program, args))) =
        plan.as_ref().and_then(|p| Some((p, p.argv.split_first()?)))
    else {
        eprintln!("chorus: the plan of this launch is gone; `chorus restart` makes a new one");
        return ExitCode::FAILURE;
    };
    // tmux goes elsewhere without a word if the folder is not there, at last to `/`.
    if let Err(error) = std::env::set_current_dir(&plan.folder) {
        eprintln!("chorus: {} cannot be worked in: {error}", plan.folder);
        return ExitCode::FAILURE;
    }
    let error = Command::new(program).args(args).env_clear().envs(&plan.env).exec();
    eprintln!("chorus: {program} cannot be started: {error}");
    ExitCode::from(127)
}

/// Becomes a program in a session of its own, which has no terminal: neither it nor what it starts
/// can ask anybody. Returns only if that fails.
pub fn apart(program: &str, args: impl Iterator<Item = String>) -> ExitCode {
    // It fails only for a process that leads a group already, which is as well apart.
    let _ = rustix::process::setsid();
    let error = Command::new(program).args(args).exec();
    eprintln!("{program} cannot be started: {error}");
    ExitCode::from(127)
}
