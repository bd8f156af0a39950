//! Claims on files, where several tasks work in one directory.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::engine::Unit;
use super::super::error::Error;
use super::super::live::Live;
use super::super::{App, places};
use super::backend;
use crate::claude::tools;
use crate::domain::claim::{Claim, ClaimSource, Claimed};
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::git::TwoWriters;
use crate::domain::ids::{ProjectId, SessionId, TaskId};
use crate::domain::record::ToolCall;
use crate::domain::task::GitBackend;
use crate::store::Write;

/// What is known of a session that shares its directory.
struct Sharing {
    project: ProjectId,
    root: String,
    workspace: String,
    task: TaskId,
}

fn sharing(live: &Live, session: SessionId) -> Option<Sharing> {
    let session = live.session(session)?;
    let task = session.task_id?;
    let known = live.tasks.get(task)?;
    let shares = known.task.status.is_at_work()
        && known.attempt.as_ref()?.git_backend != GitBackend::Worktree;
    let project = live.project(session.project_id)?;
    shares.then(|| Sharing {
        project: project.id,
        root: project.root.clone(),
        workspace: session.workspace_path.clone(),
        task,
    })
}

/// The file that a call edits in a directory that its session shares. Whoever is launched for a task asks
/// before ([`before_edit`]); a session that was there before its task does not.
pub fn edited_by(live: &Live, session: SessionId, call: &ToolCall) -> Option<String> {
    let file = tools::edited(&call.tool, call.input.as_ref()?)?;
    sharing(live, session).map(|_| file.to_owned())
}

/// Notes that a session is about to edit a file, unless another task has edited it: then this says what
/// Claude is to be told instead.
pub async fn before_edit(
    app: &App,
    id: SessionId,
    tool: &str,
    input: &Value,
) -> Result<Option<String>, Error> {
    let Some(file) = tools::edited(tool, input) else { return Ok(None) };
    Ok(claim_file(app, id, file.to_owned(), true).await?.and_then(Result::err))
}

/// Notes that a session edits a file: nobody has asked before. Tells its task, if the file was nobody's.
pub(super) async fn edited(
    app: &App,
    id: SessionId,
    file: String,
) -> Result<Option<TaskId>, Error> {
    Ok(claim_file(app, id, file, false).await?.and_then(Result::ok))
}

/// Claims a file. Tells the task, if that is new; or, if the file is another's and the
/// call can still be kept from it, why that is to be done.
async fn claim_file(
    app: &App,
    id: SessionId,
    file: String,
    asked: bool,
) -> Result<Option<Result<TaskId, String>>, Error> {
    let Some(sharing) = app.engine.read(move |live| sharing(live, id)).await? else {
        return Ok(None);
    };
    let root = backend::claims_root(app, Path::new(&sharing.root)).await;
    let looked_up = tokio::task::spawn_blocking(move || {
        let Sharing { project, root: project_root, workspace, task } = sharing;
        let path = path_in(&root, places::look_up(project_root, &workspace, &file))?;
        Some((project, task, path))
    });
    // Where it cannot be known which file that is, nothing is claimed: the edit shows as nobody's.
    let Some((project, task, path)) = looked_up.await.ok().flatten() else { return Ok(None) };
    app.engine
        .run(move |live, unit| {
            let claim = Claim {
                project_id: project,
                path,
                task_id: task,
                session_id: id,
                source: ClaimSource::Tool,
                claimed_at: unit.now,
            };
            Ok(claim_or_tell(live, unit, claim, asked))
        })
        .await
}

/// The file's path from the root of claims on; `None` if it is not below that, or nobody knows.
fn path_in(root: &Path, place: crate::domain::rule::Place) -> Option<String> {
    let real = PathBuf::from(place.real?);
    let path = real.strip_prefix(root).ok()?.to_str()?;
    (!path.is_empty()).then(|| path.to_owned())
}

fn claim_or_tell(
    live: &mut Live,
    unit: &mut Unit,
    wanted: Claim,
    asked: bool,
) -> Option<Result<TaskId, String>> {
    let owner = match claim(live, unit, wanted.clone()) {
        Claimed::Taken(owner) => owner,
        Claimed::New => return Some(Ok(wanted.task_id)),
        Claimed::Already | Claimed::TooMany => return None,
    };
    let title = live.tasks.get(owner.task_id).map(|k| k.task.title.clone()).unwrap_or_default();
    let session = live.session(owner.session_id).map(|s| s.name.to_string()).unwrap_or_default();
    let rule = live.project(wanted.project_id).map(|p| p.git.two_writers).unwrap_or_default();
    let denied = asked && rule == TwoWriters::Deny;
    let data = json!({
        "kind": if denied { "edit_denied" } else { "two_writers" },
        "task_id": wanted.task_id,
        "session_id": wanted.session_id,
        "path": wanted.path,
        "owner": { "task_id": owner.task_id, "title": title, "session": session },
        "at": unit.now,
    });
    unit.write(Write::Event(NewEvent::new(EventKind::Git, wanted.session_id, unit.now, &data)));
    denied.then(|| {
        Err(format!(
            "{} was not edited: task {} ({title:?}, session {session}) has edited it and is not done, and \
             both work in this directory. Leave the file to that task: do what can be done without it, \
             and say what is to be changed there.",
            wanted.path, owner.task_id
        ))
    })
}

/// Claims a file for a task, unless it is another's.
pub(super) fn claim(live: &mut Live, unit: &mut Unit, wanted: Claim) -> Claimed {
    let claimed = live.claims.claim(wanted.clone());
    if claimed == Claimed::New {
        unit.write(Write::AddClaim(wanted));
    }
    claimed
}

/// Gives back what a task has claimed: it is over.
pub fn release(live: &mut Live, unit: &mut Unit, task: TaskId) {
    if live.claims.release(task) {
        unit.write(Write::ReleaseClaims(task));
    }
}
