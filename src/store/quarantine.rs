//! Quarantine: requests that a backend refused for good, kept to be looked at, tried again or exported.
//!
//! ```text
//!            settle                     put back                 the backend takes it
//! batch ───────────────▶ kept ──────────────────────▶ waiting ───────────────────────▶ delivered
//!                         │ ▲                            │
//!        dropped: by hand,│ └────────────────────────────┘ refused again
//!        30 days, 16 MiB  ▼
//!                       gone, and still counted as quarantined
//! ```
//!
//! The books: a record is quarantined until a retry delivers it. What was dropped stays counted; how
//! much of it is still there are [`Books::quarantine_kept`](super::handle::Books) records.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};
use tokio::sync::oneshot;

use super::core::{Core, refusal};
use super::handle::{Command, Handle, Lane, Quarantined, Refused};
use super::lanes;

/// All kept bodies together; the oldest go first.
pub const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long a body is kept.
pub const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Requests of a few bytes each are limited by their number.
pub const ENTRIES_MAX: u64 = 10_000;
/// Entries in one answer.
pub const PAGE_ENTRIES: usize = 100;

/// One refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineEntry {
    /// Never given out twice.
    pub id: i64,
    pub destination: Arc<str>,
    pub lane: Lane,
    /// When it was refused last, in milliseconds since the epoch.
    pub at_ms: i64,
    /// HTTP status.
    pub status: u16,
    /// The backend's words.
    pub answer: String,
    pub records: u64,
    /// The format of the body: `deliver::wire::Wire::name`.
    pub wire: String,
    /// Of the body, as it was sent.
    pub bytes: u64,
    /// Put back: its destination sends it again.
    pub waiting: bool,
}

/// An entry and its body.
pub type Found = Result<Option<(QuarantineEntry, Vec<u8>)>, Refused>;

/// How a retry ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// Taken, but for so many records.
    Taken { refused: u64, status: u16, answer: String },
    /// Refused as a whole again.
    Refused { status: u16, answer: String },
}

/// The store's questions about its quarantine.
#[derive(Debug)]
pub enum QuarantineCommand {
    /// Entries with larger ids than `after`, the oldest first, at most [`PAGE_ENTRIES`].
    List {
        after: i64,
        reply: oneshot::Sender<Result<Vec<QuarantineEntry>, Refused>>,
    },
    Get {
        id: i64,
        reply: oneshot::Sender<Found>,
    },
    /// Lets go of these; how many there were.
    Drop {
        ids: Vec<i64>,
        reply: oneshot::Sender<Result<usize, Refused>>,
    },
    /// These are to be sent again; how many there were.
    PutBack {
        ids: Vec<i64>,
        reply: oneshot::Sender<Result<usize, Refused>>,
    },
    /// The oldest entry that this destination is to send again.
    NextWaiting {
        destination: Arc<str>,
        reply: oneshot::Sender<Found>,
    },
    /// What came of sending an entry again.
    Settle {
        id: i64,
        retried: Retried,
        reply: oneshot::Sender<Result<(), Refused>>,
    },
}

impl Handle {
    /// Entries with larger ids than `after`, the oldest first, at most [`PAGE_ENTRIES`].
    pub async fn quarantine_list(&self, after: i64) -> Result<Vec<QuarantineEntry>, Refused> {
        self.ask(|reply| Command::Quarantine(QuarantineCommand::List { after, reply })).await?
    }

    /// An entry and its body.
    pub async fn quarantine_get(&self, id: i64) -> Found {
        self.ask(|reply| Command::Quarantine(QuarantineCommand::Get { id, reply })).await?
    }

    /// Lets go of these; how many there were.
    pub async fn quarantine_drop(&self, ids: Vec<i64>) -> Result<usize, Refused> {
        self.ask(|reply| Command::Quarantine(QuarantineCommand::Drop { ids, reply })).await?
    }

    /// Marks these to be sent again; how many there were.
    pub async fn quarantine_put_back(&self, ids: Vec<i64>) -> Result<usize, Refused> {
        self.ask(|reply| Command::Quarantine(QuarantineCommand::PutBack { ids, reply })).await?
    }

    /// The oldest entry that this destination is to send again.
    pub async fn quarantine_next_waiting(&self, destination: Arc<str>) -> Found {
        self.ask(|reply| Command::Quarantine(QuarantineCommand::NextWaiting { destination, reply }))
            .await?
    }

    pub async fn quarantine_settle(&self, id: i64, retried: Retried) -> Result<(), Refused> {
        self.ask(|reply| Command::Quarantine(QuarantineCommand::Settle { id, retried, reply }))
            .await?
    }
}

const COLUMNS: &str = "id, destination, lane, at_ms, status, answer, records, wire, bytes, waiting";

impl Core {
    pub(super) fn answer_quarantine(&mut self, command: QuarantineCommand, now_ms: i64) {
        match command {
            QuarantineCommand::List { after, reply } => {
                let _ = reply.send(or_refused(self.quarantine_list(after)));
            }
            QuarantineCommand::Get { id, reply } => {
                let _ = reply.send(or_refused(self.quarantine_find("id = ?1", params![id])));
            }
            QuarantineCommand::Drop { ids, reply } => {
                let sql = "DELETE FROM quarantine WHERE id = ?1";
                let _ = reply.send(or_refused(self.quarantine_each(sql, &ids)));
            }
            QuarantineCommand::PutBack { ids, reply } => {
                let sql = "UPDATE quarantine SET waiting = 1 WHERE id = ?1";
                let _ = reply.send(or_refused(self.quarantine_each(sql, &ids)));
            }
            QuarantineCommand::NextWaiting { destination, reply } => {
                let found = self
                    .quarantine_find("destination = ?1 AND waiting = 1", params![&*destination]);
                let _ = reply.send(or_refused(found));
            }
            QuarantineCommand::Settle { id, retried, reply } => {
                let _ = reply.send(or_refused(self.quarantine_settle(id, &retried, now_ms)));
            }
        }
    }

    /// Keeps refused requests, inside the caller's transaction.
    pub(super) fn quarantine(
        &self,
        destination: &str,
        lane: Lane,
        refused: &[Quarantined],
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO quarantine(destination, lane, at_ms, status, answer, records, wire, bytes, body)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        for one in refused {
            self.connection.prepare_cached(sql)?.execute(params![
                destination,
                lanes::lane_text(lane),
                one.at_ms,
                one.status,
                one.answer,
                one.records,
                one.wire,
                one.body.len(),
                one.body
            ])?;
        }
        self.trim_quarantine(refused.iter().map(|one| one.at_ms).max().unwrap_or(0))
    }

    /// Lets go of what is too old or too much, the oldest first.
    pub(super) fn trim_quarantine(&self, now_ms: i64) -> rusqlite::Result<()> {
        // The sums run from the newest entry to the oldest.
        let sql = "DELETE FROM quarantine WHERE at_ms < ?1 OR id IN (
                     SELECT id FROM (SELECT id, sum(bytes) OVER newer AS bytes, count(*) OVER newer AS entries
                                     FROM quarantine WINDOW newer AS (ORDER BY id DESC))
                     WHERE bytes > ?2 OR entries > ?3)";
        let gone = self.connection.prepare_cached(sql)?.execute(params![
            now_ms - KEPT_MS,
            BYTES_MAX,
            ENTRIES_MAX
        ])?;
        if gone > 0 {
            tracing::warn!(
                requests = gone,
                "the quarantine keeps 16 MiB for 30 days: the oldest requests in it were dropped"
            );
        }
        Ok(())
    }

    /// Records and bytes that are still kept of a destination.
    pub(super) fn quarantine_kept(&self, destination: &str) -> rusqlite::Result<(u64, u64)> {
        let sql = "SELECT coalesce(sum(records), 0), coalesce(sum(bytes), 0) FROM quarantine WHERE destination = ?1";
        self.connection
            .prepare_cached(sql)?
            .query_row([destination], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn quarantine_list(&self, after: i64) -> rusqlite::Result<Vec<QuarantineEntry>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM quarantine WHERE id > ?1 ORDER BY id LIMIT {PAGE_ENTRIES}"
        );
        self.connection.prepare_cached(&sql)?.query_map([after], entry)?.collect()
    }

    fn quarantine_find(
        &self,
        which: &str,
        parameters: impl rusqlite::Params,
    ) -> rusqlite::Result<Option<(QuarantineEntry, Vec<u8>)>> {
        let sql =
            format!("SELECT {COLUMNS}, body FROM quarantine WHERE {which} ORDER BY id LIMIT 1");
        self.connection
            .prepare_cached(&sql)?
            .query_row(parameters, |row| Ok((entry(row)?, row.get(10)?)))
            .optional()
    }

    fn quarantine_each(&self, sql: &str, ids: &[i64]) -> rusqlite::Result<usize> {
        self.in_transaction(|core| {
            let mut statement = core.connection.prepare_cached(sql)?;
            ids.iter().map(|id| statement.execute([id])).sum()
        })
    }

    /// Moves the books of the entry's lane with the entry itself.
    fn quarantine_settle(
        &mut self,
        id: i64,
        retried: &Retried,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let Some((entry, _)) = self.quarantine_find("id = ?1", params![id])? else { return Ok(()) };
        let (refused, status, answer) = match retried {
            Retried::Taken { refused, status, answer } => {
                ((*refused).min(entry.records), *status, answer)
            }
            Retried::Refused { status, answer } => (entry.records, *status, answer),
        };
        let key = (Arc::clone(&entry.destination), entry.lane);
        let Some(state) = self.lanes.states.get_mut(&key) else { return Ok(()) };
        let before = (state.delivered, state.quarantined);
        let taken = entry.records - refused;
        state.delivered += taken;
        state.quarantined = state.quarantined.saturating_sub(taken);
        let written = self.in_transaction(|core| {
            if let Some(state) = core.lanes.states.get(&key) {
                lanes::save(&core.connection, &entry.destination, entry.lane, state)?;
            }
            if refused == 0 && matches!(retried, Retried::Taken { .. }) {
                core.connection.execute("DELETE FROM quarantine WHERE id = ?1", [id])
            } else {
                core.connection.execute(
                    "UPDATE quarantine SET waiting = 0, records = ?2, status = ?3, answer = ?4, at_ms = ?5 WHERE id = ?1",
                    params![id, refused, status, answer, now_ms],
                )
            }
        });
        if written.is_err()
            && let Some(state) = self.lanes.states.get_mut(&key)
        {
            (state.delivered, state.quarantined) = before;
        }
        written.map(|_| ())
    }

    /// What a destination has learned about its backend.
    pub(super) fn learned(&self, destination: &str) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached("SELECT learned FROM destination WHERE name = ?1")?
            .query_row([destination], |row| row.get(0))
            .optional()
            .map(Option::flatten)
    }

    pub(super) fn learn(&self, destination: &str, learned: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE destination SET learned = ?2 WHERE name = ?1")?
            .execute([destination, learned])
            .map(|_| ())
    }

    pub(super) fn in_transaction<T>(
        &self,
        write: impl FnOnce(&Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let written = write(self).and_then(|value| {
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if written.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        written
    }
}

fn or_refused<T>(result: rusqlite::Result<T>) -> Result<T, Refused> {
    result.map_err(|error| refusal(&error))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<QuarantineEntry> {
    let lane: String = row.get(2)?;
    Ok(QuarantineEntry {
        id: row.get(0)?,
        destination: row.get::<_, String>(1)?.into(),
        lane: lanes::lane_from_text(&lane).ok_or(rusqlite::Error::InvalidColumnName(lane))?,
        at_ms: row.get(3)?,
        status: row.get(4)?,
        answer: row.get(5)?,
        records: row.get(6)?,
        wire: row.get(7)?,
        bytes: row.get(8)?,
        waiting: row.get(9)?,
    })
}

#[cfg(test)]
mod tests;
