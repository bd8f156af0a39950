//! Running a program that may do anything, without ever waiting for it for long.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// What is read of a program's complaints. Bytes.
const COMPLAINT: u64 = 4_096;
/// How long they may come after its end: what it left behind may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program to run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Variables, besides this process's own.
    pub env: Vec<(&'static str, String)>,
    /// Its standard input.
    pub input: Vec<u8>,
}

/// Why a program did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It cannot be run.
    #[error("{program} cannot be run: {error}")]
    NotRun {
        /// Which.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// It ended otherwise than with status 0.
    #[error("{program} ended with {status}{}{complaint}", if complaint.is_empty() { "" } else { ": " })]
    Failed {
        /// Which.
        program: String,
        /// How.
        status: std::process::ExitStatus,
        /// The last line that it wrote to standard error.
        complaint: String,
    },
    /// It was ended, with what it had started.
    #[error("{program} was ended after {} s", limit.as_secs_f64())]
    TooSlow {
        /// Which.
        program: String,
        /// After how long.
        limit: Duration,
    },
}

impl Program {
    /// Runs it to its end, or ends it: after `limit`, or when the future is dropped.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(&self, limit: Duration) -> Result<(), Failure> {
        let name = self.argv.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let not_run = |error| Failure::NotRun { program: name.clone(), error };
        let mut child = Group(self.spawn().map_err(not_run)?);
        let (stdin, stderr) = (child.0.stdin.take(), child.0.stderr.take());
        let whole = async {
            let feed = async {
                // One that does not want to know is not made to.
                if let Some(mut stdin) = stdin {
                    let _ = stdin.write_all(&self.input).await;
                }
            };
            let end = async {
                let mut complaint = Vec::new();
                let status = {
                    let listen = listen(stderr, &mut complaint);
                    tokio::pin!(listen);
                    tokio::select! {
                        status = child.0.wait() => {
                            let _ = timeout(LAST_WORDS, &mut listen).await;
                            status
                        }
                        () = &mut listen => child.0.wait().await,
                    }
                };
                (status, complaint)
            };
            // What was not read at its end will not be.
            tokio::pin!(end);
            tokio::select! {
                ended = &mut end => ended,
                () = feed => end.await,
            }
        };
        let ended = timeout(limit, whole).await;
        let (status, complaint) =
            ended.map_err(|_| Failure::TooSlow { program: name.clone(), limit })?;
        let status = status.map_err(not_run)?;
        if status.success() {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&complaint);
        let complaint = complaint.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
        Err(Failure::Failed { program: name, status, complaint: complaint.trim().to_owned() })
    }

    fn spawn(&self) -> io::Result<Child> {
        let (program, arguments) = self.argv.split_first().ok_or(io::ErrorKind::NotFound)?;
        Command::new(program)
            .args(arguments)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own, so that it can be ended with what it has started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

async fn listen(stderr: Option<ChildStderr>, complaint: &mut Vec<u8>) {
    if let Some(mut stderr) = stderr {
        let _ = (&mut stderr).take(COMPLAINT).read_to_end(complaint).await;
        // The rest is of no interest, but must not block it.
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    }
}

/// A child that has not been waited for, ended with its process group when it is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // None once it was waited for: its id may be another's then.
        let pid = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Failure, Program};

    const LONG: Duration = Duration::from_secs(20);

    fn sh(script: &str, input: Vec<u8>) -> Program {
        let argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        Program { argv, env: vec![("CHORUS_NOTICE_KIND", "test".into())], input }
    }

    #[tokio::test]
    async fn it_gets_its_input_and_its_environment() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("out");
        let script = format!("{{ cat; echo $CHORUS_NOTICE_KIND; }} > {}", file.display());
        sh(&script, b"hello ".to_vec()).run(LONG).await.expect("its end");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "hello test\n");
    }

    #[tokio::test]
    async fn what_it_says_at_a_failure_is_told() {
        let error = sh("echo first >&2; echo last >&2; exit 3", Vec::new()).run(LONG).await;
        let error = error.expect_err("a failure").to_string();
        assert!(error.contains("exit status: 3") && error.ends_with(": last"), "{error}");
        let none = Program { argv: vec!["/no/such/program".into()], ..Program::default() };
        assert!(matches!(none.run(LONG).await, Err(Failure::NotRun { .. })));
    }

    #[tokio::test]
    async fn neither_what_it_does_not_read_nor_what_it_leaves_behind_holds_anybody_up() {
        let began = Instant::now();
        sh("exec 0<&-", vec![b'x'; 1 << 20]).run(LONG).await.expect("its end");
        sh("sleep 30 & exit 0", vec![b'x'; 1 << 20]).run(LONG).await.expect("its end");
        assert!(began.elapsed() < LONG);
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_its_children() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let error = sh(&script, Vec::new()).run(Duration::from_millis(500)).await;
        assert!(matches!(error, Err(Failure::TooSlow { .. })), "{error:?}");
        let pid: u32 =
            std::fs::read_to_string(&file).expect("a pid").trim().parse().expect("a pid");
        let began = Instant::now();
        while runs(pid) {
            assert!(began.elapsed() < LONG, "{pid} still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn runs(pid: u32) -> bool {
        let mut ps = std::process::Command::new("ps");
        let stat = ps.args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps").stdout;
        !stat.is_empty() && !stat.starts_with(b"Z")
    }
}
