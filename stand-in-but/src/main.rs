//! Stands in for GitButler's `but` 0.22 in tests: made only after recordings of what that prints, with
//! which code it ends and what happens to the repository. It is no GitButler: it knows the commands
//! that Chorus uses, it works on whole files, and it takes a file that another branch has changed for
//! one whose changes depend on that branch.
//!
//! The commits, branches and the workspace are real, made by git's own commands. Two things can be
//! asked of it that the real one does by accident: with a file `.git/stand-in-but-lose` the next
//! commit ends with success, is on no branch, and takes its edits away (GitButler does so if something
//! else has moved the branch, and so does this); with `.git/stand-in-but-slow` every call takes that
//! many milliseconds.

mod repository;
mod state;

use std::process::ExitCode;

use repository::Repository;
use serde_json::{Value, json};

/// What a command says, and with which code it ends.
pub struct Refusal {
    code: u8,
    stdout: Option<Value>,
    stderr: String,
}

impl Refusal {
    /// Refused or failed: prose on standard error, and nothing else even with `--json`.
    pub fn new(stderr: impl Into<String>) -> Self {
        Self { code: 1, stdout: None, stderr: stderr.into() }
    }

    fn setup_required() -> Self {
        let (message, hint) =
            ("No GitButler project found at .", "run `but setup` to configure the project");
        Self {
            code: 1,
            stdout: Some(json!({ "error": "setup_required", "message": message, "hint": hint })),
            stderr: format!("Error: Setup required: {message} - {hint}"),
        }
    }

    fn usage(word: &str) -> Self {
        let stderr = format!(
            "error: unexpected argument '{word}' found\n\nFor more information, try '--help'."
        );
        Self { code: 2, stdout: None, stderr }
    }
}

/// What is said.
pub type Said = Result<Value, Refusal>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = match words.as_slice() {
        ["--version"] => Ok(json!("but 0.22.3")),
        ["commit", "--help"] => Ok(json!(HELP)),
        words => run(words),
    };
    match said {
        Ok(Value::String(text)) => println!("{text}"),
        Ok(json) => println!("{json:#}"),
        Err(refusal) => {
            if let Some(json) = refusal.stdout {
                println!("{json:#}");
            }
            eprintln!("{}", refusal.stderr);
            return ExitCode::from(refusal.code);
        }
    }
    ExitCode::SUCCESS
}

const HELP: &str = "Create a commit.\n\nUsage: but commit [OPTIONS] [CHANGES]...\n\nOptions:\n  \
    -m, --message <MESSAGE>\n  -b, --branch [<BRANCH>]\n      --json";

fn run(words: &[&str]) -> Said {
    // Options end at `--`.
    let (options, paths) = match words.iter().position(|w| *w == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    if !options.contains(&"--json") {
        return Err(Refusal::usage("that the recordings show without --json"));
    }
    let options: Vec<&str> = options.iter().copied().filter(|w| *w != "--json").collect();
    let repository = Repository::find()?;
    repository.dawdle();
    let _lock = repository.lock();
    match options.as_slice() {
        ["setup"] => repository.setup(),
        _ if !repository.is_set_up() => Err(Refusal::setup_required()),
        ["status"] => repository.status(),
        ["branch", "new", name] => repository.branch_new(name),
        ["branch", "delete", name] => repository.branch_delete(name),
        ["commit", rest @ ..] => {
            let (mut branch, mut messages, mut changes) = (None, Vec::new(), Vec::new());
            let mut rest = rest.iter();
            while let Some(word) = rest.next() {
                match *word {
                    "-b" => branch = rest.next().copied(),
                    "-m" => messages.extend(rest.next().copied()),
                    word if word.starts_with('-') => return Err(Refusal::usage(word)),
                    change => changes.push(change),
                }
            }
            changes.extend(paths);
            let branch = branch.ok_or_else(|| {
                Refusal::new("Error: Unclear where to commit. Found more than one stack")
            })?;
            repository.commit(branch, &messages.join("\n\n"), &changes)
        }
        ["undo"] => repository.undo(),
        ["push", name] => repository.push(name),
        [word, ..] => Err(Refusal::usage(word)),
        [] => Err(Refusal::usage("")),
    }
}
