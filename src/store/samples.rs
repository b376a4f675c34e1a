//! Samples: what one tick of the sampler changed, as a row.
//!
//! A row holds only the series that changed, each with its value before and after. Values at any
//! earlier row are therefore found by walking back from the current ones, and heartbeats of series
//! that stayed flat are made when a destination is sent the row.
//!
//! ```text
//! body  = version:u8 (1) · count:varint · entry…
//! entry = series:varint · flags:u8 (1 was live, 2 is live) · before:8 bytes · after:8 bytes
//! ```

use super::row::RowError;
use super::wire::{Reader, Writer};

const VERSION: u8 = 1;
const WAS_LIVE: u8 = 1;
const IS_LIVE: u8 = 2;

/// One series in one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    pub series: u32,
    /// Sent with heartbeats before this tick; not so for a new series, or one that woke up.
    pub was_live: bool,
    /// Sent with heartbeats from this tick on; not so for one that is retired here.
    pub is_live: bool,
    pub before: f64,
    pub after: f64,
}

/// One row of `samples`.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplesRow {
    pub row: i64,
    /// Time of its samples, strictly increasing from row to row.
    pub tick_ms: i64,
    /// Time of the samples that go before: the 0 of a new series, the old value after a gap. Larger than
    /// the previous row's `tick_ms`.
    pub lead_ms: i64,
    /// Series that did not change are sent too.
    pub full: bool,
    /// The sampler slept before this tick.
    pub gap: bool,
    pub entries: Vec<Entry>,
}

pub fn write_entries(entries: &[Entry]) -> Vec<u8> {
    let mut body = Writer::default();
    body.byte(VERSION);
    body.varint(entries.len() as u64);
    for entry in entries {
        body.varint(u64::from(entry.series));
        body.byte((u8::from(entry.was_live) * WAS_LIVE) | (u8::from(entry.is_live) * IS_LIVE));
        body.bytes(&entry.before.to_le_bytes());
        body.bytes(&entry.after.to_le_bytes());
    }
    body.into_bytes()
}

pub fn read_entries(body: &[u8]) -> Result<Vec<Entry>, RowError> {
    let mut reader = Reader::new(body);
    match reader.byte() {
        Some(VERSION) => {}
        Some(other) => return Err(RowError::Version(other)),
        None => return Err(RowError::Damaged(0)),
    }
    let damaged = RowError::Damaged(body.len());
    let count = reader.count().ok_or_else(|| damaged.clone())?;
    (0..count).map(|_| read_entry(&mut reader).ok_or_else(|| damaged.clone())).collect()
}

fn read_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let series = u32::try_from(reader.varint()?).ok()?;
    let flags = reader.byte()?;
    Some(Entry {
        series,
        was_live: flags & WAS_LIVE != 0,
        is_live: flags & IS_LIVE != 0,
        before: f64::from_le_bytes(reader.array()?),
        after: f64::from_le_bytes(reader.array()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_damage_is_said() {
        let entries = vec![
            Entry { series: 0, was_live: false, is_live: true, before: 0.0, after: 1.5 },
            Entry { series: 300, was_live: true, is_live: false, before: 7.0, after: 7.0 },
        ];
        let body = write_entries(&entries);
        assert_eq!(read_entries(&body), Ok(entries));
        assert!(read_entries(&body[..body.len() - 1]).is_err());
        assert_eq!(read_entries(&[7]), Err(RowError::Version(7)));
    }
}
