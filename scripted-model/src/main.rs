//! `scripted-model`: runs the stand-in for the Messages API until it is told to end.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use scripted_model::{Options, Script, ScriptedModel, mcp};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
usage: scripted-model [--port N] [--script FILE] [--log FILE]
       scripted-model mcp

A scripted stand-in for the Anthropic Messages API on 127.0.0.1.
The first line on standard output is the port.

  --port N       listen on this port; 0, the default, takes a free one
  --script FILE  the scenarios (JSON); without it the bundled ones
  --log FILE     add every whole request to this file, one line of JSON each

With `mcp` it is a tool server on standard input and output instead, with the tool `echo`.
";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Args {
    port: u16,
    script: Option<PathBuf>,
    log: Option<PathBuf>,
    help: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if env::args().skip(1).eq(["mcp"]) {
        // Whoever closes the pipe has heard enough.
        let _ = mcp::serve(io::stdin().lock(), io::stdout().lock());
        return ExitCode::SUCCESS;
    }
    let args = match parse(env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprint!("scripted-model: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scripted-model: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the arguments; `--name=value` works as well as `--name value`.
fn parse(words: impl IntoIterator<Item = String>) -> Result<Args, String> {
    let mut args = Args::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if matches!(name, "--help" | "-h") {
            args.help = true;
            continue;
        }
        if !matches!(name, "--port" | "--script" | "--log") {
            return Err(format!("unknown argument `{word}`"));
        }
        let value =
            joined.or_else(|| words.next()).ok_or_else(|| format!("`{name}` needs a value"))?;
        match name {
            "--port" => {
                args.port =
                    value.parse().map_err(|_| format!("`{value}` is not a port (0 to 65535)"))?;
            }
            "--script" => args.script = Some(value.into()),
            _ => args.log = Some(value.into()),
        }
    }
    Ok(args)
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    if args.help {
        io::stdout().write_all(USAGE.as_bytes())?;
        return Ok(());
    }
    let script = match &args.script {
        Some(path) => read_script(path)?,
        None => Script::standard(),
    };
    let log = match &args.log {
        Some(path) => Some(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        ),
        None => None,
    };
    // Before the port is told: whoever reads it may end this process at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = Options { addr: (Ipv4Addr::LOCALHOST, args.port).into(), log };
    let model = ScriptedModel::start_with(options, script)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", model.port())?;
    stdout.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    model.shutdown().await;
    Ok(())
}

fn read_script(path: &Path) -> Result<Script, String> {
    let explain = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let json = fs::read_to_string(path).map_err(|error| explain(&error))?;
    Script::from_json(&json).map_err(|error| explain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_in_both_spellings() {
        let expected = Args {
            port: 18100,
            script: Some("a.json".into()),
            log: Some("b=c".into()),
            help: false,
        };
        assert_eq!(parsed("--port 18100 --script a.json --log b=c"), Ok(expected));
        assert_eq!(parsed("--port=7").unwrap().port, 7);
        assert_eq!(parsed(""), Ok(Args::default()));
        assert!(parsed("-h").unwrap().help);
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert!(parsed("--port 70000").unwrap_err().contains("70000"));
        assert!(parsed("--log").unwrap_err().contains("--log"));
        assert!(parsed("--verbose").unwrap_err().contains("--verbose"));
    }
}
