//! `chorus serve`: starting, stopping, and who else is there.

use std::fs;

use crate::harness::{Via, World};

#[tokio::test]
async fn the_probes_answer() {
    let world = World::with_stand_in().await;
    assert_eq!(world.get("/healthz").await.expect(200).text(), "ok");
    assert_eq!(world.get("/readyz").await.expect(200).text(), "ready");
    let version = world.request("GET", "/version").via(Via::Unix).send().await.expect(200).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused_and_told_of_the_first() {
    let world = World::with_stand_in().await;
    let second = world.cli(&["serve", "--port", "0"]).await;
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains(&format!("pid {}", world.server_pid())), "{}", second.stderr);
    assert!(second.stderr.contains(&world.running().url), "{}", second.stderr);
    // The first has lost nothing.
    world.get("/readyz").await.expect(200);
    world.request("GET", "/readyz").via(Via::Unix).send().await.expect(200);
}

#[tokio::test]
async fn sigterm_leaves_neither_socket_nor_address_behind() {
    let world = World::with_stand_in().await;
    assert_eq!(world.stop().await, Some(0));
    assert!(!world.data().join("server.json").exists());
    assert!(!world.socket().exists());
    let left = fs::read_to_string(world.root().join("serve.log")).expect("its log");
    assert!(left.contains("Chorus has stopped"), "{left}");
}
