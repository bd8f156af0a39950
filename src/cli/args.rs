//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::domain::rule::RuleAction;
use crate::domain::session::{PermissionMode, SessionName};

/// Runs, watches and steers many Claude Code sessions.
#[derive(Debug, Parser)]
#[command(name = "chorus", version, about, max_term_width = 100)]
pub struct Args {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// The configuration file [default: ./chorus.toml, then ~/.config/chorus/chorus.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where database, socket and spool are [default: ~/.local/share/chorus]
    #[arg(long, global = true, value_name = "DIR")]
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
    /// Start Claude without a prompt.
    New(New),
    /// List the sessions.
    #[command(visible_alias = "ls")]
    Ps {
        /// Ended ones too.
        #[arg(long, short)]
        all: bool,
    },
    /// Show a session.
    Show(Session),
    /// Send a prompt to a session.
    Send(Send),
    /// Approve a permission request, or answer a question.
    Approve(Approve),
    /// Deny a permission request. Claude goes on with the message.
    Deny(Deny),
    /// List the permission requests that wait.
    Permissions {
        /// Settled ones too.
        #[arg(long, short)]
        all: bool,
    },
    /// List the rules that decide permission requests; add and remove them.
    Rules {
        /// What to do; they are listed unless told.
        #[command(subcommand)]
        what: Option<Rules>,
    },
    /// Show who did what: decisions, rules, sessions, projects.
    Audit(Audit),
    /// Interrupt a session's turn (one Escape).
    Interrupt(Session),
    /// Set a session aside: Claude ends; name, conversation and queue stay.
    Pause(Session),
    /// Go on with a session that was paused, has crashed, or is gone with a reboot.
    Resume {
        /// The session.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<String>,
        /// Every session that ended unasked and that nobody has ended since.
        #[arg(long)]
        all: bool,
    },
    /// Make another session whose conversation begins as a copy.
    Fork {
        /// The session.
        session: String,
        /// Its first prompt.
        prompt: Option<String>,
        /// The new session's name.
        #[arg(long, value_parser = session_name)]
        name: Option<SessionName>,
    },
    /// Take over a Claude that runs in another terminal (it is ended there).
    Adopt(Session),
    /// List a session's conversations.
    Conversations(Session),
    /// Start a session's Claude again, with its conversation.
    Restart {
        /// The session.
        session: String,
        /// Begin a new conversation.
        #[arg(long)]
        fresh: bool,
    },
    /// End a session: Claude, what it started, and its terminal. The record stays.
    Kill(Session),
    /// Show a session's terminal in this one (leave it with Ctrl-B d).
    Attach(Session),
    /// Show what was said and done in a session.
    Logs {
        /// The session.
        session: String,
        /// Only tool calls.
        #[arg(long)]
        tools: bool,
        /// The last N entries of each kind.
        #[arg(long, short = 'n', default_value_t = 1_000, value_name = "N")]
        last: usize,
    },
    /// Show events as they happen.
    Events {
        /// Only of this session.
        session: Option<String>,
        /// Everything after this event first.
        #[arg(long, value_name = "ID")]
        after: Option<i64>,
    },
    /// Notices: what tells you that a session needs you.
    Notify {
        /// What to do.
        #[command(subcommand)]
        what: Notify,
    },
    /// Print how many sessions wait, work and are idle, for a status line such as tmux's.
    StatusLine,
    /// Open the page in a browser.
    Open,
    /// Run the server.
    Serve(Serve),
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
}

/// Approves.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The request's id, or the session whose oldest request is meant.
    #[arg(value_name = "REQUEST|SESSION")]
    pub which: Option<String>,
    /// Do not ask again for the same in this session.
    #[arg(long)]
    pub for_session: bool,
    /// Run it with this input instead: the whole of it, as JSON.
    #[arg(long, value_name = "JSON")]
    pub input: Option<String>,
    /// Answer a question: QUESTION=ANSWER, or just ANSWER if there is only one. May be repeated.
    #[arg(long = "answer", value_name = "[QUESTION=]ANSWER")]
    pub answers: Vec<String>,
    /// Do not ask again for the same in this project: makes a rule, which is shown first.
    #[arg(long, conflicts_with_all = ["all", "for_session"])]
    pub always: bool,
    /// Make the rule without asking.
    #[arg(long, requires = "always")]
    pub yes: bool,
    #[command(flatten)]
    pub many: Many,
}

/// Denies.
#[derive(Debug, clap::Args)]
pub struct Deny {
    /// The request's id, or the session whose oldest request is meant.
    #[arg(value_name = "REQUEST|SESSION")]
    pub which: Option<String>,
    /// What to tell Claude instead.
    #[arg(long, short)]
    pub message: Option<String>,
    /// End the turn.
    #[arg(long)]
    pub interrupt: bool,
    #[command(flatten)]
    pub many: Many,
}

/// Several requests at once.
#[derive(Debug, clap::Args)]
pub struct Many {
    /// All that wait at this moment.
    #[arg(long, conflicts_with = "which")]
    pub all: bool,
    /// With --all: only of this session.
    #[arg(long, requires = "all")]
    pub session: Option<String>,
    /// With --all: only for this tool.
    #[arg(long, requires = "all")]
    pub tool: Option<String>,
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Make a rule. It decides what waits at this moment, too.
    Add(AddRule),
    /// Remove a rule. What it has decided stays decided.
    Remove {
        /// The rule's id.
        rule: String,
    },
}

/// Makes a rule.
#[derive(Debug, clap::Args)]
pub struct AddRule {
    /// What it does: allow, ask or deny. Denying goes before asking, and that before allowing.
    #[arg(value_parser = rule_action)]
    pub action: RuleAction,
    /// The tool, such as Bash or mcp__demo__*
    #[arg(long)]
    pub tool: String,
    /// The command, in which * stands for anything but what could begin another command.
    #[arg(long)]
    pub command: Option<String>,
    /// The file, relative to the project's folder or absolute, with * and **
    #[arg(long)]
    pub path: Option<String>,
    /// Only in this project (name, id or folder).
    #[arg(long)]
    pub project: Option<String>,
    /// Only in this session.
    #[arg(long)]
    pub session: Option<String>,
    /// Why it is there; Claude is told it with a denial.
    #[arg(long)]
    pub note: Option<String>,
    /// Only show what it would have done with the last requests.
    #[arg(long)]
    pub dry_run: bool,
}

fn rule_action(text: &str) -> Result<RuleAction, String> {
    RuleAction::parse(text).ok_or_else(|| "expected allow, ask or deny".into())
}

/// Shows the audit log.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// What to do; the last entries are shown unless told.
    #[command(subcommand)]
    pub what: Option<AuditWhat>,
    /// Only what concerns this session.
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

/// A session.
#[derive(Debug, clap::Args)]
pub struct Session {
    /// Its name or id.
    pub session: String,
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
    /// The session's name.
    #[arg(long, value_parser = session_name)]
    pub name: Option<SessionName>,
    /// The model.
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
    /// How often within an hour Claude is started again by itself if it ends unasked.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub crash_restarts: u32,
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

/// Starts Claude on a prompt.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// What Claude is to do. `-` reads it from standard input.
    pub prompt: String,
    #[command(flatten)]
    pub launch: Launch,
    /// Attach this terminal.
    #[arg(long, short)]
    pub attach: bool,
}

/// Starts Claude without a prompt.
#[derive(Debug, clap::Args)]
pub struct New {
    #[command(flatten)]
    pub launch: Launch,
    /// Attach this terminal.
    #[arg(long, short)]
    pub attach: bool,
}

/// Sends a prompt.
#[derive(Debug, clap::Args)]
pub struct Send {
    /// The session.
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
    #[arg(long)]
    pub no_wait: bool,
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
