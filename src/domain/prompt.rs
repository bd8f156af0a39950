//! Prompts: which text can be delivered into Claude Code's terminal, and what it becomes there.
//!
//! A prompt is pasted into a terminal and confirmed by Claude Code's own report of what it took
//! (`UserPromptSubmit`). Text that a terminal or Claude Code would act on instead of taking it as
//! words is disarmed where that is possible and refused where it is not; nothing is changed
//! silently ([`Prompt::changes`]). The rules were found by experiment with Claude Code 2.1.197 and
//! 2.1.329.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::names::names;

/// How long a prompt may be, in bytes, if the configuration says nothing else.
///
/// 60 KB were seen to arrive exactly; a prompt given on the command line ends at 131 071 bytes.
pub const DEFAULT_MAX_BYTES: usize = 100 * 1024;

/// What was changed in a prompt so that it arrives as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptChange {
    /// CRLF and lone CR became LF: inside a paste the three cannot be told apart.
    LineEndings,
    /// Each TAB became four spaces, as Claude Code does itself.
    Tabs,
    /// A space was put before a leading `!`, which would have made the prompt a shell command.
    ShellDisarmed,
    /// A space was put after a trailing `\`, which would have turned Enter into a line break.
    BackslashDisarmed,
}

names!(PromptChange {
    LineEndings => "line_endings", Tabs => "tabs", ShellDisarmed => "shell_disarmed",
    BackslashDisarmed => "backslash_disarmed",
});

/// Why a prompt cannot be delivered, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// There is nothing in it, or nothing visible.
    #[error("the prompt is empty: Claude Code submits only text with something visible in it")]
    Empty,
    /// It is too long.
    #[error(
        "the prompt has {bytes} bytes, the limit is {max}: put the text into a file and name the file in the prompt"
    )]
    TooLong {
        /// Its length in bytes, after line endings and TABs were changed.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// It holds a control character, which the terminal would act on.
    #[error(
        "the prompt holds the control character {name} at byte {at}: the terminal would act on it, remove it"
    )]
    Control {
        /// The character, as `U+001B`.
        name: String,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// It holds an invisible character that Claude Code removes.
    #[error(
        "the prompt holds the invisible character {name} at byte {at}: Claude Code removes it, so the text would not arrive as it is; remove it"
    )]
    Invisible {
        /// The character, as `U+200B`.
        name: String,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// Claude Code would run it as one of its own commands.
    #[error(
        "the prompt begins with {command}, which Claude Code runs as a command of its own: send it with `raw` if that is meant, otherwise put a word before it"
    )]
    Command {
        /// The command, with its `/`.
        command: String,
    },
    /// Claude Code would leave.
    #[error(
        "Claude Code takes {word:?} alone as the command to exit: end the session instead, or say it in a sentence"
    )]
    Exit {
        /// The word.
        word: String,
    },
    /// It was sent raw and begins with `!`.
    #[error(
        "a raw prompt that begins with `!` is a shell command which runs without any permission check: send it without `raw`, Claude then reads it as text"
    )]
    RawShell,
}

/// A prompt that can be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    text: String,
    digest: String,
    raw: bool,
    changes: Vec<PromptChange>,
}

/// `/word` at the start, alone or followed by a blank. A second `/` makes it a path, which Claude
/// Code takes as a prompt (`/tmp/x is …`); `//` likewise.
static COMMAND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^/[^\s/]+(?:\s|$)|^/(?:\s|$)").expect("a constant pattern"));

/// Words that leave Claude Code when they are the whole prompt (read in 2.1.329's bundle).
const EXIT_WORDS: [&str; 6] = ["exit", "quit", ":q", ":q!", ":wq", ":wq!"];

impl Prompt {
    /// Makes a prompt of at most [`DEFAULT_MAX_BYTES`]; see [`Self::with_limit`].
    ///
    /// # Errors
    /// As [`Self::with_limit`].
    pub fn new(
        text: &str,
        raw: bool,
        leading_blank_disarms_slash: bool,
    ) -> Result<Self, PromptError> {
        Self::with_limit(text, raw, leading_blank_disarms_slash, DEFAULT_MAX_BYTES)
    }

    /// Makes a prompt of `text`, disarming what can be disarmed.
    ///
    /// `raw` lets a command of Claude Code's (`/compact`) through. `leading_blank_disarms_slash`
    /// says whether this version of Claude Code takes ` /compact` as words (2.1.197 does, 2.1.329
    /// runs it).
    ///
    /// # Errors
    /// If the text cannot arrive as it is; the error says why and what to do.
    pub fn with_limit(
        text: &str,
        raw: bool,
        leading_blank_disarms_slash: bool,
        max_bytes: usize,
    ) -> Result<Self, PromptError> {
        let mut changes = Vec::new();
        refuse_characters(text)?;
        let mut text = Cow::Borrowed(text);
        if text.contains('\r') {
            text = Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"));
            changes.push(PromptChange::LineEndings);
        }
        if text.contains('\t') {
            text = Cow::Owned(text.replace('\t', "    "));
            changes.push(PromptChange::Tabs);
        }
        let visible = text.trim();
        if visible.is_empty() {
            return Err(PromptError::Empty);
        }
        let blank_before = text.starts_with(char::is_whitespace);
        if !raw {
            if EXIT_WORDS.contains(&visible) {
                return Err(PromptError::Exit { word: visible.to_owned() });
            }
            if !(blank_before && leading_blank_disarms_slash)
                && let Some(found) = COMMAND.find(visible)
            {
                return Err(PromptError::Command { command: found.as_str().trim().to_owned() });
            }
        }
        if text.starts_with('!') {
            if raw {
                return Err(PromptError::RawShell);
            }
            text.to_mut().insert(0, ' ');
            changes.push(PromptChange::ShellDisarmed);
        }
        if text.ends_with('\\') {
            text.to_mut().push(' ');
            changes.push(PromptChange::BackslashDisarmed);
        }
        if text.len() > max_bytes {
            return Err(PromptError::TooLong { bytes: text.len(), max: max_bytes });
        }
        let digest = digest(&text);
        Ok(Self { text: text.into_owned(), digest, raw, changes })
    }

    /// The text to paste.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What Claude Code says that it took, but for the differences that [`digest`] ignores.
    pub fn expected(&self) -> &str {
        &self.text
    }

    /// The [`digest`] that the confirming `UserPromptSubmit` must have.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether it was sent raw.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Whether it is a command of Claude Code's, which no `UserPromptSubmit` confirms.
    pub fn is_command(&self) -> bool {
        self.raw && COMMAND.is_match(self.text.trim_start())
    }

    /// What was changed, in the order of the changes.
    pub fn changes(&self) -> &[PromptChange] {
        &self.changes
    }
}

/// Hashes a prompt so that what was sent and what Claude Code reports can be compared: SHA-256, in
/// hexadecimal, of the text with LF line endings, TABs as four spaces, without invisible
/// characters and without blanks at either end (Claude Code changes all of these in some version).
pub fn digest(text: &str) -> String {
    let mut canonical = String::with_capacity(text.len());
    let mut after_cr = false;
    for c in text.trim().chars() {
        match c {
            '\r' => canonical.push('\n'),
            '\n' if after_cr => {}
            '\t' => canonical.push_str("    "),
            c if is_invisible(c) => {}
            c => canonical.push(c),
        }
        after_cr = c == '\r';
    }
    hex(&Sha256::digest(canonical.trim().as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Whether a character is drawn as nothing and may be stripped on the way: Unicode's default
/// ignorable ones.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// Refuses what a terminal would act on (all control characters but TAB, LF and CR, which covers
/// the end of a bracketed paste, `ESC [ 2 0 1 ~`) and zero-width characters that get lost.
fn refuse_characters(text: &str) -> Result<(), PromptError> {
    for (at, c) in text.char_indices() {
        if c.is_control() && !matches!(c, '\t' | '\n' | '\r') {
            return Err(PromptError::Control { name: name(c), at });
        }
        if is_lost(c) {
            return Err(PromptError::Invisible { name: name(c), at });
        }
    }
    Ok(())
}

/// Whether 2.1.329 removes the character. Joiners are left in: emoji and several scripts need them,
/// and [`digest`] ignores their loss.
fn is_lost(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

fn name(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Prompt, PromptChange, PromptError, digest};

    fn new(text: &str) -> Result<Prompt, PromptError> {
        Prompt::new(text, false, false)
    }

    #[test]
    fn plain_text_is_left_alone() {
        for text in
            ["hello", "two\nlines\n", "  indented", "äöü 👩‍👩‍👧 $HOME `x` \"q\"", "- list", "#1"]
        {
            let prompt = new(text).expect(text);
            assert_eq!(prompt.text(), text);
            assert_eq!(prompt.changes(), []);
            assert_eq!(prompt.digest(), digest(text));
        }
    }

    #[test]
    fn line_endings_and_tabs_are_normalised_and_said() {
        let prompt = new("a\r\nb\rc\td").expect("a prompt");
        assert_eq!(prompt.text(), "a\nb\nc    d");
        assert_eq!(prompt.changes(), [PromptChange::LineEndings, PromptChange::Tabs]);
        assert_eq!(prompt.digest(), digest("a\r\nb\rc\td"));
    }

    #[test]
    fn a_shell_command_is_disarmed() {
        let prompt = new("!rm -rf x").expect("a prompt");
        assert_eq!(prompt.text(), " !rm -rf x");
        assert_eq!(prompt.changes(), [PromptChange::ShellDisarmed]);
        assert_eq!(Prompt::new("!ls", true, true), Err(PromptError::RawShell));
        assert_eq!(new("hurry up!").expect("a prompt").changes(), []);
    }

    #[test]
    fn commands_need_raw_and_paths_do_not() {
        for text in
            ["/compact", "/compact now", "/clear\nx", "/mcp__a__b c", " /compact", "\n/x", "/"]
        {
            assert!(matches!(new(text), Err(PromptError::Command { .. })), "{text:?}");
            let raw = Prompt::new(text, true, false).expect("raw");
            assert!(raw.is_command() && raw.text() == text, "{text:?}");
        }
        for text in ["/tmp/x is a path", "// x", "see /compact", "/a/b"] {
            assert!(!new(text).expect(text).is_command());
        }
        // 2.1.197 takes a blank before the slash as the sign of a prompt.
        assert_eq!(Prompt::new(" /compact", false, true).expect("a prompt").text(), " /compact");
        assert!(matches!(Prompt::new("/compact", false, true), Err(PromptError::Command { .. })));
    }

    #[test]
    fn what_cannot_arrive_is_refused_by_name() {
        for text in ["", " ", "\n\t \r\n"] {
            assert_eq!(new(text), Err(PromptError::Empty), "{text:?}");
        }
        for text in ["a\u{1b}[201~b", "\u{3}", "x\u{0}", "a\u{7f}", "a\u{9b}201~"] {
            assert!(matches!(new(text), Err(PromptError::Control { .. })), "{text:?}");
        }
        assert_eq!(new("a\u{200b}b"), Err(PromptError::Invisible { name: "U+200B".into(), at: 1 }));
        for word in ["exit", "quit", " :q ", ":wq!\n"] {
            assert!(matches!(new(word), Err(PromptError::Exit { .. })), "{word:?}");
        }
        assert!(new("exit the loop early").is_ok());
        assert_eq!(
            Prompt::with_limit("12345", false, false, 4),
            Err(PromptError::TooLong { bytes: 5, max: 4 })
        );
    }

    #[test]
    fn a_trailing_backslash_does_not_swallow_enter() {
        let prompt = new("path C:\\").expect("a prompt");
        assert_eq!(prompt.text(), "path C:\\ ");
        assert_eq!(prompt.changes(), [PromptChange::BackslashDisarmed]);
    }

    #[test]
    fn the_digest_ignores_what_gets_lost() {
        assert_eq!(digest("  a\tb\r\nc \n"), digest("a    b\nc"));
        assert_eq!(digest("a\u{200d}b\u{fe0f}"), digest("ab"));
        assert_ne!(digest("a b"), digest("ab"));
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>(), raw: bool, blank: bool) {
            if let Ok(prompt) = Prompt::new(&text, raw, blank) {
                prop_assert!(!prompt.text().starts_with('!'));
                let controls = prompt.text().contains(['\r', '\t', '\u{1b}']);
                prop_assert!(!controls);
                prop_assert_eq!(prompt.digest(), digest(prompt.expected()));
                // Whatever the terminal does to blanks and line endings, the digest is the same.
                prop_assert_eq!(prompt.digest(), digest(&prompt.text().replace('\n', "\r")));
                let again = Prompt::new(prompt.text(), raw, blank);
                prop_assert_eq!(again.map(|p| p.text().to_owned()), Ok(prompt.text().to_owned()));
            }
        }
    }
}
