//! Private files: directories 0700, files 0600, replaced whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longest state file that is read (`agent.json`, `listen.json`, `notices.json`, `token` and so on).
const STATE_BYTES_MAX: u64 = 1024 * 1024;

/// Something could not be done to a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {}", path.display(), words(cause))]
pub struct FileError {
    pub action: &'static str,
    pub path: PathBuf,
    /// Told in words: not a source, which would be printed with its number.
    pub cause: io::Error,
}

impl FileError {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self.cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room on this disk, or set CCOTEL_DATA_DIR to a directory on another one"
            }
            io::ErrorKind::Unsupported => {
                "this file system has no locks: set CCOTEL_DATA_DIR to a directory on a local disk"
            }
            _ if self.cause.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) => {
                "this file system has no locks: set CCOTEL_DATA_DIR to a directory on a local disk"
            }
            _ => "make it yours and writable, or set CCOTEL_DATA_DIR to a directory that is",
        }
    }
}

/// An I/O error without numbers.
pub fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        io::ErrorKind::StorageFull => "the disk is full".into(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".into(),
        io::ErrorKind::NotADirectory => "a part of the path is not a directory".into(),
        io::ErrorKind::AddrInUse => "the address is in use".into(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".into(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".into(),
        // The system's sentence, without "(os error 5)".
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

/// Attaches what was done to which file.
pub fn at<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |cause| FileError { action, path: path.to_path_buf(), cause }
}

/// A directory of ours alone: created 0700, or tightened to it. One that is shared by its nature (of
/// another user, or sticky as `/tmp`) is refused, never changed.
pub fn private_dir(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at("create", path))?;
    let metadata = fs::metadata(path).map_err(at("read", path))?;
    let refuse = |why: &str| {
        let cause = io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
        Err(FileError { action: "keep data in", path: path.to_path_buf(), cause })
    };
    if metadata.uid() != rustix::process::getuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if metadata.mode() & 0o1000 != 0 {
        return refuse("it is shared with other users");
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(at("set the permissions of", path))?;
    }
    Ok(())
}

/// Opens for appending (a log, or a lock file), 0600 when it is created.
pub fn open_private(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .append(true)
        .read(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(at("open", path))
}

/// Replaces a file in one step, 0600. Readers see the old content or the new one.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    replace_with(path, content, false)
}

/// The same for what must survive a power cut: it reaches the disk before it is in place.
pub fn replace_synced(path: &Path, content: &[u8]) -> Result<(), FileError> {
    replace_with(path, content, true)
}

fn replace_with(path: &Path, content: &[u8], synced: bool) -> Result<(), FileError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        if synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    };
    write().map_err(|cause| {
        let _ = fs::remove_file(&temporary);
        FileError { action: "write", path: path.to_path_buf(), cause }
    })
}

/// The whole of a small file; `None` where there is none.
pub fn read_small(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at("read", path)(error)),
    };
    let mut content = Vec::new();
    file.take(STATE_BYTES_MAX).read_to_end(&mut content).map_err(at("read", path))?;
    Ok(Some(content))
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_directory_that_is_open_to_others_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        private_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
    }

    #[test]
    fn a_shared_directory_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tmp");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();
        let error = private_dir(&dir).unwrap_err();
        assert!(error.to_string().ends_with("it is shared with other users"), "{error}");
        assert_eq!(mode(&dir), 0o1777);
    }

    #[test]
    fn replacing_keeps_others_out_and_leaves_no_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("agent.json");
        replace(&file, b"one").unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!(read_small(&file).unwrap().unwrap(), b"two");
        assert_eq!(mode(&file), 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_have_words_and_no_numbers() {
        let error = io::Error::from_raw_os_error(5);
        assert_eq!(words(&error), "input/output error");
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = private_dir(&file.join("data")).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
    }
}
