//! A small HTTP/1.1 client: one request per connection, the answer read to its end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, read until the server closed the connection.
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Whether the body came to its proper end.
    pub complete: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The data of all events of a stream.
    pub fn events(&self) -> Vec<Value> {
        self.body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// The text a stream says.
    pub fn streamed_text(&self) -> String {
        self.events().iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
    }
}

/// Sends a request without waiting for its answer.
pub async fn send(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TcpStream {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let extra: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

/// Reads an answer to its end; an error when there is none.
pub async fn receive(mut stream: TcpStream) -> io::Result<Answer> {
    let mut raw = Vec::new();
    // A cut connection may end in a reset; what came before it counts.
    let _ = stream.read_to_end(&mut raw).await;
    let raw = String::from_utf8_lossy(&raw);
    let (head, rest) = raw.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no answer"))?;
    let mut lines = head.lines();
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let (body, complete) = if chunked { unchunked(rest) } else { (rest.to_owned(), true) };
    Ok(Answer { status, headers, body, complete })
}

/// The content of a chunked body, and whether its last chunk was there.
fn unchunked(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    (body, false)
}

/// Sends a request and reads its answer.
pub async fn call(port: u16, method: &str, path: &str, body: &str) -> Answer {
    let stream = send(port, method, path, &[], body).await;
    receive(stream).await.unwrap()
}

/// A conversation's request: the prompt, and so many answers after it.
pub fn conversation(prompt: &str, answers: usize, stream: bool) -> Value {
    let mut messages = vec![json!({"role": "user", "content": prompt})];
    for _ in 0..answers {
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": "x"}]}));
        messages
            .push(json!({"role": "user", "content": [{"type": "tool_result", "content": "y"}]}));
    }
    json!({
        "model": "test-model", "max_tokens": 1000, "stream": stream, "messages": messages,
        "system": [{"type": "text", "text": "Primary working directory: /srv/space\n"}],
        "tools": [{"name": "Bash"}],
    })
}
