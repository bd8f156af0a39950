//! The command line. Every command but `serve`, `config`, `doctor`, `db`, `completions` and the
//! internal ones speaks HTTP to a running server.

mod args;
mod attach;
mod audit;
pub mod client;
mod commands;
mod db;
mod docs;
pub mod exec;
mod exit;
mod follow;
mod git;
pub mod hook;
mod import;
mod launch;
mod life;
mod log;
mod notify;
mod permissions;
mod rules;
mod show;
mod start;
mod stop;
mod task;
mod template;
mod top;
mod usage;
mod wait;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;

pub use args::Args;
use args::{Command, Hooks};
use client::Client;
pub use exit::Exit;
use exit::OrExit as _;

use crate::config::{DataDir, Loaded, Sources};
use crate::services::user_hooks;

/// Runs the command line.
pub fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(exit) => exit,
        // Nobody reads any more (`| head`).
        Err(e)
            if e.downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
        {
            Exit::Ok
        }
        Err(e) => {
            eprintln!("chorus: {e:#}");
            if let Some(client::Refused(problem)) = e.downcast_ref() {
                for error in problem.errors.iter().filter(|e| !problem.detail.contains(&e.problem))
                {
                    eprintln!("  {}: {}", error.field, error.problem);
                }
            }
            Exit::of(&e)
        }
    }
    .into()
}

fn run(args: Args) -> Result<Exit> {
    // Not a word of the configuration is needed, which may be wrong when somebody sets up a shell.
    if let Command::Completions { shell } = args.command {
        return completions(shell);
    }
    let sources = Sources::of_process(args.config.clone(), args.flags());
    let loaded = sources.load().or_exit(Exit::Usage)?;
    let threads = if matches!(args.command, Command::Serve(_)) { 2 } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        // What the database answers comes from threads of its own, and all requests wait for it: it does not
        // queue behind them.
        .global_queue_interval(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (data, json) = (DataDir(loaded.config.data_dir.clone()), args.json);
        match args.command {
            Command::Run(run) => return commands::begin_task(run, &loaded, &data, json).await,
            Command::New(new) => return commands::begin(new, &loaded, &data, json).await,
            Command::Task { what } => return commands::tasks(what, &loaded, &data, json).await,
            Command::Template { what } => {
                template::run(&Client::find(&data).await?, what, json).await?;
            }
            Command::Top => return top::run(&data, json).await,
            Command::Served(what) => {
                return commands::served(what, &Client::find(&data).await?, json).await;
            }
            Command::StatusLine => notify::status_line(&data, json).await?,
            Command::Open => commands::open(&Client::find(&data).await?, &data, json).await?,
            Command::Serve(_) => {
                log::begin(&loaded.config)?;
                crate::server::run(loaded).await?;
            }
            Command::Stop => stop::run(&data, json).await?,
            Command::Config => show::config(&loaded, json)?,
            Command::Db(command) => return db::run(command, &loaded, json).await,
            Command::Hooks { what } => hooks(&what, &loaded, json)?,
            Command::Doctor => return doctor(&loaded, json).await,
            Command::Completions { shell } => return completions(shell),
        }
        Ok(Exit::Ok)
    })
}

fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "chorus", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Ok)
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

async fn doctor(loaded: &Loaded, json: bool) -> Result<Exit> {
    let findings = crate::doctor::examine(loaded).await;
    let bad = findings.iter().any(|f| f.level == crate::doctor::Level::Fail);
    show::findings(&findings, json)?;
    Ok(if bad { Exit::Failed } else { Exit::Ok })
}
