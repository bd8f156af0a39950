//! Looking for documents in a root.
//!
//! Folders that can hold none by the patterns are not entered, nor are those that git ignores, other
//! people's packages, caches (by their `CACHEDIR.TAG`), and worktrees of a repository, which are other
//! copies of the same documents. A folder that a pattern names although it is hidden (`.claude`) is
//! entered whatever git ignores. Links to folders are not followed; a link to a file is a document if it
//! leads to one inside the root.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::files;
use crate::domain::document::patterns::Patterns;
use crate::domain::document::{File, check_path};

/// Folders that never hold documents of the project's own.
const LEFT_OUT: [&str; 2] = [".git", "node_modules"];
/// Documents of a project at most; of more, those that come first are taken.
pub const MOST: usize = 100_000;
/// How deep folders are entered.
const DEEPEST: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Documents.
    pub files: Vec<File>,
    /// There are more than [`MOST`].
    pub too_many: bool,
}

/// What there is at a path.
pub enum At {
    /// A document.
    File(File),
    /// A folder that may hold documents.
    Folder,
    /// Neither.
    Nothing,
}

/// Looks into a root. Each folder is told to `enter` before it is read, so that whoever begins to watch
/// it then misses nothing.
pub struct Scanner<'a> {
    root: &'a Path,
    patterns: &'a Patterns,
    /// What git ignores by files above the root.
    above: Vec<Arc<Gitignore>>,
    /// What it ignores by the file of each folder.
    ignores: HashMap<PathBuf, Option<Arc<Gitignore>>>,
}

impl<'a> Scanner<'a> {
    /// Begins to look into a root.
    pub fn new(root: &'a Path, patterns: &'a Patterns) -> Self {
        let mut above = Vec::new();
        let top = root.ancestors().find(|d| d.join(".git").exists());
        for folder in top.into_iter().flat_map(|top| {
            root.ancestors().skip(1).take_while(move |d| d.starts_with(top)).collect::<Vec<_>>()
        }) {
            above.extend(load(folder, &folder.join(".gitignore")));
        }
        if let Some(top) = top {
            above.extend(load(top, &top.join(".git/info/exclude")));
        }
        Self { root, patterns, above, ignores: HashMap::new() }
    }

    /// Finds all documents.
    pub fn all(&mut self, enter: &mut dyn FnMut(&Path)) -> io::Result<Found> {
        let mut found = Found::default();
        // That the root cannot be read says nothing about its documents.
        fs::read_dir(self.root)?;
        self.folder("", true, enter, &mut found);
        found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Finds the documents in a folder for which [`Self::at`] said that it may hold some.
    pub fn below(&mut self, path: &str, enter: &mut dyn FnMut(&Path)) -> Found {
        let mut found = Found::default();
        self.folder(path, self.is_asked(path), enter, &mut found);
        found
    }

    /// Tells what there is at a path.
    pub fn at(&mut self, path: &str) -> At {
        if path.is_empty() {
            return At::Folder;
        }
        if check_path(path).is_err() {
            return At::Nothing;
        }
        // All folders on the way have to be entered for it to be found.
        let mut asked = true;
        for (end, _) in path.match_indices('/') {
            match self.enters(&path[..end], asked) {
                Some(still) => asked = still,
                None => return At::Nothing,
            }
        }
        let whole = self.root.join(path);
        match fs::symlink_metadata(&whole) {
            Ok(about) if about.is_dir() => {
                if self.enters(path, asked).is_some() {
                    At::Folder
                } else {
                    At::Nothing
                }
            }
            Ok(about) => self.file(path, asked, &about).map_or(At::Nothing, At::File),
            Err(_) => At::Nothing,
        }
    }

    fn folder(&mut self, path: &str, asked: bool, enter: &mut dyn FnMut(&Path), found: &mut Found) {
        let whole = self.root.join(path);
        enter(&whole);
        let Ok(entries) = fs::read_dir(&whole) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if check_path(&path).is_err() {
                continue;
            }
            if found.files.len() >= MOST {
                found.too_many = true;
                return;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    if let Some(asked) = self.enters(&path, asked) {
                        self.folder(&path, asked, enter, found);
                    }
                }
                // What does not match is not even looked at.
                Ok(_) if self.patterns.matches(&path) => {
                    let about = entry.metadata().ok();
                    let file = about.and_then(|about| self.file(&path, asked, &about));
                    found.files.extend(file);
                }
                _ => {}
            }
        }
    }

    /// Whether a folder is entered, and whether git is asked about what is in it. `asked`: whether it
    /// is asked about the folder itself.
    fn enters(&mut self, path: &str, asked: bool) -> Option<bool> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if LEFT_OUT.contains(&name)
            || path.matches('/').count() >= DEEPEST
            || !self.patterns.may_hold(path)
        {
            return None;
        }
        let whole = self.root.join(path);
        if fs::symlink_metadata(&whole).is_ok_and(|about| about.is_symlink())
            || whole.join("CACHEDIR.TAG").exists()
            || is_worktree(&whole)
        {
            return None;
        }
        if name.starts_with('.') {
            return Some(false);
        }
        if asked && self.ignored(path, true) {
            return None;
        }
        Some(asked)
    }

    /// Whether git is asked about what is in a folder.
    fn is_asked(&self, path: &str) -> bool {
        !path.split('/').any(|part| part.starts_with('.'))
    }

    fn file(&mut self, path: &str, asked: bool, about: &fs::Metadata) -> Option<File> {
        if !self.patterns.matches(path) || asked && self.ignored(path, false) {
            return None;
        }
        if about.is_file() {
            return Some(files::file(path, about));
        }
        if about.is_symlink() { files::stat(self.root, path).ok() } else { None }
    }

    /// Whether git ignores a path, all folders above which it does not. The innermost file that says
    /// something about it decides.
    fn ignored(&mut self, path: &str, is_dir: bool) -> bool {
        let whole = self.root.join(path);
        let decided = |rules: &Gitignore| match rules.matched(&whole, is_dir) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        };
        let mut folder = whole.as_path();
        while let Some(parent) = folder.parent().filter(|p| p.starts_with(self.root)) {
            folder = parent;
            if !self.ignores.contains_key(folder) {
                let rules = load(folder, &folder.join(".gitignore"));
                self.ignores.insert(folder.to_owned(), rules);
            }
            let rules = self.ignores.get(folder).and_then(Option::as_deref);
            if let Some(ignored) = rules.and_then(decided) {
                return ignored;
            }
        }
        self.above.iter().find_map(|rules| decided(rules)).unwrap_or(false)
    }
}

/// Reads a file of what git ignores. What cannot be understood of it is left out, as git does.
fn load(folder: &Path, file: &Path) -> Option<Arc<Gitignore>> {
    if !file.is_file() {
        return None;
    }
    let mut builder = GitignoreBuilder::new(folder);
    builder.add(file);
    builder.build().ok().filter(|rules| !rules.is_empty()).map(Arc::new)
}

/// Whether a folder is another worktree of a repository: its `.git` is a file that says so.
fn is_worktree(folder: &Path) -> bool {
    let git = folder.join(".git");
    git.is_file() && fs::read_to_string(git).is_ok_and(|said| said.contains("/worktrees/"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{At, Scanner};
    use crate::domain::document::patterns::Patterns;

    fn make(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let whole = root.join(path);
            fs::create_dir_all(whole.parent().expect("a folder")).expect("a folder");
            fs::write(whole, text).expect("a file");
        }
    }

    #[test]
    fn documents_are_found_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("its path").join("project");
        make(
            &root,
            &[
                ("README.md", ""),
                ("main.rs", ""),
                (
                    ".gitignore",
                    "/ignored\nbuild/\n.claude/\nsecret*.md\n!docs/secret-but-kept.md\n",
                ),
                ("docs/a.md", ""),
                ("docs/deep/er/b.md", ""),
                ("docs/build/x.md", ""),
                ("docs/secret.md", ""),
                ("docs/secret-but-kept.md", ""),
                ("docs/.gitignore", "draft.md\n"),
                ("docs/draft.md", ""),
                ("docs/.hidden.md", ""),
                ("docs/bad\nname.md", ""),
                ("docs/cache/CACHEDIR.TAG", ""),
                ("docs/cache/x.md", ""),
                ("docs/node_modules/p/README.md", ""),
                (".claude/commands/c.md", ""),
                (".claude/worktrees/w/.git", "gitdir: /x/.git/worktrees/w\n"),
                (".claude/worktrees/w/docs/a.md", ""),
                ("ignored/x.md", ""),
                ("src/notes.md", ""),
                (".git/x.md", ""),
                ("../outside.md", ""),
            ],
        );
        symlink("../outside.md", root.join("out.md")).expect("a link");
        symlink("docs/a.md", root.join("in.md")).expect("a link");
        symlink("..", root.join("docs/loop")).expect("a link");
        let patterns = |p: &[&str]| {
            Patterns::new(&p.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("patterns")
        };
        let usual = patterns(&["*.md", "docs/**/*.md", ".claude/**/*.md"]);
        let mut scanner = Scanner::new(&root, &usual);
        let mut entered = Vec::new();
        let found = scanner.all(&mut |d| entered.push(d.to_owned())).expect("a look");
        let paths: Vec<&str> = found.files.iter().map(|f| &*f.path).collect();
        let expected = [
            ".claude/commands/c.md",
            "README.md",
            "docs/a.md",
            "docs/deep/er/b.md",
            "docs/secret-but-kept.md",
            "in.md",
        ];
        assert_eq!(paths, expected);
        let inside =
            |d: &Path| d.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
        let mut entered: Vec<String> = entered.iter().map(|d| inside(d)).collect();
        entered.sort();
        assert_eq!(
            entered,
            [
                "",
                ".claude",
                ".claude/commands",
                ".claude/worktrees",
                "docs",
                "docs/deep",
                "docs/deep/er"
            ]
        );
        // One path at a time it is the same.
        for path in [
            "out.md",
            "docs/build/x.md",
            "docs/secret.md",
            "docs/draft.md",
            "docs/bad\nname.md",
            "ignored/x.md",
            "src/notes.md",
            "main.rs",
            ".git/x.md",
            "docs/loop/README.md",
            ".claude/worktrees/w/docs/a.md",
            "docs/none.md",
            "docs/cache/x.md",
            "../outside.md",
        ] {
            assert!(matches!(scanner.at(path), At::Nothing), "{path}");
        }
        for path in expected {
            assert!(matches!(scanner.at(path), At::File(f) if f.path == path), "{path}");
        }
        assert!(matches!(scanner.at("docs/deep"), At::Folder));
        let below = scanner.below("docs/deep", &mut |_| {});
        assert_eq!(below.files[0].path, "docs/deep/er/b.md");
        // What a file above the root ignores is ignored, too.
        fs::create_dir(root.join(".git")).unwrap_or_default();
        let docs = root.join("docs");
        let any = patterns(&["**/*.md"]);
        let found = Scanner::new(&docs, &any).all(&mut |_| {}).expect("a look");
        let paths: Vec<&str> = found.files.iter().map(|f| &*f.path).collect();
        assert_eq!(paths, ["a.md", "deep/er/b.md", "secret-but-kept.md"]);
    }
}
