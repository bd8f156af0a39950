//! The conversation: its end first, older parts on demand, and what a fold hides.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::entries::{Line, View, Words, duration, lines, shown};
use super::{Asks, Frame, Head, frame_part};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::ids::ToolUseId;
use crate::domain::message::Delivery;
use crate::domain::record::{CommandLog, ToolStatus};
use crate::domain::session::Session;
use crate::services::timeline::{self, Place};
use crate::services::{App, sessions};
use crate::web::cards::{self, Ask, What};
use crate::web::diff::LineKind;
use crate::web::shell::Shell;
use crate::web::{html, no_such_part};

/// Entries that are read at a time.
const PAGE: u32 = 40;

/// Which part of the page, and of what.
#[derive(Default, Deserialize)]
pub(super) struct Wanted {
    part: Option<String>,
    /// With `part=earlier` and `part=agent`: what comes before this place.
    before: Option<String>,
    /// With `part=call`: which.
    call: Option<String>,
    /// With `part=agent`: which.
    agent: Option<String>,
}

#[derive(Template)]
#[template(path = "session/conversation.html")]
struct Page {
    shell: Shell,
    head: Head,
    asks: Asks,
    tab: &'static str,
    talk: Talk,
}

/// A part of a conversation.
#[derive(Template)]
#[template(path = "session/talk.html")]
struct Talk {
    session: String,
    lines: Vec<Line>,
    /// Where the part before this one ends.
    earlier: String,
    /// The sub-agent whose it is.
    agent: String,
}

/// What a folded call holds.
#[derive(Template)]
#[template(path = "session/call.html")]
struct CallBody {
    session: String,
    call: String,
    ask: Ask,
    result: String,
    /// The whole length of a result that was cut.
    cut: Option<i64>,
    running: bool,
    duration: String,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    let Some(part) = wanted.part.as_deref() else {
        let Frame { shell, head, asks, tab } = Frame::of(&app, &session, "conversation").await?;
        let talk = talk(&app, &session, None, None).await?;
        return html(Page { shell, head, asks, tab, talk });
    };
    let before = match wanted.before.as_deref() {
        Some(text) => {
            let place: Result<Place, _> = text.parse();
            Some(place.map_err(|_| Problem::field("before", "not a place in a conversation"))?)
        }
        None => None,
    };
    match (part, wanted.call, wanted.agent) {
        ("latest", ..) => html(talk(&app, &session, None, None).await?),
        ("earlier", ..) => html(talk(&app, &session, None, before).await?),
        ("agent", _, Some(agent)) => html(talk(&app, &session, Some(agent), before).await?),
        ("call", Some(call), _) => {
            html(body(timeline::call(&app, session.id, &ToolUseId(call)).await?))
        }
        _ => frame_part(&app, &session, part).await?.ok_or_else(|| no_such_part(part)),
    }
}

async fn talk(
    app: &Arc<App>,
    session: &Session,
    agent: Option<String>,
    before: Option<Place>,
) -> Result<Talk, Problem> {
    let read = timeline::read(app, session.id, agent.as_deref(), before.as_ref(), PAGE).await?;
    Ok(Talk {
        session: session.id.to_string(),
        lines: lines(read.entries),
        earlier: read.earlier.map(|place| place.to_string()).unwrap_or_default(),
        agent: agent.unwrap_or_default(),
    })
}

fn body(log: CommandLog) -> CallBody {
    let result = log.result.as_deref().map(shown).unwrap_or_default();
    CallBody {
        session: log.session_id.to_string(),
        ask: cards::ask(&log.tool, &log.input),
        cut: log.result_bytes.filter(|_| log.result_sha256.is_some()),
        running: log.status == ToolStatus::Running,
        duration: log.duration_ms.map(duration).unwrap_or_default(),
        call: log.tool_use_id.0,
        result,
    }
}
