//! Series and events for this room's tests.

use std::sync::Arc;

use proptest::prelude::*;

use crate::record::{Event, Value};
use crate::store::handle::SeriesSamples;

pub fn labels(pairs: &[(&str, &str)]) -> Vec<(Arc<str>, Arc<str>)> {
    pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
}

pub fn series(pairs: &[(&str, &str)], start_ms: i64, samples: &[(i64, f64)]) -> SeriesSamples {
    let before = samples.first().map_or(0.0, |(_, value)| *value);
    SeriesSamples { labels: Arc::new(labels(pairs)), start_ms, before, samples: samples.to_vec() }
}

pub fn event(time_ns: u64, attributes: &[(&str, &str)]) -> Event {
    Event {
        time_ns,
        name: "api_request".into(),
        body: "claude_code.api_request".into(),
        service: "claude-code".into(),
        tags: labels(&[("project", "checkout"), ("team", "payments")]),
        id: u128::from(time_ns),
        attributes: attributes
            .iter()
            .map(|(name, value)| (Arc::from(*name), Value::Text(Arc::from(*value))))
            .collect(),
    }
}

/// What of a series' labels belongs on the wire.
pub fn wire_labels(series: &SeriesSamples) -> Vec<(String, String)> {
    series
        .labels
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// Sorted, unique labels, some of them empty, and ascending samples.
pub fn any_series() -> impl Strategy<Value = SeriesSamples> {
    let labels = prop::collection::btree_map("[a-z_]{1,8}", ".{0,12}", 0..6);
    let samples = prop::collection::btree_map(1_i64..4_000_000_000_000, 0.0_f64..1e12, 1..6);
    (labels, samples, 0_i64..4_000_000_000_000).prop_map(|(labels, samples, start_ms)| {
        SeriesSamples {
            labels: Arc::new(
                labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            ),
            start_ms,
            before: 0.0,
            samples: samples.into_iter().collect(),
        }
    })
}
