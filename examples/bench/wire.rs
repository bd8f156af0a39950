//! The least of HTTP that is needed, on blocking sockets.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;

/// What is waited for at most, for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub enum Wire {
    /// Over loopback.
    Tcp(TcpStream),
    /// Over the Unix socket.
    Unix(UnixStream),
}

impl Wire {
    /// Limits how long an answer may take.
    pub fn patient(self) -> io::Result<Self> {
        match &self {
            Self::Tcp(s) => s.set_read_timeout(Some(PATIENCE))?,
            Self::Unix(s) => s.set_read_timeout(Some(PATIENCE))?,
        }
        Ok(self)
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.read(buf),
            Self::Unix(s) => s.read(buf),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.write(buf),
            Self::Unix(s) => s.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(s) => s.as_fd(),
            Self::Unix(s) => s.as_fd(),
        }
    }
}

/// Waits until some of `wires` can be read, and tells which.
pub fn readable<'a>(wires: impl IntoIterator<Item = &'a Wire>) -> Result<Vec<usize>> {
    let mut fds: Vec<PollFd<'_>> =
        wires.into_iter().map(|w| PollFd::new(w, PollFlags::IN)).collect();
    let patience = PATIENCE.try_into().context("the time to wait")?;
    ensure!(poll(&mut fds, Some(&patience))? > 0, "no answer for {PATIENCE:?}");
    let ready = fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(i, _)| i).collect())
}

/// Reads the answer to a hook: an empty 204.
pub fn taken(wire: &mut Wire) -> Result<()> {
    let mut answer = [0; 1024];
    let mut len = 0;
    while !answer[..len].ends_with(b"\r\n\r\n") {
        let n = wire.read(&mut answer[len..])?;
        ensure!(n > 0, "the server hung up");
        len += n;
    }
    if !answer.starts_with(b"HTTP/1.1 204") {
        bail!("a hook was refused: {}", String::from_utf8_lossy(&answer[..len]));
    }
    Ok(())
}

/// Makes one request on a connection of its own; returns the answer's JSON.
pub fn call(mut wire: Wire, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string).unwrap_or_default();
    write!(
        wire,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    wire.patient()?.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let status: u16 = head.get(9..12).and_then(|s| s.parse().ok()).context("no status")?;
    ensure!((200..300).contains(&status), "{method} {path}: {status} {body}");
    Ok(if body.is_empty() { Value::Null } else { serde_json::from_str(body)? })
}

/// Reads a page of a list, and the path of the next one.
pub fn page(mut wire: Wire, path: &str) -> Result<(Vec<Value>, Option<String>)> {
    write!(wire, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    wire.patient()?.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    let link = head.lines().find(|l| l.to_ascii_lowercase().starts_with("link:"));
    let next = link.and_then(|l| Some(l.split_once('<')?.1.split_once('>')?.0.to_owned()));
    Ok((serde_json::from_str(body)?, next))
}

/// Opens the live stream, and reads up to its first bytes.
pub fn subscribe(mut wire: Wire) -> Result<Wire> {
    wire.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut wire = wire.patient()?;
    let mut seen = Vec::new();
    while find(&seen, b": connected\n\n").is_none() {
        let mut buf = [0; 1024];
        let n = wire.read(&mut buf)?;
        ensure!(n > 0, "the stream was refused: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buf[..n]);
    }
    Ok(wire)
}

/// The live stream, event by event.
pub struct Stream {
    wire: Wire,
    seen: Vec<u8>,
}

impl Stream {
    /// Opens it.
    pub fn open(wire: Wire) -> Result<Self> {
        Ok(Self { wire: subscribe(wire)?, seen: Vec::new() })
    }

    /// Waits for the next event: its kind and data.
    pub fn next(&mut self) -> Result<(String, Value)> {
        loop {
            while let Some(end) = find(&self.seen, b"\n\n") {
                let frame: Vec<u8> = self.seen.drain(..end + 2).collect();
                let frame = String::from_utf8_lossy(&frame);
                let field = |name: &str| frame.lines().find_map(|l| l.strip_prefix(name));
                if let Some((kind, data)) = field("event: ").zip(field("data: ")) {
                    return Ok((kind.to_owned(), serde_json::from_str(data)?));
                }
            }
            let mut buf = [0; 16 * 1024];
            let n = self.wire.read(&mut buf)?;
            ensure!(n > 0, "the stream ended");
            self.seen.extend_from_slice(&buf[..n]);
        }
    }
}

/// Where `needle` begins in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}
