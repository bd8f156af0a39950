//! The task that keeps the connection: reconnects, hands commands to it and news to the outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, News, Reply};
use super::error::TmuxError;
use super::events::{Outbox, SUBSCRIPTION, Watch};
use super::protocol::Notification;
use super::quote::CommandLine;
use super::types::{Config, Version};

/// A server that leaves a command unanswered for this long is given up (and connected again).
const STUCK: Duration = Duration::from_secs(30);
/// Further commands wait outside while this many are under way …
const MAX_WAITING: usize = 1024;
/// … or this many bytes are unsent.
const MAX_UNSENT: usize = 8 << 20;
/// The pauses between attempts to connect grow from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A connection that lasted this long was a good one: the pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

/// A line of commands and where its replies go; dropped unanswered when the connection is down.
#[derive(Debug)]
pub(super) struct Request {
    /// What to run.
    pub line: CommandLine,
    /// Who waits.
    pub reply: Reply,
}

/// What is known of the server.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Its process; 0 while there is no connection.
    pub pid: AtomicU32,
}

impl Server {
    /// Makes the server look for children that have ended.
    ///
    /// tmux built with libutempter (Debian, Fedora) loses the SIGCHLD of about every eighth program
    /// that ends: while the library removes the login record it has a handler of its own. The
    /// program stays a zombie then and its exit status unknown until the next child's end. The
    /// signal does nothing else, whoever gets it.
    pub fn reap(&self) {
        let pid = i32::try_from(self.pid.load(Ordering::Acquire)).ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // A server that has just gone needs no help.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::CHILD);
        }
    }
}

/// Connects and starts the task; returns when the first connection stands.
pub(super) async fn start(
    config: Config,
    outbox: Arc<Outbox>,
) -> Result<(mpsc::Sender<Request>, Arc<Server>, Version), TmuxError> {
    let connection = Connection::open(&config).await?;
    let version = connection.version.clone();
    let server = Arc::new(Server::default());
    let (sender, requests) = mpsc::channel(64);
    let task = Task { config, requests, outbox, server: Arc::clone(&server) };
    task.connected(&connection);
    tokio::spawn(task.run(connection));
    Ok((sender, server, version))
}

struct Task {
    config: Config,
    requests: mpsc::Receiver<Request>,
    outbox: Arc<Outbox>,
    server: Arc<Server>,
}

/// Why serving a connection ended.
enum End {
    /// It is lost.
    Lost(String),
    /// Nobody holds a handle any more.
    Unused,
}

impl Task {
    async fn run(mut self, mut connection: Connection) {
        let mut pause = BACKOFF.0;
        loop {
            let since = Instant::now();
            match self.serve(connection).await {
                End::Unused => break,
                End::Lost(reason) => {
                    self.server.pid.store(0, Ordering::Release);
                    tracing::warn!(reason, "the connection to tmux is lost; connecting again");
                    self.outbox.disconnected(reason);
                }
            }
            if since.elapsed() >= GOOD {
                pause = BACKOFF.0;
            }
            match self.reconnect(&mut pause).await {
                Some(new) => connection = new,
                None => break,
            }
            self.connected(&connection);
        }
        self.outbox.close();
    }

    fn connected(&self, connection: &Connection) {
        self.server.pid.store(connection.server_pid, Ordering::Release);
        self.outbox.connected(connection.server_pid);
    }

    /// Moves commands and news until the connection is lost. Whoever still waits then is told,
    /// because the connection takes their senders with it.
    async fn serve(&mut self, mut connection: Connection) -> End {
        let mut watch = Watch::default();
        let Self { config, requests, outbox, server } = self;
        let mut news = |news| match news {
            News::Notification(Notification::Sessions | Notification::Layout) => {
                outbox.sessions_changed();
            }
            News::Notification(Notification::Subscription { name, value })
                if name == SUBSCRIPTION.as_bytes() =>
            {
                if watch.update(&value, &config.keeper, outbox) {
                    server.reap();
                }
            }
            News::Notification(_) | News::Output { .. } => {}
            News::Refused(message) => tracing::debug!(message, "tmux refused a command of its own"),
        };
        loop {
            let room = connection.waiting() < MAX_WAITING && connection.unsent() < MAX_UNSENT;
            let oldest = connection.waiting_since();
            tokio::select! {
                step = connection.step(&mut news) => if let Err(reason) = step {
                    return End::Lost(reason);
                },
                request = requests.recv(), if room => match request {
                    Some(Request { line, reply }) => connection.submit(line, reply),
                    None => return End::Unused,
                },
                () = sleep_until(oldest.unwrap_or_else(Instant::now) + STUCK), if oldest.is_some() => {
                    return End::Lost(format!("tmux has answered nothing for {STUCK:?}"));
                },
            }
        }
    }

    /// Connects again, however long it takes; meanwhile every command fails at once.
    /// `None` when nobody holds a handle any more.
    async fn reconnect(&mut self, pause: &mut Duration) -> Option<Connection> {
        loop {
            let config = &self.config;
            let wait = *pause;
            *pause = (*pause * 2).min(BACKOFF.1);
            let attempt = async {
                sleep(wait).await;
                Connection::open(config).await
            };
            tokio::pin!(attempt);
            let outcome = loop {
                tokio::select! {
                    outcome = &mut attempt => break outcome,
                    // Dropping the request tells its sender.
                    request = self.requests.recv() => drop(request?),
                }
            };
            match outcome {
                Ok(connection) => return Some(connection),
                Err(error) => tracing::warn!(%error, "tmux cannot be connected yet"),
            }
        }
    }
}

/// Asks the task to run a line and waits for its replies.
pub(super) async fn call(
    requests: &mpsc::Sender<Request>,
    line: CommandLine,
    within: Duration,
) -> Result<Vec<Vec<u8>>, TmuxError> {
    let label = line.label;
    let (reply, answer) = oneshot::channel();
    let exchange = async {
        requests.send(Request { line, reply }).await.ok()?;
        answer.await.ok()
    };
    let blocks = tokio::time::timeout(within, exchange)
        .await
        .map_err(|_| TmuxError::Timeout { command: label, after: within })?
        .ok_or(TmuxError::Disconnected)?;
    let mut bodies = Vec::with_capacity(blocks.len());
    for block in blocks {
        if !block.ok {
            return Err(TmuxError::refused(label, &block.body));
        }
        bodies.push(block.body);
    }
    Ok(bodies)
}
