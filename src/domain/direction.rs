//! Characters that turn the direction of writing.

/// Whether a character is drawn as nothing and turns the direction of what stands beside it, so that a
/// command or code can read as something else (<https://trojansource.codes>): Unicode's `Bidi_Control`.
pub fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text as it is, not as it would like to look: what turns the direction is named.
pub fn visible(text: &str) -> String {
    if !text.contains(turns) {
        return text.to_owned();
    }
    let named = |c| if turns(c) { format!("⟨U+{:04X}⟩", u32::from(c)) } else { c.to_string() };
    text.chars().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_turns_the_direction_is_named() {
        assert_eq!(visible("rm \u{202e}/tmp\u{200f}"), "rm ⟨U+202E⟩/tmp⟨U+200F⟩");
        assert_eq!(visible("שלום é"), "שלום é");
    }
}
