//! The server starts, answers in order, dies and is started again.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn replies_come_to_those_who_asked() {
    let server = Server::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let tmux = server.tmux.clone();
        tasks.spawn(async move {
            let line = CommandLine::new("display-message").raw("-p").arg(format!("number {n}"));
            (n, tmux.run(line).await.unwrap())
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (n, bodies) = done.unwrap();
        assert_eq!(bodies, [format!("number {n}").into_bytes()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_started_again() {
    let mut server = Server::start().await;
    let first = server.tmux.server_pid().unwrap();
    let connected = |event: &TmuxEvent| matches!(event, TmuxEvent::Connected { .. });
    let pid = TmuxEvent::Connected { server_pid: first };
    assert_eq!(server.event(|_| true).await, pid);
    server.session("a", &["cat", "-"]).await;

    let _ = server.tmux.run(CommandLine::new("kill-server")).await;
    server.event(|event| matches!(event, TmuxEvent::Disconnected { .. })).await;
    let TmuxEvent::Connected { server_pid } = server.event(connected).await else { unreachable!() };
    assert_ne!(server_pid, first);
    assert_eq!(server.tmux.server_pid(), Some(server_pid));
    assert_eq!(server.tmux.list_panes().await.unwrap(), []);
    let pane = server.session("a", &["cat", "-"]).await.pane;
    server.event(|e| matches!(e, TmuxEvent::PaneChanged(p) if p.pane == pane)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_the_keeper_and_the_client() {
    let mut server = Server::start().await;
    let pane = server.session("a", &["cat", "-"]).await;
    let _ = server.tmux.kill_session("_chorus").await;
    server.event(|event| matches!(event, TmuxEvent::Disconnected { .. })).await;
    server.event(|event| matches!(event, TmuxEvent::Connected { .. })).await;
    assert_eq!(server.pane(pane.pane).await.unwrap().pid, pane.pid);

    // As after a restart of Chorus: the last handle goes, a new one comes.
    let config = Config::new(server.path("s"));
    let (tmux, events) = Tmux::start(config).await.unwrap();
    (server.tmux, server.events) = (tmux, events);
    assert_eq!(server.pane(pane.pane).await.unwrap().pid, pane.pid);
    server.event(|e| matches!(e, TmuxEvent::PaneChanged(p) if p.pane == pane.pane)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_times_out_and_recovers() {
    let server = {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("s"));
        config.command_timeout = Duration::from_millis(300);
        let (tmux, events) = Tmux::start(config).await.unwrap();
        Server { tmux, events, folder }
    };
    let pid = rustix::process::Pid::from_raw(server.tmux.server_pid().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let slow = server.tmux.list_panes().await;
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    assert!(matches!(slow, Err(TmuxError::Timeout { .. })), "{slow:?}");
    until("an answer", async || server.tmux.list_panes().await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |change: fn(&mut Config, &Path)| {
        let mut config = Config::new(folder.path().join("s"));
        change(&mut config, folder.path());
        Tmux::start(config).await.map(drop).unwrap_err()
    };
    let error = start(|config, _| config.binary = "/nonexistent/tmux".into()).await;
    assert!(matches!(error, TmuxError::NotInstalled { .. }), "{error}");
    let error = start(|config, _| config.socket = "relative".into()).await;
    assert!(matches!(error, TmuxError::Invalid { .. }), "{error}");
    let error = start(|config, path| config.socket = path.join("x".repeat(100))).await;
    assert!(error.to_string().contains("shorter"), "{error}");
    let error = start(|config, path| {
        fs::create_dir_all(path.join("folder")).unwrap();
        config.socket = path.join("folder");
    })
    .await;
    assert!(matches!(error, TmuxError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("folder ("), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_known() {
    let server = Server::start().await;
    assert!(server.tmux.version().is_supported());
    let installed = installed_version("tmux".as_ref()).await.unwrap();
    assert_eq!(installed, *server.tmux.version());
}

#[tokio::test(flavor = "multi_thread")]
async fn panes_inherit_the_configured_environment() {
    let server = {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("s"));
        let path = std::env::var_os("PATH").unwrap();
        config.env = Some(vec![("PATH".into(), path), ("CHORUS_A".into(), "é".into())]);
        let (tmux, events) = Tmux::start(config).await.unwrap();
        Server { tmux, events, folder }
    };
    let pane = server.session("a", &["sh", "-c", "env; echo done; exec cat"]).await.pane;
    let screen = until("the environment", async || {
        let text = server.tmux.capture(pane, Capture::default()).await.unwrap();
        Some(text).filter(|text| text.contains("\ndone"))
    })
    .await;
    // Without any locale in it, text still arrives as it is.
    assert!(screen.contains("CHORUS_A=é\n"), "{screen}");
    assert!(!screen.contains("CARGO"), "{screen}");
}
