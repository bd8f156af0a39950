//! Finding a text again in a document that was changed.
//!
//! The work is bounded by the length of both texts: an exact search by Knuth, Morris and Pratt over
//! lines, and, where the text was changed, one pass over the document's lines and one over its words.

use std::collections::{HashMap, HashSet};

use crate::domain::document::Lines;

/// Where a text is in what the document says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relocation {
    /// At the same lines.
    Unchanged,
    /// The very same text stands here: the nearest place, if there are several.
    Moved(Lines),
    /// It is nowhere as it was. This stands in its place, as far as can be told.
    Drifted {
        /// What stands in its place.
        range: Lines,
    },
    /// Nothing is left of it.
    Gone,
}

/// Places of one line that are looked at: more of the same tell nothing.
const PLACES: usize = 64;
/// Of a hundred words of a guess, so many are of the text at least.
const ALIKE: usize = 30;

/// Finds a text again that was at `old`.
pub fn relocate(stored: &str, old: Lines, content: &str) -> Relocation {
    // Joined lines: one empty line is the empty text.
    let text: Vec<&str> = stored.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
    let lines: Vec<&str> = content.lines().collect();
    let old_at = old.start() as usize - 1;
    if lines.get(old_at..).is_some_and(|rest| rest.starts_with(&text)) {
        return Relocation::Unchanged;
    }
    if let Some(at) = nearest(&lines, &text, old_at) {
        return range(at, at + text.len() - 1).map_or(Relocation::Gone, Relocation::Moved);
    }
    let guess = by_lines(&lines, &text, old_at)
        .or_else(|| by_words(&lines, &text, old_at))
        .or_else(|| in_place(&lines, &text, old_at));
    match guess.and_then(|(first, last)| range(first, last)) {
        Some(range) => Relocation::Drifted { range },
        None => Relocation::Gone,
    }
}

/// Lines from indices.
fn range(first: usize, last: usize) -> Option<Lines> {
    Lines::new(u32::try_from(first + 1).ok()?, u32::try_from(last + 1).ok()?)
}

/// Where the lines of a text stand one after the other, nearest to `near`.
fn nearest(lines: &[&str], text: &[&str], near: usize) -> Option<usize> {
    if text.len() > lines.len() {
        return None;
    }
    // For each line of the text: how many lines before it are a beginning of the text as well.
    let mut table = vec![0; text.len()];
    let mut matched = 0;
    for i in 1..text.len() {
        while matched > 0 && text[i] != text[matched] {
            matched = table[matched - 1];
        }
        matched += usize::from(text[i] == text[matched]);
        table[i] = matched;
    }
    let mut best: Option<usize> = None;
    matched = 0;
    for (i, line) in lines.iter().enumerate() {
        while matched > 0 && (matched == text.len() || *line != text[matched]) {
            matched = table[matched - 1];
        }
        matched += usize::from(*line == text[matched]);
        if matched == text.len() {
            let at = i + 1 - text.len();
            if best.is_none_or(|b| at.abs_diff(near) < b.abs_diff(near)) {
                best = Some(at);
            }
            matched = table[matched - 1];
        }
    }
    best
}

/// A guess by the lines that are left of the text, if they say something.
fn by_lines(lines: &[&str], text: &[&str], old: usize) -> Option<(usize, usize)> {
    let telling = |line: &str| line.chars().filter(|c| c.is_alphanumeric()).count() >= 3;
    let wanted: HashSet<&str> = text.iter().copied().filter(|l| telling(l)).collect();
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, line) in lines.iter().enumerate().filter(|(_, l)| wanted.contains(**l)) {
        let of_line = places.entry(line).or_default();
        if of_line.len() < PLACES {
            of_line.push(i);
        }
    }
    // Each line that is left says by how much the text was moved: most of them are right.
    let mut votes: HashMap<isize, usize> = HashMap::new();
    for (i, line) in text.iter().enumerate() {
        for at in places.get(line).into_iter().flatten() {
            *votes.entry(at.cast_signed() - i.cast_signed()).or_default() += 1;
        }
    }
    let near = |shift: isize| shift.abs_diff(old.cast_signed());
    let shift =
        votes.iter().max_by_key(|(shift, n)| (**n, std::cmp::Reverse((near(**shift), **shift))));
    let shift = *shift?.0;
    // The ends may have been moved by another number of lines than the middle.
    let place = |i: usize| {
        let expected = shift + i.cast_signed();
        let found =
            places.get(text[i])?.iter().min_by_key(|at| at.cast_signed().abs_diff(expected));
        found.copied().filter(|at| at.cast_signed().abs_diff(expected) <= 2 * text.len() + 10)
    };
    let clamp = |at: isize| usize::try_from(at).unwrap_or(0).min(lines.len() - 1);
    let first = place(0).unwrap_or_else(|| clamp(shift));
    let last = place(text.len() - 1).unwrap_or_else(|| clamp(shift + text.len().cast_signed() - 1));
    if first <= last {
        return Some((first, last));
    }
    let first = clamp(shift);
    Some((first, (first + text.len() - 1).min(lines.len() - 1)))
}

/// A guess by the words of the text: where as many lines have most of them.
fn by_words(lines: &[&str], text: &[&str], old: usize) -> Option<(usize, usize)> {
    let words = |line: &str| -> HashSet<String> {
        let words = line.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2);
        words.map(str::to_lowercase).collect()
    };
    let wanted: HashSet<String> = text.iter().flat_map(|l| words(l)).collect();
    if wanted.is_empty() || lines.is_empty() {
        return None;
    }
    let scores: Vec<(usize, usize)> = lines
        .iter()
        .map(|line| {
            let words = words(line);
            (words.iter().filter(|w| wanted.contains(*w)).count(), words.len())
        })
        .collect();
    let width = text.len().min(lines.len());
    let (mut hits, mut all) = (0, 0);
    let mut best: Option<(usize, usize)> = None;
    for (i, score) in scores.iter().enumerate() {
        hits += score.0;
        all += score.1;
        if i + 1 < width {
            continue;
        }
        let at = i + 1 - width;
        let better = |(most, b): (usize, usize)| {
            hits > most || hits == most && at.abs_diff(old) < b.abs_diff(old)
        };
        if hits > 0 && hits * 100 >= all.max(wanted.len()) * ALIKE && best.is_none_or(better) {
            best = Some((hits, at));
        }
        hits -= scores[at].0;
        all -= scores[at].1;
    }
    best.map(|(_, at)| (at, at + width - 1))
}

/// What stands at the old lines, if there is anything.
fn in_place(lines: &[&str], text: &[&str], old: usize) -> Option<(usize, usize)> {
    (old < lines.len()).then(|| (old, (old + text.len() - 1).min(lines.len() - 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Lines, Relocation, relocate};

    fn lines(start: u32, end: u32) -> Lines {
        Lines::new(start, end).expect("lines")
    }

    #[test]
    fn a_text_is_found_where_it_is() {
        let stored = "## Log in\nUsers log in with a password.";
        let found = |content: &str| relocate(stored, lines(3, 4), content);
        assert_eq!(
            found("a\nb\n## Log in\r\nUsers log in with a password.\r\n"),
            Relocation::Unchanged
        );
        assert_eq!(
            found("a\n## Log in\nUsers log in with a password.\nb"),
            Relocation::Moved(lines(2, 3))
        );
        // The nearest of several.
        let many = format!("{stored}\n{}{stored}\nx\n{stored}", "y\n".repeat(3));
        assert_eq!(found(&many), Relocation::Moved(lines(1, 2)));
        assert_eq!(relocate(stored, lines(8, 9), &many), Relocation::Moved(lines(9, 10)));
        let drifted = |a, b| Relocation::Drifted { range: lines(a, b) };
        // A line inserted in the middle, above it, and its end changed.
        assert_eq!(found("a\nb\n## Log in\nNew.\nUsers log in with a password."), drifted(3, 5));
        assert_eq!(found("a\nb\nc\nd\n## Log in\nUsers log in with a key.\n"), drifted(5, 6));
        // No line as it was: by its words, else by its place.
        assert_eq!(
            relocate(
                "Users log in with a password.",
                lines(1, 1),
                "# New\n\nAll users log in with a key or a password.\n"
            ),
            drifted(3, 3)
        );
        assert_eq!(found("1\n2\n3\n4\n5\n"), drifted(3, 4));
        assert_eq!(found("1\n2\n3"), drifted(3, 3));
        assert_eq!(found("1\n2"), Relocation::Gone);
        assert_eq!(found(""), Relocation::Gone);
    }

    #[test]
    fn lines_that_say_nothing_lead_nowhere() {
        let stored = "```\n\n---\nThe rule.\n```";
        let content = "```\n\n---\n```\n\n# Other\n\n```\nThe rule.\n```\n";
        assert_eq!(
            relocate(stored, lines(1, 5), content),
            Relocation::Drifted { range: lines(6, 10) }
        );
        assert_eq!(relocate("", lines(2, 2), "a\n\nb"), Relocation::Unchanged);
        assert_eq!(relocate("", lines(2, 2), "a\nb\n\n"), Relocation::Moved(lines(3, 3)));
    }

    fn text() -> impl Strategy<Value = Vec<String>> {
        // Few different lines, so that they come again.
        proptest::collection::vec("[ab ]{0,2}|the [ab] rule", 1..8)
    }

    proptest! {
        /// Whatever stands around a text, it is found; and what is found is the text.
        #[test]
        fn an_inserted_text_is_found(before in text(), stored in text(), after in text(), old in 1u32..20) {
            let content = [&before[..], &stored, &after].concat().join("\n");
            let stored_text = stored.join("\n");
            let count = u32::try_from(stored.len()).unwrap();
            let old = lines(old, old + count - 1);
            match relocate(&stored_text, old, &content) {
                Relocation::Unchanged => prop_assert_eq!(old.of(&content), Some(stored_text)),
                Relocation::Moved(at) => {
                    prop_assert_eq!(at.of(&content), Some(stored_text));
                    let real = u32::try_from(before.len()).unwrap() + 1;
                    prop_assert!(at.start().abs_diff(old.start()) <= real.abs_diff(old.start()));
                }
                // A last line that is empty is no line.
                other => prop_assert!(content.lines().count() < before.len() + stored.len() + after.len(), "{:?}", other),
            }
        }

        /// What is found is always inside the document, and never called the same if it is not.
        #[test]
        fn whatever_is_found_is_there(stored in text(), content in text(), old in 1u32..20) {
            let (stored, content) = (stored.join("\n"), content.join("\n"));
            let count = u32::try_from(stored.split('\n').count()).unwrap();
            let old = lines(old, old + count - 1);
            match relocate(&stored, old, &content) {
                Relocation::Unchanged => prop_assert_eq!(old.of(&content), Some(stored)),
                Relocation::Moved(at) => prop_assert_eq!(at.of(&content), Some(stored)),
                Relocation::Drifted { range } => prop_assert!(range.of(&content).is_some()),
                Relocation::Gone => prop_assert!(content.lines().count() < old.start() as usize),
            }
        }
    }
}
