//! `chorus hook EVENT`: what Claude Code runs for each of its events.
//!
//! It sits on Claude's critical path, so it is plain blocking code without an async runtime: it
//! reads the payload, hands it to the server over the Unix socket, and leaves. If the server is
//! away it leaves the payload in the spool instead. It never fails, and prints only what the server has
//! to say to Claude: a permission request waits for that.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::clock;
use crate::domain::ids::Stamp;
use crate::{process, spool};

/// How long Claude may be kept waiting for a server that does not answer.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a permission request waits for its answer: Claude Code's own limit for the hook.
const HOLD: Duration = Duration::from_secs(86_400);
/// How long a Claude that somebody started without Chorus waits with a question for a server that
/// was there a moment ago.
const ABSENCE: Duration = Duration::from_secs(5);
/// Claude Code's largest payloads are tool results; what is longer is left to the transcript.
const PAYLOAD_LIMIT: u64 = 32 * 1024 * 1024;

struct Delivery {
    meta: spool::Meta,
    socket: String,
    payload: Vec<u8>,
}

enum Answer {
    /// The server has it; this is what Claude is to be told.
    Taken(Vec<u8>),
    /// The server does not want it, now or later.
    Refused,
    /// The server is away.
    Away,
}

fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Takes the payload, whatever becomes of it, so that Claude Code never writes into a closed pipe.
fn payload() -> Option<Vec<u8>> {
    let mut payload = Vec::new();
    io::stdin().take(PAYLOAD_LIMIT).read_to_end(&mut payload).ok()?;
    Some(payload)
}

/// Runs a hook of the user's settings: for a Claude that somebody started without Chorus. Without a
/// server there is nothing to do, and nothing is kept: its files tell the server later.
pub fn of_user(socket: &str, event: &str) {
    let Some(payload) = payload() else { return };
    // Chorus's own sessions have hooks of their own.
    if var("CHORUS_SESSION").is_some() {
        return;
    }
    let meta = spool::Meta {
        stamp: Stamp::new(),
        at: clock::now(),
        session: String::new(),
        token: String::new(),
        generation: None,
        event: event.to_owned(),
    };
    let delivery = Delivery { meta, socket: socket.to_owned(), payload };
    if event.eq_ignore_ascii_case("PermissionRequest") {
        delivery.hold(ABSENCE);
    } else {
        delivery.post(PATIENCE, false);
    }
}

/// Runs a managed session's hook.
pub fn main(event: &str) {
    let Some(payload) = payload() else { return };
    // Without these tests run the hook by hand: nothing to do.
    let (Some(session), Some(socket)) = (var("CHORUS_SESSION"), var("CHORUS_SOCKET")) else {
        return;
    };
    let meta = spool::Meta {
        stamp: Stamp::new(),
        at: clock::now(),
        session,
        token: var("CHORUS_HOOK_TOKEN").unwrap_or_default(),
        generation: var("CHORUS_GENERATION").and_then(|g| g.parse().ok()),
        event: event.to_owned(),
    };
    let delivery = Delivery { meta, socket, payload };
    if event.eq_ignore_ascii_case("PermissionRequest") {
        delivery.hold(HOLD);
        return;
    }
    match delivery.post(PATIENCE, false) {
        Answer::Taken(answer) => tell(&answer),
        Answer::Refused => {}
        Answer::Away => {
            if let Some(dir) = var("CHORUS_SPOOL") {
                // If even that fails, the transcript still tells the story.
                let _ = delivery.spool(Path::new(&dir));
            }
        }
    }
}

/// Tells Claude Code what the server has to say.
fn tell(answer: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(answer).and_then(|()| out.flush());
}

impl Delivery {
    /// Delivers a permission request and waits for its answer, through restarts of the server: for
    /// so long a server may be away.
    fn hold(&self, absence: Duration) {
        // Claude Code ends its hooks; should it be killed itself, the kernel does.
        #[cfg(target_os = "linux")]
        let _ =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        let (since, mut seen) = (Instant::now(), Instant::now());
        let mut pause = Duration::from_millis(20);
        let mut again = false;
        while since.elapsed() < HOLD && seen.elapsed() < absence {
            let began = Instant::now();
            match self.post(HOLD, again) {
                Answer::Taken(answer) => return tell(&answer),
                Answer::Refused => return,
                Answer::Away => {}
            }
            again = true;
            if began.elapsed() > Duration::from_secs(1) {
                seen = Instant::now();
                pause = Duration::from_millis(20);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn post(&self, patience: Duration, again: bool) -> Answer {
        self.try_post(patience, again).unwrap_or(Answer::Away)
    }

    fn try_post(&self, patience: Duration, again: bool) -> io::Result<Answer> {
        let mut stream = UnixStream::connect(&self.socket)?;
        // The token is for this user's server, whoever listens in its place.
        if process::is_anothers(&stream) {
            return Ok(Answer::Away);
        }
        stream.set_write_timeout(Some(patience))?;
        stream.set_read_timeout(Some(patience))?;
        let meta = &self.meta;
        let mut request = format!(
            "POST /api/hooks/{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\
             X-Chorus-Stamp: {}\r\nX-Chorus-At: {}\r\n",
            meta.event,
            self.payload.len(),
            meta.stamp,
            meta.at.0,
        );
        if meta.session.is_empty() {
            // Hooks are run directly, so their parent is the Claude they speak of.
            request.push_str(&format!("X-Chorus-Pid: {}\r\n", std::os::unix::process::parent_id()));
        } else {
            request.push_str(&format!(
                "Authorization: Bearer {}\r\nX-Chorus-Session: {}\r\n",
                meta.token, meta.session
            ));
        }
        if let Some(generation) = meta.generation {
            request.push_str(&format!("X-Chorus-Generation: {generation}\r\n"));
        }
        if again {
            request.push_str("X-Chorus-Again: 1\r\n");
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(&self.payload);
        stream.write_all(&request)?;
        let mut response = Vec::new();
        stream.take(1024 * 1024).read_to_end(&mut response)?;
        Ok(read_response(&response))
    }

    /// Leaves the payload where the server will find it.
    fn spool(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        if fs::read_dir(dir)?.take(spool::LIMIT + 1).count() > spool::LIMIT {
            return Ok(());
        }
        let part = dir.join(self.meta.part_name());
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(&self.meta.encode(&self.payload))?;
        fs::rename(part, dir.join(self.meta.file_name()))
    }
}

/// Reads status and body of an answer that was closed by its sender.
fn read_response(response: &[u8]) -> Answer {
    let Some(end) = response.windows(4).position(|w| w == b"\r\n\r\n") else { return Answer::Away };
    let status = response.get(9..12).and_then(|s| std::str::from_utf8(s).ok());
    match status.and_then(|s| s.parse::<u16>().ok()) {
        Some(200..=299) => Answer::Taken(response[end + 4..].to_vec()),
        // Too many at once: the spool takes it, and the server takes that in its own time.
        Some(429) => Answer::Away,
        Some(400..=499) => Answer::Refused,
        _ => Answer::Away,
    }
}
