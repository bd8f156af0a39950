//! Whose the files are that commands have changed.
//!
//! Nobody tells which files a command writes. A file that has changed and that nobody has claimed is a
//! task's if it changed while exactly one command ran in this directory, and that was the task's. What
//! else changes then, by a person's hand, would be taken for the command's; what changed while two ran,
//! or none, is nobody's: it is shown, and never committed by guess.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::super::App;
use super::super::error::Error;
use super::claims;
use crate::claude::tools;
use crate::domain::claim::{Claim, ClaimSource};
use crate::domain::ids::{ProjectId, SessionId, TaskId};
use crate::domain::time::Timestamp;
use crate::git::{Change, ChangeKind};
use crate::store::claims::{Ran, ran};

/// Commands of a session that are looked at, the last ones.
const COMMANDS: u32 = 200;
/// The kernel stamps files by a clock that is this coarse, and a file that is written on shows its last
/// write. Milliseconds.
const SLACK: i64 = 20;

/// Claims for a task what its commands have changed.
pub async fn attribute(
    app: &App,
    (project, task): (ProjectId, TaskId),
    root: &Path,
    changes: &[Change],
) -> Result<(), Error> {
    let paths: Vec<Change> = changes.to_vec();
    let unclaimed = app
        .engine
        .read(move |live| {
            let free = |c: &Change| live.claims.of(project, &c.path).is_none();
            paths.into_iter().filter(free).collect::<Vec<_>>()
        })
        .await?;
    if unclaimed.is_empty() {
        return Ok(());
    }
    let here = root.to_string_lossy().into_owned();
    let sessions: Vec<(SessionId, Option<TaskId>)> = app
        .engine
        .read(move |live| {
            let sessions =
                live.sessions().filter(|s| Path::new(&s.workspace_path).starts_with(&here));
            sessions.map(|s| (s.id, s.task_id)).collect()
        })
        .await?;
    let mut commands = HashMap::new();
    for (session, _) in &sessions {
        commands.insert(*session, ran(&app.db, *session, tools::SHELL, COMMANDS).await?);
    }
    let dir = root.to_owned();
    let dated = tokio::task::spawn_blocking(move || {
        let dated = unclaimed.into_iter().filter_map(|c| Some((changed_at(&dir, &c)?, c.path)));
        dated.collect::<Vec<_>>()
    });
    let mut mine = Vec::new();
    for (at, path) in dated.await.unwrap_or_default() {
        if let Some(session) = only_one(at, &commands)
            && sessions.contains(&(session, Some(task)))
        {
            mine.push((path, session));
        }
    }
    if mine.is_empty() {
        return Ok(());
    }
    app.engine
        .run(move |live, unit| {
            for (path, session_id) in mine {
                let claim = Claim {
                    project_id: project,
                    path,
                    task_id: task,
                    session_id,
                    source: ClaimSource::Bash,
                    claimed_at: unit.now,
                };
                claims::claim(live, unit, claim);
            }
            Ok(())
        })
        .await
}

/// The one session that ran a command at this time.
fn only_one(at: Timestamp, commands: &HashMap<SessionId, Vec<Ran>>) -> Option<SessionId> {
    let mut found = None;
    for (session, ran) in commands {
        // What ran before the first that is known here is not known.
        let forgotten = ran.len() == COMMANDS as usize && ran.last().is_none_or(|r| at < r.from);
        let began = |r: &&Ran| r.from.0 - SLACK <= at.0;
        let ran = ran.iter().filter(began).any(|r| match (r.to, r.running) {
            (_, true) => true,
            (Some(to), _) => at.0 <= to.0 + SLACK,
            // Nobody knows for how long: it may have been this one.
            (None, _) => true,
        });
        if forgotten || ran && found.is_some() {
            return None;
        }
        if ran {
            found = Some(*session);
        }
    }
    found
}

/// When a file changed last. One that is gone: when its folder, or the nearest that is there, did.
fn changed_at(root: &Path, change: &Change) -> Option<Timestamp> {
    let path = root.join(&change.path);
    let meta = if change.kind == ChangeKind::Removed {
        path.ancestors().skip(1).find_map(|folder| fs::symlink_metadata(folder).ok())?
    } else {
        fs::symlink_metadata(&path).ok()?
    };
    let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::only_one;
    use crate::domain::ids::SessionId;
    use crate::domain::time::Timestamp;
    use crate::store::claims::Ran;

    fn ran(from: i64, to: Option<i64>) -> Ran {
        Ran { from: Timestamp(from), to: to.map(Timestamp), running: to.is_none() }
    }

    #[test]
    fn a_change_is_a_commands_only_if_no_other_ran() {
        let (a, b) = (SessionId::new(), SessionId::new());
        let commands = HashMap::from([
            (a, vec![ran(5_000, None), ran(1_000, Some(2_000))]),
            (b, vec![ran(1_500, Some(3_000))]),
        ]);
        let whose = |at| only_one(Timestamp(at), &commands);
        assert_eq!(whose(1_200), Some(a));
        assert_eq!(whose(1_700), None, "both ran");
        assert_eq!(whose(2_500), Some(b));
        assert_eq!(whose(4_000), None, "none ran");
        assert_eq!(whose(9_000), Some(a), "it runs still");
        let many = (0..200).map(|n| ran(10_000 - n, Some(10_000 - n))).collect();
        let commands = HashMap::from([(a, many), (b, vec![ran(100, Some(200))])]);
        assert_eq!(only_one(Timestamp(150), &commands), None, "what a ran then is not known");
    }
}
