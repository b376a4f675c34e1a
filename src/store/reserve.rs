//! The reserve: space on the disk that is given up when the disk is full.
//!
//! Dropping rows needs room in the log first. On a full disk there may be none, so a file of that size is
//! kept beside the database, and removed when it is needed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Room for the log while rows are dropped.
const RESERVE_BYTES: usize = 1024 * 1024;

fn path(queue_db: &Path) -> PathBuf {
    queue_db.with_extension("reserve")
}

/// Makes the file where there is none; what cannot be kept whole is not kept.
pub fn keep(queue_db: &Path) {
    let path = path(queue_db);
    let whole = std::fs::metadata(&path).is_ok_and(|file| file.len() == RESERVE_BYTES as u64);
    if !whole && let Err(error) = fill(&path) {
        let _ = std::fs::remove_file(&path);
        tracing::debug!(%error, "no reserve can be kept");
    }
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    // Bytes that differ: a file system that compresses would keep zeros for nothing.
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut block = vec![0; 64 * 1024];
    for _ in 0..RESERVE_BYTES / block.len() {
        noise.fill(&mut block);
        file.write_all(&block)?;
    }
    file.sync_data()
}

/// Gives the room back.
pub fn release(queue_db: &Path) {
    let _ = std::fs::remove_file(path(queue_db));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_or_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let queue_db = directory.path().join("queue.db");
        keep(&queue_db);
        assert_eq!(std::fs::metadata(path(&queue_db)).unwrap().len(), RESERVE_BYTES as u64);
        release(&queue_db);
        assert!(!path(&queue_db).exists());
        keep(&directory.path().join("missing/queue.db"));
    }
}
