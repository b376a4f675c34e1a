//! A damaged database: set aside under a name of its own, and what can be read of it saved.
//!
//! The file is never repaired in place, and never deleted. Each table is read from its front until a
//! page cannot be read, and then from its back; rows between the two are lost. Counters are only taken
//! over whole: series are known by their place. Without them they start at 0 again; the streams, taken
//! over by themselves, keep a running session from being counted again from its beginning.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::meta;

/// In the order in which they matter, should the disk fill up.
const TABLES: [&str; 10] = [
    "meta",
    "destination",
    "lane",
    "series",
    "stream",
    "points_inbox",
    "samples",
    "events_inbox",
    "tag_value",
    "quarantine",
];

/// Moves a database and its log out of the way; returns its new name.
pub fn set_aside(queue_db: &Path, why: &str, now_ms: i64) -> std::io::Result<PathBuf> {
    let aside = aside_path(queue_db, why, now_ms);
    std::fs::rename(queue_db, &aside)?;
    let log = with_suffix(queue_db, "-wal");
    if log.exists() {
        std::fs::rename(log, with_suffix(&aside, "-wal"))?;
    }
    Ok(aside)
}

/// A free name such as `queue.db.damaged-20261121T103000Z`.
pub fn aside_path(queue_db: &Path, why: &str, now_ms: i64) -> PathBuf {
    let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(TimeZone::UTC);
    let name = with_suffix(queue_db, &format!(".{why}-{}", at.strftime("%Y%m%dT%H%M%SZ")));
    let free = |path: &PathBuf| !path.exists();
    let numbered = (2..1_000).map(|number| with_suffix(&name, &format!("-{number}")));
    std::iter::once(name.clone()).chain(numbered).find(free).unwrap_or(name)
}

pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Copies what can be read into new, empty tables. Returns the number of rows.
pub fn salvage(damaged: &Path, into: &Connection) -> rusqlite::Result<usize> {
    let Some(from) = open_damaged(damaged) else { return Ok(0) };
    into.execute_batch("BEGIN IMMEDIATE")?;
    let mut rows = 0;
    for table in TABLES.into_iter().chain(["spans_inbox"]) {
        rows += copy_table(&from, into, table)?;
    }
    make_consistent(into)?;
    into.execute_batch("COMMIT")?;
    Ok(rows)
}

/// A file cut short is read as far as it goes: that is what `writable_schema` allows. A log that does not
/// fit is left out.
fn open_damaged(path: &Path) -> Option<Connection> {
    let open = || {
        let connection = Connection::open(path).ok()?;
        connection
            .execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA writable_schema=ON")
            .ok()?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).ok()?;
        Some(connection)
    };
    open().or_else(|| {
        let log = with_suffix(path, "-wal");
        std::fs::rename(&log, with_suffix(&log, "-unread")).ok()?;
        open()
    })
}

fn copy_table(from: &Connection, into: &Connection, table: &str) -> rusqlite::Result<usize> {
    let mut rows = 0;
    for order in ["", " DESC"] {
        let Ok(mut query) = from.prepare(&format!("SELECT * FROM {table} ORDER BY 1{order}"))
        else {
            break;
        };
        let columns = query.column_count();
        let places = vec!["?"; columns].join(", ");
        // By name: an older file has fewer columns.
        let names = query.column_names().collect::<Vec<_>>().join(", ");
        let Ok(mut insert) =
            into.prepare(&format!("INSERT OR IGNORE INTO {table}({names}) VALUES({places})"))
        else {
            break;
        };
        let Ok(mut found) = query.query([]) else { break };
        let whole = loop {
            match found.next() {
                Ok(Some(row)) => {
                    let values: Result<Vec<Value>, _> =
                        (0..columns).map(|at| row.get(at)).collect();
                    let Ok(values) = values else { continue };
                    match insert.execute(params_from_iter(values)) {
                        Ok(inserted) => rows += inserted,
                        Err(error) if is_of_row(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if whole {
            break;
        }
    }
    Ok(rows)
}

/// The row is at fault (a null where none may be), not the new database.
fn is_of_row(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TypeMismatch)
    )
}

fn make_consistent(into: &Connection) -> rusqlite::Result<()> {
    let number = |sql: &str| into.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("SELECT count(*) - ifnull(max(id), -1) - 1 FROM series")? != 0 {
        into.execute_batch("DELETE FROM series; DELETE FROM samples")?;
    }
    // Without the tables that say how far the counters are, taking points in again would count twice.
    let applied = meta::get::<i64>(into, "applied_row")?.unwrap_or(0);
    let streams = number("SELECT count(*) FROM stream")?;
    if meta::get::<String>(into, "install_id")?.is_none() || (applied > 0 && streams == 0) {
        let newest = number("SELECT ifnull(max(row), 0) FROM points_inbox")?;
        meta::set(into, "applied_row", newest)?;
    }
    Ok(())
}
