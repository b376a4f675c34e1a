//! The marked record as OTLP, in the manner of Claude Code: one point of a cumulative sum, and one
//! log record.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::agent::VERSION;
use crate::deliver::wire::{Encoded, Wire};
use crate::record::own;

/// Claude Code's own scopes: the door is to take it as it takes a session's.
const METRICS_SCOPE: &str = "com.anthropic.claude_code";
const EVENTS_SCOPE: &str = "com.anthropic.claude_code.events";

pub fn metrics(at: Timestamp) -> Encoded {
    let time_ns = nanoseconds(at);
    // A start of its own makes it a stream of its own: it adds one to the counter.
    let point = NumberDataPoint {
        start_time_unix_nano: time_ns - 1,
        time_unix_nano: time_ns,
        value: Some(Number::AsDouble(1.0)),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    let metric = Metric {
        name: own::MARKS_METRIC.to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    };
    let scope_metrics = ScopeMetrics {
        scope: Some(scope(METRICS_SCOPE)),
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource()),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
    encoded(Wire::OtlpMetrics, request.encode_to_vec())
}

pub fn logs(at: Timestamp, trace_id: [u8; 16]) -> Encoded {
    let time_ns = nanoseconds(at);
    let record = LogRecord {
        time_unix_nano: time_ns,
        observed_time_unix_nano: time_ns,
        body: Some(AnyValue { value: Some(AnyKind::StringValue(own::MARK_EVENT.to_owned())) }),
        attributes: vec![text("event.name", own::MARK_EVENT)],
        trace_id: trace_id.to_vec(),
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(scope(EVENTS_SCOPE)),
        log_records: vec![record],
        ..ScopeLogs::default()
    };
    let resource_logs = ResourceLogs {
        resource: Some(resource()),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    let request = ExportLogsServiceRequest { resource_logs: vec![resource_logs] };
    encoded(Wire::OtlpLogs, request.encode_to_vec())
}

/// Not compressed: neither is what Claude Code sends.
fn encoded(wire: Wire, body: Vec<u8>) -> Encoded {
    let headers = vec![("content-type", "application/x-protobuf".to_owned())];
    Encoded { wire, headers, body }
}

fn resource() -> Resource {
    let attributes = vec![text("service.name", own::SERVICE), text("service.version", VERSION)];
    Resource { attributes, ..Resource::default() }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(AnyKind::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(1)
}
