//! Source streams: from the points that Claude Code sends to increments, each counted once.
//!
//! A stream is what one process sends for one attribute set; record keys it by a hash that includes the
//! launch, the session and, for cumulative streams, the start time, so a restarted counter is a new
//! stream and counts from 0.
//!
//! | point | rule |
//! | --- | --- |
//! | cumulative, start known | what exceeds the largest value counts, whatever its time: a retry that arrives late is smaller, and a clock may be set back. A smaller value is not a reset |
//! | cumulative, start 0 (unknown) | older than the last: ignored. Otherwise the same, but smaller is a reset and counts whole |
//! | delta | counts, unless the very same `(start, end)` was seen; late ones count too |

use crate::record::{Point, Temporality};

/// Exact intervals remembered a delta stream. A body that is sent again is recognised by its hash
/// for an hour; these catch the same point in another body, at 10 s an export for five minutes.
const INTERVALS_MAX: usize = 32;

/// What is known of one source stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// Largest `timeUnixNano` seen.
    pub time_ns: u64,
    /// Last cumulative value; unused for delta streams.
    pub value: f64,
    /// Delta streams: the latest exact `(start, end)` pairs, oldest first.
    pub intervals: Vec<(u64, u64)>,
}

impl Stream {
    /// How much `point` adds, without taking it in: 0 where it says nothing new.
    pub fn increment(&self, point: &Point) -> f64 {
        match point.temporality {
            Temporality::Delta if self.intervals.contains(&(point.start_ns, point.time_ns)) => 0.0,
            Temporality::Delta => point.value,
            Temporality::Cumulative if self.is_late(point) => 0.0,
            Temporality::Cumulative if point.value >= self.value => point.value - self.value,
            Temporality::Cumulative if point.start_ns == 0 => point.value,
            Temporality::Cumulative => 0.0,
        }
    }

    /// Whether taking `point` in would leave this stream as it is, but for the time.
    pub fn knows(&self, point: &Point) -> bool {
        match point.temporality {
            Temporality::Delta => self.intervals.contains(&(point.start_ns, point.time_ns)),
            Temporality::Cumulative => self.increment(point) <= 0.0 && !self.resets(point),
        }
    }

    /// Takes `point` in and returns how much it adds.
    pub fn accept(&mut self, point: &Point) -> f64 {
        let increment = self.increment(point);
        match point.temporality {
            Temporality::Delta => self.remember((point.start_ns, point.time_ns)),
            Temporality::Cumulative => {
                if !self.is_late(point) && (point.value > self.value || self.resets(point)) {
                    self.value = point.value;
                }
            }
        }
        self.time_ns = self.time_ns.max(point.time_ns);
        increment
    }

    /// Before the last reset, perhaps: its value says nothing.
    fn is_late(&self, point: &Point) -> bool {
        point.start_ns == 0 && point.time_ns < self.time_ns
    }

    fn resets(&self, point: &Point) -> bool {
        point.start_ns == 0 && point.time_ns >= self.time_ns && point.value < self.value
    }

    fn remember(&mut self, interval: (u64, u64)) {
        if self.intervals.contains(&interval) {
            return;
        }
        if self.intervals.len() == INTERVALS_MAX {
            self.intervals.remove(0);
        }
        self.intervals.push(interval);
    }

    /// `time, value, intervals…`, little-endian, 16 bytes each pair.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 16 * self.intervals.len());
        bytes.extend(self.time_ns.to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
        for (start, end) in &self.intervals {
            bytes.extend(start.to_le_bytes());
            bytes.extend(end.to_le_bytes());
        }
        bytes
    }

    /// `None` where the length is not that of a stream.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<16>();
        let (head, intervals) = pairs.split_first()?;
        if !rest.is_empty() {
            return None;
        }
        let halves = |pair: &[u8; 16]| {
            let (first, second) = pair.split_at(8);
            Some((
                u64::from_le_bytes(first.try_into().ok()?),
                u64::from_le_bytes(second.try_into().ok()?),
            ))
        };
        let (time_ns, value) = halves(head)?;
        let intervals = intervals.iter().map(halves).collect::<Option<Vec<_>>>()?;
        Some(Self { time_ns, value: f64::from_bits(value), intervals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(temporality: Temporality, start_ns: u64, time_ns: u64, value: f64) -> Point {
        Point {
            metric: "m".into(),
            labels: Vec::new(),
            stream: 1,
            start_ns,
            time_ns,
            value,
            temporality,
        }
    }

    fn total(points: &[Point]) -> f64 {
        let mut stream = Stream::default();
        points.iter().map(|point| stream.accept(point)).sum()
    }

    #[test]
    fn the_first_cumulative_value_counts_from_zero() {
        assert_eq!(total(&[point(Temporality::Cumulative, 5, 10, 3.5)]), 3.5);
    }

    #[test]
    fn a_retry_that_arrives_after_newer_data_changes_nothing() {
        let points = [
            point(Temporality::Cumulative, 5, 10, 50.0),
            point(Temporality::Cumulative, 5, 30, 303.0),
            point(Temporality::Cumulative, 5, 20, 100.0),
            point(Temporality::Cumulative, 5, 40, 310.0),
        ];
        assert_eq!(total(&points), 310.0);
    }

    #[test]
    fn a_clock_set_back_hides_no_growth() {
        let points = [
            point(Temporality::Cumulative, 5, 1_000, 50.0),
            point(Temporality::Cumulative, 5, 10, 53.0),
            point(Temporality::Cumulative, 5, 20, 54.0),
        ];
        assert_eq!(total(&points), 54.0);
    }

    #[test]
    fn a_smaller_newer_value_is_a_reset_only_where_the_start_is_unknown() {
        let known = [
            point(Temporality::Cumulative, 5, 10, 9.0),
            point(Temporality::Cumulative, 5, 20, 4.0),
        ];
        assert_eq!(total(&known), 9.0);
        let unknown = [
            point(Temporality::Cumulative, 0, 10, 9.0),
            point(Temporality::Cumulative, 0, 20, 4.0),
            point(Temporality::Cumulative, 0, 30, 5.0),
        ];
        assert_eq!(total(&unknown), 14.0);
    }

    #[test]
    fn delta_points_count_once_each_and_late_ones_too() {
        let points = [
            point(Temporality::Delta, 0, 10, 1.0),
            point(Temporality::Delta, 20, 30, 4.0),
            point(Temporality::Delta, 10, 20, 2.0),
            point(Temporality::Delta, 20, 30, 4.0),
        ];
        assert_eq!(total(&points), 7.0);
    }

    #[test]
    fn knows_exactly_what_would_change_nothing() {
        let mut stream = Stream::default();
        let first = point(Temporality::Cumulative, 5, 10, 2.0);
        assert!(!stream.knows(&first));
        stream.accept(&first);
        assert!(stream.knows(&point(Temporality::Cumulative, 5, 20, 2.0)));
        assert!(!stream.knows(&point(Temporality::Cumulative, 5, 20, 2.5)));
    }

    #[test]
    fn bytes_come_back_as_they_went() {
        let mut stream = Stream { time_ns: 7, value: 1.25, intervals: Vec::new() };
        for end in 0..40 {
            stream.remember((end, end + 1));
        }
        assert_eq!(stream.intervals.len(), INTERVALS_MAX);
        assert_eq!(Stream::from_bytes(&stream.to_bytes()), Some(stream));
        assert_eq!(Stream::from_bytes(&[0; 17]), None);
        assert_eq!(Stream::from_bytes(&[]), None);
    }
}
