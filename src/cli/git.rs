//! `chorus git` and `chorus worktrees`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Result;
use hyper::Method;
use serde_json::Value;

use super::args::{Git, OfProject, Worktrees};
use super::client::{Client, encoded};
use super::exit::Exit;
use super::{launch, rules, show};
use crate::api::git::{PruneWorktrees, Removed, SetupConsent};
use crate::api::tasks::EndedTask;
use crate::domain::ids::{ProjectId, TaskId};
use crate::domain::shell;
use crate::services::git::worktrees::{PrunedWorktrees, Worktree};
use crate::services::git::{Changes, Commit, GitStatus};

/// What is said before a repository is set up.
const EXPLANATION: &str = "\
GitButler keeps the edits of several tasks apart in one directory: each task gets a branch, and its
edits are committed there at the end of each turn. Setting it up does this to the repository:
  - HEAD moves to a branch gitbutler/workspace; your branch becomes one of those that are applied there
  - it adds hooks (pre-commit, post-checkout) and a folder .git/gitbutler
  - plain git commit, checkout, merge, rebase, reset and stash no longer go with it; reading does
Uncommitted changes stay. `but teardown`, or checking another branch out, leads back.";

/// Shows or sets up how a project's edits are kept apart.
pub async fn run(client: &Client, what: Git, json: bool) -> Result<Exit> {
    match what {
        Git::Status(of) => {
            let id = project(client, &of).await?;
            let status: GitStatus = client.get(&format!("/api/projects/{id}/git")).await?;
            show_status(&status, json)?;
        }
        Git::Setup { project: of, yes } => {
            let id = project(client, &of).await?;
            let status: GitStatus = client.get(&format!("/api/projects/{id}/git")).await?;
            if status.set_up {
                show_status(&status, json)?;
                return Ok(Exit::Ok);
            }
            if let Some(problem) = &status.gitbutler_problem {
                return Err(Exit::Failed.error(show::safe(problem)));
            }
            if !yes && !agreed(status.repository.as_deref())? {
                return Err(Exit::Failed.error("nothing was changed"));
            }
            let consent = SetupConsent { confirm: true };
            let path = format!("/api/projects/{id}/git/setup");
            let status: GitStatus = client.post(&path, &consent).await?;
            show_status(&status, json)?;
        }
    }
    Ok(Exit::Ok)
}

/// Explains and asks.
fn agreed(repository: Option<&str>) -> Result<bool> {
    eprintln!("{EXPLANATION}");
    ask(&format!("Set up {}?", show::safe(repository.unwrap_or("it"))))
}

/// The project that is meant: by its name, or by this directory.
async fn project(client: &Client, of: &OfProject) -> Result<ProjectId> {
    if let Some(name) = &of.project {
        return rules::project(client, name).await;
    }
    Ok(launch::project(client, &std::env::current_dir()?).await?.id)
}

fn show_status(status: &GitStatus, json: bool) -> Result<()> {
    let said = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), show::safe);
    let but = match (&status.gitbutler, status.set_up) {
        (Some(version), true) => format!("{}, set up here", show::safe(version)),
        (Some(version), false) => {
            format!("{}, not set up here (`chorus git setup`)", show::safe(version))
        }
        (None, _) => said(&status.gitbutler_problem),
    };
    let mut lines = vec![
        format!("repository  {}", said(&status.repository)),
        format!("branch      {}", said(&status.branch)),
        format!("setting     {}", status.settings.backend),
        format!("tasks get   {}", show::safe(&status.effective)),
        format!("GitButler   {but}"),
        format!("worktrees   {}", show::safe(&status.worktrees)),
    ];
    if let Some(problem) = &status.problem {
        lines.push(format!("problem     {}", show::safe(problem)));
    }
    show::done(&lines.join("\n"), status, json)
}

// --- tasks ---

/// Tells of a task that is over, and what can be done with its branch.
pub fn ended(task: &EndedTask, json: bool) -> Result<()> {
    let mut lines = vec![format!(
        "task {} is {}: {}",
        task.task.id,
        task.task.status,
        show::line(&task.task.title, 80)
    )];
    if let Some(commit) = &task.discarded_commit {
        lines.push(format!("its edits were discarded; `git branch NAME {commit}` has them back"));
    }
    if let Some(offer) = &task.git {
        let branch = show::safe(&offer.branch);
        match &offer.nothing_committed {
            Some(why) => {
                lines.push(format!("nothing was committed to {branch}: {}", show::safe(why)));
            }
            None => lines.push(format!("branch {branch}, {} commits", offer.commits)),
        }
        if let Some(problem) = &offer.problem {
            lines.push(format!("not committed: {}", show::safe(problem)));
        }
        if let Some(refused) = &offer.refused {
            lines.push(format!("not done: {}", show::safe(refused)));
        }
        match (&offer.pr_url, &offer.pushed_to) {
            (Some(url), _) => lines.push(show::safe(url)),
            (None, Some(remote)) => {
                lines.push(format!("pushed to {}", show::safe(remote)));
                lines.push(format!("  {}", typed(&offer.pr_command)));
            }
            (None, None) if offer.commits > 0 => {
                lines.push(format!("  {}", typed(&offer.push_command)));
                lines.push(format!("  {}", typed(&offer.pr_command)));
            }
            (None, None) => {}
        }
    }
    show::done(&lines.join("\n"), task, json)
}

/// A command as it can be typed.
fn typed(words: &[String]) -> String {
    show::safe(&shell::command(words))
}

/// Asks whether a task's edits are to go. Without a terminal nobody can agree.
pub async fn discards(client: &Client, id: TaskId) -> Result<bool> {
    let changes: Changes = client.get(&format!("/api/tasks/{id}/diff")).await?;
    let branch = changes.branch.as_deref().unwrap_or("no branch");
    let files = changes.committed.files.len() + changes.uncommitted.len();
    ask(&format!("Discard {} with changes in {files} files?", show::safe(branch)))
}

fn ask(question: &str) -> Result<bool> {
    let mut out = std::io::stderr().lock();
    if !std::io::stdin().is_terminal() {
        writeln!(out, "{question} Nobody is here to agree; --yes does.")?;
        return Ok(false);
    }
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Shows what a task has changed.
pub async fn diff(client: &Client, id: TaskId, json: bool) -> Result<()> {
    let changes: Changes = client.get(&format!("/api/tasks/{id}/diff")).await?;
    let mut text = show::safe(&changes.committed.patch);
    if changes.committed.cut {
        text.push_str("\n(there is more of it: git shows all)");
    }
    if !changes.uncommitted.is_empty() {
        let names = changes.uncommitted.iter().map(|c| format!("  {}", show::safe(&c.path)));
        let names = names.collect::<Vec<_>>().join("\n");
        text.push_str(&format!("\nnot committed:\n{names}\n"));
        text.push_str(&show::safe(&changes.uncommitted_diff.patch));
    }
    let text = if text.trim().is_empty() { "nothing has changed" } else { text.trim_end() };
    show::done(text, &changes, json)
}

/// Lists the commits on a task's branch.
pub async fn commits(client: &Client, id: TaskId, json: bool) -> Result<()> {
    let commits: Vec<Commit> = client.get(&format!("/api/tasks/{id}/commits")).await?;
    let short = |id: &str| id.chars().take(10).collect::<String>();
    let line =
        |c: &Commit| format!("{}  {}", show::safe(&short(&c.id)), show::line(&c.subject, 100));
    let mut text = commits.iter().map(line).collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        text.push_str("nothing was committed");
    }
    show::done(&text, &commits, json)
}

// --- worktrees ---

/// Lists worktrees, or removes them.
pub async fn worktrees(client: &Client, what: Option<Worktrees>, json: bool) -> Result<Exit> {
    match what {
        None => {
            let all: Vec<Worktree> = client.get("/api/worktrees").await?;
            let text = if all.is_empty() {
                "there are no worktrees of tasks".to_owned()
            } else {
                all.iter().map(line).collect::<Vec<_>>().join("\n")
            };
            show::done(&text, &all, json)?;
        }
        Some(Worktrees::Prune { dry_run }) => {
            let asked = PruneWorktrees { project_id: None, dry_run };
            let pruned: PrunedWorktrees = client.post("/api/worktrees/prune", &asked).await?;
            let verb = if dry_run { "would remove" } else { "removed" };
            let removed = pruned.removed.iter().map(|w| format!("{verb} {}", line(w)));
            let kept = pruned.kept.iter().map(|w| format!("kept {}", line(w)));
            let mut text = removed.chain(kept).collect::<Vec<_>>().join("\n");
            if text.is_empty() {
                text.push_str("there are no worktrees of tasks");
            }
            show::done(&text, &pruned, json)?;
        }
        Some(Worktrees::Remove { name, force }) => {
            let path = format!("/api/worktrees/{}?force={force}", encoded(&name));
            let removed: Removed = client.call(Method::DELETE, &path, None::<&Value>).await?;
            let mut text = format!("removed {}", show::safe(&removed.worktree.path));
            if let (Some(commit), Some(branch)) = (&removed.commit, &removed.worktree.branch) {
                let branch = show::safe(branch);
                text.push_str(&format!(
                    "\nall of it is in {commit}; `git branch {branch} {commit}` has it back"
                ));
            }
            show::done(&text, &removed, json)?;
        }
    }
    Ok(Exit::Ok)
}

fn line(w: &Worktree) -> String {
    let task = w.task_id.map_or("-".to_owned(), |task| format!("task {task}"));
    let why = w.kept.as_deref().unwrap_or("nothing is left to lose");
    let (name, path) = (show::safe(&w.name), show::safe(&w.path));
    format!("{name}  {task}  {}  {path}  ({})", size(w.size), show::safe(why))
}

/// Bytes in a few characters.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}
