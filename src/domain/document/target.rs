//! Lines of a document as people name them: `file:10-40`, `file:10`, `file#Heading`, `file`.

use super::Lines;

/// Some lines of a document, as somebody names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The document: a path, or whatever else names one.
    pub document: String,
    /// Which of its lines.
    pub lines: Where,
}

/// Which lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// All.
    Whole,
    /// These.
    Range(Lines),
    /// The section of the heading with this text.
    Section(String),
}

impl Target {
    /// Reads what somebody wrote. A file's own name may have `:` and `#` in it: what follows counts as
    /// lines only if it can be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let target = |document: &str, lines| {
            if document.is_empty() {
                return Err(format!(
                    "{text:?} names no document: write path:10-40 or path#Heading"
                ));
            }
            Ok(Self { document: document.to_owned(), lines })
        };
        if let Some((document, rest)) = text.rsplit_once(':')
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            let (start, end) = rest.split_once('-').unwrap_or((rest, rest));
            let lines = start.parse().ok().zip(end.parse().ok());
            let lines = lines.and_then(|(start, end)| Lines::new(start, end));
            let lines = lines.ok_or_else(|| {
                format!("{rest:?} is no range of lines: write 10-40, counted from 1")
            })?;
            return target(document, Where::Range(lines));
        }
        // The first one: headings may have further ones, and files with one are rare.
        match text.split_once('#') {
            Some((document, heading)) if !heading.trim().is_empty() => {
                target(document, Where::Section(heading.trim().to_owned()))
            }
            _ => target(text, Where::Whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Target, Where};

    #[test]
    fn lines_are_read_as_people_write_them() {
        let range = |a, b| Where::Range(Lines::new(a, b).expect("a range"));
        for (text, document, lines) in [
            ("docs/spec.md:10-40", "docs/spec.md", range(10, 40)),
            ("docs/spec.md:10", "docs/spec.md", range(10, 10)),
            ("docs/spec.md", "docs/spec.md", Where::Whole),
            ("docs/spec.md#Log in", "docs/spec.md", Where::Section("Log in".into())),
            ("a.md#C# and F#", "a.md", Where::Section("C# and F#".into())),
            ("a:b.md", "a:b.md", Where::Whole),
            ("a.md#", "a.md#", Where::Whole),
            ("12:3-4", "12", range(3, 4)),
        ] {
            assert_eq!(
                Target::parse(text),
                Ok(Target { document: document.into(), lines }),
                "{text}"
            );
        }
        for bad in
            ["", ":10-40", "#x", "a.md:0", "a.md:4-2", "a.md:1-", "a.md:1-x", "a.md:99999999999"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
