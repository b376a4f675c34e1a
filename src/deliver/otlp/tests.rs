use std::io::Read;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::*;
use crate::config::destination::DestinationType;
use crate::deliver::samples::{event, series};

fn plain(encoded: &Encoded) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(encoded.body.as_slice()).read_to_end(&mut plain).unwrap();
    plain
}

fn pairs(attributes: &[KeyValue]) -> Vec<(&str, String)> {
    attributes
        .iter()
        .map(|attribute| {
            let value = attribute.value.as_ref().unwrap().value.as_ref().unwrap();
            let text = match value {
                any_value::Value::StringValue(text) => text.clone(),
                other => format!("{other:?}"),
            };
            (attribute.key.as_str(), text)
        })
        .collect()
}

#[test]
fn a_signal_finds_its_path() {
    assert_eq!(Signal::Metrics.path("/otlp/"), "/otlp/v1/metrics");
    assert_eq!(Signal::Logs.path("/"), "/v1/logs");
    assert_eq!(Signal::Logs.path("/insert/opentelemetry/v1/logs"), "/insert/opentelemetry/v1/logs");
}

#[test]
fn logs_keep_body_and_attributes_and_gain_an_id() {
    let events = [event(2, &[("session.id", "s")]), event(1, &[("event.name", "api_request")])];
    let encoded = logs::encode(&events, "install", DestinationType::VictoriaLogs);
    assert_eq!(encoded, logs::encode(&events, "install", DestinationType::VictoriaLogs));
    assert!(encoded.headers.contains(&(
        "vl-stream-fields",
        "service.name,service.instance.id,project,sender,team".to_owned()
    )));
    let request = ExportLogsServiceRequest::decode(plain(&encoded).as_slice()).unwrap();
    let [resource_logs] = request.resource_logs.as_slice() else { panic!("one resource") };
    assert_eq!(
        pairs(&resource_logs.resource.as_ref().unwrap().attributes),
        [
            ("service.name", "claude-code".to_owned()),
            ("service.instance.id", "install".to_owned()),
            ("project", "checkout".to_owned()),
            ("team", "payments".to_owned()),
        ]
    );
    let records = &resource_logs.scope_logs[0].log_records;
    assert_eq!(records.iter().map(|record| record.time_unix_nano).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        pairs(&records[1].attributes),
        [
            ("ccotel.event_id", format!("{:032x}", 2)),
            ("event.name", "api_request".to_owned()),
            ("session.id", "s".to_owned()),
        ]
    );
    assert_eq!(records[0].attributes.len(), 2);
}

#[test]
fn series_become_cumulative_sums_with_their_own_names() {
    let cost = [
        ("__name__", "claude_code_cost_usage_USD_total"),
        ("agent_name", "custom"),
        ("instance", "install"),
        ("job", "claude-code"),
        ("team", "payments"),
    ];
    let unknown = [("__name__", "claude_code_new_total"), ("job", "claude-code")];
    let batch = [series(&cost, 5, &[(10, 0.0), (20, 1.5)]), series(&unknown, 5, &[(10, 2.0)])];
    let encoded = metrics::encode(&batch, "install");
    let request = ExportMetricsServiceRequest::decode(plain(&encoded).as_slice()).unwrap();
    let [resource_metrics] = request.resource_metrics.as_slice() else { panic!("one resource") };
    let metrics = &resource_metrics.scope_metrics[0].metrics;
    let named: Vec<_> =
        metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    assert_eq!(named, [("claude_code.cost.usage", "USD"), ("claude_code_new_total", "")]);
    let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!("a sum") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality, i32::from(AggregationTemporality::Cumulative));
    let point = &sum.data_points[1];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5_000_000, 20_000_000));
    assert_eq!(point.value, Some(number_data_point::Value::AsDouble(1.5)));
    assert_eq!(
        pairs(&point.attributes),
        [("agent.name", "custom".to_owned()), ("team", "payments".to_owned())]
    );
}

#[test]
fn spans_pass_through_with_the_install() {
    let spans = ResourceSpans {
        resource: Some(resource("claude-code", "", &[])),
        scope_spans: vec![ScopeSpans {
            spans: vec![Span { name: "a".to_owned(), ..Span::default() }; 3],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let bytes = spans.encode_to_vec();
    assert_eq!(traces::count(&bytes), 3);
    let encoded = traces::encode(&[bytes], "install");
    let request = ExportTraceServiceRequest::decode(plain(&encoded).as_slice()).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans, spans.scope_spans);
    assert_eq!(
        pairs(&request.resource_spans[0].resource.as_ref().unwrap().attributes)[1],
        ("service.instance.id", "install".to_owned())
    );
}

#[test]
fn partial_success_is_read_for_every_signal() {
    let logs = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 2,
            error_message: "too old".to_owned(),
        }),
    };
    assert_eq!(
        partial_success(Wire::OtlpLogs, &logs.encode_to_vec()),
        PartialSuccess { rejected: 2, message: "too old".to_owned() }
    );
    let negative = ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: -1,
            ..Default::default()
        }),
    };
    assert_eq!(partial_success(Wire::OtlpMetrics, &negative.encode_to_vec()).rejected, 0);
    for nothing in [&b""[..], b"ok", b"{}"] {
        assert_eq!(partial_success(Wire::OtlpTraces, nothing).rejected, 0);
    }
}
