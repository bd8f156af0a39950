//! One connection: a `tmux -C` client process, its pipes, and the replies that are still to come.

use std::process::Stdio;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::error::{TmuxError, shorten};
use super::events;
use super::protocol::{Assembler, Block, Item, Lines, Notification};
use super::quote::CommandLine;
use super::types::{Config, Version};

/// How long the opening may take; it may have to start the server.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// What to do with a reply when it comes.
pub(super) type Reply = tokio::sync::oneshot::Sender<Vec<Block>>;

/// A command that waits for its reply.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Who asked.
    pub reply: Reply,
    /// When.
    pub since: Instant,
}

/// A control-mode client.
#[derive(Debug)]
pub(super) struct Connection {
    /// Ended when dropped. The tmux server is not its child and lives on.
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    unsent: BytesMut,
    lines: Lines,
    replies: Assembler<Waiting>,
    /// What the server calls itself.
    pub version: Version,
    /// The server's process.
    pub server_pid: u32,
}

impl Connection {
    /// Connects to the keeper, starting the server if there is none, and prepares the connection.
    pub async fn open(config: &Config) -> Result<Self, TmuxError> {
        let connection = Self::start(config, keeper(config), true).await?;
        if !connection.version.is_supported() {
            return Err(TmuxError::TooOld { found: connection.version.text });
        }
        Ok(connection)
    }

    /// Attaches to session `name` with these client flags: what its panes write comes as news.
    pub async fn attach(config: &Config, name: &str, flags: &str) -> Result<Self, TmuxError> {
        let mut command = command(config);
        command.arg("attach-session").arg("-t").arg(format!("={name}")).args(["-f", flags]);
        Self::start(config, command, false).await
    }

    async fn start(config: &Config, mut command: Command, keeper: bool) -> Result<Self, TmuxError> {
        let failed =
            |message: String| TmuxError::Connect { socket: config.socket.clone(), message };
        let mut child = command
            .spawn()
            .map_err(|source| TmuxError::NotInstalled { binary: config.binary.clone(), source })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed("its pipes are missing".into()));
        };
        let mut connection = Self {
            _child: child,
            stdin,
            stdout,
            unsent: BytesMut::new(),
            lines: Lines::default(),
            replies: Assembler::default(),
            version: Version::parse(""),
            server_pid: 0,
        };
        let opening = async {
            connection.attached().await?;
            if keeper { connection.prepare(config).await } else { Ok(()) }
        };
        match timeout(OPEN_WITHIN, opening).await {
            Ok(Ok(())) => Ok(connection),
            Ok(Err(Opening::Tmux(error))) => Err(error),
            Ok(Err(Opening::Lost(reason))) => {
                let said = read_stderr(stderr).await;
                Err(failed(if said.is_empty() { reason } else { said }))
            }
            Err(_) => Err(failed(format!("no answer within {OPEN_WITHIN:?}"))),
        }
    }

    async fn prepare(&mut self, config: &Config) -> Result<(), Opening> {
        let identify = CommandLine::new("display-message").raw("-p").arg("#{pid} #{version}");
        let answer = self.ask(identify).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (pid, version) = answer.split_once(' ').unwrap_or_default();
        let unexpected = || TmuxError::unexpected("display-message", answer.as_bytes());
        self.server_pid = pid.parse().map_err(|_| Opening::Tmux(unexpected()))?;
        self.version = Version::parse(version);

        let limit = config.history_limit.to_string();
        self.ask(CommandLine::new("set-option").raw("-g history-limit").raw(limit)).await?;
        self.ask(events::subscribe()).await?;
        Ok(())
    }

    /// Waits until the client is attached to its session.
    ///
    /// tmux reads stdin before that, and a command that is about "this client" (`refresh-client`)
    /// would then go to another client or to none.
    async fn attached(&mut self) -> Result<(), Opening> {
        let (mut attached, mut refusal) = (false, None);
        while !attached {
            self.step(&mut |news| match news {
                News::Notification(Notification::Attached) => attached = true,
                News::Notification(_) | News::Output { .. } => {}
                News::Refused(message) => refusal = Some(message),
            })
            .await
            .map_err(|reason| match refusal.take() {
                Some(message) if message.starts_with("can't find") => {
                    Opening::Tmux(TmuxError::NotFound { message })
                }
                refusal => Opening::Lost(refusal.unwrap_or(reason)),
            })?;
        }
        Ok(())
    }

    /// Runs one command to its end. Only for the time before others use the connection.
    async fn ask(&mut self, line: CommandLine) -> Result<Vec<u8>, Opening> {
        let label = line.label;
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        self.submit(line, reply);
        loop {
            self.step(&mut |_| {}).await.map_err(Opening::Lost)?;
            if let Ok(blocks) = answer.try_recv() {
                return match blocks.into_iter().next_back() {
                    Some(Block { ok: true, body }) => Ok(body),
                    Some(block) => Err(Opening::Tmux(TmuxError::refused(label, &block.body))),
                    None => Err(Opening::Tmux(TmuxError::unexpected(label, b""))),
                };
            }
        }
    }

    /// Queues a line of commands for sending.
    pub fn submit(&mut self, line: CommandLine, reply: Reply) {
        debug_assert!(!line.bytes.is_empty(), "an empty line detaches the client");
        self.unsent.extend_from_slice(&line.bytes);
        self.unsent.extend_from_slice(b"\n");
        if let Some(fence) = &line.fence {
            self.unsent.extend_from_slice(format!("display-message -p {fence}\n").as_bytes());
        }
        let waiting = Waiting { reply, since: Instant::now() };
        self.replies.expect(waiting, line.blocks, line.fence);
    }

    /// Bytes that tmux has not taken yet.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// How many lines of commands wait for their reply.
    pub fn waiting(&self) -> usize {
        self.replies.waiting()
    }

    /// Since when the oldest of them waits.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.replies.oldest().map(|waiting| waiting.since)
    }

    /// Sends and receives once; replies go to those who wait, everything else to `news`.
    ///
    /// May be cancelled at any await without losing a byte. An error is the end, with its reason.
    pub async fn step(&mut self, news: &mut impl FnMut(News)) -> Result<(), String> {
        tokio::select! {
            read = self.stdout.read_buf(self.lines.buffer()) => match read {
                Ok(0) => return Err("the tmux client has ended".into()),
                Ok(_) => {}
                Err(error) => return Err(format!("cannot read from the tmux client: {error}")),
            },
            sent = self.stdin.write(&self.unsent), if !self.unsent.is_empty() => match sent {
                Ok(count) => self.unsent.advance(count),
                Err(error) => return Err(format!("cannot write to the tmux client: {error}")),
            },
        }
        let mut ended = None;
        while let Some(line) = self.lines.next_line().map_err(|e| e.to_string())? {
            let mut emit = |item| match item {
                // Whoever no longer waits needs no answer.
                Item::Reply(waiting, blocks) => drop(Waiting::reply(waiting, blocks)),
                Item::Notification(Notification::Exit(reason)) => ended = Some(reason),
                Item::Notification(notification) => news(News::Notification(notification)),
                Item::Foreign(Block { ok: false, body }) => news(News::Refused(shorten(&body))),
                Item::Output { pane, data } => news(News::Output { pane, data }),
                Item::Foreign(_) => {}
            };
            self.replies.push(line, &mut emit).map_err(|e| e.to_string())?;
        }
        match ended {
            Some(reason) if reason.is_empty() => Err("tmux has ended the connection".into()),
            Some(reason) => Err(shorten(&reason)),
            None => Ok(()),
        }
    }
}

impl Waiting {
    fn reply(self, blocks: Vec<Block>) -> Result<(), Vec<Block>> {
        self.reply.send(blocks)
    }
}

/// What a step brings besides replies.
#[derive(Debug)]
pub(super) enum News {
    /// A notification.
    Notification(Notification),
    /// What a pane's program wrote.
    Output {
        /// The pane, `%3`.
        pane: Bytes,
        /// The bytes.
        data: Vec<u8>,
    },
    /// A command that nobody here sent was refused: the opening one, or a hook's.
    Refused(String),
}

/// Why an opening failed.
enum Opening {
    /// The connection ended; tmux may have said why on stderr.
    Lost(String),
    /// tmux answered, but not as needed.
    Tmux(TmuxError),
}

/// The command line of the client that steers everything: `new-session -A` attaches to the keeper or
/// makes it. Its program must hold a pane without ever becoming a shell; `tail` sleeps in the kernel.
fn keeper(config: &Config) -> Command {
    let mut command = command(config);
    command.args(["new-session", "-A", "-s", &config.keeper, "-n", "keeper"]);
    command.args(["-x", "80", "-y", "24", "-f", "no-output,ignore-size"]);
    command.args(["--", "tail", "-f", "/dev/null"]);
    command
}

/// A client's command line, up to tmux's own command.
///
/// - `-u`: without it, and without a UTF-8 locale, tmux replaces what is not ASCII.
/// - A process group of its own: Ctrl+C in the terminal Chorus runs in is not meant for it.
/// - `/`: a server keeps the folder it was started in busy for ever.
fn command(config: &Config) -> Command {
    let mut command = Command::new(&config.binary);
    command.args(["-u", "-f", "/dev/null", "-S"]).arg(&config.socket).arg("-C");
    if let Some(env) = &config.env {
        command.env_clear().envs(env.iter().map(|(key, value)| (key, value)));
    }
    // Inside another tmux it would refuse to nest.
    command.env_remove("TMUX").env_remove("TMUX_PANE");
    command.current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the client said before it ended, at most 4 KB.
async fn read_stderr(stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let mut stderr = stderr.take(4096);
    let read = stderr.read_to_end(&mut text);
    // What was read until then is in `text`.
    drop(timeout(Duration::from_secs(1), read).await);
    shorten(&text)
}
