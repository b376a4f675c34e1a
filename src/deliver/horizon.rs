//! Horizon: how an outage that is longer than a backend's memory keeps its totals.
//!
//! Prometheus without an out-of-order window refuses samples an hour behind the newest it has from
//! anybody. Values are cumulative, so nothing but their time is lost if the part of a backlog behind
//! that horizon becomes one step at it:
//!
//! ```text
//! value            ┌── true samples
//!   V        ┌─────┘
//!   A  ──────┘                 flat, as `increase` extrapolates from too few points
//!      H ─── H+5 min ────── now
//! ```
//!
//! A is the last value that the backend took. It is known for what this run of the agent has sent;
//! after a restart the first value that is left out stands for it.
//!
//! A backend is taken to have a horizon, for a day, once it refused every old sample of a batch. No
//! clock is read here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::handle::SeriesSamples;

/// Prometheus' limit is an hour behind its newest sample. Of that, 15 min are for clocks: this
/// machine's may be slow, and the newest sample that of one whose clock is fast.
pub const HORIZON_MS: i64 = 45 * 60 * 1000;
/// What is sent has to arrive before it is too old.
const MARGIN_MS: i64 = 2 * 60 * 1000;
/// The flat stretch before the step.
const FLAT_SAMPLES: i64 = 5;
const FLAT_SPACING_MS: i64 = 60 * 1000;
/// After this long the backend may have got an out-of-order window.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// More series than the store keeps; beyond, values are not remembered.
const SERIES_MAX: usize = 6000;

/// What is known of one backend.
#[derive(Debug, Default)]
pub struct Horizon {
    known_until: Option<Instant>,
    /// The last value taken of each series, by a hash of its labels.
    taken: HashMap<u64, f64>,
    /// The value from which a series whose samples were left out goes on.
    carried: HashMap<u64, f64>,
}

impl Horizon {
    pub fn learn(&mut self, now: Instant) {
        self.known_until = Some(now + KNOWN_FOR);
    }

    pub fn is_known(&self, now: Instant) -> bool {
        self.known_until.is_some_and(|until| now < until)
    }

    /// These were taken.
    pub fn taken(&mut self, series: &[SeriesSamples]) {
        for one in series {
            let key = key(one);
            if let Some((_, value)) = one.samples.last()
                && (self.taken.len() < SERIES_MAX || self.taken.contains_key(&key))
            {
                self.taken.insert(key, *value);
            }
        }
    }

    /// These were refused for their age.
    pub fn left_out(&mut self, series: &[SeriesSamples]) {
        for one in series {
            if let Some((_, first)) = one.samples.first() {
                let key = key(one);
                let from = self.taken.get(&key).copied().unwrap_or(*first);
                if self.carried.len() < SERIES_MAX {
                    self.carried.entry(key).or_insert(from);
                }
            }
        }
    }

    /// Leaves out what is behind the horizon, if there is one, and puts the flat stretch before the
    /// first samples of a series that had some left out: how many samples were.
    pub fn apply(&mut self, series: &mut Vec<SeriesSamples>, now_ms: i64, now: Instant) -> u64 {
        let horizon_ms = now_ms - HORIZON_MS + MARGIN_MS;
        let mut left_out = 0;
        if self.is_known(now) {
            for one in &mut *series {
                // What lies within the margin has been put right before, and still arrives.
                let reaches_back =
                    one.samples.first().is_some_and(|(time_ms, _)| *time_ms < now_ms - HORIZON_MS);
                if reaches_back {
                    let border = one.samples.partition_point(|(time_ms, _)| *time_ms < horizon_ms);
                    self.left_out(std::slice::from_ref(one));
                    one.samples.drain(..border);
                    left_out += border as u64;
                }
            }
            series.retain(|one| !one.samples.is_empty());
        }
        if !self.carried.is_empty() {
            for one in series {
                if let Some(from) = self.carried.remove(&key(one)) {
                    left_out += step(&mut one.samples, horizon_ms, from);
                }
            }
        }
        left_out
    }
}

/// A flat stretch of `from`, beginning at the horizon, then the samples behind it; of those in its
/// way only the last one stays where there is none later. How many went.
fn step(samples: &mut Vec<(i64, f64)>, horizon_ms: i64, from: f64) -> u64 {
    let flat_until_ms = horizon_ms + FLAT_SAMPLES * FLAT_SPACING_MS;
    let in_the_way = samples
        .partition_point(|(time_ms, _)| *time_ms < flat_until_ms)
        .min(samples.len().saturating_sub(1));
    samples.drain(..in_the_way);
    let first_ms = samples.first().map_or(flat_until_ms, |(time_ms, _)| *time_ms);
    // One at least, for which the margin has room.
    let begin_ms = horizon_ms.min(first_ms - FLAT_SPACING_MS);
    let flat = (0..FLAT_SAMPLES)
        .map(|index| begin_ms + index * FLAT_SPACING_MS)
        .filter(|time_ms| *time_ms < first_ms)
        .map(|time_ms| (time_ms, from));
    samples.splice(..0, flat.collect::<Vec<_>>());
    in_the_way as u64
}

fn key(series: &SeriesSamples) -> u64 {
    let mut hasher = DefaultHasher::new();
    series.labels.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deliver::samples::series;

    const NOW_MS: i64 = 1_795_262_400_000;
    const MINUTE_MS: i64 = 60_000;

    fn cost(samples: &[(i64, f64)]) -> SeriesSamples {
        let samples: Vec<_> =
            samples.iter().map(|(minute, value)| (NOW_MS + minute * MINUTE_MS, *value)).collect();
        series(&[("__name__", "cost_total")], 0, &samples)
    }

    fn minutes(series: &SeriesSamples) -> Vec<(i64, f64)> {
        series
            .samples
            .iter()
            .map(|(time_ms, value)| ((time_ms - NOW_MS) / MINUTE_MS, *value))
            .collect()
    }

    #[test]
    fn an_outage_becomes_a_step_at_the_horizon() {
        let mut horizon = Horizon::default();
        let now = Instant::now();
        horizon.learn(now);
        horizon.taken(&[cost(&[(-5000, 40.0)])]);
        // One batch that is behind the horizon altogether, one across it.
        let mut batch = vec![cost(&[(-4000, 41.0), (-3000, 50.0)])];
        assert_eq!(horizon.apply(&mut batch, NOW_MS, now), 2);
        assert!(batch.is_empty());
        let mut batch = vec![cost(&[(-2000, 60.0), (-42, 70.0), (-30, 90.0), (-1, 100.0)])];
        assert_eq!(horizon.apply(&mut batch, NOW_MS, now), 2);
        assert_eq!(
            minutes(&batch[0]),
            [
                (-43, 40.0),
                (-42, 40.0),
                (-41, 40.0),
                (-40, 40.0),
                (-39, 40.0),
                (-30, 90.0),
                (-1, 100.0)
            ]
        );
        // Done once: sending it again adds nothing.
        let before = batch.clone();
        assert_eq!(horizon.apply(&mut batch, NOW_MS, now), 0);
        assert_eq!(batch, before);
    }

    #[test]
    fn a_total_that_ends_in_the_flat_stretch_still_arrives() {
        let mut horizon = Horizon::default();
        horizon.left_out(&[cost(&[(-500, 7.0)])]);
        let mut batch = vec![cost(&[(-42, 8.0), (-40, 9.0)])];
        assert_eq!(horizon.apply(&mut batch, NOW_MS, Instant::now()), 1);
        assert_eq!(minutes(&batch[0]), [(-43, 7.0), (-42, 7.0), (-41, 7.0), (-40, 9.0)]);
    }

    #[test]
    fn without_a_horizon_everything_is_sent() {
        let mut horizon = Horizon::default();
        let mut batch = vec![cost(&[(-5000, 1.0), (-1, 2.0)])];
        let before = batch.clone();
        assert_eq!(horizon.apply(&mut batch, NOW_MS, Instant::now()), 0);
        assert_eq!(batch, before);
        let start = Instant::now();
        horizon.learn(start);
        assert!(horizon.is_known(start) && !horizon.is_known(start + KNOWN_FOR));
    }

    proptest! {
        #[test]
        fn the_growth_is_exact_and_times_ascend(
            steps in prop::collection::btree_map(-5000_i64..0, 0_u32..100, 1..40),
            taken in 0_u32..100,
        ) {
            let mut total = f64::from(taken);
            let samples: Vec<_> = steps
                .into_iter()
                .map(|(minute, growth)| {
                    total += f64::from(growth);
                    (minute, total)
                })
                .collect();
            let mut horizon = Horizon::default();
            let now = Instant::now();
            horizon.learn(now);
            horizon.taken(&[cost(&[(-6000, f64::from(taken))])]);
            let mut batch = vec![cost(&samples)];
            let left_out = horizon.apply(&mut batch, NOW_MS, now);
            if let Some(sent) = batch.first() {
                prop_assert!(sent.samples.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
                prop_assert_eq!(sent.samples.last().map(|last| last.1), Some(total));
                if left_out > 0 {
                    prop_assert_eq!(sent.samples.first().map(|first| first.1), Some(f64::from(taken)));
                }
            } else {
                prop_assert_eq!(left_out, samples.len() as u64);
            }
        }
    }
}
