//! The fold: counters are what comes out of taking in every stored point, in order, once.
//!
//! State at the last tick lies in `series` and `stream`; points stored since are taken in again when the
//! store opens. So a crash between any two steps changes nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension, params};

use super::series::{SeriesTable, labels_to_json};
use super::stream::Stream;
use crate::record::{Labels, Point};

/// Streams kept in memory; the others are read from disk when they speak again.
const STREAMS_IN_MEMORY_MAX: usize = 4_096;
/// A stream silent so long is forgotten: its process is long gone.
const STREAM_KEPT_MS: i64 = 90 * 24 * 3_600_000;

/// Counters and the streams that feed them.
pub struct Fold {
    pub series: SeriesTable,
    streams: HashMap<u128, Kept>,
}

#[derive(Default)]
struct Kept {
    stream: Stream,
    /// A point was taken in, now or before.
    known: bool,
    /// Where its increments went last: while the labels stay, nothing has to be looked up.
    target: Option<(Labels, u32)>,
    seen_ms: i64,
    dirty: bool,
}

impl Fold {
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        Ok(Self { series: SeriesTable::load(connection)?, streams: HashMap::new() })
    }

    /// Brings the streams of these points into memory, so that nothing that follows can fail.
    pub fn prepare(&mut self, connection: &Connection, points: &[Point]) -> rusqlite::Result<()> {
        for point in points {
            if let Entry::Vacant(place) = self.streams.entry(point.stream) {
                place.insert(read_stream(connection, point.stream)?.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Whether taking these points in would change no counter. They are prepared.
    pub fn knows_all(&self, points: &[Point]) -> bool {
        let knows = |point: &Point| {
            self.streams
                .get(&point.stream)
                .is_some_and(|kept| kept.known && kept.stream.knows(point))
        };
        points.iter().all(knows)
    }

    /// Takes points in. They are prepared. `now_ms` only says when a stream was heard of last.
    pub fn apply(&mut self, points: &[Point], now_ms: i64) {
        for point in points {
            let kept = self.streams.entry(point.stream).or_default();
            let increment = kept.stream.accept(point);
            (kept.known, kept.dirty, kept.seen_ms) = (true, true, now_ms);
            let series = match &kept.target {
                Some((labels, series)) if *labels == point.labels => *series,
                _ => {
                    let series = self.series.id(&point.metric, &point.labels);
                    kept.target = Some((point.labels.clone(), series));
                    series
                }
            };
            self.series.add(series, increment);
        }
    }

    /// Writes what changed since the last call, inside the caller's transaction.
    pub fn save(
        &self,
        connection: &Connection,
        changed_series: impl Iterator<Item = u32>,
    ) -> rusqlite::Result<()> {
        let mut upsert = connection.prepare_cached(
            "INSERT INTO series(id, labels, start_ms, value, changed_ms, live) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT(id) DO UPDATE SET start_ms=?3, value=?4, changed_ms=?5, live=?6",
        )?;
        for id in changed_series {
            if let Some(series) = self.series.list().get(id as usize) {
                upsert.execute(params![
                    id,
                    labels_to_json(&series.labels),
                    series.start_ms,
                    series.value,
                    series.changed_ms,
                    series.live
                ])?;
            }
        }
        let mut upsert = connection.prepare_cached(
            "INSERT INTO stream(key, seen_ms, state) VALUES(?1, ?2, ?3) ON CONFLICT(key) DO UPDATE SET seen_ms=?2, state=?3",
        )?;
        for (key, kept) in self.streams.iter().filter(|(_, kept)| kept.dirty) {
            upsert.execute(params![key.to_le_bytes(), kept.seen_ms, kept.stream.to_bytes()])?;
        }
        Ok(())
    }

    /// After the transaction of `save` is committed: what is on disk may leave memory.
    pub fn saved(&mut self) {
        for kept in self.streams.values_mut() {
            kept.dirty = false;
        }
        if self.streams.len() > STREAMS_IN_MEMORY_MAX {
            self.streams = HashMap::new();
        }
    }

    /// Forgets streams that have been silent for long, inside the caller's transaction.
    pub fn forget_old_streams(connection: &Connection, now_ms: i64) -> rusqlite::Result<usize> {
        connection.execute("DELETE FROM stream WHERE seen_ms < ?1", [now_ms - STREAM_KEPT_MS])
    }
}

fn read_stream(connection: &Connection, key: u128) -> rusqlite::Result<Option<Kept>> {
    let mut query = connection.prepare_cached("SELECT seen_ms, state FROM stream WHERE key=?1")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?));
    let found = query.query_row([key.to_le_bytes()], read).optional()?;
    Ok(found.map(|(seen_ms, state)| Kept {
        stream: Stream::from_bytes(&state).unwrap_or_default(),
        known: true,
        seen_ms,
        ..Kept::default()
    }))
}
