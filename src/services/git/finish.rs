//! The end of an attempt: the last commit, and what becomes of the branch.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::App;
use super::super::error::Error;
use super::backend::Place;
use super::commit::{commit, noted};
use super::{backend, claims, show};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::ids::TaskId;
use crate::domain::project::Project;
use crate::domain::task::{Attempt, AttemptOutcome, GitBackend, Task};
use crate::git::{Backend, Branch, Call};
use crate::services::live::Known;

/// What can be done with a finished task's branch, and what was done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// The branch.
    pub branch: String,
    /// The commit that it began at.
    pub base: String,
    /// Its last commit.
    pub head: Option<String>,
    /// How many commits it has.
    pub commits: usize,
    /// Why it has none, and what to do.
    pub nothing_committed: Option<String>,
    /// What keeps edits from being committed, if anything does.
    pub problem: Option<String>,
    /// The command that pushes it, as words.
    pub push_command: Vec<String>,
    /// The command that makes a pull request of it, as words.
    pub pr_command: Vec<String>,
    /// The remote that it was pushed to.
    pub pushed_to: Option<String>,
    /// The pull request that was made.
    pub pr_url: Option<String>,
    /// Why what was asked for was not done.
    pub refused: Option<String>,
}

async fn project(app: &App, task: &Task) -> Result<Project, Error> {
    super::super::projects::get(app, task.project_id).await
}

/// Commits what an attempt has left so far. What stands in the way is noted on it.
pub async fn settle(app: &App, task: &Task, attempt: &Attempt) {
    if attempt.git_backend == GitBackend::None {
        return;
    }
    let settled = async {
        let project = project(app, task).await?;
        let known = Known { task: task.clone(), attempt: Some(attempt.clone()) };
        commit(app, &known, &project).await
    };
    if let Err(e) = settled.await {
        tracing::warn!(task = %task.id, error = %e, "what the attempt left was not committed");
    }
}

/// An attempt is over: what it has left is committed, and its claims are given back; but if it may go on
/// they are kept as long as something keeps its edits from being committed. Doing it again does nothing.
pub async fn finish(app: &App, task: &Task, attempt: &Attempt) {
    if attempt.outcome == Some(AttemptOutcome::Undelivered) {
        // Nobody has worked in it.
        take_back(app, task, attempt).await;
    } else {
        settle(app, task, attempt).await;
    }
    let id = task.id;
    let may_go_on = attempt.outcome == Some(AttemptOutcome::Interrupted);
    let released = app.engine.run(move |live, unit| {
        let last = live.tasks.get(id).and_then(|known| known.attempt.as_ref());
        if !may_go_on || last.is_none_or(|a| a.git_problem.is_none()) {
            claims::release(live, unit, id);
        }
        Ok::<_, Error>(())
    });
    if let Err(e) = released.await {
        tracing::warn!(task = %id, error = %e, "the files of task {id} are still claimed");
    }
}

/// Takes a branch away that nothing was done on.
pub async fn take_back<'a>(app: &App, task: &Task, place: impl Into<Place<'a>>) {
    let place = place.into();
    let taken_back = async {
        let project = project(app, task).await?;
        let Some((backend, branch)) = backend::of(app, &project, place).await? else {
            return Ok(());
        };
        let _turn = app.git.turns.take(&backend.repository().common).await;
        let tip = backend.repository().tip(&branch.name).await?;
        if tip.as_ref() == Some(&branch.base) {
            backend.discard(&branch).await?;
        }
        Ok::<_, Error>(())
    };
    if let Err(e) = taken_back.await {
        tracing::warn!(task = %task.id, error = %e, "an unused branch was not removed");
    }
}

/// The branch that an attempt's edits can be taken away with.
async fn own_branch(app: &App, task: &Task, attempt: &Attempt) -> Result<(Backend, Branch), Error> {
    let project = project(app, task).await?;
    backend::of(app, &project, attempt).await?.ok_or_else(|| {
        Error::conflict(
            "nothing keeps this task's edits apart from others': there is no branch to discard; \
             leave out `discard`",
        )
    })
}

/// Refuses what [`discard`] would refuse, before anything is changed.
pub async fn check_discard(app: &App, id: TaskId) -> Result<(), Error> {
    if let Some(Known { task, attempt: Some(attempt) }) = Known::read(&app.db, id).await? {
        own_branch(app, &task, &attempt).await?;
    }
    Ok(())
}

/// Takes a finished attempt's branch away, with its edits and its worktree. Tells its last commit, from
/// which it can be had back.
pub async fn discard(app: &App, id: TaskId) -> Result<Option<String>, Error> {
    let Some(Known { task, attempt: Some(attempt) }) = Known::read(&app.db, id).await? else {
        return Ok(None);
    };
    let (backend, branch) = own_branch(app, &task, &attempt).await?;
    let commit = {
        let _turn = app.git.turns.take(&backend.repository().common).await;
        backend.discard(&branch).await?
    };
    let (number, head) = (attempt.number, commit.clone());
    app.engine
        .run(move |live, unit| {
            noted(live, unit, id, number, |known, now| {
                let attempt = known.attempt.as_mut()?;
                attempt.head_commit = head.or(attempt.head_commit.take());
                attempt.git_problem = None;
                let data = json!({
                    "kind": "discarded",
                    "task_id": id,
                    "session_id": attempt.session_id,
                    "branch": attempt.branch,
                    "commit": attempt.head_commit,
                    "at": now,
                });
                Some(NewEvent::new(EventKind::Git, attempt.session_id, now, &data))
            });
            Ok::<_, Error>(())
        })
        .await?;
    Ok(commit.or_else(|| attempt.head_commit.clone()))
}

/// Tells what can be done with an attempt's branch; pushes it and makes a pull request, if that is
/// wanted. `None` if there is no branch.
pub async fn offer(app: &App, id: TaskId, push: bool, pr: bool) -> Result<Option<Offer>, Error> {
    let Some(Known { task, attempt: Some(attempt) }) = Known::read(&app.db, id).await? else {
        return Ok(None);
    };
    let (task, attempt) = (&task, &attempt);
    let project = project(app, task).await?;
    let Some((backend, branch)) = backend::of(app, &project, attempt).await? else {
        return Ok(None);
    };
    let repository = backend.repository();
    let head = repository.tip(&branch.name).await?;
    let commits = match &head {
        Some(head) => repository.commits(&branch.base, head).await?.len(),
        None => 0,
    };
    let mut offer = Offer {
        push_command: backend.push_command(&branch),
        pr_command: pr_command(task, &branch),
        branch: branch.name.clone(),
        base: branch.base.clone(),
        head,
        commits,
        problem: attempt.git_problem.clone(),
        ..Offer::default()
    };
    if commits == 0 {
        offer.nothing_committed = Some(nothing_committed(app, task, &backend, &branch).await?);
    }
    if push || pr {
        if commits == 0 {
            offer.refused = Some("the branch has no commit of its own".into());
        } else if let Err(e) = publish(app, &mut offer, &backend, &branch, pr).await {
            offer.refused = Some(e.to_string());
        }
    }
    Ok(Some(offer))
}

/// Why a branch has no commit of its own, and what to do.
async fn nothing_committed(
    app: &App,
    task: &Task,
    backend: &Backend,
    branch: &Branch,
) -> Result<String, Error> {
    let name = &branch.name;
    if backend.is_shared() {
        let free = show::unattributed(app, task.project_id).await?.len();
        return Ok(match free {
            0 => format!("no edit was made for it; `git branch -D {name}` takes the branch away"),
            n => format!(
                "no changed file is known to be its own. {} in {} {} no task's: commit what belongs to \
                 it there by `but commit`",
                files(n),
                branch.dir.display(),
                if n == 1 { "is" } else { "are" }
            ),
        });
    }
    if !branch.dir.is_dir() {
        return Ok(format!("{} is not there any more", branch.dir.display()));
    }
    let tree = backend::repository(app, &branch.dir).await?;
    let status = tree.status().await?;
    Ok(match status.changes.len() + status.unnameable.len() {
        0 => "no file has changed there; `chorus worktrees prune` takes its directory away".into(),
        n => format!(
            "{} changed and not committed: they are kept in {}; commit them there by `git commit`",
            files(n),
            branch.dir.display()
        ),
    })
}

fn files(n: usize) -> String {
    if n == 1 { "1 file".to_owned() } else { format!("{n} files") }
}

async fn publish(
    app: &App,
    offer: &mut Offer,
    backend: &Backend,
    branch: &Branch,
    pr: bool,
) -> Result<(), Error> {
    let turn = app.git.turns.take(&backend.repository().common).await;
    offer.pushed_to = Some(backend.push(branch).await?);
    drop(turn);
    if !pr {
        return Ok(());
    }
    let runner = backend::runner(app).await;
    let Some((program, args)) = offer.pr_command.split_first() else { return Ok(()) };
    if runner.find(program).is_none() {
        return Err(Error::conflict(format!(
            "`{program}` is not here (https://cli.github.com); the branch is pushed"
        )));
    }
    let said = runner.done(Call::new(program, &branch.dir, args)).await?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    offer.pr_url = said.split_whitespace().rfind(|w| w.starts_with("https://")).map(str::to_owned);
    Ok(())
}

fn pr_command(task: &Task, branch: &Branch) -> Vec<String> {
    let body = format!("{}\n\nTask {} of Chorus.", task.description.trim(), task.id);
    let words = ["gh", "pr", "create", "--head", &branch.name, "--title", &task.title, "--body"];
    words.iter().map(ToString::to_string).chain([body.trim().to_owned()]).collect()
}
