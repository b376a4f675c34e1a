//! OTLP over HTTP: protobuf, gzip, for `otlp` destinations, VictoriaLogs, and Loki where asked for.
//!
//! Every resource has `service.name` and, as `service.instance.id`, the install's id; without it all
//! laptops would share one stream at a backend. Same data, same bytes.

pub mod logs;
pub mod metrics;
pub mod traces;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::wire::{Encoded, Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Logs,
    Metrics,
    Traces,
}

impl Signal {
    /// The path of this signal under a base, or the base itself where it is the signal's already
    /// (VictoriaLogs and Loki are configured with theirs).
    pub fn path(self, base: &str) -> String {
        let suffix = match self {
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
        };
        let base = base.trim_end_matches('/');
        if base.ends_with(suffix) { base.to_owned() } else { format!("{base}{suffix}") }
    }
}

/// What a success left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    pub rejected: u64,
    pub message: String,
}

/// Reads `partial_success`; an answer that is not one says that nothing was rejected.
pub fn partial_success(wire: Wire, body: &[u8]) -> PartialSuccess {
    let read = match wire {
        Wire::OtlpLogs => ExportLogsServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
        Wire::OtlpMetrics => ExportMetricsServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
        Wire::OtlpTraces => ExportTraceServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Wire::RemoteWrite1 | Wire::RemoteWrite2 | Wire::LokiPush => None,
    };
    let (rejected, message) = read.unwrap_or_default();
    PartialSuccess { rejected: u64::try_from(rejected).unwrap_or(0), message }
}

fn encoded(wire: Wire, message: &impl Message) -> Encoded {
    Encoded { wire, headers: wire.headers(), body: gzip(&message.encode_to_vec()) }
}

/// Without a time or a name in its header, so that same data is same bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn resource(service: &str, install_id: &str, tags: &[(&str, &str)]) -> Resource {
    let own = [("service.name", service), ("service.instance.id", install_id)];
    let attributes = own
        .iter()
        .chain(tags)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text_attribute(name, value))
        .collect();
    Resource { attributes, ..Resource::default() }
}

fn text_attribute(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests;
