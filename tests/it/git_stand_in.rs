//! The stand-in for GitButler's `but` behaves as the recordings of the real one do, as far as it goes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::stand_in_but;

struct Repository {
    _dir: TempDir,
    root: PathBuf,
}

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("its path");
        let repository = Self { _dir: dir, root };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.git(&["config", "user.name", "T"]);
        repository.git(&["config", "user.email", "t@example.com"]);
        repository.write("a.txt", "a\n");
        repository.write("b.txt", "b\n");
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-qm", "Begin"]);
        repository
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.root.join(path), text).expect("a file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).expect("a file")
    }

    fn run(&self, program: &Path, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(&self.root).output().expect("its end")
    }

    fn git(&self, args: &[&str]) -> String {
        let output = self.run(Path::new("git"), args);
        assert!(output.status.success(), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn but(&self, args: &[&str]) -> Value {
        let output = self.run(&stand_in_but(), args);
        assert!(output.status.success(), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(&stand_in_but(), args);
        let code = output.status.code().expect("a code");
        (code, String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn recorded(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gitbutler");
    let text = fs::read_to_string(format!("{folder}/{name}.json")).expect("a recording");
    serde_json::from_str(&text).expect("JSON")
}

/// Where in it which keys are; list items all alike.
fn shape(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    found.insert(format!("{at}.{key}"));
                    walk(value, &format!("{at}.{key}"), found);
                }
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, &format!("{at}[]"), found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}

fn assert_alike(said: &Value, name: &str) {
    assert_eq!(shape(said), shape(&recorded(name)), "{name}: {said}");
}

#[test]
fn its_words_have_the_recorded_shapes() {
    let r = Repository::new();
    let (code, stderr) = r.refused(&["status", "--json"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("Error: Setup required: No GitButler project found"), "{stderr}");
    let said = r.run(&stand_in_but(), &["status", "--json"]).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&said).expect("JSON"), recorded("setup-required"));
    assert_alike(&r.but(&["setup", "--json"]), "setup");
    assert_eq!(r.git(&["symbolic-ref", "--short", "HEAD"]), "gitbutler/workspace");
    assert_alike(&r.but(&["branch", "new", "task-1", "--json"]), "branch-new");
    r.but(&["branch", "new", "task-2", "--json"]);
    r.write("a.txt", "a changed\n");
    r.write("b.txt", "b changed\n");
    let commit =
        r.but(&["commit", "-b", "task-1", "-m", "A", "-m", "more", "--json", "--", "a.txt"]);
    assert_alike(&commit, "commit");
    assert_eq!(r.git(&["rev-parse", "task-1"]), commit["commitId"]);
    assert_eq!(r.git(&["show", "-s", "--format=%B", "task-1"]), "A\n\nmore");
    assert_eq!(r.git(&["status", "--porcelain"]), " M b.txt");
    let status = r.but(&["status", "--json"]);
    let without_files = |mut v: Value| {
        // The recording names a file that is new, this one does not.
        v["upstreamState"]["lastFetched"] = Value::Null;
        v
    };
    let (said, wanted) = (without_files(status), without_files(recorded("status")));
    assert_eq!(shape(&said), shape(&wanted));
    assert_alike(&r.but(&["undo", "--json"]), "undo");
    assert_eq!(r.git(&["status", "--porcelain"]), " M a.txt\n M b.txt");
    for _ in 0..2 {
        r.but(&["undo", "--json"]);
    }
    assert_alike(&r.but(&["undo", "--json"]), "undo-nothing");
}

#[test]
fn it_refuses_in_the_recorded_words() {
    let r = Repository::new();
    r.but(&["setup", "--json"]);
    for name in ["task-1", "task-2"] {
        r.but(&["branch", "new", name, "--json"]);
    }
    let starts = |args: &[&str], code, words: &str| {
        let (ended, stderr) = r.refused(args);
        assert_eq!(ended, code, "{args:?}: {stderr}");
        assert!(stderr.starts_with(words), "{args:?}: {stderr}");
    };
    let commit = ["commit", "-b", "task-1", "-m", "m", "--json", "--"];
    let of = |path: &'static str| commit.iter().copied().chain([path]).collect::<Vec<_>>();
    starts(&of("a.txt"), 1, "Error: Could not find uncommitted change: 'a.txt'");
    let again = ["branch", "new", "task-1", "--json"];
    starts(&again, 1, "Error: A branch named 'task-1' is already applied");
    let main = ["branch", "new", "main", "--json"];
    starts(&main, 1, "Error: A branch named 'main' exists but is not applied");
    starts(&["branch", "delete", "nope", "--json"], 1, "Error: Could not find branch: 'nope'");
    starts(&["push", "nope", "--json"], 1, "Error: Branch 'nope' not found. Available branches:");
    starts(&["rub", "a.txt", "task-1", "--json"], 2, "error: unexpected argument 'rub' found");
    r.write("a.txt", "one\n");
    r.but(&of("a.txt"));
    r.write("a.txt", "two\n");
    let other = ["commit", "-b", "task-2", "-m", "m", "--json", "--", "a.txt"];
    starts(&other, 1, "Error: Cannot commit: 1 change could not be applied:\n  a.txt\n    line");
    // Nothing to commit is a commit all the same.
    r.but(&of("a.txt"));
    let before = r.git(&["rev-parse", "task-1"]);
    r.but(&["commit", "-b", "task-1", "-m", "nothing", "--json"]);
    assert_ne!(r.git(&["rev-parse", "task-1"]), before);
}

#[test]
fn it_loses_edits_as_the_real_one_does_and_undo_brings_them_back() {
    let r = Repository::new();
    r.but(&["setup", "--json"]);
    r.but(&["branch", "new", "task-1", "--json"]);
    let commit = ["commit", "-b", "task-1", "-m", "m", "--json", "--", "a.txt"];
    let moved = r.git(&["commit-tree", "main^{tree}", "-p", "main", "-m", "by plain git"]);
    r.git(&["update-ref", "refs/heads/task-1", &moved]);
    r.write("a.txt", "an edit\n");
    let said = r.but(&commit);
    assert_ne!(r.git(&["rev-parse", "task-1"]), said["commitId"]);
    assert_eq!(r.read("a.txt"), "a\n", "gone");
    r.but(&["undo", "--json"]);
    assert_eq!(r.read("a.txt"), "an edit\n");
    assert_eq!(r.git(&["status", "--porcelain"]), " M a.txt");
    // The same by the switch.
    r.git(&["update-ref", "refs/heads/task-1", "main"]);
    fs::write(r.root.join(".git/stand-in-but-lose"), "").expect("the switch");
    let said = r.but(&commit);
    assert_ne!(r.git(&["rev-parse", "task-1"]), said["commitId"]);
    assert_eq!(r.read("a.txt"), "a\n");
    r.but(&["undo", "--json"]);
    assert_eq!(r.read("a.txt"), "an edit\n");
    let said = r.but(&commit);
    assert_eq!(r.git(&["rev-parse", "task-1"]), said["commitId"]);
    // A branch that is deleted takes its edits along.
    r.but(&["branch", "delete", "task-1", "--json"]);
    assert_eq!(r.read("a.txt"), "a\n");
    r.but(&["undo", "--json"]);
    assert_eq!(r.read("a.txt"), "an edit\n");
    assert_eq!(r.git(&["rev-parse", "task-1"]), said["commitId"]);
}
