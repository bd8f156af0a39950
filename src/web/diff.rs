//! Differences of texts, line by line.

use similar::{ChangeTag, TextDiff};

use crate::domain::direction::visible;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// In both.
    Same,
    /// Only in the new text.
    Added,
    /// Only in the old one.
    Removed,
}

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// What it is.
    pub kind: LineKind,
    /// Its text, without its end.
    pub text: String,
}

/// The difference of two texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// Its lines, of which so many are shown.
    pub lines: Vec<DiffLine>,
    /// How many lines are not.
    pub left_out: usize,
}

/// Lines that are shown at most.
const MOST: usize = 2_000;

/// The difference of two texts.
pub fn diff(old: &str, new: &str) -> Diff {
    let differences = TextDiff::from_lines(old, new);
    let mut changes = differences.iter_all_changes();
    let lines = changes.by_ref().take(MOST);
    let lines = lines.map(|change| DiffLine {
        kind: match change.tag() {
            ChangeTag::Equal => LineKind::Same,
            ChangeTag::Insert => LineKind::Added,
            ChangeTag::Delete => LineKind::Removed,
        },
        text: visible(change.value().trim_end_matches(['\n', '\r'])),
    });
    Diff { lines: lines.collect(), left_out: changes.count() }
}

#[cfg(test)]
mod tests {
    use super::{LineKind, MOST, diff};

    #[test]
    fn what_stays_is_not_shown_as_changed() {
        let changed = diff("a\nb\nc\n", "a\nx\nc\n");
        let kinds: Vec<_> = changed.lines.into_iter().map(|l| l.kind).collect();
        assert_eq!(kinds, [LineKind::Same, LineKind::Removed, LineKind::Added, LineKind::Same]);
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let long = diff("", &"x\n".repeat(MOST + 3));
        assert_eq!((long.lines.len(), long.left_out), (MOST, 3));
    }
}
