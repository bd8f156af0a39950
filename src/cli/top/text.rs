//! Text for the screen. All of it may be hostile: nothing that could steer a terminal is left in it.

use unicode_width::UnicodeWidthChar as _;

use crate::cli::show;
use crate::domain::permission::PermissionRequest;

/// A text in one line of so many columns, cut with an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
    // No more characters than could be seen, so that what is long costs nothing.
    let text = show::line(text, columns.saturating_mul(2).max(1));
    if width(&text) <= columns {
        return text;
    }
    let mut used = 0;
    let kept = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used < columns
    });
    kept.chain(['…']).collect()
}

/// A text in lines of so many columns, broken between words where that is possible.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for line in show::safe(text).lines() {
        let mut rest = line;
        loop {
            let mut used = 0;
            let over = rest.char_indices().find(|(_, c)| {
                used += c.width().unwrap_or(0);
                used > columns
            });
            let Some((end, _)) = over else { break };
            let space = rest[..end].rfind(' ').map(|at| at + 1);
            let cut = space.filter(|at| *at > end / 2).unwrap_or(end);
            lines.push(rest[..cut].trim_end().to_owned());
            rest = &rest[cut..];
        }
        lines.push(rest.to_owned());
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Why a request has come to a person: who asks, which rule left it.
pub fn reason(request: &PermissionRequest) -> String {
    let agent = request.agent_type.as_ref().map(|agent| format!("sub-agent {agent}"));
    let rule = request.rule.as_ref().map(|rule| format!("left to you by a rule: {rule}"));
    agent.into_iter().chain(rule).collect::<Vec<_>>().join(" · ")
}

/// The keys.
pub const HELP: &str = "\
j k, arrows   move; g G to the ends, PgUp PgDn by pages
Tab           between what waits for you and the sessions
a             approve what is under the cursor (a plan too); a question is answered
d             deny it
D             deny it and say why, or what to do instead: Claude goes on with that
r             answer its questions
v             read all of it
s             send a prompt to the session; it is queued if Claude is not idle
i             interrupt the session's turn (one Escape)
l             read what was said and done last
Enter         attach: the session's terminal in this one (leave it with Ctrl-B d)
/             narrow both lists to what contains these words; Esc undoes it
Ctrl-Z        stop; fg goes on
q, Ctrl-C     quit

What a key is about is what the screen showed under the cursor when it was pressed. If the list
has changed in the half second before, a decision is asked for once more: the same key or Enter
confirms it, any other key does not.

In a line that is typed: Enter sends it, Ctrl-J begins a new line, Esc leaves it, Ctrl-U and
Ctrl-W take out what stands before the cursor.";

#[cfg(test)]
mod tests {
    use super::{fit, wrap};

    #[test]
    fn text_fits_and_cannot_steer_the_terminal() {
        assert_eq!(fit("a\u{1b}[31mb\nc", 20), "a[31mb c");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("abc", 2), "a…");
        assert_eq!(wrap("one two three\n\nx", 8), ["one two", "three", "", "x"]);
        assert_eq!(wrap("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
        assert_eq!(wrap("日本語\u{9b}x", 4), ["日本", "語x"]);
    }
}
