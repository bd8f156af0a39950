//! Values that would do harm, bodies that are too large, and bytes that are no HTTP: each is refused, and
//! none changes anything.

use serde_json::json;

use crate::harness::Via;
use crate::robustness::{Place, assert_field, assert_problem};

#[tokio::test]
async fn values_that_would_do_harm_are_refused_by_name() {
    let place = Place::new().await;
    let project = place.world.project();
    let outside = place.world.root();
    std::os::unix::fs::symlink(&outside, project.join("way-out")).expect("a link");
    let path = |p: &std::path::Path| p.to_string_lossy().into_owned();
    for (body, field) in [
        (json!({"name": "../x"}), "name"),
        (json!({"name": "A"}), "name"),
        (json!({"name": "a".repeat(64)}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "$(touch x)"}), "name"),
        (json!({"workspace_path": "relative"}), "workspace_path"),
        (json!({"workspace_path": path(&outside)}), "workspace_path"),
        (json!({"workspace_path": format!("{}/../home", project.display())}), "workspace_path"),
        (json!({"workspace_path": path(&project.join("way-out"))}), "workspace_path"),
        (json!({"workspace_path": "/nowhere"}), "workspace_path"),
        (json!({"workspace_path": "/etc/passwd"}), "workspace_path"),
        (json!({"workspace_path": "a\u{0}b"}), "workspace_path"),
        (json!({"initial_prompt": "a\u{1b}[201~b"}), "initial_prompt"),
        (json!({"initial_prompt": "a\u{0}b"}), "initial_prompt"),
        (json!({"initial_prompt": "/clear"}), "initial_prompt"),
        (json!({"launch": {"env": {"A=B": "x"}}}), "launch"),
        (json!({"launch": {"env": {"A": "x\u{0}y"}}}), "launch"),
        (json!({"launch": {"env": {"CHORUS_HOOK_TOKEN": "x"}}}), "launch"),
        (json!({"launch": {"extra_args": ["--settings", "{}"]}}), "launch"),
        (json!({"launch": {"extra_args": ["a\u{0}b"]}}), "launch"),
        (json!({"launch": {"permission_mode": "surprise"}}), "launch"),
    ] {
        let answer = place.request("POST", "/api/sessions").json(&body).send().await;
        assert_field(&answer, field, &body.to_string());
    }
    let unknown = json!({"project_id": "00000000-0000-0000-0000-000000000000"});
    assert_problem(
        &place.request("POST", "/api/sessions").json(&unknown).send().await,
        &[404],
        "an unknown project",
    );
    let taken = json!({"name": "victim"});
    assert_problem(
        &place.request("POST", "/api/sessions").json(&taken).send().await,
        &[409],
        "a taken name",
    );
    for (root, why) in [
        ("relative", "relative"),
        ("/nowhere", "missing"),
        ("/etc/passwd", "a file"),
        ("/a\u{0}b", "a NUL"),
    ] {
        let answer =
            place.request("POST", "/api/projects").json(&json!({"root": root})).send().await;
        assert_field(&answer, "root", why);
    }
    for name in ["", " ", "a\nb", &"a".repeat(101)] {
        let answer = place
            .world
            .patch(format!("/api/projects/{}", place.project), &json!({"name": name}))
            .await;
        assert_field(&answer, "name", name);
    }
    assert_problem(
        &place.world.delete(format!("/api/projects/{}", place.project)).await,
        &[409],
        "a project in use",
    );
    let respond = format!("/api/permissions/{}/respond", place.request);
    for (body, field) in [
        (json!({"decision": "allow", "message": "x"}), "message"),
        (json!({"decision": "allow", "interrupt": true}), "interrupt"),
        (json!({"decision": "deny", "for_session": true}), "for_session"),
        (json!({"decision": "deny", "message": "a".repeat(10_001)}), "message"),
        (json!({"decision": "maybe"}), "decision"),
    ] {
        assert_field(
            &place.request("POST", &*respond).json(&body).send().await,
            field,
            &body.to_string(),
        );
    }
    for text in ["", "\u{3}", "a\u{1b}[201~b", "a\u{0}"] {
        let answer = place
            .request("POST", "/api/sessions/victim/send")
            .json(&json!({"text": text, "queue": true}))
            .send()
            .await;
        assert_field(&answer, "text", text);
    }
    place.unchanged("harmful values").await;
}

#[tokio::test]
async fn requests_that_are_no_http_leave_the_server_well() {
    let place = Place::new().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(200_000));
    let headers =
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(2_000_000));
    for bytes in [
        &b"surprise\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"GET /api/sessions/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        long.as_bytes(),
        headers.as_bytes(),
    ] {
        for via in [Via::Tcp, Via::Unix] {
            let answer = place.world.raw(via, bytes).await;
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.starts_with("HTTP/1.1 2") && !text.starts_with("HTTP/1.1 5"), "{text}");
        }
    }
    place.unchanged("garbage").await;
}

#[tokio::test]
async fn bodies_of_many_megabytes_are_refused() {
    let place = Place::new().await;
    let large = format!("{{\"text\": \"{}\"}}", "a".repeat(20 * 1024 * 1024));
    for operation in place.operations.iter().filter(|o| o.takes_body()) {
        let path = operation.real(&place);
        for via in [Via::Tcp, Via::Unix] {
            let request = place.request(&operation.method, &path).via(via);
            let request = request.header("content-type", "application/json").body(large.clone());
            // Hooks carry whole tool results; this one is just no hook's payload.
            let expected: &[u16] = if operation.is_hook() { &[422] } else { &[413] };
            assert_problem(&request.send().await, expected, "20 MB");
        }
    }
    let hook = "/api/hooks/Stop";
    let huge = "a".repeat(33 * 1024 * 1024);
    let answer = place.request("POST", hook).body(huge).send().await;
    assert_problem(&answer, &[413], "33 MB");
    place.unchanged("large bodies").await;
}
