//! Talking HTTP to the server: well-formed by way of hyper, and any bytes at all.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::World;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Its port, as browsers come.
    Tcp,
    /// Its Unix socket, as the CLI and hooks come.
    Unix,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// What was asked, for messages.
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// Goes on only with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} was answered: {}", self.asked, self.text());
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.read()
    }

    /// The body as what it should be.
    #[track_caller]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| {
            panic!(
                "{} was answered {} with no such JSON ({e}): {}",
                self.asked,
                self.status,
                self.text()
            )
        })
    }

    /// The rows of a list.
    #[track_caller]
    pub fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{} was answered: {}", self.asked, self.text());
        self.read()
    }

    /// The next page's address.
    pub fn next_page(&self) -> Option<String> {
        let (uri, rest) = self.header("link").strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| uri.to_owned())
    }
}

/// A request that is being put together.
pub struct Request<'w> {
    world: &'w World,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    via: Via,
}

impl Request<'_> {
    /// By which way it goes; the port unless told.
    pub fn via(mut self, via: Via) -> Self {
        self.via = via;
        self
    }

    /// Adds or replaces a header. Its value may be any bytes that HTTP lets through.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers
            .insert(name, HeaderValue::from_bytes(value.as_ref()).expect("a header's value"));
        self
    }

    /// Gives it a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string()).header("content-type", "application/json")
    }

    /// Gives it any body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and reads the answer.
    pub async fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        match self.try_send().await {
            Ok(answer) => answer,
            Err(e) => panic!("{asked} was not answered: {e}"),
        }
    }

    /// Sends it and reads the answer; the server may be away.
    pub async fn try_send(self) -> Result<Answer, String> {
        let asked = format!("{} {}", self.method, self.path);
        let answer = async {
            let response = self.open().await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes().to_vec();
            Ok(Answer { asked, status: parts.status.as_u16(), headers: parts.headers, body })
        };
        timeout(LIMIT, answer).await.map_err(|_| format!("no answer after {LIMIT:?}"))?
    }

    /// Sends it; the body of the answer is still to come.
    pub async fn open(self) -> Result<Response<Incoming>, String> {
        let mut sender = connect(self.world, self.via).await.map_err(|e| e.to_string())?;
        let mut request = hyper::Request::builder().method(self.method).uri(&self.path);
        let headers = request.headers_mut().expect("a usable request");
        *headers = self.headers;
        if !headers.contains_key(HOST) {
            let host = self.world.host().parse().expect("a host");
            headers.insert(HOST, host);
        }
        let request = request.body(Full::new(self.body)).map_err(|e| e.to_string())?;
        sender.send_request(request).await.map_err(|e| e.to_string())
    }
}

/// A connection of its own, which may be used for many requests.
pub async fn connect(world: &World, via: Via) -> std::io::Result<SendRequest<Full<Bytes>>> {
    match via {
        Via::Tcp => greet(TcpStream::connect(world.host()).await?).await,
        Via::Unix => greet(UnixStream::connect(world.socket()).await?).await,
    }
}

/// A connection to the server's Unix socket, which stays in place when the server does not.
pub async fn connect_unix(socket: &Path) -> std::io::Result<SendRequest<Full<Bytes>>> {
    greet(UnixStream::connect(socket).await?).await
}

/// Posts to an address that is not the server's usual one.
pub async fn post_to(address: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let mut sender = greet(stream).await.expect("HTTP");
    let mut request = hyper::Request::post(path).header(HOST, address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a usable request");
    let response = sender.send_request(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("its body").to_bytes().to_vec();
    Answer {
        asked: format!("POST {path}"),
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

async fn greet<S>(stream: S) -> std::io::Result<SendRequest<Full<Bytes>>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

impl World {
    /// Begins a request.
    pub fn request(&self, method: &str, path: impl Into<String>) -> Request<'_> {
        Request {
            world: self,
            method: method.parse().expect("a method"),
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            via: Via::Tcp,
        }
    }

    /// `GET`.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.request("GET", path).send().await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.request("PATCH", path).json(body).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: impl Into<String>) -> Answer {
        self.request("DELETE", path).send().await
    }

    /// Sends these very bytes and reads what comes back until the server closes the connection, or
    /// has said nothing for a second.
    pub async fn raw(&self, via: Via, bytes: &[u8]) -> Vec<u8> {
        match via {
            Via::Tcp => {
                let stream = TcpStream::connect(self.host()).await.expect("a connection");
                exchange(stream, bytes).await
            }
            Via::Unix => {
                let stream = UnixStream::connect(self.socket()).await.expect("a connection");
                exchange(stream, bytes).await
            }
        }
    }
}

async fn exchange<S>(mut stream: S, bytes: &[u8]) -> Vec<u8>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // The server may stop to listen in the middle, which is its answer.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(Ok(n)) = timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..n]);
    }
    answer
}

/// Whether an answer is a problem of RFC 9457.
pub fn is_problem(answer: &Answer) -> bool {
    answer.headers.get(CONTENT_TYPE).is_some_and(|t| t == "application/problem+json")
        && serde_json::from_slice::<Value>(&answer.body)
            .is_ok_and(|p| p["status"] == answer.status && p["detail"].is_string())
}
