//! Text that a program wrote for a terminal, as text: without what a terminal would act on.

/// The text without escape sequences (CSI, OSC and the other strings, single shifts) and without control
/// characters but line feed and TAB. Of what a carriage return has overwritten, the last is kept, as a
/// terminal would show it. Sequences are those of ECMA-48; one without an end reaches to its line's end.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Where the present line begins.
    let mut line = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                out.push('\n');
                line = out.len();
            }
            '\t' => out.push('\t'),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => {
                if chars.peek().is_some() {
                    out.truncate(line);
                }
            }
            '\u{8}' => {
                if out.len() > line {
                    out.pop();
                }
            }
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

type Chars<'t> = std::iter::Peekable<std::str::Chars<'t>>;

fn skip_escape(chars: &mut Chars) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='~') => {
            // Intermediate characters, then one that ends it.
            while let Some(c) = chars.next_if(|c| (' '..='~').contains(c)) {
                if !(' '..='/').contains(&c) {
                    break;
                }
            }
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut Chars) {
    while let Some(c) = chars.next_if(|c| (' '..='~').contains(c)) {
        if ('@'..='~').contains(&c) {
            break;
        }
    }
}

fn skip_string(chars: &mut Chars) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if chars.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn only_words_are_left() {
        for (text, expected) in [
            ("\u{1b}[1;31mred\u{1b}[0m and plain", "red and plain"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;javascript:alert(1)\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]52;c;b3duZWQ=\u{7}x", "x"),
            ("10%\r50%\r100%\ndone\r\n", "100%\ndone\n"),
            ("\u{1b}(B\u{1b}=a\u{8}b\u{0}\u{7}", "b"),
            ("\u{9b}31mc1\u{9d}0;t\u{9c}!", "c1!"),
            ("\u{1b}Pq#0;2\u{1b}\\sixel", "sixel"),
            ("\u{1b}]no end\nnext line", "\nnext line"),
            ("ä\tö <script>", "ä\tö <script>"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
