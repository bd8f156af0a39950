//! The README's first command, as `make demo` runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The demo's program. It lies beside ours; tests of our package alone do not build it.
fn demo() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_chorus")).with_file_name("examples").join("demo");
    if !path.exists() {
        let built =
            Command::new(env!("CARGO")).args(["build", "--quiet", "--example", "demo"]).status();
        assert!(built.is_ok_and(|s| s.success()) && path.exists(), "{}", path.display());
    }
    path
}

#[test]
fn the_demo_tells_its_whole_story_and_ends_by_itself() {
    let ran = Command::new(demo()).stdin(Stdio::null()).output().expect("the demo runs");
    let (told, failed) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}\n{failed}");
    let mut rest = &*told;
    for step in [
        "chorus serve answers; the page: http://127.0.0.1:",
        "Claude asks: ",
        "approved through the API",
        "edited, and the turn is over",
        "What Chorus keeps",
        ": honoured",
        "assistant: The second line is marked as done.",
        "everything that was started is ended",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step:?} is missing:\n{told}"));
        rest = &rest[at..];
    }
}
