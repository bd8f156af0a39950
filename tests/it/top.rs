//! `chorus top`, in a real terminal: tmux's, of a server of its own.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Output, World, processes, wait_longer};
use crate::permissions::{ask, becomes, told};

/// `chorus top` in a terminal of its own.
struct Top<'w> {
    world: &'w World,
}

impl<'w> Top<'w> {
    /// Starts it from a shell, as a person does.
    async fn start(world: &'w World) -> Self {
        let top = Self { world };
        let shell = "env PS1='$ ' sh -i";
        top.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "t",
            "-x",
            "100",
            "-y",
            "30",
            shell,
        ])
        .await
        .ok();
        top.shows("$").await;
        top.launch().await;
        top
    }

    async fn launch(&self) {
        let program = env!("CARGO_BIN_EXE_chorus");
        let data = self.world.data().display();
        self.types(&format!("clear; {program} --data-dir {data} top; echo ended: $?")).await;
        self.press("Enter").await;
    }

    async fn tmux(&self, args: &[&str]) -> Output {
        let mut command = self.world.command("tmux");
        command.arg("-S").arg(self.world.root().join("top.sock")).args(args);
        processes::run(command).await
    }

    async fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", text]).await.ok();
    }

    async fn press(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "t", key]).await.ok();
    }

    async fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "t"]).await.stdout
    }

    async fn shows(&self, text: &str) -> String {
        self.becomes(&format!("the screen shows {text:?}"), |screen| screen.contains(text)).await
    }

    async fn becomes(&self, what: &str, so: impl Fn(&str) -> bool) -> String {
        wait_longer(Duration::from_secs(15), what, async || {
            let screen = self.screen().await;
            if so(&screen) { Ok(screen) } else { Err(format!("\n{screen}")) }
        })
        .await
    }

    /// The terminal is the shell's again, as it was.
    async fn has_ended(&self, code: i32) {
        self.shows(&format!("ended: {code}")).await;
        self.is_the_shells().await;
    }

    async fn is_the_shells(&self) {
        let flag = "#{alternate_on} #{cursor_flag}";
        let state = self.tmux(&["display-message", "-p", "-t", "t", flag]).await.ok().stdout;
        assert_eq!(state.trim(), "0 1", "not the alternate screen, and a cursor");
        // Cooked again: what is typed is echoed, and run.
        self.types("echo back to $((40 + 2))").await;
        self.press("Enter").await;
        self.shows("back to 42").await;
    }
}

#[tokio::test]
async fn a_request_appears_and_a_key_decides_it() {
    let world = World::with_stand_in().await;
    let agent = world.begin("deployer").await;
    let top = Top::start(&world).await;
    top.shows("Nothing waits for you").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make deploy").await;
    top.shows("Bash in deployer").await;
    top.shows("deployer").await;
    top.shows("waiting").await;
    // A person looks before they press.
    tokio::time::sleep(Duration::from_millis(600)).await;
    top.press("a").await;
    assert_eq!(told(held).await, json!({"behavior": "allow"}));
    let decided = becomes(&world, &request, "delivered").await;
    assert_eq!((&decided["verdict"], &decided["decided_by"]), (&json!("allow"), &json!("cli")));
    top.shows("approved Bash: make deploy").await;
    top.shows("Nothing waits for you").await;

    let (held, _) = ask(&world, &agent, "toolu_2", "make undeploy").await;
    top.shows("make undeploy").await;
    top.press("D").await;
    top.types("not on a Friday").await;
    top.press("Enter").await;
    assert_eq!(told(held).await, json!({"behavior": "deny", "message": "not on a Friday"}));
    top.shows("denied Bash: make undeploy").await;
    top.press("q").await;
    top.has_ended(0).await;
}

#[tokio::test]
async fn it_says_that_the_server_is_away_and_takes_up_what_was_missed() {
    let world = World::with_stand_in().await;
    world.begin("first").await;
    let top = Top::start(&world).await;
    top.shows("first").await;
    world.kill9();
    top.shows("OFFLINE").await;
    world.start_again().await;
    top.becomes("it is back", |screen| !screen.contains("OFFLINE")).await;
    world.begin("second").await;
    top.shows("second").await;
    world.cli(&["kill", "first"]).await.ok();
    top.becomes("the first is gone", |screen| !screen.contains("first")).await;
    top.press("C-c").await;
    top.has_ended(0).await;
}

#[tokio::test]
async fn the_terminal_is_given_back_for_a_stop_a_session_and_a_signal() {
    let world = World::with_stand_in().await;
    world.begin_with("shell", &json!({"launch": {"env": {"STAND_IN": "shell"}}})).await;
    let top = Top::start(&world).await;
    top.shows("shell").await;
    top.press("C-z").await;
    top.becomes("it has stopped", |screen| screen.contains("Stopped") || screen.contains("$ \n"))
        .await;
    top.types("fg").await;
    top.press("Enter").await;
    top.shows("Sessions: 1").await;

    // The session's terminal, and back.
    top.press("Enter").await;
    top.becomes("the session's terminal", |screen| !screen.contains("Sessions: 1")).await;
    top.types("echo in the $((6 * 7))th session").await;
    top.press("Enter").await;
    top.shows("in the 42th session").await;
    top.press("C-b").await;
    top.press("d").await;
    top.shows("Sessions: 1").await;
    top.press("l").await;
    top.shows("nothing was said or done yet").await;
    top.press("q").await;
    top.shows("Sessions: 1").await;
    top.press("q").await;
    top.becomes("it has ended", |screen| !screen.contains("Sessions: 1")).await;
    top.is_the_shells().await;

    top.launch().await;
    top.shows("Sessions: 1").await;
    let tops: Vec<u32> = processes::living_in(&world.home())
        .into_iter()
        .filter(|pid| processes::arguments(*pid).last().is_some_and(|a| a == "top"))
        .collect();
    let [pid] = tops.as_slice() else { panic!("one chorus top, not {tops:?}") };
    crate::harness::signal(*pid, rustix::process::Signal::TERM);
    top.has_ended(0).await;
}

#[tokio::test]
async fn no_color_means_none() {
    let coloured = async |world: World| {
        world.begin("a").await;
        let top = Top::start(&world).await;
        top.shows("1 idle").await;
        let screen = top.tmux(&["capture-pane", "-e", "-p", "-t", "t"]).await.ok().stdout;
        assert!(screen.contains("\u{1b}[1m"), "bold is no colour: {screen:?}");
        screen.contains("\u{1b}[38;5;") || screen.contains("\u{1b}[32m")
    };
    assert!(coloured(World::with_stand_in().await).await);
    assert!(!coloured(World::build().stand_in().env("NO_COLOR", "1").start().await).await);
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_use_instead() {
    let world = World::with_stand_in().await;
    for args in [&["top"][..], &["top", "--json"]] {
        let refused = world.cli(args).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.contains("chorus ps"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn a_real_claude_asks_in_it_and_goes_on() {
    let world = World::start().await;
    let top = Top::start(&world).await;
    world.play("p", "bash", &json!({})).await;
    top.shows("touch made-by-bash.txt && echo ran").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    top.press("a").await;
    world.wait_for_file(&world.project().join("made-by-bash.txt")).await;
    top.shows("The command finished.").await;
    top.shows("idle").await;
    top.press("s").await;
    top.types("hello again").await;
    top.press("Enter").await;
    top.shows("p: delivered").await;
    top.press("q").await;
    top.has_ended(0).await;
}
