//! Reaching the people whose terminals are attached, without a byte into any pane.

use super::Tmux;
use super::error::TmuxError;
use super::format::read_client;
use super::quote::{CommandLine, check_text};
use super::sessions::check_name;

/// A terminal that shows a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// tmux's name for it.
    pub name: String,
    /// The session that it shows.
    pub session: String,
    /// It is a program that speaks tmux's protocol, not a person's terminal.
    pub control: bool,
}

/// How a client is asked for.
pub(super) const CLIENT_FORMAT: &str =
    "#{client_control_mode} #{n:client_name}:#{client_name}#{n:session_name}:#{session_name}";

/// The user option that carries a text past format expansion.
const NOTICE_OPTION: &str = "@chorus_notice";
/// How long a message stays, if no key is pressed. Milliseconds. It covers the last row.
const STAYS: u32 = 4_000;
/// The longest message. Bytes; tmux cuts it at the terminal's width.
const LONGEST: usize = 4_096;

impl Tmux {
    /// Shows a line of text in every person's terminal but those that show session `about` itself,
    /// and rings the bell of all of them if `bell` says so. Tells how many there are.
    ///
    /// # Errors
    /// As for every method; a terminal that leaves meanwhile is no error.
    pub async fn alert(&self, text: &str, about: &str, bell: bool) -> Result<usize, TmuxError> {
        let clients = self.clients().await?;
        for client in clients.iter().filter(|client| client.session != about) {
            ignore_gone(self.show(&client.name, text).await)?;
        }
        let mut sessions: Vec<&str> = clients.iter().map(|c| c.session.as_str()).collect();
        sessions.sort_unstable();
        sessions.dedup();
        for session in sessions.into_iter().filter(|_| bell) {
            ignore_gone(self.ring(session).await)?;
        }
        Ok(clients.len())
    }

    async fn clients(&self) -> Result<Vec<Client>, TmuxError> {
        let line = CommandLine::new("list-clients").raw("-F").arg(CLIENT_FORMAT);
        let body = self.run(line).await?.pop().unwrap_or_default();
        let lines = body.split(|&b| b == b'\n').filter(|line| !line.is_empty());
        let read =
            |line| read_client(line).ok_or_else(|| TmuxError::unexpected("list-clients", line));
        let clients: Vec<Client> = lines.map(read).collect::<Result<_, _>>()?;
        Ok(clients.into_iter().filter(|c| !c.control && c.session != self.config.keeper).collect())
    }

    async fn show(&self, client: &str, text: &str) -> Result<(), TmuxError> {
        // Styles (`#[…]`) count even in what a format inserts.
        let text: String = text.chars().filter(|c| !c.is_control() && *c != '#').collect();
        check_text("the message", text.as_bytes(), LONGEST)?;
        let line = CommandLine::new("set-option").raw("-g").raw(NOTICE_OPTION).arg(&text);
        let line = line.then("display-message").raw("-c").arg(client);
        let line = line.raw(format!("-d {STAYS}")).arg(format!("#{{{NOTICE_OPTION}}}"));
        self.run(line).await.map(drop)
    }

    /// Rings the bell of the terminals that show a session.
    ///
    /// tmux rings only for what happens in a pane, and nothing may be printed into Claude's. That
    /// the pane has been silent for a second happens by itself while Claude waits; whether that
    /// rings is an option, which tmux itself is told to take back.
    async fn ring(&self, session: &str) -> Result<(), TmuxError> {
        check_name(session)?;
        let target = format!("={session}:");
        let line = CommandLine::new("set-option").raw("-t").arg(&target).raw("silence-action any");
        let line = line.then("set-option").raw("-t").arg(&target).raw("visual-silence off");
        let line = line.then("set-option").raw("-w -t").arg(&target).raw("monitor-silence 1");
        let off = format!("set-option -w -t {target} monitor-silence 0");
        self.run(line.then("run-shell").raw("-b -d 1.5 -C").arg(off)).await.map(drop)
    }
}

fn ignore_gone(outcome: Result<(), TmuxError>) -> Result<(), TmuxError> {
    match outcome {
        Err(TmuxError::NotFound { .. }) => Ok(()),
        other => other,
    }
}
