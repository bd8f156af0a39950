//! What the commands print. Everything that comes from Claude, a terminal or a document is hostile:
//! control characters never reach this terminal.

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::client::StreamEvent;
use super::usage;
use crate::api::audit::AuditEntry;
use crate::api::sessions::{ConversationView, SessionDetail, SessionView};
use crate::api::usage::UsageReport;
use crate::domain::call::in_full;
use crate::domain::direction::turns;
use crate::domain::message::{Delivery, Direction};
use crate::domain::permission::{DecidedBy, PLAN, PermissionRequest, Verdict};
use crate::domain::question;
use crate::domain::record::{CommandLog, Message};
use crate::domain::rule::Rule;
use crate::domain::session::{ClaudeStatus, Runtime, Status};
use crate::domain::time::Timestamp;
use crate::services::rules::Preview;

/// Prints a line. That nobody reads any more (`| head`) ends the command quietly.
macro_rules! say {
    ($($arg:tt)*) => {
        writeln!(std::io::stdout(), $($arg)*)?
    };
}
pub(super) use say;

pub mod documents;
mod server;

pub use server::{attempts, config, database, findings, summary, user_hooks};

/// Removes what could steer a terminal.
pub fn safe(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || c == '\n';
    text.replace('\t', "    ").chars().filter(|c| harmless(*c) && !turns(*c)).collect()
}

/// A text in one line of at most so many characters.
pub fn line(text: &str, most: usize) -> String {
    let text = safe(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        text
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

pub(super) fn age(at: Timestamp) -> String {
    span(crate::clock::now().ms_since(at))
}

/// A length of time in a few characters. `ms`: milliseconds.
pub fn span(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m", s / 60),
        3600..86_400 => format!("{}h", s / 3600),
        _ => format!("{}d", s / 86_400),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a sentence, or the thing it is about as JSON.
pub fn done(text: &str, value: &impl Serialize, as_json: bool) -> Result<()> {
    if as_json {
        return json(value);
    }
    say!("{text}");
    Ok(())
}

/// Prints sessions as a table.
pub fn sessions(sessions: &[SessionView], as_json: bool) -> Result<()> {
    if as_json {
        return json(&sessions);
    }
    if sessions.is_empty() {
        say!("no session runs; `chorus run \"…\"` starts one");
        return Ok(());
    }
    let wide = sessions.iter().map(|s| s.name.as_str().len()).max().unwrap_or(0).max(4);
    say!(
        "{:wide$}  {:9}  {:>4}  {:>8}  {:>4}  {:26}  ABOUT",
        "NAME",
        "CLAUDE",
        "AGE",
        "COST",
        "CTX",
        "EVIDENCE"
    );
    for s in sessions {
        let state =
            if s.unsure { format!("{}?", s.claude_status) } else { s.claude_status.to_string() };
        let evidence = line(&format!("{}: {}", s.evidence.source, s.evidence.what), 26);
        let (cost, context) = (usage::cost(s.cost.as_ref()), usage::context(s.context.as_ref()));
        say!(
            "{:wide$}  {state:9}  {:>4}  {cost:>8}  {context:>4}  {evidence:26}  {}",
            s.name,
            age(s.evidence.at),
            about(s)
        );
    }
    Ok(())
}

/// Whether `ps` and `top` list a session: one that runs, and one that ended by itself, which is news
/// until somebody ends it.
pub fn is_listed(s: &SessionView) -> bool {
    let moves = s.claude_status != ClaudeStatus::Stopped || s.elsewhere_pid.is_some();
    moves || s.status == Status::Error
}

/// What there is to say about a session's state, in one line.
pub fn about(s: &SessionView) -> String {
    let d = &s.detail;
    let said = [
        s.task_id.map(|id| match &s.branch {
            Some(branch) => format!("task {id} on {branch}"),
            None => format!("task {id}"),
        }),
        (s.runtime == Runtime::External).then(|| "runs elsewhere".to_owned()),
        s.elsewhere_pid.map(|pid| format!("process {pid} goes on with it elsewhere")),
        s.permission_prompt.clone(),
        d.error.clone(),
        d.waiting_for.clone().filter(|_| s.permission_prompt.is_none()),
        d.tool.clone().filter(|_| s.permission_prompt.is_none()),
        d.limit_until.map(|at| format!("waits for its usage limit until {at}")),
        d.budget.clone(),
        d.quiet_since.map(|at| format!("nothing heard for {}", age(at))),
        (d.background > 0).then(|| format!("{} in the background", d.background)),
        d.remedy.clone(),
    ];
    line(&said.into_iter().flatten().collect::<Vec<_>>().join(" · "), 120)
}

/// Prints one session.
pub fn session(detail: &SessionDetail, as_json: bool) -> Result<()> {
    if as_json {
        return json(detail);
    }
    let s = &detail.session;
    let unsure = if s.unsure { " (unsure)" } else { "" };
    say!("{}  {}", s.name, s.id);
    say!(
        "  claude      {}{unsure}, {} ago by {}: {}",
        s.claude_status,
        age(s.evidence.at),
        s.evidence.source,
        safe(&s.evidence.what)
    );
    say!("  status      {}", s.status);
    let about = about(s);
    if !about.is_empty() {
        say!("  about       {about}");
    }
    say!("  workspace   {}", safe(&s.workspace_path));
    say!("  tmux        {}", s.tmux_session);
    say!("  version     {}", s.claude_version.as_deref().unwrap_or("unknown"));
    if let Some(id) = &s.claude_session_id {
        say!("  conversation {}", safe(&id.0));
    }
    usage::details(s).iter().try_for_each(|line| {
        say!("{line}");
        anyhow::Ok(())
    })?;
    if s.restarts > 0 {
        say!("  restarts    {}", s.restarts);
    }
    if let Some(output) = &detail.last_output {
        let lines: Vec<String> = output.lines().map(|line| safe(line.trim_end())).collect();
        let blank = |lines: &[String]| lines.iter().all(String::is_empty);
        say!("");
        // Of several empty lines one: a dead terminal is mostly empty.
        for (i, line) in lines.iter().enumerate() {
            if !(line.is_empty() && blank(&lines[i.saturating_sub(1)..=i])) {
                say!("{line}");
            }
        }
    }
    Ok(())
}

/// Prints what was used.
pub fn usage(report: &UsageReport, as_json: bool) -> Result<()> {
    if as_json {
        return json(report);
    }
    say!("{} to {}", report.since, report.until);
    usage::table(report).iter().try_for_each(|line| {
        say!("{line}");
        anyhow::Ok(())
    })
}

/// Prints a session's conversations.
pub fn conversations(known: &[ConversationView], as_json: bool) -> Result<()> {
    if as_json {
        return json(&known);
    }
    for c in known {
        let end = match (c.ended_at, &c.end_reason) {
            (Some(at), Some(reason)) => format!("until {at} ({})", safe(reason)),
            _ => "goes on".to_owned(),
        };
        say!("{}  since {}  {end}", safe(&c.id.0), c.started_at);
    }
    Ok(())
}

/// Prints permission requests.
pub fn permissions(
    requests: &[PermissionRequest],
    sessions: &[SessionView],
    as_json: bool,
) -> Result<()> {
    if as_json {
        return json(&requests);
    }
    if requests.is_empty() {
        say!("nothing waits for a decision");
    }
    let at_terminal = |s: &&SessionView| {
        s.runtime == Runtime::Tmux
            && s.claude_status == ClaudeStatus::Waiting
            && s.pending_permissions == 0
    };
    for s in sessions.iter().filter(at_terminal) {
        let what = s.detail.waiting_for.as_deref().unwrap_or("a dialog");
        say!("{} waits at its terminal: {} (chorus attach {})", s.name, line(what, 100), s.name);
    }
    for r in requests {
        let name = sessions
            .iter()
            .find(|s| s.id == r.session_id)
            .map_or_else(|| r.session_id.to_string(), |s| s.name.to_string());
        say!("{}  {}  {}  {}", r.id, name, r.status, age(r.requested_at));
        if r.status.is_open() {
            say!("    {}", call(r).replace('\n', "\n    "));
            answers(r)?;
        } else {
            say!("    {}", line(&r.summary, 200));
        }
        match (&r.rule, r.decided_by) {
            (Some(rule), Some(DecidedBy::Rule)) => {
                say!("    decided by a rule: {}", line(rule, 300))
            }
            (Some(rule), _) => say!("    left to you by a rule: {}", line(rule, 300)),
            (None, _) => {}
        }
        if let Some(rule) = r.session_rule.as_deref().filter(|_| r.status.is_open()) {
            say!("    --for-session would allow {}", line(rule, 200));
        }
    }
    Ok(())
}

/// What a request would do, whole, with the tool before it. What has several lines begins on one of
/// its own.
pub fn call(r: &PermissionRequest) -> String {
    let whole = safe(&in_full(&r.tool, &r.input));
    let whole = whole.trim_end();
    let (glue, whole) = match whole.contains('\n') {
        true => ("\n    ", whole.replace('\n', "\n    ")),
        false => (" ", whole.to_owned()),
    };
    format!("{}:{glue}{whole}", safe(&r.tool))
}

/// Prints what answers a question or a plan.
fn answers(r: &PermissionRequest) -> Result<()> {
    for q in question::questions(&r.tool, &r.input) {
        say!("    chorus approve {} --answer '{}=…'", r.id, line(&q.question, 400));
    }
    if r.tool == PLAN {
        say!("    chorus approve {0}, or chorus deny {0} -m 'what to plan instead'", r.id);
    }
    Ok(())
}

/// Prints rules.
pub fn rules(rules: &[Rule], as_json: bool) -> Result<()> {
    if as_json {
        return json(&rules);
    }
    if rules.is_empty() {
        say!("there are no rules; `chorus rules add` makes one");
    }
    for r in rules {
        let last = r.last_hit_at.map(|at| format!(", last {} ago", age(at))).unwrap_or_default();
        say!("{}  {}", r.id, line(&r.words, 300));
        say!(
            "    {} decided{last}; made by {} {} ago",
            r.hits,
            safe(&r.created_by),
            age(r.created_at)
        );
        if let Some(note) = &r.note {
            say!("    {}", line(note, 300));
        }
    }
    Ok(())
}

/// Prints what a rule would have done.
pub fn preview(p: &Preview, as_json: bool) -> Result<()> {
    if as_json {
        return json(p);
    }
    say!("{}", safe(&p.words));
    say!(
        "of the last {} requests it matches {}, and {} would have ended otherwise",
        p.considered,
        p.matched,
        p.would_change
    );
    for e in &p.examples {
        let was = e.was.map_or("undecided", Verdict::as_str);
        let mark = if e.changes { "!" } else { " " };
        say!("{mark} {was} → {}  {}", e.would, line(&e.summary, 200));
    }
    Ok(())
}

/// Prints the audit log, oldest first.
pub fn audit(entries: &[AuditEntry], as_json: bool) -> Result<()> {
    if as_json {
        return json(&entries);
    }
    if entries.is_empty() {
        say!("nothing was done yet");
    }
    for e in entries {
        let word = |key: &&str| e.data.get(*key).and_then(|v| v.as_str());
        let data = ["summary", "rule", "name"].iter().find_map(word).unwrap_or_default();
        let verdict = word(&"verdict").unwrap_or_default();
        let about = match word(&"ran_instead") {
            Some(ran) => format!("{verdict} with changed input {ran} (asked for {data})"),
            None => format!("{verdict} {data}"),
        };
        let about = line(&about, 200);
        say!("{:>6}  {}  {}  {}  {about}", e.id, e.at, safe(&e.action), safe(&e.actor.to_string()));
    }
    Ok(())
}

/// Prints what became of a prompt.
pub fn sent(message: &Message, as_json: bool) -> Result<()> {
    if as_json {
        return json(message);
    }
    match (message.delivery_status, &message.delivery_error) {
        (Some(Delivery::Undelivered), Some(why)) => say!("undelivered: {}", safe(why)),
        (Some(status), _) => say!("{status}"),
        (None, _) => say!("sent"),
    }
    Ok(())
}

/// Prints what was said and done, in order.
pub fn story(said: &[Message], tools: &[CommandLog], as_json: bool) -> Result<()> {
    if as_json {
        return json(&serde_json::json!({ "messages": said, "tools": tools }));
    }
    let lines = told(said, tools);
    if lines.is_empty() {
        say!("nothing was said or done yet");
    }
    for (at, text) in lines {
        say!("{at}  {text}");
    }
    Ok(())
}

/// What was said and done, in order.
pub fn told(said: &[Message], tools: &[CommandLog]) -> Vec<(Timestamp, String)> {
    let mut lines: Vec<(Timestamp, String)> = said
        .iter()
        .map(|m| {
            let who = match (m.direction, &m.agent_id) {
                (Direction::User, None) => "you",
                (Direction::User, Some(_)) => "claude to its sub-agent",
                (Direction::Assistant, None) => "claude",
                (Direction::Assistant, Some(_)) => "sub-agent",
                (Direction::System, _) => "system",
            };
            let fate = match m.delivery_status {
                None | Some(Delivery::Delivered) => String::new(),
                Some(other) => format!(" [{other}]"),
            };
            (m.timestamp, format!("{who}{fate}: {}", indented(&m.content, 40)))
        })
        .collect();
    lines.extend(tools.iter().map(|t| {
        let took = t.duration_ms.map(|ms| format!(" {ms} ms")).unwrap_or_default();
        let summary = crate::domain::permission::summarise(&t.tool, &t.input);
        let mut text = format!("tool [{}{took}] {}", t.status, safe(&summary));
        if let Some(result) = t.result.as_deref().filter(|r| !r.is_empty()) {
            text.push_str("\n    ");
            text.push_str(&indented(result, 6));
        }
        (t.timestamp, text)
    }));
    lines.sort_by_key(|(at, _)| *at);
    lines
}

/// The first lines of a text, indented but for the first.
pub fn indented(text: &str, most: usize) -> String {
    let text = safe(text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let mut shown = lines[..lines.len().min(most)].join("\n    ");
    if lines.len() > most {
        shown.push_str(&format!("\n    … {} more lines", lines.len() - most));
    }
    shown
}

/// Prints an event.
pub fn event(event: &StreamEvent, as_json: bool) -> Result<()> {
    if as_json {
        let data: serde_json::Value = serde_json::from_str(&event.data)?;
        say!("{}", serde_json::json!({ "id": event.id, "event": event.kind, "data": data }));
    } else {
        say!("{:>6}  {:19}  {}", event.id.unwrap_or_default(), event.kind, line(&event.data, 400));
    }
    Ok(())
}
