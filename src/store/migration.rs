//! Migrations: from an older schema forwards, one step at a time, after a copy was made.
//!
//! ```text
//! user_version 1 ── copy to queue.db.schema-1 (VACUUM INTO) ── BEGIN · step 1 → 2 · … · COMMIT ── user_version N
//! ```
//!
//! The copy is whole and synced before the first step; all steps and the new `user_version` are one
//! transaction. A step that fails leaves the file as it was. There is no way back but the copy.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// What turns the tables of one version into those of the next.
pub type Step = fn(&Connection) -> rusqlite::Result<()>;

/// The step at place `n` leads from version `n + 1` to `n + 2`.
pub const STEPS: &[Step] = &[books_and_unreadable_rows];

/// 2: what was meant for a lane is counted by itself, and rows that cannot be read are noted.
fn books_and_unreadable_rows(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "ALTER TABLE lane ADD COLUMN begun_records INTEGER NOT NULL DEFAULT 0;
         UPDATE lane SET begun_records = done_records - delivered - expired - evicted - compacted - quarantined;
         CREATE TABLE unreadable(inbox TEXT NOT NULL, row INTEGER NOT NULL, records INTEGER NOT NULL, PRIMARY KEY(inbox, row)) WITHOUT ROWID;",
    )
}

/// Where the copy of a database goes before it is changed.
pub fn copy_path(queue_db: &Path, version: i64) -> PathBuf {
    let mut name = queue_db.as_os_str().to_owned();
    name.push(format!(".schema-{version}"));
    name.into()
}

/// Brings the tables from version `from` to the newest that `steps` lead to.
pub fn migrate(
    connection: &Connection,
    queue_db: &Path,
    from: i64,
    steps: &[Step],
) -> rusqlite::Result<()> {
    let done = usize::try_from(from - 1).unwrap_or(0);
    let Some(due) = steps.get(done..).filter(|due| !due.is_empty()) else { return Ok(()) };
    let copy = copy_path(queue_db, from);
    // One that is there was cut short, or is of an attempt that failed: the file is still at `from`.
    if copy.exists() {
        std::fs::remove_file(&copy)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    }
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    let migrated = due.iter().try_for_each(|step| step(connection)).and_then(|()| {
        connection.pragma_update(None, "user_version", from + due.len().cast_signed() as i64)?;
        connection.execute_batch("COMMIT")
    });
    if migrated.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    migrated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_version_1(directory: &tempfile::TempDir) -> (Connection, PathBuf) {
        let path = directory.path().join("queue.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE meta(key, value); INSERT INTO meta VALUES('a', 1); PRAGMA user_version=1;")
            .unwrap();
        (connection, path)
    }

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    fn add_column(connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch("ALTER TABLE meta ADD COLUMN note TEXT")
    }

    fn fail(connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch("ALTER TABLE meta ADD COLUMN other TEXT; SELECT * FROM nowhere;")
    }

    #[test]
    fn steps_run_once_after_a_copy_that_can_be_opened() {
        let directory = tempfile::tempdir().unwrap();
        let (connection, path) = at_version_1(&directory);
        migrate(&connection, &path, 1, &[add_column]).unwrap();
        assert_eq!(version(&connection), 2);
        connection.execute("UPDATE meta SET note='x'", []).unwrap();
        let copy = Connection::open(copy_path(&path, 1)).unwrap();
        assert_eq!(version(&copy), 1);
        let kept: i64 = copy.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 1);
        migrate(&connection, &path, 2, &[add_column]).unwrap();
        assert_eq!(version(&connection), 2, "the newest is left alone");
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was_and_can_be_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let (connection, path) = at_version_1(&directory);
        assert!(migrate(&connection, &path, 1, &[add_column, fail]).is_err());
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT note FROM meta").is_err());
        migrate(&connection, &path, 1, &[add_column]).unwrap();
        assert_eq!(version(&connection), 2);
    }
}
