//! Who may do what: an agent does not approve itself, a page of another site does nothing, another
//! user neither.

use serde_json::{Value, json};

use crate::harness::{Agent, Held, Via, World, is_problem};

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
            Some("hooks") => continue,
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
