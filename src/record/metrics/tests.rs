use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};
use opentelemetry_proto::tonic::metrics::v1::{Gauge, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;
use crate::config::Accept;
use crate::record::{Batch, PrivacyLevel, Recorded, Recorder, Settings};

const CUMULATIVE: i32 = 2;

fn recorder(level: PrivacyLevel, accept: Accept) -> Recorder {
    Recorder::new(Settings {
        level,
        email_hashed: false,
        accept,
        tags: Vec::new(),
        install_key: [1; 32],
    })
}

fn pair(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(AnyKind::StringValue(text.into())) }),
        ..KeyValue::default()
    }
}

fn point(value: f64, attributes: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes.iter().map(|(key, text)| pair(key, text)).collect(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn sum(point: NumberDataPoint) -> Sum {
    Sum { data_points: vec![point], aggregation_temporality: CUMULATIVE, is_monotonic: true }
}

fn request(scope: &str, data: Data) -> ExportMetricsServiceRequest {
    let metric =
        Metric { name: "claude_code.commit.count".into(), data: Some(data), ..Metric::default() };
    let scope = InstrumentationScope { name: scope.into(), ..InstrumentationScope::default() };
    let scope =
        ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = Resource {
        attributes: vec![pair("service.name", "claude-code"), pair("team", "a")],
        ..Resource::default()
    };
    let resource = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

fn record(data: Data) -> Recorded {
    let recorder = recorder(PrivacyLevel::Standard, Accept::ClaudeCode);
    recorder.metrics(request("com.anthropic.claude_code", data))
}

fn only_point(recorded: Recorded) -> Point {
    match recorded.batch {
        Batch::Points(mut points) if points.len() == 1 => points.remove(0),
        other => panic!("not one point: {other:?}"),
    }
}

#[test]
fn what_is_no_growing_sum_is_rejected_with_its_reason() {
    let check = |data: Data, reason: &str| {
        let recorded = record(data);
        assert_eq!((recorded.rejected, recorded.foreign, recorded.batch.records()), (1, 0, 0));
        let message = recorded.message.unwrap();
        assert!(message.contains(reason), "{message}");
    };
    let with = |change: fn(&mut Sum)| {
        let mut sum = sum(point(1.0, &[]));
        change(&mut sum);
        Data::Sum(sum)
    };
    check(Data::Gauge(Gauge { data_points: vec![point(1.0, &[])] }), "not a sum");
    check(with(|sum| sum.is_monotonic = false), "not monotonic");
    check(with(|sum| sum.aggregation_temporality = 0), "without a temporality");
    check(with(|sum| sum.aggregation_temporality = 9), "without a temporality");
    check(with(|sum| sum.data_points[0].value = None), "without a value");
    check(with(|sum| sum.data_points[0].time_unix_nano = 0), "without a time");
    check(Data::Sum(sum(point(f64::NAN, &[]))), "not a finite number");
    check(Data::Sum(sum(point(f64::INFINITY, &[]))), "not a finite number");
    check(Data::Sum(sum(point(-1.0, &[]))), "negative");
    check(Data::Sum(sum(point(1e300, &[]))), "beyond a limit");
}

#[test]
fn other_programs_are_turned_away_unless_they_are_asked_in() {
    let data = || Data::Sum(sum(point(1.0, &[])));
    let records = |accept| {
        let recorded =
            recorder(PrivacyLevel::Standard, accept).metrics(request("io.other", data()));
        (recorded.batch.records(), recorded.rejected, recorded.foreign)
    };
    assert_eq!(records(Accept::ClaudeCode), (0, 1, 1));
    assert_eq!(records(Accept::Any), (1, 0, 0));
}

#[test]
fn labels_hold_what_a_level_lets_through() {
    let attributes = [
        ("team", "a"),
        ("session.id", "s"),
        ("terminal.type", "xterm"),
        ("user.email", "me@example.com"),
        ("organization.id", "org"),
        ("model", "claude-opus-4-8[1m]"),
        ("agent.name", "auditor"),
        ("tool_name", "mcp__payroll__salaries"),
        ("effort", ""),
    ];
    let check = |level, expect: &[(&str, &str)]| {
        let recorder = recorder(level, Accept::ClaudeCode);
        let data = Data::Sum(sum(point(1.0, &attributes)));
        let point = only_point(recorder.metrics(request("com.anthropic.claude_code", data)));
        let labels: Vec<(&str, &str)> =
            point.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(labels, expect);
    };
    check(
        PrivacyLevel::Minimal,
        &[
            ("context", "1m"),
            ("job", "claude-code"),
            ("model", "claude-opus-4-8"),
            ("team", "a"),
            ("tool_name", "mcp_tool"),
        ],
    );
    check(
        PrivacyLevel::Standard,
        &[
            ("agent_name", "auditor"),
            ("context", "1m"),
            ("job", "claude-code"),
            ("model", "claude-opus-4-8"),
            ("organization_id", "org"),
            ("team", "a"),
            ("tool_name", "mcp__payroll__salaries"),
            ("user_email", "me@example.com"),
        ],
    );
}

#[test]
fn a_stream_is_its_attributes_its_resource_and_a_cumulative_start() {
    let stream = |point| only_point(record(Data::Sum(sum(point)))).stream;
    let first = stream(point(1.0, &[("session.id", "s"), ("type", "cli")]));
    assert_eq!(first, stream(point(2.0, &[("type", "cli"), ("session.id", "s")])));
    assert_ne!(first, stream(point(1.0, &[("session.id", "t"), ("type", "cli")])));
    let mut later = point(1.0, &[("session.id", "s"), ("type", "cli")]);
    later.start_time_unix_nano = 7;
    assert_ne!(first, stream(later.clone()));
    let delta = |point| {
        let sum = Sum { aggregation_temporality: 1, ..sum(point) };
        only_point(record(Data::Sum(sum))).stream
    };
    assert_eq!(
        delta(later),
        delta(point(1.0, &[("session.id", "s"), ("type", "cli")])),
        "deltas of one stream have many starts"
    );
}
