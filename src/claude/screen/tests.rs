use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::{
    Cursor, Dialog, DialogKind, InputBox, Patterns, Screens, StartKind, input_box, title_is_busy,
};
use crate::domain::session::ClaudeStatus::{self, Busy, Idle, Waiting};

fn fixtures(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude").join(folder);
    std::fs::read_dir(folder)
        .expect("the recordings")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a recording"))
        })
        .collect()
}

fn screen(name: &str) -> String {
    fixtures("screens").remove(name).expect(name)
}

fn dialog(name: &str) -> Dialog {
    Screens::default().dialog(&screen(name)).expect(name)
}

/// The state's name, without size, version and kind of capture.
fn state(name: &str) -> &str {
    let end = name.find("-80x").or_else(|| name.find("-100x")).or_else(|| name.find("-200x"));
    &name[..end.expect("a size")]
}

/// What each recorded state is: activity, dialog, what blocks the start.
fn expected(name: &str) -> (Option<ClaudeStatus>, Option<DialogKind>, Option<StartKind>) {
    let start = |kind| (None, Some(DialogKind::Other), Some(kind));
    let waits = |kind| (Some(Waiting), Some(kind), None);
    match state(name) {
        "idle-fresh"
        | "idle-after-turn"
        | "idle-accept-edits"
        | "idle-auto-mode"
        | "idle-plan-mode"
        | "after-escape-with-queue"
        | "api-error-400"
        | "api-error-529"
        | "api-error-credit"
        | "api-stream-cut"
        | "ask-user-question-escaped"
        | "bash-mode"
        | "busy-after-ctrl-c"
        | "ctrl-c-once"
        | "dead-hook-server"
        | "denied-by-hook"
        | "interrupted-by-escape"
        | "interrupted-dialog"
        | "resumed"
        | "shortcuts-help"
        | "slash-menu" => (Some(Idle), None, None),
        "not-logged-in-idle" | "not-logged-in-after-prompt" => {
            (Some(Idle), None, Some(StartKind::NotLoggedIn))
        }
        "busy-waiting"
        | "busy-streaming"
        | "busy-running-bash"
        | "busy-queued"
        | "busy-with-typed-text"
        | "busy-background-agent"
        | "api-retrying-401"
        | "api-retrying-500"
        | "api-unreachable-retrying"
        | "screenreader-busy" => (Some(Busy), None, None),
        "permission-bash"
        | "permission-edit"
        | "permission-mcp"
        | "permission-webfetch"
        | "permission-write"
        | "auto-mode-permission-fallback"
        | "screenreader-permission" => waits(DialogKind::Permission),
        "plan-approval" => waits(DialogKind::Plan),
        "ask-user-question" => waits(DialogKind::Question),
        "auto-mode-cannot-check" => waits(DialogKind::AutoMode),
        "rewind-menu" => (None, Some(DialogKind::Rewind), None),
        "trust-dialog" => start(StartKind::Trust),
        "add-dir-dialog" => start(StartKind::AddDir),
        "custom-api-key-dialog" => start(StartKind::ApiKey),
        "mcp-json-dialog" => start(StartKind::Mcp),
        "claude-md-external-dialog" => start(StartKind::ClaudeMdImports),
        "onboarding-theme" => start(StartKind::Onboarding),
        "settings-error" => start(StartKind::Settings),
        "login-dialog" => start(StartKind::Login),
        "onboarding-security-notes" => (None, None, Some(StartKind::Onboarding)),
        "onboarding-offline-exit" => (None, None, Some(StartKind::Offline)),
        "bypass-permissions-launch" => (None, None, Some(StartKind::BypassRefused)),
        "after-exit-shell" | "screenreader-idle" => (None, None, None),
        other => panic!("no expectation for {other}"),
    }
}

#[test]
fn every_recorded_screen_is_what_it_is() {
    let screens = Screens::default();
    let all = fixtures("screens");
    assert!(all.len() > 130, "{}", all.len());
    let mut wrong = Vec::new();
    for (name, text) in &all {
        let found = (
            screens.activity(text),
            screens.dialog(text).map(|dialog| dialog.kind),
            screens.blocking_dialog(text).map(|dialog| dialog.kind),
        );
        if found != expected(name) {
            wrong.push(format!("{name}: found {found:?}, expected {:?}", expected(name)));
        }
        let is = |prefix: &str| state(name).starts_with(prefix);
        assert_eq!(
            screens.retrying(text).is_some(),
            is("api-retrying") || is("api-unreach"),
            "{name}"
        );
        // The newer recording of the mode was made after its command had run.
        let bash = is("bash-mode") && !name.ends_with("2.1.329");
        assert_eq!(screens.is_bash_mode(text), bash, "{name}");
        assert_eq!(screens.is_rewind_menu(text), is("rewind-menu"), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn retries_are_told_in_claude_codes_words() {
    let retrying = |name| Screens::default().retrying(&screen(name)).expect(name);
    assert_eq!(retrying("api-retrying-500-80x24"), "API error · Retrying in 6s · attempt 5/10");
    assert_eq!(
        retrying("api-retrying-401-80x30-2.1.329"),
        "401 invalid x-api-key · retrying in 7s · attempt 5/10"
    );
}

#[test]
fn permissions_are_allowed_by_the_row_that_says_so() {
    let texts = |name: &str| dialog(name).rows.into_iter().map(|row| row.text).collect::<Vec<_>>();
    assert_eq!(
        texts("permission-bash-80x24"),
        ["Yes", "Yes, and always allow access to project/ from this project", "No"]
    );
    let newer = dialog("permission-bash-80x24-2.1.329");
    assert_eq!(newer.rows.len(), 4);
    assert_eq!((newer.rows[1].more.as_str(), newer.rows[3].text.as_str()), ("project", "No"));
    assert_eq!(newer.steps_to(newer.allow_once().expect("a row")), Some(0));

    // Here Enter would refuse.
    let fallback = dialog("auto-mode-permission-fallback-80x30-2.1.329");
    assert_eq!(texts("auto-mode-permission-fallback-80x30-2.1.329"), ["No", "Yes"]);
    assert_eq!(fallback.steps_to(fallback.allow_once().expect("a row")), Some(1));

    for (name, text) in fixtures("screens") {
        let Some(dialog) = Screens::default().dialog(&text) else { continue };
        match dialog.kind {
            DialogKind::Permission => {
                assert!(dialog.rows.len() >= 2, "{name}");
                assert_eq!(dialog.allow_once().expect(&name).text, "Yes", "{name}");
                assert!(dialog.rows.iter().any(|row| row.text.starts_with("No")), "{name}");
            }
            DialogKind::Plan => {
                assert_eq!(dialog.rows.len(), 3, "{name}");
                let row = dialog.allow_once().expect(&name);
                assert_eq!(dialog.steps_to(row), Some(1), "{name}");
            }
            DialogKind::Question => {
                assert_eq!(texts(&name), ["Red", "Blue", "Type something.", "Chat about this"]);
                assert_eq!(dialog.rows[0].more, "Loud", "{name}");
                assert_eq!(dialog.allow_once(), None);
            }
            DialogKind::AutoMode | DialogKind::Rewind | DialogKind::Other => {
                assert_eq!(dialog.allow_once(), None, "{name}");
            }
        }
        if !name.starts_with("screenreader") && !dialog.rows.is_empty() {
            assert_eq!(dialog.rows.iter().filter(|row| row.selected).count(), 1, "{name}");
        }
    }
}

#[test]
fn start_dialogs_are_accepted_by_their_row_in_both_versions() {
    for (name, text) in fixtures("screens") {
        let Some(start) = Screens::default().blocking_dialog(&text) else { continue };
        assert!(!start.name.is_empty() && !start.remedy.is_empty());
        let Some(accept) = start.kind.accept() else { continue };
        let dialog = Screens::default().dialog(&text).expect(&name);
        assert!(dialog.row(accept).is_some(), "{name}: {:?}", dialog.rows);
    }
    let trust = |name| {
        let dialog = dialog(name);
        dialog.steps_to(dialog.row("Yes, I trust this folder").expect("a row"))
    };
    assert_eq!(trust("trust-dialog-80x24"), Some(0));
    assert_eq!(trust("trust-dialog-80x24-2.1.329"), Some(1), "Enter alone would exit");
}

#[test]
fn a_dialog_that_is_not_known_blocks_a_start_as_well() {
    let text = screen("settings-error-80x24-2.1.329");
    let kind = |text: &str| Screens::default().blocking_dialog(text).map(|dialog| dialog.kind);
    assert_eq!(kind(&text), Some(StartKind::Settings));
    let other = text.replace("Settings Error", "Something New");
    assert_eq!(kind(&other), Some(StartKind::Unknown));
    assert_eq!(kind(&other.replace("Enter to confirm", "")), None);
}

/// What each recorded box holds; drafts by their beginning.
fn expected_box(name: &str) -> InputBox {
    let draft = |text: &str| InputBox::Draft(text.to_owned());
    match state(name) {
        "idle-fresh" | "idle-after-turn" | "idle-after-queue" | "busy-empty" | "busy-queued"
        | "after-cc-10k" | "after-cc-multiline" | "after-cc-pasted" | "after-cc-restored"
        | "after-one-ctrl-c" | "mode-back" | "bash-mode-left" => InputBox::Empty,
        // A question mark opens the help and is not typed.
        "idle-draft-question" => InputBox::Empty,
        "permission-bash" | "trust-dialog" => InputBox::Hidden,
        "bash-mode-empty" => InputBox::Bash(String::new()),
        // The newer version switches its mode, and Ctrl+C does not switch it back.
        "after-cc-of-bang" if name.ends_with("2.1.197") => InputBox::Empty,
        "after-cc-of-bang" => InputBox::Bash(String::new()),
        "idle-draft-bang" if name.ends_with("2.1.329") => InputBox::Bash("ls -la".into()),
        _ => draft("any"),
    }
}

#[test]
fn an_empty_box_is_told_from_a_draft() {
    let all = fixtures("boxes");
    let cursors: BTreeMap<String, Cursor> =
        include_str!("../../../tests/fixtures/claude/boxes/cursors.tsv")
            .lines()
            .map(|line| {
                let mut fields = line.split('\t');
                let mut next = || fields.next().expect("a field");
                let name = next().to_owned();
                let mut number = || next().parse().expect("a number");
                (name, Cursor { x: number(), y: number() })
            })
            .collect();
    assert!(all.len() > 130, "{}", all.len());
    let mut wrong = Vec::new();
    for (name, text) in &all {
        let found = input_box(text, cursors[name]);
        let same = match (&found, expected_box(name)) {
            (InputBox::Draft(_), InputBox::Draft(_)) => true,
            (found, expected) => *found == expected,
        };
        if !same {
            wrong.push(format!("{name}: found {found:?}, expected {:?}", expected_box(name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = |name: &str| input_box(&all[name], cursors[name]);
    assert_eq!(
        found("idle-draft-multiline-80x24-2.1.329"),
        InputBox::Draft("line one\nline two\nline three".into())
    );
    assert_eq!(
        found("idle-draft-multiline-cursor-top-80x24-2.1.197"),
        InputBox::Draft("line one\nline two\nline three".into())
    );
}

#[test]
fn a_draft_taller_than_the_screen_is_one_and_no_dialog_is() {
    let lines = |n: usize| (1..=n).map(|n| format!("  line {n}\n")).collect::<String>();
    let rule = "─".repeat(40);
    let tall = format!("{}{rule}\n  ⏸ manual mode on\n\n", lines(21));
    let found = |x, y| input_box(&tall, Cursor { x, y });
    assert!(matches!(found(9, 20), InputBox::Draft(text) if text.ends_with("line 21")));
    assert_eq!(found(2, 10), InputBox::Hidden, "too little is known");
    let first = tall.replacen("  line 1", "❯\u{a0}line 1", 1);
    assert!(matches!(input_box(&first, Cursor { x: 9, y: 20 }), InputBox::Draft(_)));
    let other = tall.replacen("  line 1", "● line 1", 1);
    assert_eq!(input_box(&other, Cursor { x: 9, y: 20 }), InputBox::Hidden);
    // Wherever the cursor is.
    let screens = Screens::default();
    let asks = |text: &str| screens.dialog(text).is_some_and(|dialog| dialog.kind.waits());
    for (name, text) in fixtures("screens").iter().filter(|(_, text)| asks(text)) {
        for y in 0..text.lines().count() {
            let found = input_box(text, Cursor { x: 2, y });
            assert_eq!(found, InputBox::Hidden, "{name} at {y}");
        }
    }
}

#[test]
fn titles_are_read_and_foreign_ones_are_not() {
    assert_eq!(title_is_busy("✳ task-7"), Some(false));
    for busy in ["⠂ task-7", "⠐ x", "◐ task-7", "◑ x"] {
        assert_eq!(title_is_busy(busy), Some(true), "{busy}");
    }
    for other in ["", "vm", "Gi=31,s=1,v=1", "✳", "✳x"] {
        assert_eq!(title_is_busy(other), None, "{other}");
    }
}

#[test]
fn patterns_can_be_overridden_one_by_one() {
    let patterns: Patterns = serde_json::from_value(serde_json::json!({
        "busy": "arbeitet",
        "start": {"trust": "Vertraust du diesem Ordner"},
    }))
    .expect("patterns");
    let screens = Screens::new(&patterns).expect("regular expressions");
    assert_eq!(
        screens.blocking_dialog("Vertraust du\n diesem Ordner?").map(|d| d.kind),
        Some(StartKind::Trust)
    );
    assert_eq!(
        screens.blocking_dialog(&screen("mcp-json-dialog-80x24")).map(|d| d.kind),
        Some(StartKind::Mcp)
    );
    let broken = Patterns { plan: "(".into(), ..Patterns::default() };
    assert_eq!(Screens::new(&broken).expect_err("broken").name, "plan");
}

proptest! {
    #[test]
    fn any_text_is_read(
        text in "[❯!\u{a0} ─1-3\\.Yesabc\n\u{1b}\\[2m]{0,200}",
        x in 0..90_usize,
        y in 0..60_usize,
    ) {
        let screens = Screens::default();
        let _ = screens.activity(&text);
        let _ = screens.blocking_dialog(&text);
        let _ = screens.dialog(&text);
        let _ = input_box(&text, Cursor { x, y });
    }
}
