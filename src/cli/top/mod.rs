//! `chorus top`: all sessions and what waits for a person, live in a terminal.
//!
//! A pure model ([`state`]) takes in what the server tells and what is pressed; [`draw`] shows it;
//! what is to be done is done beside, so that the screen never waits for the server.

mod act;
mod draw;
mod feed;
mod line;
mod screen;
mod state;
mod text;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use self::draw::Palette;
use self::screen::Screen;
use self::state::{Action, Model, News};
use super::client::Client;
use super::exit::Exit;
use crate::api::sessions::Attach;
use crate::clock;
use crate::config::DataDir;
use crate::domain::ids::SessionId;
use crate::server::Running;

/// News that wait to be taken in.
const BACKLOG: usize = 256;
/// Ages are shown in seconds at best.
const TICK: Duration = Duration::from_secs(1);

/// Shows everything, until somebody quits.
pub async fn run(data: &DataDir, json: bool) -> Result<Exit> {
    if json {
        let text =
            "`chorus top` has nothing to print; `chorus ps --json` and `chorus events --json` do";
        return Err(Exit::Usage.error(text));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let text = "`chorus top` needs a terminal; `chorus ps` and `chorus permissions` print the same once";
        return Err(Exit::Usage.error(text));
    }
    let client = Client::find(data).await?;
    let server = match &client {
        Client::Tcp(host) => format!("http://{host}"),
        Client::Unix(_) => Running::find(data).map(|r| r.url).unwrap_or_default(),
    };
    let feed = feed::begin(&client).await?;
    let (sender, news) = mpsc::channel(BACKLOG);
    let mut tasks = JoinSet::new();
    tasks.spawn(feed.run(sender.clone()));
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let view = View {
        screen: Screen::take()?,
        keys: EventStream::new(),
        model: Model::new(server),
        palette: Palette { colours },
        client,
        news,
        sender,
        tasks,
    };
    view.run().await?;
    Ok(Exit::Ok)
}

struct View {
    screen: Screen,
    keys: EventStream,
    model: Model,
    palette: Palette,
    client: Client,
    news: mpsc::Receiver<News>,
    sender: mpsc::Sender<News>,
    tasks: JoinSet<()>,
}

/// What has happened.
enum Input {
    Terminal(Option<std::io::Result<Event>>),
    News(Option<News>),
    Task(Result<(), JoinError>),
    Continued,
    Tick,
    Ended,
}

impl View {
    async fn run(mut self) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        loop {
            self.draw()?;
            let input = tokio::select! {
                event = self.keys.next() => Input::Terminal(event),
                news = self.news.recv() => Input::News(news),
                Some(joined) = self.tasks.join_next() => Input::Task(joined),
                _ = continued.recv() => Input::Continued,
                () = sleep(TICK), if self.model.changes_with_time() => Input::Tick,
                _ = terminate.recv() => Input::Ended,
                _ = hangup.recv() => Input::Ended,
            };
            let actions = match input {
                Input::Terminal(Some(event)) => self.press(event?),
                Input::News(Some(news)) => self.hear(news),
                Input::Terminal(None) | Input::News(None) | Input::Ended => return Ok(()),
                Input::Task(joined) => {
                    watch(joined);
                    Vec::new()
                }
                // Whoever had the terminal meanwhile left it as they wanted it.
                Input::Continued => {
                    self.screen.again()?;
                    Vec::new()
                }
                Input::Tick => Vec::new(),
            };
            for action in actions {
                match action {
                    Action::Quit => return Ok(()),
                    Action::Suspend => self.suspend()?,
                    Action::Attach(session) => {
                        tokio::select! {
                            attached = self.attach(session) => attached?,
                            _ = terminate.recv() => return Ok(()),
                            _ = hangup.recv() => return Ok(()),
                        }
                    }
                    other => self.act(other),
                }
            }
        }
    }

    fn draw(&mut self) -> Result<()> {
        let now = clock::now();
        let drawn = self.screen.draw(|frame| draw::draw(frame, &self.model, now, self.palette))?;
        self.model.drawn(drawn);
        Ok(())
    }

    fn press(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                self.model.press(key, clock::now())
            }
            Event::Paste(text) => {
                self.model.paste(&text);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Takes in what is there already, before it is all drawn at once.
    fn hear(&mut self, first: News) -> Vec<Action> {
        let mut actions = self.model.hear(first, clock::now());
        for _ in 0..BACKLOG {
            let Ok(news) = self.news.try_recv() else { break };
            actions.extend(self.model.hear(news, clock::now()));
        }
        actions
    }

    fn act(&mut self, action: Action) {
        let (client, sender) = (self.client.clone(), self.sender.clone());
        self.tasks.spawn(async move {
            for news in act::carry_out(&client, action).await {
                // Nobody listens any more: it was quit.
                let _ = sender.send(news).await;
            }
        });
    }

    /// Stops, as Ctrl+Z does everywhere else; goes on where it was.
    fn suspend(&mut self) -> Result<()> {
        self.screen.leave();
        // In a group that no shell could continue, this does nothing.
        rustix::process::kill_current_process_group(Signal::TSTP)?;
        self.screen.again()
    }

    /// Gives the terminal to a session's, until that is left. News are taken in meanwhile.
    async fn attach(&mut self, session: SessionId) -> Result<()> {
        let path = format!("/api/sessions/{session}/attach");
        let how = self.client.post::<Attach>(&path, &serde_json::Value::Null).await;
        let command = match how.and_then(|how| super::attach::command(&how)) {
            Ok(command) => command,
            Err(e) => {
                self.model.hear(News::Done(Err(format!("{e:#}"))), clock::now());
                return Ok(());
            }
        };
        self.screen.leave();
        // Reads no more keys: they are for the session.
        self.keys = EventStream::new();
        let outcome = self.show(command.into()).await;
        self.screen.again()?;
        self.keys = EventStream::new();
        if let Err(e) = outcome {
            self.model.hear(News::Done(Err(format!("tmux cannot be started: {e}"))), clock::now());
        }
        Ok(())
    }

    async fn show(&mut self, mut command: tokio::process::Command) -> std::io::Result<()> {
        let mut shown = Shown(command.spawn()?);
        loop {
            tokio::select! {
                ended = shown.0.wait() => return ended.map(|_| ()),
                Some(news) = self.news.recv() => {
                    let actions = self.hear(news);
                    actions.into_iter().for_each(|action| self.act(action));
                }
            }
        }
    }
}

/// The tmux that has the terminal. It is asked to leave if this ends before it: killed, it would
/// leave the terminal in a mess.
struct Shown(tokio::process::Child);

impl Drop for Shown {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have gone in this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// A task that panicked takes the view with it, with the terminal put right first.
fn watch(joined: Result<(), JoinError>) {
    if let Err(e) = joined
        && e.is_panic()
    {
        panic!("{e}");
    }
}
