//! The repository behind it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::state::{Snapshot, Stack, State};
use crate::{Refusal, Said};

/// A repository.
pub struct Repository {
    root: PathBuf,
    git_dir: PathBuf,
}

const WORKSPACE: &str = "refs/heads/gitbutler/workspace";

impl Repository {
    pub fn find() -> Result<Self, Refusal> {
        let ask = |what: &str| {
            let args = ["rev-parse", "--path-format=absolute", what];
            let output = Command::new("git").args(args).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| PathBuf::from(text.trim_end()))
        };
        match (ask("--show-toplevel"), ask("--git-dir"), ask("--git-common-dir")) {
            // In a linked worktree there is no project.
            (Some(root), Some(git_dir), Some(common)) if git_dir == common => {
                Ok(Self { root, git_dir })
            }
            (Some(_), ..) => Err(Refusal::setup_required()),
            _ => Err(Refusal::new(
                "Error: No git repository found at .\nPlease run 'but setup' to initialize the project.",
            )),
        }
    }

    /// Takes its time, if it was told to.
    pub fn dawdle(&self) {
        let wanted = fs::read_to_string(self.git_dir.join("stand-in-but-slow"));
        if let Some(ms) = wanted.ok().and_then(|text| text.trim().parse().ok()) {
            std::thread::sleep(Duration::from_millis(ms));
        }
    }

    /// One writes at a time; the kernel lets go of it if this process dies.
    pub fn lock(&self) -> Option<File> {
        let folder = self.git_dir.join("gitbutler");
        fs::create_dir_all(&folder).ok()?;
        let file = File::create(folder.join("gitbutler.write-lock")).ok()?;
        file.lock().ok()?;
        Some(file)
    }

    fn state_file(&self) -> PathBuf {
        self.git_dir.join("gitbutler/stand-in.json")
    }

    pub fn is_set_up(&self) -> bool {
        let head = self.git(&["symbolic-ref", "-q", "HEAD"]);
        self.state_file().exists() && head.is_ok_and(|head| head == WORKSPACE)
    }

    fn load(&self) -> State {
        let bytes = fs::read(self.state_file()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn save(&self, state: &State) -> Result<(), Refusal> {
        let failed = |e: std::io::Error| Refusal::new(format!("Error: {e}"));
        let file = self.state_file();
        let part = file.with_extension("part");
        fs::write(&part, serde_json::to_vec(state).unwrap_or_default()).map_err(failed)?;
        fs::rename(part, file).map_err(failed)
    }

    // --- git ---

    fn git(&self, args: &[&str]) -> Result<String, Refusal> {
        self.git_with(args, None, "")
    }

    /// Runs git, on another index if there is one, and tells what it said.
    fn git_with(
        &self,
        args: &[&str],
        index: Option<&Path>,
        input: &str,
    ) -> Result<String, Refusal> {
        let failed = |e: std::io::Error| Refusal::new(format!("Error: {e}"));
        let mut command = Command::new("git");
        command
            .args(["-c", "core.quotepath=false", "-c", "core.hooksPath=/dev/null"])
            .args(args)
            .current_dir(&self.root)
            .env("GIT_LITERAL_PATHSPECS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(index) = index {
            command.env("GIT_INDEX_FILE", index);
        }
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Refusal::new(format!("Error: git {}: {said}", args.join(" "))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }

    /// The files that two trees differ in.
    fn differing(&self, from: &str, to: &str) -> Result<Vec<String>, Refusal> {
        let said = self.git(&["diff-tree", "-r", "-z", "--no-renames", "--name-only", from, to])?;
        Ok(said.split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect())
    }

    /// A tree with these files as they are in another.
    fn tree_with(&self, tree: &str, paths: &[String], source: &str) -> Result<String, Refusal> {
        let index = self.git_dir.join(format!("gitbutler/index-{}", std::process::id()));
        let make = || {
            self.git_with(&["read-tree", tree], Some(&index), "")?;
            let mut entries = String::new();
            for path in paths {
                let entry = self.git(&["ls-tree", "-z", source, "--", path])?;
                match entry.trim_end_matches('\0') {
                    // A mode of 0 takes it out.
                    "" => entries.push_str(&format!("0 {}\t{path}\0", "0".repeat(40))),
                    entry => entries.push_str(&format!("{entry}\0")),
                }
            }
            let args = ["update-index", "-z", "--index-info"];
            self.git_with(&args, Some(&index), &entries)?;
            self.git_with(&["write-tree"], Some(&index), "")
        };
        let made = make();
        let _ = fs::remove_file(&index);
        made
    }

    /// The tree of the whole working directory.
    fn tree_of_directory(&self) -> Result<String, Refusal> {
        let index = self.git_dir.join(format!("gitbutler/index-{}", std::process::id()));
        let make = || {
            self.git_with(&["read-tree", "HEAD"], Some(&index), "")?;
            self.git_with(&["add", "--all"], Some(&index), "")?;
            self.git_with(&["write-tree"], Some(&index), "")
        };
        let made = make();
        let _ = fs::remove_file(&index);
        made
    }

    /// Makes the workspace anew: the target with every applied branch merged. Files in the directory
    /// stay as they are.
    fn rewrite(&self, state: &State) -> Result<(), Refusal> {
        let mut tree = state.target.clone();
        for stack in &state.stacks {
            let changed = self.differing(&state.target, &stack.tip)?;
            tree = self.tree_with(&tree, &changed, &stack.tip)?;
        }
        let tree = self.git(&["rev-parse", &format!("{tree}^{{tree}}")])?;
        let mut args =
            vec!["-c", "user.name=GitButler", "-c", "user.email=gitbutler@gitbutler.com"];
        args.extend(["commit-tree", &tree, "-p", &state.target]);
        for stack in state.stacks.iter().filter(|s| s.tip != state.target) {
            args.extend(["-p", &stack.tip]);
        }
        args.extend(["-m", "GitButler Workspace Commit"]);
        let commit = self.git(&args)?;
        self.git(&["update-ref", WORKSPACE, &commit])?;
        self.git(&["symbolic-ref", "HEAD", WORKSPACE])?;
        self.git(&["read-tree", "HEAD"])?;
        let _ = self.git(&["update-index", "-q", "--refresh"]);
        Ok(())
    }

    /// Makes these files in the directory as a tree has them.
    fn put(&self, paths: &[String], tree: &str) -> Result<(), Refusal> {
        for path in paths {
            if self.git(&["ls-tree", "-z", tree, "--", path])?.is_empty() {
                let _ = fs::remove_file(self.root.join(path));
            } else {
                self.git(&["restore", "--worktree", "--source", tree, "--", path])?;
            }
        }
        Ok(())
    }

    fn remember(&self, state: &mut State) -> Result<(), Refusal> {
        let tree = self.tree_of_directory()?;
        state.log.push(Snapshot { stacks: state.stacks.clone(), tree });
        Ok(())
    }

    // --- the commands ---

    pub fn setup(&self) -> Said {
        let answer = |newly| {
            json!({ "repositoryPath": self.root, "projectStatus": "alreadyexists", "target":
                { "branchName": "origin/main", "remoteName": "origin", "newlySet": newly } })
        };
        if self.is_set_up() {
            return Ok(answer(false));
        }
        let known = self.state_file().exists();
        let mut state = self.load();
        if !known {
            state.target = self.git(&["rev-parse", "HEAD"])?;
        }
        self.rewrite(&state)?;
        self.save(&state)?;
        Ok(answer(!known))
    }

    fn changes(&self) -> Result<Vec<(String, &'static str)>, Refusal> {
        let args = ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"];
        let said = self.git(&args)?;
        let changes = said.split('\0').filter(|entry| entry.len() > 3).map(|entry| {
            let kind = match &entry[..2] {
                "??" => "added",
                sign if sign.contains('D') => "removed",
                sign if sign.contains('A') => "added",
                _ => "modified",
            };
            (entry[3..].to_owned(), kind)
        });
        Ok(changes.collect())
    }

    fn told(&self, commit: &str) -> Result<Value, Refusal> {
        let said = self.git(&["log", "-1", "--format=%cI%n%an%n%ae%n%B", commit])?;
        let mut lines = said.splitn(4, '\n');
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (at, name, email, message) = (next(), next(), next(), next());
        Ok(json!({ "cliId": "", "commitId": commit, "createdAt": at, "message": message,
            "authorName": name, "authorEmail": email, "conflicted": false, "reviewId": null,
            "changes": null }))
    }

    pub fn status(&self) -> Said {
        let state = self.load();
        let mut changed = Vec::new();
        for (n, (path, kind)) in self.changes()?.into_iter().enumerate() {
            changed.push(json!({ "cliId": format!("z{n}"), "filePath": path, "changeType": kind }));
        }
        let mut stacks = Vec::new();
        for (n, stack) in state.stacks.iter().enumerate() {
            let range = format!("{}..{}", state.target, stack.tip);
            let mut commits = Vec::new();
            for id in self.git(&["rev-list", &range])?.lines() {
                let mut commit = self.told(id)?;
                commit["cliId"] = json!(&id[..3]);
                commit["changeId"] = json!(id);
                commits.push(commit);
            }
            stacks.push(json!({ "cliId": format!("g{n}"), "assignedChanges": [], "branches": [{
                "cliId": format!("t{n}"), "name": stack.name, "commits": commits,
                "upstreamCommits": [], "branchStatus": "completelyUnpushed", "reviewId": null,
                "ci": null }] }));
        }
        let base = self.told(&state.target)?;
        Ok(json!({ "uncommittedChanges": changed, "stacks": stacks, "mergeBase": base.clone(),
            "upstreamState": { "behind": 0, "latestCommit": base, "lastFetched": null } }))
    }

    pub fn branch_new(&self, name: &str) -> Said {
        let mut state = self.load();
        if state.stacks.iter().any(|s| s.name == name) {
            let said = format!("Error: A branch named '{name}' is already applied");
            return Err(Refusal::new(said));
        }
        let head = format!("refs/heads/{name}");
        if self.git(&["rev-parse", "--verify", "-q", &head]).is_ok() {
            let said = format!("Error: A branch named '{name}' exists but is not applied");
            return Err(Refusal::new(said));
        }
        self.remember(&mut state)?;
        self.git(&["update-ref", &head, &state.target])?;
        state.stacks.insert(0, Stack { name: name.into(), tip: state.target.clone() });
        self.rewrite(&state)?;
        self.save(&state)?;
        Ok(json!({ "branch": name }))
    }

    pub fn branch_delete(&self, name: &str) -> Said {
        let mut state = self.load();
        let Some(at) = state.stacks.iter().position(|s| s.name == name) else {
            return Err(Refusal::new(format!(
                "Error: Could not find branch: '{name}'\n\nHint: Run `but status` for applicable targets."
            )));
        };
        self.remember(&mut state)?;
        let stack = state.stacks.remove(at);
        let changed = self.differing(&state.target, &stack.tip)?;
        self.put(&changed, &state.target)?;
        self.rewrite(&state)?;
        self.git(&["update-ref", "-d", &format!("refs/heads/{name}")])?;
        self.save(&state)?;
        Ok(json!({ "type": "branches", "branches": [name] }))
    }

    pub fn commit(&self, name: &str, message: &str, wanted: &[&str]) -> Said {
        let mut state = self.load();
        let changed: Vec<String> = self.changes()?.into_iter().map(|(path, _)| path).collect();
        // `zz` is everything that is uncommitted, `zz:x` the path `x` in it.
        let wanted: Vec<&str> = match wanted {
            ["zz"] => changed.iter().map(String::as_str).collect(),
            wanted => wanted.iter().map(|w| w.strip_prefix("zz:").unwrap_or(w)).collect(),
        };
        for path in &wanted {
            if !changed.iter().any(|c| c == path) {
                return Err(Refusal::new(format!(
                    "Error: Could not find uncommitted change: '{path}'\n\n\
                     Hint: Run `but status` for applicable targets."
                )));
            }
        }
        // Without any, everything: everybody's.
        let mut paths: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        if paths.is_empty() {
            paths = changed;
        }
        for other in state.stacks.iter().filter(|s| s.name != name) {
            let theirs = self.differing(&state.target, &other.tip)?;
            let dependent: Vec<_> = paths.iter().filter(|p| theirs.contains(p)).collect();
            if !dependent.is_empty() {
                let lines: String = dependent
                    .iter()
                    .map(|p| format!("  {p}\n    line 1 depends on {} (abc)\n", other.name))
                    .collect();
                return Err(Refusal::new(format!(
                    "Error: Cannot commit: {} change could not be applied:\n{lines}\nHint: to apply \
                     these changes, stack {name} on top of {} and try again — commits already on the \
                     branch move with it:\n  but move {name} --above {}",
                    dependent.len(),
                    other.name,
                    other.name,
                )));
            }
        }
        let head = format!("refs/heads/{name}");
        let there = self.git(&["rev-parse", "--verify", "-q", &head]).ok();
        self.remember(&mut state)?;
        let at = match state.stacks.iter().position(|s| s.name == name) {
            Some(at) => at,
            None if there.is_some() => {
                return Err(Refusal::new(format!(
                    "Error: A branch named '{name}' exists but is not applied\n\n\
                     Hint: Run `but apply {name}` to apply the branch first"
                )));
            }
            None => {
                let (name, tip) = (name.to_owned(), state.target.clone());
                state.stacks.insert(0, Stack { name, tip });
                0
            }
        };
        let known = state.stacks[at].tip.clone();
        let tree = state.log.last().map(|s| s.tree.clone()).unwrap_or_default();
        let tree = self.tree_with(&known, &paths, &tree)?;
        let commit = self.git(&["commit-tree", &tree, "-p", &known, "-m", message])?;
        let switch = self.git_dir.join("stand-in-but-lose");
        let moved = there.is_some_and(|there| there != known);
        if moved || fs::remove_file(&switch).is_ok() {
            // The silent loss.
            self.put(&paths, "HEAD")?;
        } else {
            self.git(&["update-ref", &head, &commit])?;
            state.stacks[at].tip.clone_from(&commit);
            self.rewrite(&state)?;
        }
        self.save(&state)?;
        Ok(json!({ "commitId": commit, "changeId": commit }))
    }

    pub fn undo(&self) -> Said {
        let mut state = self.load();
        let Some(before) = state.log.pop() else {
            return Ok(json!({ "action": "undo", "changed": false }));
        };
        let now = self.tree_of_directory()?;
        for stack in &state.stacks {
            if !before.stacks.iter().any(|b| b.name == stack.name) {
                self.git(&["update-ref", "-d", &format!("refs/heads/{}", stack.name)])?;
            }
        }
        for stack in &before.stacks {
            let known = state.stacks.iter().find(|s| s.name == stack.name);
            if known.is_none_or(|known| known.tip != stack.tip) {
                self.git(&["update-ref", &format!("refs/heads/{}", stack.name), &stack.tip])?;
            }
        }
        state.stacks = before.stacks;
        self.rewrite(&state)?;
        let differing = self.differing(&now, &before.tree)?;
        self.put(&differing, &before.tree)?;
        self.save(&state)?;
        Ok(json!({ "action": "undo", "changed": true, "snapshotId": before.tree }))
    }

    pub fn push(&self, name: &str) -> Said {
        let state = self.load();
        let Some(stack) = state.stacks.iter().find(|s| s.name == name) else {
            let names = state.stacks.iter().map(|s| format!("\n  - {}", s.name));
            return Err(Refusal::new(format!(
                "Error: Branch '{name}' not found. Available branches:{}",
                names.collect::<String>()
            )));
        };
        let remote = format!("refs/remotes/origin/{name}");
        let zero = "0".repeat(40);
        let old = self.git(&["rev-parse", "--verify", "-q", &remote]).unwrap_or(zero);
        let refspec = format!("+refs/heads/{name}:refs/heads/{name}");
        self.git(&["push", "--quiet", "origin", &refspec])?;
        let new = old != stack.tip;
        let to = if new { json!([[name, remote, name]]) } else { json!([]) };
        let updates = if new { json!([[name, old, stack.tip]]) } else { json!([]) };
        Ok(json!({ "remote": "origin", "branchToRemote": to, "branchShaUpdates": updates,
            "reviewSync": { "status": "notNeeded" } }))
    }
}
