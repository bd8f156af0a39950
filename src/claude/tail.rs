//! Reading a growing file of lines from where the last reading ended.
//!
//! Made for transcripts, which Claude Code only appends to, several lines at a time. Memory is
//! bounded whatever the file holds. The calls block: run them where blocking is allowed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where a reading ended. Kept by the caller, so that the next one goes on there, after a restart
/// too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// Bytes from the start of the file: the start of the next line.
    pub offset: u64,
    /// The file's inode; 0 before the first reading. Another one means another file.
    pub inode: u64,
    /// The offset is inside of a line that is too long and is being skipped.
    pub skipping: bool,
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// About how many bytes one reading returns at most, unless a single line is longer.
    pub chunk: usize,
    /// The longest line that is returned, in bytes; longer ones are skipped.
    pub line: usize,
}

impl Default for Limits {
    /// 4 MiB at once; lines of up to 32 MiB (an image is a few).
    fn default() -> Self {
        Self { chunk: 4 << 20, line: 32 << 20 }
    }
}

/// What one reading returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    data: Vec<u8>,
    start: u64,
    /// Where the next reading goes on.
    pub position: Position,
    /// The file was cut or replaced: the reading began at its start again. Whatever was read
    /// before may come again.
    pub restarted: bool,
    /// There is more to read at once.
    pub more: bool,
    /// Where lines began that were too long and are left out, in bytes from the start.
    pub skipped: Vec<u64>,
}

impl Chunk {
    /// The whole lines, without their ends, each with its place in bytes from the file's start.
    /// Empty lines are left out.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut at = self.start;
        self.data.split_inclusive(|byte| *byte == b'\n').filter_map(move |line| {
            let start = at;
            at += line.len() as u64;
            let line = line.trim_ascii();
            (!line.is_empty()).then_some((start, line))
        })
    }
}

/// Reads the lines that are whole after `from`. `None` if there is no such file (Claude Code makes
/// it at the first prompt).
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read(path: &Path, from: Position, limits: Limits) -> io::Result<Option<Chunk>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let inode = meta.ino();
    let restarted = from.offset > meta.len() || from.inode != 0 && from.inode != inode;
    let mut position = if restarted { Position::default() } else { from };
    position.inode = inode;
    file.seek(SeekFrom::Start(position.offset))?;
    let mut chunk = Chunk { restarted, ..Chunk::default() };
    if position.skipping {
        skip(&mut file, &mut position, limits.line)?;
    }
    chunk.start = position.offset;
    if position.skipping {
        chunk.more = position.offset < meta.len();
    } else {
        fill(&mut file, &mut position, &mut chunk, limits)?;
    }
    chunk.position = position;
    Ok(Some(chunk))
}

fn fill(
    file: &mut File,
    position: &mut Position,
    chunk: &mut Chunk,
    limits: Limits,
) -> io::Result<()> {
    let data = &mut chunk.data;
    let mut want = limits.chunk.max(1);
    let end = loop {
        let searched = data.len();
        let read = file.by_ref().take((want - searched) as u64).read_to_end(data)?;
        if let Some(last) = data[searched..].iter().rposition(|byte| *byte == b'\n') {
            break searched + last + 1;
        }
        if data.len() < want || read == 0 {
            // The last line is being written.
            break 0;
        }
        if data.len() > limits.line {
            chunk.skipped.push(position.offset);
            position.offset += data.len() as u64;
            position.skipping = true;
            chunk.more = true;
            data.clear();
            return Ok(());
        }
        want = data.len().saturating_mul(2).min(limits.line.saturating_add(1)).max(want + 1);
    };
    chunk.more = end > 0 && data.len() >= want;
    data.truncate(end);
    if data.len() > limits.line {
        drop_long_lines(chunk, position.offset, limits.line);
    }
    position.offset += end as u64;
    Ok(())
}

/// Blanks lines that are too long although they fit into the chunk.
fn drop_long_lines(chunk: &mut Chunk, start: u64, max: usize) {
    let mut at = start;
    for line in chunk.data.split_inclusive_mut(|byte| *byte == b'\n') {
        if line.len() > max + 1 {
            line.fill(b' ');
            chunk.skipped.push(at);
        }
        at += line.len() as u64;
    }
}

/// Goes on to the end of the line that is being skipped, at most `budget` bytes.
fn skip(file: &mut File, position: &mut Position, budget: usize) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut skipped = 0;
    while skipped <= budget {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        if let Some(end) = buffer[..read].iter().position(|byte| *byte == b'\n') {
            position.offset += end as u64 + 1;
            position.skipping = false;
            file.seek(SeekFrom::Start(position.offset))?;
            return Ok(());
        }
        position.offset += read as u64;
        skipped += read;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use proptest::prelude::*;

    use super::{Chunk, Limits, Position, read};

    const SMALL: Limits = Limits { chunk: 8, line: 20 };

    fn next(path: &Path, from: Position, limits: Limits) -> Chunk {
        read(path, from, limits).expect("readable").expect("a file")
    }

    fn all(path: &Path, mut from: Position, limits: Limits) -> (Vec<String>, Position, usize) {
        let (mut lines, mut skipped) = (Vec::new(), 0);
        loop {
            let chunk = next(path, from, limits);
            lines.extend(chunk.lines().map(|(_, l)| String::from_utf8_lossy(l).into_owned()));
            skipped += chunk.skipped.len();
            from = chunk.position;
            if !chunk.more {
                return (lines, from, skipped);
            }
        }
    }

    #[test]
    fn only_whole_lines_are_read_and_the_next_reading_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.jsonl");
        assert!(read(&path, Position::default(), SMALL).expect("readable").is_none());
        let mut file = std::fs::File::create(&path).expect("a file");
        file.write_all(b"one\ntwo\r\n\nhal").expect("written");
        let (lines, position, _) = all(&path, Position::default(), SMALL);
        assert_eq!((lines.as_slice(), position.offset), (&["one".into(), "two".into()][..], 10));
        assert_eq!(all(&path, position, SMALL).0, Vec::<String>::new());
        file.write_all(b"f\nlast\n").expect("written");
        assert_eq!(all(&path, position, SMALL).0, ["half", "last"]);
    }

    #[test]
    fn lines_know_their_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, "a\n\nbc\n").expect("written");
        let chunk = next(&path, Position::default(), Limits::default());
        assert_eq!(chunk.lines().collect::<Vec<_>>(), [(0, &b"a"[..]), (3, &b"bc"[..])]);
    }

    #[test]
    fn a_cut_or_replaced_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, "one\ntwo\n").expect("written");
        let (_, position, _) = all(&path, Position::default(), Limits::default());
        std::fs::write(&path, "new\n").expect("written");
        let chunk = next(&path, position, Limits::default());
        assert!(chunk.restarted);
        assert_eq!(chunk.lines().count(), 1);

        let other = folder.path().join("other");
        std::fs::write(&other, "a\nlonger\nfile\n").expect("written");
        std::fs::rename(&other, &path).expect("renamed");
        let chunk = next(&path, chunk.position, Limits::default());
        assert!(chunk.restarted);
        assert_eq!(chunk.lines().count(), 3);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.jsonl");
        let long = "x".repeat(200_000);
        std::fs::write(&path, format!("a\n{long}\nb\n{long}")).expect("written");
        let (lines, position, skipped) = all(&path, Position::default(), SMALL);
        assert_eq!((lines, skipped), (vec!["a".to_owned(), "b".into()], 2));
        assert!(position.skipping);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(b"yy\nc\n").expect("written");
        assert_eq!(all(&path, position, SMALL).0, ["c"]);
    }

    #[test]
    fn a_folder_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(folder.path(), Position::default(), SMALL).is_err());
    }

    proptest! {
        /// However the file grows and however small the chunks: every line once, in order.
        #[test]
        fn every_line_comes_once(
            lines in prop::collection::vec("[a-z]{1,30}", 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            chunk in 1..40_usize,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("t.jsonl");
            let whole: String = lines.iter().map(|l| format!("{l}\n")).collect();
            let mut ends: Vec<usize> = cuts.iter().map(|c| c.index(whole.len() + 1)).collect();
            ends.sort_unstable();
            ends.push(whole.len());
            std::fs::write(&path, "").expect("written");
            let (mut position, mut seen, mut written) = (Position::default(), Vec::new(), 0);
            for end in ends {
                let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("a file");
                file.write_all(&whole.as_bytes()[written..end]).expect("written");
                written = end;
                let (more, next, skipped) = all(&path, position, Limits { chunk, line: 20 });
                seen.extend(more);
                position = next;
                let _ = skipped;
            }
            let expected: Vec<String> = lines.into_iter().filter(|l| l.len() <= 20).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
