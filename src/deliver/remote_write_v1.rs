//! remote_write 1.0: `prometheus.WriteRequest`, snappy block format.
//!
//! Declared by hand from the specification
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec/>): the fields that a sender of counters
//! needs. Same samples, same bytes.

use prost::Message;

use super::wire::{Encoded, Wire};
use crate::store::handle::SeriesSamples;

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Sorted by name, unique, with `__name__`.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// In ascending time.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// A kept request is not read beyond this.
pub const PLAIN_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The request for these series.
pub fn encode(series: &[SeriesSamples]) -> Encoded {
    let request = WriteRequest { timeseries: series.iter().map(time_series).collect() };
    Encoded {
        wire: Wire::RemoteWrite1,
        headers: Wire::RemoteWrite1.headers(),
        body: snappy(&request.encode_to_vec()),
    }
}

fn time_series(series: &SeriesSamples) -> TimeSeries {
    TimeSeries {
        labels: series
            .labels
            .iter()
            // An empty value is an absent label, and not allowed on the wire.
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| Label { name: name.to_string(), value: value.to_string() })
            .collect(),
        samples: series
            .samples
            .iter()
            .map(|&(timestamp, value)| Sample { value, timestamp })
            .collect(),
    }
}

/// The opposite of [`snappy`]; none for what is damaged, or would be larger than any request is.
pub fn unsnappy(body: &[u8]) -> Option<Vec<u8>> {
    let fits = snap::raw::decompress_len(body).is_ok_and(|length| length <= PLAIN_BYTES_MAX);
    fits.then(|| snap::raw::Decoder::new().decompress_vec(body).ok()).flatten()
}

/// Snappy's block format, never the framed one.
pub fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(bytes)
        .expect("a request is far below snappy's limit of 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::samples::{any_series, series, wire_labels};
    use proptest::prelude::*;

    #[test]
    fn bytes_are_as_the_specification_says() {
        let encoded = encode(&[series(
            &[("__name__", "a_total"), ("job", "j")],
            0,
            &[(1000, 0.0), (2000, 1.5)],
        )]);
        let plain = snap::raw::Decoder::new().decompress_vec(&encoded.body).unwrap();
        let expected: Vec<u8> = [
            &[0x0a, 0x32][..],
            &[0x0a, 0x13, 0x0a, 0x08],
            b"__name__",
            &[0x12, 0x07],
            b"a_total",
            &[0x0a, 0x08, 0x0a, 0x03],
            b"job",
            &[0x12, 0x01],
            b"j",
            &[0x12, 0x03, 0x10, 0xe8, 0x07],
            &[0x12, 0x0c, 0x09],
            &1.5_f64.to_le_bytes(),
            &[0x10, 0xd0, 0x0f],
        ]
        .concat();
        assert_eq!(plain, expected);
        // Block format: the length before compression comes first.
        assert_eq!(usize::from(encoded.body[0]), expected.len());
    }

    proptest! {
        #[test]
        fn decodes_to_the_same_samples(batch in prop::collection::vec(any_series(), 0..8)) {
            let encoded = encode(&batch);
            prop_assert_eq!(&encoded, &encode(&batch));
            let plain = snap::raw::Decoder::new().decompress_vec(&encoded.body).unwrap();
            let decoded = WriteRequest::decode(plain.as_slice()).unwrap();
            prop_assert_eq!(decoded.timeseries.len(), batch.len());
            for (sent, given) in decoded.timeseries.iter().zip(&batch) {
                let labels: Vec<_> =
                    sent.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
                prop_assert!(labels.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert_eq!(labels, wire_labels(given));
                let samples: Vec<_> =
                    sent.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
                prop_assert_eq!(&samples, &given.samples);
            }
        }
    }
}
