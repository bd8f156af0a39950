//! A view shows what is there, what comes, and itself again after it was too slow.

use super::*;

/// Everything that a view shows until its text holds `end`.
async fn seen(view: &mut View, end: &str) -> Vec<Seen> {
    let mut all = Vec::new();
    let wait = async {
        loop {
            let seen = view.next().await.expect("the view ends too early");
            let (Seen::Screen(Screen { bytes, .. }) | Seen::Output(bytes)) = &seen;
            let found = String::from_utf8_lossy(bytes).contains(end);
            all.push(seen);
            if found {
                return;
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), wait).await;
    assert!(found.is_ok(), "{end:?} was not shown");
    all
}

fn text(seen: &Seen) -> String {
    let (Seen::Screen(Screen { bytes, .. }) | Seen::Output(bytes)) = seen;
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_begins_with_the_screen_and_goes_on_with_the_output() {
    let server = Server::start().await;
    let script = "seq 1 100; printf '\\033[31mred\\033[0m %%end 1 2 1\\n'; cat";
    let pane = server.session("a", &["sh", "-c", script]).await.pane;
    until("the screen is written", async || {
        let text = server.tmux.capture(pane, Capture::default()).await.unwrap();
        text.contains("red").then_some(())
    })
    .await;
    let mut view = server.tmux.view("a", pane, 30).await.unwrap();
    let first = seen(&mut view, "red").await;
    let Seen::Screen(screen) = &first[0] else { panic!("{first:?}") };
    assert_eq!((screen.columns, screen.rows), (200, 50));
    let shown = text(&first[0]);
    assert!(shown.contains("\x1b[31mred\x1b[39m") && shown.contains("%end 1 2 1"), "{shown:?}");
    // 100 lines, one more and the cursor's: 52 are above, of which 30 are wanted.
    assert!(
        shown.contains("\n\x1b7\x1b[0m\x1b[2K\x1b824\r") && !shown.contains("b822\r"),
        "{shown:?}"
    );
    view.write("né\x1b[A\r".as_bytes()).unwrap();
    let echoed: String = seen(&mut view, "\r\n").await.iter().map(text).collect();
    assert!(echoed.contains("né^[[A"), "{echoed:?}");
    // Another one that comes later sees the same, and nobody has changed the size.
    let mut other = server.tmux.view("a", pane, 0).await.unwrap();
    assert!(text(&seen(&mut other, "né^[[A").await[0]).contains("red"));
    let pane = server.pane(pane).await.unwrap();
    assert_eq!((pane.width, pane.height), (200, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_view_that_counts_changes_the_size() {
    let server = Server::start().await;
    let pane = server.session("a", &["cat", "-"]).await.pane;
    let mut view = server.tmux.view("a", pane, 0).await.unwrap();
    view.next().await.unwrap();
    view.resize(Some((90, 20))).unwrap();
    let Seen::Screen(screen) = view.next().await.unwrap() else { panic!("no new screen") };
    assert_eq!((screen.columns, screen.rows), (90, 20));
    view.resize(None).unwrap();
    for bad in [(0, 20), (1, 20), (90, 5_000)] {
        assert!(matches!(view.resize(Some(bad)), Err(TmuxError::Invalid { .. })), "{bad:?}");
    }
    // It stays as it is when nobody types any more.
    view.write(b"x\r").unwrap();
    seen(&mut view, "x").await;
    let pane = server.pane(pane).await.unwrap();
    assert_eq!((pane.width, pane.height), (90, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_view_begins_again_and_holds_nothing_up() {
    let server = Server::start().await;
    let done = server.path("done");
    // 40 MB, far more than any pipe holds; then something to wait for.
    let script =
        format!("read go; seq 1 5000000; echo the-very-end; touch {}; cat", done.display());
    let pane = server.session("a", &["sh", "-c", &script]).await.pane;
    let mut slow = server.tmux.view("a", pane, 10).await.unwrap();
    slow.next().await.unwrap();
    slow.write(b"\r").unwrap();
    // The first of it, so that the key has gone out; from here on nothing is taken.
    seen(&mut slow, "\r\n").await;
    let end = Instant::now() + Duration::from_secs(60);
    while !done.exists() {
        assert!(Instant::now() < end, "the program waits for the view");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rest = seen(&mut slow, "the-very-end").await;
    let bytes: usize = rest.iter().map(|seen| text(seen).len()).sum();
    assert!(bytes < 8 << 20, "{bytes} bytes were kept for it");
    assert!(matches!(rest.last(), Some(Seen::Screen(_))), "it began again");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_in_the_pane_begins_with_a_screen_of_its_own() {
    let server = Server::start().await;
    let pane = server.session("a", &["sh", "-c", "echo first; cat"]).await.pane;
    let mut view = server.tmux.view("a", pane, 0).await.unwrap();
    seen(&mut view, "first").await;
    server.tmux.send_key(pane, Key::CtrlD).await.unwrap();
    let dead = seen(&mut view, "Pane is dead").await;
    assert!(matches!(dead.last(), Some(Seen::Screen(_))), "{dead:?}");
    let argv: Vec<_> = ["sh", "-c", "echo second; cat"].map(Into::into).into();
    server.tmux.respawn_pane(pane, "/".as_ref(), &[], &argv).await.unwrap();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), view.next()).await;
        let next = next.expect("a screen").unwrap();
        if matches!(next, Seen::Screen(_)) {
            assert!(text(&next).contains("second") && !text(&next).contains("first"), "{next:?}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_ends_with_its_session_and_there_is_none_without() {
    let server = Server::start().await;
    let pane = server.session("a", &["cat", "-"]).await.pane;
    let none = server.tmux.view("b", pane, 0).await;
    assert!(matches!(none, Err(TmuxError::NotFound { .. })), "{none:?}");
    let mut view = server.tmux.view("a", pane, 0).await.unwrap();
    view.next().await.unwrap();
    server.tmux.kill_session("a").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), view.next()).await.unwrap();
    assert!(ended.is_err(), "{ended:?}");
}
