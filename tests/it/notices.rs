//! Notices: what tells people that a session needs them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Agent, Builder, World};
use crate::permissions::{ask, decide, question};

/// Writes what it is given to a file of its own, and what it is called with.
const RECORDER: &str = r#"#!/bin/sh
out="$(dirname "$0")/$(basename "$0")-$$-$(date +%s%N)"
{ for word in "$@"; do printf '%s\0' "$word"; done; } > "$out.args"
env -0 > "$out.env"
cat > "$out.part"
mv "$out.part" "$out.told"
"#;

/// A program in the world's `bin` that keeps what it is told.
pub struct Recorder {
    path: PathBuf,
}

/// One call of a recorder.
pub struct Call {
    input: String,
    args: Vec<String>,
    env: Vec<String>,
}

impl Recorder {
    fn install(world: &World, name: &str) -> Self {
        let path = world.root().join("bin").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        write_program(&path, RECORDER);
        Self { path }
    }

    pub fn calls(&self) -> Vec<Call> {
        let entries = fs::read_dir(self.path.parent().expect("a folder")).expect("a folder");
        let mut told: Vec<PathBuf> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "told") && is_of(&self.path, p))
            .collect();
        told.sort_by_key(|p| fs::metadata(p).and_then(|m| m.modified()).ok());
        let words = |path: &Path| -> Vec<String> {
            let bytes = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.split_terminator('\0').map(str::to_owned).collect()
        };
        told.iter()
            .map(|p| Call {
                input: fs::read_to_string(p).expect("what it was told"),
                args: words(&p.with_extension("args")),
                env: words(&p.with_extension("env")),
            })
            .collect()
    }

    pub async fn wait_for(&self, world: &World, count: usize) -> Vec<Call> {
        world
            .wait_for(&format!("{count} notices"), async || {
                let calls = self.calls();
                if calls.len() >= count { Ok(calls) } else { Err(calls.len()) }
            })
            .await
    }
}

fn is_of(program: &Path, call: &Path) -> bool {
    let name =
        |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name(call).starts_with(&format!("{}-", name(program)))
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, script).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}

impl Call {
    pub fn notice(&self) -> Value {
        serde_json::from_str(&self.input).expect("JSON")
    }
}

/// A world whose notices go to a recorder, gathered for so long.
pub async fn recorded(gather: &str, env: &[(&str, &str)]) -> (World, Recorder) {
    recorded_in(World::build().stand_in(), gather, env).await
}

/// The same of any world.
pub async fn recorded_in(world: Builder, gather: &str, env: &[(&str, &str)]) -> (World, Recorder) {
    let mut world = world.without_server().start().await;
    let command = Recorder::install(&world, "told");
    let argv = json!([command.path, "--flag", "two words; $(id)"]).to_string();
    world.set_env("CHORUS_NOTIFY_COMMAND", &argv);
    world.set_env("CHORUS_NOTIFY_GATHER", gather);
    env.iter().for_each(|(name, value)| world.set_env(name, value));
    world.start_again().await;
    (world, command)
}

/// Has something told, and waits for it: whatever was to be told before has been told then.
async fn fence(world: &World, command: &Recorder, so_far: usize) -> Vec<Call> {
    let agent = world.begin("fence").await;
    let _held = question(world, &agent, "echo fence").await;
    let calls = command.wait_for(world, so_far + 1).await;
    assert_eq!(calls[so_far].notice()["session"], "fence", "{}", calls[so_far].input);
    calls
}

#[tokio::test]
async fn a_question_reaches_the_configured_program_once_and_no_restart_repeats_it() {
    let (world, command) = recorded("0.05", &[]).await;
    let agent = world.begin("deploy").await;
    let (_held, request) = ask(&world, &agent, "toolu_1", "make deploy").await;
    let calls = command.wait_for(&world, 1).await;
    let told = calls[0].notice();
    assert_eq!(told["kind"], "permission");
    assert_eq!((&told["session"], &told["session_id"]), (&json!("deploy"), &json!(agent.session)));
    assert_eq!(told["title"], "deploy asks for a permission");
    assert_eq!(told["body"], "Bash: make deploy");
    assert_eq!(told["project"], "project");
    assert_eq!(
        told["requests"],
        json!([{ "id": request["id"], "tool": "Bash", "summary": "Bash: make deploy" }])
    );
    assert_eq!(told["attach"], "chorus attach deploy");
    assert_eq!(told["url"], format!("http://{}/#session-{}", world.host(), agent.session));
    let events = world.events(None).await.last_id;
    assert!((1..=events).contains(&told["event_id"].as_i64().expect("an id")));
    assert_eq!(calls[0].args, ["--flag", "two words; $(id)"]);
    for variable in [
        "CHORUS_NOTICE_KIND=permission",
        "CHORUS_NOTICE_SESSION=deploy",
        "CHORUS_NOTICE_BODY=Bash: make deploy",
        "CHORUS_NOTICE_ATTACH=chorus attach deploy",
    ] {
        assert!(calls[0].env.iter().any(|v| v == variable), "{variable} in {:?}", calls[0].env);
    }
    world.kill9();
    world.start_again().await;
    world.wait_for_status("deploy", "waiting").await;
    fence(&world, &command, 1).await;
    decide(&world, &request, &json!({ "decision": "allow" })).await;
}

#[tokio::test]
async fn a_question_that_the_dead_server_had_not_told_of_is_told_by_the_next() {
    let (mut world, command) = recorded("60", &[]).await;
    let agent = world.begin("late").await;
    let (_held, _) = ask(&world, &agent, "toolu_1", "make late").await;
    world.kill9();
    world.set_env("CHORUS_NOTIFY_GATHER", "0.5");
    world.start_again().await;
    assert_eq!(command.wait_for(&world, 1).await[0].notice()["body"], "Bash: make late");
    world.kill9();
    world.start_again().await;
    fence(&world, &command, 1).await;
}

#[tokio::test]
async fn ten_questions_of_one_session_are_one_notice() {
    let (world, command) = recorded("3", &[]).await;
    let agent = world.begin("many").await;
    let mut held = Vec::new();
    for n in 0..10 {
        // As ten sub-agents ask: each one thing at a time.
        let own = json!({ "tool_name": "Bash", "tool_input": { "command": format!("make {n}") },
            "permission_suggestions": [], "agent_id": format!("agent{n}"), "agent_type": "x" });
        held.push(world.begin_hook(&agent, "PermissionRequest", &own).await);
    }
    let told = command.wait_for(&world, 1).await[0].notice();
    assert_eq!(
        (&told["count"], &told["title"]),
        (&json!(10), &json!("many asks for 10 permissions"))
    );
    fence(&world, &command, 1).await;
}

#[tokio::test]
async fn what_is_settled_at_once_is_not_told() {
    let (world, command) = recorded("1", &[]).await;
    let agent = world.begin("quick").await;
    let (held, request) = ask(&world, &agent, "toolu_1", "make").await;
    decide(&world, &request, &json!({ "decision": "deny" })).await;
    held.end().await.ok();
    let rule = json!({ "action": "allow", "tool": "Bash", "command": "git status" });
    world.post("/api/permissions/rules", &rule).await.expect(201);
    question(&world, &agent, "git status").await.end().await.ok();
    fence(&world, &command, 0).await;
}

#[tokio::test]
async fn in_quiet_hours_nothing_is_told_but_what_is_let_through() {
    let now = chorus::clock::now();
    // Times in UTC: `2026-01-31T12:…`.
    let hour = |hours: i64| now.plus_ms(hours * 3_600_000).to_string()[11..16].to_owned();
    let hours = format!("{}-{}", hour(-1), hour(2));
    let quiet = [("TZ", "UTC"), ("CHORUS_NOTIFY_QUIET_HOURS", hours.as_str())];
    let (mut world, command) = recorded("0.05", &quiet).await;
    let agent = world.begin("night").await;
    let (_held, _) = ask(&world, &agent, "toolu_1", "make").await;
    let withheld = format!("there is nothing to tell of {}", agent.session);
    world.wait_for("it is withheld", async || world.log().contains(&withheld)).await;
    world.cli(&["notify", "test"]).await.ok();
    let calls = command.wait_for(&world, 1).await;
    assert_eq!(calls[0].notice()["kind"], "test", "a test is always told");
    world.stop().await;
    world.set_env("CHORUS_NOTIFY_QUIET_PERMISSIONS", "true");
    world.start_again().await;
    assert_eq!(fence(&world, &command, 1).await.len(), 2);
}

#[tokio::test]
async fn ends_of_turns_errors_and_ends_of_claude_are_told() {
    let (world, command) = recorded("0.05", &[("CHORUS_NOTIFY_FINISHED_AFTER", "0")]).await;
    let agent = world.begin("works").await;
    world.hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.ok();
    world.hook(&agent, "Stop", &json!({})).await.ok();
    let told = command.wait_for(&world, 1).await[0].notice();
    assert_eq!((&told["kind"], &told["title"]), (&json!("finished"), &json!("works has finished")));
    world.hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.ok();
    let failed = json!({ "error": "server_error", "last_assistant_message": "API Error: 529" });
    world.hook(&agent, "StopFailure", &failed).await.ok();
    let told = command.wait_for(&world, 2).await[1].notice();
    assert_eq!(
        (&told["kind"], &told["title"]),
        (&json!("error"), &json!("works ran into an error"))
    );
    world.hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.ok();
    crate::harness::signal(agent.pid, rustix::process::Signal::KILL);
    let told = command.wait_for(&world, 3).await[2].notice();
    assert_eq!((&told["kind"], &told["title"]), (&json!("error"), &json!("works does not run")));
    assert!(told["body"].as_str().expect("text").contains("chorus restart"), "{told}");
    // One that is ended on purpose is nobody's concern.
    world.begin("done").await;
    world.delete("/api/sessions/done").await;
    fence(&world, &command, 3).await;
}

#[tokio::test]
async fn a_busy_session_that_goes_quiet_is_told_of_once() {
    let env = [("CHORUS_QUIET_AFTER", "1"), ("CHORUS_POLL_INTERVAL", "0.2")];
    let (world, command) = recorded("0.05", &env).await;
    let agent = world.begin("silent").await;
    world.hook(&agent, "UserPromptSubmit", &json!({ "prompt": "go" })).await.ok();
    let told = command.wait_for(&world, 1).await[0].notice();
    assert_eq!((&told["kind"], &told["title"]), (&json!("quiet"), &json!("silent has gone quiet")));
    fence(&world, &command, 1).await;
}

#[tokio::test]
async fn a_program_that_hangs_or_fails_holds_up_neither_hooks_nor_the_end() {
    let mut world = World::build().stand_in().without_server().start().await;
    let hangs = world.root().join("hangs");
    write_program(&hangs, "#!/bin/sh\necho $$ >> \"$0.pid\"\nsleep 1000\n");
    world.set_env("CHORUS_NOTIFY_COMMAND", hangs.to_str().expect("a path"));
    world.set_env("CHORUS_NOTIFY_GATHER", "0");
    world.set_env("CHORUS_NOTIFY_COMMAND_TIMEOUT", "50");
    world.start_again().await;
    let agent = world.begin("one").await;
    let (_held, _) = ask(&world, &agent, "toolu_1", "make").await;
    let pid_file = hangs.with_extension("pid");
    world.wait_for_file(&pid_file).await;
    let ran = world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "make")).await.ok();
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    let began = Instant::now();
    assert_eq!(world.stop().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let pids = fs::read_to_string(&pid_file).expect("its pid");
    assert_eq!(pids.lines().count(), 1, "one at a time");
    let pid: u32 = pids.trim().parse().expect("a pid");
    world
        .wait_for("the program has been ended", async || {
            !crate::harness::processes::living_in(&world.home()).contains(&pid)
        })
        .await;
    // What fails is counted, and said where people look for it.
    write_program(&hangs, "#!/bin/sh\necho 'no such channel' >&2\nexit 7\n");
    world.start_again().await;
    let agent = world.begin("two").await;
    let _held = question(&world, &agent, "make").await;
    world
        .wait_for("the doctor knows", async || {
            let said = world.cli(&["doctor"]).await.stdout;
            let known = "notices do not go out by command (failed 1 times)";
            if said.contains(known) && said.contains("no such channel") {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    let tried = world.cli(&["notify", "test", "--json"]).await;
    assert_eq!(tried.code, Some(1));
    let command = tried.json().as_array().expect("attempts").last().cloned().expect("one");
    assert_eq!((&command["channel"], &command["outcome"]), (&json!("command"), &json!("failed")));
    world.wait_for("it is in the log", async || world.log().contains("no such channel")).await;
}

/// A world with a desktop that keeps what it shows.
async fn with_desktop(env: &[(&str, &str)]) -> (World, Recorder, Recorder) {
    let mut world = World::build().stand_in().without_server().start().await;
    let send = Recorder::install(&world, "notify-send");
    let command = Recorder::install(&world, "told");
    let bin = send.path.parent().expect("a folder").to_str().expect("a path").to_owned();
    world.set_env("PATH", &format!("{bin}:{}", std::env::var("PATH").unwrap_or_default()));
    world.set_env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    world.set_env("CHORUS_NOTIFY_COMMAND", command.path.to_str().expect("a path"));
    world.set_env("CHORUS_NOTIFY_GATHER", "0.05");
    env.iter().for_each(|(name, value)| world.set_env(name, value));
    world.start_again().await;
    (world, send, command)
}

#[tokio::test]
async fn the_desktop_gets_hostile_text_as_text() {
    let (world, send, _) = with_desktop(&[]).await;
    let agent = world.begin("hostile").await;
    let command = "--help <b>x</b> & \\n \u{1b}]0;t\u{7} $(touch pwned) 'q'\nsecond";
    let _held = question(&world, &agent, command).await;
    let args = send.wait_for(&world, 1).await.remove(0).args;
    assert_eq!(
        args[..4],
        ["--app-name=Chorus", "--urgency=critical", "--", "hostile asks for a permission"]
    );
    let lines: Vec<&str> = args[4].lines().collect();
    let url = format!("http://{}/#session-{}", world.host(), agent.session);
    assert_eq!(
        lines,
        [
            "Bash: --help &lt;b&gt;x&lt;/b&gt; &amp; \\\\n ]0;t $(touch pwned) 'q'",
            "second",
            "project",
            "chorus attach hostile",
            &url,
        ]
    );
    assert_eq!(args.len(), 5);
    let doctor = world.cli(&["doctor"]).await.stdout;
    assert!(doctor.contains("notices go to the desktop by"), "{doctor}");
}

#[tokio::test]
async fn the_desktop_stays_silent_while_a_page_shows_notices() {
    let (mut world, send, command) = with_desktop(&[]).await;
    let agent = world.begin("seen").await;
    // A stream that shows none leaves the desktop its task; one of another session, too.
    let other = world.begin("other").await;
    let _plain = world.events(None).await;
    let _other =
        world.events_of(&format!("?notices=true&session_id={}", other.session), None).await;
    let _held = question(&world, &agent, "make first").await;
    assert!(send.wait_for(&world, 1).await[0].args[4].contains("make first"));

    let mut page = world.events_of("?notices=true", None).await;
    let _held = question(&world, &agent, "make second").await;
    let shown = page.find("the notice", |e| e.kind == "notice").await;
    assert_eq!(shown.data["body"], "Bash: make second");
    command.wait_for(&world, 2).await;
    let listeners = async || {
        let metrics = world.get("/metrics").await.text();
        let gauge = metrics.lines().find_map(|l| l.strip_prefix("chorus_event_listeners "));
        gauge.expect("the gauge").parse::<u32>().expect("a number")
    };
    assert_eq!(listeners().await, 3);
    drop(page);
    world.wait_for("the page has gone", async || listeners().await == 2).await;
    let _held = question(&world, &agent, "make third").await;
    let calls = send.wait_for(&world, 2).await;
    assert!(calls[1].args[4].contains("make third"), "{:?}", calls[1].args);

    world.stop().await;
    world.set_env("CHORUS_NOTIFY_DESKTOP_WITH_PAGE", "true");
    world.start_again().await;
    let mut page = world.events_of("?notices=true", None).await;
    let so_far = send.calls().len();
    let tried = world.cli(&["notify", "test"]).await.ok().stdout;
    assert!(tried.contains("told    page") && tried.contains("told    desktop"), "{tried}");
    page.find("the notice", |e| e.kind == "notice").await;
    send.wait_for(&world, so_far + 1).await;
}

#[tokio::test]
async fn without_a_desktop_it_is_said_once_and_is_no_error() {
    let (world, command) = recorded("0", &[]).await;
    let agent = world.begin("plain").await;
    for n in 0..3 {
        let (_held, _) = ask(&world, &agent, &format!("toolu_{n}"), &format!("make {n}")).await;
        command.wait_for(&world, n + 1).await;
    }
    let tried = world.cli(&["notify", "test"]).await.ok().stdout;
    assert!(tried.contains("silent  desktop") && tried.contains("told    command"), "{tried}");
    assert_eq!(world.log().matches("no notices on a desktop").count(), 1);
    let doctor = world.cli(&["doctor", "--json"]).await.json();
    let mut findings = doctor.as_array().expect("findings").iter();
    let desktop = findings.find(|f| f["what"].as_str().is_some_and(|w| w.contains("desktop")));
    assert_eq!(desktop.expect("a finding")["level"], "ok");
}
