//! A patch of git's, read into files, hunks and lines with their numbers.

use crate::web::diff::LineKind;

/// What has changed in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilePatch {
    /// The file: its new name, or its old one if it is gone.
    pub path: String,
    /// A word about it: "new", "deleted", "binary".
    pub about: Vec<&'static str>,
    /// Its parts.
    pub hunks: Vec<Hunk>,
    pub added: usize,
    pub removed: usize,
}

/// Lines that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hunk {
    /// What git says of where it is: the function, mostly.
    pub heading: String,
    pub lines: Vec<PatchLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatchLine {
    pub kind: LineKind,
    /// Its number in the old file, and in the new one.
    pub old: Option<u32>,
    pub new: Option<u32>,
    pub text: String,
    /// It has no line feed at its end.
    pub open: bool,
}

/// Reads a patch as `git diff` writes it. What is not understood is left out.
pub(super) fn read(patch: &str) -> Vec<FilePatch> {
    let mut files: Vec<FilePatch> = Vec::new();
    // Lines of the present hunk that are still to come, and the numbers of the next ones.
    let (mut olds, mut news) = (0, 0);
    let (mut old, mut new) = (0, 0);
    for line in patch.split('\n') {
        if olds > 0 || news > 0 {
            let Some(file) = files.last_mut() else { continue };
            let (kind, text) = match line.split_at_checked(1) {
                Some(("+", text)) => (LineKind::Added, text),
                Some(("-", text)) => (LineKind::Removed, text),
                Some((" ", text)) => (LineKind::Same, text),
                // Some tools leave the blank of an empty line out.
                None => (LineKind::Same, ""),
                Some(("\\", _)) => {
                    no_line_feed(file);
                    continue;
                }
                Some(_) => {
                    (olds, news) = (0, 0);
                    continue;
                }
            };
            let in_old = kind != LineKind::Added;
            let in_new = kind != LineKind::Removed;
            let numbered = PatchLine {
                kind,
                old: in_old.then_some(old),
                new: in_new.then_some(new),
                text: text.to_owned(),
                open: false,
            };
            olds -= u32::from(in_old).min(olds);
            news -= u32::from(in_new).min(news);
            old = old.saturating_add(u32::from(in_old));
            new = new.saturating_add(u32::from(in_new));
            file.added += usize::from(kind == LineKind::Added);
            file.removed += usize::from(kind == LineKind::Removed);
            if let Some(hunk) = file.hunks.last_mut() {
                hunk.lines.push(numbered);
            }
        } else if let Some(names) = line.strip_prefix("diff --git ") {
            files.push(FilePatch { path: both(names), ..FilePatch::default() });
        } else if let Some(file) = files.last_mut() {
            if let Some(hunk) = line.strip_prefix("@@ -").and_then(hunk) {
                (old, olds) = hunk.old;
                (new, news) = hunk.new;
                file.hunks.push(Hunk { heading: hunk.heading, lines: Vec::new() });
            } else if line.starts_with('\\') {
                no_line_feed(file);
            } else {
                heading(file, line);
            }
        }
    }
    files
}

fn no_line_feed(file: &mut FilePatch) {
    if let Some(line) = file.hunks.last_mut().and_then(|hunk| hunk.lines.last_mut()) {
        line.open = true;
    }
}

fn heading(file: &mut FilePatch, line: &str) {
    for (beginning, word) in [
        ("new file", "new"),
        ("deleted file", "deleted"),
        ("Binary files", "binary"),
        ("old mode", "mode changed"),
    ] {
        if line.starts_with(beginning) {
            file.about.push(word);
        }
    }
    // Surer than the first line, where two names stand with a blank between them.
    for beginning in ["--- ", "+++ "] {
        if let Some(name) = line.strip_prefix(beginning)
            && name != "/dev/null"
        {
            file.path = one(name);
        }
    }
}

/// Where a hunk is: the first line and the number of lines, in the old file and in the new one.
struct Where {
    old: (u32, u32),
    new: (u32, u32),
    heading: String,
}

/// Reads `-1,2 +3,4 @@ fn f()`, without the first `-`.
fn hunk(text: &str) -> Option<Where> {
    let (ranges, heading) = text.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| match text.split_once(',') {
        Some((first, count)) => Some((first.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    Some(Where { old: range(old)?, new: range(new)?, heading: heading.trim().to_owned() })
}

/// The name in `a/x b/x`: renames are not looked for, so both are the same.
fn both(names: &str) -> String {
    if let Some(quoted) = names.strip_prefix('"') {
        return one(&format!("\"{}", &quoted[..end_of_quoted(quoted)]));
    }
    let half = names.len() / 2;
    one(names.get(..half).unwrap_or(names))
}

fn end_of_quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// One name: git quotes what is not printable, as C does, with octal digits.
fn one(name: &str) -> String {
    let name = name.trim_end_matches('\t');
    let Some(quoted) = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) else {
        return without_side(name).to_owned();
    };
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(first @ b'0'..=b'3') => {
                let digits = [Some(first), rest.next(), rest.next()];
                let value =
                    digits.into_iter().flatten().fold(0u32, |n, d| n * 8 + u32::from(d & 7));
                bytes.extend(u8::try_from(value));
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    without_side(&String::from_utf8_lossy(&bytes)).to_owned()
}

fn without_side(name: &str) -> &str {
    name.strip_prefix("a/").or_else(|| name.strip_prefix("b/")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "diff --git a/src/a b.rs b/src/a b.rs\nindex 1..2 100644\n--- a/src/a b.rs\t\n+++ b/src/a b.rs\t\n\
        @@ -3,3 +3,4 @@ fn f() {\n same\n-old\n+new\n+more\n end\n\\ No newline at end of file\n\
        diff --git \"a/n\\303\\266\\n.txt\" \"b/n\\303\\266\\n.txt\"\nnew file mode 100644\n--- /dev/null\n+++ \"b/n\\303\\266\\n.txt\"\n\
        @@ -0,0 +1 @@\n+diff --git a/x b/x\n\
        diff --git a/pic.png b/pic.png\nBinary files a/pic.png and b/pic.png differ\n";

    #[test]
    fn files_hunks_and_numbers_are_read() {
        let files = read(PATCH);
        let names: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(names, ["src/a b.rs", "nö\n.txt", "pic.png"]);
        assert_eq!((files[0].added, files[0].removed), (2, 1));
        assert_eq!(files[0].hunks[0].heading, "fn f() {");
        let numbers: Vec<_> = files[0].hunks[0].lines.iter().map(|l| (l.old, l.new)).collect();
        let expected = [
            (Some(3), Some(3)),
            (Some(4), None),
            (None, Some(4)),
            (None, Some(5)),
            (Some(5), Some(6)),
        ];
        assert_eq!(numbers, expected);
        assert!(files[0].hunks[0].lines[4].open);
        // A line of a file that looks like a patch is a line.
        assert_eq!(files[1].hunks[0].lines[0].text, "diff --git a/x b/x");
        assert_eq!((&files[1].about[..], &files[2].about[..]), (&["new"][..], &["binary"][..]));
    }

    #[test]
    fn what_is_cut_or_no_patch_does_no_harm() {
        for end in 0..PATCH.len() {
            if PATCH.is_char_boundary(end) {
                read(&PATCH[..end]);
            }
        }
        assert!(read("words\n@@ -1 +1 @@\n+x").is_empty());
        assert_eq!(read("diff --git \"").len(), 1);
        read("diff --git a b\n@@ -1,99999999 +4294967295,9 @@\n+x\n+y");
    }
}
