//! Requests as Claude Code sends them, one record each.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};

pub fn text(text: &str) -> AnyKind {
    AnyKind::StringValue(text.to_owned())
}

pub fn pair(key: &str, value: AnyKind) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The canary as a text, in an array, and in a map.
pub fn shapes(canary: &str) -> Vec<AnyKind> {
    let any = |value| AnyValue { value: Some(value) };
    vec![
        text(canary),
        text(&format!("{{\"command\":\"cat /home/{canary}\"}}")),
        AnyKind::ArrayValue(ArrayValue { values: vec![any(text(canary))] }),
        AnyKind::KvlistValue(KeyValueList { values: vec![pair("key", text(canary))] }),
        AnyKind::BytesValue(canary.as_bytes().to_vec()),
    ]
}

pub fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.into(), ..InstrumentationScope::default() }
}

pub fn logs(
    body: &str,
    resource: Vec<KeyValue>,
    attributes: Vec<KeyValue>,
) -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1,
        body: Some(AnyValue { value: Some(text(body)) }),
        attributes,
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(scope("com.anthropic.claude_code.events")),
        log_records: vec![record],
        ..ScopeLogs::default()
    };
    let resource = Resource { attributes: resource, ..Resource::default() };
    let resource = ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}

pub fn spans(attributes: &[KeyValue], words: &str) -> ExportTraceServiceRequest {
    let span = Span {
        name: words.into(),
        trace_state: format!("vendor={words}"),
        attributes: attributes.to_vec(),
        events: vec![span::Event {
            name: words.into(),
            attributes: attributes.to_vec(),
            ..span::Event::default()
        }],
        links: vec![span::Link { attributes: attributes.to_vec(), ..span::Link::default() }],
        status: Some(Status {
            message: format!("failed at /x/{}", words.replace(' ', "/")),
            code: 2,
        }),
        ..Span::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope("com.anthropic.claude_code.tracing")),
        spans: vec![span],
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    }
}

pub fn points(resource: Vec<KeyValue>, attributes: Vec<KeyValue>) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: 2,
        start_time_unix_nano: 1,
        attributes,
        value: Some(number_data_point::Value::AsDouble(1.0)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 1, is_monotonic: true };
    let metric = Metric {
        name: "claude_code.commit.count".into(),
        data: Some(metric::Data::Sum(sum)),
        ..Metric::default()
    };
    let scope_metrics = ScopeMetrics {
        scope: Some(scope("com.anthropic.claude_code")),
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource = ResourceMetrics {
        resource: Some(Resource { attributes: resource, ..Resource::default() }),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}
