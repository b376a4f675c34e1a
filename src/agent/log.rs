//! `agent.log`: what happened to the agent, never what a session said.
//!
//! Two files of at most 1 MiB: the older one is `agent.log.1`. The worker writes through `tracing`;
//! the holder, which hardly ever has something to say, appends lines. A gateway writes neither: what it
//! has to say goes to standard error, where a container's log is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::files::{self, FileError};
use crate::paths::Paths;

/// A log file that grew beyond this becomes `agent.log.1`.
const LOG_BYTES_MAX: u64 = 1024 * 1024;

/// The file before the current one.
pub fn rotated(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Set for the life of a gateway's process.
static TO_STDERR: AtomicBool = AtomicBool::new(false);

/// From now on this process logs to standard error.
pub fn use_stderr() {
    TO_STDERR.store(true, Ordering::Relaxed);
}

/// Appends a line of the holder. A log that cannot be written must not end an agent.
pub fn line(paths: &Paths, message: &str) {
    if TO_STDERR.load(Ordering::Relaxed) {
        let _ = writeln!(io::stderr(), "{:.6}  INFO holder: {message}", jiff::Timestamp::now());
        return;
    }
    if let Ok(mut file) = files::open_private(&paths.agent_log()) {
        let _ = writeln!(file, "{:.6}  INFO holder: {message}", jiff::Timestamp::now());
    }
}

/// Sends `tracing` to the log for the rest of this process, panics included.
pub fn start(paths: &Paths) -> Result<(), FileError> {
    let writer = if TO_STDERR.load(Ordering::Relaxed) {
        BoxMakeWriter::new(|| Unfailing(io::stderr()))
    } else {
        BoxMakeWriter::new(Mutex::new(RotatingLog::open(paths.agent_log())?))
    };
    let subscriber = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_target(true)
        // They would go to standard error, which is this file: what cannot be written there panics.
        .log_internal_errors(false)
        .finish();
    // A second call, as in tests, keeps the first log.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| tracing::error!("panic: {panic}")));
    Ok(())
}

/// Nobody may read it any more, which must not end a gateway.
struct Unfailing(io::Stderr);

impl Write for Unfailing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

struct RotatingLog {
    path: PathBuf,
    file: File,
}

impl RotatingLog {
    fn open(path: PathBuf) -> Result<Self, FileError> {
        let file = files::open_private(&path)?;
        Ok(Self { path, file })
    }

    fn rotate_if_long(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?;
        if own.len() < LOG_BYTES_MAX {
            return Ok(());
        }
        // Another process may have rotated it already: then only reopen.
        if fs::metadata(&self.path).is_ok_and(|current| current.ino() == own.ino()) {
            fs::rename(&self.path, rotated(&self.path))?;
        }
        self.file = files::open_private(&self.path).map_err(|error| error.cause)?;
        Ok(())
    }
}

impl Write for RotatingLog {
    /// Never fails: on a disk that takes nothing the agent goes on, without a log.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.rotate_if_long().is_ok() {
            let _ = self.file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.file.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_written_is_no_error() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut log = RotatingLog { path: "/dev/full".into(), file };
        assert!(log.write_all(b"a line").is_ok() && log.flush().is_ok());
    }

    #[test]
    fn the_log_is_bounded_by_two_files() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agent.log");
        let mut log = RotatingLog::open(path.clone()).unwrap();
        let chunk = vec![b'x'; 300 * 1024];
        for _ in 0..20 {
            log.write_all(&chunk).unwrap();
        }
        for file in [&path, &rotated(&path)] {
            let length = fs::metadata(file).unwrap().len();
            assert!(length <= LOG_BYTES_MAX + chunk.len() as u64, "{length}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }
}
