use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::{Engine, Refused, Unit};
use crate::bus::{Backlog, Hub};
use crate::clock;
use crate::domain::event::{EventKind, NewEvent};
use crate::domain::git::GitSettings;
use crate::domain::ids::{ConversationId, ProjectId, SessionId};
use crate::domain::observation::Fact;
use crate::domain::project::Project;
use crate::domain::session::{
    Launch, Process, Runtime, Session, SessionName, SessionState, Source,
};
use crate::domain::time::Timestamp;
use crate::services::error::Error;
use crate::services::live::Live;
use crate::services::observe::{Report, observe};
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

fn session(project: ProjectId, name: &str) -> Session {
    let at = Timestamp(1);
    Session {
        id: SessionId::new(),
        project_id: project,
        name: SessionName::new(name).expect("a name"),
        tmux_session: format!("chorus-{name}"),
        runtime: Runtime::Tmux,
        workspace_path: "/w".into(),
        task_id: None,
        launch: Launch::default(),
        metadata: serde_json::Map::new(),
        claude_version: None,
        state: SessionState::new(at),
        hidden: false,
        created_at: at,
        updated_at: at,
    }
}

fn admit(live: &mut Live, unit: &mut Unit, session: Session) {
    let known = Box::new(session.clone());
    unit.write(Write::AddSession { session: known, idempotency_key: None });
    live.admit(session);
}

/// Makes a session whose Claude runs.
async fn running(engine: &Engine, session: &Session) {
    let session = session.clone();
    let made = engine.run(move |live, unit| {
        let id = session.id;
        admit(live, unit, session);
        let conversation = ConversationId(id.to_string());
        for fact in [
            Fact::LaunchBegan { conversation },
            Fact::Launched { process: Process { pid: 1, start: 1 } },
        ] {
            observe(live, unit, Report::fact(id, Source::Chorus, unit.now, fact))?;
        }
        Ok::<_, Error>(())
    });
    made.await.expect("a session");
}

/// Plays the end of a session's Claude as it usually goes: it says goodbye, and is gone then.
fn goes(live: &mut Live, unit: &mut Unit, id: SessionId) -> Result<(), Error> {
    let goodbye = Fact::ConversationEnded { reason: "prompt_input_exit".into() };
    observe(live, unit, Report::fact(id, Source::Hook, unit.now, goodbye))?;
    let gone = Fact::ProcessGone { how: None, orderly: true };
    observe(live, unit, Report::fact(id, Source::Process, unit.now, gone))?;
    Ok(())
}

async fn in_a_project(engine: &Engine, name: &str) -> Session {
    let project = project("p");
    let session = session(project.id, name);
    let added = engine.run(move |live, unit| {
        add(live, unit, project);
        Ok::<_, Refused>(())
    });
    added.await.expect("a project");
    running(engine, &session).await;
    session
}

#[tokio::test]
async fn a_session_that_said_goodbye_is_forgotten_like_any_other() {
    let (_folder, _db, _hub, engine) = engine().await;
    let id = in_a_project(&engine, "a").await.id;
    engine.run(move |live, unit| goes(live, unit, id)).await.expect("its end");
    let is_known = engine.run(move |live, _| {
        assert!(live.session(id).is_some(), "its last hooks are still to come");
        // As many as are remembered.
        (0..256).for_each(|_| live.retire(SessionId::new()));
        Ok::<_, Error>(live.session(id).is_some())
    });
    assert!(!is_known.await.expect("the live state"));
}

#[tokio::test]
async fn a_name_may_pass_from_one_session_to_another_within_a_commit() {
    let (_folder, db, _hub, engine) = engine().await;
    let old = in_a_project(&engine, "a").await;
    let (new, id) = (session(old.project_id, "a"), old.id);
    let taken = new.clone();
    let passed = engine.run(move |live, unit| {
        goes(live, unit, id)?;
        assert!(!live.is_taken(&taken.name, taken.id));
        admit(live, unit, taken);
        Ok::<_, Error>(())
    });
    passed.await.expect("it is committed");
    let live = crate::store::sessions::live(&db).await.expect("the live ones");
    assert_eq!(live.iter().map(|s| s.id).collect::<Vec<_>>(), [new.id]);
}

#[tokio::test]
async fn memory_is_not_read_while_a_commit_may_still_land() {
    let (_folder, db, _hub, engine) = engine().await;
    let failed = engine.run(|live, unit| {
        add(live, unit, project("twin"));
        add(live, unit, project("twin"));
        Ok::<_, Refused>(())
    });
    assert!(failed.await.is_err());
    // Nobody waits for this one any more, and the database is still at work on it.
    let mut late = db.begin().await.expect("a transaction");
    late.apply(vec![Write::AddProject(project("late"))]).await.expect("written");
    let names = |live: &Live| live.projects().map(|p| p.name.clone()).collect::<Vec<_>>();
    let mut read = std::pin::pin!(engine.read(names));
    let early = timeout(Duration::from_millis(200), &mut read).await;
    assert!(early.is_err(), "read beside the writer: {early:?}");
    late.commit().await.expect("committed");
    assert_eq!(read.await.expect("the live state"), ["late"]);
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
