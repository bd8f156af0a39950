//! The files of documents, opened so that nothing leads out of their root.
//!
//! Symbolic links are resolved first, and what they lead to has to be inside. Then the path is opened part
//! by part from the root on, each without following a link: whoever puts a link in the way meanwhile gets
//! an error, not a file from elsewhere.

use std::ffi::OsStr;
use std::fs::File as Handle;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::document::{File, check_path};
use crate::domain::hex::hex;

/// The largest file whose content is read or written. Bytes.
pub const LARGEST: u64 = 2 * 1024 * 1024;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The path is none of a document's.
    #[error("{0}")]
    Path(String),
    /// There is no such file.
    #[error("the file is no longer there")]
    Gone,
    /// It is larger than what is read.
    #[error("the file has {0} bytes; documents of up to {LARGEST} bytes are read")]
    TooLarge(u64),
    /// It is not text.
    #[error("the file is not valid UTF-8 (byte {0}); documents are text in UTF-8")]
    NotText(usize),
    /// It was changed since it was read.
    #[error("the file was changed since it was read")]
    Changed(Box<Content>),
    /// The system refused.
    #[error("the file cannot be used: {0}")]
    System(#[from] std::io::Error),
}

impl From<Errno> for Trouble {
    fn from(e: Errno) -> Self {
        match e {
            Errno::NOENT | Errno::NOTDIR => Self::Gone,
            // A link where there was none a moment ago.
            Errno::LOOP | Errno::MLINK => Self::Path("leads out of the project's root".into()),
            e => Self::System(e.into()),
        }
    }
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its text.
    pub text: String,
    /// Tells this text from every other.
    pub etag: String,
}

impl Content {
    fn new(bytes: Vec<u8>) -> Result<Self, Trouble> {
        let etag = etag(&bytes);
        let text = String::from_utf8(bytes);
        let text = text.map_err(|e| Trouble::NotText(e.utf8_error().valid_up_to()))?;
        Ok(Self { text, etag })
    }
}

fn etag(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..16])
}

/// A folder inside a root, and the name of a file in it.
struct Place {
    folder: OwnedFd,
    name: std::ffi::OsString,
}

const FOLDER: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
// What turns out to be a pipe must not be waited for.
const FILE: OFlags =
    OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::RDONLY);

impl Place {
    /// Finds the file with this path.
    fn find(root: &Path, path: &str) -> Result<Self, Trouble> {
        check_path(path).map_err(|why| Trouble::Path(why.into()))?;
        let real = match root.join(path).canonicalize() {
            Ok(real) => real,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Trouble::Gone),
            Err(e) => return Err(e.into()),
        };
        let outside = || Trouble::Path("leads out of the project's root".into());
        let inside = real.strip_prefix(root).map_err(|_| outside())?;
        let mut folder = fs::open(root, FOLDER, Mode::empty())?;
        let mut parts = inside.components();
        let Some(Component::Normal(name)) = parts.next_back() else { return Err(outside()) };
        for part in parts {
            let Component::Normal(part) = part else { return Err(outside()) };
            folder = fs::openat(&folder, part, FOLDER, Mode::empty())?;
        }
        Ok(Self { folder, name: name.to_owned() })
    }

    fn open(&self) -> Result<(Handle, std::fs::Metadata), Trouble> {
        let file = Handle::from(fs::openat(&self.folder, &*self.name, FILE, Mode::empty())?);
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(Trouble::Path("is not a file".into()));
        }
        Ok((file, about))
    }

    fn read(&self) -> Result<Vec<u8>, Trouble> {
        let (file, about) = self.open()?;
        if about.len() > LARGEST {
            return Err(Trouble::TooLarge(about.len()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
        // It may grow meanwhile.
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Trouble::TooLarge(bytes.len() as u64));
        }
        Ok(bytes)
    }
}

/// Reads a file.
pub fn read(root: &Path, path: &str) -> Result<Content, Trouble> {
    Content::new(Place::find(root, path)?.read()?)
}

/// Tells of a file, if there is one.
pub fn stat(root: &Path, path: &str) -> Result<File, Trouble> {
    let (_, about) = Place::find(root, path)?.open()?;
    Ok(file(path, &about))
}

/// What there is to know of a file.
pub fn file(path: &str, about: &std::fs::Metadata) -> File {
    let ns = about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec());
    File {
        path: path.to_owned(),
        bytes: i64::try_from(about.len()).unwrap_or(i64::MAX),
        modified_ns: ns,
        inode: about.ino().cast_signed(),
    }
}

/// Writes a file that there is, whole or not at all: if it still is what `etag` was told of, or
/// whatever it is, if there is none.
pub fn write(
    root: &Path,
    path: &str,
    text: &str,
    expected: Option<&str>,
) -> Result<Content, Trouble> {
    if text.len() as u64 > LARGEST {
        return Err(Trouble::TooLarge(text.len() as u64));
    }
    let place = Place::find(root, path)?;
    let (_, about) = place.open()?;
    // Hidden: no pattern finds it.
    let name = format!(".{}.{}", Uuid::new_v4().simple(), "chorus");
    let new = New { folder: &place.folder, name: OsStr::new(&name), kept: false };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = Handle::from(fs::openat(&place.folder, new.name, flags, Mode::from(0o600))?);
    file.write_all(text.as_bytes())?;
    fs::fchmod(file.as_fd(), Mode::from_raw_mode(about.mode() & 0o7777))?;
    file.sync_all()?;
    // As late as can be: whoever wrote meanwhile is not overwritten.
    if let Some(expected) = expected {
        let there = place.read()?;
        if etag(&there) != expected {
            return Err(Trouble::Changed(Box::new(Content::new(there)?)));
        }
    }
    fs::renameat(&place.folder, new.name, &place.folder, &*place.name)?;
    new.keep();
    // So that the new name lasts, too. Not every file system can.
    let _ = fs::fsync(&place.folder);
    Content::new(text.as_bytes().to_vec())
}

/// A file that is removed again unless it is kept.
struct New<'a> {
    folder: &'a OwnedFd,
    name: &'a OsStr,
    kept: bool,
}

impl New<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::unlinkat(self.folder, self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::{LARGEST, Trouble, read, write};

    fn root() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("its path").join("root");
        fs::create_dir_all(root.join("docs")).expect("a folder");
        fs::write(root.join("docs/a.md"), "one\n").expect("a file");
        fs::write(dir.path().join("secret.md"), "secret").expect("a file");
        (dir, root)
    }

    #[test]
    fn nothing_leads_out() {
        let (_dir, root) = root();
        symlink("../../secret.md", root.join("docs/out.md")).expect("a link");
        symlink("..", root.join("up")).expect("a link");
        symlink("/etc", root.join("etc")).expect("a link");
        symlink("docs/a.md", root.join("in.md")).expect("a link");
        symlink("nowhere.md", root.join("docs/none.md")).expect("a link");
        fs::create_dir(root.join("docs/folder.md")).expect("a folder");
        let pipe = root.join("docs/pipe.md");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from(0o600),
            0,
        )
        .expect("a pipe");
        for path in [
            "../secret.md",
            "docs/../../secret.md",
            "/etc/passwd",
            "docs/out.md",
            "up/secret.md",
            "etc/passwd",
            "docs/folder.md",
            "docs/pipe.md",
            "docs/a\n.md",
            "",
        ] {
            assert!(
                matches!(read(&root, path), Err(Trouble::Path(_))),
                "{path}: {:?}",
                read(&root, path)
            );
            assert!(matches!(write(&root, path, "x", None), Err(Trouble::Path(_))), "{path}");
        }
        for path in ["docs/none.md", "docs/b.md", "docs/a.md/b.md"] {
            assert!(matches!(read(&root, path), Err(Trouble::Gone | Trouble::System(_))), "{path}");
        }
        assert_eq!(read(&root, "in.md").expect("a file").text, "one\n");
        // The link stays one, and what it leads to is written.
        write(&root, "in.md", "two\n", None).expect("written");
        assert_eq!(fs::read_to_string(root.join("docs/a.md")).expect("a file"), "two\n");
        assert!(root.join("in.md").is_symlink());
        assert_eq!(fs::read_to_string(root.join("../secret.md")).expect("a file"), "secret");
    }

    #[test]
    fn a_file_is_written_whole_and_only_if_it_is_what_was_read() {
        let (_dir, root) = root();
        let file = root.join("docs/a.md");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("its mode");
        let first = read(&root, "docs/a.md").expect("a file");
        let second = write(&root, "docs/a.md", "two\n", Some(&first.etag)).expect("written");
        assert_eq!(second, read(&root, "docs/a.md").expect("a file"));
        assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o640);
        match write(&root, "docs/a.md", "three\n", Some(&first.etag)) {
            Err(Trouble::Changed(now)) => assert_eq!(*now, second),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read_to_string(&file).expect("a file"), "two\n");
        let left = fs::read_dir(root.join("docs")).expect("the folder").count();
        assert_eq!(left, 1, "a file was left behind");
    }

    #[test]
    fn what_is_no_text_or_too_much_of_it_is_not_read() {
        let (_dir, root) = root();
        fs::write(root.join("bad.md"), b"abc\xff").expect("a file");
        assert!(matches!(read(&root, "bad.md"), Err(Trouble::NotText(3))));
        fs::File::create(root.join("huge.md")).and_then(|f| f.set_len(50_000_000)).expect("a file");
        assert!(matches!(read(&root, "huge.md"), Err(Trouble::TooLarge(50_000_000))));
        let large = "x".repeat(usize::try_from(LARGEST).expect("a size") + 1);
        assert!(matches!(write(&root, "docs/a.md", &large, None), Err(Trouble::TooLarge(_))));
    }
}
