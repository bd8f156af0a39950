//! What was acknowledged is kept, whatever dies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use serde_json::json;

use crate::harness::{Agent, Store, World, connect_unix, on_both_stores};
use crate::hooks::calls;

on_both_stores! {
    nothing_that_was_acknowledged_is_lost_over_twenty_kills_under_load
    sessions_that_die_or_go_on_while_the_server_is_away_are_found_as_they_are
}

/// Connections that post events of one session each.
const SESSIONS: usize = 4;
/// How often the server is killed.
const KILLS: usize = 20;

/// Posts hooks one after another, as Claude Code does, through whatever happens to the server:
/// what was not acknowledged is delivered again, in order, with the same stamp.
async fn post_for_ever(
    socket: PathBuf,
    agent: Agent,
    acked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
) {
    let mut connection = None;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("toolu_{n:06}");
        let stamp = uuid::Uuid::now_v7().to_string();
        let at = chorus::clock::now().0.to_string();
        let body =
            Bytes::from(agent.payload("PostToolUse", &Agent::called(&id, "make")).to_string());
        for attempt in 0.. {
            if connection.is_none() {
                connection = connect_unix(&socket).await.ok();
            }
            let Some(sender) = connection.as_mut() else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let mut request = Request::post("/api/hooks/PostToolUse")
                .header("host", "localhost")
                .header("content-type", "application/json")
                .header("x-chorus-stamp", &stamp)
                .header("x-chorus-at", &at);
            for (name, value) in agent.headers() {
                request = request.header(name, value);
            }
            if attempt > 0 {
                request = request.header("x-chorus-again", "1");
            }
            let request = request.body(Full::new(body.clone())).expect("a request");
            let answered = match sender.send_request(request).await {
                // The head of the answer is the acknowledgement.
                Ok(response) if response.status() == 204 => {
                    let _ = response.into_body().collect().await;
                    true
                }
                Ok(response) => {
                    // A server on its way out says so; anything else would be a mistake.
                    assert_eq!(response.status(), 503, "{id}");
                    false
                }
                Err(_) => false,
            };
            if answered {
                acked.lock().expect("no panic").push(id.clone());
                break;
            }
            connection = None;
        }
    }
}

async fn nothing_that_was_acknowledged_is_lost_over_twenty_kills_under_load(store: Store) {
    let world = World::on(store).await;
    let mut agents = Vec::new();
    for n in 0..SESSIONS {
        let agent = world.begin(&format!("load-{n}")).await;
        world.post_hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.expect(204);
        agents.push(agent);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let acked: Vec<_> = agents.iter().map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
    let posting: Vec<_> = agents
        .iter()
        .zip(&acked)
        .map(|(agent, acked)| {
            let (socket, agent) = (world.socket(), agent.clone());
            tokio::spawn(post_for_ever(socket, agent, acked.clone(), stop.clone()))
        })
        .collect();
    let total = AtomicUsize::new(0);
    for kill in 0..KILLS {
        // Somewhere in the middle of the load: at another place each time.
        let goal = total.load(Ordering::Relaxed) + 7 + kill * 13 % 41;
        world
            .wait_for("the load goes on", async || {
                let now: usize = acked.iter().map(|a| a.lock().expect("no panic").len()).sum();
                total.store(now, Ordering::Relaxed);
                now >= goal
            })
            .await;
        world.kill9();
        world.start_again().await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in posting {
        task.await.expect("a quiet end");
    }
    for (agent, acked) in agents.iter().zip(&acked) {
        let acked = acked.lock().expect("no panic").clone();
        let calls = calls(&world, &agent.session).await;
        let logged: Vec<_> =
            calls.iter().map(|c| c["tool_use_id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(logged, acked, "in the log: once each, and in order");
        assert!(calls.iter().all(|c| c["status"] == "completed" && c["result"] == "did make"));
    }
    // And the state is right: still busy, with the same processes.
    for agent in &agents {
        let view = world.session(&agent.session).await;
        assert_eq!((&view["claude_status"], &view["status"]), (&json!("busy"), &json!("active")));
        assert_eq!(view["pid"], agent.pid);
        world.post_hook(agent, "Stop", &json!({})).await.expect(204);
        world.wait_for_status(&agent.session, "idle").await;
    }
    // Every event was told under one id only, and no id was skipped.
    let last = world.events(None).await.last_id;
    let mut events = world.events(Some(0)).await;
    let (mut told, mut at) = (BTreeMap::new(), 0);
    while at < last {
        let event = events.next().await.expect("an event");
        assert!(event.id > at, "{} after {at}", event.id);
        at = event.id;
        if event.kind == "tool_use" {
            let of = |key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
            *told.entry((of("session_id"), of("tool_use_id"))).or_insert(0) += 1;
        }
    }
    let expected: usize = acked.iter().map(|a| a.lock().expect("no panic").len()).sum();
    assert_eq!(told.len(), expected);
    assert!(told.values().all(|n| *n == 1));
}

async fn sessions_that_die_or_go_on_while_the_server_is_away_are_found_as_they_are(store: Store) {
    let world = World::on(store).await;
    let mut agents = BTreeMap::new();
    for name in ["stays", "killed", "closed", "worked", "asked"] {
        let agent = world.begin(name).await;
        world.post_hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.expect(204);
        agents.insert(name, agent);
    }
    world.kill9();
    crate::harness::signal(agents["killed"].pid, rustix::process::Signal::KILL);
    world.tmux(&["kill-session", "-t", "=claude-closed"]).await.ok();
    world.hook(&agents["worked"], "Stop", &json!({})).await.ok();
    let own = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
    let held = world.begin_hook(&agents["asked"], "PermissionRequest", &own).await;
    world.start_again().await;
    world.wait_for_status("worked", "idle").await;
    world.wait_for_status("asked", "waiting").await;
    let killed = world.wait_for_status("killed", "stopped").await;
    assert_eq!(killed["status"], "error");
    assert!(killed["detail"]["error"].as_str().is_some_and(|e| e.contains("signal 9")), "{killed}");
    let closed = world.wait_for_status("closed", "stopped").await;
    assert_eq!(closed["status"], "error");
    let stays = world.session("stays").await;
    assert_eq!(
        (&stays["claude_status"], &stays["pid"]),
        (&json!("busy"), &json!(agents["stays"].pid))
    );
    world.post("/api/sessions/asked/respond", &json!({"confirm": true})).await.expect(200);
    assert_eq!(held.end().await.ok().json()["hookSpecificOutput"]["decision"]["behavior"], "allow");
}

#[tokio::test]
async fn a_session_survives_a_kill_at_any_moment_of_its_making() {
    let world = World::with_stand_in().await;
    for (n, wait_ms) in [0, 2, 5, 10, 15, 20, 30, 45].into_iter().enumerate() {
        let name = format!("s{n}");
        let body = json!({ "name": name });
        let request = world.request("POST", "/api/sessions").json(&body);
        let answer = tokio::select! {
            answer = request.try_send() => answer.ok(),
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => None,
        };
        world.kill9();
        world.start_again().await;
        let listed = world.get("/api/sessions").await.rows();
        let found: Vec<_> = listed.iter().filter(|s| s["name"] == name).collect();
        assert!(found.len() <= 1, "{found:?}");
        if let Some(answer) = answer {
            assert_eq!(answer.status, 201, "{}", answer.text());
            assert_eq!(found.len(), 1, "an acknowledged session is lost");
        }
        if !found.is_empty() {
            // Adopted, or known to have failed; a name that was kept can be used after its end.
            world
                .wait_for("it is known what became of it", async || {
                    let view = world.session(&name).await;
                    let (pid, status) = (view["pid"].is_u64(), view["claude_status"] == "stopped");
                    if pid || status { Ok(()) } else { Err(view.to_string()) }
                })
                .await;
            world.delete(format!("/api/sessions/{name}")).await.expect(204);
        }
        world.create(&name, &json!({})).await;
        world.delete(format!("/api/sessions/{name}")).await.expect(204);
    }
    // None is left behind in tmux either.
    world
        .wait_for("tmux has no session of ours", async || {
            let left = world.tmux(&["list-sessions", "-F", "#{session_name}"]).await.stdout;
            if left.contains("claude-") { Err(left) } else { Ok(()) }
        })
        .await;
}
