//! What can be said about permission requests and rules.

use clap::Subcommand;

use crate::domain::rule::RuleAction;

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
    /// What Claude is told: why not, or what to do instead.
    #[arg(long, short)]
    pub message: Option<String>,
    /// End the turn instead of letting Claude go on.
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
    /// With --all: only of this session (name or id).
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
        /// The rule's id, as `chorus rules` lists it.
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
    /// Only in this session (name or id).
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
