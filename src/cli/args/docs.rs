//! What can be said of documents.

use clap::Subcommand;

use crate::domain::document::Category;

/// What to do with documents. One is named by its path, from here or from the project's root, or by its
/// id.
#[derive(Debug, Subcommand)]
pub enum Docs {
    /// List them: the pinned ones first, then by path.
    Ls(List),
    /// Print a document, or some lines of it, with their numbers.
    Show {
        /// The document: path, path:10-40, path:10 or path#Heading.
        #[arg(value_name = "DOCUMENT")]
        target: String,
    },
    /// List a document's headings with their lines.
    Outline {
        /// The document.
        document: String,
    },
    /// Print the section that a heading begins.
    Section {
        /// The heading: path#Heading, or path:10 for the one on line 10.
        #[arg(value_name = "DOCUMENT")]
        target: String,
    },
    /// Open a document in your editor (the setting `editor`, or $EDITOR where the server was started).
    Edit {
        /// The document: path, path:10 or path#Heading.
        #[arg(value_name = "DOCUMENT")]
        target: String,
    },
    /// Have a document stand before the others.
    Pin {
        /// The document.
        document: String,
    },
    /// Let it stand where its path puts it again.
    Unpin {
        /// The document.
        document: String,
    },
    /// List the references to a document: which have followed their text, which have drifted.
    Refs {
        /// The document.
        document: String,
    },
    /// Make a reference to some lines, which follows their text.
    Refer {
        /// The lines: path:10-40, path:10, path#Heading, or path for all of them.
        #[arg(value_name = "DOCUMENT")]
        target: String,
        /// The task that needs them.
        #[arg(long, value_name = "ID")]
        task: Option<i64>,
        /// Why they matter.
        #[arg(long, short = 'm')]
        note: Option<String>,
    },
    /// Accept what stands in the place of a reference's text now that this was changed.
    Accept {
        /// The reference's id, as `chorus docs refs` lists it.
        reference: i64,
    },
    /// Remove a reference. The document is not touched.
    Unrefer {
        /// The reference's id, as `chorus docs refs` lists it.
        reference: i64,
    },
}

/// Lists documents.
#[derive(Debug, Default, clap::Args)]
pub struct List {
    /// Only those with this in their path or description.
    pub text: Option<String>,
    /// Only of this category: instructions, plans, communication, context, general.
    #[arg(long, value_parser = category)]
    pub category: Option<Category>,
    /// Only of this project (name or id) [default: the one around this directory]
    #[arg(long)]
    pub project: Option<String>,
    /// Of all projects.
    #[arg(long, short, conflicts_with = "project")]
    pub all: bool,
    /// Only those whose file is missing.
    #[arg(long)]
    pub missing: bool,
    /// Look at the file system before.
    #[arg(long)]
    pub discover: bool,
    /// At most N.
    #[arg(long, short = 'n', default_value_t = 1_000, value_name = "N")]
    pub most: usize,
}

fn category(text: &str) -> Result<Category, String> {
    Category::parse(text)
        .ok_or_else(|| "expected instructions, plans, communication, context or general".into())
}
