//! Differences of texts, line by line.

use similar::{ChangeTag, TextDiff};

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

/// Lines that are shown at most; a person who needs more opens the file.
const MOST: usize = 2_000;

/// The difference of two texts.
pub fn lines(old: &str, new: &str) -> Vec<DiffLine> {
    TextDiff::from_lines(old, new)
        .iter_all_changes()
        .take(MOST)
        .map(|change| DiffLine {
            kind: match change.tag() {
                ChangeTag::Equal => LineKind::Same,
                ChangeTag::Insert => LineKind::Added,
                ChangeTag::Delete => LineKind::Removed,
            },
            text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LineKind, lines};

    #[test]
    fn what_stays_is_not_shown_as_changed() {
        let kinds: Vec<_> = lines("a\nb\nc\n", "a\nx\nc\n").into_iter().map(|l| l.kind).collect();
        assert_eq!(kinds, [LineKind::Same, LineKind::Removed, LineKind::Added, LineKind::Same]);
    }
}
