//! The silent ends of the real Claude Code's turns and processes: each × the state that follows ×
//! who may have told of it × how soon it is known.
//!
//! The sweep runs every ten seconds, as by default: what is known sooner came by an event. Both
//! times are printed: from the act until the API shows it, and from the moment at which Claude
//! Code itself says that it happened. The bound is on the second where there is one, so that a
//! loaded machine's slow Claude is not taken for a slow Chorus.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use scripted_model::Script;
use serde_json::{Value, json};

use crate::harness::{World, signal, wait_longer};

/// Work that takes long, and shows that it has begun.
const WORK: &str = r#"{"scenarios": {
    "work": [
        {"tools": [{"name": "Bash", "input": {"command": "touch begun; bash -c 'sleep 60'", "description": "Work"}}]},
        {"text": "Worked."}
    ],
    "talk": [
        {"text": "Now then.\n\nThis is a long story.\n\nIt is told slowly, word by word and line by line.\n\nIt goes on and on and on.\n\nOnce there was a program that waited for facts.\n\nIt waited for a long time, and then it waited for a longer time.\n\nNobody told it anything.\n\nIt went on to wait.\n\nThen somebody pressed a key.\n\nThat was the end of the story, but not of the program, which waits still.", "chunk_ms": 2000}
    ]
}}"#;

/// What is seen without the sweep.
const EVENT: Duration = Duration::from_secs(2);

/// What Claude is doing when it ends.
#[derive(Clone, Copy, Debug)]
enum While {
    /// It waits for a prompt, after a first turn.
    Idle,
    /// A Bash tool runs.
    Tool,
    /// The model is speaking.
    Speech,
    /// A permission dialog is open.
    Dialog,
}

/// What ends it.
#[derive(Clone, Copy, Debug)]
enum Act {
    Key(&'static str),
    Command(&'static str),
    DenyWithInterrupt,
    Kill(Signal),
    KillPane,
    KillTmux,
}

/// What follows.
#[derive(Clone, Copy, Debug)]
struct After {
    claude_status: &'static str,
    status: &'static str,
    sources: &'static [&'static str],
    /// A part of the error, if there is to be one.
    error: Option<&'static str>,
    /// The conversation is another one.
    moved_on: bool,
}

/// The turn has ended, nothing else.
const IDLE: After = After {
    claude_status: "idle",
    status: "active",
    sources: &["hook", "state_file", "transcript"],
    error: None,
    moved_on: false,
};
const CLEARED: After = After { moved_on: true, ..IDLE };
const LEFT: After = After {
    claude_status: "stopped",
    status: "completed",
    sources: &["process"],
    error: None,
    moved_on: false,
};
/// Nobody wanted that. By which signal is told only if tmux has heard of it in time.
const fn lost(how: &'static str) -> After {
    After { status: "error", error: Some(how), ..LEFT }
}

/// Makes a story of each row.
macro_rules! table {
    ($($name:ident: $during:expr, $act:expr => $after:expr, $bound:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                end(stringify!($name), $during, $act, $after, $bound).await;
            }
        )*
    };
}

table! {
    escape_while_a_tool_runs: While::Tool, Act::Key("Escape") => IDLE, EVENT;
    escape_while_the_model_speaks: While::Speech, Act::Key("Escape") => IDLE, EVENT;
    ctrl_c_while_a_tool_runs: While::Tool, Act::Key("C-c") => IDLE, EVENT;
    ctrl_c_while_the_model_speaks: While::Speech, Act::Key("C-c") => IDLE, EVENT;
    no_at_the_keyboard: While::Dialog, Act::Key("Escape") => IDLE, EVENT;
    a_denial_that_ends_the_turn: While::Dialog, Act::DenyWithInterrupt => IDLE, EVENT;
    exit: While::Idle, Act::Command("/exit") => LEFT, EVENT;
    clear: While::Idle, Act::Command("/clear") => CLEARED, EVENT;
    sigterm: While::Tool, Act::Kill(Signal::TERM) => lost("ended unasked"), EVENT;
    sigkill: While::Tool, Act::Kill(Signal::KILL) => lost("ended unasked"), EVENT;
    sigkill_in_a_dialog: While::Dialog, Act::Kill(Signal::KILL) => lost("ended unasked"), EVENT;
    pane_killed: While::Tool, Act::KillPane => lost("terminal was closed"), EVENT;
    tmux_server_killed: While::Tool, Act::KillTmux => lost("terminal was closed"), EVENT;
}

/// Plays one row of the table.
async fn end(name: &str, during: While, act: Act, after: After, bound: Duration) {
    let world = World::build().script(Script::from_json(WORK).expect("a script")).start().await;
    begin(&world, during).await;
    let before = world.session("p").await;
    let began = Instant::now();
    match act {
        Act::Key(key) => world.press("p", key).await,
        Act::Command(command) => world.command_of_claude("p", command).await,
        Act::DenyWithInterrupt => {
            let request = world.wait_for_request("p").await;
            world.decide(&request, &json!({"decision": "deny", "interrupt": true})).await;
        }
        Act::Kill(with) => signal(before["pid"].as_u64().expect("a pid") as u32, with),
        Act::KillPane => {
            let pane = world.pane("p").await;
            world.tmux(&["kill-pane", "-t", &pane]).await.ok();
        }
        Act::KillTmux => {
            world.tmux(&["kill-server"]).await.ok();
        }
    }
    let view = settles(&world, name, began, after, bound, |view| {
        !after.moved_on || view["claude_session_id"] != before["claude_session_id"]
    })
    .await;
    let error = view["detail"]["error"].as_str().unwrap_or_default();
    match after.error {
        Some(part) => assert!(error.contains(part), "{name}: {error:?}"),
        None => assert_eq!(error, "", "{name}"),
    }
    // Nobody is asked any more, and what follows does not undo it.
    world
        .wait_for("no permission is asked for", async || {
            world.session("p").await["pending_permissions"] == 0
        })
        .await;
    stays(&world, after).await;
    if matches!(act, Act::KillTmux) {
        world.play("next", "hello", &json!({})).await;
        world.wait_for_words("next", "Hello from the scripted model.").await;
    }
}

/// Brings Claude to where it is to be ended.
async fn begin(world: &World, during: While) {
    let free = json!({"allowed_tools": ["Bash"]});
    match during {
        While::Idle => {
            world.play("p", "hello", &free).await;
            world.wait_for_words("p", "Hello from the scripted model.").await;
            world.wait_for_status("p", "idle").await;
        }
        While::Tool => {
            world.play("p", "work", &free).await;
            world.wait_for_file(&world.project().join("begun")).await;
            world.wait_for_call("p", "running").await;
            world.wait_for_status("p", "busy").await;
        }
        While::Speech => {
            world.play("p", "talk", &free).await;
            world.wait_for_screen("p", "Now then").await;
            world.wait_for_status("p", "busy").await;
        }
        While::Dialog => {
            world.play("p", "bash", &json!({})).await;
            world.wait_for_request("p").await;
            world.wait_for_screen("p", "Do you want to proceed?").await;
            world.wait_for_status("p", "waiting").await;
        }
    }
}

/// Waits until a state is shown, and checks how long that took and who told.
async fn settles(
    world: &World,
    name: &str,
    began: Instant,
    after: After,
    bound: Duration,
    also: impl Fn(&Value) -> bool,
) -> Value {
    let wanted = format!("{name}: {}/{}", after.claude_status, after.status);
    // Longer than the bound, to tell by how much it is missed.
    let (view, took) = wait_longer(Duration::from_secs(15), &wanted, async || {
        let view = world.session("p").await;
        let so = view["claude_status"] == after.claude_status && view["status"] == after.status;
        if so && also(&view) { Ok((view, began.elapsed())) } else { Err(view.to_string()) }
    })
    .await;
    let evidence = &view["evidence"];
    let source = evidence["source"].as_str().unwrap_or_default();
    // When a process ended nobody but Chorus says.
    let known_after = match claimed_at(evidence) {
        Some(at) if source != "process" => took.min(at.elapsed().unwrap_or_default()),
        _ => took,
    };
    println!(
        "| {name} | {} | {source} ({}) | {} ms after the act | {} ms after Claude's own time | ≤ {} ms |",
        after.claude_status,
        evidence["what"].as_str().unwrap_or("?"),
        took.as_millis(),
        known_after.as_millis(),
        bound.as_millis()
    );
    let bound = bound.mul_f64(crate::harness::busyness());
    assert!(known_after <= bound, "{name} was known after {known_after:?}, not within {bound:?}");
    assert!(after.sources.contains(&source), "{name}: {evidence}");
    view
}

/// When the source of an evidence says that it happened.
fn claimed_at(evidence: &Value) -> Option<SystemTime> {
    let at: chorus::domain::time::Timestamp =
        serde_json::from_value(evidence["at"].clone()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).ok()?))
}

/// Whatever else arrives within a moment, the state stands.
async fn stays(world: &World, after: After) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(700) {
        let view = world.session("p").await;
        assert_eq!(view["claude_status"], after.claude_status, "{view}");
        assert_eq!(view["status"], after.status, "{view}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn an_api_error_after_retries() {
    let world = World::start().await;
    let launch = json!({"env": {"CLAUDE_CODE_MAX_RETRIES": "1"}});
    world.play("p", "broken", &launch).await;
    // The act is the last answer of the model, which is its last request's.
    world.wait_for_screen("p", "API Error").await;
    let began = Instant::now();
    let view = settles(&world, "an_api_error_after_retries", began, IDLE, EVENT, |view| {
        view["detail"]["error"].is_string()
    })
    .await;
    let error = view["detail"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("server_error") || error.contains("500"), "{view}");
    assert!(view["detail"]["remedy"].is_string(), "{view}");
    stays(&world, IDLE).await;
    // It is over with the next prompt.
    world.ask("p", "hello").await;
    world.wait_for_words("p", "Hello from the scripted model.").await;
    let view = world.wait_for_status("p", "idle").await;
    assert_eq!(view["detail"].get("error"), None, "{view}");
}

#[tokio::test]
async fn a_stop_while_a_sub_agent_still_runs() {
    let world = World::start().await;
    let launch = json!({
        "allowed_tools": ["Bash", "Agent"],
        "env": {"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "0"},
    });
    world.play("p", "slowagent", &launch).await;
    world.wait_for_words("p", "The slow helper is on its way.").await;
    let began = Instant::now();
    let busy = After { claude_status: "busy", ..IDLE };
    settles(&world, "a_stop_while_a_sub_agent_runs", began, busy, EVENT, |view| {
        view["detail"]["background"] == 1
    })
    .await;
    // The helper needs some five seconds.
    wait_longer(Duration::from_secs(30), "the helper has reported", async || {
        if world.session("p").await["claude_status"] == "busy" {
            return false;
        }
        // Idle it may be only because the helper has reported; the transcript tells of that later.
        world.wait_for_words("p", "The slow helper reported.").await;
        true
    })
    .await;
    let began = Instant::now();
    let view = settles(&world, "after_the_sub_agent", began, IDLE, EVENT, |_| true).await;
    assert_eq!(view["detail"].get("background"), None, "{view}");
    stays(&world, IDLE).await;
}

#[tokio::test]
async fn a_late_notification_changes_nothing() {
    let world = World::build().script(Script::from_json(WORK).expect("a script")).start().await;
    begin(&world, While::Tool).await;
    let agent = world.agent("p").await;
    let before = world.session("p").await;
    let a_minute_ago = (chorus::clock::now().0 - 60_000).to_string();
    for (event, own) in [
        (
            "Notification",
            json!({"notification_type": "permission_prompt", "message": "Claude needs your permission"}),
        ),
        (
            "Notification",
            json!({"notification_type": "idle_prompt", "message": "Claude is waiting for your input"}),
        ),
        ("Stop", json!({"stop_hook_active": false, "last_assistant_message": "Old."})),
        ("SessionEnd", json!({"reason": "other"})),
    ] {
        let late = world.hook_request(&agent, event, &own).header("x-chorus-at", &a_minute_ago);
        late.send().await.expect(204);
        // It is durable and applied when it is answered.
        let after = world.session("p").await;
        for field in ["claude_status", "status", "detail", "evidence"] {
            assert_eq!(after[field], before[field], "{event} {own}");
        }
    }
    // Nor does a notification of this very moment: the state file knows better.
    let own = json!({"notification_type": "idle_prompt", "message": "Claude is waiting"});
    world.post_hook(&agent, "Notification", &own).await.expect(204);
    assert_eq!(world.session("p").await["claude_status"], "busy");
}

/// Nobody hears hooks: the socket is not where they look for it, nor is there a place for a spool.
struct Deaf<'w> {
    world: &'w World,
    socket: PathBuf,
}

impl<'w> Deaf<'w> {
    fn make(world: &'w World) -> Self {
        let socket = world.socket();
        fs::rename(&socket, socket.with_extension("away")).expect("the socket moves");
        let spool = world.data().join("spool");
        fs::remove_dir_all(&spool).expect("an empty spool");
        fs::write(&spool, "").expect("a file in the spool's place");
        Self { world, socket }
    }

    fn end(self) {
        fs::rename(self.socket.with_extension("away"), &self.socket).expect("the socket is back");
        let spool = self.world.data().join("spool");
        fs::remove_file(&spool).expect("the file goes");
        fs::create_dir(&spool).expect("a spool");
    }
}

#[tokio::test]
async fn a_turn_that_ends_with_no_hook_at_all() {
    let world = World::start().await;
    world.play("p", "slowbash", &json!({"allowed_tools": ["Bash"]})).await;
    world.wait_for_call("p", "running").await;
    world.wait_for_status("p", "busy").await;
    let deaf = Deaf::make(&world);
    // The act is what Claude shows itself: its last words.
    let seen = wait_longer(Duration::from_secs(20), "the turn ends on the screen", async || {
        world.pane_text("p").await.contains("The slow command finished.")
    });
    seen.await;
    let began = Instant::now();
    let by_file = After { sources: &["state_file"], ..IDLE };
    settles(&world, "a_turn_that_ends_with_no_hook", began, by_file, EVENT, |_| true).await;
    world.wait_for_words("p", "The slow command finished.").await;
    world.wait_for_call("p", "completed").await;
    stays(&world, IDLE).await;
    deaf.end();
    world.ask("p", "hello").await;
    world.wait_for_words("p", "Hello from the scripted model.").await;
}
