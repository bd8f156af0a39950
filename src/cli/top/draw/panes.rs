//! The two lists, and what the request under the cursor would do.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::{Palette, selected};
use crate::cli::show;
use crate::cli::top::state::{Model, Pane, Row};
use crate::cli::top::text::{fit, reason, wrap};
use crate::domain::call::in_full;
use crate::domain::permission::PermissionRequest;
use crate::domain::time::Timestamp;

/// Draws the lists. Tells how many rows there are in the one that has the keys.
pub fn lists(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    now: Timestamp,
    palette: Palette,
) -> usize {
    let inbox = model.inbox();
    let chosen = model.chosen_request();
    let columns = usize::from(area.width).saturating_sub(2);
    let asked = chosen.map(|r| detail(model, r, columns, now)).unwrap_or_default();
    // A third for what waits and a third for what it is, if they need it; the rest is the sessions'.
    let third = (area.height / 3).max(3);
    let of = |n: usize, most: u16| u16::try_from(n).unwrap_or(u16::MAX).min(most);
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(of(inbox.len().max(1), third) + 1),
        Constraint::Length(of(asked.len(), third)),
        Constraint::Min(3),
    ])
    .areas(area);
    let focus = model.focus();
    let title = match model.waiting() {
        0 => "Nothing waits for you".to_owned(),
        n => format!("Waits for you: {n}"),
    };
    let block = block(&title, focus == Pane::Inbox, palette);
    let inner = block.inner(top);
    frame.render_widget(block, top);
    let at = chosen.and_then(|c| inbox.iter().position(|r| r.id == c.id));
    for (request, row, here) in visible(&inbox, at, inner) {
        let here = here && focus == Pane::Inbox;
        let (age, left) = (age(request.requested_at, now), model.is_deciding(request.id));
        let mark = if left {
            "…"
        } else if here {
            "▸"
        } else {
            " "
        };
        let name = model.name(request.session_id);
        let text = in_full(&request.tool, &request.input);
        let cells = [
            (2, mark.to_owned(), Style::new()),
            (5, age, palette.dim()),
            (name_width(columns), name.to_owned(), Style::new()),
            (
                if columns >= 78 { 17 } else { 13 },
                request.tool.clone(),
                Style::new().add_modifier(Modifier::BOLD),
            ),
            (0, text, Style::new()),
        ];
        cells_of(frame, row, &cells, here);
    }
    let shown = usize::from(middle.height);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let more = asked.len().saturating_sub(shown);
    for (text, style) in asked.into_iter().take(shown.saturating_sub(more.min(1))) {
        lines.push(Line::styled(text, style));
    }
    if more > 0 {
        lines.push(Line::styled(format!("… {} more lines: v shows them", more + 1), palette.bad()));
    }
    frame.render_widget(Paragraph::new(lines), inset(middle));
    let rows = sessions(frame, bottom, model, now, palette);
    if focus == Pane::Inbox { inner.height.into() } else { rows }
}

/// What a request would do, for whoever decides it.
fn detail(
    model: &Model,
    request: &PermissionRequest,
    columns: usize,
    now: Timestamp,
) -> Vec<(String, Style)> {
    let project = model.row(request.session_id).map(|row| model.project(row.view.project_id));
    let place = project.filter(|p| !p.is_empty()).map(|p| format!(" of {p}")).unwrap_or_default();
    let head = format!(
        "{} in {}{place}, asked {} ago",
        request.tool,
        model.name(request.session_id),
        age(request.requested_at, now)
    );
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = vec![(fit(&head, columns), bold)];
    let why = reason(request);
    if !why.is_empty() {
        lines.push((fit(&why, columns), Style::new().add_modifier(Modifier::ITALIC)));
    }
    let whole = in_full(&request.tool, &request.input);
    lines.extend(wrap(&whole, columns).into_iter().map(|line| (line, Style::new())));
    lines
}

fn sessions(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    now: Timestamp,
    palette: Palette,
) -> usize {
    let rows = model.sessions();
    let focused = model.focus() == Pane::Sessions;
    let block = block(&format!("Sessions: {}", rows.len()), focused, palette);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if rows.is_empty() && inner.height > 0 {
        let text = "no session runs; `chorus run \"…\"` starts one";
        frame.render_widget(Line::styled(fit(text, inner.width.into()), palette.dim()), inner);
        return inner.height.into();
    }
    let chosen = model.listed_session();
    let at = rows.iter().position(|row| Some(row.view.id) == chosen);
    for (row, place, here) in visible(&rows, at, inner) {
        let columns = usize::from(inner.width);
        let cells = session_cells(model, row, columns, focused && here, now, palette);
        cells_of(frame, place, &cells, focused && here);
    }
    inner.height.into()
}

/// A column: how wide it is (0: what is left), what is in it, and how it looks.
type Cell = (usize, String, Style);

fn session_cells(
    model: &Model,
    row: &Row,
    columns: usize,
    here: bool,
    now: Timestamp,
    palette: Palette,
) -> Vec<Cell> {
    let s = &row.view;
    let doubt = if s.unsure { "?" } else { "" };
    let about = show::about(s);
    let glue = if about.is_empty() || row.last.is_empty() { "" } else { " · " };
    let mut cells = vec![
        (2, if here { "▸" } else { " " }.to_owned(), Style::new()),
        (name_width(columns), s.name.to_string(), Style::new()),
        (10, format!("{}{doubt}", s.claude_status), palette.status(s.claude_status)),
        (5, age(s.evidence.at, now), palette.dim()),
    ];
    if columns >= 120 {
        cells.push((22, format!("{}: {}", s.evidence.source, s.evidence.what), palette.dim()));
    }
    cells.push((0, format!("{about}{glue}{}", row.last), Style::new()));
    if columns >= 80 {
        cells.push((16, model.project(s.project_id).to_owned(), palette.dim()));
    }
    cells
}

fn name_width(columns: usize) -> usize {
    if columns >= 110 { 26 } else { 16 }
}

/// The part of a list that there is room for, with the place of each row, and whether the cursor is
/// on it.
fn visible<T: Copy>(
    all: &[T],
    at: Option<usize>,
    area: Rect,
) -> impl Iterator<Item = (T, Rect, bool)> {
    let height = usize::from(area.height);
    let from = at.map_or(0, |at| (at + 1).saturating_sub(height));
    all.iter()
        .copied()
        .enumerate()
        .skip(from)
        .take(height)
        .zip(area.rows())
        .map(move |((n, item), place)| (item, place, Some(n) == at))
}

fn cells_of(frame: &mut Frame<'_>, area: Rect, cells: &[Cell], here: bool) {
    let widths = cells.iter().map(|(width, ..)| match u16::try_from(*width) {
        Ok(0) | Err(_) => Constraint::Min(0),
        Ok(width) => Constraint::Length(width),
    });
    let places = Layout::horizontal(widths).split(area);
    for ((_, text, style), place) in cells.iter().zip(places.iter()) {
        // A blank between two columns.
        let text = fit(text, usize::from(place.width).saturating_sub(1));
        frame.render_widget(Line::styled(text, *style), *place);
    }
    if here {
        frame.buffer_mut().set_style(area, selected());
    }
}

/// A pane's frame: its upper edge with the title.
pub fn block<'a>(title: &str, focused: bool, palette: Palette) -> Block<'a> {
    let style = if focused { Style::new().add_modifier(Modifier::BOLD) } else { palette.dim() };
    Block::new().borders(Borders::TOP).border_style(style).title(format!(" {} ", show::safe(title)))
}

fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

/// How long ago that was.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    show::span(now.ms_since(at))
}
