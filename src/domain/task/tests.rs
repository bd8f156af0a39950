use proptest::prelude::*;

use super::*;
use crate::domain::excerpt::Excerpt;
use crate::domain::prompt::Prompt;
use crate::domain::session::{
    ClaudeStatus, Launch, Process, Runtime, Session, SessionName, SessionState, Status,
};

pub(super) fn task(status: TaskStatus) -> Task {
    Task {
        id: TaskId(12),
        project_id: ProjectId::new(),
        title: "Implement user authentication".into(),
        description: "Add login/logout endpoints using JWT...".into(),
        priority: 10,
        position: 12,
        status,
        queued: false,
        session_id: None,
        attempts: 1,
        options: TaskOptions::default(),
        labels: Vec::new(),
        depends_on: Vec::new(),
        result: None,
        restarts: 0,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        started_at: None,
        completed_at: None,
    }
}

fn excerpt(text: &str) -> Excerpt {
    Excerpt { path: "docs/auth.md".into(), start: 10, end: 45, text: text.into(), note: None }
}

#[test]
fn only_the_moves_of_the_table_are_allowed_and_the_others_name_them() {
    use TaskStatus::{Assigned, Completed, Failed, Pending, Running, Waiting};
    for (from, to) in [
        (Pending, Assigned),
        (Assigned, Running),
        (Running, Waiting),
        (Waiting, Running),
        (Running, Completed),
        (Waiting, Failed),
        (Failed, Pending),
    ] {
        assert_eq!(from.to(to), Ok(to));
    }
    for (from, to) in [(Pending, Completed), (Completed, Pending), (Running, Pending)] {
        assert_eq!(from.to(to), Err(IllegalMove { from, to }));
    }
    let why = |from: TaskStatus, to| from.to(to).expect_err("illegal").to_string();
    assert_eq!(
        why(Running, Assigned),
        "it is running and cannot become assigned; it can become waiting, completed, failed"
    );
    assert!(why(Completed, Failed).ends_with("it can become nothing else: it is over"));
    for status in TaskStatus::ALL {
        assert_eq!(status.is_at_work(), matches!(status, Assigned | Running | Waiting));
    }
}

#[test]
fn a_prompt_is_as_the_first_specification_writes_it() {
    let mut with_note = excerpt("a\n```sh\nb\n```\nc");
    with_note.note = Some("Authentication\n requirements".into());
    let text = prompt::prompt(&task(TaskStatus::Pending), &[with_note, excerpt("x")]);
    assert_eq!(
        text,
        "## Task: Implement user authentication\n\nAdd login/logout endpoints using JWT...\n\n\
         ## Context\n\n### From docs/auth.md (lines 10-45):\nAuthentication requirements\n````\na\n\
         ```sh\nb\n```\nc\n````\n\n### From docs/auth.md (lines 10-45):\n```\nx\n```"
    );
    let mut plain = task(TaskStatus::Pending);
    plain.options.plain = true;
    assert_eq!(prompt::prompt(&plain, &[]), "Add login/logout endpoints using JWT...");
    let mut bare = task(TaskStatus::Pending);
    bare.description = "\n".into();
    assert_eq!(prompt::prompt(&bare, &[]), "## Task: Implement user authentication");
}

/// What stands between the fences of a prompt with one excerpt, as a reader of Markdown finds it.
fn fenced(prompt: &str) -> Option<String> {
    let (_, block) = prompt.split_once("(lines 10-45):\n")?;
    let (fence, rest) = block.split_once('\n')?;
    assert!(fence.len() >= 3 && fence.chars().all(|c| c == '`'), "{fence:?}");
    let lines: Vec<&str> = rest.split('\n').collect();
    // A fence is closed by the first line of at least as many backticks.
    let end = lines.iter().position(|l| {
        let l = l.trim();
        l.len() >= fence.len() && l.chars().all(|c| c == '`')
    })?;
    assert_eq!(end + 1, lines.len(), "nothing stands after the fence");
    Some(lines[..end].join("\n"))
}

proptest! {
    #[test]
    fn content_is_found_between_its_fences_whatever_it_holds(
        content in prop_oneof![
            any::<String>(),
            "[`~\n\u{200b}\u{1fef}\ta ]{0,60}",
        ],
    ) {
        let whole = prompt::prompt(&task(TaskStatus::Pending), &[excerpt(&content)]);
        let sent = Prompt::new(&whole, false, false).expect("it can be sent");
        // Nothing that was chosen for the preview changes on the way.
        prop_assert_eq!(sent.expected(), whole.as_str());
        let plain = crate::domain::prompt::normalised(&content);
        let shown: String =
            plain.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
        prop_assert_eq!(fenced(&whole), Some(shown));
    }
}

#[test]
fn titles_labels_and_priorities_are_checked() {
    assert_eq!(check_title("  x "), Ok("x".into()));
    for bad in ["", " ", "a\nb", &"x".repeat(201)] {
        assert!(check_title(bad).is_err(), "{bad:?}");
    }
    let labels = ["b", " a ", "b"].map(str::to_owned).to_vec();
    assert_eq!(check_labels(labels), Ok(vec!["a".into(), "b".into()]));
    assert!(check_labels(vec!["a,b".into()]).is_err());
    assert!(check_labels((0..33).map(|n| n.to_string()).collect()).is_err());
    assert!(check_priority(1_000_001).is_err() && check_priority(-1_000_000).is_ok());
    assert_eq!(title_of("\n  fix\tit \nnow"), "fix it");
    assert_eq!(title_of(&"long ".repeat(40)).chars().count(), 80);
}

#[test]
fn a_cycle_is_named_by_its_way() {
    let id = TaskId;
    let edges = [(id(2), id(3)), (id(3), id(1)), (id(2), id(4)), (id(4), id(5))];
    assert_eq!(cycle(id(1), &[id(2)], &edges), Some(vec![id(1), id(2), id(3), id(1)]));
    assert_eq!(cycle(id(1), &[id(1)], &[]), Some(vec![id(1), id(1)]));
    assert_eq!(cycle(id(9), &[id(2)], &edges), None);
}

// --- following a session ---

fn session(claude_status: ClaudeStatus) -> Session {
    let state = SessionState {
        claude_status,
        started: true,
        process: (claude_status != ClaudeStatus::Stopped).then_some(Process { pid: 1, start: 1 }),
        status: if claude_status == ClaudeStatus::Stopped { Status::Error } else { Status::Active },
        ..SessionState::new(Timestamp(0))
    };
    Session {
        id: SessionId::new(),
        project_id: ProjectId::new(),
        name: SessionName::new("a").expect("a name"),
        tmux_session: "claude-a".into(),
        runtime: Runtime::Tmux,
        workspace_path: "/w".into(),
        task_id: Some(TaskId(12)),
        launch: Launch::default(),
        metadata: serde_json::Map::new(),
        claude_version: None,
        state,
        hidden: false,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn attempt(message: MessageId) -> Attempt {
    Attempt {
        number: 1,
        session_id: SessionId::new(),
        own_session: true,
        git_backend: GitBackend::None,
        branch: None,
        base_commit: None,
        worktree: None,
        prompt: "p".into(),
        message_id: Some(message),
        turn_ended_at: None,
        head_commit: None,
        git_problem: None,
        outcome: None,
        result: None,
        started_at: Timestamp(0),
        ended_at: None,
    }
}

#[test]
fn a_task_follows_its_session() {
    use TaskStatus::{Assigned, Running, Waiting};
    let ours = MessageId::new();
    let moved = |status, session: &Session, heard: &Heard| {
        follow(&task(status), &attempt(ours), session, heard, Timestamp(1))
    };
    let nothing = Heard::default();
    let delivered = Heard { delivered: vec![ours], ..Heard::default() };
    let other = Heard { delivered: vec![MessageId::new()], ..Heard::default() };
    let busy = session(ClaudeStatus::Busy);
    assert_eq!(moved(Assigned, &busy, &nothing), None, "somebody else's prompt");
    assert_eq!(moved(Assigned, &busy, &other), None);
    assert_eq!(moved(Assigned, &busy, &delivered), Some(Move::Becomes(Running)));
    let asks = session(ClaudeStatus::Waiting);
    assert_eq!(moved(Running, &asks, &nothing), Some(Move::Becomes(Waiting)));
    assert_eq!(moved(Waiting, &asks, &nothing), None);
    for status in [ClaudeStatus::Busy, ClaudeStatus::Idle] {
        assert_eq!(moved(Waiting, &session(status), &nothing), Some(Move::Becomes(Running)));
        assert_eq!(moved(Running, &session(status), &nothing), None);
    }
    let mut blocked = asks.clone();
    blocked.state.started = false;
    assert_eq!(moved(Running, &blocked, &nothing), None, "a dialog at the start is no question");

    let lost = Heard { undelivered: vec![(ours, "no box".into())], ..Heard::default() };
    assert_eq!(moved(Assigned, &busy, &lost), Some(Move::Back("no box".into())));
    assert_eq!(moved(Running, &busy, &lost), None);
    let mut gone = session(ClaudeStatus::Stopped);
    gone.state.detail.error = Some("killed".into());
    assert_eq!(moved(Running, &gone, &nothing), Some(Move::Interrupted("killed".into())));
    assert_eq!(moved(Assigned, &gone, &nothing), Some(Move::Back("killed".into())));
    gone.state.crashes = vec![Timestamp(0)];
    gone.launch.crash_restarts = 1;
    assert_eq!(moved(Running, &gone, &nothing), None, "it is started again by itself");
    gone.hidden = true;
    assert!(matches!(moved(Waiting, &gone, &nothing), Some(Move::Interrupted(_))));
    let mut paused = session(ClaudeStatus::Stopped);
    paused.state.status = Status::Paused;
    assert_eq!(moved(Running, &paused, &nothing), None);
}
