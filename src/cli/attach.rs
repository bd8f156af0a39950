//! `chorus attach`: this terminal becomes the session's.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::api::sessions::Attach;

/// Becomes tmux.
pub fn become_tmux(attach: &Attach) -> Result<std::convert::Infallible> {
    let mut tmux = command(attach)?;
    let error = tmux.exec();
    bail!("{} cannot be started: {error}", tmux.get_program().display())
}

/// The tmux that shows the session. Inside the session's own tmux server it switches there; inside
/// another one the session is shown nested.
pub fn command(attach: &Attach) -> Result<Command> {
    let around = std::env::var("TMUX").ok().filter(|t| !t.is_empty());
    // "socket,pid,session": a socket's path may hold commas itself.
    let socket = around.as_deref().and_then(|t| t.rsplitn(3, ',').last());
    let mut argv = attach.argv.clone();
    if socket == Some(attach.socket.as_str())
        && let Some(word) = argv.iter_mut().find(|w| *w == "attach-session")
    {
        "switch-client".clone_into(word);
    }
    let Some((program, args)) = argv.split_first() else { bail!("the server told no command") };
    let mut command = Command::new(program);
    command.args(args);
    if socket.is_some_and(|s| s != attach.socket) {
        command.env_remove("TMUX");
    }
    Ok(command)
}
