//! The store without its thread: what happens to `queue.db`, driven by explicit times.
//!
//! A request's way: hash seen within the hour → duplicate; points that change no counter → unchanged;
//! otherwise one row, and after the group's commit its points are folded into the counters. Counters
//! reach the disk with the next tick, in the transaction that also writes the tick's samples
//! ([`super::tick`]); until then they are what folding the rows above `applied_row` gives.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::cardinality::Cardinality;
use super::counts::{Counts, Saved};
use super::fold::Fold;
use super::handle::{Ingest, Ingested, Refused};
use super::health::Health;
use super::high_water::HighWater;
use super::inbox::{self, End, INBOXES, Inbox};
use super::lanes::Lanes;
use super::machine;
use super::meta;
use super::reserve;
use super::row::{self, RowWriter};
use super::salvage;
use super::sampler::Sampler;
use super::schema::{self, OpenError};
use super::sessions::Sessions;
use super::tally::Tally;
use crate::record::Batch;

/// How long the hash of a request is remembered.
pub const DUPLICATE_WINDOW_MS: i64 = 3_600_000;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub queue_db: PathBuf,
    /// The database is kept below this by dropping what is oldest.
    pub disk_bytes_max: u64,
    /// Records delivered to everybody are kept so long, for destinations added later.
    pub history_days: u32,
}

/// The open database and everything derived from it.
pub struct Core {
    pub(super) connection: Connection,
    pub(super) options: Options,
    pub(super) fold: Fold,
    pub(super) sampler: Sampler,
    pub(super) lanes: Lanes,
    pub(super) sessions: Sessions,
    pub(super) cardinality: Cardinality,
    pub(super) ends: [End; 3],
    pub(super) samples_end: End,
    /// How far the history has read `samples`; unknown until it asks for the first time.
    pub(super) history_row: Option<i64>,
    /// The same for `events_inbox`.
    pub(super) history_events_row: Option<i64>,
    pub(super) install_id: String,
    pub(super) install_key: [u8; 32],
    writer: RowWriter,
    hashes: HashMap<u128, i64>,
    pub(super) counts: Counts,
    pub(super) tally: Arc<Tally>,
    pub(super) saved: Saved,
    pub(super) high_water: HighWater,
    pub(super) health: Health,
}

impl Core {
    /// Opens the database and brings the counters up to date. `now_ms` is the time of day.
    pub fn open(options: Options, now_ms: i64) -> Result<Self, OpenError> {
        Self::open_on(options, &machine::id, now_ms)
    }

    /// The same, on the machine of that id; see [`machine::id`].
    pub fn open_on(
        options: Options,
        machine: &dyn Fn(bool) -> Option<String>,
        now_ms: i64,
    ) -> Result<Self, OpenError> {
        match Self::open_sound(options.clone(), machine, None, now_ms) {
            Err(OpenError::Damaged { path, why }) => {
                Self::open_salvaged(options, machine, &why, now_ms)
                    .map_err(|error| damaged_still(path, &why, &error))
            }
            // On a full disk not even the log can be made, without the reserve.
            Err(OpenError::Failed { .. }) if reserve::release(&options.queue_db) => {
                Self::open_sound(options, machine, None, now_ms)
            }
            opened => opened,
        }
    }

    fn open_sound(
        options: Options,
        machine: &dyn Fn(bool) -> Option<String>,
        salvaged: Option<String>,
        now_ms: i64,
    ) -> Result<Self, OpenError> {
        let connection = schema::open(&options.queue_db)?;
        let path = options.queue_db.display().to_string();
        Self::load(connection, options, machine, salvaged, now_ms).map_err(|error| {
            let why = error.to_string();
            if schema::is_damage(&error) {
                OpenError::Damaged { path, why }
            } else {
                OpenError::Failed { path, why }
            }
        })
    }

    fn open_salvaged(
        options: Options,
        machine: &dyn Fn(bool) -> Option<String>,
        why: &str,
        now_ms: i64,
    ) -> Result<Self, OpenError> {
        let failed =
            |why: String| OpenError::Failed { path: options.queue_db.display().to_string(), why };
        let aside = salvage::set_aside(&options.queue_db, "damaged", now_ms)
            .map_err(|error| failed(error.to_string()))?;
        let connection = schema::open(&options.queue_db)?;
        let rows =
            salvage::salvage(&aside, &connection).map_err(|error| failed(error.to_string()))?;
        drop(connection);
        let what = format!("{} ({why}; {rows} rows of it were saved)", aside.display());
        Self::open_sound(options, machine, Some(what), now_ms)
    }

    fn load(
        connection: Connection,
        options: Options,
        machine: &dyn Fn(bool) -> Option<String>,
        salvaged: Option<String>,
        now_ms: i64,
    ) -> rusqlite::Result<Self> {
        let fresh = meta::get::<String>(&connection, "install_id")?.is_none();
        let (install_id, install_key) = meta::install(&connection)?;
        let mut ends = [End::default(); 3];
        let mut hashes = HashMap::new();
        let mut last_data_ms = 0;
        for (end, inbox) in ends.iter_mut().zip(INBOXES) {
            *end = End::load(&connection, inbox.table())?;
            hashes.extend(inbox::recent_hashes(&connection, inbox, now_ms - DUPLICATE_WINDOW_MS)?);
            last_data_ms = last_data_ms.max(last_received_ms(&connection, inbox)?);
        }
        let last_tick_ms: Option<i64> =
            connection.query_row("SELECT max(tick_ms) FROM samples", [], |row| row.get(0))?;
        let counts = Counts::load(&connection)?;
        let tally = Tally::load(&connection)?;
        let saved = Saved { counts, tally: tally.counts(), at_ms: now_ms };
        let mut core = Self {
            fold: Fold::load(&connection)?,
            sampler: Sampler::new(last_tick_ms.unwrap_or(0), last_data_ms),
            lanes: Lanes::load(&connection)?,
            sessions: Sessions::default(),
            cardinality: Cardinality::load(&connection)?,
            samples_end: End::load(&connection, "samples")?,
            history_row: None,
            history_events_row: None,
            writer: RowWriter::new()
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
            high_water: HighWater::default(),
            health: Health::of(&options.queue_db),
            connection,
            options,
            ends,
            install_id,
            install_key,
            hashes,
            counts,
            tally: Arc::new(tally),
            saved,
        };
        core.recover(now_ms)?;
        core.recognise(fresh, salvaged, machine, now_ms)?;
        Ok(core)
    }

    /// What only memory knows, taken over from before the database was opened again.
    pub(super) fn remember(&mut self, before: &mut Self) {
        self.sessions = std::mem::take(&mut before.sessions);
        self.counts = before.counts;
        self.tally = Arc::clone(&before.tally);
        self.history_row = before.history_row;
        self.history_events_row = before.history_events_row;
        self.health = before.health.again(&self.options.queue_db);
    }

    /// Takes in the points stored since the last tick.
    fn recover(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        let applied: i64 = meta::get(&self.connection, "applied_row")?.unwrap_or(0);
        let mut after = applied;
        loop {
            let sql = "SELECT row, body FROM points_inbox WHERE row > ?1 ORDER BY row LIMIT 100";
            let rows: Vec<(i64, Vec<u8>)> = self
                .connection
                .prepare_cached(sql)?
                .query_map([after], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = *last;
            for (number, body) in rows {
                match row::read_points(&body) {
                    Ok(points) => {
                        self.fold.prepare(&self.connection, &points)?;
                        self.fold.apply(&points, now_ms);
                    }
                    Err(error) => {
                        self.unreadable(Inbox::Points.table(), number, &error.to_string())?;
                    }
                }
            }
        }
    }

    pub fn install_id(&self) -> &str {
        &self.install_id
    }

    /// Where the door counts what it turns away.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Key for hashes that must not be comparable between installs.
    pub fn install_key(&self) -> [u8; 32] {
        self.install_key
    }

    /// Stores a group of requests in one synced commit. The answers are in the group's order.
    pub fn ingest(&mut self, group: &mut [Ingest], now_ms: i64) -> Vec<Result<Ingested, Refused>> {
        let size = group.len();
        if let Err(refused) = self.keep_file(now_ms) {
            return vec![Err(refused); size];
        }
        let mut pending = Pending {
            answers: Vec::with_capacity(size),
            hashes: Vec::new(),
            ends: self.ends,
            counts: self.counts,
        };
        match self.write(group, now_ms, &mut pending) {
            Ok(()) => {
                let stored = !pending.hashes.is_empty();
                let answers = self.committed(group, pending, now_ms);
                if !stored {
                    return answers;
                }
                self.health.succeeded();
                match self.keep_file(now_ms) {
                    Ok(()) => answers,
                    Err(refused) => vec![Err(refused); size],
                }
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                tracing::error!(%error, "a commit failed; the senders are told to come back");
                vec![Err(self.failed_commit(&error, now_ms)); size]
            }
        }
    }

    fn write(
        &mut self,
        group: &mut [Ingest],
        now_ms: i64,
        pending: &mut Pending,
    ) -> rusqlite::Result<()> {
        let mut open = false;
        for ingest in group {
            let records = ingest.batch.records();
            if self.seen(ingest.body_hash, now_ms) || pending.hashes.contains(&ingest.body_hash) {
                pending.counts.duplicate += records;
                pending.answers.push(Ingested::Duplicate);
                continue;
            }
            if let Batch::Points(points) = &ingest.batch {
                self.fold.prepare(&self.connection, points)?;
                if self.fold.knows_all(points) {
                    pending.counts.unchanged += records;
                    pending.answers.push(Ingested::Unchanged);
                    continue;
                }
            }
            if !open {
                self.connection.execute_batch("BEGIN IMMEDIATE")?;
                open = true;
            }
            self.insert(ingest, records, now_ms, pending)?;
        }
        if open {
            self.cardinality.save(&self.connection)?;
            let saved = self.save_counts_if_due(now_ms)?;
            self.connection.execute_batch("COMMIT")?;
            self.saved = saved.unwrap_or(self.saved);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        ingest: &mut Ingest,
        records: u64,
        now_ms: i64,
        pending: &mut Pending,
    ) -> rusqlite::Result<()> {
        self.cardinality.limit(&mut ingest.batch);
        let inbox = Inbox::of(&ingest.batch);
        let body = self
            .writer
            .write(&ingest.batch)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let end = &mut pending.ends[inbox as usize];
        *end =
            inbox::insert(&self.connection, inbox, *end, now_ms, ingest.body_hash, records, &body)?;
        pending.hashes.push(ingest.body_hash);
        pending.answers.push(Ingested::Stored);
        Ok(())
    }

    fn committed(
        &mut self,
        group: &[Ingest],
        pending: Pending,
        now_ms: i64,
    ) -> Vec<Result<Ingested, Refused>> {
        self.counts = pending.counts;
        if !pending.hashes.is_empty() {
            self.ends = pending.ends;
            self.sampler.data_came(now_ms);
            self.hashes.extend(pending.hashes.iter().map(|hash| (*hash, now_ms)));
        }
        for (ingest, answer) in group.iter().zip(&pending.answers) {
            match (&ingest.batch, answer) {
                (Batch::Points(points), Ingested::Stored) => self.fold.apply(points, now_ms),
                (Batch::Events(events), Ingested::Stored) => self.sessions.saw(events, now_ms),
                _ => {}
            }
        }
        pending.answers.into_iter().map(Ok).collect()
    }

    /// For a database that is thrown away after use. Until it is opened again.
    pub fn stop_syncing(&mut self) -> rusqlite::Result<()> {
        self.connection.execute_batch("PRAGMA synchronous=OFF")
    }

    /// Empties the log into the database; called last.
    pub fn close(&mut self) {
        if let Err(error) = self.keep_counts() {
            tracing::warn!(%error, "what was counted last is not kept");
        }
        self.mark_high_water();
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the log stays beside the database until the next start");
        }
    }

    pub(super) fn applied_row(&self) -> rusqlite::Result<i64> {
        Ok(meta::get(&self.connection, "applied_row")?.unwrap_or(0))
    }

    fn seen(&self, hash: u128, now_ms: i64) -> bool {
        self.hashes.get(&hash).is_some_and(|at| now_ms - at <= DUPLICATE_WINDOW_MS)
    }

    /// Drops hashes too old to matter; called with each tick.
    pub(super) fn forget_hashes(&mut self, now_ms: i64) {
        self.hashes.retain(|_, at| now_ms - *at <= DUPLICATE_WINDOW_MS);
        if self.hashes.is_empty() {
            self.hashes.shrink_to_fit();
        }
    }

    /// How far the counters are, inside the caller's transaction.
    pub(super) fn save_applied_row(&self) -> rusqlite::Result<()> {
        meta::set(&self.connection, "applied_row", self.ends[Inbox::Points as usize].row)
    }
}

/// What a group's commit will make true.
struct Pending {
    answers: Vec<Ingested>,
    hashes: Vec<u128>,
    ends: [End; 3],
    counts: Counts,
}

fn damaged_still(path: String, why: &str, error: &OpenError) -> OpenError {
    OpenError::Failed {
        path,
        why: format!("it is damaged ({why}), and cannot be replaced: {error}"),
    }
}

pub(super) fn refusal(error: &rusqlite::Error) -> Refused {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Refused::DiskFull(error.to_string()),
        _ => Refused::Failed(error.to_string()),
    }
}

fn last_received_ms(connection: &Connection, inbox: Inbox) -> rusqlite::Result<i64> {
    let sql = format!("SELECT received_ms FROM {} ORDER BY row DESC LIMIT 1", inbox.table());
    Ok(connection.query_row(&sql, [], |row| row.get(0)).optional()?.unwrap_or(0))
}
