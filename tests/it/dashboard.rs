//! The dashboard in a real browser: Playwright drives Chromium on a server of ours.
//!
//! The stories are in `tests/dashboard/*.spec.js`, one test here for each file. `make test` installs what they need; to
//! run some of them: `make test ARGS='--test it dashboard::now'`.

use std::path::{Path, PathBuf};

use scripted_model::Script;
use serde_json::json;

use crate::harness::{World, processes};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dashboard")
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    let mut there = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .chain([mac])
        .filter(|p| p.exists());
    there.next().expect("no Chromium to test with: use `make test`, which installs it")
}

/// Tells the stories of a file in a world.
async fn tell(world: World, spec: &str) {
    let playwright = tests().join("node_modules/@playwright/test/cli.js");
    assert!(playwright.exists(), "no Playwright to test with: use `make test`, which installs it");
    let description = json!({
        "url": world.running().url,
        "chorus": env!("CARGO_BIN_EXE_chorus"),
        "data": world.data(),
        "project": world.project(),
        "home": world.home(),
        "tmux": world.tmux_socket(),
        "env": world.env(),
        "chromium": chromium(),
    });
    let mut command = world.command("node");
    command
        .arg(playwright)
        .args(["test", "--config"])
        .arg(tests().join("playwright.config.js"))
        .arg("--output")
        .arg(tests().join("test-results").join(spec))
        .arg(format!("{spec}.spec.js"))
        .env("CHORUS_WORLD", description.to_string())
        .envs(std::env::var_os("CHORUS_SCREENSHOTS").map(|folder| ("CHORUS_SCREENSHOTS", folder)))
        .current_dir(tests());
    let output = processes::run(command).await;
    // A story may have started another server.
    world.cli(&["stop"]).await;
    assert!(output.code == Some(0), "{}\n{}", output.stdout, output.stderr);
}

#[tokio::test]
async fn now() {
    tell(World::start().await, "now").await;
}

#[tokio::test]
async fn tasks() {
    tell(World::start().await, "tasks").await;
}

#[tokio::test]
async fn documents() {
    tell(World::build().env("EDITOR", "tail -f").start().await, "documents").await;
}

#[tokio::test]
async fn pages() {
    tell(World::start().await, "pages").await;
}

#[tokio::test]
async fn life() {
    tell(World::start().await, "life").await;
}

#[tokio::test]
async fn live() {
    tell(World::start().await, "live").await;
}

/// A world whose model plays what stands beside the stories.
async fn with_script(spec: &str) -> World {
    let script = std::fs::read_to_string(tests().join(format!("{spec}.script.json")));
    let script = Script::from_json(&script.expect("a script")).expect("a script");
    World::build().script(script).start().await
}

#[tokio::test]
async fn session() {
    tell(with_script("session").await, "session").await;
}

#[tokio::test]
async fn hostile() {
    tell(with_script("hostile").await, "hostile").await;
}
