//! Pieces of documents: what a page shows at once. A long document has several.

use crate::domain::outline::Heading;

/// How much a piece has at most.
const BYTES: usize = 96 * 1024;
const LINES: u32 = 2_000;
/// Characters of a line that are shown.
const LINE: usize = 4_000;

/// Some lines of a document that are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The first line, counted from 1.
    pub first: u32,
    /// The last line, inclusive; before the first one if there are no lines.
    pub last: u32,
    /// Where their text begins, in bytes.
    from: usize,
    /// Where it ends.
    to: usize,
}

/// A line as it is shown.
pub struct Line<'c> {
    /// Its number.
    pub number: u32,
    /// Its text.
    pub text: &'c str,
    /// How many characters of it are not shown.
    pub left_out: usize,
}

/// Cuts a document into pieces. They begin at headings, where that is possible without making them much smaller.
pub fn pieces(content: &str, outline: &[Heading]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut heads = outline.iter().map(|h| h.line).peekable();
    let mut now = Piece { first: 1, last: 0, from: 0, to: 0 };
    // Where the present piece could end before a heading: the line before it, and the byte.
    let mut cut = None;
    for (number, line) in (1..).zip(content.split_inclusive('\n')) {
        let is_head = heads.next_if(|head| *head <= number).is_some();
        while heads.next_if(|head| *head <= number).is_some() {}
        let is_full =
            |p: &Piece, at: usize| at + line.len() - p.from > BYTES || number - p.first >= LINES;
        if number > now.first && is_full(&now, now.to) {
            let (last, to) = cut.take().unwrap_or((number - 1, now.to));
            pieces.push(Piece { last, to, ..now });
            now = Piece { first: last + 1, last: number - 1, from: to, to: now.to };
            // What is left over may be too much still.
            if number > now.first && is_full(&now, now.to) {
                pieces.push(now);
                now = Piece { first: number, last: number - 1, from: now.to, to: now.to };
            }
        }
        let is_half = now.to - now.from > BYTES / 2 || number - now.first > LINES / 2;
        if is_head && is_half {
            cut = Some((number - 1, now.to));
        }
        now.to += line.len();
        now.last = number;
    }
    pieces.push(now);
    pieces
}

impl Piece {
    /// Its text; of a single line that is too long, the beginning.
    pub fn text<'c>(&self, content: &'c str) -> &'c str {
        let text = &content[self.from..self.to];
        match text.len() > BYTES {
            true => &text[..text.floor_char_boundary(BYTES)],
            false => text,
        }
    }

    /// How many bytes of it are not shown when it is rendered.
    pub fn left_out(&self) -> usize {
        (self.to - self.from).saturating_sub(BYTES)
    }

    /// Its lines.
    pub fn lines<'c>(&self, content: &'c str) -> Vec<Line<'c>> {
        let numbered = (self.first..).zip(content[self.from..self.to].lines());
        let shown = |(number, text): (u32, &'c str)| match text.char_indices().nth(LINE) {
            Some((at, _)) => {
                Line { number, text: &text[..at], left_out: text[at..].chars().count() }
            }
            None => Line { number, text, left_out: 0 },
        };
        numbered.map(shown).collect()
    }

    /// Whether this line is in it.
    pub fn has(&self, line: u32) -> bool {
        (self.first..=self.last).contains(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, LINES, pieces};
    use crate::domain::document::line_count;
    use crate::domain::outline::outline;

    fn check(content: &str) -> Vec<(u32, u32)> {
        let pieces = pieces(content, &outline(content));
        let whole: String = pieces.iter().map(|p| &content[p.from..p.to]).collect();
        assert_eq!(whole, content);
        let mut next = 1;
        for piece in &pieces {
            assert_eq!(piece.first, next);
            assert!(
                piece.text(content).len() <= BYTES && piece.lines(content).len() <= LINES as usize
            );
            next = piece.last + 1;
        }
        assert_eq!(next, line_count(content) + 1);
        pieces.iter().map(|p| (p.first, p.last)).collect()
    }

    #[test]
    fn all_of_a_document_is_in_some_piece() {
        assert_eq!(check(""), [(1, 0)]);
        assert_eq!(check("a\nb"), [(1, 2)]);
        assert_eq!(check(&"x\n".repeat(4_500)), [(1, 2000), (2001, 4000), (4001, 4500)]);
        let lines = |n: usize| "text\n".repeat(n);
        let content = format!("# A\n{}# B\n{}", lines(1_499), lines(1_000));
        assert_eq!(check(&content), [(1, 1500), (1501, 2501)]);
        assert_eq!(check(&"y".repeat(300_000)), [(1, 1)]);
        check(&format!("{}\n", "ü".repeat(60_000)).repeat(3));
        check(&format!("# {}\n", "z".repeat(60_000)).repeat(4));
        check(&format!("a\n{}# H\n{}\n{}", lines(1_100), "b".repeat(90_000), "c".repeat(90_000)));
    }

    #[test]
    fn a_long_line_says_what_is_left_out() {
        let content = "é".repeat(5_000);
        let piece = pieces(&content, &[])[0];
        let line = &piece.lines(&content)[0];
        assert_eq!((line.text.chars().count(), line.left_out), (4_000, 1_000));
    }
}
