//! Lanes: how far each destination is, which batch is on its way, and its books.
//!
//! ```text
//!            freeze: boundaries on disk              settle: cursor moves, books are kept
//!   idle ───────────────────────────────▶ frozen ───────────────────────────────────────▶ idle
//!                                          ▲  │ crash, restart: the same boundaries,
//!                                          └──┘ the same bytes, marked as a replay
//! ```
//!
//! For each lane, always: what was meant for it = delivered + backlog + expired + evicted + compacted +
//! quarantined, in records.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::handle::{Cursor, Lane, Settled};
use super::projection::{Groups, State};
use crate::record::PrivacyLevel;

/// A range on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen {
    pub end: Cursor,
    pub records: u64,
}

/// One lane of one destination.
#[derive(Debug)]
pub struct LaneState {
    pub cursor: Cursor,
    /// The first row of `samples` that the destination was sent; everything is led there.
    pub start_row: Option<i64>,
    pub frozen: Option<Frozen>,
    /// `records_total` and `bytes_total` of everything before the cursor.
    pub done_records: u64,
    pub done_bytes: u64,
    /// `records_total` before the first record that was meant for this lane: what is done since then has
    /// gone one of the ways below. Below zero where rows were lost that had been delivered.
    pub begun_records: i64,
    pub delivered: u64,
    pub expired: u64,
    pub evicted: u64,
    pub compacted: u64,
    pub quarantined: u64,
    pub view: Option<View>,
}

/// A samples lane's projection, and the values at its cursor.
#[derive(Debug)]
pub struct View {
    pub groups: Groups,
    /// Before the row of the cursor.
    pub state: State,
    /// Before the row where the frozen batch ends.
    pub next: Option<State>,
}

impl LaneState {
    pub fn new(cursor: Cursor, done_records: u64, done_bytes: u64) -> Self {
        Self {
            cursor,
            start_row: None,
            frozen: None,
            done_records,
            done_bytes,
            begun_records: done_records.cast_signed(),
            delivered: 0,
            expired: 0,
            evicted: 0,
            compacted: 0,
            quarantined: 0,
            view: None,
        }
    }

    /// Records that are no longer waiting, by what became of them.
    pub fn gone(&self) -> u64 {
        self.delivered + self.expired + self.evicted + self.compacted + self.quarantined
    }

    /// The rows that were done are not all there any more: the books go on from here.
    pub fn begin_books(&mut self) {
        self.begun_records = self.done_records.cast_signed() - self.gone().cast_signed();
    }

    /// Moves past the frozen batch and keeps the books.
    pub fn settle(&mut self, frozen: Frozen, settled: &Settled) {
        self.cursor = frozen.end;
        self.frozen = None;
        self.done_records += frozen.records;
        let quarantined = settled.quarantined.iter().map(|item| item.records).sum::<u64>();
        self.expired += settled.expired;
        self.compacted += settled.compacted;
        self.quarantined += quarantined;
        // Whatever the sender says, the books balance: the rest of the batch was delivered.
        self.delivered +=
            frozen.records.saturating_sub(settled.expired + settled.compacted + quarantined);
        if let Some(view) = &mut self.view
            && let Some(next) = view.next.take()
        {
            view.state = next;
        }
    }
}

/// All lanes of all destinations.
#[derive(Default)]
pub struct Lanes {
    pub states: BTreeMap<(Arc<str>, Lane), LaneState>,
    pub privacy: BTreeMap<Arc<str>, PrivacyLevel>,
}

impl Lanes {
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut lanes = Self::default();
        let mut query = connection.prepare("SELECT name, privacy FROM destination")?;
        for row in
            query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
        {
            let (name, privacy) = row?;
            lanes.privacy.insert(name.into(), privacy_from_text(&privacy));
        }
        let mut query = connection.prepare(
            "SELECT destination, lane, cursor_row, cursor_offset, start_row, frozen_row, frozen_offset, frozen_records,
                    done_records, done_bytes, delivered, expired, evicted, compacted, quarantined, begun_records FROM lane",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let Some(lane) = lane_from_text(&row.get::<_, String>(1)?) else { continue };
            let name: Arc<str> = row.get::<_, String>(0)?.into();
            let mut state = LaneState::new(
                Cursor { row: row.get(2)?, offset: row.get(3)? },
                row.get(8)?,
                row.get(9)?,
            );
            state.start_row = row.get(4)?;
            if let Some(end) = row.get::<_, Option<i64>>(5)? {
                state.frozen = Some(Frozen {
                    end: Cursor { row: end, offset: row.get(6)? },
                    records: row.get(7)?,
                });
            }
            (state.delivered, state.expired, state.evicted) =
                (row.get(10)?, row.get(11)?, row.get(12)?);
            (state.compacted, state.quarantined) = (row.get(13)?, row.get(14)?);
            state.begun_records = row.get(15)?;
            lanes.states.insert((name, lane), state);
        }
        Ok(lanes)
    }

    pub fn any(&self, lane: Lane) -> bool {
        self.states.keys().any(|(_, other)| *other == lane)
    }

    pub fn of<'a>(&'a self, destination: &'a str) -> impl Iterator<Item = (Lane, &'a LaneState)> {
        self.states
            .iter()
            .filter(move |((name, _), _)| &**name == destination)
            .map(|((_, lane), state)| (*lane, state))
    }
}

/// Writes one lane as it is, inside or outside a transaction.
/// A lane that a destination has no more.
pub fn remove(connection: &Connection, destination: &str, lane: Lane) -> rusqlite::Result<()> {
    let lane = lane_text(lane);
    connection
        .execute("DELETE FROM lane WHERE destination=?1 AND lane=?2", params![destination, lane])?;
    Ok(())
}

pub fn save(
    connection: &Connection,
    destination: &str,
    lane: Lane,
    state: &LaneState,
) -> rusqlite::Result<()> {
    let frozen = state.frozen;
    connection.prepare_cached(
        "INSERT OR REPLACE INTO lane(destination, lane, cursor_row, cursor_offset, start_row, frozen_row, frozen_offset, frozen_records,
             done_records, done_bytes, delivered, expired, evicted, compacted, quarantined, begun_records)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        destination,
        lane_text(lane),
        state.cursor.row,
        state.cursor.offset,
        state.start_row,
        frozen.map(|frozen| frozen.end.row),
        frozen.map(|frozen| frozen.end.offset),
        frozen.map_or(0, |frozen| frozen.records),
        state.done_records,
        state.done_bytes,
        state.delivered,
        state.expired,
        state.evicted,
        state.compacted,
        state.quarantined,
        state.begun_records,
    ])?;
    Ok(())
}

pub fn lane_text(lane: Lane) -> &'static str {
    match lane {
        Lane::Samples => "samples",
        Lane::Events => "events",
        Lane::Spans => "spans",
    }
}

pub fn lane_from_text(text: &str) -> Option<Lane> {
    [Lane::Samples, Lane::Events, Lane::Spans].into_iter().find(|lane| lane_text(*lane) == text)
}

/// The table a lane reads.
pub fn lane_table(lane: Lane) -> &'static str {
    match lane {
        Lane::Samples => "samples",
        Lane::Events => "events_inbox",
        Lane::Spans => "spans_inbox",
    }
}

/// The column with the time a row was written.
pub fn lane_time_column(lane: Lane) -> &'static str {
    match lane {
        Lane::Samples => "tick_ms",
        Lane::Events | Lane::Spans => "received_ms",
    }
}

pub fn privacy_text(level: PrivacyLevel) -> &'static str {
    match level {
        PrivacyLevel::Minimal => "minimal",
        PrivacyLevel::Standard => "standard",
        PrivacyLevel::Full => "full",
    }
}

fn privacy_from_text(text: &str) -> PrivacyLevel {
    match text {
        "standard" => PrivacyLevel::Standard,
        "full" => PrivacyLevel::Full,
        _ => PrivacyLevel::Minimal,
    }
}
