//! What was imported: tables of `imported.db` beside those of the history.
//!
//! ```text
//! import_file    of each transcript: how far it was read, and hashes by which it is known again
//! import_item    of each thing that counts: its key, and where its row is; row 0 is one that the
//!                agent had counted already
//! import_state   the next row's number
//! ```
//!
//! A file and the items of what was read of it are one transaction, so an import that was cut off goes
//! on where it was. A file that was only appended to is read on from its offset; any other is read
//! anew, and what it holds is known by its keys.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::find::Found;
use super::item::{Key, key};

/// Bytes at the beginning, and before the offset, by which a file is known again.
const KNOWN_BY_BYTES: u64 = 4096;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS import_file (
  path BLOB PRIMARY KEY,
  bytes INTEGER NOT NULL,
  modified_ms INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  head BLOB NOT NULL,
  tail BLOB NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS import_item (
  key BLOB PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  row INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS import_state (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  next_row INTEGER NOT NULL,
  key BLOB NOT NULL
) STRICT;
INSERT OR IGNORE INTO import_state VALUES (1, 1, randomblob(32));
";

pub fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    pub bytes: i64,
    pub modified_ms: i64,
    pub offset: i64,
    pub head: Key,
    pub tail: Key,
    /// What is older was left out.
    pub since_ms: i64,
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    Unchanged,
    /// From this offset.
    Read(u64),
}

/// A path as it is stored: the name of a folder says what somebody works on.
pub fn path_key(path: &Path) -> Key {
    key("path", &path.to_string_lossy())
}

/// All files that were read before.
pub fn files(connection: &Connection) -> rusqlite::Result<HashMap<Key, FileState>> {
    connection
        .prepare("SELECT path, bytes, modified_ms, offset, head, tail, since_ms FROM import_file")?
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                FileState {
                    bytes: row.get(1)?,
                    modified_ms: row.get(2)?,
                    offset: row.get(3)?,
                    head: row.get(4)?,
                    tail: row.get(5)?,
                    since_ms: row.get(6)?,
                },
            ))
        })?
        .collect()
}

/// The key for ids of this import, where the agent's cannot be had.
pub fn own_key(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    connection.query_row("SELECT key FROM import_state", [], |row| row.get(0))
}

/// How to read a file of which this is known.
pub fn plan(found: &Found, known: Option<&FileState>, since_ms: i64) -> io::Result<Plan> {
    let Some(known) = known.filter(|known| known.since_ms <= since_ms) else {
        return Ok(Plan::Read(0));
    };
    let bytes = i64::try_from(found.bytes).unwrap_or(i64::MAX);
    if known.bytes == bytes && known.modified_ms == found.modified_ms {
        return Ok(Plan::Unchanged);
    }
    let offset = u64::try_from(known.offset).unwrap_or(0);
    if offset > found.bytes {
        return Ok(Plan::Read(0));
    }
    let (head, tail) = marks(&found.path, offset)?;
    let same = head == known.head && tail == known.tail;
    Ok(Plan::Read(if same { offset } else { 0 }))
}

/// What a file up to an offset is known by.
pub fn marks(path: &Path, offset: u64) -> io::Result<(Key, Key)> {
    let mut file = File::open(path)?;
    let length = offset.min(KNOWN_BY_BYTES);
    let head = mark(&mut file, 0, length)?;
    Ok((head, mark(&mut file, offset - length, length)?))
}

fn mark(file: &mut File, start: u64, length: u64) -> io::Result<Key> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    let mut mark = Key::default();
    blake3::Hasher::new().update(&bytes).finalize_xof().fill(&mut mark);
    Ok(mark)
}

/// Writing within one transaction.
pub struct Ledger<'t> {
    add: rusqlite::Statement<'t>,
    find: rusqlite::Statement<'t>,
    file: rusqlite::Statement<'t>,
    transaction: &'t Transaction<'t>,
    next_row: i64,
}

/// Whether an item was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// Its row.
    New(i64),
    /// Where its row is; 0 has none.
    Known { time_ms: i64, row: i64 },
}

impl<'t> Ledger<'t> {
    pub fn new(transaction: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        Ok(Self {
            add: transaction.prepare("INSERT OR IGNORE INTO import_item VALUES (?, ?, ?)")?,
            find: transaction.prepare("SELECT time_ms, row FROM import_item WHERE key = ?")?,
            file: transaction
                .prepare("INSERT OR REPLACE INTO import_file VALUES (?, ?, ?, ?, ?, ?, ?)")?,
            next_row: transaction
                .query_row("SELECT next_row FROM import_state", [], |row| row.get(0))?,
            transaction,
        })
    }

    /// Notes an item that is to be counted, or, without `counted`, that others have counted.
    pub fn note(&mut self, key: &Key, time_ms: i64, counted: bool) -> rusqlite::Result<Noted> {
        let row = if counted { self.next_row } else { 0 };
        if self.add.execute(params![key, time_ms, row])? > 0 {
            self.next_row += i64::from(counted);
            return Ok(Noted::New(row));
        }
        let known = self
            .find
            .query_row([key], |row| Ok(Noted::Known { time_ms: row.get(0)?, row: row.get(1)? }))
            .optional()?;
        Ok(known.unwrap_or(Noted::Known { time_ms, row: 0 }))
    }

    pub fn file(&mut self, path: &Key, state: &FileState) -> rusqlite::Result<()> {
        self.file.execute(params![
            path,
            state.bytes,
            state.modified_ms,
            state.offset,
            state.head,
            state.tail,
            state.since_ms
        ])?;
        Ok(())
    }

    pub fn finish(self) -> rusqlite::Result<()> {
        self.transaction.execute("UPDATE import_state SET next_row = ?", [self.next_row])?;
        Ok(())
    }
}
