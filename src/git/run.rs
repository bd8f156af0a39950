//! Running `git`, `but` and what makes a worktree ready: without a shell, a terminal or anything of
//! the environment that could mislead them, and never for long.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::GitError;

/// How long a command may take unless said otherwise.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How long one that is to end may take to clean up: git removes its lock files.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What is kept of standard output unless said otherwise. Bytes.
const OUTPUT: usize = 16 << 20;
/// What is kept of standard error. Bytes.
const COMPLAINT: usize = 64 << 10;
/// What is told of it: its last lines. Characters.
const TOLD: usize = 2_000;

/// Runs programs in a clean environment.
#[derive(Clone, Debug)]
pub struct Runner {
    env: HashMap<String, String>,
    apart: Option<PathBuf>,
}

/// One run of a program.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The program, by its name in `PATH` or its path.
    pub program: &'a str,
    /// Where.
    pub dir: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its standard input; empty is `/dev/null`.
    pub input: Vec<u8>,
    /// Variables on top of the clean environment.
    pub env: Vec<(String, String)>,
    /// How long it may take.
    pub limit: Duration,
    /// What is kept of its standard output. Bytes.
    pub keep: usize,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote, as far as that is kept.
    pub stdout: Vec<u8>,
    /// There was more.
    pub cut: bool,
    /// The end of what it wrote to standard error, for people.
    pub stderr: String,
}

impl<'a> Call<'a> {
    /// A run of `program` in `dir`, with the usual limits.
    pub fn new<A: Into<OsString>>(
        program: &'a str,
        dir: &'a Path,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program,
            dir,
            args: args.into_iter().map(Into::into).collect(),
            input: Vec::new(),
            env: Vec::new(),
            limit: LIMIT,
            keep: OUTPUT,
        }
    }

    /// What ran, for people: without what may be long.
    pub(super) fn words(&self) -> String {
        let name = Path::new(self.program).file_name().unwrap_or_default().to_string_lossy();
        let words = self.args.iter().map(|a| a.to_string_lossy());
        // The first two that are no options, and what belongs to them, say what it was.
        let mut plain = words.filter(|w| !w.starts_with('-') && !w.contains(['=', '\n']));
        let rest: Vec<_> = plain.by_ref().take(2).collect();
        format!("{name} {}", rest.join(" ")).trim().to_owned()
    }
}

impl Runner {
    /// Runs programs with this environment, but for what would mislead them. `apart` is a program
    /// that runs its arguments in a session of their own (`chorus apart`), so that nothing can ask
    /// at the server's terminal.
    pub fn new(env: impl IntoIterator<Item = (String, String)>, apart: Option<PathBuf>) -> Self {
        let env = env.into_iter().filter(|(name, _)| passes(name)).collect();
        Self { env, apart }
    }

    /// The path of a program, as `PATH` has it.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        if program.contains('/') {
            return Some(PathBuf::from(program)).filter(|p| p.is_file());
        }
        let path = self.env.get("PATH")?;
        std::env::split_paths(path).map(|dir| dir.join(program)).find(|p| p.is_file())
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// If it cannot be started, or takes too long: then it is ended, with what it has started.
    pub async fn run(&self, call: Call<'_>) -> Result<Output, GitError> {
        let not_run = |e: std::io::Error| GitError::NotRun {
            program: call.program.to_owned(),
            problem: e.to_string(),
        };
        let mut child = Group(self.spawn(&call).map_err(not_run)?);
        let words = call.words();
        let (stdin, stdout, stderr) =
            (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        let input = call.input;
        // Tasks, as what it leaves behind may hold its pipes for ever.
        if let Some(mut stdin) = stdin {
            tokio::spawn(async move {
                // One that does not want to know is not made to.
                let _ = stdin.write_all(&input).await;
            });
        }
        let out = tokio::spawn(collect(stdout, call.keep));
        let err = tokio::spawn(collect(stderr, COMPLAINT));
        let Ok(status) = timeout(call.limit, child.0.wait()).await else {
            child.end().await;
            let seconds = call.limit.as_secs();
            return Err(GitError::TooSlow { command: words, seconds });
        };
        let (stdout, cut) = all_of(out).await;
        let (stderr, _) = all_of(err).await;
        let code = status.map_err(not_run)?.code();
        Ok(Output { code, stdout, cut, stderr: last_words(&stderr) })
    }

    /// Runs it, and takes any end but with code 0 for a failure.
    pub async fn done(&self, call: Call<'_>) -> Result<Output, GitError> {
        let command = call.words();
        let output = self.run(call).await?;
        if output.code == Some(0) {
            return Ok(output);
        }
        let complaint =
            if output.stderr.is_empty() { last_words(&output.stdout) } else { output.stderr };
        Err(GitError::Failed { command, code: output.code, complaint })
    }

    fn spawn(&self, call: &Call<'_>) -> std::io::Result<Child> {
        let mut command = match &self.apart {
            Some(apart) => {
                let mut command = Command::new(apart);
                command.arg("apart").arg(call.program);
                command
            }
            None => {
                let mut command = Command::new(call.program);
                // At least a group of its own, so that it can be ended with what it has started.
                command.process_group(0);
                command
            }
        };
        command
            .args(&call.args)
            .current_dir(call.dir)
            .env_clear()
            .envs(&self.env)
            .envs([
                ("LC_MESSAGES", "C"),
                ("GIT_TERMINAL_PROMPT", "0"),
                ("GIT_LITERAL_PATHSPECS", "1"),
                ("GIT_PAGER", "cat"),
                ("SSH_ASKPASS_REQUIRE", "never"),
                ("NO_BG_TASKS", "1"),
            ])
            .envs(call.env.iter().map(|(name, value)| (name, value)))
            .stdin(if call.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Whether a variable is passed on. Not git's own, which could lead it elsewhere; not those by which
/// programs know that an agent runs them; not ours; and no locale that would translate messages.
fn passes(name: &str) -> bool {
    const AGENTS: [&str; 9] = [
        "CLAUDE",
        "CURSOR",
        "CODEX",
        "AIDER",
        "OPENCODE",
        "GEMINI_CLI",
        "COPILOT",
        "CLINE",
        "AMP_",
    ];
    let ours = name.starts_with("CHORUS_") || name.starts_with("TMUX") || name.starts_with("GIT_");
    let agent = AGENTS.iter().any(|a| name.starts_with(a)) || matches!(name, "AI_AGENT" | "AGENT");
    !ours && !agent && !matches!(name, "LC_ALL" | "LC_MESSAGES" | "LANGUAGE")
}

/// What was read of a program that has ended.
async fn all_of(mut reading: JoinHandle<(Vec<u8>, bool)>) -> (Vec<u8>, bool) {
    match timeout(LAST_WORDS, &mut reading).await {
        Ok(read) => read.unwrap_or_default(),
        Err(_) => {
            reading.abort();
            (Vec::new(), true)
        }
    }
}

/// Reads to the end, and keeps so much.
async fn collect(source: Option<impl AsyncRead + Unpin>, keep: usize) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let Some(mut source) = source else { return (kept, false) };
    let _ = (&mut source).take(keep as u64).read_to_end(&mut kept).await;
    // The rest is of no interest, but must not block it.
    let rest = tokio::io::copy(&mut source, &mut tokio::io::sink()).await.unwrap_or_default();
    (kept, rest > 0)
}

/// The end of what a program wrote, printable.
fn last_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.trim().chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let from = text.chars().count().saturating_sub(TOLD);
    text.chars().skip(from).collect()
}

/// A child that has not been waited for, ended with its process group when it is dropped.
struct Group(Child);

impl Group {
    fn signal(&self, signal: rustix::process::Signal) {
        // None once it was waited for: its id may be another's then.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, signal);
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends it so that it can take its locks away, and at last anyway.
    async fn end(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        let _ = timeout(LAST_WORDS, self.0.wait()).await;
        self.signal(rustix::process::Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}
