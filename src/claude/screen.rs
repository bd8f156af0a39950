//! Screens: what Claude Code's terminal shows, as text captured from the pane.
//!
//! The last resort among the sources, and the only one for what happens before a conversation
//! begins (trust, login, keys), for the input box, and for answering at the keyboard. Pure
//! functions; texts were recorded from 2.1.197 and 2.1.329 and can be overridden ([`Patterns`]).
//!
//! Never decide on one capture: the terminal is painted in pieces. Two equal ones 100 ms apart are
//! evidence.

mod cells;
mod dialog;
mod input_box;
mod patterns;
mod start;

pub use cells::plain;
pub use dialog::{Dialog, DialogKind, Row};
pub use input_box::{Cursor, InputBox, input_box};
pub use patterns::{PatternError, Patterns, Screens};
pub use start::{StartDialog, StartKind};

use crate::domain::session::ClaudeStatus;

impl Screens {
    /// What Claude does, as the screen shows. `None` if it cannot be told: no conversation, a menu,
    /// a shell.
    pub fn activity(&self, text: &str) -> Option<ClaudeStatus> {
        let text = plain(text);
        if let Some(dialog) = self.dialog(&text) {
            return dialog.kind.waits().then_some(ClaudeStatus::Waiting);
        }
        let lines = lines(&text);
        let (first, last) = if let Some(found) = live_box(&lines) {
            found
        } else {
            // The screen-reader mode has no box.
            let busy = lines.iter().any(|line| self.busy.is_match(line));
            return busy.then_some(ClaudeStatus::Busy);
        };
        // Above the box the spinner, at most with a tip and a queue in between; below it the hints.
        let above = &lines[first.saturating_sub(9)..first];
        let below = &lines[last..];
        let busy = below.iter().any(|line| self.busy.is_match(line))
            || above.iter().any(|line| {
                self.spinner.is_match(line)
                    || self.retrying.is_match(line)
                    || self.background.is_match(line)
            });
        Some(if busy { ClaudeStatus::Busy } else { ClaudeStatus::Idle })
    }

    /// The line that says that Claude Code tries a request again, without its ornaments.
    pub fn retrying(&self, text: &str) -> Option<String> {
        let text = plain(text);
        let lines = lines(&text);
        let end = live_box(&lines).map_or(lines.len(), |(first, _)| first);
        let near = &lines[end.saturating_sub(9)..end];
        let line = near.iter().rev().find(|line| self.retrying.is_match(line))?;
        Some(line.trim_start_matches(|c: char| !c.is_alphanumeric()).to_owned())
    }

    /// Whether Claude Code says that nobody is logged in.
    pub fn not_logged_in(&self, text: &str) -> bool {
        let text = plain(text);
        let lines = lines(&text);
        let from = live_box(&lines).map_or(0, |(_, last)| last);
        lines[from..].iter().any(|line| self.not_logged_in.is_match(line))
    }

    /// Whether the box is in the mode that runs shell commands.
    pub fn is_bash_mode(&self, text: &str) -> bool {
        let text = plain(text);
        let lines = lines(&text);
        live_box(&lines).is_some_and(|(first, _)| lines[first + 1].starts_with('!'))
    }

    /// Whether the menu is open that two Escapes open, and which swallows what is sent.
    pub fn is_rewind_menu(&self, text: &str) -> bool {
        self.dialog(text).is_some_and(|dialog| dialog.kind == DialogKind::Rewind)
    }
}

/// Whether the pane's title says that Claude works: `Some(false)` is idle or waiting, `None` is no
/// title of Claude Code's.
pub fn title_is_busy(title: &str) -> Option<bool> {
    let mut chars = title.chars();
    let sign = chars.next()?;
    if chars.next() != Some(' ') {
        return None;
    }
    match sign {
        '✳' => Some(false),
        // 2.1.197, then 2.1.329.
        '⠂' | '⠐' | '◐' | '◑' => Some(true),
        _ => None,
    }
}

/// The lines without ASCII blanks at their ends. A no-break space stays: it marks the box.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(|line| line.trim_end_matches([' ', '\r'])).collect()
}

/// Whether a line is a horizontal rule, perhaps with the session's name at its end.
fn is_rule(line: &str) -> bool {
    line.starts_with("────────") && line.ends_with('─')
}

/// Whether a line begins the input box: `❯` or `!` and a no-break space. User's messages and
/// selected rows have an ordinary space.
fn is_box_start(line: &str) -> bool {
    let mut chars = line.chars();
    matches!(chars.next(), Some('❯' | '!')) && chars.next() == Some('\u{a0}')
}

/// Finds the box that takes input: the lines of its upper and its lower rule. A box above a shell's
/// prompt is what an ended Claude left on the screen.
fn live_box(lines: &[&str]) -> Option<(usize, usize)> {
    let start = lines.iter().rposition(|line| is_box_start(line))?;
    let first = start.checked_sub(1).filter(|first| is_rule(lines[*first]))?;
    let last = (start + 1..lines.len()).find(|i| is_rule(lines[*i]))?;
    let shell = lines[last + 1..]
        .iter()
        .rev()
        .find(|line| !line.is_empty())
        .is_some_and(|line| line.ends_with(['$', '#', '%']) && !line.starts_with("  "));
    (!shell).then_some((first, last))
}

#[cfg(test)]
mod tests;
