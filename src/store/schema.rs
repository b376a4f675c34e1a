//! `queue.db`: its tables, how it is opened, and what is refused.
//!
//! ```text
//! meta(key, value)                                     install id and key, hashes of machine and place, inode, applied row, counts, note
//! points_inbox / events_inbox / spans_inbox            one row = one accepted OTLP request, synced before its answer
//!   (row, received_ms, hash, records, records_total, bytes_total, body)
//! tag_value(label, value)                              values a label may take; beyond the limit they fold into `other`
//! series(id, labels, start_ms, value, changed_ms, live)            the counters at `applied`
//! stream(key, seen_ms, state)                          source streams at `applied`
//! samples(row, tick_ms, lead_ms, full, gap, records, records_total, bytes_total, body)   what a tick changed
//! destination(name, privacy, learned) · lane(destination, lane, …)          cursors, frozen batches, books
//! quarantine(id, destination, lane, at_ms, status, answer, records, wire, bytes, waiting, body)   what a backend refused for good
//! unreadable(inbox, row, records)                     rows that the disk has changed, noted when they were met
//! ```
//!
//! `records_total` and `bytes_total` count from the install's first row up to and including this one, so a
//! backlog is a subtraction. The newest row of a table is never deleted: it carries the totals, and
//! row numbers never come back.

use std::path::Path;

use rusqlite::Connection;

use super::migration;
use super::salvage::with_suffix;

/// Version of the tables. A newer one is refused and left untouched.
const SCHEMA_VERSION: i64 = 2;

/// Before 3.51.3 a checkpoint that resets the log can damage the file (sqlite.org/wal.html#walresetbug).
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// A larger database is not checked at start: reading it whole would take longer than 100 ms.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE points_inbox(row INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, hash BLOB NOT NULL, records INTEGER NOT NULL, records_total INTEGER NOT NULL, bytes_total INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE events_inbox(row INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, hash BLOB NOT NULL, records INTEGER NOT NULL, records_total INTEGER NOT NULL, bytes_total INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE spans_inbox(row INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, hash BLOB NOT NULL, records INTEGER NOT NULL, records_total INTEGER NOT NULL, bytes_total INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE tag_value(label TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(label, value)) WITHOUT ROWID;
CREATE TABLE series(id INTEGER PRIMARY KEY, labels TEXT NOT NULL, start_ms INTEGER NOT NULL, value REAL NOT NULL, changed_ms INTEGER NOT NULL, live INTEGER NOT NULL);
CREATE TABLE stream(key BLOB PRIMARY KEY, seen_ms INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE samples(row INTEGER PRIMARY KEY, tick_ms INTEGER NOT NULL, lead_ms INTEGER NOT NULL, full INTEGER NOT NULL, gap INTEGER NOT NULL, records INTEGER NOT NULL, records_total INTEGER NOT NULL, bytes_total INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE destination(name TEXT PRIMARY KEY, privacy TEXT NOT NULL, learned TEXT) WITHOUT ROWID;
CREATE TABLE lane(destination TEXT NOT NULL, lane TEXT NOT NULL, cursor_row INTEGER NOT NULL, cursor_offset INTEGER NOT NULL, start_row INTEGER, frozen_row INTEGER, frozen_offset INTEGER, frozen_records INTEGER NOT NULL DEFAULT 0, replay INTEGER NOT NULL DEFAULT 0, done_records INTEGER NOT NULL, done_bytes INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0, expired INTEGER NOT NULL DEFAULT 0, evicted INTEGER NOT NULL DEFAULT 0, compacted INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0, begun_records INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(destination, lane)) WITHOUT ROWID;
CREATE TABLE quarantine(id INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, lane TEXT NOT NULL, at_ms INTEGER NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL, records INTEGER NOT NULL, wire TEXT NOT NULL, bytes INTEGER NOT NULL, waiting INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL);
CREATE TABLE unreadable(inbox TEXT NOT NULL, row INTEGER NOT NULL, records INTEGER NOT NULL, PRIMARY KEY(inbox, row)) WITHOUT ROWID;
";

/// Why the store could not be opened. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{path} was written by a newer ccotel (schema {found}, this one knows {SCHEMA_VERSION}): update ccotel, or move the file aside"
    )]
    Newer { path: String, found: i64 },
    #[error(
        "{path} is in use by another process: is another agent running on this data directory? (`ccotel status`)"
    )]
    InUse { path: String },
    #[error(
        "this ccotel was built with SQLite {0}, which can damage its log: build with 3.51.3 or newer"
    )]
    OldSqlite(&'static str),
    #[error("{path} is damaged: {why}")]
    Damaged { path: String, why: String },
    #[error("cannot open {path}: {why}; check that its folder exists, is yours and has room")]
    Failed { path: String, why: String },
}

/// Opens or creates the database: exclusive, write-ahead log, synced at every commit.
pub fn open(path: &Path) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::OldSqlite(rusqlite::version()));
    }
    try_open(path).map_err(|error| match error {
        Failure::Newer(found) => OpenError::Newer { path: path.display().to_string(), found },
        Failure::Damaged(why) => OpenError::Damaged { path: path.display().to_string(), why },
        Failure::Sql(error) if is_damage(&error) => {
            OpenError::Damaged { path: path.display().to_string(), why: error.to_string() }
        }
        Failure::Sql(error) if is_busy(&error) => {
            OpenError::InUse { path: path.display().to_string() }
        }
        Failure::Sql(error) => {
            OpenError::Failed { path: path.display().to_string(), why: error.to_string() }
        }
    })
}

enum Failure {
    Newer(i64),
    Damaged(String),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn try_open(path: &Path) -> Result<Connection, Failure> {
    // A log that is still there was not put away by a clean stop.
    let log_bytes = std::fs::metadata(with_suffix(path, "-wal")).map_or(0, |log| log.len());
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    // The version is read before anything is set: a newer file is not touched.
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > SCHEMA_VERSION {
        return Err(Failure::Newer(version));
    }
    // Exclusive before WAL: the log's index then lives in this process's memory, and no second
    // connection can race a checkpoint. fullfsync matters on macOS, where fsync stops at the drive.
    connection.execute_batch(
        "PRAGMA locking_mode=EXCLUSIVE; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA page_size=4096;
         PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1;
         PRAGMA cache_size=-1024; PRAGMA journal_size_limit=4194304; PRAGMA temp_store=MEMORY;
         PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    if version == 0 {
        connection.execute_batch(&format!(
            "BEGIN EXCLUSIVE; {TABLES} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
        ))?;
    } else {
        // Takes the lock now, so that a second agent is told at once.
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT;")?;
        let bytes = log_bytes + std::fs::metadata(path).map_or(0, |file| file.len());
        if log_bytes > 0 && bytes <= CHECKED_BYTES_MAX {
            check(&connection)?;
        }
        migration::migrate(&connection, path, version, migration::STEPS)?;
    }
    Ok(connection)
}

/// After an unclean stop: pages that are not what they should be are found now, not when they are needed.
fn check(connection: &Connection) -> Result<(), Failure> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Failure::Damaged(found)) }
}

/// Whether the file's content is wrong, and not the disk, the lock or the folder.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

pub fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}
