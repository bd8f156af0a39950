//! What is asked for while something else is under way, and who asks and does not wait.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Agent, World, processes, signal};
use crate::tasks::{make, task};
use crate::tasks_follow::{begin, wait_until};

/// Asks for something that ends a stubborn Claude, and hangs up while the server waits for its end.
async fn hang_up(world: &World, agent: &Agent, method: &str, path: &str) {
    let host = world.host();
    let mut stream = TcpStream::connect(&host).await.expect("a connection");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.expect("a request");
    let asked = world.home().join(format!("asked-{}", agent.session));
    world.wait_for_file(&asked).await;
    stream.shutdown().await.expect("its end");
    // It has noticed when it hangs up too.
    let answer = timeout(Duration::from_secs(3), stream.read(&mut [0; 16])).await;
    assert!(matches!(answer, Ok(Ok(0) | Err(_))), "{answer:?}");
    signal(agent.pid, Signal::KILL);
}

#[tokio::test]
async fn who_hangs_up_has_asked_all_the_same() {
    let world = World::with_stand_in().await;
    let stubborn = json!({ "launch": { "env": { "STAND_IN": "stubborn" } } });
    let id = make(&world, "fix it", &json!({ "options": stubborn })).await;
    let before = begin(&world, id).await;
    let path = format!("/api/tasks/{id}/restart-claude");
    hang_up(&world, &before, "POST", &path).await;
    world
        .wait_for("it was started again", async || {
            let (task, session) = (task(&world, id).await, world.session(&before.session).await);
            let again = task["restarts"] == 1 && session["pid"].is_u64();
            if again { Ok(()) } else { Err(format!("{task} {session}")) }
        })
        .await;
    let after = world.agent(&before.session).await;
    assert_ne!(before.pid, after.pid);
    wait_until(&world, id, "running").await;

    let other = world.begin_with("other", &stubborn).await;
    hang_up(&world, &other, "DELETE", "/api/sessions/other").await;
    world
        .wait_for("it has left the list", async || {
            let rows = world.get("/api/sessions").await.rows();
            rows.iter().all(|session| session["id"] != other.session)
        })
        .await;
}

/// The processes of a session.
fn processes_of(world: &World, session: &str) -> BTreeSet<u32> {
    let of_session = |pid: &u32| {
        processes::environment(*pid).get("CHORUS_SESSION").is_some_and(|id| id == session)
    };
    processes::living_in(&world.home()).into_iter().filter(of_session).collect()
}

#[tokio::test]
async fn a_session_that_is_ended_or_set_aside_while_it_is_launched_does_not_start() {
    let world = World::with_stand_in().await;
    world.begin("first").await;
    let tmux = world.tmux(&["display-message", "-p", "-t", "=claude-first:", "#{pid}"]).await.ok();
    let tmux: u32 = tmux.stdout.trim().parse().expect("tmux's process");
    for (name, method, path) in [
        ("paused", "POST", "/api/sessions/paused/pause"),
        ("ended", "DELETE", "/api/sessions/ended"),
    ] {
        // Now a launch takes as long as the story wants.
        signal(tmux, Signal::STOP);
        let new = json!({ "initial_prompt": "spend something" });
        let launch = world.create(name, &new);
        let called_off = async {
            let id = world
                .wait_for("its launch is under way", async || {
                    let answer = world.get(format!("/api/sessions/{name}")).await;
                    answer.json()["id"].as_str().map(str::to_owned)
                })
                .await;
            let taken = async {
                world
                    .wait_for("it is taken", async || {
                        let view = world.session(&id).await;
                        view["status"] == "paused"
                            || world.log().contains(&format!("session {id} is ended on request"))
                    })
                    .await;
                signal(tmux, Signal::CONT);
            };
            let asked = world.request(method, path).json(&json!({})).send();
            let (answer, ()) = tokio::join!(asked, taken);
            assert!(answer.status < 300, "{}", answer.text());
        };
        let (id, ()) = tokio::join!(launch, called_off);
        let view = world.wait_for_status(&id, "stopped").await;
        assert_eq!((&view["pid"], processes_of(&world, &id)), (&Value::Null, BTreeSet::new()));
        let status = if name == "paused" { "paused" } else { "completed" };
        assert_eq!(view["status"], status, "{view}");
        let said = world.get(format!("/api/sessions/{id}/messages")).await.rows();
        assert_eq!(said[0]["delivery_status"], "undelivered", "{said:?}");
    }
    let panes = world.tmux(&["list-sessions", "-F", "#{session_name}"]).await.ok().stdout;
    assert!(!panes.contains("claude-ended") && !panes.contains("claude-paused"), "{panes}");
    world.post("/api/sessions/paused/resume", &Value::Null).await.expect(202);
    world.agent("paused").await;
}
