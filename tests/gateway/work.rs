//! What a sender sends: the same bytes for everybody, under one session id.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

pub const SESSION: &str = "5e551011-0000-4000-8000-000000000001";
/// What one step costs; a sum of them is exact.
pub const STEP_USD: f64 = 0.25;
const STEP_NS: u64 = 1_000_000;

#[derive(Clone)]
pub enum Body {
    Metrics(ExportMetricsServiceRequest),
    Events(ExportLogsServiceRequest),
}

/// A process that every sender claims to run.
#[derive(Clone)]
pub struct Work {
    start_ns: u64,
    resource: Vec<(String, String)>,
}

impl Work {
    /// Begun a minute ago.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let now_ns = u64::try_from(now.as_nanos()).expect("before 2554");
        Self { start_ns: now_ns - 60 * 1_000_000_000, resource: Vec::new() }
    }

    /// Says more of itself, as `OTEL_RESOURCE_ATTRIBUTES` does.
    pub fn saying(mut self, key: &str, value: &str) -> Self {
        self.resource.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Everything up to this step: cumulative counters.
    pub fn metrics(&self, step: u32) -> Body {
        self.metrics_with(step, "claude-opus-4-8")
    }

    pub fn metrics_with(&self, step: u32, model: &str) -> Body {
        let point = NumberDataPoint {
            attributes: vec![attribute("session.id", SESSION), attribute("model", model)],
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.start_ns + u64::from(step) * STEP_NS,
            value: Some(Number::AsDouble(f64::from(step) * STEP_USD)),
            ..NumberDataPoint::default()
        };
        let metric = Metric {
            name: "claude_code.cost.usage".into(),
            unit: "USD".into(),
            data: Some(Data::Sum(Sum {
                data_points: vec![point],
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            })),
            ..Metric::default()
        };
        Body::Metrics(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope("com.anthropic.claude_code")),
                    metrics: vec![metric],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        })
    }

    /// The request to a model that this step was.
    pub fn events(&self, step: u32) -> Body {
        self.events_of("com.anthropic.claude_code.events", step, &[])
    }

    pub fn events_of(&self, scope_name: &str, step: u32, more: &[(&str, &str)]) -> Body {
        let time_ns = self.start_ns + u64::from(step) * STEP_NS;
        let mut attributes = vec![
            attribute("session.id", SESSION),
            attribute("event.name", "api_request"),
            attribute("model", "claude-opus-4-8"),
            attribute("request_id", &format!("req_{step}")),
            KeyValue {
                key: "cost_usd".into(),
                value: Some(AnyValue { value: Some(Value::DoubleValue(STEP_USD)) }),
                ..KeyValue::default()
            },
        ];
        attributes.extend(more.iter().map(|(key, value)| attribute(key, value)));
        let record = LogRecord {
            time_unix_nano: time_ns,
            observed_time_unix_nano: time_ns,
            body: Some(text("claude_code.api_request")),
            attributes,
            ..LogRecord::default()
        };
        Body::Events(ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope(scope_name)),
                    log_records: vec![record],
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        })
    }

    fn resource(&self) -> Resource {
        let mut attributes = vec![attribute("service.name", "claude-code")];
        attributes.extend(self.resource.iter().map(|(key, value)| attribute(key, value)));
        Resource { attributes, ..Resource::default() }
    }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.into(), ..InstrumentationScope::default() }
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.into(), value: Some(text(value)), ..KeyValue::default() }
}
