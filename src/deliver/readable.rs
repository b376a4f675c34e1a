//! Readable: what a kept request says, for people.

use std::io::Read;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::remote_write_v1::{PLAIN_BYTES_MAX, unsnappy};
use super::wire::Wire;
use super::{loki, remote_write_v1, remote_write_v2};

/// One line a sample or an event, or a JSON document; none for what cannot be read.
pub fn lines(wire: Wire, body: &[u8]) -> Option<Vec<String>> {
    match wire {
        Wire::RemoteWrite1 => {
            let request = remote_write_v1::WriteRequest::decode(&*unsnappy(body)?).ok()?;
            Some(request.timeseries.iter().flat_map(series_v1).collect())
        }
        Wire::RemoteWrite2 => {
            let request = remote_write_v2::Request::decode(&*unsnappy(body)?).ok()?;
            let symbols = &request.symbols;
            Some(request.timeseries.iter().flat_map(|one| series_v2(one, symbols)).collect())
        }
        Wire::LokiPush => {
            let request = loki::PushRequest::decode(&*unsnappy(body)?).ok()?;
            Some(request.streams.iter().flat_map(stream).collect())
        }
        Wire::OtlpLogs => json(&ExportLogsServiceRequest::decode(&*gunzip(body)?).ok()?),
        Wire::OtlpMetrics => json(&ExportMetricsServiceRequest::decode(&*gunzip(body)?).ok()?),
        Wire::OtlpTraces => json(&ExportTraceServiceRequest::decode(&*gunzip(body)?).ok()?),
    }
}

fn series_v1(series: &remote_write_v1::TimeSeries) -> Vec<String> {
    let labels = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
    let name = series_name(labels);
    let samples = series.samples.iter();
    samples.map(|sample| sample_line(&name, sample.timestamp, sample.value)).collect()
}

fn series_v2(series: &remote_write_v2::TimeSeries, symbols: &[String]) -> Vec<String> {
    let text = |index: u32| symbols.get(index as usize).map_or("?", String::as_str);
    let (pairs, _) = series.labels_refs.as_chunks::<2>();
    let name = series_name(pairs.iter().map(|[name, value]| (text(*name), text(*value))));
    let samples = series.samples.iter();
    samples.map(|sample| sample_line(&name, sample.timestamp, sample.value)).collect()
}

fn series_name<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let (mut name, mut others) = (String::new(), Vec::new());
    for (label, value) in labels {
        if label == "__name__" {
            value.clone_into(&mut name);
        } else {
            others.push(format!("{label}={value:?}"));
        }
    }
    format!("{name}{{{}}}", others.join(", "))
}

fn sample_line(name: &str, time_ms: i64, value: f64) -> String {
    let at = Timestamp::from_millisecond(time_ms).unwrap_or_default();
    format!("{at} {name} {value}")
}

fn stream(stream: &loki::Stream) -> Vec<String> {
    let line = |entry: &loki::Entry| {
        let at = entry.timestamp.as_ref().and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
        let mut line = format!("{} {} {}", at.unwrap_or_default(), stream.labels, entry.line);
        let pairs = entry.structured_metadata.iter();
        line.extend(pairs.map(|pair| format!(" {}={:?}", pair.name, pair.value)));
        line
    };
    stream.entries.iter().map(line).collect()
}

fn json(request: &impl serde::Serialize) -> Option<Vec<String>> {
    Some(serde_json::to_string_pretty(request).ok()?.lines().map(str::to_owned).collect())
}

fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(body).take(PLAIN_BYTES_MAX as u64).read_to_end(&mut plain).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::destination::DestinationType;
    use crate::deliver::otlp;
    use crate::deliver::samples::{event, series};

    #[test]
    fn every_format_that_is_sent_can_be_read() {
        let series = [series(&[("__name__", "m_total"), ("team", "a\"b")], 0, &[(1_000, 2.5)])];
        let line = r#"1970-01-01T00:00:01Z m_total{team="a\"b"} 2.5"#;
        let read = |encoded: crate::deliver::wire::Encoded| lines(encoded.wire, &encoded.body);
        assert_eq!(read(remote_write_v1::encode(&series)).unwrap(), [line]);
        assert_eq!(read(remote_write_v2::encode(&series)).unwrap(), [line]);
        let events = [event(1_000_000_000, &[("model", "opus")])];
        let push = read(loki::encode(&events, "install")).unwrap();
        assert!(
            push[0].starts_with("1970-01-01T00:00:01Z {") && push[0].contains(r#"model="opus""#)
        );
        let logs = read(otlp::logs::encode(&events, "install", DestinationType::Otlp)).unwrap();
        assert!(logs.iter().any(|line| line.contains("opus")), "{logs:?}");
        assert!(read(otlp::metrics::encode(&series, "install")).is_some());
        for wire in [Wire::RemoteWrite1, Wire::LokiPush, Wire::OtlpTraces] {
            assert_eq!(lines(wire, b"damaged"), None);
        }
    }
}
