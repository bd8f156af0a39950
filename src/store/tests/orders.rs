//! Lists while what is in them moves.

use std::collections::BTreeSet;

use super::claims::task;
use super::{project, session as session_of, write};
use crate::domain::ids::TaskId;
use crate::domain::session::SessionName;
use crate::domain::task::{Task, TaskStatus};
use crate::domain::time::Timestamp;
use crate::store::tasks::{self, Filter as TaskFilter};
use crate::store::{Cursor, Db, Write, sessions};

pub(super) async fn by_their_age_sessions_come_once_while_they_change(db: &Db) {
    let project = project("p", "/p");
    let mut writes = vec![Write::AddProject(project.clone())];
    let mut all = Vec::new();
    for n in 0..9 {
        let mut session = session_of(&project, "s");
        session.name = SessionName::new(&format!("s{n}")).expect("a name");
        // Two of each moment: then their ids decide.
        (session.created_at, session.updated_at) = (Timestamp(n / 2), Timestamp(n / 2));
        all.push(session.clone());
        writes.push(Write::AddSession { session: Box::new(session), idempotency_key: None });
    }
    write(db, writes).await;
    let (mut seen, mut after, mut now): (_, Option<Cursor>, _) = (Vec::new(), None, 100);
    loop {
        let filter = sessions::Filter::default();
        let page = sessions::list(db, &filter, sessions::Sort::CreatedAt, after.as_ref(), 2).await;
        let page = page.expect("a page");
        seen.extend(page.items.iter().map(|s| s.name.to_string()));
        // What is still to come moves to the front of the other order.
        for session in &mut all {
            now += 1;
            session.updated_at = Timestamp(now);
        }
        let moved = all.iter().map(|s| Write::SaveSession(Box::new(s.clone()))).collect();
        write(db, moved).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected = all.clone();
    expected.sort_by_key(|s| std::cmp::Reverse((s.created_at, s.id.to_string())));
    assert_eq!(seen, expected.iter().map(|s| s.name.to_string()).collect::<Vec<_>>());
}

pub(super) async fn by_their_status_tasks_come_once_while_they_move(db: &Db) {
    const ALL: i64 = 6;
    let project = project("p", "/p");
    let session = session_of(&project, "s");
    let mut writes = vec![Write::AddProject(project.clone())];
    let made = |id| task(&project, &session, id);
    writes.push(Write::AddSession { session: Box::new(session.clone()), idempotency_key: None });
    for id in 1..=ALL {
        writes.push(Write::AddTask { task: Box::new(made(id)), idempotency_key: None });
    }
    write(db, writes).await;
    let moving = async {
        for n in 0..300_usize {
            // To and fro between the first status and the last.
            let status = [TaskStatus::Completed, TaskStatus::Waiting][n % 2];
            let moved = |id| Write::SaveTask(Box::new(Task { status, ..made(id) }));
            write(db, (1..=ALL).map(moved).collect()).await;
        }
    };
    let reading = async {
        loop {
            let page = tasks::list(db, &TaskFilter::default(), tasks::Sort::Status, None, 50).await;
            let page = page.expect("a list").expect("a place");
            let ids: Vec<TaskId> = page.items.iter().map(|l| l.task.id).collect();
            let unique: BTreeSet<TaskId> = ids.iter().copied().collect();
            assert_eq!((ids.len(), unique.len()), (ALL as usize, ALL as usize), "{ids:?}");
        }
    };
    tokio::select! {
        () = moving => {}
        () = reading => {}
    }
}
