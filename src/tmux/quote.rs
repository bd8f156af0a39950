//! Writing tmux command lines whose arguments arrive byte for byte.
//!
//! What a control-mode line goes through, measured on tmux 3.3a:
//!
//! - The command parser expands `$NAME` and a leading `~`, **inside double quotes as well**, and
//!   reads backslash escapes. Every argument is therefore written in double quotes with those
//!   escaped and everything outside printable ASCII as three octal digits, which keeps the line
//!   free of newlines and independent of any locale.
//! - Formats (`#{…}`, `#(…)`) are not the parser's business: single commands expand them in single
//!   arguments (`new-session -c`, `-n`, `-s`, every `-F`; neither `set-buffer` nor the words of a
//!   program). No escaping protects such an argument in every version (`##[` is left as it is), so
//!   hostile text never goes there: it goes through a user option (see `Tmux::new_session`).

use super::error::TmuxError;

/// The most bytes Linux takes in one argument of a program, its ending NUL included.
pub(super) const MAX_ARGUMENT: usize = 128 * 1024;

/// Appends `argument` to `line` as one double-quoted word.
///
/// A NUL cannot be an argument of anything; callers refuse it first ([`check_text`]). Here it
/// becomes `\000`, which tmux reads as the end of the string.
pub(super) fn quote_into(line: &mut Vec<u8>, argument: &[u8]) {
    line.reserve(argument.len() + 2);
    line.push(b'"');
    for &byte in argument {
        match byte {
            b'"' | b'\\' | b'$' | b'~' => line.extend([b'\\', byte]),
            b'\n' => line.extend(*b"\\n"),
            0x20..=0x7e => line.push(byte),
            _ => {
                line.extend([b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)])
            }
        }
    }
    line.push(b'"');
}

/// Refuses what cannot be an argument: a NUL, or more than `limit` bytes.
pub(super) fn check_text(what: &'static str, text: &[u8], limit: usize) -> Result<(), TmuxError> {
    if text.contains(&0) {
        return Err(TmuxError::Invalid { what, why: "it contains a NUL byte".into() });
    }
    if text.len() > limit {
        let why = format!("it is {} bytes long; at most {limit} are possible", text.len());
        return Err(TmuxError::Invalid { what, why });
    }
    Ok(())
}

/// One line for the control client: one or more commands which tmux runs without a pause between.
#[derive(Debug)]
pub(super) struct CommandLine {
    /// The first command's name, for messages.
    pub label: &'static str,
    /// The line, without its newline.
    pub bytes: Vec<u8>,
    /// How many replies it yields when nothing fails.
    pub blocks: usize,
    /// The reply holds lines which a program in a pane chose: see `protocol::Assembler`.
    pub fence: Option<String>,
}

impl CommandLine {
    /// Begins a line with `command`, whose words need no quotes.
    pub fn new(label: &'static str) -> Self {
        Self { label, bytes: label.as_bytes().to_vec(), blocks: 1, fence: None }
    }

    /// Adds words that are known to need no quotes (options, ids).
    pub fn raw(mut self, words: impl AsRef<str>) -> Self {
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(words.as_ref().as_bytes());
        self
    }

    /// Adds one quoted argument.
    pub fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.bytes.push(b' ');
        quote_into(&mut self.bytes, argument.as_ref());
        self
    }

    /// Begins another command on the same line; it runs only if those before succeed.
    pub fn then(mut self, command: &str) -> Self {
        self.bytes.extend_from_slice(b" ; ");
        self.bytes.extend_from_slice(command.as_bytes());
        self.blocks += 1;
        self
    }

    /// Adds `command` (no quotes in it) to be run if the pane's program lives, or else a reply
    /// that consists of [`DEAD`].
    ///
    /// tmux before 3.4 crashes, and takes every session with it, when a buffer is pasted into a
    /// dead pane. The test and the command run without any event between them.
    pub fn then_if_alive(mut self, pane: super::PaneId, command: &str) -> Self {
        debug_assert!(!command.contains(['"', '\\', '$']));
        self = self.then("if-shell").raw(format!("-F -t {pane} \"#{{pane_dead}}\""));
        self = self.raw(format!("\"display-message -p {DEAD}\" \"{command}\""));
        self.blocks += 1;
        self
    }

    /// Marks the reply as one whose lines a program in a pane chose.
    pub fn fenced(mut self) -> Self {
        self.fence = Some(format!("chorus-fence-{}", uuid::Uuid::new_v4().simple()));
        self
    }
}

/// What [`CommandLine::then_if_alive`] answers for a dead pane.
pub(super) const DEAD: &str = "chorus-pane-is-dead";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads one double-quoted word as tmux's `yylex_token` does.
    fn read_word(word: &[u8]) -> Option<Vec<u8>> {
        let inner = word.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let mut out = Vec::new();
        let mut bytes = inner.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                // Unescaped, each of these means something else.
                b'"' | b'$' | b'~' | b'\n' | 0 => return None,
                b'\\' => match bytes.next()? {
                    b'n' => out.push(b'\n'),
                    first @ b'0'..=b'7' => {
                        let digits = [first, bytes.next()?, bytes.next()?];
                        let text = std::str::from_utf8(&digits).ok()?;
                        out.push(u8::from_str_radix(text, 8).ok()?);
                    }
                    other => out.push(other),
                },
                _ => out.push(byte),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn a_quoted_argument_is_read_back(argument in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut line = Vec::new();
            quote_into(&mut line, &argument);
            prop_assert!(line.iter().all(|b| (0x20..0x7f).contains(b)));
            prop_assert_eq!(read_word(&line), Some(argument));
        }
    }

    #[test]
    fn lines_count_their_replies() {
        let line = CommandLine::new("set-buffer").raw("-b b --").arg("a b$").then("kill-pane");
        assert_eq!(line.bytes, b"set-buffer -b b -- \"a b\\$\" ; kill-pane");
        assert_eq!(line.blocks, 2);
        let line = CommandLine::new("copy-mode").then_if_alive(super::super::PaneId(3), "x -t %3");
        assert_eq!(line.blocks, 3);
    }

    #[test]
    fn nul_and_oversize_are_refused() {
        assert!(check_text("x", b"a\0b", 10).is_err());
        assert!(check_text("x", b"abc", 2).is_err());
        assert!(check_text("x", b"abc", 3).is_ok());
    }
}
