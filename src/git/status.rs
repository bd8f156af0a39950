//! What has changed in a working tree: `git status --porcelain=v2 -z`.
//!
//! The format is described in git-status(1), "Porcelain Format Version 2". With `-z` no name is
//! quoted, so any name can be read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a file has changed since the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It has another content, mode or type.
    Modified,
    /// It is not there any more.
    Removed,
    /// A merge has not settled it.
    Unmerged,
}

/// A changed file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Relative to the working tree's root, with slashes.
    pub path: String,
    /// How.
    pub kind: ChangeKind,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The files, as git orders them.
    pub changes: Vec<Change>,
    /// What cannot be named: names that are not UTF-8, as far as they can be shown, and repositories
    /// inside this one.
    pub unnameable: Vec<String>,
}

impl Status {
    /// Whether there is nothing that a commit would have to hold.
    pub fn is_clean(&self) -> bool {
        self.changes.is_empty() && self.unnameable.is_empty()
    }

    /// Reads the output of `git status --porcelain=v2 -z --no-renames`. What it does not know, such
    /// as headers, it leaves out.
    pub fn parse(output: &[u8]) -> Self {
        let mut status = Self::default();
        status.read(output);
        // Removed from the index but there again: git tells of it twice.
        let mut seen = HashMap::new();
        for change in std::mem::take(&mut status.changes) {
            match seen.entry(change.path.clone()) {
                Entry::Vacant(new) => {
                    new.insert(status.changes.len());
                    status.changes.push(change);
                }
                Entry::Occupied(at) => status.changes[*at.get()].kind = ChangeKind::Modified,
            }
        }
        status
    }

    fn read(&mut self, output: &[u8]) {
        let mut entries = output.split(|b| *b == 0);
        while let Some(entry) = entries.next() {
            match entry.first() {
                // `1 XY sub mH mI mW hH hI path`
                Some(b'1') => self.ordinary(entry, 8),
                // `2 XY sub mH mI mW hH hI Xscore path`, then where it was, as an entry of its own.
                Some(b'2') => {
                    self.ordinary(entry, 9);
                    if let Some(from) = entries.next() {
                        self.add(from, ChangeKind::Removed);
                    }
                }
                // `u XY sub m1 m2 m3 mW h1 h2 h3 path`
                Some(b'u') => {
                    if let Some(path) = field(entry, 10) {
                        self.add(path, ChangeKind::Unmerged);
                    }
                }
                Some(b'?') => {
                    if let Some(path) = entry.get(2..) {
                        self.add(path, ChangeKind::Added);
                    }
                }
                _ => {}
            }
        }
    }

    fn ordinary(&mut self, entry: &[u8], fields: usize) {
        let (Some(path), Some(&[x, y])) = (field(entry, fields), entry.get(2..4)) else { return };
        // A submodule whose commit is the same: what changed inside it is its own.
        if entry.get(5) == Some(&b'S') && entry.get(6) != Some(&b'C') && x == b'.' {
            return;
        }
        let kind = match (x, y) {
            (_, b'D') | (b'D', _) => ChangeKind::Removed,
            (b'A', _) | (_, b'A') => ChangeKind::Added,
            _ => ChangeKind::Modified,
        };
        self.add(path, kind);
    }

    fn add(&mut self, path: &[u8], kind: ChangeKind) {
        match std::str::from_utf8(path) {
            // Untracked, and still a folder: a repository of its own.
            Ok(path) if !path.ends_with('/') => {
                self.changes.push(Change { path: path.to_owned(), kind });
            }
            _ => self.unnameable.push(String::from_utf8_lossy(path).into_owned()),
        }
    }
}

/// What comes after so many spaces.
fn field(entry: &[u8], spaces: usize) -> Option<&[u8]> {
    entry.splitn(spaces + 1, |b| *b == b' ').nth(spaces).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Change, ChangeKind, Status};

    #[test]
    fn every_kind_of_line_is_read() {
        let hash = "1111111111111111111111111111111111111111";
        let output = [
            "# branch.oid abc".to_owned(),
            format!("1 .M N... 100644 100644 100644 {hash} {hash} with  spaces\nand a line.txt"),
            format!("1 D. N... 100644 000000 000000 {hash} {hash} gone"),
            format!("1 AM N... 000000 100644 100644 {hash} {hash} -dash"),
            format!("2 R. N... 100644 100644 100644 {hash} {hash} R100 new"),
            "old".to_owned(),
            format!("u UU N... 100644 100644 100644 100644 {hash} {hash} {hash} torn"),
            format!("1 .M S..U 160000 160000 160000 {hash} {hash} module"),
            "? größe".to_owned(),
            "? nested/".to_owned(),
            "? gone".to_owned(),
            "! ignored".to_owned(),
            String::new(),
        ];
        let mut bytes = output.join("\0").into_bytes();
        bytes.extend(b"? b\xffd\0");
        let status = Status::parse(&bytes);
        let change = |path: &str, kind| Change { path: path.into(), kind };
        assert_eq!(
            status.changes,
            [
                change("with  spaces\nand a line.txt", ChangeKind::Modified),
                change("gone", ChangeKind::Modified),
                change("-dash", ChangeKind::Added),
                change("new", ChangeKind::Modified),
                change("old", ChangeKind::Removed),
                change("torn", ChangeKind::Unmerged),
                change("größe", ChangeKind::Added),
            ]
        );
        assert_eq!(status.unnameable, ["nested/", "b\u{fffd}d"]);
        assert!(!status.is_clean());
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_breaks(bytes: Vec<u8>) {
            Status::parse(&bytes);
        }
    }
}
