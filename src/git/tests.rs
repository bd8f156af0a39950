//! Against real git, in scratch repositories.

use std::path::{Path, PathBuf};
use std::{fs, process};

use tempfile::TempDir;

use super::{
    Backend, Branch, ChangeKind, GitError, Repository, Runner, What, Worktrees, gitbutler, slug,
};

struct Scratch {
    _dir: TempDir,
    top: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let top = dir.path().canonicalize().expect("its path");
        let scratch = Self { _dir: dir, top };
        fs::create_dir(scratch.project()).expect("a folder");
        scratch.git(&["init", "-q", "-b", "main"]);
        scratch.git(&["config", "user.name", "T"]);
        scratch.git(&["config", "user.email", "t@example.com"]);
        scratch.write("src/a.txt", "a\n");
        scratch.write("src/b.txt", "b\n");
        scratch.git(&["add", "-A"]);
        scratch.git(&["commit", "-qm", "Begin"]);
        scratch
    }

    fn project(&self) -> PathBuf {
        self.top.join("project")
    }

    fn write(&self, path: &str, text: &str) {
        write(&self.project(), path, text);
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.project(), args)
    }

    async fn repository(&self) -> Repository {
        Repository::find(&runner(), &self.project()).await.expect("a repository")
    }

    async fn worktrees(&self) -> Backend {
        let (repository, folder) = (self.repository().await, self.top.join("trees"));
        Backend::Worktree(Worktrees { repository, folder })
    }
}

fn runner() -> Runner {
    Runner::new(std::env::vars(), None)
}

fn write(dir: &Path, path: &str, text: &str) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().expect("a folder")).expect("its folders");
    fs::write(file, text).expect("a file");
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = process::Command::new("git").current_dir(dir).args(args).output().expect("git");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// What a commit changed, one `X<tab>path` a line.
fn changed(dir: &Path, commit: &str) -> Vec<String> {
    let args = ["show", "--format=", "--name-status", "--no-renames", "-z", commit];
    let said = git(dir, &args);
    let parts: Vec<&str> = said.split('\0').filter(|p| !p.is_empty()).collect();
    parts.chunks(2).map(|c| format!("{} {}", c[0], c[1])).collect()
}

#[tokio::test]
async fn a_worktree_commits_exactly_what_is_asked_for() {
    let scratch = Scratch::new();
    let backend = scratch.worktrees().await;
    let branch = backend.create(&slug(1, "One", 1), None).await.expect("a branch");
    assert_eq!(scratch.git(&["rev-parse", "main"]), branch.base);
    let dir = &branch.dir;
    for name in ["with space", "two\nlines", "-dash", "größe", "quote\"s", ":(top)x", "*"] {
        write(dir, name, "new\n");
    }
    write(dir, "src/a.txt", "changed\n");
    fs::rename(dir.join("src/b.txt"), dir.join("src/c.txt")).expect("a rename");
    write(dir, "not-this.txt", "x\n");
    let these: Vec<String> = [
        "with space",
        "two\nlines",
        "-dash",
        "größe",
        "quote\"s",
        ":(top)x",
        "*",
        "src/a.txt",
        "src/b.txt",
        "src/c.txt",
        "never/there",
    ]
    .map(str::to_owned)
    .to_vec();
    let done = backend.commit(&branch, What::These(&these), "Title\n\nBody").await.expect("done");
    let commit = done.commit.expect("a commit");
    assert_eq!(done.left, None);
    assert_eq!(git(dir, &["rev-parse", &branch.name]), commit);
    let mut expected = vec![
        "A *",
        "A -dash",
        "A :(top)x",
        "A größe",
        "A quote\"s",
        "A two\nlines",
        "A with space",
        "M src/a.txt",
        "D src/b.txt",
        "A src/c.txt",
    ];
    let mut changed = changed(dir, &commit);
    expected.sort_unstable();
    changed.sort_unstable();
    assert_eq!(changed, expected);
    assert_eq!(git(dir, &["status", "--porcelain"]), "?? not-this.txt");

    let rest = backend.commit(&branch, What::Everything, "Rest").await.expect("done");
    assert_eq!(rest.paths, ["not-this.txt"]);
    let nothing = backend.commit(&branch, What::Everything, "Nothing").await.expect("done");
    assert_eq!((nothing.commit, nothing.paths.len()), (None, 0));
    let repository = backend.repository();
    let commits = repository.commits(&branch.base, &branch.name).await.expect("commits");
    let said: Vec<_> = commits.iter().map(|c| (c.subject.as_str(), c.body.as_str())).collect();
    assert_eq!(said, [("Rest", ""), ("Title", "Body")]);
    let diff = repository.diff(&branch.base, Some(&branch.name), None).await.expect("a diff");
    assert_eq!(diff.files.len(), 11);
    assert!(diff.patch.contains("+changed") && !diff.cut, "{}", diff.patch);
    // Nothing of it is in the project's own directory.
    assert_eq!(scratch.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_hook_that_refuses_is_reported_and_nothing_is_lost() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    let hook = scratch.project().join(".git/hooks/pre-commit");
    fs::write(&hook, "#!/bin/sh\necho 'the linter says no' >&2\nexit 1\n").expect("a hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("its mode");
    let backend = scratch.worktrees().await;
    let branch = backend.create("task-1-x", None).await.expect("a branch");
    write(&branch.dir, "new.txt", "x\n");
    let error = backend.commit(&branch, What::Everything, "No").await.expect_err("a refusal");
    assert!(error.to_string().contains("the linter says no"), "{error}");
    assert_eq!(fs::read_to_string(branch.dir.join("new.txt")).expect("the edit"), "x\n");
    // A hook that looks at what is committed by a pattern, as many do, sees it.
    let script = "#!/bin/sh\ntest \"$(git diff --cached --name-only -- '*.txt')\" = new.txt\n";
    fs::write(&hook, script).expect("a hook");
    let done = backend.commit(&branch, What::Everything, "Yes").await.expect("done");
    assert_eq!(done.paths, ["new.txt"]);
}

#[tokio::test]
async fn what_is_discarded_can_be_had_back() {
    let scratch = Scratch::new();
    let backend = scratch.worktrees().await;
    let branch = backend.create("task-2-x", Some("main")).await.expect("a branch");
    write(&branch.dir, "src/a.txt", "never committed\n");
    write(&branch.dir, "new.txt", "nor this\n");
    let commit = backend.discard(&branch).await.expect("done").expect("a commit");
    assert!(!branch.dir.exists());
    assert_eq!(scratch.git(&["branch", "--list", "task-2-x"]), "");
    assert_eq!(scratch.git(&["worktree", "list"]).lines().count(), 1);
    scratch.git(&["gc", "--quiet", "--prune=now"]);
    assert_eq!(scratch.git(&["show", &format!("{commit}:src/a.txt")]), "never committed");
    assert_eq!(scratch.git(&["show", &format!("{commit}:new.txt")]), "nor this");
    // Again, as after a crash in between.
    assert_eq!(backend.discard(&branch).await, Ok(None));
}

#[tokio::test]
async fn nothing_that_is_there_is_taken_over() {
    let scratch = Scratch::new();
    let backend = scratch.worktrees().await;
    let branch = backend.create("task-3-x", None).await.expect("a branch");
    write(&branch.dir, "new.txt", "x\n");
    assert!(!backend.is_free("task-3-x").await.expect("an answer"));
    let again = backend.create("task-3-x", None).await;
    assert!(matches!(again, Err(GitError::Taken(_))), "{again:?}");
    assert!(branch.dir.join("new.txt").exists());
    let nowhere = backend.create("task-4-x", Some("no-such-branch")).await;
    assert!(matches!(nowhere, Err(GitError::NoBase { .. })), "{nowhere:?}");
    let other = Repository::find(&runner(), &scratch.top).await;
    assert!(matches!(other, Err(GitError::NoRepository { .. })));
}

#[tokio::test]
async fn a_worktree_that_was_switched_elsewhere_gets_no_commit() {
    let scratch = Scratch::new();
    let backend = scratch.worktrees().await;
    let branch = backend.create("task-5-x", None).await.expect("a branch");
    git(&branch.dir, &["switch", "-q", "-c", "another"]);
    write(&branch.dir, "new.txt", "x\n");
    let error = backend.commit(&branch, What::Everything, "No").await.expect_err("a refusal");
    assert!(matches!(&error, GitError::Elsewhere { found, .. } if found == "another"), "{error}");
    assert_eq!(scratch.git(&["rev-parse", "another"]), branch.base);
}

#[tokio::test]
async fn names_that_are_not_utf8_are_reported_and_never_guessed() {
    use std::os::unix::ffi::OsStrExt as _;
    let scratch = Scratch::new();
    let backend = scratch.worktrees().await;
    let branch = backend.create("task-6-x", None).await.expect("a branch");
    let odd = branch.dir.join(std::ffi::OsStr::from_bytes(b"b\xffd"));
    if fs::write(&odd, "x").is_err() {
        return; // A file system that takes no such name.
    }
    write(&branch.dir, "good", "x\n");
    let status = backend.repository().at(&branch.dir).status().await.expect("a status");
    assert_eq!((status.changes[0].kind, status.unnameable.len()), (ChangeKind::Added, 1));
    let done = backend.commit(&branch, What::Everything, "Some").await.expect("done");
    assert_eq!(done.paths, ["good"]);
    assert!(matches!(done.left, Some(GitError::Unnameable(names)) if names == ["b\u{fffd}d"]));
    assert!(odd.exists());
}

#[tokio::test]
async fn a_program_that_hangs_is_ended() {
    use super::Call;
    let dir = tempfile::tempdir().expect("a folder");
    let mut call = Call::new("sleep", dir.path(), ["300"]);
    call.limit = std::time::Duration::from_millis(200);
    let error = runner().run(call).await.expect_err("too slow");
    assert!(matches!(error, GitError::TooSlow { .. }), "{error}");
    let none = runner().run(Call::new("no-such-program", dir.path(), [""; 0])).await;
    assert!(matches!(none, Err(GitError::NotRun { .. })));
    let env = [("CLAUDECODE", "1"), ("GIT_DIR", "/x"), ("CHORUS_TOKEN", "x"), ("KEPT", "yes")];
    let env = env.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let path = ("PATH".to_owned(), std::env::var("PATH").expect("PATH"));
    let runner = Runner::new(env.into_iter().chain([path]), None);
    let said = runner.done(Call::new("env", dir.path(), [""; 0])).await.expect("its end");
    let said = String::from_utf8(said.stdout).expect("text");
    assert!(said.contains("KEPT=yes") && said.contains("NO_BG_TASKS=1"), "{said}");
    assert!(!["CLAUDECODE", "GIT_DIR", "CHORUS_"].iter().any(|n| said.contains(n)), "{said}");
}

// --- what `but` says, as it was recorded ---

fn recorded<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gitbutler");
    let text = fs::read_to_string(format!("{folder}/{name}.json")).expect("a recording");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn everything_recorded_of_gitbutler_is_understood() {
    let setup: gitbutler::Setup = recorded("setup");
    assert_eq!(setup.target.branch_name, "origin/main");
    assert_eq!(recorded::<gitbutler::New>("branch-new").branch, "task-1");
    let made: gitbutler::Made = recorded("commit");
    assert_eq!(made.commit_id, "df656207e778becf6b8b0d46f47e6b1ac0ddf3c1");
    let status: gitbutler::Uncommitted = recorded("status");
    let changed: Vec<_> = status.uncommitted_changes.iter().map(|c| &c.file_path).collect();
    assert_eq!(changed, ["docs/new.md", "src/beta.txt"]);
    assert_eq!(status.tip("task-1"), Some(made.commit_id.as_str()));
    assert_eq!(status.tip("task-2"), Some(status.merge_base.commit_id.as_str()), "still empty");
    assert_eq!(status.tip("task-9"), None);
    assert!(recorded::<gitbutler::Undone>("undo").changed);
    assert!(!recorded::<gitbutler::Undone>("undo-nothing").changed);
    assert_eq!(recorded::<gitbutler::Pushed>("push").remote, "origin");
    let refusal: gitbutler::Refusal = recorded("setup-required");
    assert_eq!(refusal.error, "setup_required");
}

#[test]
fn a_dependence_is_told_with_its_owner_and_its_files() {
    let complaint = "Error: Cannot commit: 1 change could not be applied:\n  src/alpha.txt\n    line 3 \
        depends on task-1 (ltu)\n\nHint: to apply these changes, stack task-2 on top of task-1";
    let failed = GitError::Failed {
        command: "but commit".into(),
        code: Some(1),
        complaint: complaint.into(),
    };
    let branch = Branch { name: "task-2".into(), base: String::new(), dir: PathBuf::new() };
    let wanted = ["src/alpha.txt".to_owned(), "src/beta.txt".to_owned()];
    let told = gitbutler::dependence(failed, &branch, &wanted);
    let GitError::Depends { owner, paths, .. } = told else { panic!("{told}") };
    assert_eq!((owner.as_str(), paths.as_slice()), ("task-1", &wanted[..1]));
}
