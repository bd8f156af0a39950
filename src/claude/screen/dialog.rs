//! Dialogs that take the place of the input box, read by their rows.

use super::patterns::Screens;
use super::{is_rule, lines, live_box, plain};

/// What a dialog is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogKind {
    /// May a tool run?
    Permission,
    /// Is the plan good?
    Plan,
    /// Claude asks something.
    Question,
    /// The auto mode's check cannot be reached.
    AutoMode,
    /// Go back to an earlier point: what two Escapes open.
    Rewind,
    /// Something before or outside of the conversation (trust, keys, login, themes), or a dialog
    /// that is not known.
    Other,
}

impl DialogKind {
    /// Whether Claude waits for an answer in the middle of its work.
    pub fn waits(self) -> bool {
        matches!(self, Self::Permission | Self::Plan | Self::Question | Self::AutoMode)
    }
}

/// One row of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place, from 0.
    pub index: usize,
    /// The text of its first line, without number and pointer.
    pub text: String,
    /// Further lines: the rest of a wrapped text, or a description.
    pub more: String,
    /// Enter would choose it.
    pub selected: bool,
}

/// A dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// What it is about.
    pub kind: DialogKind,
    /// Its rows. None if it is answered in another way.
    pub rows: Vec<Row>,
}

impl Dialog {
    /// The row that is exactly `text`.
    pub fn row(&self, text: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.text == text)
    }

    /// The row that allows what is asked this once, and nothing else: `Yes`, or for a plan the one
    /// that leaves edits to be approved one by one. `None` if there is no such row: then only
    /// Escape is safe.
    pub fn allow_once(&self) -> Option<&Row> {
        match self.kind {
            DialogKind::Permission => self.row("Yes"),
            DialogKind::Plan => self.row("Yes, manually approve edits"),
            _ => None,
        }
    }

    /// How often to press Down (or Up, if negative) before Enter chooses `row`. `None` if no row is
    /// selected.
    pub fn steps_to(&self, row: &Row) -> Option<isize> {
        let selected = self.rows.iter().find(|row| row.selected)?;
        Some(row.index.cast_signed() - selected.index.cast_signed())
    }
}

/// A line that begins a row.
struct Start<'a> {
    at: usize,
    /// The column of its text, in characters.
    column: usize,
    number: Option<u32>,
    selected: bool,
    text: &'a str,
}

impl Screens {
    /// Reads the dialog that is open; `None` if the input box is there, or nothing is known.
    pub fn dialog(&self, text: &str) -> Option<Dialog> {
        let text = plain(text);
        let lines = lines(&text);
        if live_box(&lines).is_some() {
            return None;
        }
        if let Some(dialog) = self.screen_reader(&lines) {
            return Some(dialog);
        }
        let tail = lines.len().saturating_sub(45);
        let Some(starts) = rows_of(&lines) else {
            let near = collapse(&lines[tail..]);
            return self
                .auto_mode
                .is_match(&near)
                .then_some(Dialog { kind: DialogKind::AutoMode, rows: Vec::new() });
        };
        let first = starts.first()?.at;
        let last = starts.last()?.at;
        // Questions stand directly above the rows; two lines more, as narrow terminals wrap them.
        let above = collapse(&lines[first.saturating_sub(4)..first]);
        let below = collapse(&lines[last..]);
        let whole = collapse(&lines[tail.min(first)..]);
        let kind = if self.question.is_match(&below) {
            DialogKind::Question
        } else if self.plan.is_match(&above) {
            DialogKind::Plan
        } else if self.permission.is_match(&above) {
            DialogKind::Permission
        } else if self.rewind.is_match(&whole) && self.rewind_footer.is_match(&below) {
            DialogKind::Rewind
        } else {
            DialogKind::Other
        };
        Some(Dialog { kind, rows: rows(&lines, &starts) })
    }

    /// The screen-reader mode has no pointer: `Enter selection [1-3]` after the rows.
    fn screen_reader(&self, lines: &[&str]) -> Option<Dialog> {
        let end = lines.iter().rposition(|line| line.starts_with("Enter selection ["))?;
        let mut starts: Vec<Start<'_>> = lines[..end]
            .iter()
            .enumerate()
            .rev()
            .map_while(|(at, line)| row_start(at, line).filter(|row| row.number.is_some()))
            .collect();
        starts.reverse();
        let first = starts.first()?.at;
        let above = collapse(&lines[first.saturating_sub(4)..first]);
        let permission = self.permission.is_match(&above);
        let kind = if permission { DialogKind::Permission } else { DialogKind::Other };
        Some(Dialog { kind, rows: rows(lines, &starts) })
    }
}

/// Reads `❯ 2. text`, `❯ text`, `2. text` with any indentation; an unnumbered row that is not
/// selected is told by its column only.
fn row_start(at: usize, line: &str) -> Option<Start<'_>> {
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let body = &line[indent..];
    let pointed = body.strip_prefix("❯ ");
    let selected = pointed.is_some();
    let body = pointed.unwrap_or(body);
    let column = indent + if selected { 2 } else { 0 };
    let digits = body.chars().take_while(char::is_ascii_digit).count();
    match (body[..digits].parse(), body[digits..].strip_prefix(". ")) {
        (Ok(number), Some(text)) => {
            Some(Start { at, column, number: Some(number), selected, text: text.trim() })
        }
        _ if selected && !body.trim().is_empty() => {
            Some(Start { at, column, number: None, selected, text: body.trim() })
        }
        _ => None,
    }
}

/// Finds the rows: those around the last selected one. In a conversation a message begins with a
/// pointer in the first column too, but it has no number.
fn rows_of<'a>(lines: &[&'a str]) -> Option<Vec<Start<'a>>> {
    let selected = (0..lines.len()).rev().find_map(|at| {
        let row = row_start(at, lines[at])?;
        let indented = lines[at].starts_with(' ');
        (row.selected && (indented || row.number.is_some())).then_some(row)
    })?;
    let at = selected.at;
    let Some(number) = selected.number else { return Some(unnumbered(lines, selected)) };
    let numbered = |at: usize, column: usize, number: u32| {
        row_start(at, lines[at])
            .filter(|row| row.number == Some(number) && row.column == column && !row.selected)
    };
    let column = selected.column;
    let mut starts = vec![selected];
    let (mut top, mut wanted) = (at, number);
    while let Some(previous) = wanted.checked_sub(1).filter(|n| *n > 0) {
        let found = (top.saturating_sub(6)..top).rev().find_map(|i| numbered(i, column, previous));
        let Some(row) = found else { break };
        (top, wanted) = (row.at, previous);
        starts.insert(0, row);
    }
    let (mut bottom, mut wanted) = (at, number);
    while let Some(next) = wanted.checked_add(1) {
        let range = bottom + 1..(bottom + 7).min(lines.len());
        let Some(row) = range.into_iter().find_map(|i| numbered(i, column, next)) else { break };
        (bottom, wanted) = (row.at, next);
        starts.push(row);
    }
    Some(starts)
}

/// The lines directly around a selected row without a number, at the same column.
fn unnumbered<'a>(lines: &[&'a str], selected: Start<'a>) -> Vec<Start<'a>> {
    let column = selected.column;
    let sibling = |at: usize| {
        let line = lines.get(at)?;
        let indent = line.chars().take_while(|c| *c == ' ').count();
        let text = line.trim();
        (indent == column && !text.is_empty()).then_some(Start {
            at,
            column,
            number: None,
            selected: false,
            text,
        })
    };
    let at = selected.at;
    let mut starts: Vec<_> = (0..at).rev().map_while(sibling).collect();
    starts.reverse();
    starts.push(selected);
    starts.extend((at + 1..lines.len()).map_while(sibling));
    starts
}

fn rows(lines: &[&str], starts: &[Start<'_>]) -> Vec<Row> {
    starts
        .iter()
        .enumerate()
        .map(|(index, start)| {
            let end = starts.get(index + 1).map_or(lines.len(), |next| next.at);
            // A row's further lines are indented deeper than its number.
            let more: Vec<&str> = lines[start.at + 1..end]
                .iter()
                .take_while(|line| {
                    let indent = line.chars().take_while(|c| *c == ' ').count();
                    !line.is_empty() && !is_rule(line) && indent > start.column
                })
                .map(|line| line.trim())
                .collect();
            Row {
                index,
                text: start.text.to_owned(),
                more: more.join(" "),
                selected: start.selected,
            }
        })
        .collect()
}

/// The lines as one, with single blanks, so that a wrapped sentence reads as it is.
pub(super) fn collapse(lines: &[&str]) -> String {
    let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
    words.join(" ")
}
