//! Tally: what the door turned away, counted for the install and not for the worker.
//!
//! The door counts in memory and waits for nobody. The store writes what has changed with one of its next
//! transactions and takes it over at the next start, so a kill can take back what the last seconds counted.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::meta;

/// Why something does not become a stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// Records that were malformed or beyond a limit, those of other programs included.
    Rejected,
    /// Records of other programs.
    Foreign,
    /// Requests that could not be stored: their sender was told to come back.
    Refused,
    /// Requests that could not be read.
    Malformed,
    /// Requests of somebody who may not come in.
    Denied,
}

/// In the order of [`TurnedAway`]: the keys of `meta`.
const KEYS: [&str; 5] = ["rejected", "foreign", "refused", "malformed", "denied"];

/// Shared by the door, which counts, and the store, which keeps.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; KEYS.len()]);

/// A tally at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallyCounts([u64; KEYS.len()]);

impl Tally {
    /// As the database has it.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let tally = Self::default();
        for (count, key) in tally.0.iter().zip(KEYS) {
            count.store(meta::get(connection, key)?.unwrap_or(0), Ordering::Relaxed);
        }
        Ok(tally)
    }

    pub fn add(&self, what: TurnedAway, number: u64) {
        self.0[what as usize].fetch_add(number, Ordering::Relaxed);
    }

    pub fn counts(&self) -> TallyCounts {
        TallyCounts(std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed)))
    }
}

impl TallyCounts {
    pub fn of(&self, what: TurnedAway) -> u64 {
        self.0[what as usize]
    }

    /// Writes what differs from `saved`, inside the caller's transaction.
    pub fn save(&self, connection: &Connection, saved: &Self) -> rusqlite::Result<()> {
        let changed =
            self.0.iter().zip(saved.0).zip(KEYS).filter(|((now, before), _)| *now != before);
        changed.into_iter().try_for_each(|((now, _), key)| meta::set(connection, key, now))
    }
}
