//! A session's terminal, live: a WebSocket to its tmux pane.
//!
//! What the server sends:
//!
//! | frame | meaning |
//! |---|---|
//! | text `{"type": "screen", "columns": 200, "rows": 50}` | the next binary frame draws the whole screen, with the lines before it, from nothing; the terminal is of this size |
//! | binary | bytes for the terminal: that screen, then what the program writes |
//! | text `{"type": "typing", "on": true}` | the viewer may type now, or no longer |
//! | text `{"type": "refused", "detail": "…"}` | what was asked for is not done, and why |
//!
//! What a viewer sends:
//!
//! | frame | meaning |
//! |---|---|
//! | text `{"type": "typing", "on": true}` | it wants to type; everybody begins by looking |
//! | binary | what was typed, as a terminal sends it |
//! | text `{"type": "paste", "text": "…"}` | a pasted text; tmux brackets it if the program has asked for that |
//! | text `{"type": "size", "columns": 90, "rows": 30}` | how much room it has. Counts while it types; a `screen` follows if it has changed anything |
//!
//! The end has a code: 1001, the server stops; 4001, the terminal has ended (with the session, or
//! with tmux); 1008, the viewer sent what is not understood. Whoever comes back gets the
//! present screen again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::time::{interval, timeout};
use utoipa::IntoParams;

use super::auth::{Peer, refuse_agent};
use super::problem::{Path, Problem, Query};
use crate::services::error::Error;
use crate::services::viewers::{MAX_PASTE, Screen, Seen, Viewer};
use crate::services::{App, sessions};

/// The largest frame that a viewer may send: a paste, in JSON. Bytes.
const MAX_FRAME: usize = 2 * MAX_PASTE;
/// Whoever does not take a frame for this long is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a silent viewer is asked whether it is there.
const PING: Duration = Duration::from_secs(30);
/// Lines from before the screen, if the viewer does not say.
const SCROLLBACK: u32 = 2_000;

/// How to look.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// Begin with typing allowed.
    #[serde(default)]
    write: bool,
    /// Lines from before the screen: 0 to 10,000; 2,000 unless told.
    scrollback: Option<u32>,
}

/// What a viewer says, bytes apart.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Typing { on: bool },
    Paste { text: String },
    Size { columns: u16, rows: u16 },
}

/// What a viewer is told, bytes apart.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told {
    Screen { columns: u16, rows: u16 },
    Typing { on: bool },
    Refused { detail: String },
}

/// Why a connection is closed by us.
enum End {
    /// The viewer is gone; nobody is left to be told.
    Gone,
    Stopping,
    Ended,
    NotUnderstood(String),
}

/// Shows a session's terminal live, over a WebSocket.
///
/// First everything that is on the screen and lines from before it, then what the program writes.
/// Binary frames are bytes for a terminal; text frames are JSON objects with a `type`. The server
/// sends `screen` (`columns`, `rows`; the next binary frame draws all of it from nothing), `typing`
/// (`on`) and `refused` (`detail`). A viewer looks until it says `{"type": "typing", "on": true}`;
/// then its binary frames are typed, `paste` (`text`) is pasted, and its `size` (`columns`, `rows`)
/// becomes the terminal's. A viewer that is too slow misses output and gets a `screen` again. Closed
/// with 4001 when the terminal has ended, with 1001 when the server stops.
#[utoipa::path(get, path = "/api/sessions/{id}/terminal", tag = "sessions", params(("id" = String, Path), Params),
    responses((status = 101, description = "The connection is a WebSocket now"),
        (status = 403, description = "A Claude that Chorus runs does not type", body = Problem),
        (status = 404, body = Problem),
        (status = 409, description = "It does not run", body = Problem),
        (status = 422, description = "An unusable parameter", body = Problem),
        (status = 426, description = "Not a WebSocket", body = Problem),
        (status = 503, description = "Too many are watched", body = Problem)))]
pub async fn terminal(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if params.write {
        refuse_agent(&app, &peer).await?;
    }
    let scrollback = params.scrollback.unwrap_or(SCROLLBACK);
    if scrollback > 10_000 {
        return Err(Problem::field("scrollback", "expected 0 to 10000"));
    }
    let session = sessions::find(&app, &name).await?;
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(rejection.status(), format!("connect with a WebSocket: {rejection}"))
    })?;
    let viewer = Viewer::open(&app, &session, scrollback).await?;
    let live = Live { app, peer, viewer, typing: false, room: None };
    let upgrade = upgrade.max_message_size(MAX_FRAME).max_frame_size(MAX_FRAME);
    Ok(upgrade.on_upgrade(move |socket| live.run(socket, params.write)))
}

/// One viewer's connection.
struct Live {
    app: Arc<App>,
    peer: Peer,
    viewer: Viewer,
    typing: bool,
    /// The room that the viewer has: columns, rows.
    room: Option<(u16, u16)>,
}

impl Live {
    async fn run(mut self, mut socket: WebSocket, write: bool) {
        let end = match self.begin(&mut socket, write).await {
            Ok(()) => self.serve(&mut socket).await,
            Err(end) => end,
        };
        let (code, reason) = match end {
            End::Gone => return,
            End::Stopping => (1001, "the server stops".to_owned()),
            End::Ended => (4001, "the terminal has ended".to_owned()),
            // A reason has room for 123 bytes.
            End::NotUnderstood(why) => (1008, why.chars().take(40).collect()),
        };
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // Whoever does not hear it learns from the end of the connection.
        let _ = timeout(PATIENCE, socket.send(close)).await;
    }

    async fn begin(&mut self, socket: &mut WebSocket, write: bool) -> Result<(), End> {
        if write { self.set_typing(socket, true).await } else { Ok(()) }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> End {
        let mut ping = interval(PING);
        let shutdown = self.app.shutdown.clone();
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => Err(End::Stopping),
                seen = self.viewer.next() => match seen {
                    Ok(seen) => show(socket, seen).await,
                    Err(_) => Err(End::Ended),
                },
                said = socket.recv() => match said {
                    Some(Ok(message)) => self.hear(socket, message).await,
                    Some(Err(_)) | None => Err(End::Gone),
                },
                _ = ping.tick() => send(socket, Message::Ping(Default::default())).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        let done = match message {
            Message::Binary(_) if !self.typing => Err(LOOKING.to_owned()),
            Message::Binary(keys) => self.viewer.write(&keys).map_err(|e| e.to_string()),
            Message::Text(text) => {
                let said = serde_json::from_str(&text);
                match said.map_err(|e| End::NotUnderstood(e.to_string()))? {
                    Said::Typing { on } => return self.set_typing(socket, on).await,
                    Said::Paste { .. } if !self.typing => Err(LOOKING.to_owned()),
                    Said::Paste { text } => self.viewer.paste(&text).map_err(|e| e.to_string()),
                    Said::Size { columns, rows } => {
                        self.room = Some((columns, rows));
                        self.resize().map_err(|e| e.to_string())
                    }
                }
            }
            // Pings are answered by the library.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => return Err(End::Gone),
        };
        match done {
            Ok(()) => Ok(()),
            Err(detail) => tell(socket, &Told::Refused { detail }).await,
        }
    }

    /// Only who types has a say in the size.
    fn resize(&mut self) -> Result<(), Error> {
        match self.room {
            Some(room) if self.typing => self.viewer.resize(Some(room)),
            _ => Ok(()),
        }
    }

    async fn set_typing(&mut self, socket: &mut WebSocket, on: bool) -> Result<(), End> {
        if on && let Err(problem) = refuse_agent(&self.app, &self.peer).await {
            return tell(socket, &Told::Refused { detail: problem.detail }).await;
        }
        self.typing = on;
        let resized = if on { self.resize() } else { self.viewer.resize(None) };
        tell(socket, &Told::Typing { on }).await?;
        match resized {
            Ok(()) => Ok(()),
            Err(error) => tell(socket, &Told::Refused { detail: error.to_string() }).await,
        }
    }
}

/// What is answered to keys of somebody who only looks.
const LOOKING: &str = "you are only looking; switch to typing first";

async fn show(socket: &mut WebSocket, seen: Seen) -> Result<(), End> {
    match seen {
        Seen::Screen(Screen { columns, rows, bytes }) => {
            tell(socket, &Told::Screen { columns, rows }).await?;
            send(socket, Message::Binary(bytes.into())).await
        }
        Seen::Output(bytes) => send(socket, Message::Binary(bytes.into())).await,
    }
}

async fn tell(socket: &mut WebSocket, told: &Told) -> Result<(), End> {
    let text = serde_json::to_string(told).unwrap_or_default();
    send(socket, Message::Text(text.into())).await
}

/// While this waits nothing is taken from tmux, which drops what a slow viewer misses.
async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}
