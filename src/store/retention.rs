//! Retention: what is dropped, when, in which order, and never silently.
//!
//! | what | kept |
//! | --- | --- |
//! | points_inbox | an hour after they are in the counters, for deduplication |
//! | samples | 31 days, and until the history has them |
//! | events_inbox, spans_inbox | `history_days`, below the disk limit; delivered ones go first |
//! | quarantine | 30 days, 16 MiB ([`super::quarantine`]) |
//! | counters, streams, cursors | for ever (streams: 90 days of silence) |
//!
//! When undelivered records must go, each destination that still wanted them counts them as evicted, and
//! its cursor moves on.

use rusqlite::{OptionalExtension, params};

use super::core::{Core, DUPLICATE_WINDOW_MS};
use super::fold::Fold;
use super::handle::{Cursor, Lane};
use super::inbox::Inbox;
use super::lanes;

const SAMPLES_KEPT_MS: i64 = 31 * DAY_MS;
const DAY_MS: i64 = 24 * 3_600_000;
/// How often the store looks.
pub const INTERVAL_MS: i64 = 10 * 60_000;
/// Rows deleted in one transaction, so that a request never waits long for its commit.
const ROWS_PER_STEP: u32 = 500;
/// Share of the disk limit to which a full store is brought down.
const LOW_WATER_PERCENT: u64 = 90;

impl Core {
    /// Bytes of the database's pages that are in use.
    pub fn disk_bytes(&self) -> rusqlite::Result<u64> {
        let number =
            |pragma: &str| self.connection.query_row(pragma, [], |row| row.get::<_, u64>(0));
        let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
        Ok(pages * number("PRAGMA page_size")?)
    }

    /// Drops what may go. Called every [`INTERVAL_MS`], and when the disk is full.
    pub fn retain(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        let applied: i64 = self.applied_row()?;
        let sql = "DELETE FROM points_inbox WHERE row IN (SELECT row FROM points_inbox WHERE received_ms < ?1 AND row <= ?2 AND row < ?3 ORDER BY row LIMIT ?4)";
        let last = self.ends[Inbox::Points as usize].row;
        while self
            .connection
            .execute(sql, params![now_ms - DUPLICATE_WINDOW_MS, applied, last, ROWS_PER_STEP])?
            > 0
        {}
        Fold::forget_old_streams(&self.connection, now_ms)?;
        self.expire(Lane::Samples, now_ms - SAMPLES_KEPT_MS)?;
        let kept_ms = i64::from(self.options.history_days) * DAY_MS;
        self.expire(Lane::Events, now_ms - kept_ms)?;
        self.expire(Lane::Spans, now_ms - kept_ms)?;
        self.trim_quarantine(now_ms)?;
        if self.disk_bytes()? > self.options.disk_bytes_max {
            self.make_room()?;
        }
        self.connection.execute_batch("PRAGMA incremental_vacuum(256)")
    }

    fn expire(&mut self, lane: Lane, before_ms: i64) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT max(row) FROM {} WHERE {} < ?1",
            lanes::lane_table(lane),
            lanes::lane_time_column(lane)
        );
        let through: Option<i64> =
            self.connection.query_row(&sql, [before_ms], |row| row.get(0))?;
        let Some(through) = through else { return Ok(()) };
        let through = if lane == Lane::Samples { through.min(self.history.0) } else { through };
        self.drop_rows(lane, through)
    }

    /// The file system is full: delivered records go at once, whatever the limit says.
    pub fn make_room_now(&mut self) -> rusqlite::Result<()> {
        let limit = self.options.disk_bytes_max;
        self.options.disk_bytes_max = self.disk_bytes()?;
        let made = self.make_room();
        self.options.disk_bytes_max = limit;
        made?;
        self.connection.execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Brings the database below the limit: spans, then delivered events, then the oldest events.
    fn make_room(&mut self) -> rusqlite::Result<()> {
        let target = self.options.disk_bytes_max / 100 * LOW_WATER_PERCENT;
        for (lane, undelivered) in [
            (Lane::Spans, true),
            (Lane::Events, false),
            (Lane::Events, true),
            (Lane::Samples, true),
        ] {
            while self.disk_bytes()? > target {
                let sql = format!(
                    "SELECT max(row) FROM (SELECT row FROM {} ORDER BY row LIMIT {ROWS_PER_STEP})",
                    lanes::lane_table(lane)
                );
                let oldest: Option<i64> = self.connection.query_row(&sql, [], |row| row.get(0))?;
                let wanted = self
                    .lanes
                    .states
                    .iter()
                    .filter(|((_, other), _)| *other == lane)
                    .map(|(_, state)| state.cursor.row - 1)
                    .min();
                let through = match (oldest, wanted) {
                    (Some(oldest), Some(wanted)) if !undelivered => oldest.min(wanted),
                    (Some(oldest), _) => oldest,
                    (None, _) => break,
                };
                let before = self.disk_bytes()?;
                self.drop_rows(lane, through)?;
                if self.disk_bytes()? >= before {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Deletes rows up to `through`, but never the newest, and moves cursors that were behind.
    fn drop_rows(&mut self, lane: Lane, through: i64) -> rusqlite::Result<()> {
        let through = through.min(self.lane_end(lane).row - 1);
        let table = lanes::lane_table(lane);
        self.evict(lane, through)?;
        let sql = format!(
            "DELETE FROM {table} WHERE row IN (SELECT row FROM {table} WHERE row <= ?1 ORDER BY row LIMIT ?2)"
        );
        while self.connection.prepare_cached(&sql)?.execute(params![through, ROWS_PER_STEP])? > 0 {}
        Ok(())
    }

    /// Every lane still before `through` counts what it will not get.
    fn evict(&mut self, lane: Lane, through: i64) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT records_total, bytes_total FROM {} WHERE row <= ?1 ORDER BY row DESC LIMIT 1",
            lanes::lane_table(lane)
        );
        let totals = self
            .connection
            .prepare_cached(&sql)?
            .query_row([through], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)))
            .optional()?;
        let Some((records_total, bytes_total)) = totals else { return Ok(()) };
        let behind = self
            .lanes
            .states
            .iter_mut()
            .filter(|((_, other), state)| *other == lane && state.cursor.row <= through);
        for ((destination, _), state) in behind {
            let lost = records_total.saturating_sub(state.done_records);
            tracing::warn!(%destination, records = lost, "the disk limit is reached: undelivered records were dropped");
            state.evicted += lost;
            state.done_records += lost;
            state.done_bytes = bytes_total;
            state.cursor = Cursor { row: through + 1, offset: 0 };
            state.frozen = None;
            state.view = None;
            lanes::save(&self.connection, destination, lane, state)?;
        }
        Ok(())
    }
}
