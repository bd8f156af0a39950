//! Text that Claude Code wraps around what people wrote.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// 2.1.329 wraps a long paste: `\n\n<pasted_content id="fd3b">\n…\n</pasted_content id="fd3b">\n`,
/// in `UserPromptSubmit` and in the transcript alike (recorded).
static PASTE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"\n{0,2}<pasted_content id="[0-9A-Za-z_-]{1,16}">\n?|\n?</pasted_content id="[0-9A-Za-z_-]{1,16}">\n?"#,
    )
    .expect("a constant pattern")
});

/// How a literal `<pasted_content` is written inside of a wrapped paste.
static ESCAPED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<\\+(/?pasted_content)").expect("a constant pattern"));

/// Removes the wrapping of long pastes, so that a prompt reads as it was sent.
pub(super) fn unwrap_paste(text: &str) -> Cow<'_, str> {
    if !text.contains("<pasted_content id=") {
        return text.into();
    }
    let bare = PASTE.replace_all(text, "");
    match ESCAPED.replace_all(&bare, "<$1") {
        Cow::Borrowed(_) => bare,
        Cow::Owned(unescaped) => unescaped.into(),
    }
}

/// Whether a prompt was written by Claude Code itself: a background task's report.
pub(super) fn is_automatic(prompt: &str) -> bool {
    prompt.trim_start().starts_with("<task-notification>")
}

/// What stands between `<tag>` and `</tag>`.
pub(super) fn tagged<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let from = text.find(&format!("<{tag}>"))? + tag.len() + 2;
    let to = text[from..].find(&format!("</{tag}>"))?;
    Some(&text[from..from + to])
}

#[cfg(test)]
mod tests {
    use super::{tagged, unwrap_paste};

    #[test]
    fn a_long_paste_is_unwrapped() {
        let wrapped = "\n\n<pasted_content id=\"fd3b\">\nl0\nl1\n</pasted_content id=\"fd3b\">\n";
        assert_eq!(unwrap_paste(wrapped), "l0\nl1");
        let literal = wrapped.replace("l0", r#"<\pasted_content id="x">"#);
        assert_eq!(unwrap_paste(&literal), "<pasted_content id=\"x\">\nl1");
        assert_eq!(unwrap_paste("as <pasted_content> is"), "as <pasted_content> is");
    }

    #[test]
    fn tags_are_found() {
        assert_eq!(tagged("a<b>c</b>d", "b"), Some("c"));
        assert_eq!(tagged("a<b>c", "b"), None);
        assert_eq!(tagged("</b><b>", "b"), None);
    }
}
