//! Who may do what: an agent does not approve itself, a page of another site does nothing, another
//! user neither.

use serde_json::{Value, json};

use crate::harness::{Agent, Held, Via, World, is_problem};

/// The payload of a hook of a Claude that nobody knows.
fn of_a_stranger(world: &World) -> Value {
    json!({
        "session_id": "5e1f0e0e-0000-4000-8000-000000000000",
        "cwd": world.project(),
        "transcript_path": world.project().join("none.jsonl"),
    })
}

/// A session with a shell in its pane, and a question that waits.
async fn agent_that_asks(world: &World) -> (Agent, Held, String) {
    let shell = json!({"launch": {"env": {"STAND_IN": "shell"}}});
    let agent = world.begin_with("agent", &shell).await;
    let own = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
    let held = world.begin_hook(&agent, "PermissionRequest", &own).await;
    let request = world.wait_for_request("agent").await["id"].as_str().expect("an id").to_owned();
    (agent, held, request)
}

#[tokio::test]
async fn nothing_that_an_agent_starts_can_change_anything() {
    let world = World::with_stand_in().await;
    let (_, mut held, request) = agent_that_asks(&world).await;
    let doc = world.get("/api/openapi.json").await.expect(200).json();
    let mut lines = Vec::new();
    for (path, methods) in doc["paths"].as_object().expect("paths") {
        let path = match path.split('/').nth(2) {
            Some("permissions") => path.replace("{id}", &request),
            // Without a token: those of its own hooks show one.
            Some("hooks") => path.replace("{event}", "Stop"),
            _ => path.replace("{id}", "agent"),
        };
        for method in methods.as_object().expect("methods").keys().filter(|m| *m != "get") {
            lines.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert!(lines.len() >= 12, "{lines:?}");
    // Who shows notices keeps the desktop silent.
    lines.push("GET /api/events?notices=true".into());
    // Who types answers dialogs.
    lines.push("GET /api/sessions/agent/terminal?write=true".into());
    let script = format!(
        r#"
        call() {{ # how, way, method, path
            code=$($1 curl -s -o /dev/null -w '%{{http_code}}' $2 -X "$3" "http://localhost:{port}$4" \
                -H 'content-type: application/json' -d '{{"decision":"allow","confirm":true,"name":"x","text":"x","root":"/","metadata":{{}}}}')
            echo "$code $1|$2|$3 $4"
        }}
        while read -r method path; do
            for how in "" "setsid -w" "env -i PATH=$PATH" "setsid -w env -i PATH=$PATH"; do
                call "$how" "" "$method" "$path"
                call "$how" "--unix-socket {socket}" "$method" "$path"
            done
        done <<'END'
{list}
END
        "#,
        port = world.host().rsplit_once(':').expect("a port").1,
        socket = world.socket().display(),
        list = lines.join("\n"),
    );
    let ran = world.run_in_pane("agent", &script).await;
    let codes: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(codes.len(), lines.len() * 8, "{}\n{}", ran.stdout, ran.stderr);
    for line in codes {
        assert!(line.starts_with("403 "), "{line}");
    }
    assert!(held.is_waiting());
    assert_eq!(world.session("agent").await["claude_status"], "waiting");
}

#[tokio::test]
async fn an_agent_may_look_but_its_commands_approve_nothing() {
    let world = World::with_stand_in().await;
    let (_, mut held, request) = agent_that_asks(&world).await;
    let chorus = format!("{} --data-dir {}", env!("CARGO_BIN_EXE_chorus"), world.data().display());
    let looks =
        world.run_in_pane("agent", &format!("{chorus} ps && {chorus} permissions")).await.ok();
    assert!(looks.stdout.contains("agent") && looks.stdout.contains(&request), "{}", looks.stdout);
    for command in [
        "approve",
        "approve agent",
        "approve --for-session",
        "send agent hello",
        "budget agent none",
        "kill agent",
    ] {
        for how in ["", "setsid -w ", "env -i ", "CHORUS_URL=$URL "] {
            let url = format!("URL={}; export URL\n", world.running().url);
            let ran = world.run_in_pane("agent", &format!("{url}{how}{chorus} {command}")).await;
            assert_eq!(ran.code, Some(3), "{how}{command}: {}", ran.stderr);
            assert!(ran.stderr.contains("for people"), "{how}{command}: {}", ran.stderr);
        }
    }
    // A process that has left the family still carries the session's environment.
    let left = format!("setsid -f sh -c '{chorus} approve > left 2>&1; echo $? > left.code'");
    world.run_in_pane("agent", &left).await.ok();
    let code = world
        .wait_for("the command that left ends", async || {
            let text = std::fs::read_to_string(world.project().join("left.code")).ok()?;
            text.ends_with('\n').then_some(text)
        })
        .await;
    let said = std::fs::read_to_string(world.project().join("left")).unwrap_or_default();
    assert_eq!(code.trim(), "3", "{said}");
    assert!(held.is_waiting());
    // The same command from outside is a person's.
    world.cli(&["approve"]).await.ok();
    assert_eq!(held.end().await.ok().json()["hookSpecificOutput"]["decision"]["behavior"], "allow");
}

#[tokio::test]
async fn other_names_and_other_sites_pages_are_refused() {
    let world = World::with_stand_in().await;
    let host = world.host();
    let port = host.rsplit_once(':').expect("a port").1.to_owned();
    for name in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "evil.example:80",
        "0.0.0.0",
        "[::]",
        "x@localhost",
    ] {
        for (method, path) in [
            ("GET", "/api/sessions"),
            ("POST", "/api/sessions"),
            ("GET", "/"),
            ("GET", "/api/events"),
        ] {
            let answer =
                world.request(method, path).header("host", name).json(&json!({})).send().await;
            assert!(
                answer.status == 421 && is_problem(&answer),
                "{name}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    for name in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        "[::1]".into(),
        "LOCALHOST".into(),
    ] {
        world.request("GET", "/api/sessions").header("host", &name).send().await.expect(200);
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "http://localhost.evil.example",
        "file://",
        "chrome-extension://x",
    ] {
        for (method, path) in
            [("GET", "/api/sessions"), ("POST", "/api/sessions"), ("GET", "/api/events")]
        {
            let answer =
                world.request(method, path).header("origin", origin).json(&json!({})).send().await;
            assert!(
                answer.status == 403 && is_problem(&answer),
                "{origin}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
    }
    world
        .request("GET", "/api/sessions")
        .header("origin", format!("http://{host}"))
        .send()
        .await
        .expect(200);
    assert_eq!(world.get("/api/sessions").await.rows(), Vec::<Value>::new());
}

#[tokio::test]
async fn another_user_gets_nothing_but_the_probes() {
    let world = World::with_stand_in().await;
    world.begin("mine").await;
    if !rustix::process::getuid().is_root() {
        eprintln!("only root can become somebody else: not tried");
        return;
    }
    let fetch = async |args: &[&str]| {
        let mut command = world.command("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "curl",
            "-s",
            "-w",
            "\n%{http_code}",
        ]);
        command.args(args).current_dir("/");
        let output = command.output().await.expect("setpriv");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let url = world.running().url;
    for path in ["/", "/api/sessions", "/api/events", "/api/openapi.json", "/metrics"] {
        let answer = fetch(&["-m", "5", &format!("{url}{path}")]).await;
        assert!(answer.ends_with("\n403") && !answer.contains("mine"), "{path}: {answer}");
    }
    let answer = fetch(&["-X", "POST", &format!("{url}/api/hooks/Stop"), "-d", "{}"]).await;
    assert!(answer.ends_with("\n403"), "{answer}");
    let healthy = fetch(&[&format!("{url}/healthz")]).await;
    assert_eq!(healthy, "ok\n200");
    let socket = fetch(&[
        "--unix-socket",
        &world.socket().to_string_lossy(),
        "http://localhost/api/sessions",
    ])
    .await;
    assert!(socket.ends_with("\n000"), "{socket}");
    // What is written down is for its owner's eyes.
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(world.data().join(name)).expect("a file").permissions().mode() & 0o777
    };
    assert_eq!(
        (mode(""), mode("secret"), mode("server.json"), mode("api.sock")),
        (0o700, 0o600, 0o600, 0o600)
    );
}

#[tokio::test]
async fn a_hooks_token_opens_hooks_only() {
    let world = World::with_stand_in().await;
    let (agent, mut held, request) = agent_that_asks(&world).await;
    let token = &agent.env["CHORUS_HOOK_TOKEN"];
    let script = format!(
        "curl -s --unix-socket {} -X POST http://localhost/api/permissions/{request}/respond \
         -H 'authorization: Bearer {token}' -H 'x-chorus-session: {}' -H 'content-type: application/json' \
         -d '{{\"decision\":\"allow\"}}' -w '%{{http_code}}'",
        world.socket().display(),
        agent.session,
    );
    let ran = world.run_in_pane("agent", &script).await;
    assert!(ran.stdout.ends_with("403"), "{}", ran.stdout);
    assert!(held.is_waiting());
    // Its hooks are heard, as they must be.
    let note = world.request("POST", "/api/hooks/BrandNew").via(Via::Unix);
    let note = agent.headers().into_iter().fold(note, |r, (name, value)| r.header(name, value));
    note.json(&agent.payload("BrandNew", &json!({}))).send().await.expect(204);
}

#[tokio::test]
async fn nobody_is_told_the_decision_of_another_sessions_question() {
    let world = World::with_stand_in().await;
    let (asks, mut held, request) = agent_that_asks(&world).await;
    let other = world.begin("other").await;
    let own = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
    let take_over = async |again: bool| {
        let posted = world
            .hook_request(&other, "PermissionRequest", &own)
            .header("x-chorus-stamp", &request);
        let posted = if again { posted.header("x-chorus-again", "1") } else { posted };
        let refused = posted.send().await.expect(422);
        assert_eq!(refused.json()["errors"][0]["field"], "x-chorus-stamp");
    };
    take_over(false).await;
    take_over(true).await;
    assert!(held.is_waiting());
    assert_eq!(world.session("other").await["claude_status"], "idle");
    let asked = world.get("/api/permissions").await.rows();
    assert_eq!((asked.len(), &asked[0]["status"]), (1, &json!("pending")));
    world.cli(&["approve", "agent"]).await.ok();
    assert_eq!(held.end().await.ok().json()["hookSpecificOutput"]["decision"]["behavior"], "allow");
    // Nor when it is settled.
    world.hook(&asks, "Stop", &json!({})).await.ok();
    take_over(true).await;
    take_over(false).await;
}

#[tokio::test]
async fn a_process_is_a_claude_only_where_its_own_child_says_so() {
    let world = World::with_stand_in().await;
    let claimed = async |via: Via, pid: u32| {
        let request = world.request("POST", "/api/hooks/Stop").via(via);
        let request = request.header("x-chorus-pid", pid.to_string());
        request.json(&of_a_stranger(&world)).send().await.expect(404);
    };
    // This process is the server's parent, and everybody here descends from it.
    let me = std::process::id();
    let parent = std::os::unix::process::parent_id();
    for pid in [0, 1, me, parent, world.server_pid(), u32::MAX] {
        claimed(Via::Unix, pid).await;
        claimed(Via::Tcp, pid).await;
    }
    // What runs hooks as Claude Code does is believed; what a grandchild says of it is not.
    let script = |hook: &str| format!("{hook}\necho $? >&2\nread -r _");
    let stranger = of_a_stranger(&world).to_string();
    let begin = async |script: String| {
        let mut command = world.command("sh");
        command.args(["-c", &script]).stdin(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped()).kill_on_drop(true);
        let mut shell = command.spawn().expect("a shell");
        let mut said = [0];
        let stderr = shell.stderr.as_mut().expect("what it says");
        tokio::io::AsyncReadExt::read_exact(stderr, &mut said).await.expect("the hook has run");
        shell
    };
    let socket = world.socket();
    let grandchild = format!(
        "me=$$; (curl -s -X POST --unix-socket {} -H \"x-chorus-pid: $me\" -d '{stranger}' \
         http://localhost/api/hooks/Stop; true)",
        socket.display()
    );
    let _shell = begin(script(&grandchild)).await;
    assert_eq!(world.get("/api/sessions").await.rows(), Vec::<Value>::new());
    let child = format!(
        "echo '{stranger}' | {} hook --user {} Stop",
        env!("CARGO_BIN_EXE_chorus"),
        socket.display()
    );
    let shell = begin(script(&child)).await;
    let listed = world.get("/api/sessions").await.rows();
    assert_eq!((listed.len(), &listed[0]["runtime"]), (1, &json!("external")));
    assert_eq!(listed[0]["pid"].as_u64(), shell.id().map(u64::from));
    // And nobody is taken for its child who is not.
    world.delete("/api/sessions/nobody").await.expect(404);
}

#[tokio::test]
async fn another_users_server_is_shown_no_token() {
    if !rustix::process::getuid().is_root() {
        eprintln!("only root can become somebody else: not tried");
        return;
    }
    let world = World::with_stand_in().await;
    let mut agent = world.begin("s").await;
    world.kill9();
    let theirs = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::chown(theirs.path(), Some(65534), Some(65534)).expect("its owner");
    let socket = theirs.path().join("api.sock");
    let listen = "$| = 1; my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die $!; \
        print qq(ready\\n); while (my $c = $s->accept) { print qq(one came\\n); \
        while (sysread $c, my $b, 65536) { print $b } print qq(\\nit left\\n) }";
    let mut command = world.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "perl"]);
    command.args(["-MIO::Socket::UNIX", "-e", listen]).arg(&socket).current_dir("/");
    command.stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut listener = command.spawn().expect("somebody else's listener");
    let heard = listener.stdout.take().expect("what it hears");
    let mut heard = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(heard));
    assert_eq!(heard.next_line().await.expect("a line").as_deref(), Some("ready"));
    agent.env.insert("CHORUS_SOCKET".into(), socket.to_string_lossy().into_owned());
    world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
    assert_eq!(heard.next_line().await.expect("a line").as_deref(), Some("one came"));
    assert_eq!(heard.next_line().await.expect("a line").as_deref(), Some(""));
    assert_eq!(heard.next_line().await.expect("a line").as_deref(), Some("it left"));
    // What it had to tell waits for the server that it was for.
    world.start_again().await;
    world.wait_for_status("s", "busy").await;
}
