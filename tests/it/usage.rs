//! What sessions use, as far as it can be told without a real Claude Code: the receiver of its log,
//! hostile or not; sums and budgets.

use serde_json::{Value, json};

use crate::harness::{Agent, Answer, Store, World, on_both_stores, post_to, processes};

/// Where a session's Claude sends its log, and with which header.
struct Receiver {
    address: String,
    path: String,
    authorization: String,
}

impl Receiver {
    /// As the process was told.
    fn of(pid: u32) -> Self {
        let env = processes::environment(pid);
        let endpoint =
            env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].strip_prefix("http://").expect("http");
        let (address, path) = endpoint.split_once('/').expect("a path");
        let header = env["OTEL_EXPORTER_OTLP_LOGS_HEADERS"].split_once('=').expect("a header");
        assert_eq!(header.0, "Authorization");
        Self { address: address.into(), path: format!("/{path}"), authorization: header.1.into() }
    }

    async fn post(&self, body: &[u8]) -> Answer {
        let headers =
            [("authorization", self.authorization.as_str()), ("content-type", "application/json")];
        post_to(&self.address, &self.path, &headers, body.to_vec()).await
    }

    async fn tell(&self, logs: &Value) -> Answer {
        self.post(logs.to_string().as_bytes()).await
    }
}

/// A log as Claude Code sends it, of one request.
fn log(conversation: &str, request: &str, cost: &Value) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let number = |key: &str, value: i64| json!({"key": key, "value": {"intValue": value}});
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": [
        text("event.name", "api_request"), text("session.id", conversation), text("request_id", request),
        text("event.timestamp", "2026-11-20T10:00:00.000Z"), text("model", "claude-opus-5-5"),
        number("input_tokens", 1000), number("output_tokens", 10),
        {"key": "cost_usd", "value": {"doubleValue": cost}},
    ]}]}]}]})
}

async fn wait_for_cost(world: &World, session: &str, usd: f64) -> Value {
    world
        .wait_for(&format!("{session} has cost {usd}"), async || {
            let view = world.session(session).await;
            if view["cost"]["usd"] == json!(usd) { Ok(view) } else { Err(view.to_string()) }
        })
        .await
}

on_both_stores! {
    a_log_is_taken_in_once_and_summed_up
}

async fn a_log_is_taken_in_once_and_summed_up(store: Store) {
    let world = World::on(store).await;
    let agent = world.begin("a").await;
    assert!(world.session("a").await["cost"].is_null(), "nothing is known of it yet");
    let receiver = Receiver::of(agent.pid);
    let mut events = world.events(None).await;
    receiver.tell(&log(&agent.conversation, "r1", &json!(0.25))).await.expect(200);
    let told = events.find("what it used", |e| e.kind == "usage").await;
    assert_eq!((&told.data["name"], &told.data["cost"]["usd"]), (&json!("a"), &json!(0.25)));
    receiver.tell(&log(&agent.conversation, "r1", &json!(0.25))).await.expect(200);
    receiver.tell(&log(&agent.conversation, "r2", &json!(0.5))).await.expect(200);
    let view = wait_for_cost(&world, "a", 0.75).await;
    assert_eq!(view["cost"]["source"], "claude");
    assert_eq!(view["tokens"]["input_tokens"], 2000);

    let report = world.get("/api/usage?since=2026-11-20&until=2026-11-20").await.expect(200).json();
    assert_eq!(
        (&report["total"]["cost"]["usd"], &report["total"]["responses"]),
        (&json!(0.75), &json!(2))
    );
    assert_eq!(report["sums"][0]["key"], "2026-11-20", "{report}");
    let by = async |by: &str| {
        let report =
            world.cli(&["--json", "usage", "--by", by, "--since", "2026-11-01"]).await.ok().json();
        report["sums"][0].clone()
    };
    assert_eq!(by("model").await["key"], "claude-opus-5-5");
    assert_eq!(by("session").await["name"], "a");
    assert_eq!(by("project").await["cost"]["usd"], 0.75);
    let table = world.cli(&["usage", "--by", "session", "--since", "2026-11-01"]).await.ok().stdout;
    assert!(table.contains("$0.75") && table.contains("SESSION"), "{table}");
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("$0.75"), "{listed}");
    for bad in ["by=week", "since=yesterday", "limit=0", "since=2026-11-21&until=2026-11-20"] {
        world.get(format!("/api/usage?{bad}")).await.expect(422);
    }

    // A running Claude keeps to the port it was told.
    world.kill9();
    world.start_again().await;
    receiver.tell(&log(&agent.conversation, "r2", &json!(0.5))).await.expect(200);
    receiver.tell(&log(&agent.conversation, "r3", &json!(1))).await.expect(200);
    let view = wait_for_cost(&world, "a", 1.75).await;
    assert_eq!(view["tokens"]["input_tokens"], 3000);
}

#[tokio::test]
async fn a_hostile_log_is_refused_or_left_out() {
    let world = World::with_stand_in().await;
    let agent = world.begin("a").await;
    let other = world.begin("b").await;
    let receiver = Receiver::of(agent.pid);
    let good = log(&agent.conversation, "r", &json!(0.5)).to_string();
    let send = async |path: &str, authorization: &str, kind: &str, body: Vec<u8>| {
        let headers = [("authorization", authorization), ("content-type", kind)];
        post_to(&receiver.address, path, &headers, body).await.status
    };
    let (path, token, json_) =
        (receiver.path.as_str(), receiver.authorization.as_str(), "application/json");
    let body = || good.clone().into_bytes();
    assert_eq!(send(path, "Bearer 0", json_, body()).await, 401);
    assert_eq!(send(path, &Receiver::of(other.pid).authorization, json_, body()).await, 401);
    let hook = format!("Bearer {}", processes::environment(agent.pid)["CHORUS_HOOK_TOKEN"]);
    assert_eq!(send(path, &hook, json_, body()).await, 401, "each token is good for one thing");
    assert_eq!(send(path, token, "application/x-protobuf", body()).await, 415);
    assert_eq!(send("/v1/logs/nobody", token, json_, body()).await, 404);
    assert_eq!(send("/api/sessions", token, json_, body()).await, 404, "nothing else is there");
    assert_eq!(send(path, token, json_, b"{".to_vec()).await, 422);
    assert_eq!(send(path, token, json_, b"[]".to_vec()).await, 422);
    assert_eq!(send(path, token, json_, "[".repeat(100_000).into_bytes()).await, 422);
    assert_eq!(send(path, token, json_, vec![b' '; 5 * 1024 * 1024]).await, 413);

    // Figures that cannot be are left out, and what is whole beside them is not.
    for (n, cost) in
        [json!(-1), json!(1e300), json!("x"), json!(null), json!(5000)].iter().enumerate()
    {
        receiver.tell(&log(&agent.conversation, &format!("bad{n}"), cost)).await.expect(200);
    }
    for odd in [json!({"resourceLogs": []}), json!({"resourceLogs": [1, {"scopeLogs": {}}]})] {
        receiver.tell(&odd).await.expect(200);
    }
    let huge = log("c", "r\u{0}", &json!(0.5)).to_string().replace("1000", "99999999999999999999");
    receiver.post(huge.as_bytes()).await.expect(200);
    receiver.post(good.as_bytes()).await.expect(200);
    let view = wait_for_cost(&world, "a", 1.0).await;
    assert_eq!(view["cost"]["source"], "claude");
    assert!(world.session("b").await["cost"].is_null());
}

#[tokio::test]
async fn a_spent_budget_keeps_prompts_back_until_it_is_raised() {
    let world = World::build().stand_in().env("CHORUS_BUDGET_USD", "2").start().await;
    let agent = world.begin("a").await;
    let receiver = Receiver::of(agent.pid);
    assert_eq!(world.session("a").await["budget"]["usd"], 2.0, "the configured one");
    let spend = async |request: &str, cost: f64| {
        receiver.tell(&log(&agent.conversation, request, &json!(cost))).await.expect(200);
    };
    spend("r1", 1.6).await;
    let level = async |session: &str, level: &str| {
        let what = format!("the budget of {session} is {level}");
        world
            .wait_for(&what, async || {
                let view = world.session(session).await;
                if view["budget"]["level"] == level { Ok(view) } else { Err(view.to_string()) }
            })
            .await
    };
    let view = level("a", "close").await;
    assert_eq!(view["detail"]["budget"], "80 % of its budget of $2.00 is spent");
    spend("r2", 0.5).await;
    let view = level("a", "spent").await;
    assert_eq!(view["budget"]["percent"], 105);
    for body in [json!({"text": "more"}), json!({"text": "more", "queue": true})] {
        let refused = world.post("/api/sessions/a/send", &body).await.expect(409).text();
        assert!(refused.contains("chorus budget a") && refused.contains("budget_usd"), "{refused}");
    }
    // It stays so, whoever dies.
    world.kill9();
    world.start_again().await;
    world.post("/api/sessions/a/send", &json!({"text": "more"})).await.expect(409);
    world.post_hook(&agent, "Notification", &json!({"notification_type": "x"})).await.expect(204);
    level("a", "spent").await;

    for bad in [json!(0), json!(-1), json!("2"), json!(1e300)] {
        let patch = json!({ "budget_usd": bad, "metadata": { "changed": true } });
        let refused = world.patch("/api/sessions/a", &patch).await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], "budget_usd", "{}", refused.text());
    }
    assert_eq!(world.session("a").await["metadata"], json!({}), "what is refused changes nothing");
    let bad = json!({"name": "c", "launch": {"budget_usd": 0}});
    let refused = world.post("/api/sessions", &bad).await.expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "launch.budget_usd");

    let shown = world.cli(&["budget", "a"]).await.ok().stdout;
    assert_eq!(shown.trim(), "a has spent $2.10 (by Claude Code) of $2.00: 105 %");
    let raised = world.cli(&["budget", "a", "3"]).await.ok().stdout;
    assert!(raised.contains("$3.00") && raised.contains("70 %"), "{raised}");
    world.post("/api/sessions/a/send", &json!({"text": "more", "queue": true})).await.expect(202);
    let lowered =
        world.patch("/api/sessions/a", &json!({"budget_usd": 1})).await.expect(200).json();
    assert_eq!(lowered["budget"]["level"], "spent");
    let freed = world.cli(&["--json", "budget", "a", "none"]).await.ok().json();
    assert!(freed["budget"].is_null() && freed["detail"]["budget"].is_null(), "{freed}");
    let shown = world.cli(&["budget", "a"]).await.ok().stdout;
    assert!(shown.ends_with("; it may cost any sum\n"), "{shown}");
    let entries = world.cli(&["--json", "audit", "--action", "budget.spent"]).await.ok().json();
    let data = json!({"name": "a", "budget_usd": 2.0, "spent_usd": 2.1});
    assert_eq!(entries[0]["data"], data, "{entries}");
    let audit = world.cli(&["audit"]).await.ok().stdout;
    assert_eq!(audit.matches("budget.spent").count(), 2, "{audit}");
    assert_eq!(audit.matches("budget.set").count(), 3, "{audit}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_replaced_and_said() {
    let world = World::with_stand_in().await;
    let agent = world.begin("a").await;
    let before = Receiver::of(agent.pid).address;
    world.kill9();
    let taken = tokio::net::TcpListener::bind(&before).await.expect("its port");
    world.start_again().await;
    assert!(world.log().contains("cannot be had; their costs are estimated"), "{}", world.log());
    let agent: Agent = world.begin("b").await;
    let now = Receiver::of(agent.pid);
    assert_ne!(now.address, before);
    now.tell(&log(&agent.conversation, "r", &json!(0.5))).await.expect(200);
    wait_for_cost(&world, "b", 0.5).await;
    drop(taken);
}

/// A line of a transcript: a response's, or one of its.
fn line(message: &str, model: &str, input: i64, output: i64) -> String {
    let now = chorus::clock::now().to_string();
    let text = format!("{message} after {output}");
    let body = json!({"type": "assistant", "uuid": format!("{message}-{output}"), "timestamp": now,
        "requestId": format!("req-{message}"), "message": {"id": message, "model": model,
            "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": input, "output_tokens": output}}});
    format!("{body}\n")
}

#[tokio::test]
async fn what_only_the_transcript_tells_is_estimated_and_what_nobody_knows_has_no_figure() {
    use std::io::Write as _;
    let prices = r#"{ "own-model" = { input = 1, output = 10 } }"#;
    let world = World::build().stand_in().env("CHORUS_PRICES", prices).start().await;
    let agent = world.begin("a").await;
    let path = world.root().join(format!("{}.jsonl", agent.conversation));
    let mut transcript = std::fs::File::create(&path).expect("a transcript");
    let start = json!({"source": "startup", "model": "strange-model[1m]", "transcript_path": path});
    world.post_hook(&agent, "SessionStart", &start).await.expect(204);
    let mut write = |line: String| transcript.write_all(line.as_bytes()).expect("a line");
    let shows = async |what: &str, fact: &dyn Fn(&Value) -> bool| {
        world
            .wait_for(what, async || {
                let view = world.session("a").await;
                if fact(&view) { Ok(view) } else { Err(view.to_string()) }
            })
            .await
    };
    write(line("m1", "strange-model", 99_000, 1_000));
    let view = shows("its tokens", &|v| v["tokens"]["output_tokens"] == 1_000).await;
    assert!(view["cost"].is_null(), "no figure is better than a wrong one: {view}");
    let context =
        json!({"model": "strange-model", "used": 100_000, "window": 1_000_000, "percent": 10});
    assert_eq!(view["context"], context);
    // Two lines of one response, of which the last has all its tokens.
    write(line("m2", "own-model", 1_000_000, 1));
    write(line("m2", "own-model", 1_000_000, 100_000));
    let view = shows("its cost", &|v| v["cost"]["usd"] == 2.0).await;
    let cost =
        json!({"usd": 2.0, "source": "estimated", "estimated_usd": 2.0, "unpriced_responses": 1});
    assert_eq!(view["cost"], cost);
    let shown = world.cli(&["show", "a"]).await.ok().stdout;
    assert!(shown.contains("cost        $2.00 (estimated)"), "{shown}");
    let listed = world.cli(&["ps"]).await.ok().stdout;
    assert!(listed.contains("~$2.00+"), "{listed}");

    let log = log(&agent.conversation, "req-m2", &json!(1.5));
    Receiver::of(agent.pid).tell(&log).await.expect(200);
    let view = wait_for_cost(&world, "a", 1.5).await;
    assert_eq!(
        (&view["cost"]["source"], &view["cost"]["unpriced_responses"]),
        (&json!("claude"), &json!(1))
    );
    assert_eq!(view["tokens"]["input_tokens"], 1_099_000, "it is one response");
    world.post_hook(&agent, "PostCompact", &json!({"trigger": "manual"})).await.expect(204);
    shows("the context is not known after a compaction", &|v| v["context"].is_null()).await;
}
