//! The commands that a running server carries out.

use clap::Subcommand;

use super::{
    Approve, Audit, Deny, Docs, Git, Import, Interrupt, Limit, Notify, Rules, Send, Session, Usage,
    Wait, WaitFor, Worktrees, budget, session_name,
};
use crate::domain::session::SessionName;

/// What a server shows, and what it is asked for.
#[derive(Debug, Subcommand)]
pub enum Served {
    /// List the sessions: what Claude does, for how long, and who says so.
    #[command(visible_alias = "ls")]
    Ps {
        /// Ended ones too.
        #[arg(long, short)]
        all: bool,
    },
    /// Show a session: its state, its folder, its tokens, the end of its terminal.
    Show(Session),
    /// Send a prompt to a session; says whether it has arrived.
    Send(Send),
    /// Wait until Claude has finished or needs somebody, and print its last message.
    Wait(WaitFor),
    /// Approve a permission request or a plan, or answer a question.
    Approve(Approve),
    /// Deny a permission request. Claude goes on with your message.
    Deny(Deny),
    /// List the permission requests that wait for you.
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
    /// Git: how the edits of tasks are kept apart.
    Git {
        /// What to do.
        #[command(subcommand)]
        what: Git,
    },
    /// List the worktrees of tasks; remove those that are no longer needed.
    Worktrees {
        /// What to do; they are listed unless told.
        #[command(subcommand)]
        what: Option<Worktrees>,
    },
    /// List a project's documents; show, open and pin them, and refer to their lines.
    Docs {
        /// What to do; they are listed unless told.
        #[command(subcommand)]
        what: Option<Docs>,
    },
    /// Show who did what: decisions, rules, sessions, projects.
    Audit(Audit),
    /// Show what was used: cost and tokens by day, model, project or session.
    Usage(Usage),
    /// Show what a session has spent of its budget, or set what it may cost in all, in US dollars; `none`
    /// takes the limit away.
    Budget {
        /// The session's name or id.
        session: String,
        /// The sum, such as 2.50; without one nothing is changed
        #[arg(value_parser = budget)]
        usd: Option<Limit>,
    },
    #[command(flatten)]
    Life(Life),
    /// Show a session's terminal in this one (leave it with Ctrl-B d).
    Attach(Session),
    /// Show what was said and done in a session.
    Logs {
        /// The session's name or id.
        session: String,
        /// Only tool calls.
        #[arg(long)]
        tools: bool,
        /// The last N entries of each kind.
        #[arg(long, short = 'n', default_value_t = 1_000, value_name = "N")]
        last: usize,
    },
    /// Show events as they happen, one a line, until interrupted.
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
}

/// What is done to sessions.
#[derive(Debug, Subcommand)]
pub enum Life {
    /// Interrupt a session's turn (one Escape). A queued prompt is sent then.
    Interrupt(Interrupt),
    /// Set a session aside: Claude ends; name, conversation and queue stay.
    Pause(Session),
    /// Go on with a session that was paused, has crashed, or is gone with a reboot.
    Resume {
        /// The session's name or id.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<String>,
        /// Every session that ended unasked and that nobody has ended since.
        #[arg(long, conflicts_with = "wait")]
        all: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make another session whose conversation begins as a copy.
    Fork {
        /// The session to copy: its name or id.
        session: String,
        /// What the new one is to do first.
        prompt: Option<String>,
        /// The new session's name [default: the old one's with -fork].
        #[arg(long, value_parser = session_name)]
        name: Option<SessionName>,
    },
    /// Take over a Claude that runs in another terminal (it is ended there).
    Adopt(Session),
    /// List past conversations that Claude Code has kept; import them.
    Import(Import),
    /// List a session's conversations: `/clear` and a fresh start begin another.
    Conversations(Session),
    /// End a session's Claude and start it again, with its conversation.
    Restart {
        /// The session's name or id.
        session: String,
        /// Begin a new conversation.
        #[arg(long)]
        fresh: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// End a session: Claude, what it started, and its terminal. The record stays.
    Kill(Session),
}
