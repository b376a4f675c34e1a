//! remote_write 2.0: `io.prometheus.write.v2.Request`, snappy block format.
//!
//! Declared by hand from the specification, 2.0-rc.4
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>). Strings stand once in `symbols`,
//! whose first is empty; every series says that it is a counter, and every sample since when.

use std::collections::HashMap;

use prost::Message;

use super::remote_write_v1::{snappy, unsnappy};
use super::wire::{Encoded, Wire};
use crate::store::handle::SeriesSamples;

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Pairs of name and value, as indices into `symbols`.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// When the counter was 0, in milliseconds since the epoch; 0 is unknown.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Metadata {
    #[prost(enumeration = "MetricType", tag = "1")]
    pub r#type: i32,
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    Unspecified = 0,
    Counter = 1,
    Gauge = 2,
}

/// The request for these series.
pub fn encode(series: &[SeriesSamples]) -> Encoded {
    let mut symbols = Symbols::new();
    let timeseries = series.iter().map(|series| time_series(series, &mut symbols)).collect();
    let request = Request { symbols: symbols.list, timeseries };
    Encoded {
        wire: Wire::RemoteWrite2,
        headers: Wire::RemoteWrite2.headers(),
        body: snappy(&request.encode_to_vec()),
    }
}

/// How many samples a request has that [`encode`] made.
pub fn samples_in(body: &[u8]) -> Option<u64> {
    let request = Request::decode(unsnappy(body)?.as_slice()).ok()?;
    Some(request.timeseries.iter().map(|series| series.samples.len() as u64).sum())
}

fn time_series<'a>(series: &'a SeriesSamples, symbols: &mut Symbols<'a>) -> TimeSeries {
    let labels_refs = series
        .labels
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .flat_map(|(name, value)| [symbols.refer(name), symbols.refer(value)])
        .collect();
    let samples = series
        .samples
        .iter()
        // A start at or after its sample means nothing, and is best left out: that is the 0 itself.
        .map(|&(timestamp, value)| Sample {
            value,
            timestamp,
            start_timestamp: if series.start_ms < timestamp { series.start_ms } else { 0 },
        })
        .collect();
    let metadata = Metadata { r#type: metric_type(series).into(), help_ref: 0, unit_ref: 0 };
    TimeSeries { labels_refs, samples, metadata: Some(metadata) }
}

/// Every series of the store is a counter; only the agent's own may be gauges, as their names say.
fn metric_type(series: &SeriesSamples) -> MetricType {
    let name = series.labels.iter().find(|(name, _)| &**name == "__name__");
    match name {
        Some((_, name)) if name.starts_with("ccotel_") && !name.ends_with("_total") => {
            MetricType::Gauge
        }
        _ => MetricType::Counter,
    }
}

/// Strings in the order of their first use.
struct Symbols<'a> {
    list: Vec<String>,
    index: HashMap<&'a str, u32>,
}

impl<'a> Symbols<'a> {
    fn new() -> Self {
        Self { list: vec![String::new()], index: HashMap::from([("", 0)]) }
    }

    fn refer(&mut self, text: &'a str) -> u32 {
        *self.index.entry(text).or_insert_with(|| {
            self.list.push(text.to_owned());
            u32::try_from(self.list.len() - 1).expect("a request has far fewer strings")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::samples::{any_series, series, wire_labels};
    use proptest::prelude::*;

    #[test]
    fn bytes_are_as_the_specification_says() {
        let encoded = encode(&[series(
            &[("__name__", "x"), ("job", "x")],
            1000,
            &[(1000, 0.0), (2000, 2.0)],
        )]);
        let plain = snap::raw::Decoder::new().decompress_vec(&encoded.body).unwrap();
        let expected: Vec<u8> = [
            &[0x22, 0x00][..],
            &[0x22, 0x08],
            b"__name__",
            &[0x22, 0x01],
            b"x",
            &[0x22, 0x03],
            b"job",
            &[0x2a, 0x20],
            &[0x0a, 0x04, 1, 2, 3, 2],
            &[0x12, 0x03, 0x10, 0xe8, 0x07],
            &[0x12, 0x0f, 0x09],
            &2.0_f64.to_le_bytes(),
            &[0x10, 0xd0, 0x0f, 0x18, 0xe8, 0x07],
            &[0x2a, 0x02, 0x08, 0x01],
        ]
        .concat();
        assert_eq!(plain, expected);
    }

    proptest! {
        #[test]
        fn decodes_to_the_same_samples(batch in prop::collection::vec(any_series(), 0..8)) {
            let encoded = encode(&batch);
            prop_assert_eq!(&encoded, &encode(&batch));
            let plain = snap::raw::Decoder::new().decompress_vec(&encoded.body).unwrap();
            let decoded = Request::decode(plain.as_slice()).unwrap();
            prop_assert_eq!(decoded.symbols[0].as_str(), "");
            let mut unique = decoded.symbols.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), decoded.symbols.len());
            prop_assert_eq!(decoded.timeseries.len(), batch.len());
            let symbol = |index: &u32| decoded.symbols[*index as usize].clone();
            for (sent, given) in decoded.timeseries.iter().zip(&batch) {
                let labels: Vec<_> =
                    sent.labels_refs.chunks(2).map(|pair| (symbol(&pair[0]), symbol(&pair[1]))).collect();
                prop_assert!(labels.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert_eq!(labels, wire_labels(given));
                let samples: Vec<_> =
                    sent.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
                prop_assert_eq!(&samples, &given.samples);
                prop_assert!(sent.samples.iter().all(|sample| sample.start_timestamp < sample.timestamp));
            }
        }
    }
}
