//! What a session is: its ids, how it was launched, its conversations, and what was heard of it last.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Asks, Frame, Head, frame_part};
use crate::api::problem::{Path, Problem, Query};
use crate::domain::session::{Conversation, Session};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::{App, projects, sessions, spending};
use crate::store::{conversations, events};
use crate::web::plain::plain;
use crate::web::shell::Shell;
use crate::web::{Part, html, no_such_part};

/// Events that are shown.
const HEARD: u32 = 30;

#[derive(Template)]
#[template(path = "session/about.html")]
struct Page {
    shell: Shell,
    head: Head,
    asks: Asks,
    tab: &'static str,
    facts: Vec<(&'static str, String)>,
    launch: Vec<(&'static str, String)>,
    metadata: String,
    conversations: Vec<Conversation>,
    heard: Vec<Heard>,
    created: Timestamp,
    updated: Timestamp,
}

/// Something that was heard of a session.
struct Heard {
    kind: String,
    what: String,
    at: Timestamp,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(wanted): Query<Part>,
) -> Result<Response, Problem> {
    let session = sessions::find(&app, &name).await?;
    if let Some(part) = wanted.part {
        return frame_part(&app, &session, &part).await?.ok_or_else(|| no_such_part(&part));
    }
    let Frame { shell, head, asks, tab } = Frame::of(&app, &session, "about").await?;
    let known = conversations::of_session(&app.db, session.id).await.map_err(Error::from)?;
    let last = events::last_of(&app.db, session.id, HEARD).await.map_err(Error::from)?;
    let heard = last.into_iter().map(|event| Heard {
        kind: event.event.kind.to_string(),
        what: what(&event.event.data),
        at: event.event.at,
    });
    let project = projects::get(&app, session.project_id).await?;
    html(Page {
        facts: facts(&session, &project.name),
        launch: launch(&session),
        metadata: match session.metadata.is_empty() {
            true => String::new(),
            false => serde_json::to_string_pretty(&session.metadata).unwrap_or_default(),
        },
        conversations: known,
        heard: heard.collect(),
        created: session.created_at,
        updated: session.updated_at,
        shell,
        head,
        asks,
        tab,
    })
}

/// The few words of an event that tell it from others of its kind.
fn what(data: &str) -> String {
    let data: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let word = |key: &str| data.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    let pair = |from: Option<String>, to: Option<String>| Some(format!("{} → {}", from?, to?));
    let hook = data.pointer("/payload/hook_event_name").and_then(|v| v.as_str()).map(str::to_owned);
    let said = [
        hook.or_else(|| word("hook_event_name")).or_else(|| word("event")),
        pair(
            word("old").or_else(|| word("old_status")),
            word("new").or_else(|| word("new_status")),
        ),
        word("tool"),
        word("direction"),
        word("status").or_else(|| word("delivery_status")),
        word("kind"),
        word("path"),
    ];
    plain(&said.into_iter().flatten().collect::<Vec<_>>().join(" · "))
}

fn facts(session: &Session, project: &str) -> Vec<(&'static str, String)> {
    let state = &session.state;
    let used = spending::used(session);
    let tokens = state.spending.tokens;
    let list = [
        ("Session", Some(session.id.to_string())),
        ("Project", Some(project.to_owned())),
        ("Workspace", Some(session.workspace_path.clone())),
        ("Conversation", state.conversation.as_ref().map(|c| c.0.clone())),
        ("Claude Code", session.claude_version.clone()),
        ("Model", used.context.as_ref().map(|c| c.model.clone()).filter(|m| !m.is_empty())),
        (
            "Context",
            used.context.as_ref().map(|c| match c.window {
                Some(window) => format!("{} of {window} tokens", c.used),
                None => format!("{} tokens", c.used),
            }),
        ),
        (
            "Tokens",
            Some(format!(
                "{} in, {} out, {} written to the cache, {} read from it",
                tokens.input_tokens,
                tokens.output_tokens,
                tokens.cache_creation_input_tokens,
                tokens.cache_read_input_tokens
            )),
        ),
        ("Process", state.process.map(|p| p.pid.to_string())),
        (
            "Started",
            Some(match state.generation {
                0 | 1 => "once".to_owned(),
                n => format!("{n} times"),
            }),
        ),
        (
            "Runs in",
            Some(match session.is_elsewhere() {
                true => "a terminal of somebody's own".to_owned(),
                false => format!("tmux session {}", session.tmux_session),
            }),
        ),
        ("Life", Some(state.status.to_string())),
    ];
    list.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn launch(session: &Session) -> Vec<(&'static str, String)> {
    let launch = &session.launch;
    let words = |list: &[String]| Some(list.join(", ")).filter(|l| !l.is_empty());
    // Values may be secrets.
    let names: Vec<String> = launch.env.keys().cloned().collect();
    let list = [
        ("Model", launch.model.clone()),
        ("Permission mode", launch.permission_mode.map(|mode| mode.to_string())),
        ("Allowed tools", words(&launch.allowed_tools)),
        ("Disallowed tools", words(&launch.disallowed_tools)),
        ("Further directories", words(&launch.add_dirs)),
        ("Environment", words(&names).map(|names| format!("{names} (values are not shown)"))),
        ("Configuration", launch.claude_config_dir.clone()),
        ("System prompt", launch.append_system_prompt.clone()),
        ("Tool servers", launch.mcp_config.as_ref().map(servers)),
        ("Further arguments", words(&launch.extra_args)),
        (
            "Restarts after a crash",
            (launch.crash_restarts > 0).then(|| format!("up to {} an hour", launch.crash_restarts)),
        ),
        ("Budget", launch.budget_usd.map(|usd| usd.to_string())),
    ];
    list.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The names of the tool servers: the rest may hold secrets.
fn servers(config: &serde_json::Value) -> String {
    let servers = config.get("mcpServers").and_then(|s| s.as_object());
    servers.into_iter().flat_map(|s| s.keys().cloned()).collect::<Vec<_>>().join(", ")
}
