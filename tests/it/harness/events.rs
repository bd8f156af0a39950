//! Listening to `/api/events`.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::{PATIENCE, World};

/// One event of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its place in the log.
    pub id: i64,
    /// What it is about: `claude_status`, `permission_request`, …
    pub kind: String,
    pub data: Value,
}

/// A listener. Dropped, it has left.
pub struct Events {
    body: Incoming,
    text: Vec<u8>,
    /// Where the stream said it stood, or the last event that was read.
    pub last_id: i64,
}

impl World {
    /// Listens, from the event after `after` on; else from now on. When this returns, the server
    /// has said where it stands: no later event is missed.
    pub async fn events(&self, after: Option<i64>) -> Events {
        self.events_of("", after).await
    }

    /// The same with a query, such as `?session_id=…`.
    pub async fn events_of(&self, query: &str, after: Option<i64>) -> Events {
        let mut request = self.request("GET", format!("/api/events{query}"));
        if let Some(id) = after {
            request = request.header("last-event-id", id.to_string());
        }
        let response = request.open().await.expect("a stream");
        assert_eq!(response.status(), 200);
        let mut events = Events::of(response);
        let greeting = timeout(PATIENCE, events.frame()).await.expect("a greeting in time");
        events.note_id(&greeting.expect("a greeting"));
        events
    }
}

impl Events {
    /// Reads the stream that is this answer's body.
    pub fn of(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), text: Vec::new(), last_id: 0 }
    }

    /// The next event; `None` if the stream ends.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            let frame = self.frame().await?;
            self.note_id(&frame);
            let field = |name: &str| {
                frame
                    .lines()
                    .find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
                    .map(str::to_owned)
            };
            if let Some(data) = field("data") {
                return Some(Told {
                    // One that is in no log has none, and the stream stands where it stood.
                    id: self.last_id,
                    kind: field("event").unwrap_or_default(),
                    data: serde_json::from_str(&data).expect("an event's data"),
                });
            }
        }
    }

    /// The next event, if one comes within so much time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Told> {
        timeout(limit, self.next()).await.ok().flatten()
    }

    /// Reads on to the first event that `wanted` takes.
    pub async fn find(&mut self, what: &str, wanted: impl Fn(&Told) -> bool) -> Told {
        let found = async {
            loop {
                match self.next().await {
                    Some(told) if wanted(&told) => return told,
                    Some(_) => {}
                    None => panic!("the stream ended before {what}"),
                }
            }
        };
        let Ok(told) = timeout(PATIENCE, found).await else {
            panic!("waited {PATIENCE:?} in vain for {what} on the stream")
        };
        told
    }

    fn note_id(&mut self, frame: &str) {
        if let Some(id) = frame.lines().find_map(|l| l.strip_prefix("id: ")) {
            self.last_id = id.parse().expect("an id");
        }
    }

    /// The next block of lines, comments included.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.windows(2).position(|w| w == b"\n\n") {
                let frame: Vec<u8> = self.text.drain(..end + 2).collect();
                return Some(String::from_utf8(frame).expect("UTF-8"));
            }
            let data = self.body.frame().await?.ok()?.into_data().ok()?;
            self.text.extend_from_slice(&data);
        }
    }
}
