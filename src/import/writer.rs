//! The writing side: items become rows of `imported.db`, together with what the ledger knows then.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::covered::Covered;
use super::facts::Facts;
use super::growth;
use super::item::{Item, ItemKind, Key};
use super::ledger::{self, FileState, Ledger, Noted};
use super::summary::Summary;
use crate::report::history::event_rows::Events;
use crate::report::history::facts::{Fact, Kind};
use crate::report::history::schema::{self, HistoryError};

/// Items of one transaction, about.
const BATCH_ITEMS: usize = 8192;
/// Files of one transaction.
const BATCH_FILES: usize = 512;
/// Beside the file while `--dry-run` works on a copy.
const DRY_RUN_NAME: &str = "imported.dry-run.db";

/// `imported.db`, open for writing.
pub struct Writer {
    path: PathBuf,
    connection: Connection,
    /// Removed at the end.
    copy: Option<PathBuf>,
    batch: Batch,
}

/// What goes into the next transaction.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    /// Where an item of this key is in `items`.
    places: HashMap<Key, usize>,
    files: HashMap<Key, FileState>,
}

impl Writer {
    /// Opens it, and makes it if there is none.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let connection = schema::open_for_writing(path).map_err(of_imports)?;
        Self::on(path, connection, None)
    }

    /// The same on a copy that is thrown away.
    pub fn dry(path: &Path) -> Result<Self, HistoryError> {
        let map = |error: rusqlite::Error| of_imports(HistoryError::from_sqlite(path, &error));
        if !path.exists() {
            let mut connection = Connection::open_in_memory().map_err(map)?;
            schema::create_tables(&mut connection).map_err(map)?;
            return Self::on(path, connection, None);
        }
        let copy = path.with_file_name(DRY_RUN_NAME);
        remove(&copy);
        Connection::open(path)
            .and_then(|original| {
                original.execute("VACUUM INTO ?", [copy.to_string_lossy()]).map(|_| ())
            })
            .map_err(map)?;
        let connection = schema::open_for_writing(&copy).map_err(of_imports)?;
        Self::on(path, connection, Some(copy))
    }

    fn on(
        path: &Path,
        connection: Connection,
        copy: Option<PathBuf>,
    ) -> Result<Self, HistoryError> {
        let writer = Self { path: path.to_path_buf(), connection, copy, batch: Batch::default() };
        writer.checked(|connection| {
            // An import is one long write; a sync for every 4 MB of it would be most of its time.
            connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
            connection.pragma_update(None, "cache_size", -32_768)?;
            ledger::create_tables(connection)
        })?;
        Ok(writer)
    }

    pub fn files(&self) -> Result<HashMap<Key, FileState>, HistoryError> {
        self.checked(ledger::files)
    }

    pub fn own_key(&self) -> Result<[u8; 32], HistoryError> {
        self.checked(ledger::own_key)
    }

    /// Takes what was read of a file. Writes it when there is enough.
    pub fn take(
        &mut self,
        path: Key,
        state: FileState,
        items: Vec<Item>,
        context: &mut Context<'_>,
    ) -> Result<(), HistoryError> {
        self.batch.files.insert(path, state);
        for item in items {
            if item.time_ms < context.since_ms {
                context.summary.skipped.too_old += 1;
                continue;
            }
            if let Some(place) = self.batch.places.get(&item.key) {
                // The lines of one answer are no copies.
                if !matches!(item.kind, ItemKind::Answer(_)) {
                    context.summary.skipped.known += 1;
                }
                self.batch.items[*place].merge(item);
            } else {
                self.batch.places.insert(item.key, self.batch.items.len());
                self.batch.items.push(item);
            }
        }
        if self.batch.items.len() >= BATCH_ITEMS || self.batch.files.len() >= BATCH_FILES {
            self.flush(context)?;
        }
        Ok(())
    }

    /// Writes what is there.
    pub fn flush(&mut self, context: &mut Context<'_>) -> Result<(), HistoryError> {
        let batch = std::mem::take(&mut self.batch);
        let result = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                write(&transaction, &batch, context)?;
                transaction.commit()
            });
        result.map_err(|error| of_imports(HistoryError::from_sqlite(&self.path, &error)))
    }

    fn checked<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        ask(&self.connection)
            .map_err(|error| of_imports(HistoryError::from_sqlite(&self.path, &error)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(copy) = &self.copy {
            remove(copy);
        }
    }
}

/// What writing needs beside the items.
pub struct Context<'c> {
    pub facts: &'c mut Facts,
    pub covered: &'c Covered,
    pub since_ms: i64,
    pub summary: &'c mut Summary,
}

fn write(
    transaction: &Transaction<'_>,
    batch: &Batch,
    context: &mut Context<'_>,
) -> rusqlite::Result<()> {
    let mut events = Events::new(transaction)?;
    let mut ledger = Ledger::new(transaction)?;
    for item in &batch.items {
        let request = match &item.kind {
            ItemKind::Answer(answer) => Some(answer),
            _ => None,
        };
        let fact = context.facts.fact(item);
        let session = fact.session.as_deref().unwrap_or_default();
        let covered = context.covered.has(session, item.time_ms, request_id(&fact));
        let cost_usd = request.and_then(|answer| context.facts.cost_usd(answer, item.time_ms));
        match (ledger.note(&item.key, item.time_ms, !covered)?, request) {
            (Noted::New(0), _) => context.summary.skipped.counted_by_agent += 1,
            (Noted::New(row), _) => {
                events.add(&fact, (row, 0))?;
                context.summary.add(item, session, cost_usd);
            }
            (Noted::Known { time_ms, row: row @ 1.. }, Some(answer))
                if growth::grow(transaction, &mut events, (time_ms, row), answer, cost_usd)? =>
            {
                context.summary.grown += 1;
            }
            (Noted::Known { .. }, _) => context.summary.skipped.known += 1,
        }
    }
    for (path, state) in &batch.files {
        ledger.file(path, state)?;
    }
    ledger.finish()?;
    events.finish()
}

fn request_id(fact: &Fact) -> Option<&str> {
    match &fact.kind {
        Kind::Request(request) => request.request_id.as_deref(),
        _ => None,
    }
}

fn of_imports(error: HistoryError) -> HistoryError {
    match error {
        HistoryError::Damaged { path, cause } => HistoryError::ImportDamaged { path, cause },
        other => other,
    }
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
}
