//! Ticks: the moment when counters become samples, in one transaction.

use rusqlite::params;

use super::core::Core;
use super::handle::Lane;
use super::install::Reason;
use super::lanes;
use super::samples::{self, Entry, SamplesRow};

impl Core {
    /// When [`Core::tick`] should be called next; `None` while nothing can change by itself.
    pub fn next_tick_ms(&self, now_ms: i64) -> Option<i64> {
        // Rows of flat series are only for destinations; without one, an idle machine sleeps.
        if self.fold.series.changed() || self.lanes.any(Lane::Samples) {
            self.sampler.next_ms(now_ms)
        } else {
            None
        }
    }

    /// Writes a row of samples, where there is anything to say. Returns whether there was.
    pub fn tick(&mut self, now_ms: i64) -> rusqlite::Result<bool> {
        if self.sampler.is_ahead(now_ms) {
            self.become_new_install(&Reason::ClockSetBack, now_ms)?;
        }
        let tick = self.sampler.tick(now_ms);
        let beats =
            tick.full && self.lanes.any(Lane::Samples) && !self.fold.series.list().is_empty();
        if !self.fold.series.changed() && !beats {
            self.sampler.looked(tick);
            return Ok(false);
        }
        let entries = self.fold.series.sample(tick.at_ms, tick.lead_ms);
        if entries.is_empty() && !beats {
            self.sampler.looked(tick);
            return Ok(false);
        }
        let row = SamplesRow {
            row: self.samples_end.row + 1,
            tick_ms: tick.at_ms,
            lead_ms: tick.lead_ms,
            full: tick.full,
            gap: tick.gap,
            entries,
        };
        let written = self.write_tick(&row);
        if written.is_err() {
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            self.fold.series.unsample(&row.entries);
        }
        written?;
        self.sampler.ticked(tick);
        self.fold.saved();
        self.forget_hashes(now_ms);
        self.health.succeeded();
        self.mark_high_water();
        Ok(true)
    }

    fn write_tick(&mut self, row: &SamplesRow) -> rusqlite::Result<()> {
        let body = samples::write_entries(&row.entries);
        let end = self.samples_end.after(changes(&row.entries), body.len() as u64);
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.fold.save(&self.connection, row.entries.iter().map(|entry| entry.series))?;
        self.connection
            .prepare_cached("INSERT INTO samples VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                row.row,
                row.tick_ms,
                row.lead_ms,
                row.full,
                row.gap,
                changes(&row.entries),
                end.records_total,
                end.bytes_total,
                body
            ])?;
        self.save_applied_row()?;
        self.connection.execute_batch("COMMIT")?;
        self.samples_end = end;
        Ok(())
    }

    /// Rows of `samples` at or above `from`, at most `limit`.
    pub(super) fn samples_rows(&self, from: i64, limit: u32) -> rusqlite::Result<Vec<SamplesRow>> {
        let sql = "SELECT row, tick_ms, lead_ms, full, gap, body FROM samples WHERE row >= ?1 ORDER BY row LIMIT ?2";
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query(params![from, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            let entries = match samples::read_entries(row.get_ref(5)?.as_blob()?) {
                Ok(entries) => entries,
                Err(error) => {
                    // The next row of each series carries its values.
                    self.unreadable(lanes::lane_table(Lane::Samples), number, &error.to_string())?;
                    Vec::new()
                }
            };
            found.push(SamplesRow {
                row: number,
                tick_ms: row.get(1)?,
                lead_ms: row.get(2)?,
                full: row.get(3)?,
                gap: row.get(4)?,
                entries,
            });
        }
        Ok(found)
    }
}

/// Records of a row, for the books: samples of series that changed or are new.
pub(super) fn changes(entries: &[Entry]) -> u64 {
    entries.iter().filter(|entry| entry.is_live).count() as u64
}
