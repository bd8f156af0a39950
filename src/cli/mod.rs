//! The command line. Every command but `serve`, `config`, `doctor`, `db` and the internal ones
//! speaks HTTP to a running server.

mod args;
mod attach;
mod audit;
pub mod client;
mod commands;
mod db;
pub mod exec;
pub mod hook;
mod launch;
mod life;
mod log;
mod notify;
mod permissions;
mod rules;
mod show;
mod start;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

pub use args::Args;
use args::{Command, Hooks};

use crate::config::{DataDir, Loaded, Sources};
use crate::services::user_hooks;

/// The command could not be carried out.
const FAILED: u8 = 1;
/// The server refused it.
const REFUSED: u8 = 3;
/// There is no server.
const NO_SERVER: u8 = 4;

/// Runs the command line.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(code) => code,
        // Nobody reads any more (`| head`).
        Err(e)
            if e.downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("chorus: {e:#}");
            if let Some(client::Refused(problem)) = e.downcast_ref() {
                for error in problem.errors.iter().filter(|e| !problem.detail.contains(&e.problem))
                {
                    eprintln!("  {}: {}", error.field, error.problem);
                }
                return ExitCode::from(REFUSED);
            }
            ExitCode::from(if e.is::<client::NoServer>() { NO_SERVER } else { FAILED })
        }
    }
}

fn run(args: Args) -> Result<ExitCode> {
    let loaded = Sources::of_process(args.config.clone(), args.flags()).load()?;
    let threads = if matches!(args.command, Command::Serve(_)) { 2 } else { 1 };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            Command::Serve(_) => {
                log::begin(&loaded.config)?;
                crate::server::run(loaded).await?;
            }
            Command::Config => show::config(&loaded, args.json)?,
            Command::Db(command) => return db::run(command, &loaded, args.json).await,
            Command::Hooks { what } => hooks(&what, &loaded, args.json)?,
            Command::Doctor => return doctor(&loaded, args.json).await,
            command => {
                let data = DataDir(loaded.config.data_dir.clone());
                return commands::run(command, &loaded, &data, args.json).await;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn hooks(what: &Hooks, loaded: &Loaded, json: bool) -> Result<()> {
    let data = DataDir(loaded.config.data_dir.clone());
    let status = match what {
        Hooks::Install => user_hooks::install(&data, &std::env::current_exe()?)?,
        Hooks::Uninstall => user_hooks::uninstall(&data)?,
        Hooks::Status => user_hooks::look()?,
    };
    show::user_hooks(&status, json)
}

async fn doctor(loaded: &Loaded, json: bool) -> Result<ExitCode> {
    let findings = crate::doctor::examine(loaded).await;
    let bad = findings.iter().any(|f| f.level == crate::doctor::Level::Fail);
    show::findings(&findings, json)?;
    Ok(if bad { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}
