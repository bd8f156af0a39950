//! Which files are documents: patterns such as `docs/**/*.md`, relative to a project's root.
//!
//! `*` and `?` match within one part of a path, `**` any number of parts, `[…]` and `{…,…}` as
//! usual. What begins with a dot is found only where a pattern says so: `.claude/**/*.md`.

use globset::{GlobBuilder, GlobMatcher};

/// The most patterns of a project, and the longest of them.
const MOST: usize = 100;
const LONGEST: usize = 500;

/// Patterns, ready to be matched.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    whole: GlobMatcher,
    /// Its parts but the last, each for one part of a path.
    folders: Vec<Folder>,
    /// The last part begins with a dot.
    hidden_file: bool,
}

#[derive(Clone, Debug)]
enum Folder {
    /// `**`: any number of parts, none of them hidden.
    Any,
    /// One part.
    One { matcher: GlobMatcher, hidden: bool },
}

impl Patterns {
    /// Reads patterns. The error says which one cannot be used, and why.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        if patterns.len() > MOST {
            return Err(format!("at most {MOST} patterns are taken"));
        }
        patterns.iter().map(|p| Pattern::new(p)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a file with this path is a document.
    pub fn matches(&self, path: &str) -> bool {
        self.0.iter().any(|p| p.matches(path))
    }

    /// Whether there may be documents in a folder or below it. The root is the empty path.
    pub fn may_hold(&self, folder: &str) -> bool {
        self.0.iter().any(|p| p.may_hold(folder))
    }
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.')
}

fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|g| g.compile_matcher()).map_err(|e| e.to_string())
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{pattern:?}: {why}"));
        if pattern.is_empty() || pattern.len() > LONGEST {
            return refuse("expected 1 to 500 bytes");
        }
        if pattern.starts_with('/') || pattern.split('/').any(|part| part == ".." || part == ".") {
            return refuse("expected a path relative to the project's root, without `..`");
        }
        if pattern.ends_with('/') {
            return refuse("names a folder; end it with `**/*.md`");
        }
        let mut parts = split(pattern);
        let file = parts.pop().unwrap_or_default();
        let folder = |part: &String| match part.as_str() {
            "**" => Ok(Folder::Any),
            // Of a choice between paths nothing can be said part by part.
            part if part.contains('/') => Ok(Folder::Any),
            part => Ok(Folder::One { matcher: glob(part)?, hidden: is_hidden(part) }),
        };
        let mut folders = parts.iter().map(folder).collect::<Result<Vec<_>, String>>()?;
        if file == "**" || file.contains('/') {
            folders.push(Folder::Any);
        }
        Ok(Self { whole: glob(pattern)?, folders, hidden_file: is_hidden(&file) })
    }

    fn matches(&self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        (!is_hidden(name) || self.hidden_file) && self.may_hold(folder) && self.whole.is_match(path)
    }

    fn may_hold(&self, folder: &str) -> bool {
        let mut parts = folder.split('/').filter(|p| !p.is_empty());
        for expected in &self.folders {
            match (expected, parts.next()) {
                (_, None) => return true,
                // What follows may match any of the parts that are left.
                (Folder::Any, Some(part)) => {
                    return std::iter::once(part).chain(parts).all(|part| self.may_be(part));
                }
                (Folder::One { matcher, hidden }, Some(part)) => {
                    if !matcher.is_match(part) || is_hidden(part) && !hidden {
                        return false;
                    }
                }
            }
        }
        parts.next().is_none()
    }

    /// Whether a part that `**` matches may be that.
    fn may_be(&self, part: &str) -> bool {
        let named = |f: &Folder| matches!(f, Folder::One { matcher, hidden: true } if matcher.is_match(part));
        !is_hidden(part) || self.folders.iter().any(named)
    }
}

/// Splits a pattern at its slashes, those in braces and brackets left alone.
fn split(pattern: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0u32);
    for c in pattern.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::Patterns;

    fn patterns(patterns: &[&str]) -> Patterns {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        Patterns::new(&patterns).expect("patterns")
    }

    #[test]
    fn files_match_and_folders_may_hold_them() {
        let usual = patterns(&[
            "*.md",
            "docs/**/*.md",
            ".claude/**/*.md",
            "plans/**/*.md",
            "specs/**/*.md",
        ]);
        for yes in ["README.md", "docs/a.md", "docs/x/y/z.md", ".claude/a.md", ".claude/x/y.md"] {
            assert!(usual.matches(yes), "{yes}");
        }
        for no in [
            "a.txt",
            "src/a.md",
            ".hidden.md",
            "docs/.x.md",
            "docs/.git/a.md",
            "doc/a.md",
            ".claudes/a.md",
        ] {
            assert!(!usual.matches(no), "{no}");
        }
        for yes in ["", "docs", "docs/x/y", ".claude", ".claude/x"] {
            assert!(usual.may_hold(yes), "{yes}");
        }
        for no in ["src", "target", "node_modules", ".git", "docs/.cache", "docs/x/.y/z"] {
            assert!(!usual.may_hold(no), "{no}");
        }
    }

    #[test]
    fn patterns_of_every_kind() {
        let deep = patterns(&["a/*/c?/**/{x,y}.md"]);
        assert!(deep.matches("a/b/c1/x.md") && deep.matches("a/b/c1/d/e/y.md"));
        assert!(!deep.matches("a/b/c/x.md") && !deep.matches("a/b/d1/x.md"));
        assert!(deep.may_hold("a/b") && deep.may_hold("a/b/c1/z") && !deep.may_hold("a/b/z"));
        let choice = patterns(&["{docs,notes/old}/*.md"]);
        assert!(choice.matches("docs/a.md") && choice.matches("notes/old/a.md"));
        assert!(choice.may_hold("notes/old"));
        let any = patterns(&["**/*.md", "**/.well-known/*.md"]);
        assert!(
            any.matches("a.md") && any.matches("src/x/a.md") && any.matches("x/.well-known/a.md")
        );
        assert!(!any.matches(".git/a.md") && !any.may_hold(".git"));
        for bad in ["", "/a.md", "../*.md", "a/./b.md", "docs/", "[a", "{a"] {
            assert!(Patterns::new(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }
}
