//! Claims, and what git knows of attempts.

use super::{project, session as session_of, write};
use crate::domain::claim::{Claim, ClaimSource};
use crate::domain::ids::{TaskId, ToolUseId};
use crate::domain::project::Project;
use crate::domain::record::{ToolCall, ToolStatus};
use crate::domain::session::Session;
use crate::domain::task::{Attempt, GitBackend, Task, TaskOptions, TaskStatus};
use crate::domain::time::Timestamp;
use crate::store::claims::{Ran, all, of_worktree, ran};
use crate::store::{Db, Write, tasks};

/// A task that a session works on.
pub(super) fn task(project: &Project, session: &Session, id: i64) -> Task {
    Task {
        id: TaskId(id),
        project_id: project.id,
        title: "t".into(),
        description: String::new(),
        priority: 0,
        position: 0,
        status: TaskStatus::Running,
        queued: false,
        session_id: Some(session.id),
        attempts: 1,
        options: TaskOptions::default(),
        labels: Vec::new(),
        depends_on: Vec::new(),
        result: None,
        restarts: 0,
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        started_at: None,
        completed_at: None,
    }
}

pub(super) async fn claims_are_kept_until_they_are_released(db: &Db) {
    let project = project("p", "/p");
    let session = session_of(&project, "s");
    let task = |id| task(&project, &session, id);
    let claim = |path: &str, task| Claim {
        project_id: project.id,
        path: path.into(),
        task_id: TaskId(task),
        session_id: session.id,
        source: ClaimSource::Bash,
        claimed_at: Timestamp(5),
    };
    let attempt = Attempt {
        number: 1,
        session_id: session.id,
        own_session: true,
        git_backend: GitBackend::Worktree,
        branch: Some("task-1-t".into()),
        base_commit: Some("base".into()),
        worktree: Some("/trees/task-1-t".into()),
        prompt: "p".into(),
        message_id: None,
        turn_ended_at: None,
        head_commit: Some("head".into()),
        git_problem: Some("a hook says no".into()),
        outcome: None,
        result: None,
        started_at: Timestamp(1),
        ended_at: None,
    };
    let call = |id: &str, tool: &str, status, at, duration_ms| Write::Tool {
        session: session.id,
        conversation: None,
        call: Box::new(ToolCall {
            id: ToolUseId(id.into()),
            tool: tool.into(),
            input: None,
            status,
            result: None,
            duration_ms,
            agent_id: None,
            at: Timestamp(at),
        }),
        past: false,
    };
    let mut writes = vec![
        Write::AddProject(project.clone()),
        Write::AddSession { session: Box::new(session.clone()), idempotency_key: None },
    ];
    for id in [1, 2] {
        writes.push(Write::AddTask { task: Box::new(task(id)), idempotency_key: None });
    }
    writes.extend([
        Write::SaveAttempt { task: TaskId(1), attempt: Box::new(attempt.clone()) },
        Write::AddClaim(claim("src/a b\n.rs", 1)),
        Write::AddClaim(claim("ü", 2)),
        // The first one's.
        Write::AddClaim(claim("ü", 1)),
        call("a", "Bash", ToolStatus::Completed, 10, Some(7)),
        call("b", "Read", ToolStatus::Completed, 11, Some(7)),
        call("c", "Bash", ToolStatus::Running, 12, None),
    ]);
    write(db, writes).await;
    assert_eq!(all(db).await.expect("claims"), [claim("src/a b\n.rs", 1), claim("ü", 2)]);
    assert_eq!(tasks::last_attempt(db, TaskId(1)).await.expect("an attempt"), Some(attempt));
    let found = of_worktree(db, "/trees/task-1-t").await.expect("an answer");
    assert_eq!(found, Some((TaskId(1), session.id, Some("base".into()))));
    assert_eq!(of_worktree(db, "/trees/other").await.expect("an answer"), None);
    let commands = ran(db, session.id, "Bash", 10).await.expect("commands");
    let ended = Ran { from: Timestamp(10), to: Some(Timestamp(17)), running: false };
    assert_eq!(commands, [Ran { from: Timestamp(12), to: None, running: true }, ended]);
    write(db, vec![Write::ReleaseClaims(TaskId(1))]).await;
    assert_eq!(all(db).await.expect("claims"), [claim("ü", 2)]);
}
