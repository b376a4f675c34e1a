//! Reading a batch: from a lane's cursor to its frozen end, or as far as the limits allow.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::core::Core;
use super::delivery::Read;
use super::handle::{Content, Cursor, SeriesSamples};
use super::lanes::LaneState;
use super::projection::Item;
use super::row;
use crate::record::{Event, Value};

/// Rows read ahead at once.
const PAGE_ROWS: u32 = 64;
/// From the oldest event of a batch to its newest. Loki refuses what is an hour behind the newest
/// entry of its stream, which a batch sent for the second time would be behind itself.
const EVENTS_SPAN_NS_MAX: u64 = 45 * 60 * 1_000_000_000;

impl Core {
    /// Samples from the cursor on. `records_max` counts samples; a row is cut between two series.
    pub(super) fn read_samples(
        &self,
        state: &mut LaneState,
        records_max: u32,
        bytes_max: usize,
    ) -> rusqlite::Result<Option<Read>> {
        let mut reading = Reading::new(state, records_max, bytes_max);
        let Some(view) = &mut state.view else { return Ok(None) };
        let mut values = view.state.clone();
        'pages: loop {
            let page = self.samples_rows(reading.end.row, PAGE_ROWS)?;
            if page.is_empty() {
                break;
            }
            for row in page {
                if reading.complete_before(row.row) {
                    break 'pages;
                }
                let first = *state.start_row.get_or_insert(row.row) == row.row;
                reading.oldest_ms.get_or_insert(row.tick_ms);
                let mut after = values.clone();
                let items = view.groups.items(&mut after, &row, first);
                let more = reading.take(row.row, items.into_iter().map(Piece::from).collect());
                if reading.end.row > row.row {
                    values = after;
                }
                if !more {
                    break 'pages;
                }
            }
        }
        view.next = Some(values);
        let lead_ms =
            state.start_row.map(|row| self.lead_of(row)).transpose()?.flatten().unwrap_or(0);
        let groups = &view.groups;
        Ok(reading.finish(state.cursor, |items| {
            Content::Samples(series_of(&items, |group| groups.labels(group), lead_ms))
        }))
    }

    /// The lead time of a destination's first row: its series cannot have been 0 before, for it.
    fn lead_of(&self, row: i64) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT lead_ms FROM samples WHERE row=?1")?
            .query_row([row], |row| row.get(0))
            .optional()
    }

    pub(super) fn read_events(
        &self,
        state: &LaneState,
        records_max: u32,
        bytes_max: usize,
    ) -> rusqlite::Result<Option<Read>> {
        let mut reading = Reading::new(state, records_max, bytes_max);
        self.scan("events_inbox", &mut reading, |body| {
            row::read_events(body).map(|events| {
                events
                    .into_iter()
                    .map(|event| Piece {
                        weight: 1,
                        bytes: event_bytes(&event),
                        records: 1,
                        time_ns: Some(event.time_ns),
                        item: event,
                    })
                    .collect()
            })
        })?;
        reading.taken.sort_by_key(|event| event.time_ns);
        Ok(reading.finish(state.cursor, Content::Events))
    }

    pub(super) fn read_spans(
        &self,
        state: &LaneState,
        records_max: u32,
        bytes_max: usize,
    ) -> rusqlite::Result<Option<Read>> {
        let mut reading = Reading::new(state, records_max, bytes_max);
        self.scan("spans_inbox", &mut reading, |body| {
            row::read_spans(body).map(|spans| {
                spans
                    .into_iter()
                    .map(|(count, bytes)| Piece {
                        weight: 1,
                        bytes: bytes.len(),
                        records: u64::from(count),
                        time_ns: None,
                        item: bytes,
                    })
                    .collect()
            })
        })?;
        Ok(reading.finish(state.cursor, Content::Spans))
    }

    /// Decodes row after row into `reading`, until it is full or the rows end.
    fn scan<T>(
        &self,
        table: &str,
        reading: &mut Reading<T>,
        decode: impl Fn(&[u8]) -> Result<Vec<Piece<T>>, row::RowError>,
    ) -> rusqlite::Result<()> {
        let time = "received_ms";
        let sql = format!("SELECT row, {time}, body FROM {table} WHERE row >= ?1 ORDER BY row");
        let mut query = self.connection.prepare_cached(&sql)?;
        let mut rows = query.query(params![reading.end.row])?;
        while let Some(found) = rows.next()? {
            let number = found.get(0)?;
            if reading.complete_before(number) {
                break;
            }
            let items = match decode(found.get_ref(2)?.as_blob()?) {
                Ok(items) => items,
                Err(error) => {
                    self.unreadable(table, number, &error.to_string())?;
                    Vec::new()
                }
            };
            reading.oldest_ms.get_or_insert(found.get(1)?);
            if !reading.take(number, items) {
                break;
            }
        }
        Ok(())
    }
}

/// A sample's share of a request: 16 bytes of time and value, and its series' labels.
const SAMPLE_BYTES: usize = 128;

/// One thing that a batch takes whole.
struct Piece<T> {
    /// Against `records_max`: events, or samples.
    weight: usize,
    bytes: usize,
    /// For the books.
    records: u64,
    /// Where a batch's span is limited.
    time_ns: Option<u64>,
    item: T,
}

impl From<Item> for Piece<Item> {
    fn from(item: Item) -> Self {
        Self {
            weight: item.samples.len(),
            bytes: item.samples.len() * SAMPLE_BYTES,
            records: item.records,
            time_ns: None,
            item,
        }
    }
}

/// Records taken so far, and where that is.
struct Reading<T> {
    end: Cursor,
    frozen: Option<Cursor>,
    weight_left: usize,
    bytes_left: usize,
    records: u64,
    oldest_ms: Option<i64>,
    /// The oldest and the newest event.
    span_ns: Option<(u64, u64)>,
    taken: Vec<T>,
}

impl<T> Reading<T> {
    fn new(state: &LaneState, records_max: u32, bytes_max: usize) -> Self {
        Self {
            end: state.cursor,
            frozen: state.frozen.map(|frozen| frozen.end),
            weight_left: records_max as usize,
            bytes_left: bytes_max,
            records: 0,
            oldest_ms: None,
            span_ns: None,
            taken: Vec::new(),
        }
    }

    /// The frozen range ends before this row.
    fn complete_before(&self, row: i64) -> bool {
        self.frozen.is_some_and(|frozen| frozen <= Cursor { row, offset: 0 })
    }

    /// Takes items of `row` from where the cursor is; false when the batch is complete.
    fn take(&mut self, row: i64, items: Vec<Piece<T>>) -> bool {
        let skip = if self.end.row == row { self.end.offset as usize } else { 0 };
        let stop = match self.frozen {
            Some(frozen) if frozen.row == row => frozen.offset as usize,
            _ => items.len(),
        };
        let total = items.len();
        let mut done = skip;
        for piece in items.into_iter().take(stop).skip(skip) {
            let span_ns = self.span_with(piece.time_ns);
            let too_long = span_ns.is_some_and(|(from, to)| to - from > EVENTS_SPAN_NS_MAX);
            let full = self.frozen.is_none()
                && !self.taken.is_empty()
                && (self.weight_left < piece.weight || self.bytes_left < piece.bytes || too_long);
            if full {
                break;
            }
            self.span_ns = span_ns;
            self.weight_left = self.weight_left.saturating_sub(piece.weight);
            self.bytes_left = self.bytes_left.saturating_sub(piece.bytes);
            self.records += piece.records;
            self.taken.push(piece.item);
            done += 1;
        }
        if done < total {
            self.end = Cursor { row, offset: u32::try_from(done).unwrap_or(u32::MAX) };
            return false;
        }
        self.end = Cursor { row: row + 1, offset: 0 };
        self.frozen.is_some() || (self.weight_left > 0 && self.bytes_left > 0)
    }

    fn span_with(&self, time_ns: Option<u64>) -> Option<(u64, u64)> {
        let Some(time_ns) = time_ns else { return self.span_ns };
        let (from, to) = self.span_ns.unwrap_or((time_ns, time_ns));
        Some((from.min(time_ns), to.max(time_ns)))
    }

    fn finish(self, start: Cursor, content: impl FnOnce(Vec<T>) -> Content) -> Option<Read> {
        (self.end != start).then(|| Read {
            content: content(self.taken),
            end: self.end,
            records: self.records,
            oldest_ms: self.oldest_ms.unwrap_or(0),
        })
    }
}

/// Items of several rows, one entry a series, samples in the order of time.
fn series_of(
    items: &[Item],
    labels: impl Fn(u32) -> (std::sync::Arc<crate::record::Labels>, i64),
    start_ms_min: i64,
) -> Vec<SeriesSamples> {
    let mut series = BTreeMap::<u32, SeriesSamples>::new();
    for item in items {
        let entry = series.entry(item.group).or_insert_with(|| {
            let (labels, start_ms) = labels(item.group);
            let start_ms = start_ms.max(start_ms_min);
            SeriesSamples { labels, start_ms, before: item.before, samples: Vec::new() }
        });
        entry.samples.extend(&item.samples);
    }
    series.into_values().collect()
}

/// About what an event takes in a request.
fn event_bytes(event: &Event) -> usize {
    let value_bytes = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Int(_) | Value::Double(_) | Value::Bool(_) => 8,
    };
    64 + event.body.len()
        + event
            .attributes
            .iter()
            .map(|(key, value)| key.len() + value_bytes(value) + 4)
            .sum::<usize>()
}
