//! What `chorus top` looks like: a function of the model, the time and the colours. It tells what it
//! has drawn, as keys are about that.

mod panes;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::line;
use super::state::{Choosing, Confirm, Drawn, Link, Mode, Model, Pane, Reading, Subject};
use super::text::{HELP, fit, wrap};
use crate::domain::call::in_full;
use crate::domain::direction::visible;
use crate::domain::permission::Verdict;
use crate::domain::session::ClaudeStatus;
use crate::domain::time::Timestamp;

/// How long a notice stands there. Milliseconds.
const NOTICE: i64 = 15_000;

/// The colours: 16 of them, or none (`NO_COLOR`).
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Whether there are any.
    pub colours: bool,
}

impl Palette {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn status(self, status: ClaudeStatus) -> Style {
        match status {
            ClaudeStatus::Waiting => self.colour(Color::Yellow).add_modifier(Modifier::BOLD),
            ClaudeStatus::Stopped => self.bad(),
            ClaudeStatus::Busy => self.colour(Color::Cyan),
            ClaudeStatus::Idle => self.colour(Color::Green),
            ClaudeStatus::Starting => self.dim(),
        }
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, model: &Model, now: Timestamp, palette: Palette) -> Drawn {
    let [head, body, line, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let inbox = model.focus() == Pane::Inbox;
    let mut drawn = Drawn {
        request: model.chosen_request().filter(|_| inbox).map(|r| r.id),
        session: model.chosen_session(),
        ..Drawn::default()
    };
    header(frame, head, model, now, palette);
    if let Mode::Read(reading) = &model.mode {
        (drawn.scroll, drawn.page) = read(frame, body, model, reading, palette);
    } else {
        drawn.page = panes::lists(frame, body, model, now, palette);
    }
    if let Mode::Choose(choosing) = &model.mode {
        choices(frame, body, choosing, palette);
    }
    said(frame, line, model, now, palette);
    frame.render_widget(Line::styled(hint(model), palette.dim()), keys);
    drawn
}

fn header(frame: &mut Frame<'_>, area: Rect, model: &Model, now: Timestamp, palette: Palette) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut spans = vec![Span::styled("chorus  ", bold)];
    match &model.link {
        Link::Live => {}
        Link::Connecting => spans.push(Span::raw("connecting…  ")),
        Link::Offline { since, .. } => {
            let text = format!(" OFFLINE for {}, calling again ", panes::age(*since, now));
            spans.push(Span::styled(text, palette.bad().add_modifier(Modifier::REVERSED)));
            spans.push(Span::raw("  "));
        }
    }
    for status in [
        ClaudeStatus::Waiting,
        ClaudeStatus::Busy,
        ClaudeStatus::Idle,
        ClaudeStatus::Starting,
        ClaudeStatus::Stopped,
    ] {
        let n = model.count(status);
        if n > 0 || matches!(status, ClaudeStatus::Busy | ClaudeStatus::Idle) {
            let style = if n > 0 { palette.status(status) } else { palette.dim() };
            spans.push(Span::styled(format!("{n} {status}  "), style));
        }
    }
    if model.more {
        spans.push(Span::styled("there are more than are listed  ", palette.bad()));
    }
    let left = Line::from(spans);
    let free = usize::from(area.width).saturating_sub(left.width());
    frame.render_widget(left, area);
    let server = Line::styled(fit(&model.server, free), palette.dim());
    let width = u16::try_from(server.width()).unwrap_or(u16::MAX);
    if width < area.width && model.server.chars().count() <= free {
        // Its own place: a line's style is that of all the area it is drawn in.
        frame.render_widget(server, Rect { x: area.right() - width, width, ..area });
    }
}

/// Something long. Tells how far it can be scrolled, and how many lines there are at a time.
fn read(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    reading: &Reading,
    palette: Palette,
) -> (usize, usize) {
    let (title, text) = match reading.what {
        Subject::Help => ("Keys".to_owned(), Some(HELP.to_owned())),
        Subject::Request(id) => {
            let text = model
                .request(id)
                .map(|r| in_full(&r.tool, &r.input))
                .or_else(|| reading.text.clone());
            ("What is asked".to_owned(), text)
        }
        Subject::Story(id) => {
            (format!("{}: said and done last", model.name(id)), reading.text.clone())
        }
    };
    let block = panes::block(&title, true, palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = match text {
        Some(text) => wrap(&text, inner.width.into()),
        None => vec!["…".to_owned()],
    };
    let height = usize::from(inner.height);
    let most = lines.len().saturating_sub(height);
    let scrolled = reading.scrolled.min(most);
    let from = match reading.what {
        Subject::Story(_) => most - scrolled,
        Subject::Help | Subject::Request(_) => scrolled,
    };
    let shown = lines.into_iter().skip(from).take(height).map(Line::raw);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), inner);
    (most, height)
}

/// A question and what can be answered.
fn choices(frame: &mut Frame<'_>, area: Rect, choosing: &Choosing, palette: Palette) {
    let question = &choosing.questions[choosing.at];
    let width = area.width.saturating_sub(4).min(90);
    let columns = usize::from(width).saturating_sub(4);
    let mut lines: Vec<Line<'_>> =
        wrap(&visible(&question.question), columns).into_iter().map(Line::raw).collect();
    lines.push(Line::default());
    for (n, option) in question.options.iter().enumerate() {
        let mark = match (question.several, choosing.marked.contains(&n)) {
            (true, true) => "[x] ",
            (true, false) => "[ ] ",
            (false, _) => "",
        };
        let glue = if option.description.is_empty() { "" } else { ": " };
        let text = format!("{}. {mark}{}{glue}{}", n + 1, option.label, option.description);
        let text = visible(&text);
        let here = n == choosing.cursor && choosing.own.is_none();
        let style = if here { selected() } else { Style::new() };
        lines.push(Line::styled(fit(&text, columns), style));
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let title = match choosing.questions.len() {
        1 => "Answer".to_owned(),
        of => format!("Answer {} of {of}", choosing.at + 1),
    };
    let block = panes::block(&title, true, palette);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// The line above the keys: what is typed or to be confirmed, or what became of the last act.
fn said(frame: &mut Frame<'_>, area: Rect, model: &Model, now: Timestamp, palette: Palette) {
    match &model.mode {
        Mode::Filter => typed(frame, area, "only with:", &model.filter),
        Mode::Refuse(_, line) => typed(frame, area, "deny and say:", line),
        Mode::Prompt(session, line) => {
            let name = model.name(*session);
            let verb = if model.is_queued(*session) { "queue for" } else { "send to" };
            typed(frame, area, &format!("{verb} {name}:"), line);
        }
        Mode::Choose(Choosing { own: Some(line), .. }) => {
            typed(frame, area, "your own answer:", line);
        }
        Mode::Confirm(what) => {
            let text = match what {
                Confirm::Decide(id, verdict) => {
                    let summary = model.request(*id).map_or("", |r| r.summary.as_str());
                    let (verb, key) = match verdict {
                        Verdict::Allow => ("APPROVE", 'a'),
                        Verdict::Deny => ("DENY", 'd'),
                    };
                    format!("the list has just changed. {verb} {summary}? {key} or Enter")
                }
                Confirm::Interrupt(id) => {
                    format!("interrupt the turn of {}? i or Enter", model.name(*id))
                }
            };
            let text = fit(&text, area.width.into());
            frame.render_widget(Line::styled(text, palette.bad()), area);
        }
        Mode::Browse | Mode::Read(_) | Mode::Choose(_) => {
            let notice = model.notice.as_ref().filter(|n| now.ms_since(n.at) < NOTICE);
            let (text, style) = match (notice, &model.link) {
                (Some(n), _) => (n.text.clone(), if n.bad { palette.bad() } else { Style::new() }),
                (None, Link::Offline { why, .. }) => (why.clone(), palette.bad()),
                (None, _) if !model.filter.text().is_empty() => {
                    (format!("only with: {} (Esc shows all)", model.filter.text()), palette.dim())
                }
                (None, _) => return,
            };
            frame.render_widget(Line::styled(fit(&text, area.width.into()), style), area);
        }
    }
}

/// A line that is typed: as much of it as there is room for, up to the cursor.
fn typed(frame: &mut Frame<'_>, area: Rect, label: &str, line: &line::Line) {
    let (before, after) = line.parts();
    let shown = |text: &str| text.replace('\n', "⏎");
    let label = format!("{} ", fit(label, usize::from(area.width) / 2));
    let room = usize::from(area.width).saturating_sub(label.chars().count() + 2);
    let before = shown(before);
    let skip = before.chars().count().saturating_sub(room);
    let tail: String = before.chars().skip(skip).collect();
    let mut rest = shown(after);
    let under = if rest.is_empty() { ' ' } else { rest.remove(0) };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let spans = [
        Span::styled(label, bold),
        Span::raw(tail),
        Span::styled(under.to_string(), selected()),
        Span::raw(rest),
    ];
    frame.render_widget(Line::from(spans.to_vec()), area);
}

fn hint(model: &Model) -> &'static str {
    match &model.mode {
        Mode::Browse if model.focus() == Pane::Inbox => {
            "a approve  d deny  D deny and say  v all of it  r answer  Tab sessions  ? help  q quit"
        }
        Mode::Browse => {
            "Enter attach  s send  i interrupt  l log  / filter  Tab inbox  ? help  q quit"
        }
        Mode::Filter => "Enter keeps it  Esc shows all",
        Mode::Confirm(_) => "any other key: no",
        Mode::Refuse(..) => "Enter denies  Esc leaves it undecided",
        Mode::Prompt(..) => "Enter sends  Ctrl-J new line  Esc keeps the text for later",
        Mode::Choose(Choosing { own: Some(_), .. }) => "Enter answers  Esc back",
        Mode::Choose(c) if c.questions[c.at].several => {
            "Space or a digit marks  Enter answers  t your own words  Esc leaves it"
        }
        Mode::Choose(_) => "Enter answers  t your own words  Esc leaves it",
        Mode::Read(_) => "j k scroll  Esc back",
    }
}

#[cfg(test)]
pub mod tests;
