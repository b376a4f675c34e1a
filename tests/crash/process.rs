//! A Claude Code process, as its exporters show it: counters that grow from a start of their own, and
//! events, each with an id that no other has.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
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

pub const TEAM: &str = "crash";
pub const SERVICE: &str = "claude-code";
const MODELS: [&str; 2] = ["claude-opus-4-8", "claude-haiku-4-5"];
const KINDS: [&str; 2] = ["input", "output"];
const EVENTS_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    Cost,
    Tokens,
}

impl Counter {
    /// Name and unit in OTLP.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Cost => ("claude_code.cost.usage", "USD"),
            Self::Tokens => ("claude_code.token.usage", "tokens"),
        }
    }

    pub const fn in_prometheus(self) -> &'static str {
        match self {
            Self::Cost => "claude_code_cost_usage_USD_total",
            Self::Tokens => "claude_code_token_usage_tokens_total",
        }
    }
}

/// Of one series, but for its project: the counter, `model` and `type`.
pub type Key = (Counter, &'static str, &'static str);
pub type Totals = BTreeMap<Key, f64>;

pub struct Process {
    pub project: String,
    launch: String,
    session: String,
    start_ns: u64,
    last_ns: u64,
    /// Since the start, or, for delta, since the last export.
    pub totals: Totals,
    temporality: AggregationTemporality,
    sequence: i64,
}

impl Process {
    pub fn start(rng: &mut Rng, project: &str, temporality: AggregationTemporality) -> Self {
        let start_ns = now_ns();
        Self {
            project: project.to_owned(),
            launch: id(rng),
            session: id(rng),
            start_ns,
            last_ns: start_ns,
            totals: Totals::new(),
            temporality,
            sequence: 0,
        }
    }

    /// A request to a model, or none.
    pub fn work(&mut self, rng: &mut Rng) {
        let model = MODELS[rng.usize(..MODELS.len())];
        // A list price is a fraction of a cent.
        *self.totals.entry((Counter::Cost, model, "")).or_default() +=
            f64::from(rng.u32(0..50_000)) / 10_000.0;
        for kind in KINDS {
            *self.totals.entry((Counter::Tokens, model, kind)).or_default() +=
                f64::from(rng.u32(0..2_000));
        }
    }

    /// What is exported now. A delta export begins the next one.
    pub fn export_metrics(&mut self) -> (ExportMetricsServiceRequest, Totals) {
        let time_ns = self.pass();
        let totals = self.totals.clone();
        let metrics = [Counter::Cost, Counter::Tokens].map(|counter| Metric {
            name: counter.names().0.into(),
            unit: counter.names().1.into(),
            data: Some(Data::Sum(Sum {
                data_points: totals
                    .iter()
                    .filter(|((of, ..), _)| *of == counter)
                    .map(|(key, value)| self.point(*key, *value, time_ns))
                    .collect(),
                aggregation_temporality: self.temporality.into(),
                is_monotonic: true,
            })),
            ..Metric::default()
        });
        if self.temporality == AggregationTemporality::Delta {
            self.start_ns = time_ns;
            self.totals.clear();
        }
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope("com.anthropic.claude_code")),
                    metrics: metrics.into(),
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        (request, totals)
    }

    /// Some events, and their ids.
    pub fn export_events(&mut self, rng: &mut Rng) -> (ExportLogsServiceRequest, Vec<String>) {
        let ids: Vec<String> =
            (0..rng.usize(1..=EVENTS_MAX)).map(|_| format!("req_{}", id(rng))).collect();
        let records = ids.iter().map(|id| self.event(id)).collect();
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope("com.anthropic.claude_code.events")),
                    log_records: records,
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        (request, ids)
    }

    fn event(&mut self, request_id: &str) -> LogRecord {
        let time_ns = self.pass();
        self.sequence += 1;
        LogRecord {
            time_unix_nano: time_ns,
            observed_time_unix_nano: time_ns,
            body: Some(text("claude_code.api_request")),
            attributes: vec![
                attribute("session.id", text(&self.session)),
                attribute("event.name", text("api_request")),
                attribute("event.sequence", int(self.sequence)),
                attribute("model", text(MODELS[0])),
                attribute("request_id", text(request_id)),
                attribute("duration_ms", int(self.sequence)),
            ],
            ..LogRecord::default()
        }
    }

    fn point(&self, (_, model, kind): Key, value: f64, time_ns: u64) -> NumberDataPoint {
        let mut attributes =
            vec![attribute("session.id", text(&self.session)), attribute("model", text(model))];
        if !kind.is_empty() {
            attributes.push(attribute("type", text(kind)));
        }
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.start_ns,
            time_unix_nano: time_ns,
            value: Some(Number::AsDouble(value)),
            ..NumberDataPoint::default()
        }
    }

    fn resource(&self) -> Resource {
        Resource {
            attributes: vec![
                attribute("service.name", text(SERVICE)),
                attribute("service.version", text("2.1.329")),
                attribute("team", text(TEAM)),
                attribute("project", text(&self.project)),
                attribute("ccotel.launch.id", text(&self.launch)),
            ],
            ..Resource::default()
        }
    }

    /// Times of one process strictly increase.
    fn pass(&mut self) -> u64 {
        self.last_ns = now_ns().max(self.last_ns + 1);
        self.last_ns
    }
}

fn id(rng: &mut Rng) -> String {
    format!("{:032x}", rng.u128(..))
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.into(), ..InstrumentationScope::default() }
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

fn int(number: i64) -> AnyValue {
    AnyValue { value: Some(Value::IntValue(number)) }
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}
