use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use serde_json::json;

use super::{TranscriptItem, parse_line};
use crate::claude::hooks::{self, HookEvent};
use crate::claude::models;
use crate::domain::message::Direction;
use crate::domain::observation::Fact;
use crate::domain::permission::Verdict;
use crate::domain::prompt::digest;
use crate::domain::record::{Record, ToolCall, ToolStatus, Usage, Utterance};
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp(7);

fn text(name: &str) -> String {
    let path = format!("{}/tests/fixtures/claude/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect(name)
}

fn items(name: &str) -> Vec<TranscriptItem> {
    text(name).lines().filter_map(|l| parse_line(l.as_bytes(), NOW).expect("a line")).collect()
}

fn said(name: &str) -> Vec<Utterance> {
    let records = items(name).into_iter().flat_map(|item| item.records);
    records
        .filter_map(|record| if let Record::Said(said) = record { Some(said) } else { None })
        .collect()
}

fn by(direction: Direction, name: &str) -> Vec<String> {
    said(name).into_iter().filter(|s| s.direction == direction).map(|s| s.text).collect()
}

fn facts(name: &str) -> Vec<Fact> {
    items(name).into_iter().flat_map(|item| item.facts).collect()
}

/// The calls, as a store keeps them: what is known is kept, a denial too.
fn calls(name: &str) -> BTreeMap<String, ToolCall> {
    let mut all: BTreeMap<String, ToolCall> = BTreeMap::new();
    for record in items(name).into_iter().flat_map(|item| item.records) {
        let Record::Tool(call) = record else { continue };
        match all.entry(call.id.0.clone()) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(call);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                if known.status != ToolStatus::Denied && call.status != ToolStatus::Running {
                    known.status = call.status;
                }
                known.result = call.result.or(known.result.take());
            }
        }
    }
    all
}

fn line(value: serde_json::Value) -> Option<TranscriptItem> {
    parse_line(value.to_string().as_bytes(), NOW).expect("a line")
}

const ALL: [&str; 10] = [
    "transcript",
    "transcript.subagent",
    "transcript-queue-2.1.197",
    "transcript-queue-2.1.329",
    "transcript-queue-2.1.197.subagent",
    "transcript-queue-2.1.329.subagent",
    "transcript-plain-2.1.197",
    "transcript-plain-2.1.329",
    "transcript-permission-2.1.197",
    "transcript-permission-2.1.329",
];

#[test]
fn a_conversation_reads_as_it_was() {
    let user = by(Direction::User, "transcript");
    assert_eq!(user.len(), 11);
    assert_eq!(user[..2], ["please do scenario:hello now", "please do scenario:bash now"]);
    let assistant = by(Direction::Assistant, "transcript");
    assert_eq!(assistant[..2], ["Hello from the scripted model.", "I will run a command."]);
    let system = by(Direction::System, "transcript");
    assert!(system.iter().any(|s| s.starts_with("This session is being continued")), "{system:?}");
    assert!(system.contains(&"API Error: 400 scripted bad request".to_owned()), "{system:?}");
    assert!(!said("transcript").iter().any(|s| s.text.contains("<command-name>")));
    assert_eq!(facts("transcript").iter().filter(|f| **f == Fact::CommandRun).count(), 1);
}

#[test]
fn calls_begin_and_end() {
    let calls = calls("transcript");
    let bash = &calls["toolu_310e0373b878454f9a8a44a9"];
    assert_eq!((bash.tool.as_str(), bash.status), ("Bash", ToolStatus::Completed));
    assert_eq!(bash.result.as_deref(), Some("ran"));
    assert_eq!(bash.input.as_ref().expect("an input")["description"], "Create a marker file");
    assert_eq!(calls["toolu_5a615854c53847d592a0d6a9"].status, ToolStatus::Error);
    assert!(calls.values().all(|call| call.status != ToolStatus::Running && !call.tool.is_empty()));
}

#[test]
fn a_permission_request_finds_its_call() {
    let started: HashMap<String, String> = facts("transcript")
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::ToolStarted { tool, input_digest, .. } => Some((tool, input_digest)),
            _ => None,
        })
        .collect();
    for tool in ["Edit", "Write", "WebFetch"] {
        let path = format!(
            "{}/tests/fixtures/claude/hooks/PermissionRequest-{tool}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let body = std::fs::read(path).expect("a recording");
        let report = hooks::parse(HookEvent::PermissionRequest, &body, NOW).expect("a report");
        assert_eq!(report.permission.expect("a request").input_digest, started[tool], "{tool}");
    }
}

#[test]
fn decisions_and_refusals_are_told() {
    for version in ["2.1.197", "2.1.329"] {
        let name = format!("transcript-permission-{version}");
        let verdicts: Vec<Verdict> = facts(&name)
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::DecisionHonoured { verdict, .. } => Some(verdict),
                _ => None,
            })
            .collect();
        assert_eq!(verdicts, [Verdict::Allow, Verdict::Deny], "{version}");
        let all = calls(&name);
        let with = |status| all.values().filter(|call| call.status == status).count();
        assert_eq!(with(ToolStatus::Completed), 2, "{version}: allowed, and not asked for");
        assert_eq!(with(ToolStatus::Denied), 1, "{version}: by the hook, with a message");
        assert_eq!(with(ToolStatus::Interrupted), 1, "{version}: by the hook, and interrupted");
        assert!(all.values().any(|call| call.result.as_deref() == Some("no please")));
        assert_eq!(facts(&name).iter().filter(|f| **f == Fact::Interrupted).count(), 1);

        let name = format!("transcript-plain-{version}");
        assert_eq!(facts(&name).iter().filter(|f| **f == Fact::Interrupted).count(), 2);
        let denied = facts(&name)
            .into_iter()
            .filter(|f| matches!(f, Fact::ToolFinished { denied: true, .. }))
            .count();
        assert_eq!(denied, 2, "{version}: Escape, and 3");
    }
}

#[test]
fn every_prompt_comes_once_queued_ones_too() {
    for version in ["2.1.197", "2.1.329"] {
        let name = format!("transcript-queue-{version}");
        let paste: Vec<String> = (0..30).map(|i| format!("l{i}")).collect();
        let mut user = by(Direction::User, &name);
        user.sort();
        let mut expected = vec![
            "cli prompt one",
            "pasted\nprompt",
            "/tmp/x is a path",
            "scenario:slowb go",
            "queued A",
            "queued B",
            "scenario:slow go",
            "queued C",
            "queued D",
            "scenario:slowb go2",
            "queued E",
            "scenario:slowb go3",
            "queued F!echo hi",
            "after compact",
            "scenario:agent go",
            "scenario:err go",
        ];
        let paste = paste.join("\n");
        expected.push(&paste);
        expected.sort_unstable();
        assert_eq!(user, expected, "{version}");
        // What only entered the queue is confirmed, though it was never sent.
        let confirmed = facts(&name);
        for queued in ["queued A", "queued F"] {
            let fact = Fact::PromptSubmitted { digest: digest(queued), automatic: false };
            assert!(confirmed.contains(&fact), "{version}: {queued}");
        }
    }
    let notes = by(Direction::System, "transcript-queue-2.1.329");
    assert!(notes.iter().any(|s| s.starts_with("Agent \"")), "{notes:?}");
}

#[test]
fn keys_are_unique_and_the_same_on_every_reading() {
    for name in ALL {
        let keys: Vec<String> = said(name).into_iter().map(|s| s.key).collect();
        let again: Vec<String> = said(name).into_iter().map(|s| s.key).collect();
        assert_eq!(keys, again);
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "{name}");
    }
}

#[test]
fn usage_is_told_by_response() {
    let mut usage: BTreeMap<String, Usage> = BTreeMap::new();
    for record in items("transcript").into_iter().flat_map(|item| item.records) {
        if let Record::Usage(response) = record {
            assert_eq!(response.model, "claude-opus-4-8");
            assert!(response.request_id.is_some_and(|id| id.starts_with("req_")));
            usage.insert(response.message_id.expect("a message"), response.usage);
        }
    }
    let first = usage["msg_14e66ddcca984719b11ffe57"];
    assert_eq!((first.input_tokens, first.output_tokens), (22_729, 15));
    assert!(usage.len() < items("transcript").len());
}

#[test]
fn the_sum_at_the_end_is_that_of_the_responses() {
    for name in ["transcript-plain-2.1.329", "transcript-permission-2.1.329"] {
        let (mut told, mut sums) = (BTreeMap::new(), Vec::new());
        for record in items(name).into_iter().flat_map(|item| item.records) {
            match record {
                Record::Usage(r) => drop(told.insert(r.message_id.clone(), r)),
                Record::Total(total) => sums.push(total),
                _ => {}
            }
        }
        let [sum] = sums.as_slice() else { panic!("{sums:?}") };
        let input: i64 = told.values().map(|r| r.usage.input_tokens).sum();
        assert_eq!((sum.model.as_str(), sum.usage.input_tokens), ("claude-opus-5-5", input));
        let cost: i64 = told
            .values()
            .filter_map(|r| models::estimate(&BTreeMap::new(), r))
            .map(|usd| usd.0)
            .sum();
        assert_eq!(sum.cost.0, cost, "{name}");
    }
    let state = |usage: serde_json::Value| {
        let line = json!({"type": "cost-state", "sessionId": "s", "modelUsage": {"m": usage}});
        parse_line(line.to_string().as_bytes(), Timestamp(1)).expect("a line").is_some()
    };
    assert!(
        !state(json!({"inputTokens": -1})) && !state(json!(1)) && !state(json!({"costUSD": 1}))
    );
}

#[test]
fn a_sub_agents_file_names_its_agent() {
    for item in items("transcript.subagent") {
        assert_eq!(item.agent_id.as_deref(), Some("ae7c9db3b94c59bb8"));
        for record in item.records {
            match record {
                Record::Said(said) => assert!(said.agent_id.is_some()),
                Record::Tool(call) => assert!(call.agent_id.is_some()),
                Record::Usage(_) | Record::Total(_) => {}
            }
        }
    }
    assert_eq!(by(Direction::Assistant, "transcript.subagent"), ["Child report."]);
}

#[test]
fn what_claude_code_writes_in_the_users_name_is_no_prompt() {
    let user = |content: serde_json::Value| json!({"type": "user", "uuid": "u", "message": {"role": "user", "content": content}});
    for content in [
        json!("<local-command-stdout>x</local-command-stdout>"),
        json!("<system-reminder>x</system-reminder>"),
        json!([{"type": "text", "text": "<system-reminder>x</system-reminder>"}]),
        json!(" "),
        json!(null),
        json!(7),
    ] {
        assert_eq!(line(user(content.clone())), None, "{content}");
    }
    let mut meta = user(json!("[Your previous response had no visible output.]"));
    meta["isMeta"] = json!(true);
    assert_eq!(line(meta), None);
    let item = line(user(json!("[Request interrupted by user]"))).expect("an item");
    assert_eq!((item.facts, item.records), (vec![Fact::Interrupted], vec![]));
    let shell = line(user(json!("<bash-input>ls</bash-input>"))).expect("an item");
    assert!(matches!(&shell.records[..], [Record::Said(s)] if s.text == "!ls"));
    let out = line(user(json!("<bash-stdout>a\n</bash-stdout><bash-stderr>b</bash-stderr>")));
    assert!(matches!(&out.expect("an item").records[..],
        [Record::Said(s)] if s.text == "a\nb" && s.direction == Direction::System));
    let image = line(user(json!([{"type": "text", "text": "look"}, {"type": "image"}])));
    assert!(
        matches!(&image.expect("an item").records[..], [Record::Said(s)] if s.text == "look\n[image]")
    );
}

#[test]
fn a_prompt_that_quotes_a_note_is_still_one() {
    let item = line(json!({"type": "user", "uuid": "u",
        "message": {"content": "what does <system-reminder> mean?"}}));
    assert!(matches!(&item.expect("an item").records[..], [Record::Said(_)]));
    let item = line(json!({"type": "user", "uuid": "u", "promptSource": "typed",
        "message": {"content": "<command-name> is a tag; [Request interrupted by user]"}}));
    let item = item.expect("an item");
    assert!(item.facts.is_empty() && matches!(&item.records[..], [Record::Said(_)]));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = parse_line(&bytes, NOW);
    }

    #[test]
    fn a_mutated_recording_is_read_or_refused(
        name in prop::sample::select(ALL.to_vec()),
        pick in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let text = text(name);
        let lines: Vec<&str> = text.lines().collect();
        let mut line = lines[pick.index(lines.len())].as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(line.len());
            line[at] = byte;
        }
        let _ = parse_line(&line, NOW);
    }
}
