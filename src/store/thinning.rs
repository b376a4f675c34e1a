//! Thinning: rows of samples become fewer, and totals stay.
//!
//! ```text
//! row 7: a 1→2        row 8: a 2→5, b 0→1        row 9: b 1→4      ⇒      row 9: a 1→5, b 0→4 (after a gap, full)
//! ```
//!
//! Entries carry the value before and after, so merged rows say the same at a coarser time; the merged row
//! keeps the number and the times of its last one. What a lane had not been sent yet and is now part of
//! another change counts as compacted.
//!
//! A row stays alone, or begins a new group, where something depends on it: a cursor or a frozen batch of a
//! lane, the first row of a destination (its lead time is the start of its series), the history's cursor,
//! and a row in which a series retires.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::core::Core;
use super::handle::Lane;
use super::lanes;
use super::samples::{self, Entry, SamplesRow};
use super::tick::changes;

/// Rows looked at in one transaction.
const ROWS_PER_STEP: u32 = 500;

/// Rows of one hour become one.
pub const HOUR_MS: i64 = 3_600_000;
/// All rows become one, but for those that must not: the last value of each series is left.
pub const ALL_MS: i64 = i64::MAX;

impl Core {
    /// Merges rows that lie before `before_ms` and in the same stretch of `step_ms`.
    pub(super) fn thin(&mut self, before_ms: i64, step_ms: i64) -> rusqlite::Result<()> {
        // Rows merged across the history's cursor would be read twice.
        if self.history_row.is_none() {
            return Ok(());
        }
        let mut from = 0;
        loop {
            let rows = self.samples_rows(from, ROWS_PER_STEP)?;
            let page_is_full = rows.len() >= ROWS_PER_STEP as usize;
            let rows: Vec<_> = rows
                .into_iter()
                .take_while(|row| row.tick_ms < before_ms && row.row < self.samples_end.row)
                .collect();
            let Some(last) = rows.last().map(|row| row.row) else { return Ok(()) };
            let cuts = self.cuts();
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            let groups = rows.chunk_by(|one, next| !cuts.apart(one, next, step_ms));
            let done =
                groups.filter(|group| group.len() > 1).try_for_each(|group| self.merge(group));
            let done = done.and_then(|()| self.connection.execute_batch("COMMIT"));
            if done.is_err() && !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            done?;
            if !page_is_full {
                return Ok(());
            }
            // The last row of the page may go on in the next one; alone in it, it is done.
            from = if last > from { last } else { last + 1 };
        }
    }

    fn cuts(&self) -> Cuts {
        let mut cuts = Cuts::default();
        cuts.starts.extend(self.history_row.map(|row| row + 1));
        for (_, state) in self.lanes.states.iter().filter(|((_, lane), _)| *lane == Lane::Samples) {
            cuts.starts.insert(state.cursor.row);
            if state.cursor.offset > 0 {
                cuts.starts.insert(state.cursor.row + 1);
            }
            if let Some(frozen) = state.frozen {
                cuts.starts.extend(state.cursor.row..=frozen.end.row + 1);
            }
            cuts.starts.extend(state.start_row.into_iter().flat_map(|row| [row, row + 1]));
        }
        cuts
    }

    fn merge(&mut self, rows: &[SamplesRow]) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let entries = merged(rows);
        let before: u64 = self.connection.query_row(
            "SELECT sum(records) FROM samples WHERE row BETWEEN ?1 AND ?2",
            [first.row, last.row],
            |row| row.get(0),
        )?;
        let after = changes(&entries);
        self.connection
            .execute("DELETE FROM samples WHERE row >= ?1 AND row < ?2", [first.row, last.row])?;
        self.connection.execute(
            "UPDATE samples SET full=1, gap=1, records=?2, body=?3 WHERE row=?1",
            params![last.row, after, samples::write_entries(&entries)],
        )?;
        let saved = before.saturating_sub(after);
        for ((name, lane), state) in &mut self.lanes.states {
            if *lane == Lane::Samples && state.cursor.row <= first.row {
                state.compacted += saved;
                state.done_records += saved;
                lanes::save(&self.connection, name, *lane, state)?;
            }
        }
        Ok(())
    }

    /// Records in rows of samples from `row` on: row by row, since thinning leaves `records_total` as it was.
    pub(super) fn samples_records_from(&self, row: i64) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached("SELECT ifnull(sum(records), 0) FROM samples WHERE row >= ?1")?
            .query_row([row], |row| row.get(0))
    }
}

/// Rows that begin a group, whatever their time.
#[derive(Default)]
struct Cuts {
    starts: BTreeSet<i64>,
}

impl Cuts {
    fn apart(&self, one: &SamplesRow, next: &SamplesRow, step_ms: i64) -> bool {
        one.tick_ms.div_euclid(step_ms) != next.tick_ms.div_euclid(step_ms)
            || next.entries.iter().any(|entry| !entry.is_live)
            || self.starts.range(one.row + 1..=next.row).next().is_some()
    }
}

/// What all rows together changed.
fn merged(rows: &[SamplesRow]) -> Vec<Entry> {
    let mut entries = BTreeMap::<u32, Entry>::new();
    for entry in rows.iter().flat_map(|row| &row.entries) {
        let kept = entries.entry(entry.series).or_insert(*entry);
        (kept.after, kept.is_live) = (entry.after, entry.is_live);
    }
    entries.into_values().collect()
}
