//! Where the server's log goes.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

use crate::config::Config;

/// A log's size at which the next one is begun. Bytes.
const SIZE: u64 = 10 * 1024 * 1024;
/// Full logs that are kept, as `….1` (the newest) and so on.
const KEPT: u32 = 4;

/// Begins to log: into the file of the configuration, or to stderr.
pub fn begin(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let format = tracing_subscriber::fmt().with_env_filter(filter);
    if config.log_file.as_os_str().is_empty() {
        format.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init();
        return Ok(());
    }
    let path = &config.log_file;
    let file = Rotated::open(path, SIZE)
        .with_context(|| format!("cannot log to {}; choose another log_file", path.display()))?;
    format.with_ansi(false).with_writer(Mutex::new(file)).init();
    // Where stderr leads is not for us to say.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(())
}

/// A file that is set aside when it is full.
struct Rotated {
    path: PathBuf,
    file: File,
    written: u64,
    size: u64,
}

impl Rotated {
    fn open(path: &Path, size: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, written, size })
    }

    fn aside(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        for n in (1..KEPT).rev() {
            // The first few times there are not so many.
            let _ = fs::rename(self.aside(n), self.aside(n + 1));
        }
        fs::rename(&self.path, self.aside(1))?;
        *self = Self::open(&self.path, self.size)?;
        Ok(())
    }
}

impl Write for Rotated {
    /// Writes a whole line, so that none is torn between two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.written > 0 && self.written + line.len() as u64 > self.size {
            // A log that cannot be set aside goes on: better too long than lost.
            let _ = self.rotate();
        }
        self.file.write_all(line)?;
        self.written += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::{KEPT, Rotated};

    #[test]
    fn a_full_log_is_set_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("serve.log");
        for n in 0..20 {
            // Opened anew each time, as after restarts.
            let mut log = Rotated::open(&path, 100).expect("a log");
            log.write_all(format!("{n:-^59}\n").as_bytes()).expect("a line");
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a log");
        assert!(read("serve.log").contains("-19-"));
        assert!(read("serve.log.1").contains("-18-"));
        assert!(read(&format!("serve.log.{KEPT}")).contains("-15-"));
        assert_eq!(fs::read_dir(folder.path()).expect("files").count(), KEPT as usize + 1);
    }
}
