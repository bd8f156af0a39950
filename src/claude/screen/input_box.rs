//! The input box: is it empty, or is somebody typing?

use super::cells::{Cell, rows};
use super::{is_box_start, is_rule};

/// The terminal's cursor, in cells from the upper left corner. Claude Code keeps it where it draws
/// its own, in every state that has a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Column.
    pub x: usize,
    /// Row.
    pub y: usize,
}

/// What the input box holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputBox {
    /// Nothing, or a grey hint: a prompt may be pasted.
    Empty,
    /// Something that somebody typed, or that Escape brought back. Soft line breaks cannot be told
    /// from real ones.
    Draft(String),
    /// The mode that runs shell commands, with what is typed: never paste. One Backspace in an
    /// empty one leaves it; Ctrl+C does not.
    Bash(String),
    /// There is no box: a dialog, a menu, the start.
    Hidden,
}

/// Reads the box from a capture with escapes (`capture-pane -e -p`) and the cursor, both taken in
/// one tmux command list.
///
/// The text alone says nothing: hints are told from drafts by being drawn faintly, and an empty box
/// from blanks by the cursor (recorded from both versions in two sizes).
pub fn input_box(capture: &str, cursor: Cursor) -> InputBox {
    let rows = rows(capture);
    let text: Vec<String> = rows.iter().map(|row| row_text(row)).collect();
    let Some((first, start)) = box_start(&text, cursor.y) else { return InputBox::Hidden };
    let Some(end) = (first + 1..text.len()).find(|i| is_rule(&text[*i]) || is_more(&text[*i]))
    else {
        return InputBox::Hidden;
    };
    if cursor.y >= end {
        return InputBox::Hidden;
    }
    let draft = || {
        let lines: Vec<&str> = text[first..end]
            .iter()
            .map(|line| line.char_indices().nth(2).map_or("", |(at, _)| &line[at..]))
            .collect();
        lines.join("\n").trim_end().to_owned()
    };
    match start {
        Start::InSight => {}
        Start::Folded => return InputBox::Draft(draft()),
        // Only what has just been written is known by so little: the cursor is at its end, and the box
        // takes most of the screen.
        Start::AboveScreen if cursor.y + 1 == end && 2 * end > text.len() => {
            return InputBox::Draft(draft());
        }
        Start::AboveScreen => return InputBox::Hidden,
    }
    if text[first].starts_with('!') {
        return InputBox::Bash(draft());
    }
    let cells = rows[first].get(2..).unwrap_or_default();
    let typed = |cell: &&Cell| cell.ch != ' ';
    // The cursor hides whether its own cell is faint; the rest of a hint is.
    let hint = |cells: &[Cell]| {
        let mut rest = cells.iter().skip(1).filter(typed).peekable();
        rest.peek().is_some() && rest.all(|cell| cell.dim)
    };
    let blank = cells.iter().all(|cell| !typed(&cell));
    if cursor.y == first && cursor.x == 2 && end == first + 1 && (blank || hint(cells)) {
        InputBox::Empty
    } else {
        InputBox::Draft(draft())
    }
}

fn row_text(row: &[Cell]) -> String {
    let text: String = row.iter().map(|cell| cell.ch).collect();
    text.trim_end_matches(' ').to_owned()
}

/// Whether a line is a rule of a box that is too tall to be shown whole: `─── ↑ 280 more ───…`. Its
/// beginning may be out of sight then.
fn is_more(line: &str) -> bool {
    let hidden = line.strip_prefix("─── ").and_then(|l| l.strip_prefix(['↑', '↓']));
    hidden.is_some_and(|l| l.contains(" more ─") && l.ends_with('─'))
}

/// Where a box begins.
enum Start {
    /// With the first row in sight.
    InSight,
    /// The box leaves out its beginning, and says so.
    Folded,
    /// The box is taller than the screen.
    AboveScreen,
}

/// Walks up from the cursor's row to the first row of the box that is in sight.
fn box_start(text: &[String], cursor: usize) -> Option<(usize, Start)> {
    let mut row = cursor;
    loop {
        let line = text.get(row)?;
        let above = row.checked_sub(1).and_then(|above| text.get(above));
        if is_box_start(line) {
            return match above {
                Some(above) => is_rule(above).then_some((row, Start::InSight)),
                None => Some((row, Start::AboveScreen)),
            };
        }
        if row < cursor && is_more(line) {
            return Some((row + 1, Start::Folded));
        }
        // Further lines of a draft are indented by two; an empty one loses its blanks.
        if !(line.is_empty() || line.starts_with("  ")) {
            return None;
        }
        if above.is_none() {
            return Some((row, Start::AboveScreen));
        }
        row -= 1;
    }
}
