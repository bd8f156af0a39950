//! What an operator sees and can rely on: `/metrics`, request ids, the log, limits.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Agent, Store, Via, World, on_both_stores};
use crate::permissions::{ask, decide};

on_both_stores! {
    metrics_tell_what_was_committed_and_how_things_are
}

/// A sample's value: `name{labels}` as Prometheus writes it.
fn sample(text: &str, series: &str) -> f64 {
    let mut lines = text.lines().filter_map(|l| l.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series);
    found.unwrap_or_else(|| panic!("no {series} in\n{text}")).1.parse().expect("a number")
}

async fn metrics_tell_what_was_committed_and_how_things_are(store: Store) {
    let world = World::on(store).await;
    let scrape = async || world.get("/metrics").await.expect(200).text();
    let before = scrape().await;
    // What can be counted is there from the beginning, at zero.
    let bash = r#"tool_executions_total{status="completed",tool="Bash"}"#;
    assert_eq!(sample(&before, bash), 0.0);
    assert_eq!(sample(&before, "active_sessions"), 0.0);

    let agent = world.begin("counted").await;
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "ls")).await.ok();
    // Delivered twice, it counts once.
    world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "ls")).await.ok();
    let (held, request) = ask(&world, &agent, "toolu_2", "make").await;
    let asked = scrape().await;
    assert_eq!(sample(&asked, bash), 1.0);
    assert_eq!(sample(&asked, r#"tool_duration_ms_count{tool="Bash"}"#), 1.0);
    assert_eq!(sample(&asked, r#"tool_duration_ms_sum{tool="Bash"}"#), 3.0);
    assert_eq!(sample(&asked, r#"tool_duration_seconds_sum{tool="Bash"}"#), 0.003);
    assert_eq!(sample(&asked, r#"chorus_sessions{state="waiting"}"#), 1.0);
    assert_eq!(sample(&asked, "active_sessions"), 1.0);
    assert_eq!(sample(&asked, "chorus_permissions_pending"), 1.0);
    assert!(sample(&asked, r#"chorus_hooks_total{outcome="taken"}"#) >= 3.0);
    decide(&world, &request, &json!({ "decision": "allow" })).await;
    held.end().await.ok();
    let decided = scrape().await;
    assert_eq!(sample(&decided, "chorus_permissions_pending"), 0.0);
    assert_eq!(sample(&decided, r#"chorus_permission_requests_total{outcome="allow"}"#), 1.0);
    assert_eq!(sample(&decided, r#"chorus_permission_wait_seconds_count{decision="allow"}"#), 1.0);
    let answers = r#"chorus_http_requests_total{method="POST",route="/api/permissions/{id}/respond",status="2xx"}"#;
    assert_eq!(sample(&decided, answers), 1.0);
    check_with_promtool(&decided);
}

/// Prometheus' own check, where it is installed. The first specifications ask for one name that its
/// conventions do not like.
fn check_with_promtool(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("promtool is not here (Debian: prometheus): its check is left out");
        return;
    };
    let mut input = promtool.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("the metrics");
    drop(input);
    let out = promtool.wait_with_output().expect("promtool");
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let complaints: Vec<&str> = said.lines().filter(|l| !l.is_empty()).collect();
    assert_eq!(
        complaints,
        ["tool_duration_ms metric names should not contain abbreviated units"],
        "{text}"
    );
}

#[tokio::test]
async fn metrics_are_for_scrapers_and_no_page_of_another_site() {
    let world = World::with_stand_in().await;
    let answer = world.request("GET", "/metrics").via(Via::Unix).send().await.expect(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let rebound = world.request("GET", "/metrics").header("host", "evil.example").send().await;
    rebound.expect(421);
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_callers_own_is_kept() {
    let world = World::with_stand_in().await;
    let first = world.get("/api/sessions").await.expect(200);
    let second = world.get("/api/sessions/nobody").await.expect(404);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("x-request-id").len(), 36);
    let ask = async |id: &str| {
        let request = world.request("GET", "/api/sessions").header("x-request-id", id);
        request.send().await.expect(200).header("x-request-id").to_owned()
    };
    assert_eq!(ask("trace-1.a_B").await, "trace-1.a_B");
    assert_ne!(ask("a b\"c").await, "a b\"c");
    assert_ne!(ask(&"x".repeat(65)).await, "x".repeat(65));
}

#[tokio::test]
async fn a_session_that_runs_wild_is_slowed_down_and_loses_nothing() {
    let world = World::build().stand_in().env("CHORUS_HOOK_RATE", "1").start().await;
    let wild = world.begin("wild").await;
    let calm = world.begin("calm").await;
    let mut refused = 0;
    for n in 0..12 {
        let call = Agent::called(&format!("toolu_{n}"), "ls");
        let answer = world.post_hook(&wild, "PostToolUse", &call).await;
        if answer.status == 429 {
            refused += 1;
            let after: u64 = answer.header("retry-after").parse().expect("seconds");
            assert!((1..=6).contains(&after), "{after}");
        }
    }
    assert!(refused >= 4, "{refused}");
    world.post_hook(&calm, "PostToolUse", &Agent::called("toolu_1", "ls")).await.expect(204);
    // The real hook leaves in the spool what is refused, and the server takes that when it can.
    let ran = world.hook(&wild, "PostToolUse", &Agent::called("toolu_last", "ls")).await.ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    world
        .wait_for("the spooled call is on the record", async || {
            let calls = crate::hooks::calls(&world, "wild").await;
            calls.iter().any(|c| c["tool_use_id"] == "toolu_last")
        })
        .await;
    let metrics = world.get("/metrics").await.text();
    assert!(sample(&metrics, r#"chorus_hooks_total{outcome="limited"}"#) >= f64::from(refused));
}

#[tokio::test]
async fn the_log_may_go_to_a_file() {
    let mut world = World::build().stand_in().without_server().start().await;
    let file = world.root().join("chorus.log");
    world.set_env("CHORUS_LOG_FILE", file.to_str().expect("a path"));
    world.start_again().await;
    world.stop().await;
    let log = std::fs::read_to_string(&file).expect("a log");
    assert!(log.contains("Chorus has stopped"), "{log}");
    assert_eq!(world.log(), "", "nothing else is said");
}
