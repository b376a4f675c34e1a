//! Directories that setup makes on its way, and removes again once they are empty.

use std::path::{Path, PathBuf};

/// The parts of a path that are not there, outer ones first.
pub fn missing(directory: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = directory
        .ancestors()
        .take_while(|part| part.symlink_metadata().is_err() && !part.as_os_str().is_empty())
        .map(Path::to_path_buf)
        .collect();
    missing.reverse();
    missing
}

/// Removes those that are empty, inner ones first; returns those that stay.
pub fn remove_empty(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut by_depth = directories.to_vec();
    by_depth.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    by_depth.retain(|path| match std::fs::remove_dir(path) {
        Ok(()) => false,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    });
    by_depth.reverse();
    by_depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_there_is_named_and_only_what_is_empty_goes() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b/c");
        let named = missing(&inner);
        assert_eq!(named, [root.path().join("a"), root.path().join("a/b"), inner.clone()]);
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(root.path().join("a/theirs"), "").unwrap();
        assert!(missing(&inner).is_empty());
        assert_eq!(remove_empty(&named), [root.path().join("a")]);
        assert!(!root.path().join("a/b").exists());
    }
}
