use std::sync::Arc;

use serde_json::json;

use super::{Engine, Refused, Unit};
use crate::bus::{Backlog, Hub};
use crate::clock;
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::git::GitSettings;
use crate::domain::ids::{ProjectId, SessionId};
use crate::domain::project::Project;
use crate::domain::time::Timestamp;
use crate::services::live::Live;
use crate::store::{Db, Synchronous, Write};

async fn engine() -> (tempfile::TempDir, Db, Arc<Hub>, Engine) {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open_sqlite(&folder.path().join("chorus.db"), Synchronous::Normal).await;
    let db = db.expect("a database");
    let hub = Arc::new(Hub::new(0));
    let live = Live::load(&db).await.expect("the live state");
    let (engine, _) = Engine::start(db.clone(), live, hub.clone(), clock::now, |_| {}, |_| {});
    (folder, db, hub, engine)
}

fn project(name: &str) -> Project {
    let at = Timestamp(1);
    let (name, root) = (name.to_owned(), format!("/{name}"));
    Project {
        id: ProjectId::new(),
        name,
        root,
        git: GitSettings::default(),
        document_patterns: None,
        created_at: at,
        updated_at: at,
    }
}

fn add(live: &mut Live, unit: &mut Unit, project: Project) {
    live.put_project(project.clone());
    unit.write(Write::AddProject(project));
}

#[tokio::test]
async fn after_a_failed_commit_memory_is_what_the_store_knows() {
    let (_folder, db, hub, engine) = engine().await;
    let event = NewEvent::new(EventKind::Hook, SessionId::new(), Timestamp(1), &json!({"n": 1}));
    // Two of the same name: the store takes neither.
    let failed = engine
        .run(|live, unit| {
            add(live, unit, project("twin"));
            add(live, unit, project("twin"));
            Ok::<_, Refused>(())
        })
        .await;
    assert!(failed.is_err());
    // Committed, but nobody heard so: as if the connection had broken in between.
    let mut tx = db.begin().await.expect("a transaction");
    tx.apply(vec![Write::AddProject(project("kept")), Write::Event(event)]).await.expect("written");
    tx.commit().await.expect("committed");
    let names = engine
        .read(|live| live.projects().map(|p| p.name.clone()).collect::<Vec<_>>())
        .await
        .expect("the live state");
    assert_eq!(names, ["kept"]);
    // Listeners are told of it too.
    let (backlog, ..) = hub.subscribe(Some(0));
    assert!(matches!(backlog, Backlog::Frames(frames) if frames.len() == 1));
    assert_eq!(hub.last_id(), 1);
}

#[tokio::test]
async fn nothing_is_made_of_memory_while_the_store_cannot_be_read() {
    let (_folder, db, _hub, engine) = engine().await;
    db.close().await;
    let add_one = || {
        engine.run(|live, unit| {
            add(live, unit, project("p"));
            Ok::<_, Refused>(())
        })
    };
    assert!(add_one().await.is_err());
    // Memory had it for a moment; nobody gets to see that.
    assert!(engine.read(|live| live.projects().count()).await.is_err());
    assert!(add_one().await.is_err());
}
