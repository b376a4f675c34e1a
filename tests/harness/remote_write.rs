//! Samples of the store, written to a Prometheus the plainest way.
//!
//! remote_write 1.0: snappy (block format) protobuf.
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>

use anyhow::{Result, ensure};
use ccotel::store::handle::SeriesSamples;
use prost::Message;

use super::http;
use super::prometheus::Prometheus;

pub fn send(prometheus: &Prometheus, series: &[SeriesSamples]) -> Result<()> {
    send_to(&prometheus.write_url(), series)
}

pub fn send_to(write_url: &str, series: &[SeriesSamples]) -> Result<()> {
    let timeseries = series.iter().map(time_series).collect();
    let body = WriteRequest { timeseries }.encode_to_vec();
    let headers = [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    let body = snap::raw::Encoder::new().compress_vec(&body)?;
    let (status, answer) = http::post(write_url, &headers, body)?;
    ensure!(status == 204, "{write_url} answered {status}: {answer}");
    Ok(())
}

fn time_series(series: &SeriesSamples) -> TimeSeries {
    let labels = series.labels.iter();
    let labels =
        labels.map(|(name, value)| Label { name: name.to_string(), value: value.to_string() });
    let samples = series.samples.iter();
    TimeSeries {
        labels: labels.collect(),
        samples: samples
            .map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp })
            .collect(),
    }
}

// `prometheus.WriteRequest`, from Prometheus' `prompb/remote.proto` and `types.proto`.

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
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
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}
