//! What surrounds every page: where one is, and what waits for a person.

use std::sync::Arc;

use super::assets;
use crate::domain::event::EventKind;
use crate::domain::permission::PermissionStatus;
use crate::services::App;
use crate::services::error::Error;

/// The frame of a page. Templates that extend `layout.html` have it as `shell`.
pub struct Shell {
    /// The page's entry in the navigation.
    pub page: &'static str,
    /// Where scripts and styles are.
    pub assets: &'static str,
    /// The last event that the page can know of; the live stream goes on from there.
    pub event: i64,
    /// Permission requests that nobody has decided.
    pub waiting: Waiting,
}

/// What waits for a person, in a line.
#[derive(Default)]
pub struct Waiting {
    /// How many requests wait.
    pub count: usize,
    /// The tool that the oldest one is about.
    pub tool: String,
    /// The session that has waited longest.
    pub session: String,
    /// When the newest one came; empty if none waits.
    pub newest: String,
}

impl Shell {
    /// Looks around. To be called before a page reads anything else, so that no event falls between.
    ///
    /// # Errors
    /// If the live state is away.
    pub async fn of(app: &Arc<App>, page: &'static str) -> Result<Self, Error> {
        let event = app.hub.last_id();
        let waiting = app
            .engine
            .read(|live| {
                let pending = live.open.values().map(|open| &open.request);
                let pending = pending.filter(|r| r.status == PermissionStatus::Pending);
                let count = pending.clone().count();
                let newest = pending.clone().map(|r| r.requested_at).max();
                let oldest = pending.min_by_key(|r| r.requested_at);
                let name = |r| live.session(r).map(|s| s.name.to_string()).unwrap_or_default();
                Waiting {
                    count,
                    tool: oldest.map(|r| r.tool.clone()).unwrap_or_default(),
                    session: oldest.map(|r| name(r.session_id)).unwrap_or_default(),
                    newest: newest.map(|at| at.to_string()).unwrap_or_default(),
                }
            })
            .await?;
        Ok(Self { page, assets: &assets::BASE, event, waiting })
    }

    /// The kinds of events that the live stream may have: a browser hears only those that it names.
    pub fn kinds(&self) -> String {
        EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" ")
    }
}
