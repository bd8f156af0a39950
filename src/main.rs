//! The `chorus` program. What Claude Code and tmux run is decided here, before anything else is set
//! up: a hook is on Claude's critical path.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("hook"), Some(user)) if user == "--user" => {
            if let (Some(socket), Some(event)) = (args.next(), args.next()) {
                chorus::cli::hook::of_user(&socket, &event);
            }
            ExitCode::SUCCESS
        }
        (Some("hook"), Some(event)) => {
            chorus::cli::hook::main(&event);
            ExitCode::SUCCESS
        }
        (Some("apart"), Some(program)) => chorus::cli::exec::apart(&program, args),
        (Some("exec"), Some(file)) => chorus::cli::exec::main(Path::new(&file)),
        _ => chorus::cli::main(),
    }
}
