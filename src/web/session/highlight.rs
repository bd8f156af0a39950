//! Colours for lines of code: comments, strings, numbers and words of the language.
//!
//! A diff shows pieces of files, so no grammar can be sure of what they are in; that needs no parser of
//! every language. Crates that bring those cost more to compile than all of the dashboard and load
//! grammars by the megabyte, to be right where a diff has cut them off. This reads lines one by one with what
//! is open from the line before, in time that grows with the text alone.

/// What a piece of a line is; the name of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Comment,
    Text,
    Number,
    Word,
}

impl Kind {
    pub fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Comment => "hl-comment",
            Self::Text => "hl-text",
            Self::Number => "hl-number",
            Self::Word => "hl-word",
        }
    }
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub kind: Kind,
    pub text: String,
}

/// How a family of languages is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Language {
    /// What a comment begins with that goes to the line's end.
    line: &'static [&'static str],
    /// What others begin and end with.
    block: Option<(&'static str, &'static str)>,
    /// What strings begin and end with; the longest first.
    quotes: &'static [&'static str],
    words: &'static [&'static str],
}

const C_WORDS: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "bool",
    "boolean",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "default",
    "defer",
    "delete",
    "do",
    "double",
    "dyn",
    "else",
    "enum",
    "export",
    "extends",
    "extern",
    "false",
    "final",
    "finally",
    "float",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "go",
    "goto",
    "if",
    "impl",
    "implements",
    "import",
    "in",
    "instanceof",
    "int",
    "interface",
    "internal",
    "let",
    "long",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "namespace",
    "new",
    "nil",
    "null",
    "of",
    "override",
    "package",
    "private",
    "protected",
    "pub",
    "public",
    "range",
    "ref",
    "return",
    "self",
    "Self",
    "short",
    "sizeof",
    "static",
    "struct",
    "super",
    "switch",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typeof",
    "undefined",
    "unsafe",
    "use",
    "using",
    "val",
    "var",
    "virtual",
    "void",
    "where",
    "while",
    "yield",
];
const SCRIPT_WORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "begin", "break", "case", "class", "continue", "def",
    "del", "do", "done", "elif", "else", "elsif", "end", "esac", "except", "export", "false",
    "False", "fi", "finally", "for", "from", "function", "global", "if", "import", "in", "is",
    "lambda", "local", "module", "nil", "None", "not", "null", "or", "pass", "raise", "require",
    "rescue", "return", "self", "set", "then", "true", "True", "try", "unless", "until", "when",
    "while", "with", "yield",
];
const SQL_WORDS: &[&str] = &[
    "ALTER",
    "AND",
    "AS",
    "BEGIN",
    "BY",
    "CASE",
    "COMMIT",
    "CREATE",
    "DEFAULT",
    "DELETE",
    "DROP",
    "ELSE",
    "END",
    "FROM",
    "GROUP",
    "HAVING",
    "INDEX",
    "INSERT",
    "INTO",
    "JOIN",
    "KEY",
    "LEFT",
    "LIMIT",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "PRIMARY",
    "REFERENCES",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "VALUES",
    "WHEN",
    "WHERE",
];

const C: Language = Language {
    line: &["//"],
    block: Some(("/*", "*/")),
    quotes: &["\"", "'", "`"],
    words: C_WORDS,
};
const SCRIPT: Language = Language {
    line: &["#"],
    block: None,
    quotes: &["\"\"\"", "'''", "\"", "'"],
    words: SCRIPT_WORDS,
};
const SQL: Language =
    Language { line: &["--"], block: Some(("/*", "*/")), quotes: &["'"], words: SQL_WORDS };
const CSS: Language =
    Language { line: &[], block: Some(("/*", "*/")), quotes: &["\"", "'"], words: &[] };
const MARKUP: Language =
    Language { line: &[], block: Some(("<!--", "-->")), quotes: &["\""], words: &[] };

/// The language of a file, by its name.
pub(super) fn language(path: &str) -> Option<Language> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or(name, |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "rs" | "c" | "h" | "cc" | "cpp" | "hpp" | "cs" | "go" | "java" | "js" | "jsx" | "mjs"
        | "cjs" | "ts" | "tsx" | "kt" | "swift" | "scala" | "dart" | "php" | "proto" | "zig"
        | "json" | "jsonc" => Some(C),
        "py" | "rb" | "sh" | "bash" | "zsh" | "pl" | "yml" | "yaml" | "toml" | "ini" | "conf"
        | "ex" | "exs" | "r" | "tf" | "dockerfile" | "makefile" | "mk" => Some(SCRIPT),
        "sql" => Some(SQL),
        "css" | "scss" | "less" => Some(CSS),
        "html" | "htm" | "xml" | "svg" | "vue" => Some(MARKUP),
        _ => None,
    }
}

/// Cuts lines into pieces, one after the other.
#[derive(Debug, Default)]
pub(super) struct Highlighter {
    language: Option<Language>,
    /// What ends the comment or the text that is open, and which of them it is.
    open: Option<(&'static str, Kind)>,
}

impl Highlighter {
    pub fn new(language: Option<Language>) -> Self {
        Self { language, open: None }
    }

    /// The pieces of the next line.
    pub fn line(&mut self, line: &str) -> Vec<Piece> {
        let Some(language) = self.language else { return vec![piece(Kind::Plain, line)] };
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (kind, length) = self.next(&language, rest);
            let (text, after) = rest.split_at(length);
            match pieces.last_mut() {
                Some(before) if before.kind == kind => before.text.push_str(text),
                _ => pieces.push(piece(kind, text)),
            }
            rest = after;
        }
        // Only what is meant to goes on in the next line.
        if self.open.is_some_and(|(end, kind)| kind == Kind::Text && end.len() == 1 && end != "`") {
            self.open = None;
        }
        pieces
    }

    fn next(&mut self, language: &Language, rest: &str) -> (Kind, usize) {
        if let Some((end, kind)) = self.open {
            return match end_of(rest, end, kind) {
                Some(length) => {
                    self.open = None;
                    (kind, length)
                }
                None => (kind, rest.len()),
            };
        }
        if language.line.iter().any(|mark| rest.starts_with(mark)) {
            return (Kind::Comment, rest.len());
        }
        if let Some((begin, end)) = language.block
            && rest.starts_with(begin)
        {
            self.open = Some((end, Kind::Comment));
            return (Kind::Comment, begin.len());
        }
        if let Some(quote) = language.quotes.iter().find(|quote| rest.starts_with(**quote)) {
            if !is_lifetime(quote, rest) {
                self.open = Some((quote, Kind::Text));
                return (Kind::Text, quote.len());
            }
            return (Kind::Plain, 1);
        }
        let first = rest.chars().next().unwrap_or_default();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if !is_word(first) {
            return (Kind::Plain, first.len_utf8());
        }
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        let kind = if first.is_ascii_digit() {
            Kind::Number
        } else if language.words.contains(&word)
            || language.words == SQL_WORDS
                && SQL_WORDS.contains(&word.to_ascii_uppercase().as_str())
        {
            Kind::Word
        } else {
            Kind::Plain
        };
        (kind, length)
    }
}

fn piece(kind: Kind, text: &str) -> Piece {
    Piece { kind, text: text.to_owned() }
}

/// `'a` and `it's` begin no text.
fn is_lifetime(quote: &str, rest: &str) -> bool {
    quote == "'" && !rest[1..].contains('\'')
}

/// Where what is open ends. A backslash in a text takes what follows with it.
fn end_of(rest: &str, end: &str, kind: Kind) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        if escaped {
            escaped = false;
        } else if kind == Kind::Text && c == '\\' {
            escaped = true;
        } else if rest[at..].starts_with(end) {
            return Some(at + end.len());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(path: &str, lines: &[&str]) -> Vec<Vec<(Kind, String)>> {
        let mut highlighter = Highlighter::new(language(path));
        let pieces = |line: &&str| {
            highlighter.line(line).into_iter().map(|p| (p.kind, p.text)).collect::<Vec<_>>()
        };
        lines.iter().map(pieces).collect()
    }

    #[test]
    fn code_has_its_colours() {
        let rust = kinds(
            "src/a.rs",
            &["let x = \"a // \\\" b\"; // c", "/* two", "lines */ 42", "&'a str"],
        );
        let is = |kind, text: &str| (kind, text.to_owned());
        assert_eq!(rust[0][0], is(Kind::Word, "let"));
        assert!(rust[0].contains(&is(Kind::Text, "\"a // \\\" b\"")), "{rust:?}");
        assert_eq!(rust[0].last(), Some(&is(Kind::Comment, "// c")));
        assert_eq!(rust[1], [is(Kind::Comment, "/* two")]);
        assert_eq!(
            rust[2],
            [is(Kind::Comment, "lines */"), is(Kind::Plain, " "), is(Kind::Number, "42")]
        );
        assert_eq!(rust[3], [is(Kind::Plain, "&'a str")]);
        let python = kinds("a.py", &["x = '''a", "b''' # c", "y = 'open", "z"]);
        assert_eq!(
            python[1],
            [is(Kind::Text, "b'''"), is(Kind::Plain, " "), is(Kind::Comment, "# c")]
        );
        assert_eq!(python[3], [is(Kind::Plain, "z")]);
        assert_eq!(kinds("a.sql", &["select 1"])[0][0], is(Kind::Word, "select"));
    }

    #[test]
    fn nothing_of_a_line_is_lost() {
        for line in ["", "ü'\"`/*\\", "\\", "'''", "\"\\", "<!-- ", "a\u{0}b"] {
            for path in ["a.rs", "a.py", "a.sql", "a.css", "a.html", "Makefile", "a.unknown"] {
                let whole: String =
                    kinds(path, &[line])[0].iter().map(|(_, t)| t.as_str()).collect();
                assert_eq!(whole, line, "{path}");
            }
        }
    }
}
