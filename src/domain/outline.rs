//! Outlines: the headings of a markdown document, as a real parser sees them.
//!
//! A `#` in a code block is no heading, an underlined line is one (CommonMark's setext headings), and
//! front matter is none. What stands in a quotation or in a list is part of a section and begins none.

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document::Lines;

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heading {
    /// The line it begins on, counted from 1.
    pub line: u32,
    /// Its level: 1 to 6.
    pub level: u8,
    /// Its text, without markup.
    pub text: String,
}

/// Lists a document's headings in order. Its lines are counted as everywhere else: a carriage return
/// alone ends none.
pub fn outline(content: &str) -> Vec<Heading> {
    // CommonMark takes a lone carriage return for a line's end.
    let lone_returns = content.contains('\r');
    let plain = lone_returns.then(|| content.replace("\r\n", "\n").replace('\r', " "));
    let arena = Arena::new();
    let mut options = Options::default();
    options.extension.front_matter_delimiter = Some("---".to_owned());
    let root = parse_document(&arena, plain.as_deref().unwrap_or(content), &options);
    root.children()
        .filter_map(|node| {
            let ast = node.data();
            let NodeValue::Heading(heading) = &ast.value else { return None };
            let line = u32::try_from(ast.sourcepos.start.line).ok()?;
            let text = node.collect_text();
            Some(Heading { line, level: heading.level, text: text.trim().to_owned() })
        })
        .collect()
}

/// The lines of a heading's section: from the heading to the next one of the same or a higher level,
/// exclusive. `None` if no heading begins on that line.
pub fn section(outline: &[Heading], header_line: u32, line_count: u32) -> Option<Lines> {
    let at = outline.iter().position(|h| h.line == header_line)?;
    let level = outline[at].level;
    let next = outline[at + 1..].iter().find(|h| h.level <= level);
    Lines::new(header_line, next.map_or(line_count, |h| h.line - 1))
}

/// Finds a heading by its text, in any case: the first one.
pub fn find<'o>(outline: &'o [Heading], text: &str) -> Option<&'o Heading> {
    let wanted = text.trim().to_lowercase();
    outline.iter().find(|h| h.text.to_lowercase() == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Heading, find, outline, section};
    use crate::domain::document::Lines;

    fn heads(content: &str) -> Vec<(u32, u8, String)> {
        outline(content)
            .into_iter()
            .map(|Heading { line, level, text }| (line, level, text))
            .collect()
    }

    fn expect(content: &str, expected: &[(u32, u8, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(n, l, t)| (*n, *l, (*t).to_owned())).collect();
        assert_eq!(heads(content), expected, "{content:?}");
    }

    #[test]
    fn headings_are_those_of_the_parser() {
        expect(
            "# One\n\ntext\n\n## Two ##\n### `Three` *and* [more](x)\n",
            &[(1, 1, "One"), (5, 2, "Two"), (6, 3, "Three and more")],
        );
        expect("```sh\n# no heading\n```\n# One\n", &[(4, 1, "One")]);
        expect("~~~~\n# no\n~~~\n# no\n~~~~\n# One", &[(6, 1, "One")]);
        expect("    # indented code\n# One", &[(2, 1, "One")]);
        expect("One\n===\ntext\n\nTwo\nlines\n---\n", &[(1, 1, "One"), (5, 2, "Two lines")]);
        expect("---\ntitle: x\n# comment: y\n---\n\n# One\n", &[(6, 1, "One")]);
        expect("---\nno front matter\n# One\n", &[(3, 1, "One")]);
        expect(
            "> # quoted\n\n- # listed\n\n<!--\n# no\n-->\n#hashtag\n####### seven\n# \n",
            &[(10, 1, "")],
        );
        expect("", &[]);
    }

    #[test]
    fn lines_are_counted_as_everywhere_else() {
        expect("# One\r\n\r\n## Two\r\n", &[(1, 1, "One"), (3, 2, "Two")]);
        expect("a\rb\n\n# One\n", &[(3, 1, "One")]);
        expect("\u{feff}# One\n\n\u{c}\n# Two\n", &[(1, 1, "One"), (4, 1, "Two")]);
    }

    #[test]
    fn sections_end_where_the_next_of_their_level_begins() {
        let heads = outline("# A\n\n## B\ntext\n### C\n## D\n\n# E\n");
        let lines = |line| section(&heads, line, 8).map(|l| (l.start(), l.end()));
        assert_eq!(lines(1), Some((1, 7)));
        assert_eq!(lines(3), Some((3, 5)));
        assert_eq!(lines(5), Some((5, 5)));
        assert_eq!(lines(6), Some((6, 7)));
        assert_eq!(lines(8), Some((8, 8)));
        assert_eq!(lines(2), None);
        assert_eq!(lines(0), None);
        assert_eq!(find(&heads, " d ").map(|h| h.line), Some(6));
        assert_eq!(section(&heads, 6, 8), Lines::new(6, 7));
    }

    #[test]
    fn hostile_documents_are_read_to_their_end() {
        for one in [
            ">", "- ", "*a ", "[", "![[", "`", "_*", "<a", "\t", "#", "=\n", "1. ", "|", "&#",
            "[a]: b\n",
        ] {
            let content = one.repeat(200_000 / one.len());
            let found = outline(&format!("{content}\n\n# Last\n"));
            assert!(found.len() <= 100_001, "{one:?}");
        }
    }
}
