//! How long things took: a histogram for each UTC day, facet and kind, so that percentiles of a year
//! need not read its requests.
//!
//! Buckets are exact below 8 ms, and eight an octave above: a percentile is right to within 6 %.
//!
//! The durations of a kind and day are one pack, at the place `kind << 40 | start_minute`, a list in
//! order of facets. All numbers are LEB128:
//!
//! ```text
//! (facet difference) (total_ms) (output_tokens) (buckets) then of each bucket: (difference) (count)
//! ```

use std::collections::BTreeMap;

use rusqlite::Transaction;

use super::facts::{self, Fact, Request};
use super::grain::Grain;
use super::packs::{MINUTE_BITS, put, take};
use super::sums::merge;

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
    pub const ALL: [Self; 3] = [Self::Request, Self::FirstToken, Self::Tool];

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
pub struct Histogram(Vec<u64>);

impl Histogram {
    pub fn add(&mut self, duration_ms: i64) {
        self.put(bucket(duration_ms), 1);
    }

    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in (0_u16..).zip(&other.0) {
            self.put(bucket, *count);
        }
    }

    fn put(&mut self, bucket: u16, count: u64) {
        let bucket = usize::from(bucket.min(BUCKET_MAX));
        if bucket >= self.0.len() {
            self.0.resize(bucket + 1, 0);
        }
        self.0[bucket] = self.0[bucket].saturating_add(count);
    }

    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
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
        let mut seen: u64 = 0;
        (0_u16..).zip(&self.0).find_map(|(bucket, count)| {
            seen = seen.saturating_add(*count);
            (seen >= rank).then(|| middle_ms(bucket))
        })
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

/// Where the pack of a kind and day is.
pub fn place(kind: Kind, day_minute: i64) -> i64 {
    (kind.column() << MINUTE_BITS) + day_minute
}

/// Adds what a pack holds, as far as it can be read.
pub fn read(mut bytes: &[u8], sums: &mut impl Place) {
    let mut facet = 0;
    while let Some(step) = take(&mut bytes) {
        facet += small(step);
        let Some(()) = read_one(&mut bytes, sums.place(facet)) else { return };
    }
}

/// Knows what the durations of a facet are added to.
pub trait Place {
    fn place(&mut self, facet: i64) -> &mut Duration;
}

impl Place for BTreeMap<i64, Duration> {
    fn place(&mut self, facet: i64) -> &mut Duration {
        self.entry(facet).or_default()
    }
}

fn read_one(bytes: &mut &[u8], into: &mut Duration) -> Option<()> {
    into.total_ms = into.total_ms.saturating_add(small(take(bytes)?));
    into.output_tokens = into.output_tokens.saturating_add(small(take(bytes)?));
    let mut bucket = 0_u16;
    for _ in 0..take(bytes)? {
        let (step, count) = (take(bytes)?, take(bytes)?);
        bucket = bucket.saturating_add(u16::try_from(step).ok()?);
        into.histogram.put(bucket, count);
    }
    Some(())
}

fn write(durations: &BTreeMap<i64, Duration>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(durations.len() * 24);
    let mut facet_before = 0;
    for (facet, duration) in durations {
        put(&mut bytes, positive(facet - facet_before));
        facet_before = *facet;
        put(&mut bytes, positive(duration.total_ms));
        put(&mut bytes, positive(duration.output_tokens));
        let counts = &duration.histogram.0;
        put(&mut bytes, counts.iter().filter(|count| **count > 0).count() as u64);
        let mut bucket_before = 0;
        for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            put(&mut bytes, (bucket - bucket_before) as u64);
            put(&mut bytes, *count);
            bucket_before = bucket;
        }
    }
    bytes
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Far below what could overflow when a few are added.
fn small(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0).min(1 << 52)
}

/// Durations of a page, by place and facet.
#[derive(Debug, Default)]
pub struct Durations(BTreeMap<i64, BTreeMap<i64, Duration>>);

impl Durations {
    pub fn add_fact(&mut self, facet: i64, event: &Fact) {
        match &event.kind {
            facts::Kind::Request(request) => self.add_request(event.time_ms, facet, request),
            facts::Kind::ToolResult(result) => {
                self.add(Kind::Tool, event.time_ms, facet, result.duration_ms, 0);
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
        let of_day = self.0.entry(place(kind, day)).or_default();
        of_day.entry(facet).or_default().add(duration_ms, output_tokens.max(0));
    }

    /// Adds everything to what is there.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        merge(transaction, "duration_pack", self.0, |sums, known| {
            read(known, sums);
            write(sums)
        })
    }
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
        fn what_is_written_is_read(
            durations in prop::collection::vec((0_i64..9, -5_i64..(1 << 40), 0_i64..99), 0..60),
        ) {
            let mut written: BTreeMap<i64, Duration> = BTreeMap::new();
            for (facet, ms, tokens) in durations {
                written.entry(facet).or_default().add(ms, tokens);
            }
            let mut found = BTreeMap::new();
            read(&write(&written), &mut found);
            prop_assert_eq!(found, written);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            read(&bytes, &mut BTreeMap::new());
        }
    }
}
