//! Commands as they can be typed into a shell.

/// The words as one line for a POSIX shell; quoted where they need it.
pub fn command(words: &[String]) -> String {
    words.iter().map(|w| word(w)).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn only_what_a_shell_would_act_on_is_quoted() {
        let words = ["tmux", "-S", "/a b", "it's", "", "=x:1", "$(id)"].map(str::to_owned);
        assert_eq!(command(&words), r"tmux -S '/a b' 'it'\''s' '' =x:1 '$(id)'");
    }
}
