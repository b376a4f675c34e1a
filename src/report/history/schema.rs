//! The file `history.db`: its tables, its version, and what happens to a file that is not one.
//!
//! ```text
//! cursor         how far the store has been read; in the same file, so it moves with the rows
//! series         a counter's identity; series_label: its labels, by name
//! counter        increments of a series, summed per minute, hour and UTC day
//! text, tag_set, tag, session, facet     what events have in common, once each
//! activity       events of a (session, facet), summed per minute, hour and UTC day
//! request, api_error, prompt, tool_result   one row an event
//! ```
//!
//! A *facet* is everything about an event that a report can group by, except its time and session.
//! `grain` is 0 for minutes, 1 for hours, 2 for UTC days, and `start_minute` counts minutes since the
//! epoch in all of them, so that a range of any time zone is a few coarse stretches and a few minutes
//! at its ends ([`pieces`](super::grain::pieces)). Absent texts are id 0, which names no row: a unique
//! index treats every NULL as different.
//!
//! The file can be rebuilt from what the store keeps, so `synchronous=NORMAL` is enough: a power cut
//! takes the last commits and the cursor back together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

/// Version of the tables below, in SQLite's `user_version`.
pub const SCHEMA: i64 = 1;

/// How long a write waits for another connection. Readers never block a writer in WAL mode.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE cursor (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  install_id TEXT NOT NULL,
  install INTEGER NOT NULL,
  tick INTEGER NOT NULL,
  row INTEGER NOT NULL,
  series INTEGER NOT NULL,
  tick_ms INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  earlier_tick_ms INTEGER NOT NULL,
  earlier_received_ms INTEGER NOT NULL,
  pruned_day INTEGER NOT NULL
) STRICT;
INSERT INTO cursor VALUES (1, '', 0, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  install INTEGER NOT NULL,
  store_id INTEGER NOT NULL,
  metric TEXT NOT NULL,
  UNIQUE (install, store_id)
) STRICT;
CREATE TABLE series_label (
  name TEXT NOT NULL,
  series_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name, series_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
  grain INTEGER NOT NULL,
  start_minute INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (grain, start_minute, series_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE tag_set (id INTEGER PRIMARY KEY, canonical TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE tag (
  name TEXT NOT NULL,
  tag_set_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name, tag_set_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE facet (
  id INTEGER PRIMARY KEY,
  tag_set_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  repository_id INTEGER NOT NULL,
  branch_id INTEGER NOT NULL,
  model_id INTEGER NOT NULL,
  query_source_id INTEGER NOT NULL,
  tool_id INTEGER NOT NULL,
  UNIQUE (tag_set_id, user_id, repository_id, branch_id, model_id, query_source_id, tool_id)
) STRICT;
CREATE TABLE activity (
  grain INTEGER NOT NULL,
  start_minute INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  facet_id INTEGER NOT NULL,
  prompts INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  tool_calls INTEGER NOT NULL,
  tool_failures INTEGER NOT NULL,
  cost_usd REAL NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_creation_tokens INTEGER NOT NULL,
  PRIMARY KEY (grain, start_minute, session_id, facet_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  cost_usd REAL NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL, cache_creation_tokens INTEGER NOT NULL,
  duration_ms INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE api_error (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  status_code INTEGER, attempt INTEGER, duration_ms INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE prompt (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  length INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE tool_result (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  success INTEGER, duration_ms INTEGER,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";

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
    let connection = Connection::open(path).map_err(map)?;
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
    if found == 0 {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;")).map_err(map)?;
    }
    Ok(connection)
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
