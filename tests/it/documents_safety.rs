//! What documents are kept from: writes over what nobody has read, and everything outside of the project.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::documents::{document, encoded, files, paths, put, told};
use crate::harness::{World, is_problem};

#[tokio::test]
async fn a_document_is_written_only_over_what_was_read() {
    let world = World::with_stand_in().await;
    files(&world, &[("docs/spec.md", "one\n")]);
    let file = world.project().join("docs/spec.md");
    let id = document(&world, "docs/spec.md").await["id"].clone();
    let address = format!("/api/documents/{id}");
    let read = world.get(&*address).await.json();
    let mut events = world.events(None).await;
    let put = async |body: Value, if_match: Option<&str>| {
        let mut request = world.request("PUT", &*address);
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        request.json(&body).send().await
    };
    let written = put(json!({"content": "two\n", "etag": read["etag"]}), None).await.expect(200);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "two\n");
    let etag = written.header("etag").to_owned();
    assert_eq!(
        (&written.json()["content"], &written.json()["bytes"]),
        (&json!("two\n"), &json!(4))
    );
    told(&mut events, "changed", "docs/spec.md").await;
    put(json!({"content": "three\n"}), Some(&etag)).await.expect(200);
    // What was read is no longer what is there.
    fs::write(&file, "somebody else's\n").expect("written");
    for (body, if_match) in [
        (json!({"content": "x", "etag": read["etag"]}), None),
        (json!({"content": "x"}), Some(&*etag)),
        (json!({"content": "x"}), Some("\"00\"")),
    ] {
        let refused = put(body, if_match).await.expect(409);
        assert!(is_problem(&refused), "{}", refused.text());
        let now = &refused.json()["document"];
        assert_eq!(now["content"], "somebody else's\n");
        assert_eq!(
            refused.header("etag"),
            format!("\"{}\"", now["etag"].as_str().expect("an etag"))
        );
    }
    assert_eq!(fs::read_to_string(&file).expect("the file"), "somebody else's\n");
    for (body, field) in [
        (json!({"content": "x"}), "etag"),
        (json!({"content": "x", "etag": "no"}), "etag"),
        (json!({"etag": "00"}), "content"),
    ] {
        assert_eq!(put(body, None).await.expect(422).json()["errors"][0]["field"], field);
    }
    // Twelve at once: one is written, the others hear so.
    let etag = world.get(&*address).await.header("etag").to_owned();
    let all = (0..12).map(|n| {
        let (world, address, etag) = (&world, &address, &etag);
        async move {
            let request = world.request("PUT", &**address).header("if-match", etag);
            request.json(&json!({"content": format!("{n}\n")})).send().await.status
        }
    });
    let mut statuses = futures_util::future::join_all(all).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[409; 11]].concat());
    put(json!({"content": "at any price\n"}), Some("*")).await.expect(200);
    let large = "x".repeat(2 * 1024 * 1024 + 1);
    let refused = put(json!({"content": large}), Some("*")).await.expect(409);
    assert!(refused.text().contains("2097152"), "{}", refused.text());
    let quotes = "\"\n".repeat(1024 * 1024);
    put(json!({"content": quotes}), Some("*")).await.expect(200);
    assert_eq!(fs::read_to_string(&file).expect("the file"), quotes);
    let acts = world.get("/api/audit?action=document.written").await.rows();
    assert_eq!(acts.len(), 5, "{acts:?}");
    fs::remove_file(&file).expect("removed");
    let gone = put(json!({"content": "x"}), Some("*")).await;
    assert!([404, 409].contains(&gone.status) && is_problem(&gone), "{}", gone.text());
}

#[tokio::test]
async fn nothing_outside_is_read_or_written() {
    let world = World::with_stand_in().await;
    let secret = world.root().join("secret.md");
    put(&secret, "geheim\n");
    files(&world, &[("docs/a.md", "# A\n"), ("docs/bad.md", "x"), ("docs/huge.md", "x")]);
    let at = |path: &str| world.project().join(path);
    symlink(&secret, at("docs/link.md")).expect("a link");
    symlink(world.root(), at("docs/up")).expect("a link");
    symlink("a.md", at("docs/inside.md")).expect("a link");
    put(&at("docs/two\nlines.md"), "geheim");
    fs::write(at("docs/bad.md"), b"caf\xe9\n").expect("a file");
    fs::File::options()
        .write(true)
        .open(at("docs/huge.md"))
        .and_then(|f| f.set_len(50_000_000))
        .expect("a file");
    let listed = paths(&world, "?discover=true").await;
    assert_eq!(listed, ["docs/a.md", "docs/bad.md", "docs/huge.md", "docs/inside.md"]);
    for path in [
        "../../etc/passwd",
        "../secret.md",
        "/etc/passwd",
        "docs/../../secret.md",
        "docs/link.md",
        "docs/up/secret.md",
        "docs/two\nlines.md",
        "docs/",
        "./docs/a.md",
        "a\0b.md",
        ".",
    ] {
        let name = encoded(path);
        let body = json!({"content": "overwritten", "etag": "*"});
        for answer in [
            world.get(format!("/api/documents/{name}")).await,
            world.get(format!("/api/documents/{name}/lines?project=project")).await,
            world.get(format!("/api/documents/{name}/outline")).await,
            world.request("PUT", format!("/api/documents/{name}")).json(&body).send().await,
            world.post(format!("/api/documents/{name}/edit"), &json!({})).await,
            world
                .post(
                    format!("/api/documents/{name}/references"),
                    &json!({"start_line": 1, "end_line": 1}),
                )
                .await,
        ] {
            assert!(
                answer.status == 422 && is_problem(&answer),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(!answer.text().contains("geheim"), "{}", answer.text());
        }
    }
    assert_eq!(fs::read_to_string(&secret).expect("the file"), "geheim\n");
    // A path is no path of the API's either.
    assert_eq!(world.get("/api/documents/../../etc/passwd").await.status, 404);
    for path in ["docs/none.md", "src/a.md", "12345"] {
        assert_eq!(
            world.get(format!("/api/documents/{}", encoded(path))).await.status,
            404,
            "{path}"
        );
    }
    for (path, said) in
        [("docs/bad.md", "not valid UTF-8 (byte 3)"), ("docs/huge.md", "50000000 bytes")]
    {
        for rest in ["", "/lines", "/outline", "/section/1"] {
            let answer =
                world.get(format!("/api/documents/{}{rest}", encoded(path))).await.expect(409);
            assert!(answer.text().contains(said), "{}", answer.text());
        }
    }
    let linked =
        world.get(format!("/api/documents/{}", encoded("docs/inside.md"))).await.expect(200);
    assert_eq!(linked.json()["content"], "# A\n");
    // Found as a file, and a link out of the root when it is read.
    let id = document(&world, "docs/a.md").await["id"].clone();
    fs::remove_file(at("docs/a.md")).expect("removed");
    symlink(&secret, at("docs/a.md")).expect("a link");
    let answer = world.get(format!("/api/documents/{id}")).await;
    assert!([404, 422].contains(&answer.status), "{}", answer.text());
    assert!(!answer.text().contains("geheim"), "{}", answer.text());
}
