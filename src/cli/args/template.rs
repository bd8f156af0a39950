//! What can be said about templates.

use clap::Subcommand;

use super::Launch;
use super::task::{Marks, Telling};

/// What to do with templates.
#[derive(Debug, Subcommand)]
pub enum Templates {
    /// Make a template.
    #[command(visible_alias = "create")]
    New(Box<NewTemplate>),
    /// List this project's templates, with their variables.
    #[command(visible_alias = "list")]
    Ls,
    /// Show a template.
    Show(Template),
    /// Change a template. Tasks that were made of it stay as they are.
    Edit(EditTemplate),
    /// Delete a template. Tasks that were made of it stay as they are.
    #[command(visible_alias = "delete")]
    Rm(Template),
}

/// A template.
#[derive(Debug, clap::Args)]
pub struct Template {
    /// The template's name.
    #[arg(value_name = "NAME")]
    pub template: String,
}

/// Makes a template.
#[derive(Debug, clap::Args)]
pub struct NewTemplate {
    /// Its name, in small letters, digits and `-`.
    #[arg(value_name = "NAME")]
    pub template: String,
    /// The title of its tasks, in which {{name}} is a variable.
    #[arg(long)]
    pub title: String,
    /// What is to be done, with variables too. `-` reads it from standard input.
    #[arg(long, short)]
    pub description: Option<String>,
    #[command(flatten)]
    pub marks: Marks,
    #[command(flatten)]
    pub telling: Telling,
    #[command(flatten)]
    pub launch: Launch,
}

/// Changes a template.
#[derive(Debug, clap::Args)]
pub struct EditTemplate {
    /// The template's name.
    #[arg(value_name = "NAME")]
    pub template: String,
    /// What it is to be called.
    #[arg(long, value_name = "NAME")]
    pub rename: Option<String>,
    /// The title of its tasks.
    #[arg(long)]
    pub title: Option<String>,
    /// What is to be done. `-` reads it from standard input.
    #[arg(long, short)]
    pub description: Option<String>,
    /// Higher is more important.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i64>,
    /// All labels of its tasks, with commas between them; empty for none.
    #[arg(long, value_name = "LABELS")]
    pub labels: Option<String>,
}
