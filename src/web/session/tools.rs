//! The tool log: every call, the newest first, by tool, status and text.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;

use super::entries::{about, duration};
use super::{Asks, Frame, Head, frame_part};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::permission::{PLAN, QUESTION};
use crate::domain::record::{CommandLog, ToolStatus};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::{App, sessions};
use crate::store::{Cursor, Order, logs};
use crate::web::address;
use crate::web::shell::Shell;
use crate::web::{html, no_such_part};

/// Calls that are shown at a time.
const PAGE: u32 = 50;
/// The longest text that is looked for. Characters.
const LONGEST: usize = 200;
/// Tools that every Claude Code has, as proposals for the filter.
const TOOLS: &[&str] = &[
    "Agent",
    QUESTION,
    "Bash",
    "Edit",
    PLAN,
    "Glob",
    "Grep",
    "NotebookEdit",
    "Read",
    "Skill",
    "Task",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Write",
];
const STATUSES: &[ToolStatus] = &[
    ToolStatus::Running,
    ToolStatus::Completed,
    ToolStatus::Error,
    ToolStatus::Denied,
    ToolStatus::Interrupted,
];

/// Which calls, and which part of the page. What is empty is left out: forms send it so.
#[derive(Default, Deserialize)]
pub(super) struct Wanted {
    part: Option<String>,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "session/tools.html")]
struct Page {
    shell: Shell,
    head: Head,
    asks: Asks,
    tab: &'static str,
    calls: Calls,
}

#[derive(Template)]
#[template(path = "session/calls.html")]
struct Calls {
    session: String,
    tool: String,
    status: String,
    text: String,
    /// Some calls are left out.
    filtered: bool,
    rows: Vec<CallRow>,
    /// Where this part comes from, anew; empty for a page that is not the first: it does not move with what comes.
    source: String,
    /// The page of the newest calls.
    newest: String,
    /// The page of those before these.
    older: String,
}

struct CallRow {
    id: i64,
    call: String,
    tool: String,
    line: String,
    status: ToolStatus,
    duration: String,
    agent: String,
    at: Timestamp,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    uri: Uri,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    match wanted.part.as_deref() {
        None => {
            let Frame { shell, head, asks, tab } = Frame::of(&app, &session, "tools").await?;
            let calls = calls(&app, &session, &uri, wanted).await?;
            html(Page { shell, head, asks, tab, calls })
        }
        Some("calls") => html(calls(&app, &session, &uri, wanted).await?),
        Some(part) => frame_part(&app, &session, part).await?.ok_or_else(|| no_such_part(part)),
    }
}

async fn calls(
    app: &Arc<App>,
    session: &Session,
    uri: &Uri,
    wanted: Wanted,
) -> Result<Calls, Problem> {
    let Wanted { tool, status, text, after, .. } = wanted;
    if !status.is_empty() && ToolStatus::parse(&status).is_none() {
        return Err(Problem::field("status", "no status of a tool call"));
    }
    let text: String = text.chars().take(LONGEST).collect();
    let given = |word: &str| Some(word.to_owned()).filter(|w| !w.is_empty());
    let filter = logs::Filter { tool: given(&tool), status: given(&status), text: given(&text) };
    let cursor: Option<Cursor> = match given(&after) {
        Some(after) => {
            Some(after.parse().map_err(|_| Problem::field("after", "not a place in this list"))?)
        }
        None => None,
    };
    let page = logs::list(&app.db, session.id, &filter, Order::Newest, cursor.as_ref(), PAGE);
    let page = page.await.map_err(Error::from)?;
    let later = cursor.is_some();
    let whole = |after: &str| address::with(uri, &[("after", after), ("part", "")]);
    Ok(Calls {
        session: session.id.to_string(),
        filtered: filter.tool.is_some() || filter.status.is_some() || filter.text.is_some(),
        rows: page.items.into_iter().map(row).collect(),
        source: if later { String::new() } else { address::with(uri, &[("part", "calls")]) },
        newest: whole(""),
        older: page.next.map(|next| whole(&next.to_string())).unwrap_or_default(),
        tool,
        status,
        text,
    })
}

fn row(log: CommandLog) -> CallRow {
    CallRow {
        id: log.id,
        line: about(&log),
        status: log.status,
        duration: log.duration_ms.map(duration).unwrap_or_default(),
        agent: log.agent_id.unwrap_or_default(),
        at: log.timestamp,
        call: log.tool_use_id.0,
        tool: log.tool,
    }
}
