//! The files `history.db` and `imported.db`: their tables, their version, and what happens to a file
//! that is not one.
//!
//! ```text
//! cursor         how far the store has been read; in the same file, so it moves with the rows
//! series         a counter's identity; series_label: its labels, by name
//! counter_pack   increments of the series, summed per minute, hour and UTC day
//! text, tag_set, tag, session, context, action   what events have in common, once each
//! activity_pack  events of each (session, facet), summed per minute, hour and UTC day
//! prompt_usage   what a prompt came to, with everything that was done for it
//! duration_pack  how long requests, first tokens and tools took: histograms of a UTC day
//! request, api_error, prompt, tool_result, tool_decision   one row an event
//! ```
//!
//! `imported.db` is written by `ccotel import` and has the same tables. It has no counters: what its
//! events say is what was used. A `cost_usd` of NULL is a model without a price, in imports only.
//!
//! There is no index on sessions or prompts: rows are in order of time, a session knows its first and
//! last moment, and reading what lies between is quicker than keeping an index for each event.
//!
//! A *facet* is everything about an event that a report can group by, except its time and session: a
//! context (where and who) and an action (model, source, tool). Its id is both ids in one number,
//! `context << 20 | action`, since a year has thousands of contexts and a few dozen actions.
//! A *pack* holds all sums of one minute, hour or UTC day ([`super::packs`], [`super::durations`]), so that a range of any
//! time zone is a few coarse stretches and a few minutes at its ends
//! ([`pieces`](super::grain::pieces)). `start_minute` counts minutes since the epoch. Absent texts are id 0, which names no row: a unique
//! index treats every NULL as different.
//!
//! The file can be rebuilt from what the store keeps, so `synchronous=NORMAL` is enough: a power cut
//! takes the last commits and the cursor back together.

mod migration;
mod tables;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

/// Version of the tables below, in SQLite's `user_version`.
pub const SCHEMA: i64 = 2;

/// How long a write waits for another connection. Readers never block a writer in WAL mode.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "{path} is damaged ({cause}); `ccotel agent restart` sets it aside and rebuilds it from what the agent still keeps"
    )]
    Damaged { path: PathBuf, cause: String },
    #[error(
        "{path} was written by a newer ccotel (schema {found}, this one reads {SCHEMA}); upgrade ccotel, or move the file away to start a new history"
    )]
    Newer { path: PathBuf, found: i64 },
    #[error(
        "{path} is damaged ({cause}); remove it and run `ccotel import` again, or report with `--imported exclude`"
    )]
    ImportDamaged { path: PathBuf, cause: String },
    #[error(
        "{path} was written by an older ccotel (schema {found}, this one reads {SCHEMA}); `ccotel agent restart` brings it up to date"
    )]
    Older { path: PathBuf, found: i64 },
    #[error("cannot use {path}: {cause}; check that you own it and that the disk has room")]
    Unusable { path: PathBuf, cause: String },
}

impl HistoryError {
    /// What an error of SQLite means for the file at `path`.
    pub fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        let cause = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, cause }
            }
            _ => Self::Unusable { path, cause },
        }
    }
}

/// Opens the history for writing, and makes it if there is none. A damaged file is an error: whoever
/// may write decides to [`set_aside`].
pub fn open_for_writing(path: &Path) -> Result<Connection, HistoryError> {
    let map = |error: rusqlite::Error| HistoryError::from_sqlite(path, &error);
    let mut connection = Connection::open(path).map_err(map)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(map)?;
    let found = version(&connection).map_err(map)?;
    if found > SCHEMA {
        return Err(HistoryError::Newer { path: path.to_path_buf(), found });
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA journal_size_limit = 4194304;
             PRAGMA cache_size = -4096;
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(map)?;
    create_tables(&mut connection).map_err(map)?;
    Ok(connection)
}

/// Makes the tables in a new file, and brings those of an older ccotel up to date.
pub fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version(&transaction)? {
        0 => {
            transaction.execute_batch(tables::TABLES)?;
            transaction.execute_batch(tables::ADDED_IN_2)?;
        }
        1 => migration::from_1(&transaction)?,
        _ => return Ok(()),
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

/// The version in the file; 0 is a new file.
pub fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Renames a damaged history to `history.db.damaged`, in place of an earlier one, so that damage
/// cannot fill the disk. Returns the new name.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = with_suffix(path, ".damaged");
    fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        match fs::remove_file(with_suffix(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
