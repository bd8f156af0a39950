//! `chorus doctor`: what Chorus needs, whether it is there, and what to do if not.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::claude::installation;
pub use crate::claude::installation::{Finding, Level};
use crate::config::{Config, DataDir, Loaded};
use crate::git::{GitButler, Repository, Runner};
use crate::notify::Desktop;
use crate::services::notices::Content;
use crate::services::{database, launch};
use crate::store::Place;
use crate::tmux;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at everything.
pub async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let mut findings = vec![tmux(config).await];
    let folder = project(config);
    // What a session would get, and would find.
    let inherited = launch::inherited(config).await;
    let claude = launch::program(config, &inherited).unwrap_or_else(|| config.claude.clone());
    let env = |name: &str| inherited.get(name).cloned();
    findings.extend(installation::examine(Some(&claude), &folder, env, PATIENCE).await);
    findings.push(data(&DataDir(config.data_dir.clone())));
    findings.push(store(loaded).await);
    findings.extend(notices(loaded));
    findings.extend(git(&folder).await);
    findings
}

fn project(config: &Config) -> PathBuf {
    if config.project_root.as_os_str().is_empty() {
        std::env::current_dir().unwrap_or_default()
    } else {
        config.project_root.clone()
    }
}

fn finding(level: Level, what: String, remedy: Option<&str>) -> Finding {
    Finding { level, what, remedy: remedy.map(str::to_owned) }
}

async fn tmux(config: &Config) -> Finding {
    match tmux::installed_version(&config.tmux).await {
        Ok(version) if version.is_supported() => {
            finding(Level::Ok, format!("tmux {}", version.text), None)
        }
        Ok(version) => finding(
            Level::Fail,
            format!("tmux {} is too old", version.text),
            Some("install tmux 3.2 or newer"),
        ),
        Err(e) => finding(
            Level::Fail,
            e.to_string(),
            Some("install tmux (apt install tmux, brew install tmux)"),
        ),
    }
}

fn data(data: &DataDir) -> Finding {
    let dir = &data.0;
    let Ok(meta) = std::fs::metadata(dir) else {
        let what = format!("the data folder {} is not there yet", dir.display());
        return finding(Level::Ok, what, Some("the server makes it at its first start"));
    };
    if meta.uid() != rustix::process::getuid().as_raw() {
        let what = format!("the data folder {} belongs to another user", dir.display());
        return finding(Level::Fail, what, Some("choose another --data-dir"));
    }
    if meta.mode() & 0o077 != 0 {
        let what = format!("the data folder {} can be read by other users", dir.display());
        return finding(Level::Warn, what, Some("chmod 700 it; the server does so when it starts"));
    }
    let waiting = std::fs::read_dir(data.spool()).map_or(0, |entries| entries.count());
    if waiting > 0 {
        let what = format!("{waiting} hooks wait in {}", data.spool().display());
        return finding(Level::Warn, what, Some("start the server: it takes them in"));
    }
    finding(Level::Ok, format!("the data folder is {}", dir.display()), None)
}

async fn store(loaded: &Loaded) -> Finding {
    let place = match database::choose(loaded).await {
        Ok(chosen) => chosen.place,
        Err(e) => return finding(Level::Fail, e.to_string(), None),
    };
    if let Place::Sqlite(file) = &place
        && !file.exists()
    {
        let what = format!("the database {place} is not there yet");
        return finding(Level::Ok, what, Some("the server makes it at its first start"));
    }
    match database::check(loaded, false).await {
        Ok(checked) if !checked.check.problems.is_empty() => finding(
            Level::Fail,
            format!("the database {place} cannot be used: {}", checked.check.problems.join("; ")),
            Some("`chorus db check` tells more"),
        ),
        Ok(checked) if !checked.check.pending.is_empty() => finding(
            Level::Ok,
            format!("the database is {place}"),
            Some("the server brings it up to date when it starts, or `chorus db migrate` now"),
        ),
        Ok(_) => finding(Level::Ok, format!("the database is {place}"), None),
        Err(e) => finding(
            Level::Fail,
            e.to_string(),
            Some("see that it runs and that `chorus config` shows the right database_url"),
        ),
    }
}

/// How people are told of what needs them. That there is no desktop is as good.
fn notices(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config.notify;
    let desktop = match Desktop::find(|name| std::env::var_os(name)) {
        _ if !config.desktop => {
            finding(Level::Ok, "no notices on the desktop: notify.desktop is off".into(), None)
        }
        Ok(way) => {
            let what = format!("notices go to the desktop by {}", way.program().display());
            finding(Level::Ok, what, Some("`chorus notify test` shows one"))
        }
        Err(absent) => {
            finding(Level::Ok, format!("no notices on a desktop: {absent}"), Some(absent.remedy()))
        }
    };
    let ledger = Content::read(&DataDir(loaded.config.data_dir.clone()).notices());
    let failed = ledger.failures.into_iter().map(|(channel, f)| {
        let n = f.count;
        let what = format!("notices do not go out by {channel} (failed {n} times): {}", f.problem);
        finding(Level::Warn, what, Some("put that right, then `chorus notify test`"))
    });
    [desktop].into_iter().chain(failed).collect()
}

/// Git keeps the edits of tasks apart. GitButler is optional: tasks get worktrees where it is not there.
async fn git(folder: &Path) -> Vec<Finding> {
    let runner = Runner::new(std::env::vars(), None);
    if runner.find("git").is_none() {
        let what = "git is not there: nothing keeps the edits of tasks apart".to_owned();
        return vec![finding(Level::Warn, what, Some("install git (apt install git)"))];
    }
    let repository = Repository::find(&runner, folder).await;
    let here = match &repository {
        Ok(repository) => {
            finding(Level::Ok, format!("the git repository is {}", repository.root.display()), None)
        }
        Err(e) => finding(Level::Ok, e.to_string(), None),
    };
    vec![here, gitbutler(&runner, folder, repository.ok()).await]
}

async fn gitbutler(runner: &Runner, folder: &Path, repository: Option<Repository>) -> Finding {
    if runner.find("but").is_none() {
        let what = "GitButler (`but`) is not there; each task gets a git worktree".to_owned();
        return finding(Level::Ok, what, None);
    }
    match GitButler::probe(runner, folder).await {
        Err(e) => finding(
            Level::Warn,
            e.to_string(),
            Some("update it; until then each task gets a git worktree"),
        ),
        Ok(version) => {
            let set_up = match repository {
                Some(repository) => GitButler { repository }.is_set_up().await.unwrap_or_default(),
                None => false,
            };
            let (place, remedy) = if set_up {
                ("set up here", None)
            } else {
                ("not set up here", Some("`chorus git setup` does that, if you want its branches"))
            };
            finding(Level::Ok, format!("GitButler {version}, {place}"), remedy)
        }
    }
}
