//! `/api/events`: every event reaches every listener once, whatever comes between.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Agent, Events, Store, World, is_problem, on_both_stores};

on_both_stores! {
    who_comes_back_gets_what_was_missed_without_gap_or_duplicate
    every_listener_sees_every_event_once_over_kills_and_reconnections_under_load
    who_comes_with_an_id_from_elsewhere_is_told_to_start_over
    who_was_away_for_too_long_is_told_to_start_over
}

/// Makes so many events of a session.
async fn make_events(world: &World, agent: &Agent, from: usize, count: usize) {
    for n in from..from + count {
        let call = Agent::called(&format!("toolu_{n:06}"), "ls");
        world.post_hook(agent, "PostToolUse", &call).await.expect(204);
    }
}

/// Reads up to this event, and tells all the ids.
async fn ids_until(events: &mut Events, last: i64) -> Vec<i64> {
    let mut ids = Vec::new();
    while ids.last().is_none_or(|id| *id < last) {
        let event = events.next_within(Duration::from_secs(10)).await;
        let event = event.unwrap_or_else(|| panic!("no event after {ids:?}, expected {last}"));
        assert_ne!(event.kind, "reset");
        ids.push(event.id);
    }
    ids
}

async fn who_comes_back_gets_what_was_missed_without_gap_or_duplicate(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("s").await;
    make_events(&world, &agent, 0, 30).await;
    let last = world.events(None).await.last_id;
    let all = ids_until(&mut world.events(Some(0)).await, last).await;
    assert!(all.windows(2).all(|w| w[0] < w[1]), "{all:?}");
    for restarted in [false, true] {
        if restarted {
            // Now from the table: the new server's ring is empty.
            world.kill9();
            world.start_again().await;
        }
        for after in [0, 1, all[5], last - 1] {
            let owed: Vec<i64> = all.iter().copied().filter(|id| *id > after).collect();
            let mut events = world.events(Some(after)).await;
            assert_eq!(ids_until(&mut events, last).await, owed);
            let mut events = world.events_of(&format!("?last_event_id={after}"), None).await;
            assert_eq!(ids_until(&mut events, last).await, owed);
        }
        let mut events = world.events(Some(last)).await;
        assert_eq!(events.next_within(Duration::from_millis(50)).await, None);
    }
    // And what comes later follows on what was missed.
    let mut events = world.events(Some(last - 1)).await;
    make_events(&world, &agent, 30, 1).await;
    assert_eq!(ids_until(&mut events, last + 1).await, [last, last + 1]);
}

async fn every_listener_sees_every_event_once_over_kills_and_reconnections_under_load(
    store: Store,
) {
    let world = Arc::new(World::on(store).await);
    let agent = world.begin("s").await;
    let first = world.events(None).await.last_id;
    // Listens to a few events at a time, then leaves and comes back with the last id.
    let listen = |world: Arc<World>, few: usize| async move {
        let mut seen: Vec<i64> = Vec::new();
        let mut after = first;
        loop {
            let opened = world
                .request("GET", "/api/events")
                .header("last-event-id", after.to_string())
                .open()
                .await;
            let Ok(response) = opened else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let mut events = Events::of(response);
            for _ in 0..few {
                let Some(event) = events.next().await else { break };
                assert_ne!(event.kind, "reset");
                seen.push(event.id);
                after = event.id;
                if event.kind == "claude_status" && event.data["new"] == "stopped" {
                    return seen;
                }
            }
        }
    };
    let listening: Vec<_> =
        [3, 17, 1_000].map(|few| tokio::spawn(listen(world.clone(), few))).into();
    for round in 0..6 {
        make_events(&world, &agent, round * 40, 40).await;
        world.kill9();
        world.start_again().await;
    }
    world.post_hook(&agent, "SessionEnd", &json!({"reason": "other"})).await.expect(204);
    let mut lists = Vec::new();
    for task in listening {
        let seen = tokio::time::timeout(Duration::from_secs(10), task).await;
        lists.push(seen.expect("the end in time").expect("no panic"));
    }
    let all =
        ids_until(&mut world.events(Some(first)).await, *lists[0].last().expect("events")).await;
    assert!(all.len() >= 240, "{}", all.len());
    for seen in lists {
        assert_eq!(seen, all);
    }
}

#[tokio::test]
async fn a_hundred_listeners_hear_the_same() {
    let world = World::with_stand_in().await;
    let agent = world.begin("s").await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(world.events(None).await);
    }
    let first = all[0].last_id;
    make_events(&world, &agent, 0, 20).await;
    for events in &mut all {
        assert_eq!(
            ids_until(events, first + 20).await,
            (first + 1..=first + 20).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn a_listener_to_one_session_hears_of_no_other() {
    let world = World::with_stand_in().await;
    let (a, b) = (world.begin("a").await, world.begin("b").await);
    let mut events = world.events_of(&format!("?session_id={}", a.session), Some(0)).await;
    make_events(&world, &b, 0, 5).await;
    make_events(&world, &a, 0, 5).await;
    let mut tools = 0;
    while tools < 5 {
        let event = events.next().await.expect("an event");
        assert_eq!(event.data["session_id"], *a.session, "{event:?}");
        tools += usize::from(event.kind == "tool_use");
    }
}

async fn who_comes_with_an_id_from_elsewhere_is_told_to_start_over(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("s").await;
    let last = world.events(None).await.last_id;
    for far in [last + 1, last + 1_000, i64::MAX] {
        let mut events = world.events(Some(far)).await;
        let reset = events.next_within(Duration::from_secs(5)).await.expect("a reset");
        assert_eq!((reset.kind.as_str(), reset.id), ("reset", last));
        assert_eq!(reset.data["last_event_id"], last);
    }
    let mut events = world.events(Some(last + 1_000)).await;
    make_events(&world, &agent, 0, 1).await;
    assert_eq!(events.next().await.expect("the reset").kind, "reset");
    assert_eq!(events.next().await.expect("what follows").kind, "tool_use");
    // Before the beginning is the beginning.
    for far in [-1, i64::MIN] {
        let mut events = world.events(Some(far)).await;
        assert_eq!(ids_until(&mut events, last + 1).await.len() as i64, last + 1);
    }
    for (header, value) in [("last-event-id", "x"), ("last-event-id", "99999999999999999999")] {
        let refused = world.request("GET", "/api/events").header(header, value).send().await;
        assert!(refused.status == 422 && is_problem(&refused), "{}", refused.text());
    }
}

async fn who_was_away_for_too_long_is_told_to_start_over(store: Store) {
    let world = World::build().stand_in().store(store).without_server().start().await;
    // A log that is longer than what is replayed, written where it would be.
    world.start_again().await;
    let agent = world.begin("s").await;
    assert_eq!(world.stop().await, Some(0));
    let fill = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 25000) \
        INSERT INTO events (at, kind, session_id, data) SELECT 1, 'hook', NULL, '{}' FROM n";
    world.sql(fill).await;
    world.start_again().await;
    let last = world.events(None).await.last_id;
    assert!(last > 25_000);
    let mut events = world.events(Some(1)).await;
    let reset = events.next().await.expect("an event");
    assert_eq!((reset.kind.as_str(), reset.id), ("reset", last));
    make_events(&world, &agent, 0, 1).await;
    let next = events.next().await.expect("an event");
    assert!(next.id == last + 1 && next.kind == "tool_use", "{next:?}");
    // Within the limit everything is told, in order.
    let ids = ids_until(&mut world.events(Some(last - 19_000)).await, last + 1).await;
    assert_eq!(ids, (last - 18_999..=last + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_command_line_follows_the_stream_over_a_restart() {
    use tokio::io::AsyncBufReadExt as _;
    let world = World::with_stand_in().await;
    let agent = world.begin("s").await;
    let mut child = world
        .command(env!("CARGO_BIN_EXE_chorus"))
        .arg("--data-dir")
        .arg(world.data())
        .args(["events", "--json", "--after", "0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chorus events");
    let mut lines = tokio::io::BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut ids = Vec::new();
    for (n, call) in ["toolu_000000", "toolu_000001", "toolu_000002"].into_iter().enumerate() {
        make_events(&world, &agent, n, 1).await;
        loop {
            let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await;
            let line = line.expect("a line in time").expect("its output").expect("a line");
            let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            ids.push(event["id"].as_i64().expect("an id"));
            if event["data"]["tool_use_id"] == call {
                break;
            }
        }
        world.kill9();
        world.start_again().await;
    }
    assert!(ids.windows(2).all(|w| w[1] == w[0] + 1), "{ids:?}");
}

#[tokio::test]
async fn a_stream_of_one_session_is_kept_alive_whatever_happens_in_others() {
    let world = World::with_stand_in().await;
    let (quiet, loud) = (world.begin("quiet").await, world.begin("loud").await);
    let path = format!("/api/events?session_id={}", quiet.session);
    let mut body = world.request("GET", path).open().await.expect("a stream").into_body();
    let alive = async {
        let mut text = String::new();
        while !text.contains(": alive") {
            let frame = http_body_util::BodyExt::frame(&mut body).await;
            let frame = frame.expect("it goes on").expect("a frame");
            text += &String::from_utf8_lossy(&frame.into_data().unwrap_or_default());
        }
    };
    let others = async {
        for n in 0.. {
            make_events(&world, &loud, n, 1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = alive => {}
        () = others => {}
        // It is said every 15 s.
        () = tokio::time::sleep(Duration::from_secs(40)) => panic!("nothing was said for 40 s"),
    }
}
