//! Where transcripts are, and which there are.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Folders in folders. Claude Code makes four.
const DEPTH_MAX: usize = 12;
/// Transcripts of one import.
pub const FILES_MAX: usize = 1_000_000;
/// Where Claude Code keeps everything, if not in `~/.claude`; several with commas between them.
pub const VARIABLE: &str = "CLAUDE_CONFIG_DIR";

/// A transcript, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    pub bytes: u64,
    pub modified_ms: i64,
    /// Where the file system knows it; else the same as `modified_ms`.
    created_ms: i64,
}

/// The folders that Claude Code's own rules give, those that exist.
pub fn roots(home: &Path, variable: Option<OsString>) -> Vec<PathBuf> {
    let named = variable.filter(|value| !value.is_empty()).map(|value| {
        let value = value.to_string_lossy().into_owned();
        value.split(',').map(|part| PathBuf::from(part.trim())).collect::<Vec<_>>()
    });
    let claude = named.unwrap_or_else(|| {
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.filter(|path| path.is_absolute());
        vec![home.join(".claude"), config.unwrap_or_else(|| home.join(".config")).join("claude")]
    });
    let projects = claude.iter().map(|directory| directory.join("projects"));
    // A link from one to the other is common.
    let unique: BTreeSet<PathBuf> = projects.filter_map(|path| path.canonicalize().ok()).collect();
    unique.into_iter().collect()
}

/// All transcripts at or below these, those made first before the others: a fork then follows what it
/// was copied from. What cannot be looked at is handed to `unreadable`.
pub fn transcripts(roots: &[PathBuf], mut unreadable: impl FnMut(&Path, &io::Error)) -> Vec<Found> {
    let mut found = Vec::new();
    for root in roots {
        walk(root, 0, &mut found, &mut unreadable);
    }
    found.sort_by(|one, other| (one.created_ms, &one.path).cmp(&(other.created_ms, &other.path)));
    found.dedup_by(|one, other| one.path == other.path);
    found
}

fn walk(
    path: &Path,
    depth: usize,
    found: &mut Vec<Found>,
    unreadable: &mut impl FnMut(&Path, &io::Error),
) {
    // A root may be a link; below, a link could lead round in a circle.
    let metadata = if depth == 0 { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) => return unreadable(path, &error),
    };
    if metadata.is_dir() {
        if depth < DEPTH_MAX {
            match fs::read_dir(path) {
                Ok(entries) => entries
                    .flatten()
                    .for_each(|entry| walk(&entry.path(), depth + 1, found, unreadable)),
                Err(error) => unreadable(path, &error),
            }
        }
        return;
    }
    let is_transcript =
        depth == 0 || path.extension().is_some_and(|extension| extension == "jsonl");
    if metadata.is_file() && is_transcript && found.len() < FILES_MAX {
        let modified_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
        let created = metadata.created().ok();
        let created = created.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let created_ms = created.and_then(|time| i64::try_from(time.as_millis()).ok());
        found.push(Found {
            path: path.to_path_buf(),
            bytes: metadata.len(),
            modified_ms,
            // A copied folder is younger than what is in it.
            created_ms: created_ms.map_or(modified_ms, |created| created.min(modified_ms)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_folders_and_a_link_is_no_second_folder() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join(".claude");
        fs::create_dir_all(real.join("projects")).unwrap();
        let other = home.path().join("other");
        fs::create_dir_all(other.join("projects")).unwrap();
        std::os::unix::fs::symlink(&real, home.path().join("link")).unwrap();
        let list = format!(
            "{}, {},{}",
            real.display(),
            home.path().join("link").display(),
            other.display()
        );
        let names = |roots: Vec<PathBuf>| roots.len();
        assert_eq!(names(roots(home.path(), Some(list.into()))), 2);
        assert_eq!(names(roots(home.path(), Some("/nowhere".into()))), 0);
    }

    #[test]
    fn a_circle_of_links_ends() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        std::os::unix::fs::symlink(root.path(), inner.join("round")).unwrap();
        fs::write(inner.join("one.jsonl"), "").unwrap();
        fs::write(inner.join("other.txt"), "").unwrap();
        let found = transcripts(&[root.path().to_path_buf()], |_, _| {});
        assert_eq!(found.len(), 1);
    }
}
