//! Delivery's questions to the store: open a destination, freeze a batch, settle it, show the books.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::core::Core;
use super::handle::{Books, Content, Cursor, DestinationKey, FrozenBatch, Lane, Settled, Since};
use super::inbox::{End, Inbox};
use super::lanes::{self, Frozen, LaneState, View};
use super::projection::{Groups, State};
use crate::record::{PrivacyLevel, tighten_event, tighten_spans};

/// What was read for a batch.
pub(super) struct Read {
    pub content: Content,
    pub end: Cursor,
    pub records: u64,
    pub oldest_ms: i64,
}

impl Core {
    /// Makes the lanes of a destination that has none; starts its series anew where its labels changed.
    pub fn open_destination(&mut self, key: &DestinationKey, now_ms: i64) -> rusqlite::Result<()> {
        let known = self.lanes.privacy.get(&key.name).copied();
        if key.since == Since::Now && known.is_none() {
            // What was received before this moment is in rows before the destination's first one.
            self.tick(now_ms)?;
        }
        let dropped: Vec<_> = (self.lanes.states.keys())
            .filter(|(name, lane)| *name == key.name && !key.lanes.contains(lane))
            .cloned()
            .collect();
        for (name, lane) in dropped {
            // It gets no more of these: what waits for it would wait for good.
            lanes::remove(&self.connection, &name, lane)?;
            self.lanes.states.remove(&(name, lane));
        }
        for lane in &key.lanes {
            let id = (key.name.clone(), *lane);
            let state = match self.lanes.states.remove(&id) {
                Some(mut state) if known == Some(key.privacy) || *lane != Lane::Samples => {
                    state.view = None;
                    state
                }
                Some(mut state) => {
                    self.begin_anew(&mut state)?;
                    state
                }
                None => self.new_lane(*lane, key.since)?,
            };
            lanes::save(&self.connection, &key.name, *lane, &state)?;
            self.lanes.states.insert(id, state);
        }
        self.connection.execute(
            "INSERT INTO destination(name, privacy) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET privacy=?2",
            params![&*key.name, lanes::privacy_text(key.privacy)],
        )?;
        self.lanes.privacy.insert(key.name.clone(), key.privacy);
        Ok(())
    }

    fn new_lane(&self, lane: Lane, since: Since) -> rusqlite::Result<LaneState> {
        let table = lanes::lane_table(lane);
        let end = self.lane_end(lane);
        let first_row = match since {
            Since::Now => None,
            Since::All => {
                self.connection
                    .query_row(&format!("SELECT min(row) FROM {table}"), [], |row| row.get(0))?
            }
            Since::Time(from_ms) => {
                let sql = format!(
                    "SELECT min(row) FROM {table} WHERE {} >= ?1",
                    lanes::lane_time_column(lane)
                );
                self.connection.query_row(&sql, [from_ms], |row| row.get::<_, Option<i64>>(0))?
            }
        };
        let cursor = Cursor { row: first_row.unwrap_or(end.row + 1), offset: 0 };
        let before = self.done_before(lane, cursor.row)?;
        Ok(LaneState::new(cursor, before.records_total, before.bytes_total))
    }

    /// What lies before `row`, so that the rest is what lies from there on.
    pub(super) fn done_before(&self, lane: Lane, row: i64) -> rusqlite::Result<End> {
        let before = self.totals_before(lane, row)?;
        if lane != Lane::Samples {
            return Ok(before);
        }
        let rest = self.samples_records_from(row)?;
        let records_total = self.samples_end.records_total.saturating_sub(rest);
        Ok(End { records_total, ..before })
    }

    /// Totals of the rows below `row`, also where the newest of them is gone.
    fn totals_before(&self, lane: Lane, row: i64) -> rusqlite::Result<End> {
        let table = lanes::lane_table(lane);
        let sql = format!(
            "SELECT row, records_total, bytes_total FROM {table} WHERE row < ?1 ORDER BY row DESC LIMIT 1"
        );
        let read = |row: &rusqlite::Row<'_>| {
            Ok(End { row: row.get(0)?, records_total: row.get(1)?, bytes_total: row.get(2)? })
        };
        if let Some(end) =
            self.connection.prepare_cached(&sql)?.query_row([row], read).optional()?
        {
            return Ok(end);
        }
        let sql = format!(
            "SELECT row, records_total - records, bytes_total - length(body) FROM {table} WHERE row >= ?1 ORDER BY row LIMIT 1"
        );
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_row([row], read)
            .optional()?
            .unwrap_or_default())
    }

    pub(super) fn lane_end(&self, lane: Lane) -> End {
        match lane {
            Lane::Samples => self.samples_end,
            Lane::Events => self.ends[Inbox::Events as usize],
            Lane::Spans => self.ends[Inbox::Spans as usize],
        }
    }

    pub fn remove_destination(&mut self, name: &str) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM lane WHERE destination=?1", [name])?;
        self.connection.execute("DELETE FROM destination WHERE name=?1", [name])?;
        self.connection.execute("DELETE FROM quarantine WHERE destination=?1", [name])?;
        self.lanes.states.retain(|(other, _), _| &**other != name);
        self.lanes.privacy.remove(name);
        Ok(())
    }

    /// The next batch of a lane; the frozen one again, where there is one.
    pub fn freeze(
        &mut self,
        destination: &Arc<str>,
        lane: Lane,
        records_max: u32,
        bytes_max: usize,
    ) -> rusqlite::Result<Option<FrozenBatch>> {
        let id = (destination.clone(), lane);
        let Some(mut state) = self.lanes.states.remove(&id) else { return Ok(None) };
        let batch = self.freeze_lane(destination, lane, &mut state, records_max, bytes_max);
        self.lanes.states.insert(id, state);
        batch
    }

    fn freeze_lane(
        &mut self,
        destination: &Arc<str>,
        lane: Lane,
        state: &mut LaneState,
        records_max: u32,
        bytes_max: usize,
    ) -> rusqlite::Result<Option<FrozenBatch>> {
        if state.cursor.row > self.lane_end(lane).row {
            return Ok(None);
        }
        let replay = state.frozen.is_some();
        let privacy = self.lanes.privacy.get(destination).copied().unwrap_or(PrivacyLevel::Minimal);
        let read = match lane {
            Lane::Samples => {
                self.prepare_view(state, privacy)?;
                self.read_samples(state, records_max, bytes_max)?
            }
            Lane::Events => self.read_events(state, records_max, bytes_max)?,
            Lane::Spans => self.read_spans(state, records_max, bytes_max)?,
        };
        let Some(mut read) = read else { return Ok(None) };
        if privacy < PrivacyLevel::Full {
            tighten(&mut read.content, privacy, &self.install_key);
        }
        let frozen = Frozen { end: read.end, records: read.records };
        state.frozen = Some(frozen);
        if content_is_empty(&read.content) {
            // Rows that mean nothing here (a series that retired): nothing to send, so it is settled at once.
            self.settle_lane(
                destination,
                lane,
                state,
                &Settled { delivered: frozen.records, ..Settled::default() },
            )?;
            return Ok(None);
        }
        if !replay {
            lanes::save(&self.connection, destination, lane, state)?;
        }
        Ok(Some(FrozenBatch {
            lane,
            start: state.cursor,
            end: read.end,
            replay,
            records: read.records,
            oldest_ms: read.oldest_ms,
            content: read.content,
        }))
    }

    /// Labels up to date, and the values at the cursor where they are not known yet.
    fn prepare_view(&self, state: &mut LaneState, privacy: PrivacyLevel) -> rusqlite::Result<()> {
        let series = self.fold.series.list();
        if state.view.is_none() {
            let mut values = State::newest(series);
            let mut before = self.samples_end.row + 1;
            while before > state.cursor.row {
                // Backwards in pages, so that a long backlog is not in memory at once.
                let from = (before - 256).max(state.cursor.row);
                let rows =
                    self.samples_rows(from, u32::try_from(before - from).unwrap_or(u32::MAX))?;
                rows.iter().rev().for_each(|row| values.undo(row));
                before = from;
            }
            let groups = Groups::new(privacy, self.install_id.as_str().into());
            state.view = Some(View { groups, state: values, next: None });
        }
        if let Some(view) = &mut state.view {
            view.groups.extend(series);
        }
        Ok(())
    }

    /// Moves a lane past its frozen batch.
    pub fn settle(
        &mut self,
        destination: &Arc<str>,
        lane: Lane,
        settled: &Settled,
    ) -> rusqlite::Result<()> {
        let id = (destination.clone(), lane);
        let Some(mut state) = self.lanes.states.remove(&id) else { return Ok(()) };
        let done = self.settle_lane(destination, lane, &mut state, settled);
        self.lanes.states.insert(id, state);
        done
    }

    fn settle_lane(
        &mut self,
        destination: &str,
        lane: Lane,
        state: &mut LaneState,
        settled: &Settled,
    ) -> rusqlite::Result<()> {
        let Some(frozen) = state.frozen else {
            // Its rows were evicted in the meantime, and are counted as that.
            return settled.learned.as_deref().map_or(Ok(()), |text| self.learn(destination, text));
        };
        state.settle(frozen, settled);
        let before = self.totals_before(lane, state.cursor.row)?;
        state.done_bytes = before.bytes_total.max(state.done_bytes);
        self.pass_unreadable(destination, lane, state, before);
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let written = self
            .write_settled(destination, lane, state, settled)
            .and_then(|()| self.connection.execute_batch("COMMIT"));
        if written.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        written
    }

    fn write_settled(
        &self,
        destination: &str,
        lane: Lane,
        state: &LaneState,
        settled: &Settled,
    ) -> rusqlite::Result<()> {
        if let Some(learned) = &settled.learned {
            self.learn(destination, learned)?;
        }
        if !settled.quarantined.is_empty() {
            self.quarantine(destination, lane, &settled.quarantined)?;
        }
        lanes::save(&self.connection, destination, lane, state)
    }

    /// Sums of all lanes of a destination.
    pub fn books(&self, destination: &str) -> rusqlite::Result<Books> {
        let mut books = Books::default();
        (books.quarantine_kept, books.quarantine_bytes) = self.quarantine_kept(destination)?;
        for (lane, state) in self.lanes.of(destination) {
            let end = self.lane_end(lane);
            let meant = end.records_total.cast_signed() - state.begun_records;
            books.meant += u64::try_from(meant).unwrap_or(0);
            books.backlog_records += end.records_total.saturating_sub(state.done_records);
            books.backlog_bytes += end.bytes_total.saturating_sub(state.done_bytes);
            books.delivered += state.delivered;
            books.expired += state.expired;
            books.evicted += state.evicted;
            books.compacted += state.compacted;
            books.quarantined += state.quarantined;
            if state.cursor.row <= end.row {
                let sql = format!(
                    "SELECT {} FROM {} WHERE row >= ?1 ORDER BY row LIMIT 1",
                    lanes::lane_time_column(lane),
                    lanes::lane_table(lane)
                );
                let oldest: Option<i64> = self
                    .connection
                    .prepare_cached(&sql)?
                    .query_row([state.cursor.row], |row| row.get(0))
                    .optional()?;
                books.oldest_ms = [books.oldest_ms, oldest].into_iter().flatten().min();
            }
        }
        Ok(books)
    }
}

/// What a destination's level takes away; series have lost their labels already.
fn tighten(content: &mut Content, privacy: PrivacyLevel, install_key: &[u8; 32]) {
    match content {
        Content::Samples(_) => {}
        Content::Events(events) => {
            for event in events {
                *event = tighten_event(event, privacy, install_key);
            }
        }
        Content::Spans(spans) => {
            *spans = spans
                .iter()
                .filter_map(|spans| tighten_spans(spans, privacy, install_key))
                .collect();
        }
    }
}

fn content_is_empty(content: &Content) -> bool {
    match content {
        Content::Samples(series) => series.is_empty(),
        Content::Events(events) => events.is_empty(),
        Content::Spans(spans) => spans.is_empty(),
    }
}
