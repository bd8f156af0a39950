//! The queue: never more than there is room for, by priority and dependencies, through any death of the
//! server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::harness::{Via, World, processes, wait_longer};
use crate::tasks::{make, task};
use crate::tasks_follow::{begin, take_up, take_up_with, wait_until};

async fn world_of(most: u32) -> World {
    World::build().stand_in().env("CHORUS_MAX_SESSIONS", most.to_string()).start().await
}

async fn start(world: &World, id: i64) -> Value {
    world.post(format!("/api/tasks/{id}/start"), &json!({})).await.json()
}

#[tokio::test]
async fn what_has_no_room_or_depends_on_something_waits_and_says_for_what() {
    let world = world_of(1).await;
    let first = make(&world, "first", &json!({})).await;
    let agent = begin(&world, first).await;
    let low = make(&world, "low", &json!({ "priority": -1 })).await;
    let high = make(&world, "high", &json!({ "priority": 1 })).await;
    let after = make(&world, "after", &json!({ "depends_on": [low], "priority": 9 })).await;
    for id in [low, high, after] {
        let queued =
            world.post(format!("/api/tasks/{id}/start"), &json!({})).await.expect(202).json();
        assert_eq!((&queued["queued"], &queued["status"]), (&json!(true), &json!("pending")));
    }
    assert_eq!(task(&world, low).await["waits_for"], "a place: 1 of 1 sessions run");
    assert_eq!(task(&world, after).await["waits_for"], format!("task {low} (pending)"));
    let said = world.cli(&["task", "start", &after.to_string()]).await.ok().stdout;
    assert!(said.contains("is queued") && said.contains(&format!("task {low}")), "{said}");
    // A session of a person's counts, and is not held up.
    world.begin("mine").await;
    world.post(format!("/api/tasks/{first}/complete"), &json!({})).await.expect(200);
    world.wait_for_status(&agent.session, "stopped").await;
    assert_eq!(task(&world, high).await["status"], "pending");
    world.delete("/api/sessions/mine").await.expect(204);
    wait_until(&world, high, "assigned").await;
    assert_eq!(task(&world, low).await["status"], "pending");
    let session = task(&world, high).await["session_id"].as_str().expect("a session").to_owned();
    take_up(&world, &session).await;
    world.post(format!("/api/tasks/{high}/fail"), &json!({})).await.expect(200);
    let started = wait_until(&world, low, "assigned").await;
    take_up(&world, started["session_id"].as_str().expect("a session")).await;
    // What depends on a failed task waits for a person to see to that.
    world.post(format!("/api/tasks/{low}/fail"), &json!({})).await.expect(200);
    world
        .wait_for("the failure is named", async || {
            task(&world, after).await["waits_for"] == format!("task {low} (failed)")
        })
        .await;
    world.post(format!("/api/tasks/{low}/retry"), &Value::Null).await.expect(200);
    assert_eq!(start(&world, low).await["status"], "assigned");
    let session = task(&world, low).await["session_id"].as_str().expect("a session").to_owned();
    take_up(&world, &session).await;
    world.post(format!("/api/tasks/{low}/complete"), &json!({})).await.expect(200);
    wait_until(&world, after, "assigned").await;
}

#[tokio::test]
async fn run_waits_in_the_queue_for_what_it_is_to_follow() {
    let world = world_of(0).await;
    let first = make(&world, "first", &json!({})).await;
    let run =
        ["run", "then this", "--after", &first.to_string(), "--priority", "3", "--label", "x"];
    let ran = world.cli(&[&run[..], &["--json"]].concat()).await.ok().json();
    assert_eq!((&ran["queued"], &ran["task_id"]), (&json!(true), &json!(first + 1)));
    let second = task(&world, first + 1).await;
    assert_eq!(
        (&second["title"], &second["priority"], &second["labels"]),
        (&json!("then this"), &json!(3), &json!(["x"]))
    );
    begin(&world, first).await;
    world.post(format!("/api/tasks/{first}/complete"), &json!({})).await.expect(200);
    let started = wait_until(&world, first + 1, "assigned").await;
    // Claude gets what was typed and nothing else.
    assert_eq!(started["history"][0]["prompt"], "then this");
    let session = world.session("then-this").await;
    assert_eq!(session["task_id"], json!(first + 1));
    let plain = world.cli(&["run", "at once", "--json"]).await.ok().json();
    assert_eq!((&plain["name"], &plain["task_id"]), (&json!("at-once"), &json!(first + 2)));
}

#[tokio::test]
async fn a_usage_limit_holds_the_queue_of_its_account_and_no_other() {
    let world = world_of(9).await;
    let first = make(&world, "first", &json!({})).await;
    let agent = begin(&world, first).await;
    let limit = json!({ "error": "rate_limit", "last_assistant_message": "You've hit your limit" });
    world.post_hook(&agent, "StopFailure", &limit).await.expect(204);
    let held = make(&world, "held", &json!({})).await;
    let queued = start(&world, held).await;
    assert_eq!(queued["queued"], true, "{queued}");
    let why = task(&world, held).await["waits_for"].clone();
    assert!(why.as_str().is_some_and(|w| w.contains("usage limit")), "{why}");
    let launch = json!({ "claude_config_dir": world.root().join("other") });
    let other = make(&world, "other", &json!({ "options": { "launch": launch } })).await;
    assert_eq!(start(&world, other).await["status"], "assigned");
    world.post_hook(&agent, "UserPromptSubmit", &json!({ "prompt": "again" })).await.expect(204);
    world.post_hook(&agent, "Stop", &json!({})).await.expect(204);
    wait_until(&world, held, "assigned").await;
}

/// What Claude says last.
const LAST_WORDS: &str = "It is done.";

/// Plays Claude's one turn on a task: a person says that it is done if somebody watches it, else Claude's
/// last words tell.
async fn work(world: &World, id: i64, session: String, watched: bool) {
    let conversation = world.agent(&session).await.conversation;
    let path = world.root().join(format!("{conversation}.jsonl"));
    std::fs::write(&path, "").expect("a transcript");
    let start = json!({ "source": "startup", "transcript_path": path });
    let agent = take_up_with(world, &session, &start).await;
    let now = chorus::clock::now().to_string();
    let said = json!({ "type": "assistant", "uuid": session, "timestamp": now, "requestId": "r",
        "message": { "id": session, "model": "m",
            "content": [{ "type": "text", "text": LAST_WORDS }],
            "usage": { "input_tokens": 1, "output_tokens": 1 } } });
    std::fs::write(&path, format!("{said}\n")).expect("a transcript");
    world.post_hook(&agent, "Stop", &json!({ "transcript_path": path })).await.expect(204);
    if watched {
        world.post(format!("/api/tasks/{id}/complete"), &json!({})).await.expect(200);
    }
}

/// Plays Claude in every session that is there, at most so many at once, until all tasks are completed.
/// Tells the order in which they were started.
async fn work_off(world: &World, all: i64, most: usize, mut die_at: Vec<usize>) -> Vec<i64> {
    let began = Instant::now();
    let mut started: Vec<i64> = Vec::new();
    let mut taken = BTreeSet::new();
    let mut working = FuturesUnordered::new();
    let stand_in = world.root().join("claude").display().to_string();
    let running = || {
        let living = processes::living_in(&world.home());
        living.into_iter().filter(|pid| processes::arguments(*pid).contains(&stand_in)).count()
    };
    while began.elapsed() < Duration::from_secs(240) {
        assert!(running() <= most, "more than {most} run");
        if die_at.first().is_some_and(|n| started.len() >= *n) {
            // Nobody is to hear of the death but the server.
            while let Some(()) = working.next().await {}
            die_at.remove(0);
            world.kill9();
            world.start_again().await;
        }
        for status in ["assigned", "running"] {
            let path = format!("/api/tasks?status={status}&limit=500");
            let rows = world.request("GET", path).via(Via::Unix).send().await.rows();
            assert!(rows.len() <= most, "{rows:?}");
            for row in rows {
                let id = row["id"].as_i64().expect("an id");
                let session = row["session_id"].as_str().expect("a session").to_owned();
                if !started.contains(&id) {
                    started.push(id);
                }
                if !taken.contains(&session) {
                    let view = world.session(&session).await;
                    if view["pid"].is_u64() && view["claude_status"] == "starting" {
                        taken.insert(session.clone());
                        let watched = row["options"]["complete_on_idle"] != true;
                        working.push(work(world, id, session, watched));
                    }
                }
            }
        }
        let pause = tokio::time::sleep(Duration::from_millis(20));
        if let Either::Left((Some(()), _)) = select(working.next(), Box::pin(pause)).await {
            continue;
        }
        let path = "/api/tasks?status=completed&limit=500";
        let done = world.request("GET", path).via(Via::Unix).send().await.rows();
        if done.len() as i64 == all {
            let said = |t: &&Value| t["options"]["complete_on_idle"] == true;
            assert!(done.iter().filter(said).all(|t| t["result"] == LAST_WORDS), "{done:#?}");
            return started;
        }
    }
    let rows = world.get("/api/tasks?sort=status&limit=20").await.rows();
    panic!("not all tasks are completed: {rows:#?}");
}

#[tokio::test]
async fn two_hundred_tasks_finish_three_at_a_time_through_two_deaths_of_the_server() {
    let world = world_of(3).await;
    let all = 200;
    for n in 1..=all {
        // Each fifth one depends on the one before it, each seventh one is more important.
        let needs = if n % 5 == 0 { vec![n - 1] } else { Vec::new() };
        let body = json!({ "priority": i64::from(n % 7 == 0), "depends_on": needs, "queued": true,
            "options": { "complete_on_idle": n % 10 == 0 } });
        assert_eq!(make(&world, &format!("t{n}"), &body).await, n);
    }
    let started = work_off(&world, all, 3, vec![20, 90]).await;
    let order: BTreeMap<i64, usize> =
        started.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    assert_eq!(order.len() as i64, all);
    for n in (5..=all).step_by(5) {
        assert!(order[&(n - 1)] < order[&n], "task {n} was started before task {}", n - 1);
    }
    // By priority: but for those that had to wait for another one, and those that were there first.
    let important: BTreeSet<i64> = (1..=all).filter(|n| n % 7 == 0 && n % 5 != 0).collect();
    let last = important.iter().map(|n| order[n]).max().expect("some");
    let others = started[..last].iter().filter(|n| *n % 7 != 0).count();
    assert!(others <= 12, "{others} others were started before the important ones: {started:?}");
}

#[tokio::test]
async fn a_free_session_is_given_the_next_task_that_is_ready() {
    let world = World::build().stand_in().env("CHORUS_AUTO_ASSIGN", "true").start().await;
    let later = make(&world, "later", &json!({})).await;
    let next = make(&world, "next", &json!({ "priority": 5 })).await;
    let blocked = make(&world, "blocked", &json!({ "priority": 9, "depends_on": [later] })).await;
    let agent = world.begin("mine").await;
    // The stand-in has no input box, so the prompt cannot arrive; what counts is who was given what.
    wait_longer(Duration::from_secs(20), "it was given away", async || {
        let history = task(&world, next).await["history"].clone();
        history[0]["session_id"] == json!(agent.session)
    })
    .await;
    assert_eq!(task(&world, blocked).await["attempts"], 0);
}
