//! Rules: what they match, and above all what they do not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Call, Pattern, Place, Rule, RuleAction, deciding, normalised, proposals};
use crate::domain::ids::{ProjectId, SessionId};
use crate::domain::time::Timestamp;

fn rule(action: RuleAction, tool: &str, command: Option<&str>, path: Option<&str>) -> Rule {
    let (command, path) = (command.map(str::to_owned), path.map(str::to_owned));
    Rule::new(action, Pattern { tool: tool.into(), command, path }, "api", Timestamp(0))
}

fn with<R>(
    tool: &str,
    input: &Value,
    place: Option<&Place>,
    look: impl FnOnce(&Call<'_>) -> R,
) -> R {
    let session = SessionId(uuid::Uuid::nil());
    look(&Call { tool, input, session, project: None, place })
}

fn bash(action: RuleAction, pattern: &str, command: &str) -> bool {
    let rule = rule(action, "Bash", Some(pattern), None);
    with("Bash", &json!({ "command": command }), None, |call| rule.matches(call))
}

fn allows(pattern: &str, command: &str) -> bool {
    bash(RuleAction::Allow, pattern, command)
}

fn denies(pattern: &str, command: &str) -> bool {
    bash(RuleAction::Deny, pattern, command)
}

#[test]
fn an_allowance_covers_one_simple_command_and_no_other() {
    for good in ["git status", "git", "git log --oneline -3", "  git diff 'a b' \"c\"  "] {
        assert!(allows("git *", good), "{good}");
    }
    for bad in [
        "git status; rm -rf /",
        "git status && rm -rf /",
        "git status & rm x",
        "git status | sh",
        "git status\nrm -rf /",
        "git status\r\nrm -rf /",
        "git log $(rm -rf /)",
        "git log `rm -rf /`",
        "git log ${x:=$y}",
        "git log > ~/.bashrc",
        "git log < /etc/passwd",
        "git log <(rm x)",
        "(git status)",
        "gitx status",
        "ls",
        "",
    ] {
        assert!(!allows("git *", bad), "{bad}");
    }
    // What the pattern says itself it may.
    assert!(allows("cd * && make *", "cd sub && make all"));
    assert!(!allows("cd * && make *", "cd sub && make all && rm x"));
    assert!(!allows("echo $*", "echo $(rm x)") && !allows("echo *(x)", "echo $(x)"));
    assert!(allows(r"ls \*.rs", "ls *.rs") && !allows(r"ls \*.rs", "ls a.rs"));
    assert!(allows("npm test", "npm test") && !allows("npm test", "npm test x"));
}

#[test]
fn a_denial_finds_its_command_wherever_it_hides() {
    for bad in [
        "rm -rf /",
        "rm   -rf\t/",
        "ls; rm -rf /",
        "ls && rm -rf / || true",
        "ls | xargs rm -rf /",
        "(rm -rf /)",
        "echo $(rm -rf /)",
        "echo `rm -rf /`",
        "{ rm -rf /; }",
        "if true; then rm -rf /; fi",
        "X=1 Y=2 rm -rf /",
        "sudo -u root rm -rf /",
        "/bin/rm -rf /",
        r"\rm -rf /",
        "'rm' -rf /",
        "\"rm\" -rf /",
        "r\\\nm -rf /",
        "bash -c 'rm -rf /'",
        "find . -exec rm -rf / +",
        "ls\nrm -rf /",
        "env -i rm -rf /",
    ] {
        assert!(denies("rm -rf *", bad), "{bad}");
    }
    for good in ["ls", "echo rm", "rm x", "git rm -rf x", "charm -rf /"] {
        assert!(!denies("rm -rf *", good), "{good}");
    }
    assert!(denies("curl * | sh", "cd x && curl y | sh -x") && !denies("curl * | sh", "curl y"));
    assert!(denies("rm *", &format!("rm {}", "x ".repeat(200_000))));
    assert!(!allows("ls *", &format!("ls {}", "x ".repeat(200_000))), "too long to be sure");
    assert!(bash(RuleAction::Ask, "git push *", "make && git push origin main"));
}

#[test]
fn a_tool_is_matched_by_its_name() {
    let any = |tool: &str| rule(RuleAction::Allow, tool, None, None);
    let matches = |rule: &Rule, tool: &str| with(tool, &json!({}), None, |call| rule.matches(call));
    assert!(matches(&any("mcp__demo__*"), "mcp__demo__echo"));
    assert!(!matches(&any("mcp__demo__*"), "mcp__other__echo"));
    assert!(!matches(&any("Bash"), "BashOutput"));
    // A server may call its tool what it likes.
    let sly = Pattern::exactly("mcp__sly__*", &json!({})).expect("a pattern");
    let sly = Rule { pattern: sly, ..any("x") };
    assert!(matches(&sly, "mcp__sly__*") && !matches(&sly, "mcp__sly__other"));
    // A pattern of something that the tool does not have matches nothing.
    assert!(!matches(&rule(RuleAction::Deny, "*", Some("*"), None), "mcp__demo__echo"));
    let fetch = rule(RuleAction::Allow, "WebFetch", Some("https://example.com/*"), None);
    with("WebFetch", &json!({"url": "https://example.com/a?b=1&c=2"}), None, |call| {
        assert!(fetch.matches(call));
    });
}

#[test]
fn plans_and_questions_are_never_allowed_by_a_rule() {
    for tool in ["ExitPlanMode", "AskUserQuestion"] {
        let matches = |action| {
            with(tool, &json!({}), None, |call| rule(action, "*", None, None).matches(call))
        };
        assert!(!matches(RuleAction::Allow), "{tool}");
        assert!(matches(RuleAction::Deny) && matches(RuleAction::Ask), "{tool}");
        assert_eq!(proposals(tool, &json!({}), None), []);
        assert_eq!(Pattern::exactly(tool, &json!({})), None);
    }
}

fn writes(action: RuleAction, pattern: &str, given: &str, real: Option<&str>) -> bool {
    let place =
        Place { root: "/home/me/p".into(), given: given.into(), real: real.map(str::to_owned) };
    let rule = rule(action, "Write", None, Some(pattern));
    with("Write", &json!({ "file_path": given }), Some(&place), |call| rule.matches(call))
}

#[test]
fn an_allowed_path_is_allowed_as_written_and_in_truth() {
    use RuleAction::{Allow, Deny};
    let same = |action, pattern: &str, path: &str| writes(action, pattern, path, Some(path));
    assert!(same(Allow, "src/**", "/home/me/p/src/a/b.rs"));
    assert!(same(Allow, "src/*.rs", "/home/me/p/src/b.rs"));
    assert!(
        same(Allow, "**/*.md", "/home/me/p/a/b/c.md") && same(Allow, "**/*.md", "/home/me/p/c.md")
    );
    assert!(same(Allow, "/tmp/**", "/tmp/x/y"));
    assert!(!same(Allow, "src/*", "/home/me/p/src/a/b.rs"));
    assert!(!same(Allow, "src/**", "/home/me/p2/src/b.rs"));
    assert!(!same(Allow, "src/**", "/home/me/p/srcx/b.rs"));
    // A link that leads out.
    assert!(!writes(Allow, "src/**", "/home/me/p/src/link/b", Some("/etc/b")));
    assert!(!writes(Allow, "src/**", "/home/me/p/src/b", None));
    assert!(writes(Deny, "/etc/**", "/home/me/p/src/link/b", Some("/etc/b")));
    assert!(writes(Deny, "src/**", "/home/me/p/src/link/b", Some("/etc/b")));
    assert!(writes(Deny, "src/**", "/home/me/p/src/b", None));
    // A path is no text: `..` would lead out of the pattern.
    let text = rule(Allow, "Write", Some("/home/me/p/*"), None);
    with("Write", &json!({ "file_path": "/home/me/p/../x" }), None, |call| {
        assert!(!text.matches(call))
    });
}

#[test]
fn denying_goes_before_asking_and_that_before_allowing_and_the_oldest_decides() {
    let call = json!({ "command": "git push" });
    let mut rules = vec![
        rule(RuleAction::Allow, "Bash", None, None),
        rule(RuleAction::Allow, "Bash", Some("git *"), None),
        rule(RuleAction::Ask, "Bash", Some("git push *"), None),
        rule(RuleAction::Deny, "Bash", Some("git push --force *"), None),
    ];
    for (i, rule) in rules.iter_mut().enumerate() {
        rule.created_at = Timestamp(10 - i as i64);
    }
    let decided = |rules: &[Rule], command: &str| {
        with("Bash", &json!({ "command": command }), None, |call| {
            deciding(rules, call).map(|r| r.id)
        })
    };
    assert_eq!(decided(&rules, "git push --force x"), Some(rules[3].id));
    assert_eq!(decided(&rules, "git push"), Some(rules[2].id));
    assert_eq!(decided(&rules, "git log"), Some(rules[1].id), "the older");
    assert_eq!(decided(&rules, "ls"), Some(rules[0].id));
    assert_eq!(decided(&rules[1..], "ls"), None);
    // Another session's or project's rule is not asked.
    rules[0].session_id = Some(SessionId::new());
    rules[1].project_id = Some(ProjectId::new());
    with("Bash", &call, None, |call| assert_eq!(deciding(&rules[..2], call), None));
}

#[test]
fn proposals_go_from_the_very_call_to_the_tool() {
    let words = |tool: &str, input: Value| -> Vec<String> {
        let place = Place { root: "/p".into(), given: "/p/src/a.rs".into(), real: None };
        proposals(tool, &input, Some(&place)).iter().map(Pattern::words).collect()
    };
    assert_eq!(
        words("Bash", json!({"command": "npm run build -- --fast"})),
        [
            "Bash with exactly: npm run build -- --fast",
            "Bash with anything like: npm run build *",
            "Bash with any input"
        ]
    );
    for command in [
        "rm -rf build",
        "git log; rm x",
        "git -c a=b log",
        "sudo ls",
        "python x.py",
        "npm exec x",
        "echo $(x)",
    ] {
        assert_eq!(words("Bash", json!({ "command": command })).len(), 2, "{command}");
    }
    assert_eq!(
        words("Write", json!({"file_path": "/p/src/a.rs"})),
        [
            "Write with exactly the file: /p/src/a.rs",
            "Write with files like: src/**",
            "Write with any input"
        ]
    );
    assert_eq!(words("mcp__demo__echo", json!({"text": "hi"})), ["mcp__demo__echo with any input"]);
}

#[test]
fn unusable_patterns_are_named() {
    let check = |tool: &str, command: Option<&str>, path: Option<&str>| {
        rule(RuleAction::Allow, tool, command, path).pattern.check().map_err(|(field, _)| field)
    };
    assert_eq!(check("Bash", Some("git *"), None), Ok(()));
    assert_eq!(check("", None, None), Err("tool"));
    assert_eq!(check("Bash(git:*)", None, None), Err("tool"));
    assert_eq!(check("Bash", Some(""), None), Err("command"));
    assert_eq!(check("Bash", Some(&"*".repeat(17)), None), Err("command"));
    assert_eq!(check("Write", None, Some("src/../x")), Err("path"));
    assert_eq!(check("Write", None, Some("~/x")), Err("path"));
}

/// A slow matcher that is right by its looks.
fn slow(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len())
            .take_while(|n| text[..*n].iter().all(|c| !";&|<>()`\n\r\0".contains(*c)))
            .any(|n| slow(rest, &text[n..])),
        [c, rest @ ..] => text.first() == Some(c) && slow(rest, &text[1..]),
    }
}

proptest! {
    /// The law: whatever is allowed has no control character but those of the pattern.
    #[test]
    fn nothing_is_smuggled_past_a_star(
        command in "[a-c ;&|<>()`\n$*]{0,24}",
        pattern in "[a-c ;*]{1,8}",
    ) {
        let control = |text: &str| text.chars().filter(|c| ";&|<>()`\n\r".contains(*c)).count();
        if allows(&pattern, &command) {
            prop_assert_eq!(control(command.trim()), control(&pattern), "{:?} {:?}", pattern, command);
        }
    }

    #[test]
    fn the_quick_matcher_agrees_with_the_slow_one(
        command in "[ab;]{0,10}",
        pattern in "[ab;*]{1,6}",
    ) {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(allows(&pattern, &command), slow(&chars(&pattern), &chars(&command)), "{:?} {:?}", pattern, command);
    }

    /// A pattern made of a call covers that call, and no other.
    #[test]
    fn exactly_is_exact(command in ".{0,20}", other in ".{0,20}") {
        let pattern = Pattern::exactly("Bash", &json!({ "command": command })).expect("a pattern");
        let pattern = pattern.command.expect("a command");
        prop_assert!(allows(&pattern, &command));
        if other.trim() != command.trim() {
            prop_assert!(!allows(&pattern, &other), "{:?} {:?}", pattern, other);
        }
    }

    /// Whatever is denied as it stands is denied behind anything else as well.
    #[test]
    fn a_denial_is_not_shaken_off(before in "[a-z ]{0,10}", glue in "(;|&&|\\|\\||\\||\n|\\()") {
        let hidden = format!("{before}{glue} rm -rf /");
        prop_assert!(denies("rm *", &hidden), "{:?}", hidden);
    }

    #[test]
    fn nothing_that_is_matched_takes_long_or_panics(
        pattern in "[ -~]{1,60}", command in ".{0,200}",
    ) {
        allows(&pattern, &command);
        denies(&pattern, &command);
        writes(RuleAction::Allow, &pattern, &command, Some(&command));
    }

    #[test]
    fn a_normalised_path_has_no_way_up(path in "(/|a|\\.|\\.\\.|b){0,12}") {
        let path = normalised(&format!("/{path}"));
        prop_assert!(path.starts_with('/') && !path.contains("//"));
        prop_assert!(path.split('/').all(|part| part != ".." && part != "."));
    }
}
