//! Sessions and panes come, change and go.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sessions_are_listed_and_removed() {
    let mut server = Server::start().await;
    assert_eq!(server.tmux.list_panes().await.unwrap(), []);
    let mut made = Vec::new();
    for n in 0..50 {
        made.push(server.session(&format!("claude-{n}"), &["cat", "-"]).await);
    }
    server.event(|event| *event == TmuxEvent::SessionsChanged).await;
    let panes = server.tmux.list_panes().await.unwrap();
    assert_eq!(panes.len(), 50);
    for pane in &made {
        let listed = panes.iter().find(|p| p.session == pane.session).unwrap();
        assert_eq!((listed.pane, listed.pid, listed.dead), (pane.pane, pane.pid, false));
        assert_eq!((listed.width, listed.height, listed.attached), (200, 50, 0));
    }
    // A prefix is no name.
    let none = server.tmux.kill_session("claude-4x").await;
    assert!(matches!(none, Err(TmuxError::NotFound { .. })), "{none:?}");
    let prefix = server.tmux.kill_session("claude").await;
    assert!(matches!(prefix, Err(TmuxError::NotFound { .. })), "{prefix:?}");
    server.tmux.kill_session("claude-4").await.unwrap();
    server.tmux.kill_pane(made[5].pane).await.unwrap();
    assert_eq!(server.tmux.list_panes().await.unwrap().len(), 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_once_and_checked() {
    let server = Server::start().await;
    server.session("a", &["cat", "-"]).await;
    let new = |name: &str| NewSession::new(name, "/", vec!["cat".into(), "-".into()]);
    let twice = server.tmux.new_session(new("a")).await;
    assert!(matches!(twice, Err(TmuxError::Exists { name }) if name == "a"));
    for bad in ["", "a:b", "a.b", "-a", "#{pid}", "a b", "é"] {
        let refused = server.tmux.new_session(new(bad)).await;
        assert!(matches!(refused, Err(TmuxError::Invalid { .. })), "{bad}");
    }
    let empty = NewSession::new("b", "/", vec![]);
    assert!(matches!(server.tmux.new_session(empty).await, Err(TmuxError::Invalid { .. })));
    let relative = NewSession::new("b", "x", vec!["cat".into()]);
    assert!(matches!(server.tmux.new_session(relative).await, Err(TmuxError::Invalid { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_reported_and_the_pane_remains() {
    let mut server = Server::start().await;
    let script = "printf '\\033]2;✳ né:;\\007last words'; read line; exit 3";
    let pane = server.session("a", &["sh", "-c", script]).await.pane;
    let titled =
        |event: &TmuxEvent| matches!(event, TmuxEvent::PaneChanged(p) if p.title == "✳ né:;");
    let TmuxEvent::PaneChanged(change) = server.event(titled).await else { unreachable!() };
    assert_eq!((change.pane, change.session.as_str(), change.dead), (pane, "a", false));

    server.tmux.send_key(pane, Key::Enter).await.unwrap();
    let status = |event: &TmuxEvent| matches!(event, TmuxEvent::PaneChanged(p) if p.dead && p.dead_status == Some(3));
    server.event(status).await;
    let listed = server.pane(pane).await.unwrap();
    assert_eq!((listed.dead, listed.dead_status, listed.dead_signal), (true, Some(3), None));
    // tmux's own note has moved the first row out of sight.
    let more = Capture { escapes: false, scrollback: 10 };
    assert!(server.tmux.capture(pane, more).await.unwrap().contains("last words"));

    // Nothing can be typed into it, and trying harms nobody.
    let other = server.session("b", &["cat", "-"]).await.pane;
    let typed = server.tmux.paste(pane, "x").await;
    assert!(matches!(typed, Err(TmuxError::PaneDead(p)) if p == pane), "{typed:?}");
    let pressed = server.tmux.send_key(pane, Key::Enter).await;
    assert!(matches!(pressed, Err(TmuxError::PaneDead(p)) if p == pane), "{pressed:?}");
    assert!(server.pane(other).await.is_some());
    let gone = server.tmux.paste(PaneId(999), "x").await;
    assert!(matches!(gone, Err(TmuxError::NotFound { .. })), "{gone:?}");

    let argv = ["sh", "-c", "kill -9 $$"].map(Into::into);
    let pane = server.tmux.respawn_pane(pane, Path::new("/"), &[], &argv).await.unwrap().pane;
    until("the signal", async || {
        server.pane(pane).await.filter(|p| p.dead && p.dead_signal == Some(9))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_run_leaves_a_dead_pane() {
    let server = Server::start().await;
    let pane = server.session("a", &["/nonexistent/program", "x"]).await.pane;
    let fact = async || server.pane(pane).await.filter(|p| p.dead && p.dead_status == Some(1));
    until("the end", fact).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_are_whole_and_cannot_be_forged() {
    let server = Server::start().await;
    // Guesses what the end of the reply will look like, for the next minute and many numbers.
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; t=$(date +%s); \
                  printf '\\033[31mred\\033[m\\n%%exit\\n'; n=200; while [ $n -lt 240 ]; do \
                  echo \"%end $t $n 1\"; n=$((n+1)); done; echo the end; exec cat";
    let pane = server.session("a", &["sh", "-c", script]).await.pane;
    let whole = Capture { escapes: false, scrollback: 10_000 };
    let text = until("the end", async || {
        Some(server.tmux.capture(pane, whole).await.unwrap()).filter(|t| t.contains("\nthe end"))
    })
    .await;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[299], lines[301]), ("line 0", "line 299", "%exit"));
    assert_eq!(lines[302 + 40], "the end");
    let visible = server.tmux.capture(pane, Capture::default()).await.unwrap();
    assert!(!visible.contains("line 5\n") && visible.contains("the end"));
    let coloured = Capture { escapes: true, scrollback: 0 };
    assert!(server.tmux.capture(pane, coloured).await.unwrap().contains("\x1b[31mred"));
    let missing = server.tmux.capture(PaneId(77), whole).await;
    assert!(matches!(missing, Err(TmuxError::NotFound { .. })), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_reach_the_program_through_copy_mode() {
    let server = Server::start().await;
    let pane = server.session("a", &["sh", "-c", "read line; exit 5"]).await.pane;
    let raw = |line| server.tmux.run(line);
    raw(CommandLine::new("copy-mode").raw(format!("-t {pane}"))).await.unwrap();
    server.tmux.send_key(pane, Key::Enter).await.unwrap();
    let fact = async || server.pane(pane).await.filter(|p| p.dead_status == Some(5));
    until("the program's end", fact).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_set() {
    let server = Server::start().await;
    let pane = server.session("a", &["cat", "-"]).await.pane;
    let value = "#{pid} ~ $HOME \"";
    let scope = Scope::Session("a".into());
    server.tmux.set_option(&scope, "@x", value).await.unwrap();
    let show = CommandLine::new("display-message").raw(format!("-p -t {pane}")).arg("#{@x}");
    assert_eq!(server.tmux.run(show).await.unwrap(), [value.as_bytes()]);
    let unknown = server.tmux.set_option(&Scope::Global, "nonsense", "1").await;
    assert!(matches!(unknown, Err(TmuxError::Refused { .. })), "{unknown:?}");
    let limit =
        CommandLine::new("display-message").raw(format!("-p -t {pane}")).arg("#{history_limit}");
    assert_eq!(server.tmux.run(limit).await.unwrap(), [b"20000"]);
}
