//! A session's terminal over a WebSocket: somebody looks, types, is away, comes back; and nobody types
//! who must not.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::{PATIENCE, World, busyness, is_problem};

/// Somebody who watches a terminal.
struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// Everything that is drawn since the last screen.
    drawn: String,
    /// The last screen's size.
    size: (u64, u64),
    screens: u32,
}

impl Viewer {
    async fn open(world: &World, session: &str, query: &str) -> Self {
        Self::try_open(world, session, query, &[]).await.expect("a WebSocket")
    }

    /// Tells the status if the server refuses.
    async fn try_open(
        world: &World,
        session: &str,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, (u16, String)> {
        let url = format!("ws://{}/api/sessions/{session}/terminal{query}", world.host());
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header's value"));
        }
        let stream = TcpStream::connect(world.host()).await.expect("a connection");
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket, drawn: String::new(), size: (0, 0), screens: 0 }),
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(e) => panic!("no WebSocket: {e}"),
        }
    }

    async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("the message is sent");
    }

    async fn type_in(&mut self, keys: &str) {
        self.socket.send(Message::binary(keys.to_owned())).await.expect("the keys are sent");
    }

    /// The next thing: a JSON object that is no screen's, or `null` after something was drawn.
    async fn next(&mut self) -> Value {
        let next = timeout(PATIENCE.mul_f64(busyness()), self.socket.next()).await;
        let next = next.unwrap_or_else(|_| panic!("nothing more comes after {:?}", self.drawn));
        match next.expect("the connection goes on").expect("a message") {
            Message::Text(text) => {
                let told: Value = serde_json::from_str(&text).expect("JSON");
                if told["type"] == "screen" {
                    self.size = (told["columns"].as_u64().unwrap(), told["rows"].as_u64().unwrap());
                    self.drawn.clear();
                    self.screens += 1;
                    return Value::Null;
                }
                told
            }
            Message::Binary(bytes) => {
                self.drawn.push_str(&String::from_utf8_lossy(&bytes));
                Value::Null
            }
            Message::Close(frame) => {
                let frame = frame.expect("a reason");
                json!({ "type": "closed", "code": u16::from(frame.code), "reason": frame.reason.as_str() })
            }
            _ => Value::Null,
        }
    }

    async fn until_drawn(&mut self, text: &str) {
        let drawn = async {
            while !self.drawn.contains(text) {
                self.next().await;
            }
        };
        // Pings go on coming.
        let drawn = timeout((3 * PATIENCE).mul_f64(busyness()), drawn).await;
        assert!(drawn.is_ok(), "{text:?} is not drawn: {:?}", self.drawn);
    }

    async fn until_told(&mut self, kind: &str) -> Value {
        loop {
            let told = self.next().await;
            if told["type"] == kind {
                return told;
            }
        }
    }

    async fn until_size(&mut self, size: (u64, u64)) {
        while self.size != size {
            self.next().await;
        }
    }
}

async fn shell(world: &World) {
    world.begin_with("a", &json!({"launch": {"env": {"STAND_IN": "shell"}}})).await;
}

async fn pane_size(world: &World, session: &str) -> String {
    let pane = world.pane(session).await;
    let format = "#{pane_width}x#{pane_height}";
    world.tmux(&["display-message", "-p", "-t", &pane, format]).await.ok().stdout.trim().to_owned()
}

#[tokio::test]
async fn somebody_looks_then_types_and_comes_back_to_the_present_screen() {
    let world = World::with_stand_in().await;
    shell(&world).await;
    world.run_in_pane("a", "seq -f before-%g 1 80 > /dev/tty").await.ok();
    let mut looking = Viewer::open(&world, "a", "").await;
    // The scrollback is there: what has left the screen too.
    looking.until_drawn("before-1\r").await;
    looking.until_drawn("before-80\r").await;
    assert_eq!(looking.size, (200, 50));

    // Who only looks types nothing, and has no say in the size.
    looking.type_in("echo never\r").await;
    let refused = looking.until_told("refused").await;
    assert!(refused["detail"].as_str().unwrap().contains("switch to typing"), "{refused}");
    looking.say(&json!({"type": "paste", "text": "never"})).await;
    looking.until_told("refused").await;
    looking.say(&json!({"type": "size", "columns": 60, "rows": 20})).await;
    let mut typing = Viewer::open(&world, "a", "?write=true&scrollback=0").await;
    assert_eq!(typing.until_told("typing").await["on"], true);
    assert_eq!(pane_size(&world, "a").await, "200x50");
    typing.type_in("echo ty''ped\r").await;
    typing.until_drawn("typed\r\n").await;
    typing.say(&json!({"type": "paste", "text": "echo pas''ted"})).await;
    typing.type_in("\r").await;
    typing.until_drawn("pasted\r\n").await;
    // The other one has seen it as it came.
    looking.until_drawn("pasted\r\n").await;
    assert!(looking.screens == 1 && !looking.drawn.contains("never"), "{:?}", looking.drawn);

    // Whoever types gives it its size, which everybody is told.
    typing.say(&json!({"type": "size", "columns": 90, "rows": 30})).await;
    typing.until_size((90, 30)).await;
    looking.until_size((90, 30)).await;
    assert_eq!(pane_size(&world, "a").await, "90x30");
    typing.say(&json!({"type": "size", "columns": 0, "rows": 30})).await;
    typing.until_told("refused").await;
    typing.say(&json!({"type": "typing", "on": false})).await;
    assert_eq!(typing.until_told("typing").await["on"], false);
    typing.type_in("echo never\r").await;
    typing.until_told("refused").await;

    drop(typing);
    world.run_in_pane("a", "echo mean''while > /dev/tty").await.ok();
    let mut back = Viewer::open(&world, "a", "").await;
    back.until_drawn("meanwhile\r").await;
    assert!(back.drawn.contains("before-1\r") && back.size == (90, 30), "{:?}", back.drawn);
    assert_eq!(back.screens, 1);
}

#[tokio::test]
async fn a_window_that_was_split_still_shows_the_pane_that_claude_runs_in() {
    let world = World::with_stand_in().await;
    shell(&world).await;
    let beside = world.root().join("beside");
    let pane = world.pane("a").await;
    let cat = format!("exec cat > {}", beside.display());
    // Before it, behind it, and in a window of its own.
    world.tmux(&["split-window", "-b", "-t", &pane, &cat]).await.ok();
    world.tmux(&["split-window", "-t", &pane, "exec cat"]).await.ok();
    world.tmux(&["new-window", "-t", &pane, "exec cat"]).await.ok();
    world.kill9();
    world.start_again().await;
    let mut typing = Viewer::open(&world, "a", "?write=true&scrollback=0").await;
    typing.until_told("typing").await;
    typing.type_in("echo ty''ped\r").await;
    typing.until_drawn("typed\r\n").await;
    assert_eq!(std::fs::read(&beside).expect("a file"), b"");
}

#[tokio::test]
async fn the_end_says_why() {
    let world = World::with_stand_in().await;
    shell(&world).await;
    let mut viewer = Viewer::open(&world, "a", "").await;
    viewer.say(&json!({"type": "dance"})).await;
    assert_eq!(viewer.until_told("closed").await["code"], 1008);

    let mut viewer = Viewer::open(&world, "a", "").await;
    viewer.next().await;
    // What Claude leaves on its screen can be seen until it goes on, and then what comes after.
    world.post("/api/sessions/a/pause", &Value::Null).await.expect(200);
    viewer.until_drawn("Pane is dead").await;
    world.post("/api/sessions/a/resume", &Value::Null).await.expect(202);
    world.run_in_pane("a", "echo a''gain > /dev/tty").await.ok();
    viewer.until_drawn("again\r").await;
    world.delete("/api/sessions/a").await.expect(204);
    assert_eq!(viewer.until_told("closed").await["code"], 4001);
    let (status, body) = Viewer::try_open(&world, "a", "", &[]).await.err().expect("a refusal");
    assert!(status == 409 && body.contains("does not run"), "{status} {body}");

    world.create("b", &json!({})).await;
    let mut viewer = Viewer::open(&world, "b", "").await;
    viewer.next().await;
    world.stop().await;
    assert_eq!(viewer.until_told("closed").await["code"], 1001);
}

#[tokio::test]
async fn other_sites_and_other_requests_see_nothing() {
    let world = World::with_stand_in().await;
    shell(&world).await;
    let host = format!("http://{}", world.host());
    for (origin, expected) in
        [("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403)]
    {
        for query in ["", "?write=true"] {
            let refused = Viewer::try_open(&world, "a", query, &[("origin", origin)]).await;
            let (status, body) = refused.err().expect("a refusal");
            assert!(
                status == expected && body.contains("other sites"),
                "{origin}: {status} {body}"
            );
        }
    }
    let rebound = Viewer::try_open(&world, "a", "", &[("host", "evil.example")]).await;
    assert_eq!(rebound.err().expect("a refusal").0, 421);
    let same = Viewer::try_open(&world, "a", "?write=true", &[("origin", &host)]).await;
    same.unwrap_or_else(|e| panic!("our own page: {e:?}")).until_told("typing").await;
    assert_eq!(Viewer::try_open(&world, "nobody", "", &[]).await.err().expect("a refusal").0, 404);
    let plain = world.get("/api/sessions/a/terminal").await;
    assert!(plain.status >= 400 && is_problem(&plain), "{}: {}", plain.status, plain.text());
    let many = world.get("/api/sessions/a/terminal?scrollback=10001").await.expect(422);
    assert!(many.text().contains("scrollback"), "{}", many.text());
}

/// An agent that opens the WebSocket by hand: it may look, but is refused when it switches to typing.
#[tokio::test]
async fn an_agent_looks_at_a_terminal_but_does_not_type() {
    let world = World::with_stand_in().await;
    shell(&world).await;
    world.begin_with("victim", &json!({"launch": {"env": {"STAND_IN": "shell"}}})).await;
    // A masked text frame {"type":"typing","on":true} with a mask of zeros, then "touch owned" typed.
    let script = format!(
        r#"exec 3<>/dev/tcp/127.0.0.1/{port}
        printf 'GET /api/sessions/victim/terminal HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' >&3
        printf '\x81\x9b\0\0\0\0{{"type":"typing","on":true}}' >&3
        printf '\x82\x8c\0\0\0\0touch owned\r' >&3
        cat <&3 > told & until grep -qa 'switch to typing' told; do sleep 0.05; done; kill $!"#,
        port = world.host().rsplit_once(':').expect("a port").1,
    );
    let file = world.root().join("agent.bash");
    std::fs::write(&file, script).expect("a script");
    world.run_in_pane("a", &format!("bash {}", file.display())).await.ok();
    let told = std::fs::read(world.project().join("told")).expect("what it was told");
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("101 Switching") && told.contains("\"screen\""), "{told}");
    assert!(told.contains("\"refused\"") && told.contains("for people"), "{told}");
    assert!(!told.contains("\"on\":true") && told.contains("switch to typing"), "{told}");
    assert!(!world.pane_text("victim").await.contains("owned"));
}

#[tokio::test]
async fn a_viewer_that_takes_nothing_holds_nobody_up() {
    let world = World::with_stand_in().await;
    shell(&world).await;
    let mut slow = Viewer::open(&world, "a", "?scrollback=10").await;
    slow.next().await;
    // Far more than what fits into sockets and pipes; it is over although nobody reads.
    let began = std::time::Instant::now();
    world.run_in_pane("a", "seq 1 3000000 > /dev/tty; echo all-is-out > /dev/tty").await.ok();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    slow.until_drawn("all-is-out").await;
    assert!(slow.screens > 1, "what it missed is made up for by a screen");
}
