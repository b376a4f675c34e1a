//! The writing side: pages of the store become rows of `history.db`.
//!
//! A page and the cursor past it are one transaction, and what is at or before the cursor is skipped.
//! So a page that is seen twice, or half seen when the power went, changes nothing.
//!
//! The store's rows and series are numbered within one install. When the install's id changes (its
//! database was lost, copied or rolled back) reading starts at its beginning again, and whatever is
//! not later than what was seen of the earlier install is skipped: a database that was rolled back
//! still holds rows that are already in here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, params};

use super::durations;
use super::event_rows::Events;
use super::facts::Fact;
use super::grain::Grain;
use super::packs;
use super::schema::{self, HistoryError};
use super::sums::CounterPacks;
use crate::record::Labels;
use crate::store::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// `history.db`, open for writing.
#[derive(Debug)]
pub struct Sink {
    path: PathBuf,
    connection: Connection,
}

/// How far the store has been read. Its rows are numbered from 1, its series from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursors {
    pub tick: i64,
    pub row: i64,
    pub series: i64,
}

impl Cursors {
    /// Before anything of an install has been read.
    pub const BEGINNING: Self = Self { tick: 0, row: 0, series: -1 };
}

/// The one row of the table `cursor`, but for the install's id.
#[derive(Clone, Copy, Debug)]
struct Progress {
    install: i64,
    cursors: Cursors,
    /// Newest tick and newest reception seen.
    tick_ms: i64,
    received_ms: i64,
    /// The same of earlier installs.
    earlier_tick_ms: i64,
    earlier_received_ms: i64,
    pruned_day: i64,
}

impl Sink {
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let connection = schema::open_for_writing(path)?;
        Ok(Self { path: path.to_path_buf(), connection })
    }

    /// Tells whose rows come next. To be called before the first page.
    pub fn begin_install(&mut self, install_id: &str) -> Result<(), HistoryError> {
        self.connection
            .execute(
                "UPDATE cursor SET install_id = ?1, install = install + 1, tick = ?2, row = ?3,
                   series = ?4, earlier_tick_ms = max(earlier_tick_ms, tick_ms),
                   earlier_received_ms = max(earlier_received_ms, received_ms)
                 WHERE install_id <> ?1",
                params![
                    install_id,
                    Cursors::BEGINNING.tick,
                    Cursors::BEGINNING.row,
                    Cursors::BEGINNING.series
                ],
            )
            .map(|_| ())
            .map_err(|error| HistoryError::from_sqlite(&self.path, &error))
    }

    pub fn cursors(&self) -> Result<Cursors, HistoryError> {
        progress(&self.connection)
            .map(|progress| progress.cursors)
            .map_err(|error| HistoryError::from_sqlite(&self.path, &error))
    }

    /// Takes in a page. When a new UTC day has begun, rows older than `history_days` go.
    pub fn apply(&mut self, page: &HistoryPage, history_days: u32) -> Result<(), HistoryError> {
        self.try_apply(page, history_days)
            .map_err(|error| HistoryError::from_sqlite(&self.path, &error))
    }

    /// Moves what is in the write-ahead log to the file and syncs it, as far as readers allow.
    pub fn checkpoint(&self) -> Result<(), HistoryError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|error| HistoryError::from_sqlite(&self.path, &error))
    }

    fn try_apply(&mut self, page: &HistoryPage, history_days: u32) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut progress = progress(&transaction)?;
        add_series(&transaction, &mut progress, &page.series)?;
        add_ticks(&transaction, &mut progress, &page.ticks)?;
        add_events(&transaction, &mut progress, &page.events)?;
        prune(&transaction, &mut progress, history_days)?;
        save(&transaction, &progress)?;
        transaction.commit()
    }
}

fn progress(connection: &Connection) -> rusqlite::Result<Progress> {
    connection.query_row(
        "SELECT install, tick, row, series, tick_ms, received_ms, earlier_tick_ms,
           earlier_received_ms, pruned_day FROM cursor",
        [],
        |row| {
            Ok(Progress {
                install: row.get(0)?,
                cursors: Cursors { tick: row.get(1)?, row: row.get(2)?, series: row.get(3)? },
                tick_ms: row.get(4)?,
                received_ms: row.get(5)?,
                earlier_tick_ms: row.get(6)?,
                earlier_received_ms: row.get(7)?,
                pruned_day: row.get(8)?,
            })
        },
    )
}

fn save(transaction: &Transaction<'_>, progress: &Progress) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE cursor SET tick = ?1, row = ?2, series = ?3, tick_ms = ?4, received_ms = ?5,
           pruned_day = ?6",
        params![
            progress.cursors.tick,
            progress.cursors.row,
            progress.cursors.series,
            progress.tick_ms,
            progress.received_ms,
            progress.pruned_day
        ],
    )?;
    Ok(())
}

fn add_series(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    series: &[HistorySeries],
) -> rusqlite::Result<()> {
    let mut label = transaction
        .prepare("INSERT OR REPLACE INTO series_label (name, series_id, value) VALUES (?, ?, ?)")?;
    for one in series.iter().filter(|one| one.id > progress.cursors.series) {
        let id = series_id(transaction, progress.install, one.id)?;
        transaction.execute(
            "UPDATE series SET metric = ? WHERE id = ?",
            params![label_value(&one.labels, "__name__").unwrap_or_default(), id],
        )?;
        for (name, value) in one.labels.iter().filter(|(name, _)| &**name != "__name__") {
            label.execute(params![name, id, value])?;
        }
    }
    let newest = series.iter().map(|one| one.id).max().unwrap_or(0);
    progress.cursors.series = progress.cursors.series.max(newest);
    Ok(())
}

/// The id in here of a store's series. A tick may name one that is only described later.
fn series_id(transaction: &Transaction<'_>, install: i64, store_id: i64) -> rusqlite::Result<i64> {
    transaction.query_row(
        "INSERT INTO series (install, store_id, metric) VALUES (?, ?, '')
         ON CONFLICT (install, store_id) DO UPDATE SET store_id = excluded.store_id RETURNING id",
        [install, store_id],
        |row| row.get(0),
    )
}

fn label_value<'a>(labels: &'a Labels, name: &str) -> Option<&'a str> {
    labels.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}

fn add_ticks(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    ticks: &[HistoryTick],
) -> rusqlite::Result<()> {
    let mut ids: HashMap<i64, i64> = HashMap::new();
    let mut sums = CounterPacks::default();
    for tick in ticks {
        if tick.row <= progress.cursors.tick {
            continue;
        }
        progress.cursors.tick = tick.row;
        progress.tick_ms = progress.tick_ms.max(tick.time_ms);
        if tick.time_ms <= progress.earlier_tick_ms {
            continue;
        }
        let minute = tick.time_ms.div_euclid(MINUTE_MS);
        for (store_id, increment) in tick.increments.iter().filter(|(_, value)| value.is_finite()) {
            let id = match ids.get(store_id) {
                Some(id) => *id,
                None => *ids.entry(*store_id).or_insert(series_id(
                    transaction,
                    progress.install,
                    *store_id,
                )?),
            };
            sums.add(minute, id, *increment);
        }
    }
    sums.write(transaction)
}

fn add_events(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    requests: &[HistoryEvents],
) -> rusqlite::Result<()> {
    let mut events = Events::new(transaction)?;
    for request in requests {
        if request.row <= progress.cursors.row {
            continue;
        }
        progress.cursors.row = request.row;
        progress.received_ms = progress.received_ms.max(request.received_ms);
        if request.received_ms <= progress.earlier_received_ms {
            continue;
        }
        for (ordinal, event) in (0_i64..).zip(&request.events) {
            let Some(fact) = Fact::from_event(event, request.received_ms) else { continue };
            events.add(&fact, (request.row, ordinal))?;
        }
    }
    events.finish()
}

/// Once a UTC day, by the agent's own clock as the rows carry it.
fn prune(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    history_days: u32,
) -> rusqlite::Result<()> {
    let newest_ms = progress.tick_ms.max(progress.received_ms);
    let today = newest_ms.div_euclid(DAY_MINUTES * MINUTE_MS);
    if today <= progress.pruned_day {
        return Ok(());
    }
    progress.pruned_day = today;
    let cutoff_minute = (today - i64::from(history_days)) * DAY_MINUTES;
    for table in ["counter_pack", "activity_pack"] {
        for grain in Grain::ALL {
            transaction.execute(
                &format!("DELETE FROM {table} WHERE place >= ? AND place < ?"),
                [packs::place(grain, 0), packs::place(grain, cutoff_minute.max(0))],
            )?;
        }
    }
    for kind in durations::Kind::ALL {
        transaction.execute(
            "DELETE FROM duration_pack WHERE place >= ? AND place < ?",
            [durations::place(kind, 0), durations::place(kind, cutoff_minute.max(0))],
        )?;
    }
    for (table, column) in [
        ("request", "time_ms"),
        ("api_error", "time_ms"),
        ("prompt", "time_ms"),
        ("tool_result", "time_ms"),
        ("tool_decision", "time_ms"),
        ("prompt_usage", "last_ms"),
        ("session", "last_ms"),
    ] {
        transaction.execute(
            &format!("DELETE FROM {table} WHERE {column} < ?"),
            [cutoff_minute * MINUTE_MS],
        )?;
    }
    Ok(())
}
