//! `chorus serve` and `chorus config`: starting, stopping, and who else is there.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::{Store, Via, World};

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
async fn sigterm_ends_it_and_leaves_neither_socket_nor_address_behind() {
    let world = World::with_stand_in().await;
    // Neither a listener nor a connection without any request holds it up.
    let mut events = world.events(None).await;
    let _idle = crate::harness::connect(&world, Via::Tcp).await.expect("a connection");
    assert_eq!(world.stop().await, Some(0));
    assert!(!world.data().join("server.json").exists());
    assert!(!world.socket().exists());
    assert!(world.log().contains("Chorus has stopped"), "{}", world.log());
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn a_killed_server_is_replaced_by_the_next() {
    let world = World::with_stand_in().await;
    world.kill9();
    assert!(world.socket().exists(), "nobody was there to remove it");
    let away = world.cli(&["ps"]).await;
    assert_eq!(away.code, Some(4), "{}", away.stderr);
    assert!(away.stderr.contains("chorus serve"), "{}", away.stderr);
    world.start_again().await;
    world.cli(&["ps"]).await.ok();
}

#[tokio::test]
async fn a_busy_port_moves_on_unless_it_was_asked_for() {
    // A port in the range of the default one, so that a server of the developer's may have it too.
    let taken = TcpListener::bind("127.0.0.1:8000");
    let world = World::build().stand_in().serve(&[]).start().await;
    let port: u16 = world.host().rsplit_once(':').expect("a port").1.parse().expect("a number");
    assert!((8001..=8100).contains(&port), "{port}");
    drop(taken);

    let other = World::build().stand_in().without_server().start().await;
    let refused = other.cli(&["serve", "--port", &port.to_string()]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("choose another --port"), "{}", refused.stderr);
    assert!(!other.data().join("server.json").exists());
}

#[tokio::test]
async fn a_data_folder_with_a_very_long_path_will_do() {
    let long = format!("data/{}", ["a-rather-long-name-of-a-folder-🎼"; 8].join("/"));
    let world = World::build().stand_in().data_dir(&long).start().await;
    assert!(!world.data().join("api.sock").exists());
    world.cli(&["ps"]).await.ok();
    // Its tmux works too, and the way to it is told.
    let agent = world.begin("far-away").await;
    world.wait_for_status(&agent.session, "idle").await;
    let how = world.cli(&["attach", "far-away", "--json"]).await.ok().json();
    assert_eq!(how["socket"], world.tmux_socket().to_string_lossy().as_ref());
    let open = world.cli(&["open", "--json"]).await.ok().json();
    assert_eq!(open["url"], world.running().url);
    world.kill9();
    world.start_again().await;
    world.wait_for_status(&agent.session, "idle").await;
}

#[tokio::test]
async fn sockets_are_put_into_nobody_elses_folder() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    let long = format!("data/{}", ["a-rather-long-name-of-a-folder"; 8].join("/"));
    let world = World::build().stand_in().data_dir(&long).without_server().start().await;
    let folder = world.root().join("run/chorus");
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode));
    let refused = async |why: &str| {
        let serve = world.cli(&["serve", "--port", "0"]);
        let refused = tokio::time::timeout(std::time::Duration::from_secs(30), serve).await;
        let refused = refused.unwrap_or_else(|_| panic!("it serves, though {why}"));
        assert_eq!(refused.code, Some(1), "{why}: {}", refused.stderr);
        let text = refused.stderr;
        assert!(text.contains(&*folder.to_string_lossy()), "{why}: {text}");
        assert!(text.contains("--data-dir"), "{why}: {text}");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0, "{why}");
    };
    fs::create_dir(&folder).expect("a folder");
    mode(0o770).expect("its mode");
    refused("its group may write there").await;
    mode(0o700).expect("its mode");
    if rustix::process::getuid().is_root() {
        chown(&folder, Some(65534), None).expect("its owner");
        refused("somebody else has made it").await;
        chown(&folder, Some(0), None).expect("its owner");
    }
    let other = world.root().join("other");
    fs::rename(&folder, &other).expect("renamed");
    symlink(&other, &folder).expect("a link");
    refused("it is a link").await;
    fs::remove_file(&folder).expect("removed");
    world.start_again().await;
    world.cli(&["ps"]).await.ok();
}

#[tokio::test]
async fn config_shows_every_value_and_where_it_comes_from() {
    let world = World::build()
        .stand_in()
        .store(Store::Sqlite)
        .env("PORT", "1234")
        .env("CHORUS_PROJECT_ROOT", "")
        .env("PROJECT_ROOT", "/srv")
        .env("CHORUS_EDITOR", "ed")
        .env("EDITOR", "not-this")
        .env("CHORUS_SURPRISE", "1")
        .env("DATABASE_URL", "mysql://another.program/db")
        .without_server()
        .start()
        .await;
    let file = world.root().join("c.toml");
    fs::write(&file, "session_prefix = \"c\"\nport = 1\n").expect("a file");
    let name = file.to_string_lossy();
    let shown = world.cli(&["config", "--json", "--config", &name]).await.ok().json();
    let (values, origins) = (&shown["values"], &shown["origins"]);
    assert_eq!(
        (&values["port"], &origins["port"]),
        (&json!(1234), &json!({"environment": "PORT"}))
    );
    assert_eq!(values["project_root"], "/srv");
    assert_eq!(origins["editor"], json!({"environment": "CHORUS_EDITOR"}));
    assert_eq!(values["editor"], "ed");
    assert_eq!(origins["session_prefix"], json!({"file": name}));
    assert_eq!(origins["data_dir"], json!({"flag": "data-dir"}));
    assert_eq!(origins["poll_interval"], "default");
    assert_eq!(
        (&values["database_url"], &origins["database_url"]),
        (&json!(""), &json!("default"))
    );
    let warnings = shown["warnings"].to_string();
    assert!(
        warnings.contains("$CHORUS_SURPRISE") && warnings.contains("$DATABASE_URL"),
        "{warnings}"
    );
    let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    assert_eq!(
        keys(values).map(|mut k| {
            k.sort();
            k
        }),
        keys(origins).map(|mut k| {
            k.sort();
            k
        })
    );
    let text = world.cli(&["config", "--config", &name]).await.ok().stdout;
    assert!(text.contains("$PORT") && text.contains(&*name), "{text}");
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named_with_its_origin() {
    let world = World::build().stand_in().without_server().start().await;
    let file = world.root().join("c.toml");
    for (content, key) in [
        ("port = \"eighty\"", "port"),
        ("poll_interval = 0.0", "poll_interval"),
        ("surprise = 1", "surprise"),
        ("host = \"0.0.0.0\"", "host"),
    ] {
        fs::write(&file, content).expect("a file");
        let name = file.to_string_lossy();
        for args in [&["serve", "--config", &name][..], &["config", "--config", &name]] {
            let refused = world.cli(args).await;
            assert_eq!(refused.code, Some(2), "{content}: {}", refused.stdout);
            let text = refused.stderr;
            assert!(text.contains(key) && text.contains(&*name), "{content}: {text}");
        }
    }
    fs::write(&file, "port = = 1").expect("a file");
    let refused = world.cli(&["config", "--config", &file.to_string_lossy()]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("line 1"), "{}", refused.stderr);
    let refused = world.cli(&["serve", "--port", "many"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("--port"), "{}", refused.stderr);
}

#[tokio::test]
async fn run_starts_a_server_if_none_runs() {
    let world = World::build().stand_in().env("PORT", "0").without_server().start().await;
    let started = world.cli(&["run", "fix the flaky test", "--json"]).await.ok();
    assert!(started.stderr.contains("started a server"), "{}", started.stderr);
    let session = started.json();
    assert_eq!(session["name"], "fix-the-flaky-test");
    let trees = world.data().join("worktrees");
    let workspace = session["workspace_path"].as_str().expect("a folder");
    assert!(std::path::Path::new(workspace).starts_with(trees), "{workspace}");
    // The server outlives the command, and the next command finds it.
    let second = world.cli(&["run", "--here", "fix the flaky test"]).await.ok();
    assert!(!second.stderr.contains("started a server"), "{}", second.stderr);
    let listed = world.cli(&["ps", "--json"]).await.ok().json();
    let names: Vec<_> = listed.as_array().expect("a list").iter().map(|s| &s["name"]).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&&json!("fix-the-flaky-test-2")), "{names:?}");
    let here = world.session("fix-the-flaky-test-2").await["workspace_path"].clone();
    assert_eq!(here, json!(world.project()));
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_starts_first_leaves_nothing_half_done() {
    let world = World::build().stand_in().without_server().start().await;
    // At every stage: before the folder, in the middle of the migrations, just before serving.
    for wait_us in [0, 500, 1_000, 2_000, 4_000, 6_000, 8_000, 12_000, 16_000, 24_000, 40_000] {
        world.spawn_server();
        tokio::time::sleep(std::time::Duration::from_micros(wait_us)).await;
        world.kill9();
        if wait_us % 1_000 == 0 && wait_us > 4_000 {
            world.start_again().await;
            world.get("/readyz").await.expect(200);
            assert_eq!(world.get("/api/sessions").await.rows(), Vec::<Value>::new());
            world.kill9();
            fs::remove_dir_all(world.data()).expect("a fresh folder");
        }
    }
    world.start_again().await;
    // Once more on a database that is up to date: migrations change nothing.
    assert_eq!(world.stop().await, Some(0));
    world.start_again().await;
    world.get("/readyz").await.expect(200);
}
