//! Whether the history has changed, without reading it: for who looks at it again and again.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

/// Of both files, in an order of their own. Equal ones mean that nothing was written in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Vec<Option<OfFile>>);

/// Which file it is, and SQLite's count of others' commits to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OfFile {
    device: u64,
    inode: u64,
    /// `None`: it cannot be asked. Its size and time must do.
    data_version: Result<i64, (u64, i64, i64)>,
}

/// Files that are asked for their version, each over one connection: SQLite counts by connection.
pub struct Watch(Vec<Watched>);

struct Watched {
    path: PathBuf,
    open: Option<(u64, u64, Connection)>,
}

impl Watch {
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| Watched { path, open: None }).collect())
    }

    pub fn version(&mut self) -> Version {
        Version(self.0.iter_mut().map(Watched::version).collect())
    }
}

impl Watched {
    /// `None` where there is no file.
    fn version(&mut self) -> Option<OfFile> {
        let Ok(metadata) = std::fs::metadata(&self.path) else {
            self.open = None;
            return None;
        };
        let (device, inode) = (metadata.dev(), metadata.ino());
        // Set aside or written anew: the connection would go on seeing the old file.
        if self.open.as_ref().is_some_and(|(dev, ino, _)| (*dev, *ino) != (device, inode)) {
            self.open = None;
        }
        if self.open.is_none() {
            self.open = self.connect().ok().map(|connection| (device, inode, connection));
        }
        let asked = self.open.as_ref().and_then(|(_, _, connection)| {
            connection.query_row("PRAGMA data_version", [], |row| row.get(0)).ok()
        });
        if asked.is_none() {
            self.open = None;
        }
        let data_version =
            asked.ok_or_else(|| (metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
        Some(OfFile { device, inode, data_version })
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.path, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn it_changes_with_each_commit_of_others_and_only_then() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.db");
        let mut watch = Watch::new([path.clone(), directory.path().join("imported.db")]);
        let nothing = watch.version();
        assert_eq!(nothing, watch.version());

        let writer = schema::open_for_writing(&path).unwrap();
        let empty = watch.version();
        assert_ne!(nothing, empty);
        assert_eq!(empty, watch.version());

        writer.execute("INSERT INTO text (value) VALUES ('a')", []).unwrap();
        let written = watch.version();
        assert_ne!(empty, written);
        assert_eq!(written, watch.version());
        // A read transaction of somebody else is no change.
        writer.execute_batch("BEGIN; SELECT * FROM text; COMMIT;").unwrap();
        assert_eq!(written, watch.version());
    }

    #[test]
    fn a_file_that_was_replaced_is_another_version_and_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.db");
        let mut watch = Watch::new([path.clone()]);
        drop(schema::open_for_writing(&path).unwrap());
        let before = watch.version();
        schema::set_aside(&path).unwrap();
        assert_ne!(watch.version(), before);
        let writer = schema::open_for_writing(&path).unwrap();
        let after = watch.version();
        assert_ne!(after, before);
        writer.execute("INSERT INTO text (value) VALUES ('a')", []).unwrap();
        assert_ne!(watch.version(), after);
    }

    #[test]
    fn of_a_damaged_file_size_and_time_tell() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.db");
        std::fs::write(&path, "no database, and longer than the head of one".repeat(10)).unwrap();
        let mut watch = Watch::new([path.clone()]);
        let before = watch.version();
        assert_eq!(watch.version(), before);
        std::fs::write(&path, "shorter").unwrap();
        assert_ne!(watch.version(), before);
    }
}
