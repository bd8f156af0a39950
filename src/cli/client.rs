//! The CLI's side of the API: HTTP over the server's Unix socket, or over TCP if told a URL.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::exit::Exit;
use crate::api::problem::Problem;
use crate::config::DataDir;
use crate::server::Running;

/// How long an answer may take; a start of Claude is among them.
const LIMIT: Duration = Duration::from_secs(60);
/// The largest answer that is read. Bytes.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// An API call that the server refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.detail)]
pub struct Refused(pub Problem);

/// There is no server to call.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoServer(String);

impl NoServer {
    fn on(data: &DataDir) -> Self {
        Self(format!("no server runs on {}; start one with `chorus serve`", data.0.display()))
    }

    /// It was there, and no longer answers.
    pub fn gone(why: impl Display) -> Self {
        Self(format!("the server went away ({why}); `chorus serve` starts it again"))
    }
}

/// Where the server is.
#[derive(Clone, Debug)]
pub enum Client {
    /// On this socket.
    Unix(PathBuf),
    /// At this host and port.
    Tcp(String),
}

impl Client {
    /// Finds the server: `CHORUS_URL`, else the one that runs on the data folder.
    pub async fn find(data: &DataDir) -> Result<Self> {
        if let Ok(url) = std::env::var("CHORUS_URL") {
            let rest = url
                .strip_prefix("http://")
                .ok_or_else(|| Exit::Usage.error("CHORUS_URL must begin with http://"))?;
            return Ok(Self::Tcp(rest.trim_end_matches('/').to_owned()));
        }
        let no_server = || NoServer::on(data);
        let running = Running::find(data).ok_or_else(no_server)?;
        let client = Self::Unix(running.socket);
        // A file may be left of a server that was killed.
        client.connect().await.map_err(|_| no_server())?;
        Ok(client)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        macro_rules! begin {
            ($stream:expr) => {{
                let (sender, connection) =
                    handshake(TokioIo::new($stream)).await.map_err(NoServer::gone)?;
                tokio::spawn(connection);
                Ok(sender)
            }};
        }
        match self {
            Self::Unix(path) => {
                begin!(UnixStream::connect(path).await.map_err(NoServer::gone)?)
            }
            Self::Tcp(host) => {
                let none = |e| NoServer(format!("no server at http://{host}: {e}"));
                begin!(TcpStream::connect(host).await.map_err(none)?)
            }
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>> {
        let host = match self {
            Self::Unix(_) => "localhost",
            Self::Tcp(host) => host,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
            .header("x-chorus-client", "cli");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
        let mut sender = self.connect().await?;
        let answer = timeout(LIMIT, sender.send_request(request)).await;
        let late = |_| {
            Exit::TimedOut.error(format!("the server did not answer within {} s", LIMIT.as_secs()))
        };
        let response = answer.map_err(late)?.map_err(NoServer::gone)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(problem(response).await?.into())
    }

    /// Calls the API.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let body = body.map(serde_json::to_vec).transpose()?;
        let response = self.request(method, path, body, &[]).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(serde_json::from_value(Value::Null)?);
        }
        Ok(serde_json::from_slice(&read(response).await?)?)
    }

    /// Reads one thing.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, None::<&Value>).await
    }

    /// Sends something.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Reads a whole list, page by page, but at most so many rows.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<Vec<T>> {
        let glue = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{path}{glue}limit={}", most.clamp(1, 500)));
        let mut all = Vec::new();
        while let Some(path) = next.take().filter(|_| all.len() < most) {
            let response = self.request(Method::GET, &path, None, &[]).await?;
            next = response.headers().get("link").and_then(|l| l.to_str().ok()).and_then(next_page);
            let page: Vec<T> = serde_json::from_slice(&read(response).await?)?;
            all.extend(page);
        }
        all.truncate(most);
        Ok(all)
    }

    /// Listens to the event stream.
    pub async fn events(&self, query: &str, after: Option<i64>) -> Result<Events> {
        let headers: Vec<_> =
            after.map(|id| ("last-event-id", id.to_string())).into_iter().collect();
        let response =
            self.request(Method::GET, &format!("/api/events{query}"), None, &headers).await?;
        Ok(Events { body: response.into_body(), text: Vec::new(), last: None })
    }
}

fn next_page(link: &str) -> Option<String> {
    let (uri, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then(|| uri.to_owned())
}

async fn read(response: Response<Incoming>) -> Result<Vec<u8>> {
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_LIMIT);
    let bytes = body.collect().await.map_err(|e| anyhow!("the answer broke off: {e}"))?;
    Ok(bytes.to_bytes().to_vec())
}

async fn problem(response: Response<Incoming>) -> Result<Refused> {
    let status = response.status();
    let text = read(response).await?;
    match serde_json::from_slice(&text) {
        Ok(problem) => Ok(Refused(problem)),
        Err(_) => bail!("{status}: {}", String::from_utf8_lossy(&text)),
    }
}

/// An event of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its id.
    pub id: Option<i64>,
    /// What it is about.
    pub kind: String,
    /// Its data, as JSON.
    pub data: String,
}

/// The event stream.
pub struct Events {
    body: Incoming,
    text: Vec<u8>,
    last: Option<i64>,
}

impl Events {
    /// The next event. `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>> {
        while let Some(event) = self.block().await? {
            if !event.kind.is_empty() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Where the stream stands, which the server says first.
    pub async fn greeting(&mut self) -> Result<i64> {
        while self.last.is_none() {
            let Some(block) = self.block().await? else { bail!("the stream ended at once") };
            anyhow::ensure!(block.kind.is_empty(), "the stream began without saying where");
        }
        Ok(self.last.unwrap_or_default())
    }

    /// The last id that the stream has told.
    pub fn last_id(&self) -> Option<i64> {
        self.last
    }

    /// The next block of lines; one without an event has no kind.
    async fn block(&mut self) -> Result<Option<StreamEvent>> {
        loop {
            if let Some(end) = self.text.windows(2).position(|w| w == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let event = parse(&String::from_utf8_lossy(&block));
                self.last = event.id.or(self.last);
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) =
                        frame.map_err(|e| anyhow!("the stream broke off: {e}"))?.into_data()
                    {
                        self.text.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn parse(block: &str) -> StreamEvent {
    let mut event = StreamEvent::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => event.id = id.parse().ok(),
            Some(("event", kind)) => event.kind = kind.to_owned(),
            Some(("data", data)) => event.data = data.to_owned(),
            _ => {}
        }
    }
    event
}

/// Writes a value so that it can stand in a query (RFC 3986, 2.3).
pub fn encoded(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let write = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    value.bytes().map(write).collect()
}
