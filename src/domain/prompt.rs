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
use unicode_normalization::{UnicodeNormalization, is_nfc};
use utoipa::ToSchema;

use super::hex::hex;
use super::names::names;

/// How long a prompt may be, in bytes, if the configuration says nothing else.
///
/// 60 KB were seen to arrive exactly; a prompt given on the command line ends at 131 071 bytes.
pub const DEFAULT_MAX_BYTES: usize = 100 * 1024;

/// What was changed in a prompt so that it arrives as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptChange {
    /// CRLF, lone CR and Unicode's line and paragraph separators became LF: inside a paste they
    /// cannot be told apart (2.1.329 turns CRLF into two line breaks).
    LineEndings,
    /// Each TAB became four spaces, as Claude Code does itself.
    Tabs,
    /// Invisible characters were removed. 2.1.329 removes them too, and for those that set the
    /// direction of writing it wants a second Enter.
    InvisibleRemoved,
    /// Combined characters were composed (Unicode's NFC), as Claude Code does itself.
    Composed,
    /// A space was put before a leading `!`, which would have made the prompt a shell command.
    ShellDisarmed,
    /// A space was put after a trailing `\`, which would have turned Enter into a line break. Claude
    /// Code strips the space again.
    BackslashDisarmed,
}

names!(PromptChange {
    LineEndings => "line_endings", Tabs => "tabs", InvisibleRemoved => "invisible_removed",
    Composed => "composed", ShellDisarmed => "shell_disarmed",
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
        "the prompt holds the control character {name} at byte {at}, which the terminal would act on: remove it"
    )]
    Control {
        /// The character, as `U+001B`.
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
        refuse_controls(text)?;
        if text.len() > max_bytes.saturating_mul(4) {
            // Nothing below makes a text that much shorter.
            return Err(PromptError::TooLong { bytes: text.len(), max: max_bytes });
        }
        let mut changes = Vec::new();
        let mut text = normalise(text, &mut changes);
        let visible = text.trim();
        if visible.chars().all(|c| is_invisible(c) || c.is_whitespace()) {
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

    /// What Claude Code says that it took (it strips blanks from the end), but for the differences
    /// that [`digest`] ignores.
    pub fn expected(&self) -> &str {
        self.text.trim_end()
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

/// A text as it arrives within a prompt: with LF line endings, TABs as four spaces, composed (NFC), and
/// without invisible characters that mean nothing.
pub fn normalised(text: &str) -> Cow<'_, str> {
    normalise(text, &mut Vec::new())
}

fn normalise<'t>(text: &'t str, changes: &mut Vec<PromptChange>) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    if text.contains(['\r', '\u{2028}', '\u{2029}']) {
        text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n").into();
        changes.push(PromptChange::LineEndings);
    }
    if text.contains('\t') {
        text = text.replace('\t', "    ").into();
        changes.push(PromptChange::Tabs);
    }
    if text.contains(is_meaningless) {
        text = text.replace(is_meaningless, "").into();
        changes.push(PromptChange::InvisibleRemoved);
    }
    if !is_nfc(&text) {
        text = text.nfc().collect::<String>().into();
        changes.push(PromptChange::Composed);
    }
    text
}

/// Cuts the text of a prompt into pieces, to be pasted one after the other.
///
/// 2.1.329 takes a paste of four lines or 800 characters for a quotation and wraps it in
/// `<pasted_content>`; several smaller pastes arrive as if typed, byte for byte (tried with up to
/// 200 lines, without pauses). With `wraps_long_pastes` false the text is one piece.
pub fn pieces(text: &str, wraps_long_pastes: bool) -> Vec<&str> {
    let mut rest = text;
    if !wraps_long_pastes {
        return vec![rest];
    }
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, next) = rest.split_at(piece_end(rest));
        pieces.push(piece);
        rest = next;
    }
    pieces
}

/// The lines of a piece, of which the last ends in a line break: one fewer than what 2.1.329 counts.
const PIECE_LINES: usize = 2;

/// The length of a piece in UTF-16 units, as JavaScript counts; from 800 on it would be wrapped.
const PIECE_UNITS: usize = 700;

/// Where the first piece of a text ends: after two lines or at a length that is safe, there at a
/// blank if one is near, and never within what is drawn as one character.
fn piece_end(text: &str) -> usize {
    let (mut lines, mut units) = (0, 0);
    let (mut blank, mut boundary) = (0, 0);
    let mut before = None;
    for (at, c) in text.char_indices() {
        if units + c.len_utf16() > PIECE_UNITS {
            let near = if blank * 2 > at { blank } else { boundary };
            return if near == 0 { at } else { near };
        }
        if before == Some(' ') && c != ' ' {
            blank = at;
        }
        if !joins(c) && before != Some('\u{200d}') && !is_regional(c) {
            boundary = at;
        }
        units += c.len_utf16();
        if c == '\n' {
            lines += 1;
            if lines == PIECE_LINES {
                return at + 1;
            }
        }
        before = Some(c);
    }
    text.len()
}

/// Whether a character belongs to the one before it: marks, joiners, selectors, skin tones.
fn joins(c: char) -> bool {
    is_invisible(c)
        || unicode_normalization::char::is_combining_mark(c)
        || matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Whether a character is half of a flag.
fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Hashes a prompt so that what was sent and what Claude Code reports can be compared: SHA-256, in
/// hexadecimal, of the text with LF line endings, TABs as four spaces, composed (NFC), without
/// invisible characters and without blanks at either end. Claude Code changes each of these in some
/// version.
pub fn digest(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut after_cr = false;
    for c in text.trim().chars() {
        match c {
            '\r' | '\u{2028}' | '\u{2029}' => plain.push('\n'),
            '\n' if after_cr => {}
            '\t' => plain.push_str("    "),
            c if is_invisible(c) => {}
            c => plain.push(c),
        }
        after_cr = c == '\r';
    }
    let plain = plain.trim();
    if is_nfc(plain) {
        hex(&Sha256::digest(plain.as_bytes()))
    } else {
        hex(&Sha256::digest(plain.nfc().collect::<String>().as_bytes()))
    }
}

/// Whether a character is drawn as nothing and may be stripped on the way: Unicode's default
/// ignorable ones and the interlinear annotations (2.1.329 strips all of them, joiners and
/// selectors only outside of emoji).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether nothing is lost with an invisible character. Joiners and variation selectors stay in:
/// emoji and several scripts need them.
fn is_meaningless(c: char) -> bool {
    is_invisible(c)
        && !matches!(c, '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}')
}

/// Refuses what a terminal would act on: all control characters but TAB, LF and CR, which covers
/// the end of a bracketed paste, `ESC [ 2 0 1 ~`.
fn refuse_controls(text: &str) -> Result<(), PromptError> {
    let bad = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    match text.char_indices().find(|(_, c)| bad(*c)) {
        Some((at, c)) => Err(PromptError::Control { name: name(c), at }),
        None => Ok(()),
    }
}

fn name(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

#[cfg(test)]
mod tests;
