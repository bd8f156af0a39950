//! Matching: pure, and linear in the call for a bounded pattern.
//!
//! Shell is not parsed: that would have to be right about every shell. For an allowance whatever
//! could begin another command is taken for one; for a denial the command is cut wherever another
//! could begin, quoted or not.

use super::{Pattern, RuleAction, file};
use crate::domain::ids::{ProjectId, SessionId};
use crate::domain::permission::subject;

/// A tool call, with what its files are.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The tool.
    pub tool: &'a str,
    /// Its input.
    pub input: &'a serde_json::Value,
    /// The session.
    pub session: SessionId,
    /// The session's project.
    pub project: Option<ProjectId>,
    /// Where the call's file is, if it has one.
    pub place: Option<&'a Place>,
}

/// Where a call's file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The project's folder.
    pub root: String,
    /// The path as it was given: absolute, `.` and `..` resolved by their text.
    pub given: String,
    /// The real path: symbolic links followed as far as it exists. `None` if it cannot be known.
    pub real: Option<String>,
}

/// One part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// This character.
    Char(char),
    /// Anything.
    Star,
}

/// Reads a pattern: `*` is anything, `\*` and `\\` are themselves without the backslash.
pub(super) fn parse(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '\\' => Token::Char(chars.next_if(|next| matches!(next, '*' | '\\')).unwrap_or('\\')),
            c => Token::Char(c),
        });
    }
    tokens
}

/// Whether a pattern matches the whole text, `*` taking in only what `takes` lets it. What it may
/// take is told of a character and the one after it.
fn glob(pattern: &[Token], text: &[char], takes: impl Fn(char, Option<char>) -> bool) -> bool {
    // Each star in turn takes as little as it can, and more when what follows it does not match.
    // The last star is the only one that needs to be taken back: whatever an earlier one could take
    // besides, the later one can as well, as both may take the same.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(Token::Star), _) => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            (Some(Token::Char(c)), Some(d)) if c == d => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((at, from)) = star else { return false };
        match text.get(from) {
            Some(c) if takes(*c, text.get(from + 1).copied()) => {
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether a shell may take a character for the end of a simple command, or the beginning of
/// another's.
fn is_control(c: char) -> bool {
    matches!(c, ';' | '&' | '|' | '<' | '>' | '(' | ')' | '`' | '\n' | '\r' | '\0')
}

/// Whether a pattern matches a call, read as its action wants it.
pub(super) fn matches(pattern: &Pattern, action: RuleAction, call: &Call<'_>) -> bool {
    let certain = action == RuleAction::Allow;
    let tool: Vec<char> = call.tool.chars().collect();
    if !glob(&parse(&pattern.tool), &tool, |_, _| true) {
        return false;
    }
    let command = pattern.command.as_deref().is_none_or(|wanted| {
        // A file is matched as a path only: as text, `..` would lead out of anything.
        let said = subject(call.tool, call.input).filter(|_| file(call.tool, call.input).is_none());
        said.is_some_and(|said| match (call.tool, certain) {
            _ if certain && said.len() > LONGEST => false,
            ("Bash", true) => allows(wanted, &said),
            ("Bash", false) => said_in(wanted, shortened(&said)),
            _ => whole(wanted, shortened(&said)),
        })
    });
    command
        && pattern.path.as_deref().is_none_or(|wanted| {
            let Some(place) = call.place else { return false };
            let given = path(wanted, &place.root, &place.given);
            let real = place.real.as_deref().map(|real| path(wanted, &place.root, real));
            if certain { given && real == Some(true) } else { given || real == Some(true) }
        })
}

/// How much of a text is looked at: what is meant to take long does not. Bytes.
const LONGEST: usize = 64 * 1024;

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// Whether a pattern matches a text as a whole, `*` being anything.
fn whole(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let tokens = parse(pattern);
    glob(&tokens, &text, |_, _| true) || glob(bare(&tokens), &text, |_, _| true)
}

/// `git *` is meant to match `git` as well.
fn bare(tokens: &[Token]) -> &[Token] {
    match tokens {
        [rest @ .., Token::Char(' '), Token::Star] if !rest.is_empty() => rest,
        all => all,
    }
}

/// Whether a pattern of a rule that allows covers a whole command.
fn allows(pattern: &str, command: &str) -> bool {
    let text: Vec<char> = command.trim().chars().collect();
    // `${` runs commands in some of its forms; the bracket of `$(` may be the pattern's own.
    let runs = |c: char, next: Option<char>| c == '$' && matches!(next, Some('{' | '('));
    let takes = |c: char, next: Option<char>| !is_control(c) && !runs(c, next);
    let tokens = parse(pattern.trim());
    glob(&tokens, &text, takes) || glob(bare(&tokens), &text, takes)
}

/// Programs that run what their arguments say: what follows them is looked at word by word.
const RUNNERS: &[&str] = &[
    "sudo", "doas", "env", "time", "nohup", "nice", "ionice", "timeout", "exec", "command",
    "builtin", "eval", "xargs", "setsid", "stdbuf", "chroot", "watch", "strace", "find", "sh",
    "bash", "zsh", "dash", "ksh", "fish", "busybox",
];

/// How many words of a simple command may be the one where another begins: enough for what is meant
/// to be read, and few enough for what is meant to take long.
const LOOKED_AT: usize = 64;

/// Words of the shell's own that stand before a command.
const KEYWORDS: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "{"];

/// Whether a pattern matches a command or any simple command in it, as far as one can be meant.
fn said_in(pattern: &str, command: &str) -> bool {
    // What holds several commands itself is looked for as it stands, wherever it is.
    let anywhere = pattern.contains(is_control).then(|| format!("*{pattern}*"));
    if whole(pattern, command) || anywhere.is_some_and(|pattern| whole(&pattern, command)) {
        return true;
    }
    // A line's end behind a backslash is none.
    let command = command.replace("\\\n", "");
    // The pattern's own blanks as one each, as those of the command.
    let pattern = words(pattern).join(" ");
    command.split(|c| is_control(c) || c == '{' || c == '}').any(|simple| {
        let words = words(simple);
        // Behind a program that runs others, any word may be the program that is meant.
        let mut anywhere = false;
        for (at, word) in words.iter().enumerate().take(LOOKED_AT) {
            if meant(&pattern, &words[at..]) {
                return true;
            }
            anywhere |= RUNNERS.contains(&program(word).as_str());
            if !anywhere && !KEYWORDS.contains(word) && !is_assignment(word) {
                return false;
            }
        }
        false
    })
}

/// Whether a pattern matches a simple command as it is written, or by its program's name.
fn meant(pattern: &str, command: &[&str]) -> bool {
    let [first, rest @ ..] = command else { return false };
    let plain = [&[unquoted(first).as_str()], rest].concat().join(" ");
    let named = [&[program(first).as_str()], rest].concat().join(" ");
    let trimmed = |text: &str| text.trim_end_matches(['"', '\'']).to_owned();
    whole(pattern, &command.join(" "))
        || [plain, named].iter().any(|text| whole(pattern, text) || whole(pattern, &trimmed(text)))
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

/// A word as the shell would have it, quotes and backslashes gone: `r\m`, `'rm'`.
fn unquoted(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect()
}

/// The program that a word names: `/bin/rm` is `rm`.
fn program(word: &str) -> String {
    let word = unquoted(word);
    word.rsplit('/').next().unwrap_or(&word).to_owned()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Whether a pattern matches a path: absolute, or below the root.
fn path(pattern: &str, root: &str, path: &str) -> bool {
    let (pattern, path) = match pattern.strip_prefix('/') {
        Some(absolute) => (absolute, path.strip_prefix('/')),
        None => {
            let below = path.strip_prefix(root.trim_end_matches('/'));
            (pattern, below.and_then(|below| below.strip_prefix('/')))
        }
    };
    let Some(path) = path else { return false };
    let pattern = normalised(pattern);
    let pattern: Vec<&str> = parts(&pattern);
    segments(&pattern, &parts(path))
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn segments(pattern: &[&str], path: &[&str]) -> bool {
    // The same as `glob`, with whole names for characters.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), path.get(t)) {
            (Some(&"**"), _) => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            (Some(wanted), Some(name)) if names(wanted, name) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((at, from)) = star.filter(|(_, from)| *from < path.len()) else { return false };
        star = Some((at, from + 1));
        (p, t) = (at + 1, from + 1);
    }
}

fn names(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    glob(&parse(pattern), &name, |_, _| true)
}

/// A path without `.`, `..` and doubled slashes, by its text alone.
pub fn normalised(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", kept.join("/"))
}
