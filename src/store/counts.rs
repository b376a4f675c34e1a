//! Counts that no row carries, and how they reach the disk: with one of the next commits, and at the end.

use rusqlite::Connection;

use super::core::Core;
use super::meta;
use super::tally::TallyCounts;

/// Counts alone are written at most so often: they share no page with what a request writes.
const COUNTS_SAVED_EVERY_MS: i64 = 10_000;

/// Records that were received and not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub duplicate: u64,
    /// Records of requests that were not written, because nothing in them was new.
    pub unchanged: u64,
}

/// The counts that are on disk, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saved {
    pub counts: Counts,
    pub tally: TallyCounts,
    pub at_ms: i64,
}

impl Counts {
    /// As the database has them.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            duplicate: meta::get(connection, "duplicate")?.unwrap_or(0),
            unchanged: meta::get(connection, "unchanged")?.unwrap_or(0),
        })
    }
}

impl Core {
    /// Writes counts that changed, inside the caller's transaction; what it returns holds once that is
    /// committed.
    fn save_counts(&self, now_ms: i64) -> rusqlite::Result<Saved> {
        let now = Saved { counts: self.counts, tally: self.tally.counts(), at_ms: now_ms };
        now.tally.save(&self.connection, &self.saved.tally)?;
        if now.counts != self.saved.counts {
            meta::set(&self.connection, "duplicate", now.counts.duplicate)?;
            meta::set(&self.connection, "unchanged", now.counts.unchanged)?;
        }
        Ok(now)
    }

    /// The same, at most every [`COUNTS_SAVED_EVERY_MS`].
    pub(super) fn save_counts_if_due(&self, now_ms: i64) -> rusqlite::Result<Option<Saved>> {
        let due = (now_ms - self.saved.at_ms).abs() >= COUNTS_SAVED_EVERY_MS;
        due.then(|| self.save_counts(now_ms)).transpose()
    }

    /// Writes counts that changed, in a transaction of their own.
    pub(super) fn keep_counts(&mut self) -> rusqlite::Result<()> {
        if (self.saved.counts, self.saved.tally) == (self.counts, self.tally.counts()) {
            return Ok(());
        }
        self.saved = self.in_transaction(|core| core.save_counts(core.saved.at_ms))?;
        Ok(())
    }
}
