//! A line of text that somebody types.

/// The text, and where the cursor is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// Bytes before the cursor; always between two characters.
    at: usize,
}

/// The longest text that is taken. Bytes.
const LIMIT: usize = 100_000;

impl Line {
    /// A line with a text, to be changed at its end.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), at: text.len() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor, and what behind it.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.at)
    }

    /// Puts a text in where the cursor is. Line breaks stay, control characters do not.
    pub fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let plain: String = crate::cli::show::safe(&text);
        if self.text.len() + plain.len() <= LIMIT {
            self.text.insert_str(self.at, &plain);
            self.at += plain.len();
        }
    }

    /// Takes out the character before the cursor.
    pub fn backspace(&mut self) {
        let end = self.at;
        self.left();
        self.text.replace_range(self.at..end, "");
    }

    /// Takes out the character behind the cursor.
    pub fn delete(&mut self) {
        let start = self.at;
        self.right();
        self.text.replace_range(start..self.at, "");
        self.at = start;
    }

    /// Takes out the word before the cursor.
    pub fn delete_word(&mut self) {
        let before = &self.text[..self.at];
        let kept = before
            .trim_end()
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        self.text.replace_range(kept..self.at, "");
        self.at = kept;
    }

    /// Takes out everything before the cursor.
    pub fn delete_to_start(&mut self) {
        self.text.replace_range(..self.at, "");
        self.at = 0;
    }

    /// One character to the left.
    pub fn left(&mut self) {
        self.at -= self.text[..self.at].chars().next_back().map_or(0, char::len_utf8);
    }

    /// One character to the right.
    pub fn right(&mut self) {
        self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
    }

    /// To the beginning.
    pub fn home(&mut self) {
        self.at = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.at = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn it_is_edited_at_the_cursor() {
        let mut line = Line::of("fünf");
        line.left();
        line.left();
        line.backspace();
        assert_eq!(line.parts(), ("f", "nf"));
        line.insert("ü\u{1b}[31m\r\nx");
        assert_eq!(line.text(), "fü[31m\nxnf");
        line.delete();
        line.end();
        line.insert(" two words ");
        line.delete_word();
        assert_eq!(line.parts(), ("fü[31m\nxf two ", ""));
        line.home();
        line.backspace();
        line.delete_to_start();
        line.left();
        assert_eq!(line.parts(), ("", "fü[31m\nxf two "));
        line.insert(&"x".repeat(200_000));
        assert!(line.text().len() < 100);
    }
}
