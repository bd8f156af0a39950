//! What is asked for while something else is under way, and who asks and does not wait.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Agent, World, signal};
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
