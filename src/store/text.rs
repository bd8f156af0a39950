//! Text as both databases take it. Whatever comes from outside goes through here, and here only: a
//! hook or a transcript that one of them refuses would take a whole group of changes down with it.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::domain::hex::hex;

/// The longest key that is kept as it is. PostgreSQL's indexes take 2,704 bytes an entry, and some
/// have two keys. Bytes.
const LONGEST_KEY: usize = 512;

/// Text without NUL, which PostgreSQL cannot hold: it becomes U+FFFD.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// The same for what is in an index: of a key that is too long the beginning is kept, and a digest
/// that tells it from others.
pub(super) fn key(key: &str) -> Cow<'_, str> {
    if key.len() <= LONGEST_KEY {
        return text(key);
    }
    let start = &key[..key.floor_char_boundary(LONGEST_KEY / 2)];
    format!("{}…{}", text(start), hex(&Sha256::digest(key.as_bytes()))).into()
}

/// The pattern of `LIKE … ESCAPE '!'` for text that has this in it. As the databases differ in what they
/// make lower-case, it is for them to do it, on both sides.
pub(super) fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in text(part).chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern + "%"
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_KEY, containing, key, text};

    #[test]
    fn only_what_cannot_be_kept_is_changed() {
        assert_eq!(text("a\u{1}ü"), "a\u{1}ü");
        assert_eq!(text("\0a\0"), "\u{fffd}a\u{fffd}");
        assert_eq!(key("toolu_1\0"), "toolu_1\u{fffd}");
        let long = "ü".repeat(LONGEST_KEY);
        let other = format!("{long}x");
        assert!(key(&long).len() <= LONGEST_KEY && key(&long) == key(&long));
        assert_ne!(key(&long), key(&other));
    }

    #[test]
    fn what_means_something_in_a_pattern_is_taken_literally() {
        assert_eq!(containing("50%_A!\0"), "%50!%!_A!!\u{fffd}%");
    }
}
