//! `chorus exec FILE`: what a session's pane runs. It reads the launch's plan, removes it, and
//! becomes Claude Code: the same process, so that nothing typed into the pane can ever reach a shell.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::services::launch::Plan;

/// Becomes the planned program. Returns only if that fails.
pub fn main(file: &Path) -> ExitCode {
    let read = std::fs::read(file);
    let _ = std::fs::remove_file(file);
    let plan: Option<Plan> = read.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some((program, args)) = plan.as_ref().and_then(|p| p.argv.split_first()) else {
        eprintln!("chorus: the plan of this launch is gone; `chorus restart` makes a new one");
        return ExitCode::FAILURE;
    };
    let env = plan.iter().flat_map(|p| &p.env);
    let error = Command::new(program).args(args).env_clear().envs(env).exec();
    eprintln!("chorus: {program} cannot be started: {error}");
    ExitCode::from(127)
}
