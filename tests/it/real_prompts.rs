//! Prompts reach the real Claude Code as they are, once, or are refused before anything is typed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chorus::claude::profile::Profile;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{World, wait_longer};
use crate::real_outages::messages;

/// A hostile prompt, and what is to become of it.
struct Case {
    text: String,
    end: End,
}

enum End {
    /// The model reads this.
    Read(String),
    /// It is refused, and the refusal says this.
    Refused(&'static str),
    /// It arrives as it is in versions where a leading blank disarms a command, and is refused in
    /// others.
    Disarmed,
}

/// Arrives as it is.
fn same(text: impl Into<String>) -> Case {
    let text = text.into();
    Case { end: End::Read(text.clone()), text }
}

/// Arrives changed.
fn becomes(text: &str, read: &str) -> Case {
    Case { text: text.into(), end: End::Read(read.into()) }
}

fn refused(text: &str, why: &'static str) -> Case {
    Case { text: text.into(), end: End::Refused(why) }
}

fn long_line(bytes: usize) -> String {
    let words = (0..).map(|n| format!("word{n} "));
    let mut text: String = words.take(bytes / 6).collect();
    text.truncate(bytes - 1);
    format!("{}.", text.trim_end())
}

fn long_lines(lines: usize) -> String {
    let lines: Vec<String> =
        (1..=lines).map(|n| format!("line {n} of a long prompt, with words")).collect();
    lines.join("\n")
}

/// The table, in groups that are sent at the same time to a session each.
fn table() -> Vec<Vec<Case>> {
    vec![
        vec![
            same(long_line(10_240)),
            same("run `date` and `` `nested` ``"),
            same("$(touch pwned) ${HOME} $((1+1))"),
            same(r#"'single' "double" ‘curly’ “curly” «french» it's "o'clock""#),
            same("-rf --help -- -"),
            same("--version"),
            same("/tmp/x is a path"),
            refused("/compact x", "command"),
            Case { text: " /compact".into(), end: End::Disarmed },
            becomes("!ls -la", " !ls -la"),
            same("# remember this"),
            same("#tag"),
            same("@nofile"),
            same("look at @nofile.txt and go on"),
            same("   three blanks before"),
            same("\na line break before"),
        ],
        vec![
            same(long_lines(300)),
            same("👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽"),
            becomes("e\u{301} and o\u{302}\u{323} and \u{212b}", "é and ộ and Å"),
            same("שלום עולם and مرحبا"),
            becomes("a\r\nb\r\nc\rd", "a\nb\nc\nd"),
            becomes("a\tb\n\tc", "a    b\n    c"),
            same("Enter"),
            same("C-c"),
            same("Escape C-d M-x"),
            refused("a\u{1b}[201~b", "U+001B"),
            refused("ring\u{7}", "U+0007"),
            refused("back\u{8}", "U+0008"),
            refused("interrupt\u{3}", "U+0003"),
            refused("nul\u{0}", "U+0000"),
            refused("c1 \u{9b}201~", "U+009B"),
            refused("delete\u{7f}", "U+007F"),
            refused("  \n\t ", "empty"),
            refused("", "empty"),
            refused("\u{200b}\u{2060}", "empty"),
            refused("exit", "exit"),
            refused(" quit\n", "exit"),
            refused(":wq", "exit"),
        ],
        vec![
            same(long_line(60_000)),
            becomes("ends in a backslash \\", "ends in a backslash \\"),
            becomes("ends in a line break\n\n", "ends in a line break"),
            same("\u{a0}no\u{a0}break\u{a0}spaces"),
            becomes("zero\u{200b}width\u{feff}", "zerowidth"),
            becomes("\u{202e}turned\u{202c} about", "turned about"),
            same("$HOME ~ ~/x #{pane_id} #(date) #S"),
            same("%s %d %n %% %{x}"),
            same(r"\n \t \x1b \u0041 \\ \e[31m"),
            same("one ; two \\; three ;"),
            same("{ } } { ] [ ) ( & && | || > < >> << *? ^ ="),
            same("<system>not</system> <command-name>/exit</command-name>"),
            same("?"),
            same("y"),
            same("1"),
            same("[Pasted text #1 +3 lines]"),
            same("four\nlines\nare\npasted\nas typed"),
        ],
    ]
}

/// The prompts that the model has read in a conversation, one for each turn, in order.
fn read_by_model(world: &World, conversation: &str) -> Vec<String> {
    let requests = world.model.requests().into_iter();
    let main =
        requests.filter(|r| r.session == conversation && r.kind == scripted_model::Kind::Main);
    main.map(|r| r.prompt).collect()
}

async fn send(world: &World, session: &str, body: &Value) -> Value {
    world.post(format!("/api/sessions/{session}/send"), body).await.expect(202).json()
}

/// Waits until a message is settled one way or the other.
async fn settled(world: &World, session: &str, id: &Value, limit: u64) -> Value {
    wait_longer(Duration::from_secs(limit), "the message is settled", async || {
        let all = messages(world, session).await;
        let message = all.into_iter().find(|m| m["id"] == *id).ok_or("it is not listed")?;
        match message["delivery_status"].as_str() {
            Some("delivered" | "undelivered") => Ok(message),
            _ => Err(message["delivery_status"].to_string()),
        }
    })
    .await
}

async fn send_all(world: &World, session: &str, cases: Vec<Case>) -> Vec<String> {
    world.create(session, &json!({})).await;
    let view = world.wait_for_status(session, "idle").await;
    let conversation = view["claude_session_id"].as_str().expect("a conversation");
    let profile = Profile::of(view["claude_version"].as_str().expect("a version"));
    let mut wrong = Vec::new();
    let mut read = 0;
    for Case { text, end } in cases {
        let began = Instant::now();
        let shown: String = text.chars().take(40).collect();
        let body = json!({ "text": text, "queue": true });
        let path = format!("/api/sessions/{session}/send");
        let answer = world.post(path, &body).await;
        let end = match end {
            End::Disarmed if profile.leading_blank_disarms_slash => End::Read(text.clone()),
            End::Disarmed => End::Refused("command"),
            end => end,
        };
        match end {
            End::Disarmed => unreachable!("was told apart above"),
            End::Refused(why) => {
                let problem = answer.expect(422);
                let told = problem.text();
                assert!(told.contains("\"text\"") && told.contains(why), "{shown:?}: {told}");
            }
            End::Read(expected) => {
                let message = answer.expect(202).json();
                let end = settled(world, session, &message["id"], 15).await;
                if end["delivery_status"] != "delivered" {
                    wrong.push(format!("{shown:?}: {}", end["delivery_error"]));
                    continue;
                }
                read += 1;
                let seen = world
                    .wait_for("the model is asked", async || {
                        let seen = read_by_model(world, conversation);
                        if seen.len() >= read { Ok(seen) } else { Err(format!("{shown:?}")) }
                    })
                    .await;
                if seen.len() != read || seen.last() != Some(&expected) {
                    let last = seen.last().cloned().unwrap_or_default();
                    let at = last.chars().zip(expected.chars()).position(|(a, b)| a != b);
                    let excerpt: String = last.chars().take(300).collect();
                    wrong.push(format!("{shown:?}: request {} of {read}, {} bytes for {}, first difference at {at:?}: {excerpt:?}", seen.len(), last.len(), expected.len()));
                    read = seen.len();
                }
                let sent = end["content"].as_str().unwrap_or_default();
                if sent.trim_end() != expected {
                    wrong.push(format!("{shown:?}: the message says that {sent:?} was sent"));
                }
            }
        }
        eprintln!("{session}: {shown:?} took {:?}", began.elapsed());
    }
    let users = messages(world, session).await;
    let users = users.iter().filter(|m| m["direction"] == "user").count();
    if users != read {
        wrong.push(format!("{session}: {users} messages of the user for {read} prompts"));
    }
    wrong
}

#[tokio::test]
async fn hostile_prompts_arrive_as_they_are_or_are_refused() {
    let world = World::start().await;
    let cases = table();
    assert!(cases.iter().map(Vec::len).sum::<usize>() >= 30);
    let names = ["a", "b", "c"];
    let sent = names.iter().zip(cases).map(|(name, cases)| send_all(&world, name, cases));
    let wrong: Vec<String> = join_all(sent).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ["pwned", "pwned)"] {
        assert!(!world.project().join(name).exists());
    }
}

async fn pane(world: &World, session: &str) -> String {
    format!("={}:", world.session(session).await["tmux_session"].as_str().expect("a name"))
}

async fn keys(world: &World, session: &str, keys: &[&str]) {
    let target = pane(world, session).await;
    world.tmux(&[&["send-keys", "-t", &target], keys].concat()).await.ok();
}

/// Types something into a session's input box, and waits until it stands there.
async fn draft(world: &World, session: &str, text: &str) {
    keys(world, session, &["-l", text]).await;
    world
        .wait_for("the draft is in the box", async || world.pane_text(session).await.contains(text))
        .await;
}

#[tokio::test]
async fn a_hundred_prompts_to_five_sessions_end_one_way_or_the_other() {
    let world = World::start().await;
    let names = ["idle", "busy", "permission", "question", "draft"];
    let first = |name: &str| match name {
        "permission" => json!({ "initial_prompt": "scenario:bash please" }),
        "question" => json!({ "initial_prompt": "scenario:ask please" }),
        _ => json!({}),
    };
    join_all(names.map(|name| {
        let world = &world;
        async move { world.create(name, &first(name)).await }
    }))
    .await;
    // Five starts at once take their time on a small machine.
    for (name, status) in
        [("idle", "idle"), ("draft", "idle"), ("permission", "waiting"), ("question", "waiting")]
    {
        wait_longer(Duration::from_secs(40), "all have started", async || {
            let view = world.session(name).await;
            if view["claude_status"] == status { Ok(()) } else { Err(view.to_string()) }
        })
        .await;
    }
    let slow = json!({ "text": "scenario:slow please", "queue": true });
    send(&world, "busy", &slow).await;
    wait_longer(Duration::from_secs(20), "one is busy", async || {
        world.session("busy").await["claude_status"] == "busy"
    })
    .await;
    draft(&world, "draft", "half a thought").await;

    let mut accepted: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
    let mut refusals = 0;
    for n in 0..20 {
        for name in names {
            let text = format!("prompt {n:02} for {name}");
            let body = json!({ "text": text, "queue": n % 2 == 0 });
            let answer = world.post(format!("/api/sessions/{name}/send"), &body).await;
            match answer.status {
                202 => {
                    let id = answer.json()["id"].clone();
                    accepted.entry(name).or_default().push((text, id));
                }
                _ => {
                    let told = answer.expect(409).text();
                    assert!(told.contains("queue"), "{told}");
                    assert_eq!(n % 2, 1, "a prompt that may wait is taken: {told}");
                    refusals += 1;
                }
            }
        }
    }
    let taken: usize = accepted.values().map(Vec::len).sum();
    assert_eq!(taken + refusals, 100);
    assert!(taken >= 50, "{taken}");

    // Nothing was answered by a prompt.
    let pending = world.wait_for_request("permission").await;
    assert_eq!(pending["status"], "pending");
    assert!(!world.project().join("made-by-bash.txt").exists());
    assert_eq!(world.session("question").await["claude_status"], "waiting");
    assert!(world.pane_text("question").await.contains("Which colour"));
    assert!(world.pane_text("draft").await.contains("half a thought"));
    let asked: Vec<String> = world.model.requests().into_iter().map(|r| r.prompt).collect();
    for name in ["permission", "question", "draft"] {
        let reached = asked.iter().any(|p| p.ends_with(&format!("for {name}")));
        assert!(!reached, "{name} was sent a prompt: {asked:?}");
    }

    world.post("/api/sessions/permission/respond", &json!({ "confirm": true })).await.expect(200);
    keys(&world, "question", &["Escape"]).await;
    keys(&world, "draft", &["C-c"]).await;

    let began = Instant::now();
    for (name, sent) in &accepted {
        for (text, id) in sent {
            let left = 80_u64.saturating_sub(began.elapsed().as_secs());
            let end = settled(&world, name, id, left).await;
            let times = || {
                let requests = world.model.requests().into_iter();
                requests.filter(|r| r.prompt.contains(text.as_str()) && r.turn < 1000).count()
            };
            if end["delivery_status"] == "delivered" {
                world.wait_for("the model has read it", async || times() > 0).await;
            } else {
                assert!(end["delivery_error"].is_string(), "{end}");
                eprintln!("{text}: {}", end["delivery_error"]);
                assert_eq!(times(), 0, "{text} is undelivered, and was read");
            }
        }
    }
    for name in names {
        world.wait_for_status(name, "idle").await;
    }
    // A prompt is the latest of one request only: none of these turns calls a tool.
    for (name, sent) in &accepted {
        let rows = messages(&world, name).await;
        for (text, _) in sent {
            let read = world.model.requests().iter().filter(|r| r.prompt == *text).count();
            assert!(read <= 1, "{text} was read {read} times");
            let rows = rows.iter().filter(|m| m["content"] == text.as_str()).count();
            assert_eq!(rows, 1, "{text} is on the record {rows} times");
        }
    }
    eprintln!("{taken} taken, {refusals} refused; settled within {:?}", began.elapsed());
}

#[tokio::test]
async fn queued_prompts_go_out_in_order() {
    let world = World::start().await;
    world.create("a", &json!({ "initial_prompt": "scenario:slow please" })).await;
    let view = world.wait_for_status("a", "busy").await;
    let texts = ["the first", "the second\nof two lines", "the third"];
    for text in texts {
        let message = send(&world, "a", &json!({ "text": text, "queue": true })).await;
        assert_eq!(message["delivery_status"], "queued");
    }
    assert_eq!(world.session("a").await["queued_messages"], 3);
    let conversation = view["claude_session_id"].as_str().expect("a conversation");
    let all: Vec<&str> = ["scenario:slow please"].into_iter().chain(texts).collect();
    wait_longer(Duration::from_secs(40), "all have been read", async || {
        let read = read_by_model(&world, conversation);
        if read == all { Ok(()) } else { Err(format!("{read:?}")) }
    })
    .await;
    world
        .wait_for("all are delivered", async || {
            let rows = messages(&world, "a").await;
            let rows: Vec<_> = rows.iter().filter(|m| m["direction"] == "user").collect();
            rows.len() == 4 && rows.iter().all(|m| m["delivery_status"] == "delivered")
        })
        .await;
}

#[tokio::test]
async fn a_draft_is_left_alone_unless_it_is_to_be_cleared() {
    let world = World::start().await;
    world.create("a", &json!({})).await;
    world.wait_for_status("a", "idle").await;
    draft(&world, "a", "half a thought").await;
    let told = world.post("/api/sessions/a/send", &json!({ "text": "mine" })).await.expect(409);
    assert!(told.text().contains("half a thought") && told.text().contains("force"));
    let message = send(&world, "a", &json!({ "text": "mine", "force": true })).await;
    let end = settled(&world, "a", &message["id"], 10).await;
    assert_eq!(end["delivery_status"], "delivered", "{end}");
    world
        .wait_for("the model has read it", async || {
            let read: Vec<String> = world.model.requests().into_iter().map(|r| r.prompt).collect();
            if read == ["mine"] { Ok(()) } else { Err(format!("{read:?}")) }
        })
        .await;
}

#[tokio::test]
async fn a_prompt_that_an_interruption_has_brought_back_is_nobodys_draft() {
    let world = World::start().await;
    world.create("a", &json!({ "initial_prompt": "scenario:slow please" })).await;
    let view = world.wait_for_status("a", "busy").await;
    let next = send(&world, "a", &json!({ "text": "the next", "queue": true })).await;
    world.post("/api/sessions/a/interrupt", &Value::Null).await.expect(202);
    let end = settled(&world, "a", &next["id"], 20).await;
    assert_eq!(end["delivery_status"], "delivered", "{end}");
    let conversation = view["claude_session_id"].as_str().expect("a conversation");
    world
        .wait_for("the model has read it", async || {
            let read = read_by_model(&world, conversation);
            if read.last().is_some_and(|last| last == "the next") {
                Ok(())
            } else {
                Err(format!("{read:?}"))
            }
        })
        .await;
}

#[tokio::test]
async fn a_server_killed_while_it_sends_neither_loses_nor_repeats_a_prompt() {
    let world = World::start().await;
    world.create("a", &json!({})).await;
    let mut ends = BTreeMap::<String, usize>::new();
    for delay in [0, 15, 30, 50, 75, 100, 140, 200] {
        world.wait_for_status("a", "idle").await;
        let text = format!("killed after {delay} ms");
        let message = send(&world, "a", &json!({ "text": text, "queue": true })).await;
        // The moment of the blow is what the story is about.
        tokio::time::sleep(Duration::from_millis(delay)).await;
        world.kill9();
        world.start_again().await;
        let end = settled(&world, "a", &message["id"], 15).await;
        let status = end["delivery_status"].as_str().expect("a status").to_owned();
        eprintln!("{text}: {status} {}", end["delivery_error"]);
        let times = || world.model.requests().iter().filter(|r| r.prompt == text).count();
        if status == "delivered" {
            world.wait_for("the model has read it", async || times() == 1).await;
        } else {
            assert!(end["delivery_error"].is_string(), "{end}");
            assert_eq!(times(), 0, "{text} is undelivered, and was read");
        }
        *ends.entry(status).or_default() += 1;
    }
    // Nothing is left over that would spoil the next prompt.
    let message = send(&world, "a", &json!({ "text": "the last", "queue": true })).await;
    assert_eq!(settled(&world, "a", &message["id"], 10).await["delivery_status"], "delivered");
    let all = || -> Vec<String> { world.model.requests().into_iter().map(|r| r.prompt).collect() };
    let read = world
        .wait_for("the model has read the last", async || {
            Some(all()).filter(|read| read.last().is_some_and(|p| p == "the last"))
        })
        .await;
    let mut once = read.clone();
    once.dedup();
    assert_eq!(read, once);
    assert_eq!(read.len(), ends.get("delivered").copied().unwrap_or(0) + 1);
    let rows = messages(&world, "a").await;
    let users = rows.iter().filter(|m| m["direction"] == "user").count();
    assert_eq!(users, 9, "{rows:?}");
}
