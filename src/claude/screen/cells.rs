//! Captured text with its escapes.

use std::borrow::Cow;

/// One character of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub ch: char,
    /// Drawn faintly (SGR 2): a hint, not something that was typed.
    pub dim: bool,
}

/// Removes escape sequences, so that captures with and without them read the same.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[escape_len(rest)..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Reads a capture made with escapes (`capture-pane -e`) into rows. Styles go on over line ends.
pub(super) fn rows(text: &str) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let mut dim = false;
    for line in text.lines() {
        let mut row = Vec::new();
        let mut rest = line;
        while let Some(ch) = rest.chars().next() {
            if ch == '\u{1b}' {
                let (escape, next) = rest.split_at(escape_len(rest));
                if let Some(parameters) =
                    escape.strip_prefix("\u{1b}[").and_then(|e| e.strip_suffix('m'))
                {
                    dim = is_dim(parameters, dim);
                }
                rest = next;
            } else {
                row.push(Cell { ch, dim });
                rest = &rest[ch.len_utf8()..];
            }
        }
        rows.push(row);
    }
    rows
}

/// The length of the escape sequence that `text` begins with: CSI, OSC, or two characters.
fn escape_len(text: &str) -> usize {
    let body = &text[1..];
    let end = match body.chars().next() {
        Some('[') => body[1..].find(|c: char| ('@'..='~').contains(&c)).map(|at| at + 2),
        Some(']') => match (body.find('\u{7}'), body.find("\u{1b}\\")) {
            (Some(bell), Some(string)) if bell > string => Some(string + 2),
            (Some(bell), _) => Some(bell + 1),
            (None, string) => string.map(|at| at + 2),
        },
        Some(c) => Some(c.len_utf8()),
        None => Some(0),
    };
    // An escape that is cut off goes to the end.
    1 + end.unwrap_or(body.len())
}

/// Follows one SGR sequence. Colours take parameters of their own, in which 2 means nothing.
fn is_dim(parameters: &str, mut dim: bool) -> bool {
    let mut codes = parameters.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
    while let Some(code) = codes.next() {
        match code {
            0 | 22 => dim = false,
            2 => dim = true,
            38 | 48 | 58 => {
                let skip = if codes.next() == Some(2) { 3 } else { 1 };
                codes.by_ref().take(skip).for_each(drop);
            }
            _ => {}
        }
    }
    dim
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{plain, rows};

    #[test]
    fn escapes_are_removed_and_dimness_is_kept() {
        let text = "\u{1b}[38;5;246m❯\u{1b}[39m a\u{1b}]0;title\u{7}b\u{1b}]0;t\u{1b}\\c\u{1b}[";
        assert_eq!(plain(text), "❯ abc");
        let rows = rows("\u{1b}[38;2;1;2;3ma\u{1b}[2mb\n\u{1b}[0;2mc\u{1b}[22md");
        let dims: Vec<Vec<bool>> =
            rows.iter().map(|row| row.iter().map(|cell| cell.dim).collect()).collect();
        assert_eq!(dims, [vec![false, true], vec![true, false]]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[\u{1b}\\[\\];m02a\u{7}\\\\❯\n]{0,60}") {
            let left = plain(&text).contains('\u{1b}');
            prop_assert!(!left);
            let _ = rows(&text);
        }
    }
}
