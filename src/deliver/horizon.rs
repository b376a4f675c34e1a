//! Horizon: how an outage that is longer than a backend's memory keeps its totals.
//!
//! Prometheus without an out-of-order window refuses samples an hour behind the newest it has from
//! anybody. Values are cumulative, so nothing but their time is lost if the part of a backlog behind
//! that horizon becomes one step near it:
//!
//! ```text
//! value                              ┌── true samples
//!   V              ┌─────────────────┘
//!   A  ────────────┘
//!      H ───── H + 5 min ────────── now      every 20 s
//! ```
//!
//! A is the value before the first sample that was left out, which the backend has; V is the last one
//! that was left out. `increase` adds half a spacing at either end, so the stretch is filled with a
//! hundred points rather than two: the growth is then right to within one in a hundred.
//!
//! What was left out is remembered until samples of its series get through, over a restart too; a
//! series that has none any more is sent its last value once the backlog is empty.
//!
//! A backend is taken to have a horizon, for a day, once it refused every old sample of a batch. No
//! clock is read here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::Labels;
use crate::store::handle::SeriesSamples;

/// Prometheus' limit is an hour behind its newest sample. Of that, 15 min are for clocks: this
/// machine's may be slow, and the newest sample that of one whose clock is fast.
pub const HORIZON_MS: i64 = 45 * 60 * 1000;
/// What is sent has to arrive before it is too old.
const MARGIN_MS: i64 = 2 * 60 * 1000;
/// From the horizon to the step.
const FLAT_MS: i64 = 5 * 60 * 1000;
const SPACING_MS: i64 = 20 * 1000;
/// A value sent for a series that has no samples waiting: its next ones are later than this ago.
const REST_AGO_MS: i64 = 60 * 1000;
/// After this long the backend may have got an out-of-order window.
const KNOWN_FOR_MS: i64 = 24 * 3_600_000;
/// More series than the store keeps; beyond, values are not remembered.
const SERIES_MAX: usize = 6000;

/// What is known of one backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Horizon {
    /// In milliseconds since the epoch.
    known_since_ms: Option<i64>,
    carried: BTreeMap<Arc<Labels>, Carried>,
}

/// A series of which samples were left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Carried {
    start_ms: i64,
    /// What the backend has.
    from: f64,
    /// The last value that was left out.
    last: f64,
}

impl Horizon {
    pub fn learn(&mut self, now_ms: i64) {
        self.known_since_ms = Some(now_ms);
    }

    pub fn is_known(&self, now_ms: i64) -> bool {
        self.known_since_ms
            .is_some_and(|since_ms| (0..KNOWN_FOR_MS).contains(&now_ms.saturating_sub(since_ms)))
    }

    /// Another backend may have another horizon, or none. What was left out stays left out.
    pub fn forget_backend(&mut self) {
        self.known_since_ms = None;
    }

    /// These were refused for their age.
    pub fn left_out(&mut self, series: &[SeriesSamples]) {
        for one in series {
            let Some((_, last)) = one.samples.last() else { continue };
            if let Some(carried) = self.carried.get_mut(&one.labels) {
                carried.last = *last;
            } else if self.carried.len() < SERIES_MAX {
                let carried = Carried { start_ms: one.start_ms, from: one.before, last: *last };
                self.carried.insert(Arc::clone(&one.labels), carried);
            }
        }
    }

    /// Leaves out what is behind the horizon, if there is one, and puts the step before the first
    /// samples of a series that had some left out: how many samples were.
    pub fn apply(&mut self, series: &mut Vec<SeriesSamples>, now_ms: i64) -> u64 {
        let horizon_ms = now_ms - HORIZON_MS + MARGIN_MS;
        let mut left_out = 0;
        if self.is_known(now_ms) {
            for one in &mut *series {
                // What lies within the margin has been put right before, and still arrives.
                let reaches_back =
                    one.samples.first().is_some_and(|(time_ms, _)| *time_ms < now_ms - HORIZON_MS);
                if reaches_back {
                    let border = one.samples.partition_point(|(time_ms, _)| *time_ms < horizon_ms);
                    let young = one.samples.split_off(border);
                    left_out += border as u64;
                    self.left_out(std::slice::from_ref(one));
                    one.before = one.samples.last().map_or(one.before, |(_, value)| *value);
                    one.samples = young;
                }
            }
            series.retain(|one| !one.samples.is_empty());
        }
        if !self.carried.is_empty() {
            for one in series {
                if let Some(carried) = self.carried.remove(&one.labels) {
                    left_out += step(one, horizon_ms, carried);
                }
            }
        }
        left_out
    }

    /// Series that had samples left out, and none since: their last values, to be sent as of now.
    pub fn rest(&self, now_ms: i64) -> Vec<SeriesSamples> {
        let series = self.carried.iter().map(|(labels, carried)| SeriesSamples {
            labels: Arc::clone(labels),
            start_ms: carried.start_ms,
            before: carried.from,
            samples: vec![(now_ms - REST_AGO_MS, carried.last)],
        });
        series.collect()
    }

    pub fn has_rest(&self) -> bool {
        !self.carried.is_empty()
    }
}

/// The step from what the backend has to what was left out, before the samples that are left. Of
/// those in its way only the last one stays where there is none later. How many went.
fn step(series: &mut SeriesSamples, horizon_ms: i64, carried: Carried) -> u64 {
    let samples = &mut series.samples;
    let step_ms = horizon_ms + FLAT_MS;
    let in_the_way = samples
        .partition_point(|(time_ms, _)| *time_ms < step_ms)
        .min(samples.len().saturating_sub(1));
    let level = samples.drain(..in_the_way).next_back().map_or(carried.last, |(_, value)| value);
    let first_ms = samples.first().map_or(step_ms, |(time_ms, _)| *time_ms);
    // One at least, for which the margin has room.
    let begin_ms = horizon_ms.min(first_ms - SPACING_MS);
    let points = (0..)
        .map(|index| begin_ms + index * SPACING_MS)
        .take_while(|time_ms| *time_ms < first_ms)
        .map(|time_ms| (time_ms, if time_ms < step_ms { carried.from } else { level }));
    samples.splice(..0, points.collect::<Vec<_>>());
    series.before = carried.from;
    in_the_way as u64
}

/// As it is kept: labels are no key in JSON.
#[derive(Serialize, Deserialize)]
struct Kept {
    known_since_ms: Option<i64>,
    carried: Vec<(Vec<(String, String)>, Carried)>,
}

impl Serialize for Horizon {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |labels: &Labels| {
            labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let carried = self.carried.iter().map(|(labels, carried)| (text(labels), *carried));
        Kept { known_since_ms: self.known_since_ms, carried: carried.collect() }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Horizon {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(deserializer)?;
        let labels = |text: Vec<(String, String)>| {
            let labels = text.into_iter().map(|(name, value)| (name.into(), value.into()));
            Arc::new(labels.collect::<Labels>())
        };
        let carried = kept.carried.into_iter().map(|(text, carried)| (labels(text), carried));
        Ok(Self { known_since_ms: kept.known_since_ms, carried: carried.collect() })
    }
}

#[cfg(test)]
mod tests;
