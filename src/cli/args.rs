//! What can be said on the command line.

mod decide;
mod docs;
mod git;
mod served;
mod task;
mod template;
mod usage;
mod wait;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
pub use decide::{AddRule, Approve, Deny, Many, Rules};
pub use docs::{Docs, List as ListDocs};
pub use git::{Git, OfProject, Worktrees};
pub use served::{Life, Served};
pub use task::{Ask, EditTask, ListTasks, Marks, NewTask, Tasks, Telling};
pub use template::{EditTemplate, NewTemplate, Templates};
pub use wait::{Until, Wait, WaitFor};

use super::exit::Exit;

pub use self::usage::{Limit, Usage};
use self::usage::{budget, usd};
use crate::domain::session::{PermissionMode, SessionName};
use crate::domain::usage::Usd;

/// Runs, watches and steers many Claude Code sessions.
#[derive(Debug, Parser)]
#[command(name = "chorus", version, about, max_term_width = 100)]
#[command(after_help = format!("Exit codes, of every command:\n{}", Exit::table()))]
pub struct Args {
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = "For every command")]
    pub json: bool,
    /// The configuration file [default: ./chorus.toml, then ~/.config/chorus/chorus.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "For every command")]
    pub config: Option<PathBuf>,
    /// Where database, socket and spool are [default: ~/.local/share/chorus]
    #[arg(long, global = true, value_name = "DIR", help_heading = "For every command")]
    pub data_dir: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// The settings among the flags, with their values.
    pub fn flags(&self) -> Vec<(String, String)> {
        let mut flags = Vec::new();
        let mut add = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                flags.push((name.to_owned(), value.clone()));
            }
        };
        add("data_dir", &self.data_dir);
        if let Command::Serve(serve) = &self.command {
            add("host", &serve.host);
            add("port", &serve.port);
            add("project_root", &serve.project_root);
            add("log", &serve.log);
            add("synchronous", &serve.synchronous);
        }
        flags
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start Claude on a prompt; starts the server if none runs.
    Run(Run),
    /// Start Claude without a prompt; starts the server if none runs.
    New(New),
    /// Tasks: what Claude is to do, one after the other or side by side.
    Task {
        /// What to do.
        #[command(subcommand)]
        what: Tasks,
    },
    /// Templates: what tasks are made of, with variables for what differs.
    Template {
        /// What to do.
        #[command(subcommand)]
        what: Templates,
    },
    /// Watch and steer all sessions live in this terminal.
    Top,
    #[command(flatten)]
    Served(Served),
    /// Print how many sessions wait, work and are idle, for a status line such as tmux's.
    StatusLine,
    /// Open the page in a browser.
    Open,
    /// Run the server.
    Serve(Serve),
    /// End the server. Sessions run on, and the next server takes them up.
    Stop,
    /// Show every setting and where it comes from.
    Config,
    /// Look after the database.
    #[command(subcommand)]
    Db(Db),
    /// Hooks in your own settings, for the Claudes that you start yourself.
    Hooks {
        /// What to do.
        #[command(subcommand)]
        what: Hooks,
    },
    /// Check what Chorus needs, and say what to do about what is missing.
    Doctor,
    /// Print a shell's completions, to be put where it looks for them.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// What to do with notices.
#[derive(Debug, Subcommand)]
pub enum Notify {
    /// Send one through every channel, and say what happened to each.
    Test,
}

/// What to do with the database.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// Look whether it can be reached, is up to date and is sound; count its rows.
    Check,
    /// Bring it up to date, as the server does when it starts.
    Migrate,
    /// Copy everything into another database, SQLite or PostgreSQL. No server may run on either.
    Copy {
        /// From where [default: the configured database]
        #[arg(long, value_name = "URL", required_unless_present = "to")]
        from: Option<String>,
        /// Where to [default: the configured database]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Write an SQLite database into a new file; the server may run on.
    Backup {
        /// The file to make.
        file: PathBuf,
    },
    /// Put a backup in the place of the SQLite database; the server must be stopped.
    Restore {
        /// The backup.
        file: PathBuf,
    },
    /// Forget for good what is older than it is to be kept; the server must run. What is not given
    /// is as the configuration says (keep_sessions_days, …); 0 keeps for ever.
    Prune(Prune),
}

/// What to forget.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// Sessions that ended and did not change for so many days.
    #[arg(long, value_name = "DAYS")]
    pub sessions: Option<u32>,
    /// Whole texts of results over 50 KB that are so many days old.
    #[arg(long, value_name = "DAYS")]
    pub outputs: Option<u32>,
    /// Events that are so many days old.
    #[arg(long, value_name = "DAYS")]
    pub events: Option<u32>,
    /// The sessions that ended first, until the SQLite database is no larger than this.
    #[arg(long, value_name = "MB")]
    pub size: Option<u32>,
    /// Only tell what would be forgotten.
    #[arg(long)]
    pub dry_run: bool,
}

/// Shows the audit log.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// What to do; the last entries are shown unless told.
    #[command(subcommand)]
    pub what: Option<AuditWhat>,
    /// Only what concerns this session (name or id).
    #[arg(long)]
    pub session: Option<String>,
    /// Only this action, such as permission.decided
    #[arg(long)]
    pub action: Option<String>,
    /// The last N entries.
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    pub last: usize,
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditWhat {
    /// Check that nothing in it was changed, taken out or moved.
    Verify,
}

/// Which conversations to import.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// Their ids; without any, those that can be imported are listed.
    #[arg(value_name = "CONVERSATION")]
    pub conversations: Vec<String>,
    /// All that are not imported yet, the last 500 of them.
    #[arg(long, conflicts_with = "conversations")]
    pub all: bool,
    /// Only those held in this folder or below it.
    #[arg(long, value_name = "DIR", conflicts_with = "conversations")]
    pub folder: Option<PathBuf>,
    /// Those of another configuration folder of Claude Code's.
    #[arg(long, value_name = "DIR")]
    pub claude_config_dir: Option<PathBuf>,
    /// List the last N.
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    pub last: usize,
}

/// A session.
#[derive(Debug, clap::Args)]
pub struct Session {
    /// The session's name or id.
    pub session: String,
}

/// Interrupts.
#[derive(Debug, clap::Args)]
pub struct Interrupt {
    /// The session's name or id.
    pub session: String,
    #[command(flatten)]
    pub wait: Wait,
}

/// What to do with the hooks in the user's settings.
#[derive(Debug, Subcommand)]
pub enum Hooks {
    /// Add them to the settings; everything else there stays as it is.
    Install,
    /// Take them out again: settings that nobody changed since become what they were.
    Uninstall,
    /// Show whether they are there.
    Status,
}

/// How to start Claude.
#[derive(Debug, Default, clap::Args)]
pub struct Launch {
    /// The session's name, in small letters, digits and `-` [default: made of the prompt].
    #[arg(long, value_parser = session_name)]
    pub name: Option<SessionName>,
    /// The model, as Claude Code takes it: opus, sonnet, a full name [default: Claude Code's].
    #[arg(long)]
    pub model: Option<String>,
    /// Claude Code's permission mode [default: default]
    #[arg(long, value_parser = permission_mode, value_name = "MODE")]
    pub permission_mode: Option<PermissionMode>,
    /// A tool that needs no permission, such as `Bash(git log:*)`. May be repeated.
    #[arg(long = "allow", value_name = "TOOL")]
    pub allowed_tools: Vec<String>,
    /// The directory to work in [default: this one]
    #[arg(long, short = 'C', value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// An environment variable for Claude, as NAME=VALUE. May be repeated.
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Claude Code's configuration folder: another account, say.
    #[arg(long, value_name = "DIR")]
    pub claude_config_dir: Option<String>,
    /// How often within an hour Claude is started again by itself if it ends unasked [default: 0]
    #[arg(long, value_name = "N")]
    pub crash_restarts: Option<u32>,
    /// What the session may cost, in US dollars; then it is stopped.
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub budget: Option<Usd>,
    /// Further arguments for Claude Code.
    #[arg(last = true, value_name = "CLAUDE ARGUMENTS")]
    pub extra: Vec<String>,
}

fn session_name(text: &str) -> Result<SessionName, String> {
    SessionName::new(text).map_err(|e| e.to_string())
}

fn permission_mode(text: &str) -> Result<PermissionMode, String> {
    PermissionMode::parse(text).ok_or_else(|| {
        "expected default, acceptEdits, plan, auto, dontAsk or bypassPermissions".into()
    })
}

/// Starts Claude on a prompt: a task of its own.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// What Claude is to do, if no template says so. `-` reads it from standard input.
    #[arg(required_unless_present = "template")]
    pub prompt: Option<String>,
    /// The task's title [default: the prompt's first line].
    #[arg(long)]
    pub title: Option<String>,
    #[command(flatten)]
    pub ask: Ask,
    #[command(flatten)]
    pub launch: Launch,
    /// Show the session's terminal in this one at once.
    #[arg(long, short, conflicts_with = "wait")]
    pub attach: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Starts Claude without a prompt.
#[derive(Debug, clap::Args)]
pub struct New {
    #[command(flatten)]
    pub launch: Launch,
    /// Show the session's terminal in this one at once.
    #[arg(long, short, conflicts_with = "wait")]
    pub attach: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Sends a prompt.
#[derive(Debug, clap::Args)]
pub struct Send {
    /// The session's name or id.
    pub session: String,
    /// The prompt. `-` reads it from standard input.
    #[arg(allow_hyphen_values = true)]
    pub text: String,
    /// If Claude is not idle, send it when it is.
    #[arg(long, short)]
    pub queue: bool,
    /// Clear somebody's draft in the input box.
    #[arg(long)]
    pub force: bool,
    /// Send it as a command of Claude Code's, such as /compact.
    #[arg(long)]
    pub raw: bool,
    /// Do not wait until it has arrived.
    #[arg(long, conflicts_with = "wait")]
    pub no_wait: bool,
    #[command(flatten)]
    pub wait: Wait,
}

/// Runs the server.
#[derive(Debug, Default, clap::Args)]
pub struct Serve {
    /// The address to listen on [default: 127.0.0.1]
    #[arg(long)]
    pub host: Option<String>,
    /// The port to listen on [default: 8000, or the next free one]
    #[arg(long)]
    pub port: Option<String>,
    /// The default project's root [default: this directory]
    #[arg(long, value_name = "DIR")]
    pub project_root: Option<String>,
    /// What to log [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// What a commit survives: normal (any death of the process) or full (a power loss)
    #[arg(long, value_name = "MODE")]
    pub synchronous: Option<String>,
}
