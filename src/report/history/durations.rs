//! How long things took: a histogram for each UTC day, facet and kind, so that percentiles of a year
//! need not read its requests.
//!
//! Buckets are exact below 8 ms, and eight an octave above: a percentile is right to within 6 %. A
//! histogram is stored as pairs of variable-length numbers (LEB128): how far the bucket lies behind
//! the one before, and how many it holds.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension, Transaction, params};

use super::facts::{self, Fact, Request};
use super::grain::Grain;

const MINUTE_MS: i64 = 60_000;
/// Buckets an octave, as a power of 2.
const FINE_BITS: u32 = 3;
/// Highest bucket: of durations that no clock measures.
const BUCKET_MAX: u16 = (63 - 3 + 2) * 8;

/// What took its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Request,
    FirstToken,
    Tool,
}

impl Kind {
    /// The number in the column `kind`.
    pub fn column(self) -> i64 {
        match self {
            Self::Request => 0,
            Self::FirstToken => 1,
            Self::Tool => 2,
        }
    }
}

/// Durations of one kind, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duration {
    pub histogram: Histogram,
    pub total_ms: i64,
    /// Of the requests whose duration is known.
    pub output_tokens: i64,
}

impl Duration {
    pub fn add(&mut self, duration_ms: i64, output_tokens: i64) {
        self.histogram.add(duration_ms);
        self.total_ms += duration_ms.max(0);
        self.output_tokens += output_tokens;
    }

    pub fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.total_ms += other.total_ms;
        self.output_tokens += other.output_tokens;
    }

    /// Tokens written a second; `None` where nothing is known.
    pub fn output_tokens_per_second(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let (tokens, ms) = (self.output_tokens as f64, self.total_ms as f64);
        (ms > 0.0).then(|| tokens * 1e3 / ms)
    }
}

/// How many durations lie in each bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u16, u64>);

impl Histogram {
    pub fn add(&mut self, duration_ms: i64) {
        *self.0.entry(bucket(duration_ms)).or_default() += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// The duration that a share `part` (0 to 1) does not exceed; `None` if there is none at all.
    pub fn quantile_ms(&self, part: f64) -> Option<f64> {
        let count = self.count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among counts far below 2^53"
        )]
        let rank = ((count as f64 * part).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        self.0.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle_ms(*bucket))
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 2);
        let mut before = 0;
        for (bucket, count) in &self.0 {
            put(&mut bytes, u64::from(bucket - before));
            put(&mut bytes, *count);
            before = *bucket;
        }
        bytes
    }

    /// What cannot be read is left out: percentiles are not worth failing for.
    pub fn from_bytes(mut bytes: &[u8]) -> Self {
        let mut histogram = Self::default();
        let mut bucket = 0_u16;
        while let (Some(step), Some(count)) = (take(&mut bytes), take(&mut bytes)) {
            let Ok(step) = u16::try_from(step) else { break };
            bucket = bucket.saturating_add(step);
            let known = histogram.0.entry(bucket).or_default();
            *known = known.saturating_add(count);
        }
        histogram
    }
}

fn bucket(duration_ms: i64) -> u16 {
    let ms = u64::try_from(duration_ms).unwrap_or(0);
    if ms < 1 << FINE_BITS {
        return u16::try_from(ms).unwrap_or(0);
    }
    let octave = ms.ilog2() - FINE_BITS;
    let fine = (ms >> octave) - (1 << FINE_BITS);
    u16::try_from((u64::from(octave) + 1) * 8 + fine).unwrap_or(BUCKET_MAX).min(BUCKET_MAX)
}

fn middle_ms(bucket: u16) -> f64 {
    if bucket < 8 {
        return f64::from(bucket);
    }
    let octave = f64::from(bucket / 8 - 1);
    (f64::from(bucket % 8) + 8.5) * octave.exp2() - 0.5
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or(0));
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Durations of a page, by (day, facet, kind).
#[derive(Debug, Default)]
pub struct Durations(HashMap<(i64, i64, Kind), Duration>);

impl Durations {
    pub fn add_fact(&mut self, facet: i64, fact: &Fact) {
        match &fact.kind {
            facts::Kind::Request(request) => self.add_request(fact.time_ms, facet, request),
            facts::Kind::ToolResult(result) => {
                self.add(Kind::Tool, fact.time_ms, facet, result.duration_ms, 0);
            }
            _ => {}
        }
    }

    pub fn add_request(&mut self, time_ms: i64, facet: i64, request: &Request) {
        self.add(Kind::Request, time_ms, facet, request.duration_ms, request.output_tokens);
        self.add(Kind::FirstToken, time_ms, facet, request.ttft_ms, 0);
    }

    pub fn add(
        &mut self,
        kind: Kind,
        time_ms: i64,
        facet: i64,
        duration_ms: Option<i64>,
        output_tokens: i64,
    ) {
        let Some(duration_ms) = duration_ms else { return };
        let day = Grain::Day.floor(time_ms.div_euclid(MINUTE_MS));
        self.0.entry((day, facet, kind)).or_default().add(duration_ms, output_tokens);
    }

    /// Adds everything to what is there.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut known = transaction.prepare_cached(
            "SELECT total_ms, output_tokens, histogram FROM duration
             WHERE start_minute = ? AND facet_id = ? AND kind = ?",
        )?;
        let mut replace = transaction
            .prepare_cached("INSERT OR REPLACE INTO duration VALUES (?, ?, ?, ?, ?, ?)")?;
        for ((day, facet, kind), mut duration) in self.0 {
            let place = params![day, facet, kind.column()];
            if let Some(known) = known.query_row(place, |row| from_row(row, 0)).optional()? {
                duration.merge(&known);
            }
            replace.execute(params![
                day,
                facet,
                kind.column(),
                duration.total_ms,
                duration.output_tokens,
                duration.histogram.to_bytes()
            ])?;
        }
        Ok(())
    }
}

/// From the columns `total_ms`, `output_tokens` and `histogram`, the first of them at `index`.
pub fn from_row(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Duration> {
    Ok(Duration {
        total_ms: row.get(index)?,
        output_tokens: row.get(index + 1)?,
        histogram: Histogram::from_bytes(row.get_ref(index + 2)?.as_blob()?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_durations_are_exact() {
        for ms in 0..8 {
            assert_eq!(middle_ms(bucket(ms)), f64::from(u16::try_from(ms).unwrap()));
        }
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }

    #[test]
    fn percentiles_are_those_of_what_was_added() {
        let mut histogram = Histogram::default();
        for ms in 1..=1000 {
            histogram.add(ms);
        }
        for (part, expected) in [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)] {
            let found = histogram.quantile_ms(part).unwrap();
            assert!((found - expected).abs() <= expected * 0.06, "{part}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_within_six_percent(ms in 0_i64..(1 << 40)) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^40")]
            let (exact, middle) = (ms as f64, middle_ms(bucket(ms)));
            prop_assert!((middle - exact).abs() <= exact * 0.0625, "{exact}: {middle}");
        }

        #[test]
        fn what_is_written_is_read(durations in prop::collection::vec(-5_i64..(1 << 40), 0..60)) {
            let mut histogram = Histogram::default();
            durations.iter().for_each(|ms| histogram.add(*ms));
            prop_assert_eq!(Histogram::from_bytes(&histogram.to_bytes()), histogram);
        }

        #[test]
        fn any_bytes_are_a_histogram(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Histogram::from_bytes(&bytes);
        }
    }
}
