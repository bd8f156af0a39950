//! How a world comes to be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use scripted_model::{Script, ScriptedModel};
use serde_json::{Value, json};

use super::World;
use crate::harness::{Store, stand_in_but};

/// The key that Claude Code is given. It is nobody's.
const KEY: &str = "sk-ant-dummy";

/// Stands in for Claude Code: it is there, and does nothing. With `STAND_IN=shell` in its
/// environment it does what is typed into its pane; with `stubborn` it notes in its home that it was
/// asked to end, and does not.
const STAND_IN: &str = r#"#!/bin/sh
case "$1" in --version) echo "2.1.329 (Claude Code)"; exit ;; esac
if [ "$STAND_IN" = shell ]; then
    while IFS= read -r line; do sh -c "$line"; done
fi
if [ "$STAND_IN" = stubborn ]; then
    trap ': > "$HOME/asked-$CHORUS_SESSION"' TERM
    while :; do sleep 100000 & wait; done
fi
exec sleep 100000
"#;

/// How a world is to be.
pub struct Builder {
    stand_in: bool,
    gitbutler: bool,
    script: Script,
    env: Vec<(String, String)>,
    serve: Vec<String>,
    data: Option<PathBuf>,
    serves: bool,
    store: Store,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            stand_in: false,
            gitbutler: false,
            script: Script::standard(),
            env: Vec::new(),
            serve: vec!["--port".into(), "0".into()],
            data: None,
            serves: true,
            store: Store::by_default(),
        }
    }
}

impl Builder {
    /// See [`World::with_stand_in`].
    pub fn stand_in(mut self) -> Self {
        self.stand_in = true;
        self
    }

    /// A `but` in `PATH` that stands in for GitButler's.
    pub fn gitbutler(mut self) -> Self {
        self.gitbutler = true;
        self
    }

    /// What the model says, besides its standard scenarios.
    pub fn script(mut self, script: Script) -> Self {
        self.script = self.script.extended_with(script);
        self
    }

    /// Sets a variable in the environment of everything. An empty value removes it.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The arguments of `chorus serve`, instead of `--port 0`.
    pub fn serve(mut self, args: &[&str]) -> Self {
        self.serve = args.iter().map(ToString::to_string).collect();
        self
    }

    /// The data folder, relative to the world's root.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data = Some(path.into());
        self
    }

    /// No server yet: the story starts it.
    pub fn without_server(mut self) -> Self {
        self.serves = false;
        self
    }

    /// With this database; else with the one that `CHORUS_TEST_STORE` names.
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Makes it so.
    pub async fn start(self) -> World {
        // Short: the kernel takes sockets' paths of a hundred bytes only.
        let root = tempfile::Builder::new().prefix("ch").tempdir_in("/tmp").expect("a folder");
        let top = root.path().canonicalize().expect("its path");
        let (home, project) = (top.join("home"), top.join("project"));
        for dir in [&home, &project, &top.join("run")] {
            fs::create_dir_all(dir).expect("a folder");
        }
        fs::set_permissions(top.join("run"), fs::Permissions::from_mode(0o700)).expect("its mode");
        fs::write(home.join(".claude.json"), accepted(&project).to_string()).expect("a file");
        let claude = if self.stand_in { stand_in(&top) } else { real_claude() };
        let model = ScriptedModel::start(self.script).expect("a scripted model");
        let text = |p: &Path| p.to_string_lossy().into_owned();
        let mut env: BTreeMap<String, String> = [
            ("HOME", text(&home)),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("XDG_RUNTIME_DIR", text(&top.join("run"))),
            ("ANTHROPIC_BASE_URL", model.url()),
            ("ANTHROPIC_API_KEY", KEY.into()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ("DISABLE_AUTOUPDATER", "1".into()),
            ("CHORUS_CLAUDE", text(&claude)),
            ("CHORUS_LOGIN_SHELL", "false".into()),
            ("CHORUS_PROJECT_ROOT", text(&project)),
            ("CHORUS_LOG", "info,chorus=debug".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if self.gitbutler {
            let bin = top.join("bin");
            fs::create_dir_all(&bin).expect("a folder");
            std::os::unix::fs::symlink(stand_in_but(), bin.join("but")).expect("a link");
            let path = env.get("PATH").cloned().unwrap_or_default();
            env.insert("PATH".into(), format!("{}:{path}", bin.display()));
        }
        let database = self.store.make().await;
        if let Some(database) = &database {
            env.insert("CHORUS_DATABASE_URL".into(), database.url().to_owned());
        }
        for (name, value) in self.env {
            if value.is_empty() {
                env.remove(&name);
            } else {
                env.insert(name, value);
            }
        }
        let data = top.join(self.data.unwrap_or_else(|| "data".into()));
        let server = Mutex::new(None);
        let world = World { root, model, env, serve: self.serve, data, server, database };
        world.make_repository().await;
        if self.serves {
            world.start_again().await;
        }
        world
    }
}

/// A `.claude.json` in which every question of a first start is answered.
fn accepted(project: &Path) -> Value {
    json!({
        "hasCompletedOnboarding": true,
        "customApiKeyResponses": { "approved": [&KEY[KEY.len().saturating_sub(20)..]], "rejected": [] },
        "projects": { project.to_string_lossy(): {
            "hasTrustDialogAccepted": true,
            "hasClaudeMdExternalIncludesApproved": false,
            "hasClaudeMdExternalIncludesWarningShown": true,
            "enabledMcpjsonServers": [],
            "disabledMcpjsonServers": [],
        } },
    })
}

fn stand_in(top: &Path) -> PathBuf {
    let path = top.join("claude");
    fs::write(&path, STAND_IN).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    path
}

fn real_claude() -> PathBuf {
    match std::env::var_os("CHORUS_TEST_CLAUDE") {
        Some(path) => path.into(),
        None => panic!("CHORUS_TEST_CLAUDE names no Claude Code to test with: use `make test`"),
    }
}
