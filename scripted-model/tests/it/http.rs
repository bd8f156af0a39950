//! The stand-in over real connections.

use std::time::{Duration, Instant};

use crate::client::{Answer, call, conversation, receive, send};
use scripted_model::{Kind, Script, ScriptedModel};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(10);

fn started() -> ScriptedModel {
    let more = r#"{"scenarios": {
        "paced": [{"text": "twenty-four characters, and twenty-four more of them", "chunk_ms": 60}],
        "late": [{"text": "late", "delay_ms": 150}]
    }}"#;
    let script = Script::standard().extended_with(Script::from_json(more).unwrap());
    ScriptedModel::start(script).unwrap()
}

async fn ask(model: &ScriptedModel, body: &Value) -> Answer {
    call(model.port(), "POST", "/v1/messages", &body.to_string()).await
}

#[tokio::test]
async fn a_conversation_is_streamed_turn_by_turn_and_recorded() {
    let model = started();
    let first = ask(&model, &conversation("scenario:write now", 0, true)).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("content-type"), Some("text/event-stream"));
    assert!(first.header("request-id").unwrap().starts_with("req_"));
    assert!(first.complete);
    assert_eq!(first.streamed_text(), "I will write a file.");
    assert!(first.body.contains("/srv/space/notes.txt"));
    let last = first.events().pop().unwrap();
    assert_eq!(last["type"], "message_stop");

    let second = ask(&model, &conversation("scenario:write now", 1, false)).await;
    let message = second.json();
    assert_eq!(message["content"][0]["text"], "File written.");
    assert_eq!(message["stop_reason"], "end_turn");
    assert_eq!(message["model"], "test-model");

    let requests = model.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].kind, Kind::Main);
    assert_eq!(requests[0].scenario, "write");
    assert_eq!(requests[0].prompt, "scenario:write now");
    assert!(requests[0].stream && !requests[1].stream);
    assert_eq!(requests[1].turn, 1);
    assert!(requests[1].at >= requests[0].at && requests[0].at > 1_600_000_000_000);
    let bodies = model.bodies();
    assert_eq!(bodies[1].json().unwrap()["messages"][0]["role"], "user");
    assert_eq!(bodies[1].path, "/v1/messages");
    assert_eq!(bodies[1].turn, Some(1));

    let listed = call(model.port(), "GET", "/requests", "").await.json();
    assert_eq!(listed[1]["scenario"], "write");
    assert_eq!(listed[1]["kind"], "main");
}

#[tokio::test]
async fn fifty_plays_fifty_calls_and_a_text() {
    let model = started();
    for (answers, command) in [(0, "echo call-01"), (49, "echo call-50")] {
        let answer = ask(&model, &conversation("scenario:fifty", answers, false)).await;
        assert_eq!(answer.json()["content"][0]["input"]["command"], command);
    }
    let answer = ask(&model, &conversation("scenario:fifty", 50, false)).await;
    assert_eq!(answer.json()["content"][0]["text"], "All fifty calls are done.");
}

#[tokio::test]
async fn errors_come_as_the_api_words_them() {
    let model = started();
    let limited = ask(&model, &conversation("scenario:ratelimited", 0, true)).await;
    assert_eq!(limited.status, 429);
    assert_eq!(limited.json()["type"], "error");
    assert_eq!(limited.json()["error"]["type"], "rate_limit_error");
    let overloaded = ask(&model, &conversation("scenario:overloaded", 0, true)).await;
    assert_eq!(overloaded.status, 529);
    assert_eq!(overloaded.json()["error"]["message"], "scripted overloaded_error");

    let bad = call(model.port(), "POST", "/v1/messages", "{").await;
    assert_eq!(bad.status, 400);
    assert_eq!(bad.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn a_turn_fails_so_many_times_in_each_session() {
    let model = started();
    let body = conversation("scenario:rate", 0, true).to_string();
    for session in ["one", "two"] {
        let headers = [("x-claude-code-session-id", session)];
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let stream = send(model.port(), "POST", "/v1/messages", &headers, &body).await;
            let answer = receive(stream).await.unwrap();
            if answer.status == 429 {
                assert_eq!(answer.header("retry-after"), Some("3"));
            }
            statuses.push(answer.status);
        }
        assert_eq!(statuses, [429, 429, 200], "{session}");
    }
    assert_eq!(model.requests()[5].session, "two");
}

#[tokio::test]
async fn delays_and_pauses_are_kept() {
    let model = started();
    let began = Instant::now();
    let late = ask(&model, &conversation("scenario:late", 0, true)).await;
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!(late.streamed_text(), "late");
    let began = Instant::now();
    let paced = ask(&model, &conversation("scenario:paced", 0, true)).await;
    assert!(began.elapsed() >= Duration::from_millis(180));
    assert!(paced.complete);
}

#[tokio::test]
async fn a_stream_ends_early_with_or_without_its_connection() {
    let model = started();
    for (scenario, complete) in [("cut", true), ("brokenstream", false)] {
        let prompt = format!("scenario:{scenario}");
        let early = ask(&model, &conversation(&prompt, 0, true)).await;
        assert_eq!((early.status, early.complete), (200, complete), "{scenario}");
        assert_eq!(early.events().len(), 3, "{scenario}");
        assert_eq!(early.streamed_text().len(), 24, "{scenario}");
        let whole = ask(&model, &conversation(&prompt, 0, false)).await;
        let text = whole.json()["content"][0]["text"].to_string();
        assert!(text.contains("before its end."), "{text}");
    }
}

#[tokio::test]
async fn hundreds_hang_while_others_are_answered_until_the_end() {
    let model = started();
    let body = conversation("scenario:hang", 0, true).to_string();
    let mut hanging = Vec::new();
    for _ in 0..300 {
        hanging.push(send(model.port(), "POST", "/v1/messages", &[], &body).await);
    }
    let hello = conversation("scenario:hello", 0, true);
    let answered = timeout(SOON, ask(&model, &hello));
    assert_eq!(answered.await.unwrap().streamed_text(), "Hello from the scripted model.");
    timeout(SOON, async {
        while model.requests().len() < 301 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    // Nothing came back, and the end of the server is the end of the connections.
    let first = hanging.swap_remove(0);
    let mut byte = [0];
    let early = timeout(Duration::from_millis(50), first.peek(&mut byte)).await;
    assert!(early.is_err());
    model.shutdown().await;
    assert!(timeout(SOON, receive(first)).await.unwrap().is_err());
}

#[tokio::test]
async fn side_requests_take_no_turn() {
    let model = started();
    let title = json!({"messages": [{"role": "user", "content": "scenario:bash title?"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"required": ["title"]}}}});
    let answer = ask(&model, &title).await.json();
    assert_eq!(answer["content"][0]["text"], r#"{"title":"Scripted session"}"#);
    let quota = json!({"max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]});
    assert_eq!(ask(&model, &quota).await.json()["content"][0]["text"], "#");
    let text = quota.to_string();
    let count = call(model.port(), "POST", "/v1/messages/count_tokens?beta=true", &text);
    assert!(count.await.json()["input_tokens"].as_u64().unwrap() > 5);
    let kinds: Vec<_> = model.bodies().iter().map(|body| body.kind).collect();
    assert_eq!(kinds, [Kind::Structured, Kind::Quota, Kind::CountTokens]);
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn other_addresses_get_an_empty_answer() {
    let model = started();
    assert_eq!(call(model.port(), "GET", "/healthz", "").await.body, "ok");
    let models = call(model.port(), "GET", "/v1/models?limit=5", "").await;
    assert_eq!(models.json(), json!({"data": [], "has_more": false}));
    let head = call(model.port(), "HEAD", "/", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (method, path) in [("POST", "/api/event"), ("GET", "/v1/messages"), ("PUT", "/x")] {
        let answer = call(model.port(), method, path, "not json").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"), "{path}");
    }
    assert!(model.requests().is_empty());
    assert_eq!(model.bodies().len(), 5);
    assert_eq!(model.bodies()[2].body, "not json");
}

#[tokio::test]
async fn the_port_is_free_again_after_the_end() {
    let model = started();
    let addr = model.addr();
    assert_eq!(model.url(), format!("http://{addr}"));
    assert!(ScriptedModel::start_on(addr, Script::standard()).is_err());
    model.shutdown().await;
    assert!(TcpStream::connect(addr).await.is_err());
    let again = ScriptedModel::start_on(addr, Script::standard()).unwrap();
    assert_eq!(again.port(), addr.port());
    let outside = "0.0.0.0:0".parse().unwrap();
    assert!(ScriptedModel::start_on(outside, Script::standard()).is_err());
}

#[test]
fn it_needs_no_runtime_of_the_caller() {
    let model = ScriptedModel::start(Script::standard()).unwrap();
    assert_ne!(model.port(), 0);
}
