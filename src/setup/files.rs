//! Somebody's files: read whole, replaced whole, with their mode, through their links.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::jsonc::JsoncError;
use crate::agent::files::{FileError, at, words};
use crate::config::file::is_absent;

/// Larger ones are no startup files and no settings.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What keeps a file from being changed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} is left as it is: {why}", path.display())]
    Unsuitable { path: PathBuf, why: String },
    #[error("{} still has something of ours, which somebody has changed: take out {what} by hand", path.display())]
    Remains { path: PathBuf, what: String },
}

impl SetupError {
    pub fn unsuitable(path: &Path, why: impl Into<String>) -> Self {
        Self::Unsuitable { path: path.to_path_buf(), why: why.into() }
    }

    pub fn jsonc(path: &Path, error: &JsoncError) -> Self {
        Self::unsuitable(path, error.to_string())
    }
}

/// The file that a path stands for: a link to a file elsewhere stays a link.
pub fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    // A link whose file is to be made, or nothing yet.
    match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("/")).join(target),
        Err(_) => path.to_path_buf(),
    }
}

/// The text of a file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<String>, SetupError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(at("read", path)(error).into()),
    };
    if !metadata.is_file() {
        return Err(SetupError::unsuitable(path, "it is not a regular file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        let limit = FILE_BYTES_MAX / 1024 / 1024;
        return Err(SetupError::unsuitable(path, format!("it is larger than {limit} MiB")));
    }
    let bytes = fs::read(path).map_err(at("read", path))?;
    String::from_utf8(bytes).map(Some).map_err(|_| SetupError::unsuitable(path, "it is not UTF-8"))
}

/// Replaces a file in one step. An existing one keeps its mode; a new one gets this one, less what
/// the user's mask takes away.
pub fn write(path: &Path, text: &str, new_mode: u32) -> Result<(), SetupError> {
    let existing = fs::metadata(path).ok();
    if existing.as_ref().is_some_and(|it| it.uid() != rustix::process::getuid().as_raw()) {
        return Err(SetupError::unsuitable(path, "it belongs to another user"));
    }
    if existing.as_ref().is_some_and(|it| it.permissions().mode() & 0o200 == 0) {
        return Err(SetupError::unsuitable(path, "it is write-protected"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.ccotel-{}", std::process::id()));
    let result = write_new(&temporary, text, new_mode, existing.as_ref()).and_then(|()| {
        // Where a file itself is mounted, it cannot be replaced, but written.
        fs::rename(&temporary, path)
            .or_else(|error| if existing.is_some() { fs::write(path, text) } else { Err(error) })
    });
    if temporary.symlink_metadata().is_ok() {
        let _ = fs::remove_file(&temporary);
    }
    result.map_err(|cause| at("write", path)(cause).into())
}

fn write_new(
    temporary: &Path,
    text: &str,
    mode: u32,
    existing: Option<&fs::Metadata>,
) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temporary)?;
    if let Some(existing) = existing {
        file.set_permissions(existing.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// In words, for a line of its own.
pub fn why(error: &io::Error) -> String {
    words(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_a_link_and_a_mode_a_mode() {
        let root = tempfile::tempdir().unwrap();
        let (file, link) = (root.path().join("dotfiles"), root.path().join(".bashrc"));
        fs::write(&file, "A=1\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("dotfiles", &link).unwrap();
        write(&real(&link), "B=2\n", 0o644).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(read(&link).unwrap().as_deref(), Some("B=2\n"));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_text_file_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        assert!(read(root.path()).is_err());
        assert_eq!(read(&root.path().join("nothing")).unwrap(), None);
        let file = root.path().join("binary");
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(read(&file).unwrap_err().to_string().ends_with("it is not UTF-8"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(write(&file, "", 0o644).unwrap_err().to_string().contains("write-protected"));
    }
}
