use proptest::prelude::*;

use super::{Prompt, PromptChange, PromptError, digest, pieces};

fn new(text: &str) -> Result<Prompt, PromptError> {
    Prompt::new(text, false, false)
}

#[test]
fn plain_text_is_left_alone() {
    for text in ["hello", "two\nlines\n", "  indented", "äöü 👩‍👩‍👧 $HOME `x` \"q\"", "- list", "#1"]
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
    for text in ["/compact", "/compact now", "/clear\nx", "/mcp__a__b c", " /compact", "\n/x", "/"]
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
    for text in ["", " ", "\n\t \r\n", "\u{200b}", " \u{200d}"] {
        assert_eq!(new(text), Err(PromptError::Empty), "{text:?}");
    }
    for text in ["a\u{1b}[201~b", "\u{3}", "x\u{0}", "a\u{7f}", "a\u{9b}201~"] {
        assert!(matches!(new(text), Err(PromptError::Control { .. })), "{text:?}");
    }
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
fn what_gets_lost_anyway_is_removed_and_said() {
    let prompt = new("a\u{200b}b\u{202e}c\u{e0041}\u{2028}d").expect("a prompt");
    assert_eq!(prompt.text(), "abc\nd");
    assert_eq!(prompt.changes(), [PromptChange::LineEndings, PromptChange::InvisibleRemoved]);
    let prompt = new("e\u{301}").expect("a prompt");
    assert_eq!((prompt.text(), prompt.changes()), ("é", &[PromptChange::Composed][..]));
}

#[test]
fn what_only_appears_after_removal_is_refused_too() {
    assert!(matches!(new("\u{200b}/compact"), Err(PromptError::Command { .. })));
    assert_eq!(new("\u{feff}!ls").expect("a prompt").text(), " !ls");
    assert!(matches!(new("e\u{ad}xit"), Err(PromptError::Exit { .. })));
}

#[test]
fn pieces_are_small_enough_not_to_be_wrapped() {
    assert_eq!(pieces("a\nb\nc\n\nd", true), ["a\nb\n", "c\n\n", "d"]);
    assert_eq!(pieces("a\nb\nc\n\nd", false), ["a\nb\nc\n\nd"]);
    let long = "word ".repeat(300);
    assert!(pieces(&long, true).iter().all(|p| p.starts_with("word ") && p.ends_with(' ')));
    let family = "👩‍👩‍👧".repeat(200);
    assert!(pieces(&family, true).iter().all(|p| p.starts_with('👩') && p.ends_with('👧')));
    assert!(pieces(&family, true).len() > 2);
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
    assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
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
            let pieces = pieces(prompt.text(), true);
            prop_assert_eq!(pieces.concat(), prompt.text());
            for piece in pieces {
                prop_assert!(!piece.is_empty() && piece.matches('\n').count() <= 2);
                prop_assert!(piece.encode_utf16().count() <= 700);
            }
            let again = Prompt::new(prompt.text(), raw, blank);
            prop_assert_eq!(again.map(|p| p.text().to_owned()), Ok(prompt.text().to_owned()));
        }
    }
}
