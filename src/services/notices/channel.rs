//! The ways by which a notice goes out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use crate::config::Notify;
use crate::domain::notice::Notice;
use crate::notify::{Desktop, Message, Program};

/// A way by which notices go out, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A page that is open; where there is none, the desktop.
    Screen,
    /// The terminals that are attached to sessions.
    Terminal,
    /// A program of the user's.
    Command,
}

/// What became of a notice by one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeAttempt {
    /// By which way: `page`, `desktop`, `terminal`, `command`.
    pub channel: String,
    /// What became of it.
    pub outcome: NoticeOutcome,
    /// More about it, in words.
    pub detail: String,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeOutcome {
    /// It was handed over.
    Told,
    /// It was not to be told, or there was nobody to tell.
    Silent,
    /// It should have been told, and was not.
    Failed,
}

fn attempt(channel: &str, outcome: NoticeOutcome, detail: impl Into<String>) -> NoticeAttempt {
    NoticeAttempt { channel: channel.to_owned(), outcome, detail: detail.into() }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Screen => "page and desktop",
            Self::Terminal => "terminal",
            Self::Command => "command",
        })
    }
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Screen, Self::Terminal, Self::Command];

    /// Those that are wanted. A page may come at any time.
    pub fn of(config: &Notify) -> impl Iterator<Item = Self> {
        let wanted = |channel: &Self| match channel {
            Self::Screen => true,
            Self::Terminal => config.terminal,
            Self::Command => !config.command.is_empty(),
        };
        Self::ALL.into_iter().filter(wanted)
    }

    /// Sends a notice, in bounded time.
    pub(super) async fn tell(self, app: &App, notice: &Arc<Notice>) -> Vec<NoticeAttempt> {
        match self {
            Self::Screen => screen(app, notice).await,
            Self::Terminal => vec![terminal(app, notice).await],
            Self::Command => vec![command(app, notice).await],
        }
    }
}

async fn screen(app: &App, notice: &Arc<Notice>) -> Vec<NoticeAttempt> {
    let pages = app.notices.tabs.show(notice);
    let page = match pages {
        0 => attempt("page", NoticeOutcome::Silent, "no page that shows notices is open"),
        n => attempt("page", NoticeOutcome::Told, format!("open pages: {n}")),
    };
    let config = &app.config.notify;
    let desktop = if !config.desktop {
        attempt("desktop", NoticeOutcome::Silent, "notify.desktop is off")
    } else if pages > 0 && !config.desktop_with_page {
        attempt("desktop", NoticeOutcome::Silent, "a page shows it")
    } else {
        desktop(app, notice).await
    };
    vec![page, desktop]
}

async fn desktop(app: &App, notice: &Notice) -> NoticeAttempt {
    let way = match Desktop::find(|name| std::env::var_os(name)) {
        Ok(way) => way,
        Err(absent) => {
            app.notices.absence.get_or_init(|| {
                tracing::info!("no notices on a desktop: {absent}; {}", absent.remedy());
            });
            return attempt("desktop", NoticeOutcome::Silent, absent.to_string());
        }
    };
    match way.show(&message(notice)).await {
        Ok(()) => {
            attempt("desktop", NoticeOutcome::Told, format!("by {}", way.program().display()))
        }
        Err(e) => attempt("desktop", NoticeOutcome::Failed, e.to_string()),
    }
}

fn message(notice: &Notice) -> Message {
    let place = [Some(&notice.project), notice.attach.as_ref(), Some(&notice.url)];
    let place: Vec<&str> =
        place.into_iter().flatten().map(String::as_str).filter(|t| !t.is_empty()).collect();
    // Where to go must not be cut off behind a long command.
    let body: String = notice.body.chars().take(300).collect();
    Message {
        title: notice.title.clone(),
        body: [body.trim(), &place.join("\n")].join("\n").trim().to_owned(),
        urgent: notice.kind.needs_a_person(),
    }
}

async fn terminal(app: &App, notice: &Notice) -> NoticeAttempt {
    if !app.config.notify.terminal {
        return attempt("terminal", NoticeOutcome::Silent, "notify.terminal is off");
    }
    let Some(tmux) = app.tmux_if_there() else {
        return attempt("terminal", NoticeOutcome::Silent, "no tmux server runs");
    };
    let shows = format!("{}-{}", app.config.session_prefix, notice.session);
    let hint = notice.attach.as_ref().map(|how| format!(" ({how})")).unwrap_or_default();
    let text = format!("Chorus: {}{hint}", notice.title);
    match tmux.alert(&text, &shows, notice.kind.needs_a_person()).await {
        Ok(0) => attempt("terminal", NoticeOutcome::Silent, "no terminal is attached"),
        Ok(n) => attempt("terminal", NoticeOutcome::Told, format!("attached: {n}")),
        Err(e) => attempt("terminal", NoticeOutcome::Failed, e.to_string()),
    }
}

async fn command(app: &App, notice: &Notice) -> NoticeAttempt {
    let config = &app.config.notify;
    if config.command.is_empty() {
        return attempt("command", NoticeOutcome::Silent, "notify.command is empty");
    }
    let limit = Duration::from_secs_f64(config.command_timeout);
    match program(config, notice).run(limit).await {
        Ok(()) => attempt("command", NoticeOutcome::Told, format!("by {}", config.command[0])),
        Err(e) => attempt("command", NoticeOutcome::Failed, e.to_string()),
    }
}

fn program(config: &Notify, notice: &Notice) -> Program {
    // A NUL cannot be in a variable.
    let text = |text: &str| text.replace('\0', "");
    let env = vec![
        ("CHORUS_NOTICE_KIND", notice.kind.to_string()),
        ("CHORUS_NOTICE_SESSION", text(&notice.session)),
        ("CHORUS_NOTICE_PROJECT", text(&notice.project)),
        ("CHORUS_NOTICE_TITLE", text(&notice.title)),
        ("CHORUS_NOTICE_BODY", text(&notice.body)),
        ("CHORUS_NOTICE_ATTACH", notice.attach.clone().unwrap_or_default()),
        ("CHORUS_NOTICE_URL", notice.url.clone()),
    ];
    let mut input = serde_json::to_vec(notice).unwrap_or_default();
    input.push(b'\n');
    Program { argv: config.command.iter().map(Into::into).collect(), env, input }
}
