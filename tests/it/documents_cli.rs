//! Documents on the command line.

use std::fs;

use crate::documents::{document, files};
use crate::harness::World;

const SPEC: &str = "# Spec\n\n## Log in\n\nWith a password.\n\n## Log out\n\n\u{1b}[2JAt once.\n";

#[tokio::test]
async fn documents_are_shown_and_referred_to_by_their_lines() {
    let world = World::with_stand_in().await;
    files(&world, &[("docs/spec.md", SPEC), ("docs/other.md", "# Other\n"), ("12.md", "twelve\n")]);
    document(&world, "docs/spec.md").await;
    document(&world, "12.md").await;
    let chorus = async |args: &[&str]| {
        let args: Vec<&str> = [&["docs"], args].concat();
        world.cli(&args).await
    };
    let listed = chorus(&[]).await.ok().stdout;
    assert!(listed.contains("docs/spec.md") && listed.contains("context"), "{listed}");
    chorus(&["pin", "docs/spec.md"]).await.ok();
    let first = chorus(&["ls"]).await.ok().stdout;
    assert!(first.lines().next().is_some_and(|l| l.contains("* docs/spec.md")), "{first}");
    chorus(&["unpin", "docs/spec.md"]).await.ok();
    let found = chorus(&["ls", "OTHER", "--category", "context"]).await.ok().stdout;
    assert!(found.contains("docs/other.md") && !found.contains("spec.md"), "{found}");

    assert_eq!(
        chorus(&["show", "docs/spec.md:3-5"]).await.ok().stdout,
        "3  ## Log in\n4\n5  With a password.\n"
    );
    assert_eq!(chorus(&["show", "docs/spec.md:5"]).await.ok().stdout, "5  With a password.\n");
    let out = chorus(&["show", "docs/spec.md#log OUT"]).await.ok().stdout;
    // Nothing in a document steers the terminal.
    assert_eq!(out, "7  ## Log out\n8\n9  [2JAt once.\n");
    assert_eq!(chorus(&["section", "docs/spec.md:7"]).await.ok().stdout, out);
    let outline = chorus(&["outline", "docs/spec.md"]).await.ok().stdout;
    assert_eq!(outline, "1  Spec\n3    Log in\n7    Log out\n");
    // From a folder of the project, by a path from there.
    let below =
        world.cli_in(&world.project().join("docs"), &["docs", "show", "spec.md:1"]).await.ok();
    assert_eq!(below.stdout, "1  # Spec\n");
    let below =
        world.cli_in(&world.project().join("docs"), &["docs", "show", "../12.md"]).await.ok();
    assert_eq!(below.stdout, "1  twelve\n");

    let made = chorus(&["refer", "docs/spec.md#Log in", "-m", "what is wanted"]).await.ok().stdout;
    assert!(made.contains("docs/spec.md:3-6  as it was  what is wanted"), "{made}");
    let id = made.split_whitespace().next().expect("an id").to_owned();
    fs::write(
        world.project().join("docs/spec.md"),
        format!("New.\n{}", SPEC.replace("password", "key")),
    )
    .expect("a file");
    let drifted = chorus(&["refs", "docs/spec.md"]).await.ok().stdout;
    for part in ["DRIFTED", "With a password.", "With a key.", &format!("chorus docs accept {id}")]
    {
        assert!(drifted.contains(part), "{part}: {drifted}");
    }
    let accepted = chorus(&["accept", &id]).await.ok().stdout;
    assert!(accepted.contains("docs/spec.md:4-7  as it was"), "{accepted}");
    chorus(&["unrefer", &id]).await.ok();
    assert!(chorus(&["refs", "docs/spec.md"]).await.ok().stdout.contains("nothing refers"));

    for (args, code, said) in [
        (&["show", "docs/none.md"][..], 5, "docs/none.md"),
        (&["show", "../secret.md"], 3, "root"),
        (&["show", "docs/spec.md:99"], 3, "lines"),
        (&["show", "docs/spec.md:5-2"], 2, "5-2"),
        (&["show", "docs/spec.md#Nowhere"], 5, "Nowhere"),
        (&["section", "docs/spec.md"], 2, "heading"),
        (&["section", "docs/spec.md:3"], 3, "line 3"),
        (&["accept", "999"], 5, "999"),
        (&["ls", "--project", "nowhere"], 5, "nowhere"),
    ] {
        let refused = chorus(args).await;
        assert_eq!(refused.code, Some(code), "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{args:?}: {}", refused.stderr);
    }
}

#[tokio::test]
async fn a_task_shows_how_the_lines_stand_that_matter_for_it() {
    let world = World::with_stand_in().await;
    let lines = "# Title\n\none\ntwo\nthree\n\nfour\nfive\nsix\n";
    let all = ["still.md", "moved.md", "changed.md", "gone.md"];
    files(&world, &all.map(|name| (name, lines)));
    let wanted = all.map(|name| format!("{name}:3-5"));
    let refs: Vec<&str> = wanted.iter().flat_map(|w| ["-r", w]).collect();
    world.cli(&[&["task", "new", "look"][..], &refs].concat()).await.ok();
    files(
        &world,
        &[("moved.md", &format!("New.\n{lines}")), ("changed.md", &lines.replace("two", "2"))],
    );
    fs::remove_file(world.project().join("gone.md")).expect("removed");
    let shown = world.cli(&["task", "show", "1"]).await.ok().stdout;
    for part in [
        "still.md:3-5 (current)",
        "moved.md:4-6 (moved)",
        "changed.md:3-5 (drifted)",
        "chorus docs accept",
        "gone.md:3-5 (missing)",
        "--use-stored-text",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let gone = world
        .wait_for("it is known to be gone", async || {
            let rows = world.get("/api/documents?missing=true").await.rows();
            rows.first().cloned().ok_or("nothing is missing")
        })
        .await;
    let page = world.get(format!("/documents/{}", gone["id"])).await;
    let page = page.expect(200).text();
    assert!(page.contains("no longer there") && !page.contains("Open it in"), "{page}");
}
