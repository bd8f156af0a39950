//! The command line as a whole: every command, its exit codes, its `--json`, and its reference in
//! `docs/cli.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chorus::cli::{Args, Exit};
use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory as _, Parser as _};

use crate::harness::{World, processes};
use crate::permissions::ask;

/// The commands that do something, by their whole names: `ps`, `rules add`, …
fn leaves() -> BTreeSet<String> {
    fn collect(command: &Command, name: &str, leaves: &mut BTreeSet<String>) {
        if command.get_subcommands().next().is_none() || !command.is_subcommand_required_set() {
            leaves.insert(name.to_owned());
        }
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            collect(sub, format!("{name} {}", sub.get_name()).trim_start(), leaves);
        }
    }
    let mut leaves = BTreeSet::new();
    collect(&Args::command(), "", &mut leaves);
    leaves.remove("");
    leaves
}

/// The commands that print no JSON: what they print is not about anything, or a program's own.
const WITHOUT_JSON: [&str; 3] = ["completions", "serve", "top"];

#[tokio::test]
async fn every_command_prints_json() {
    let mut world = World::with_stand_in().await;
    let agent = world.begin("a").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    let mut held = vec![held];
    let id = request["id"].as_str().expect("an id").to_owned();
    let rule = world.cli(&["rules", "add", "ask", "--tool", "Bash", "--json"]).await.ok().json();
    let rule = rule["id"].as_str().expect("an id").to_owned();
    let backup = world.root().join("backup.db").display().to_string();
    let copy = format!("sqlite://{}", world.root().join("copy.db").display());
    std::fs::write(world.project().join("README.md"), "# One\n\ntwo\n").expect("a file");
    let calls: Vec<Vec<&str>> = vec![
        vec!["ps"],
        vec!["show", "a"],
        vec!["permissions"],
        vec!["wait", "a"],
        vec!["template", "new", "t", "--title", "Look at {{what}}"],
        vec!["template", "ls"],
        vec!["template", "show", "t"],
        vec!["template", "edit", "t", "--priority", "2"],
        vec!["template", "rm", "t"],
        vec!["task", "new", "one"],
        vec!["task", "new", "two"],
        vec!["task", "ls"],
        vec!["task", "show", "1"],
        vec!["task", "edit", "1", "--priority", "2"],
        vec!["task", "prompt", "1"],
        vec!["task", "order", "2", "1"],
        vec!["task", "assign", "2", "a"],
        vec!["task", "start", "1"],
        vec!["task", "complete", "1"],
        vec!["task", "start", "2"],
        vec!["task", "fail", "2"],
        vec!["task", "retry", "2"],
        vec!["task", "rm", "2"],
        vec!["approve", &id],
        vec!["deny", "a"],
        vec!["permissions", "--all"],
        vec!["rules"],
        vec!["rules", "add", "deny", "--tool", "Write", "--dry-run"],
        vec!["rules", "remove", &rule],
        vec!["docs"],
        vec!["docs", "ls", "--discover"],
        vec!["docs", "show", "README.md:1-2"],
        vec!["docs", "outline", "README.md"],
        vec!["docs", "section", "README.md#One"],
        vec!["docs", "pin", "README.md"],
        vec!["docs", "unpin", "README.md"],
        vec!["docs", "refer", "README.md:1"],
        vec!["docs", "refs", "README.md"],
        vec!["docs", "accept", "1"],
        vec!["docs", "unrefer", "1"],
        vec!["docs", "edit", "README.md"],
        vec!["audit"],
        vec!["audit", "verify"],
        vec!["conversations", "a"],
        vec!["usage"],
        vec!["budget", "a", "5"],
        vec!["logs", "a"],
        vec!["attach", "a"],
        vec!["send", "a", "hello", "--queue", "--no-wait"],
        vec!["interrupt", "a"],
        vec!["new", "--name", "b", "--wait", "--timeout", "0.1"],
        vec!["run", "hello", "--name", "c", "--wait", "--timeout", "0.1"],
        vec!["restart", "b"],
        vec!["pause", "b"],
        vec!["resume", "b"],
        vec!["fork", "b"],
        vec!["adopt", "b"],
        vec!["import"],
        vec!["kill", "b"],
        vec!["task", "diff", "1"],
        vec!["task", "commits", "1"],
        vec!["git", "status"],
        vec!["git", "setup"],
        vec!["worktrees"],
        vec!["worktrees", "prune"],
        vec!["worktrees", "remove", "none"],
        vec!["open"],
        vec!["status-line"],
        vec!["notify", "test"],
        vec!["config"],
        vec!["doctor"],
        vec!["hooks", "install"],
        vec!["hooks", "status"],
        vec!["hooks", "uninstall"],
        vec!["db", "check"],
        vec!["db", "backup", &backup],
        vec!["db", "prune", "--dry-run"],
        // These want no server.
        vec!["stop"],
        vec!["db", "migrate"],
        vec!["db", "copy", "--to", &copy],
        vec!["db", "restore", &backup],
    ];
    // The ones that a server has: SQLite is the only database that is backed up by this.
    let sqlite = world.database_url().starts_with("sqlite:");
    let mut said = BTreeSet::new();
    for call in &calls {
        let leaf = leaves()
            .into_iter()
            .filter(|leaf| leaf.split(' ').eq(call.iter().copied().take(leaf.split(' ').count())));
        let leaf = leaf.max_by_key(String::len).expect("a command");
        match leaf.as_str() {
            "deny" => held.push(ask(&world, &agent, "toolu_2", "make test").await.0),
            // What stands in for Claude Code does not answer the doctor's questions.
            "doctor" => world.set_env("CHORUS_CLAUDE", "/no/such/program"),
            "db migrate" => assert_eq!(world.stop().await, Some(0)),
            _ => {}
        }
        said.insert(leaf.clone());
        if !sqlite && matches!(leaf.as_str(), "db backup" | "db restore" | "db copy") {
            continue;
        }
        let mut args = call.clone();
        args.push("--json");
        let ran = world.cli(&args).await;
        let code = ran.code.expect("an exit code");
        assert!(Exit::ALL.iter().any(|exit| *exit as i32 == code), "{call:?} exits with {code}");
        // What could not be done prints nothing there, and why on standard error.
        if !ran.stdout.is_empty() {
            let parsed = serde_json::from_str::<serde_json::Value>(&ran.stdout);
            assert!(parsed.is_ok(), "{call:?} prints no JSON: {}", ran.stdout);
        } else {
            assert!(code != 0 && ran.stderr.starts_with("chorus: "), "{call:?}: {ran:?}");
        }
        // These do not go with the state that the others left.
        let may_fail = [
            "docs edit",
            "fork",
            "adopt",
            "interrupt",
            "resume",
            "doctor",
            "wait",
            "new",
            "run",
            "git setup",
            "task diff",
            "task commits",
            "worktrees remove",
            "task assign",
        ];
        assert!(code == 0 || may_fail.contains(&leaf.as_str()), "{call:?}: {ran:?}");
    }
    // The stream prints an object a line, for ever; its format has a test of its own.
    said.insert("events".into());
    said.extend(WITHOUT_JSON.map(str::to_owned));
    assert_eq!(said, leaves(), "every command is in this test");
}

#[tokio::test]
async fn every_command_has_the_same_exit_codes() {
    let world = World::build().stand_in().without_server().start().await;
    let unknown = "00000000-0000-7000-8000-000000000000";
    let of_a_session = [
        &["show", "nobody"][..],
        &["send", "nobody", "hello"],
        &["send", "nobody", "hello", "--wait"],
        &["wait", "nobody"],
        &["approve", "nobody"],
        &["deny", "nobody"],
        &["approve", unknown],
        &["deny", unknown],
        &["rules", "add", "deny", "--tool", "Bash", "--session", "nobody"],
        &["rules", "add", "deny", "--tool", "Bash", "--project", "nobody"],
        &["rules", "remove", unknown],
        &["audit", "--session", "nobody"],
        &["interrupt", "nobody"],
        &["interrupt", "nobody", "--wait"],
        &["pause", "nobody"],
        &["resume", "nobody"],
        &["fork", "nobody"],
        &["adopt", "nobody"],
        &["conversations", "nobody"],
        &["budget", "nobody", "5"],
        &["restart", "nobody"],
        &["restart", "nobody", "--wait"],
        &["kill", "nobody"],
        &["attach", "nobody"],
        &["logs", "nobody"],
        &["events", "nobody"],
    ];
    let of_a_server = [
        &["ps"][..],
        &["permissions"],
        &["rules"],
        &["audit"],
        &["audit", "verify"],
        &["open"],
        &["import"],
        &["usage"],
        &["notify", "test"],
        &["db", "prune"],
    ];
    let stop = &[&["stop"][..]];
    for args in of_a_session.iter().chain(&of_a_server).chain(stop) {
        let ran = world.cli(args).await;
        assert_eq!(ran.code, Some(Exit::NoServer as i32), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("chorus serve"), "{args:?}: {}", ran.stderr);
    }
    // A line that lacks something, or has something that is not known.
    for leaf in leaves() {
        let mut args: Vec<&str> = leaf.split(' ').collect();
        args.push("--no-such-flag");
        let ran = world.cli(&args).await;
        assert_eq!(ran.code, Some(Exit::Usage as i32), "{leaf}: {}", ran.stderr);
    }
    world.start_again().await;
    for args in of_a_session {
        let ran = world.cli(args).await;
        assert_eq!(ran.code, Some(Exit::NotFound as i32), "{args:?}: {}", ran.stderr);
    }
    for args in of_a_server {
        world.cli(args).await.ok();
    }
    world.begin("a").await;
    for args in [&["interrupt", "a"][..], &["resume", "a"], &["fork", "a"], &["new", "--name", "a"]]
    {
        let ran = world.cli(args).await;
        assert_eq!(ran.code, Some(Exit::Refused as i32), "{args:?}: {}", ran.stderr);
    }
    for args in
        [&["show", "a b"][..], &["approve", "a", "--input", "{"], &["run", "x", "--env", "y"]]
    {
        let ran = world.cli(args).await;
        let wanted = if args[0] == "approve" { Exit::NotFound } else { Exit::Usage };
        assert_eq!(ran.code, Some(wanted as i32), "{args:?}: {}", ran.stderr);
    }
    let help = world.cli(&["help"]).await.ok().stdout;
    assert!(help.contains(&Exit::table()), "{help}");
}

#[tokio::test]
async fn completions_are_printed_for_every_shell_and_bash_takes_them() {
    let world = World::build().stand_in().without_server().start().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.cli(&["completions", shell]).await.ok().stdout;
        for word in ["permissions", "timeout", "data-dir"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    // They are there even where the configuration is wrong.
    std::fs::write(world.project().join("chorus.toml"), "nonsense").expect("a file");
    let script = world.root().join("completions.bash");
    std::fs::write(&script, world.cli(&["completions", "bash"]).await.ok().stdout).expect("a file");
    let mut bash = world.command("bash");
    let ask = "source \"$0\"; COMP_WORDS=(chorus perm); COMP_CWORD=1; _chorus chorus perm chorus; \
               echo \"${COMPREPLY[@]}\"";
    bash.args(["-c", ask]).arg(&script);
    let told = crate::harness::processes::run(bash).await.ok();
    assert_eq!(told.stdout.trim(), "permissions", "{}", told.stderr);
}

#[test]
fn the_reference_is_what_the_command_line_says_of_itself() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let reference = reference();
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        std::fs::write(&path, &reference).expect("a file");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference,
        "docs/cli.md is not what the command line says of itself; \
         `INSTA_UPDATE=always cargo test --test it -- reference` renews it"
    );
}

/// The words of a command as a shell reads them, up to where another begins or the line ends for it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '>' | '|' | ';' | '&' | '#') if word.is_none() => break,
            (None, ';') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.into_iter().chain(word).collect()
}

/// Takes what a text says before and after it, if it is there.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    let parts = text.split(open).skip(1);
    parts.filter_map(|rest| rest.split_once(close).map(|(within, _)| within)).collect()
}

/// Whether a command can be given like that, with anything for what is only named.
fn check(place: &str, line: &str) {
    let mut words = words(line);
    for word in &mut words {
        if word == "ID" || word == "TASK" || word.starts_with("{{") {
            *word = "1".to_owned();
        }
    }
    let Err(e) = Args::try_parse_from(&words) else { return };
    let named = [
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
    ];
    assert!(named.contains(&e.kind()), "{place}: `{line}` is no command:\n{e}");
}

#[test]
fn every_command_that_pages_and_the_readme_tell_can_be_given() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut told = 0;
    let mut folders = vec![root.join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a template");
            for code in between(&text, "<code>", "</code>") {
                if code.starts_with("chorus ") {
                    // What a page fills in has blanks around it.
                    check(
                        &path.display().to_string(),
                        &code.replace("{{ ", "{{").replace(" }}", "}}"),
                    );
                    told += 1;
                }
            }
        }
    }
    let text = std::fs::read_to_string(root.join("README.md")).expect("the README");
    for (n, part) in text.split("```").enumerate() {
        let is_code = n % 2 == 1;
        for line in part.lines().filter(|_| is_code) {
            let ways = line.split("or: ").map(str::trim).filter(|l| l.starts_with("chorus "));
            ways.for_each(|way| {
                check("README.md", way);
                told += 1;
            });
        }
        let inline = part.replace('\n', if is_code { "`" } else { " " });
        for code in inline.split('`').skip(1).step_by(if is_code { 1 } else { 2 }) {
            if code.starts_with("chorus ") {
                check("README.md", code);
                told += 1;
            }
        }
    }
    assert!(told > 80, "only {told} were found");
}

/// `docs/cli.md`, made of what `--help` is made of.
fn reference() -> String {
    let mut root = Args::command();
    root.build();
    let mut text = String::from(
        "# The command line\n\nMade from the commands themselves by a test: \
         `INSTA_UPDATE=always cargo test --test it -- reference` renews it.\n\n## Exit codes\n\n\
         The same for every command.\n\n| code | meaning |\n|---|---|\n",
    );
    for exit in Exit::ALL {
        writeln!(text, "| {} | {} |", exit as u8, exit.meaning()).expect("a text");
    }
    text.push_str("\n## For every command\n\n");
    root.get_arguments().filter(|a| a.is_global_set()).for_each(|a| describe(&mut text, a));
    for command in root.get_subcommands().filter(|c| c.get_name() != "help") {
        document(&mut text, command, "chorus", 2);
    }
    text
}

fn document(text: &mut String, command: &Command, parent: &str, depth: usize) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    assert!(!about.is_empty(), "{name} says nothing of itself");
    write!(text, "\n{} {name}\n\n{about}.\n", "#".repeat(depth)).expect("a text");
    let usage = command.clone().render_usage().to_string();
    write!(text, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: ")).expect("a text");
    let own = |a: &&Arg| !a.is_global_set() && !matches!(a.get_id().as_str(), "help" | "version");
    let mut arguments = command.get_arguments().filter(own).peekable();
    if arguments.peek().is_some() {
        text.push('\n');
    }
    arguments.for_each(|a| describe(text, a));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        document(text, sub, &name, depth + 1);
    }
}

fn describe(text: &mut String, argument: &Arg) {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    assert!(!help.is_empty(), "{} says nothing of itself", argument.get_id());
    let short = argument.get_short().map(|c| format!("-{c}, ")).unwrap_or_default();
    let default: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    let default = match default.as_slice() {
        [] => String::new(),
        some => format!(" [default: {}]", some.join(" ")),
    };
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|v| match v.get_help() {
            Some(help) => format!("\n  - `{}`: {help}", v.get_name()),
            None => format!("\n  - `{}`", v.get_name()),
        })
        .collect();
    writeln!(text, "- `{short}{}`: {help}{default}{}", argument, values.concat()).expect("a text");
}

#[tokio::test]
async fn a_page_that_nothing_opens_is_to_be_opened_by_hand() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::with_stand_in().await;
    let opener = world.project().join("xdg-open");
    for (ends, says) in [("0", "opened http"), ("3", "in a browser")] {
        std::fs::write(&opener, format!("#!/bin/sh\nexit {ends}\n")).expect("an opener");
        std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755))
            .expect("its mode");
        let mut open = world.command(env!("CARGO_BIN_EXE_chorus"));
        open.arg("--data-dir").arg(world.data()).arg("open").env("PATH", world.project());
        let said = processes::run(open).await.ok().stdout;
        assert!(said.contains(says), "{ends}: {said}");
    }
}
