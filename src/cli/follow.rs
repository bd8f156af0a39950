//! The event stream, taken up again where it broke off.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::client::{Client, Events, NoServer, StreamEvent};
use crate::domain::ids::SessionId;

/// How long after a failed attempt to connect the next one is made, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Somebody who follows the events and misses none.
pub struct Follow {
    client: Client,
    query: String,
    last: Option<i64>,
    events: Option<Events>,
}

impl Follow {
    /// Begins to listen. When this returns, the server has answered: no later event is missed.
    pub async fn begin(
        client: &Client,
        session: Option<SessionId>,
        after: Option<i64>,
    ) -> Result<Self> {
        let query = session.map(|id| format!("?session_id={id}")).unwrap_or_default();
        let mut follow = Self { client: client.clone(), query, last: after, events: None };
        follow.connect().await?;
        Ok(follow)
    }

    /// The next event. `None` if the stream broke off: [`Self::again`] goes on with it. A `reset`
    /// event says that some were too many to be told: what they were about is to be read anew.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        let events = self.events.as_mut()?;
        let next = events.next().await.ok().flatten();
        self.last = events.last_id().or(self.last);
        if next.is_none() {
            self.events = None;
        }
        next
    }

    /// Connects again, for so long as it may take, and goes on after the last event that was told.
    pub async fn again(&mut self, limit: Option<Duration>) -> Result<()> {
        let began = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            match self.connect().await {
                Ok(()) => return Ok(()),
                Err(e) if limit.is_some_and(|limit| began.elapsed() > limit) => {
                    return Err(if e.is::<NoServer>() { e } else { NoServer::gone(&e).into() });
                }
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn connect(&mut self) -> Result<()> {
        let mut events = self.client.events(&self.query, self.last).await?;
        // Where the server stands, so that a break before the first event loses nothing either.
        self.last = Some(events.greeting().await?);
        self.events = Some(events);
        Ok(())
    }
}
