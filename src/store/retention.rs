//! Retention: what is dropped, when, in which order, and never silently.
//!
//! | what | kept |
//! | --- | --- |
//! | points_inbox | an hour after they are in the counters, for deduplication |
//! | samples | 31 days, and until the history and every destination have them; older ones are thinned |
//! | events_inbox, spans_inbox | `history_days`, below the disk limit; what is older undelivered is counted as expired |
//! | quarantine | 30 days, 16 MiB ([`super::quarantine`]) |
//! | counters, streams, cursors | for ever (streams: 90 days of silence) |
//!
//! Over the disk limit, until there is enough room: delivered spans and events, delivered samples,
//! undelivered spans, undelivered events, the oldest first; then samples are thinned ([`super::thinning`]),
//! to one row an hour and then to the last value, and never dropped undelivered. When undelivered records
//! must go, each destination that still wanted them counts them as evicted, and its cursor moves on. Events
//! that the report's history had not read are counted too, and `status` says so.
//!
//! A full disk is not the limit: others fill it, and what is dropped for them is gone for nothing. There
//! only as much goes as the next requests need, and stays inside the file as free pages. Events that the
//! history has not read stay: it cannot write either, so the report would lack them for good.

use rusqlite::{OptionalExtension, params};

use super::core::{Core, DUPLICATE_WINDOW_MS};
use super::fold::Fold;
use super::handle::{Cursor, Lane};
use super::inbox::Inbox;
use super::thinning::{ALL_MS, HOUR_MS};
use super::{lanes, meta, reserve};

const SAMPLES_KEPT_MS: i64 = 31 * DAY_MS;
const DAY_MS: i64 = 24 * 3_600_000;
/// How often the store looks.
pub const INTERVAL_MS: i64 = 10 * 60_000;
/// Rows deleted in one transaction, so that a request never waits long for its commit.
const ROWS_PER_STEP: u32 = 500;
/// The same for undelivered ones, so that hardly more goes than must.
const UNDELIVERED_ROWS_PER_STEP: u32 = 64;
/// Free pages that a store on a full disk makes for what comes next.
const ROOM_BYTES: u64 = 1024 * 1024;
/// Samples younger than this are not thinned.
const FRESH_MS: i64 = HOUR_MS;
/// `meta` key: events that the history had not read when they were dropped.
const HISTORY_LOST: &str = "history_lost";
/// Share of the disk limit to which a full store is brought down.
const LOW_WATER_PERCENT: u64 = 90;

/// Why rows are dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Age,
    Limit,
    FullDisk,
}

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
        self.thin(now_ms - SAMPLES_KEPT_MS, HOUR_MS)?;
        let kept_ms = i64::from(self.options.history_days) * DAY_MS;
        self.expire(Lane::Events, now_ms - kept_ms)?;
        self.expire(Lane::Spans, now_ms - kept_ms)?;
        self.trim_quarantine(now_ms)?;
        self.retain_within_limit(now_ms)
    }

    /// Only what the disk limit asks for, whatever its age.
    pub fn retain_within_limit(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        if self.disk_bytes()? > self.options.disk_bytes_max {
            self.make_room(
                self.options.disk_bytes_max / 100 * LOW_WATER_PERCENT,
                Cause::Limit,
                now_ms,
            )?;
        }
        self.connection.execute_batch("PRAGMA incremental_vacuum(256)")?;
        self.keep_counts()?;
        reserve::keep(&self.options.queue_db);
        Ok(())
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
        let through = if lane == Lane::Samples {
            through.min(self.delivered_through(lane).unwrap_or(i64::MAX))
        } else {
            through
        };
        self.drop_rows(lane, through, Cause::Age)
    }

    /// The newest row that every destination has had, and the history too; `None` if nobody waits for
    /// any.
    fn delivered_through(&self, lane: Lane) -> Option<i64> {
        let states = self.lanes.states.iter().filter(|((_, other), _)| *other == lane);
        states.map(|(_, state)| state.cursor.row - 1).chain(self.history_read(lane)).min()
    }

    /// The newest row that the history has read; it reads no spans.
    fn history_read(&self, lane: Lane) -> Option<i64> {
        match lane {
            Lane::Samples => Some(self.history_row.unwrap_or(0)),
            Lane::Events => Some(self.history_events_row.unwrap_or(0)),
            Lane::Spans => None,
        }
    }

    /// The file system is full: there is to be room for what comes next inside the file.
    pub fn make_room_now(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        reserve::release(&self.options.queue_db);
        let free: u64 = self.connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        let page: u64 = self.connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        // The log keeps its size: on a full disk it could not grow again.
        let empty_log = "PRAGMA wal_checkpoint(RESTART)";
        self.connection.query_row(empty_log, [], |_| Ok(()))?;
        let lacking = ROOM_BYTES.saturating_sub(free * page);
        if lacking > 0 {
            let used = self.disk_bytes()?;
            let most = used / 100 * (100 - LOW_WATER_PERCENT);
            self.make_room(used - lacking.min(most), Cause::FullDisk, now_ms)?;
        }
        self.connection.query_row(empty_log, [], |_| Ok(()))
    }

    /// Brings the used pages down to `target_bytes`, or as near as may be; the order is at the top.
    fn make_room(&mut self, target_bytes: u64, cause: Cause, now_ms: i64) -> rusqlite::Result<()> {
        for (lane, undelivered) in [
            (Lane::Spans, false),
            (Lane::Events, false),
            (Lane::Samples, false),
            (Lane::Spans, true),
            (Lane::Events, true),
        ] {
            self.drop_oldest(lane, undelivered, target_bytes, cause)?;
        }
        for step_ms in [HOUR_MS, ALL_MS] {
            if self.disk_bytes()? > target_bytes {
                self.thin(now_ms - FRESH_MS, step_ms)?;
            }
        }
        Ok(())
    }

    fn drop_oldest(
        &mut self,
        lane: Lane,
        undelivered: bool,
        target_bytes: u64,
        cause: Cause,
    ) -> rusqlite::Result<()> {
        let rows = if undelivered { UNDELIVERED_ROWS_PER_STEP } else { ROWS_PER_STEP };
        let mut used = self.disk_bytes()?;
        while used > target_bytes {
            let sql = format!(
                "SELECT max(row) FROM (SELECT row FROM {} ORDER BY row LIMIT {rows})",
                lanes::lane_table(lane)
            );
            let oldest: Option<i64> = self.connection.query_row(&sql, [], |row| row.get(0))?;
            let Some(oldest) = oldest else { break };
            let through = match self.delivered_through(lane) {
                Some(delivered) if !undelivered => oldest.min(delivered),
                _ if cause == Cause::FullDisk => {
                    oldest.min(self.history_read(lane).unwrap_or(oldest))
                }
                _ => oldest,
            };
            self.drop_rows(lane, through, cause)?;
            let left = self.disk_bytes()?;
            if left >= used {
                break;
            }
            used = left;
        }
        Ok(())
    }

    /// Deletes rows up to `through`, but never the newest, and moves cursors that were behind.
    fn drop_rows(&mut self, lane: Lane, through: i64, cause: Cause) -> rusqlite::Result<()> {
        let through = through.min(self.lane_end(lane).row - 1);
        let table = lanes::lane_table(lane);
        self.count_unread(lane, through)?;
        self.evict(lane, through, cause)?;
        // A destination's first row holds the start of its series.
        let stays = if lane == Lane::Samples {
            "AND row NOT IN (SELECT start_row FROM lane WHERE start_row IS NOT NULL)"
        } else {
            ""
        };
        let sql = format!(
            "DELETE FROM {table} WHERE row IN (SELECT row FROM {table} WHERE row <= ?1 {stays} ORDER BY row LIMIT ?2)"
        );
        while self.connection.prepare_cached(&sql)?.execute(params![through, ROWS_PER_STEP])? > 0 {}
        Ok(())
    }

    /// Events that the report will lack.
    fn count_unread(&self, lane: Lane, through: i64) -> rusqlite::Result<()> {
        let (Lane::Events, Some(read)) = (lane, self.history_events_row) else { return Ok(()) };
        let sql = "SELECT coalesce(sum(records), 0) FROM events_inbox WHERE row > ?1 AND row <= ?2";
        let lost: i64 =
            self.connection.prepare_cached(sql)?.query_row([read, through], |row| row.get(0))?;
        if lost > 0 {
            tracing::warn!(records = lost, "events were dropped that the report had not read");
            let before: i64 = meta::get(&self.connection, HISTORY_LOST)?.unwrap_or(0);
            meta::set(&self.connection, HISTORY_LOST, before + lost)?;
        }
        Ok(())
    }

    /// In words, for `status`.
    pub(super) fn unread_warning(&self) -> rusqlite::Result<Option<String>> {
        let lost: i64 = meta::get(&self.connection, HISTORY_LOST)?.unwrap_or(0);
        Ok((lost > 0).then(|| {
            format!(
                "{lost} events had to be dropped before the report had read them; it lacks them"
            )
        }))
    }

    /// Every lane still before `through` counts what it will not get.
    fn evict(&mut self, lane: Lane, through: i64, cause: Cause) -> rusqlite::Result<()> {
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
            if cause == Cause::Age {
                tracing::warn!(%destination, records = lost, "older than is kept: undelivered records were dropped");
                state.expired += lost;
            } else {
                tracing::warn!(%destination, records = lost, "there is no room left: undelivered records were dropped");
                state.evicted += lost;
            }
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
