//! What became of files: what is known of them, held against what there is.

use std::collections::HashMap;

use crate::domain::document::File;
use crate::store::documents::{Change, Known};

/// Tells what became of the files that are known, and which there are besides. `renames` are what the
/// kernel has told of, in order: files or folders, from and to. A file that is somewhere else under
/// the same number in the file system, and was not written to, was moved as well.
pub fn reconcile(known: Vec<Known>, found: Vec<File>, renames: &[(String, String)]) -> Vec<Change> {
    let mut gone: HashMap<String, Known> =
        known.into_iter().map(|k| (k.file.path.clone(), k)).collect();
    let mut changes = Vec::new();
    let mut new: HashMap<String, File> = HashMap::new();
    let mut order = Vec::new();
    for file in found {
        match gone.remove(&file.path) {
            Some(k) if k.missing || k.file != file => {
                changes.push(Change::Changed { id: k.id, file, back: k.missing });
            }
            Some(_) => {}
            None => {
                order.push(file.path.clone());
                new.insert(file.path.clone(), file);
            }
        }
    }
    let identity = |f: &File| (f.inode, f.bytes, f.modified_ns);
    let by_identity: HashMap<_, String> =
        new.values().map(|f| (identity(f), f.path.clone())).collect();
    let mut gone: Vec<Known> = gone.into_values().collect();
    // Those that were there a moment ago have a better claim than those that were missing before.
    gone.sort_unstable_by(|a, b| (a.missing, &a.file.path).cmp(&(b.missing, &b.file.path)));
    for k in gone {
        let told = renamed(&k.file.path, renames).and_then(|to| new.remove(&to));
        let file = told.or_else(|| new.remove(by_identity.get(&identity(&k.file))?));
        match file {
            Some(file) => changes.push(Change::Moved { id: k.id, from: k.file.path, file }),
            None if k.missing => {}
            None => changes.push(Change::Deleted { id: k.id, path: k.file.path }),
        }
    }
    changes.extend(order.into_iter().filter_map(|path| new.remove(&path)).map(Change::Created));
    changes
}

/// Where a file is after it, or a folder around it, was renamed; `None` if that did not happen.
fn renamed(path: &str, renames: &[(String, String)]) -> Option<String> {
    let mut now = path.to_owned();
    for (from, to) in renames {
        if let Some(rest) = now.strip_prefix(from.as_str())
            && (rest.is_empty() || rest.starts_with('/'))
        {
            now = format!("{to}{rest}");
        }
    }
    (now != path).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::reconcile;
    use crate::domain::document::File;
    use crate::domain::ids::DocumentId;
    use crate::store::documents::{Change, Known};

    fn file(path: &str, inode: i64) -> File {
        File { path: path.into(), bytes: 1, modified_ns: 1, inode }
    }

    fn known(id: i64, path: &str) -> Known {
        Known { id: DocumentId(id), file: file(path, id), missing: false }
    }

    /// What became of each, as `id: old → new`.
    fn told(known: Vec<Known>, found: Vec<File>, renames: &[(&str, &str)]) -> Vec<String> {
        let renames: Vec<_> =
            renames.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let mut told: Vec<String> = reconcile(known, found, &renames)
            .into_iter()
            .map(|change| match change {
                Change::Created(f) => format!("+{}", f.path),
                Change::Changed { id, file, back } => {
                    format!("{}{id} {}", if back { "+" } else { "~" }, file.path)
                }
                Change::Moved { id, from, file } => format!("{id} {from} > {}", file.path),
                Change::Deleted { id, path } => format!("-{id} {path}"),
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn files_are_told_apart() {
        let rows = || vec![known(1, "a.md"), known(2, "b.md"), known(3, "c.md")];
        assert!(
            told(rows(), vec![file("a.md", 1), file("b.md", 2), file("c.md", 3)], &[]).is_empty()
        );
        let mut written = file("b.md", 2);
        written.bytes = 9;
        // Replaced by another file, as editors save.
        let found = vec![file("a.md", 7), written, file("d.md", 8)];
        assert_eq!(told(rows(), found, &[]), ["+d.md", "-3 c.md", "~1 a.md", "~2 b.md"]);
        // Moved; and one moved and written to, of which only the kernel knows.
        let mut written = file("x/e.md", 2);
        written.bytes = 9;
        let found = vec![file("d.md", 1), written.clone(), file("c.md", 3)];
        assert_eq!(told(rows(), found.clone(), &[]), ["+x/e.md", "-2 b.md", "1 a.md > d.md"]);
        assert_eq!(
            told(rows(), found, &[("b.md", "y.md"), ("y.md", "x/e.md")]),
            ["1 a.md > d.md", "2 b.md > x/e.md"]
        );
    }

    #[test]
    fn folders_move_and_missing_files_come_back() {
        let rows = vec![known(1, "docs/a.md"), known(2, "docs/x/b.md"), known(3, "docsy.md")];
        let found = vec![file("new/a.md", 11), file("new/x/b.md", 12), file("docsy.md", 3)];
        assert_eq!(
            told(rows, found, &[("docs", "new")]),
            ["1 docs/a.md > new/a.md", "2 docs/x/b.md > new/x/b.md"]
        );
        let missing = |k: Known| Known { missing: true, ..k };
        let rows = || vec![missing(known(1, "a.md")), missing(known(2, "b.md")), known(3, "c.md")];
        assert_eq!(told(rows(), vec![file("a.md", 9), file("c.md", 3)], &[]), ["+1 a.md"]);
        assert_eq!(told(rows(), vec![file("z.md", 2), file("c.md", 3)], &[]), ["2 b.md > z.md"]);
        assert_eq!(told(rows(), vec![file("c.md", 3)], &[]), Vec::<String>::new());
        // Two files that changed places keep their rows: what a path says is its document's.
        let rows = vec![known(1, "a.md"), known(2, "b.md")];
        assert_eq!(told(rows, vec![file("a.md", 2), file("b.md", 1)], &[]), ["~1 a.md", "~2 b.md"]);
    }
}
