//! Hostile requests to every endpoint of the API's own description: each gets a clear problem, and
//! none changes anything.

use serde_json::{Value, json};

use crate::documents::{document, files};
use crate::harness::{Agent, Answer, Request, Store, Via, World, is_problem, on_both_stores};

on_both_stores! {
    fields_of_another_type_and_unknown_ones_are_named
    hostile_names_find_nothing
    parameters_that_cannot_be_are_named
}

/// One operation of the API.
pub struct Operation {
    pub method: String,
    path: String,
    about: Value,
}

impl Operation {
    pub fn is_hook(&self) -> bool {
        self.path.starts_with("/api/hooks/")
    }

    pub fn takes_body(&self) -> bool {
        self.about.get("requestBody").is_some()
    }

    /// The schema of its body, references followed.
    fn body_schema<'d>(&self, doc: &'d Value) -> &'d Value {
        let schema = &self.about["requestBody"]["content"]["application/json"]["schema"];
        resolve(doc, schema["$ref"].as_str().unwrap_or_default())
    }

    /// The path with its parameters filled in.
    fn filled(&self, id: &str) -> String {
        let parts = self.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        parts.collect::<Vec<_>>().join("/")
    }

    /// A path that leads to something.
    pub fn real(&self, place: &Place) -> String {
        let id = match self.path.split('/').nth(2) {
            Some("projects") => &place.project,
            Some("permissions") => &place.request,
            Some("documents") => &place.document,
            Some("references") => &place.reference,
            Some("templates") => &place.template,
            Some("hooks") => "Stop",
            Some("tasks") => "1",
            _ => "victim",
        };
        self.filled(id)
    }
}

fn resolve<'d>(doc: &'d Value, reference: &str) -> &'d Value {
    doc.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null)
}

/// A world with one of everything.
pub struct Place {
    pub world: World,
    doc: Value,
    pub operations: Vec<Operation>,
    pub project: String,
    pub request: String,
    document: String,
    reference: String,
    template: String,
    before: Value,
    _held: crate::harness::Held,
}

impl Place {
    pub async fn new() -> Self {
        Self::on(Store::by_default()).await
    }

    async fn on(store: Store) -> Self {
        let world = World::on(store).await;
        let agent = world.begin("victim").await;
        world.hook(&agent, "UserPromptSubmit", &json!({"prompt": "go"})).await.ok();
        world.hook(&agent, "PostToolUse", &Agent::called("toolu_1", "ls")).await.ok();
        let own = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
        let held = world.begin_hook(&agent, "PermissionRequest", &own).await;
        let request =
            world.wait_for_request("victim").await["id"].as_str().expect("an id").to_owned();
        // So that the session is beyond doubt, however long this takes.
        world.write_state(&agent, "waiting");
        world
            .wait_for("the state file is believed", async || {
                world.session("victim").await["evidence"]["source"] == "state_file"
            })
            .await;
        world.post("/api/tasks", &json!({ "title": "a task" })).await.expect(201);
        let template = json!({ "name": "victim", "title": "a {{thing}}" });
        let template = world.post("/api/templates", &template).await.expect(201).json();
        let template = template["id"].as_str().expect("an id").to_owned();
        files(&world, &[("docs/victim.md", "# One\n\ntwo\n")]);
        let document = document(&world, "docs/victim.md").await["id"].to_string();
        let lines = json!({"start_line": 1, "end_line": 2});
        let made = world.post(format!("/api/documents/{document}/references"), &lines).await;
        let reference = made.expect(201).json()["id"].to_string();
        let doc = world.get("/api/openapi.json").await.expect(200).json();
        let mut operations = Vec::new();
        for (path, methods) in doc["paths"].as_object().expect("paths") {
            for (method, about) in methods.as_object().expect("methods") {
                let (method, path) = (method.to_uppercase(), path.clone());
                operations.push(Operation { method, path, about: about.clone() });
            }
        }
        let project =
            world.get("/api/projects").await.rows()[0]["id"].as_str().expect("an id").to_owned();
        let before = everything(&world).await;
        Self {
            world,
            doc,
            operations,
            project,
            request,
            document,
            reference,
            template,
            before,
            _held: held,
        }
    }

    /// A request by the socket: finding out who is behind a port takes a look at every process.
    pub fn request(&self, method: &str, path: impl Into<String>) -> Request<'_> {
        self.world.request(method, path).via(Via::Unix)
    }

    pub async fn send(&self, operation: &Operation, path: &str, body: &[u8]) -> Answer {
        let request = self.request(&operation.method, path);
        request.header("content-type", "application/json").body(body.to_vec()).send().await
    }

    /// Nothing has changed, and the server is well.
    pub async fn unchanged(&self, after: &str) {
        let now = everything(&self.world).await;
        for (what, before) in self.before.as_object().expect("an object") {
            assert_eq!(&now[what], before, "{what}: changed by {after}");
        }
    }
}

/// Everything that can be listed.
async fn everything(world: &World) -> Value {
    let mut all = json!({ "last_event": world.events(None).await.last_id });
    for path in [
        "projects",
        "sessions",
        "permissions",
        "sessions/victim/messages",
        "sessions/victim/logs",
        "tasks",
        "templates",
        "documents",
    ] {
        all[path] = world.get(format!("/api/{path}?limit=500")).await.rows().into();
    }
    all
}

#[track_caller]
pub fn assert_problem(answer: &Answer, statuses: &[u16], why: &str) {
    let short = |text: &str| text.chars().take(300).collect::<String>();
    let (why, asked, text) = (short(why), short(&answer.asked), answer.text());
    assert!(
        statuses.contains(&answer.status),
        "{why}: {asked} was answered {}: {text}",
        answer.status
    );
    assert!(is_problem(answer), "{why}: {asked}: no problem details: {:?} {text}", answer.headers);
}

#[track_caller]
pub fn assert_field(answer: &Answer, field: &str, why: &str) {
    assert_problem(answer, &[422], why);
    let named = answer.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned();
    let right = named == field
        || named.starts_with(&format!("{field}."))
        || named.starts_with(&format!("{field}["));
    assert!(right, "{why}: {} blames {named:?}, not {field:?}: {}", answer.asked, answer.text());
}

#[tokio::test]
async fn bodies_that_are_no_json_or_of_another_shape_are_refused() {
    let place = Place::new().await;
    let deep = "[".repeat(100_000);
    let deep_object =
        format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let bad: &[(&[u8], &str)] = &[
        (b"", "an empty body"),
        (b"{", "half an object"),
        (b"{\"text\": \"x\"", "an object without its end"),
        (b"nul", "half a word"),
        (b"{} {}", "two objects"),
        (b"\"\xff\xfe\"", "bad UTF-8"),
        (b"{\"text\": \"\xc3\x28\"}", "bad UTF-8 inside"),
        (b"{\"text\": \"\\ud800\"}", "half a surrogate pair"),
        (b"\0\0\0\0", "NULs"),
        (b"<xml/>", "something else"),
        (deep.as_bytes(), "deep nesting"),
        (deep_object.as_bytes(), "a deep object"),
    ];
    for operation in place.operations.iter().filter(|o| o.takes_body()) {
        let path = operation.real(&place);
        for (body, why) in bad {
            let answer = place.send(operation, &path, body).await;
            assert_problem(&answer, &[400, 422], why);
        }
        for (body, why) in [
            ("[]", "a list"),
            ("[true]", "a list"),
            ("\"x\"", "a string"),
            ("1", "a number"),
            ("null", "null"),
        ] {
            let answer = place.send(operation, &path, body.as_bytes()).await;
            assert_problem(&answer, &[422], why);
        }
    }
    place.unchanged("bad bodies").await;
}

async fn fields_of_another_type_and_unknown_ones_are_named(store: Store) {
    let place = Place::on(store).await;
    for operation in place.operations.iter().filter(|o| o.takes_body() && !o.is_hook()) {
        let path = operation.real(&place);
        let schema = operation.body_schema(&place.doc);
        let properties = schema["properties"].as_object().expect("properties");
        let mut body = json!({});
        for (name, property) in properties {
            if schema["required"].as_array().is_some_and(|r| r.contains(&json!(name))) {
                body[name] = example(&place.doc, property);
            }
        }
        let mut unknown = body.clone();
        unknown["surprise"] = json!(1);
        let answer = place.send(operation, &path, unknown.to_string().as_bytes()).await;
        assert_field(&answer, "surprise", "an unknown field");
        for (name, property) in properties {
            for wrong in wrong_values(&place.doc, property) {
                let mut body = body.clone();
                body[name] = wrong;
                let text = body.to_string();
                let answer = place.send(operation, &path, text.as_bytes()).await;
                assert_field(&answer, name, &text);
            }
            if let Some(map) = body.as_object()
                && map.contains_key(name)
            {
                let mut less = map.clone();
                less.remove(name);
                let text = Value::Object(less).to_string();
                assert_field(&place.send(operation, &path, text.as_bytes()).await, name, &text);
            }
        }
    }
    place.unchanged("wrong fields").await;
}

/// A value that a property takes.
fn example(doc: &Value, property: &Value) -> Value {
    let property = match property["$ref"].as_str() {
        Some(reference) => resolve(doc, reference),
        None => property,
    };
    match (property["enum"].get(0), property["type"].as_str()) {
        (Some(value), _) => value.clone(),
        (_, Some("boolean")) => json!(true),
        (_, Some("integer")) => json!(1),
        (_, Some("object")) => json!({}),
        (_, Some("array")) => json!([example(doc, &property["items"])]),
        _ => json!("x"),
    }
}

/// Values that a property does not take.
fn wrong_values(doc: &Value, property: &Value) -> Vec<Value> {
    let mut types = Vec::new();
    let mut left = vec![property];
    while let Some(schema) = left.pop() {
        if let Some(reference) = schema["$ref"].as_str() {
            left.push(resolve(doc, reference));
        }
        left.extend(
            ["oneOf", "anyOf", "allOf"].iter().filter_map(|k| schema[k].as_array()).flatten(),
        );
        match &schema["type"] {
            Value::String(one) => types.push(one.clone()),
            Value::Array(some) => {
                types.extend(some.iter().filter_map(|t| t.as_str().map(str::to_owned)))
            }
            _ => {}
        }
    }
    [
        ("string", json!("\u{0}surprise")),
        ("integer", json!(-1.5)),
        ("object", json!({"surprise": {"x": 1}})),
        ("array", json!([["surprise"]])),
        ("boolean", json!(true)),
    ]
    .into_iter()
    .filter(|(kind, _)| !types.iter().any(|t| t == kind))
    .map(|(_, value)| value)
    .collect()
}

#[tokio::test]
async fn other_methods_and_content_types_are_refused() {
    let place = Place::new().await;
    for operation in &place.operations {
        let path = operation.real(&place);
        let known: Vec<&str> = place
            .operations
            .iter()
            .filter(|o| o.path == operation.path)
            .map(|o| &*o.method)
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if !known.contains(&method) {
                let answer = place.request(method, &path).json(&json!({})).send().await;
                assert_problem(&answer, &[405], method);
                let allowed = answer.header("allow");
                assert!(known.iter().all(|m| allowed.contains(m)), "{path}: allow {allowed:?}");
                assert!(!answer.headers.contains_key("access-control-allow-origin"));
            }
        }
        if operation.takes_body() && !operation.is_hook() {
            for kind in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "json",
            ] {
                let request = place.request(&operation.method, &path).body("{\"confirm\": true}");
                let answer = request.header("content-type", kind).send().await;
                assert_problem(&answer, &[415], kind);
            }
            let answer = place.request(&operation.method, &path).body("{}").send().await;
            assert_problem(&answer, &[415], "no content type");
        }
    }
    place.unchanged("other methods").await;
}

async fn hostile_names_find_nothing(store: Store) {
    let place = Place::on(store).await;
    let long = "a".repeat(10 * 1024);
    let names = [
        "..",
        ".",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%2e%2e%2f",
        "%00",
        "victim%00",
        "%ff%fe",
        "%F0%9F%8E%BC",
        "$(touch%20pwned)",
        "%60id%60",
        "'%20OR%201=1--",
        "%22;DROP%20TABLE%20sessions",
        "-rf",
        "=victim",
        "victim:0.0",
        "VICTIM",
        "%20victim",
        "%0avictim",
        "*",
        "%25",
        "00000000-0000-0000-0000-000000000000",
        "%7B%7D",
        &long,
    ];
    for operation in place.operations.iter().filter(|o| o.path.contains('{') && !o.is_hook()) {
        for name in names {
            let body = json!({"confirm": true, "decision": "allow", "name": "x", "text": "x", "metadata": {}});
            let path = operation.filled(name);
            let answer = place.request(&operation.method, &path).json(&body).send().await;
            // The body may be to blame first; a path with bytes that are no text is a bad request.
            assert_problem(&answer, &[404, 422], name);
        }
    }
    // A hook's event may have any name, but it belongs to no session.
    for name in names {
        let answer = place
            .request("POST", format!("/api/hooks/{name}"))
            .json(&json!({"session_id": "x"}))
            .send()
            .await;
        assert_problem(&answer, &[404, 422], name);
    }
    place.unchanged("hostile names").await;
}

async fn parameters_that_cannot_be_are_named(store: Store) {
    let place = Place::on(store).await;
    for operation in place.operations.iter().filter(|o| o.path != "/api/events") {
        let parameters = operation.about["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters.iter().filter(|p| p["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            let mut values: Vec<String> = Vec::new();
            let schema = parameter["schema"].to_string();
            if schema.contains("integer") {
                values.extend(
                    ["x", "-1", "1.5", "", "99999999999999999999", "0x10", "%00"]
                        .map(str::to_owned),
                );
            }
            if schema.contains("$ref") || schema.contains("uuid") {
                values.extend(["surprise", "", "Pending%00", "'"].map(str::to_owned));
            }
            if name == "cursor" {
                values.extend(
                    ["x", "", "_", "1_", "1_a%20b", "x_1", "99999999999999999999_a"]
                        .map(str::to_owned),
                );
                values.push(format!("1_{}", "a".repeat(10_000)));
            }
            for value in values {
                let path = format!("{}?{name}={value}", operation.real(&place));
                let answer = place.request(&operation.method, &path).send().await;
                assert_field(&answer, name, &value);
            }
            let path = format!("{0}?{name}=1&{name}=2", operation.real(&place));
            let answer = place.request(&operation.method, &path).send().await;
            assert_problem(&answer, &[404, 422], "twice the same parameter");
        }
        let header =
            parameters.iter().find(|p| p["in"] == "header" && p["name"] == "Idempotency-Key");
        if header.is_some() {
            for key in [&b""[..], "ü".as_bytes(), "a".repeat(201).as_bytes()] {
                let request = place.request(&operation.method, operation.real(&place));
                let request = request.json(&match operation.path.as_str() {
                    "/api/sessions" => json!({}),
                    "/api/tasks" => json!({ "title": "x" }),
                    "/api/templates" => json!({ "name": "x", "title": "x" }),
                    _ => json!({ "text": "x" }),
                });
                let answer = request.header("idempotency-key", key).send().await;
                assert_field(&answer, "Idempotency-Key", "an unusable key");
            }
        }
    }
    place.unchanged("bad parameters").await;
}
