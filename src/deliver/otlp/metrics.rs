//! Series as OTLP metrics: cumulative monotonic sums with the series' own start.
//!
//! The store knows series by their Prometheus names. Claude Code's eight metrics, and those of their
//! attributes that have a dot, get their OTLP names and units back from the tables below, so that an
//! OTLP backend shows what Claude Code itself would have sent, and one that translates to Prometheus
//! arrives at the very names that remote_write sends. A name that is in no table (tags, ccotel's own
//! metrics, metrics of a newer Claude Code) stays as it is, without a unit: nothing is guessed.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};

use super::{encoded, resource, text_attribute};
use crate::deliver::wire::{Encoded, Wire};
use crate::store::handle::SeriesSamples;

/// As Claude Code names it.
const SCOPE: &str = "com.anthropic.claude_code";

/// `(name in Prometheus, name in OTLP, unit)`.
const METRICS: [(&str, &str, &str); 8] = [
    ("claude_code_session_count_total", "claude_code.session.count", ""),
    ("claude_code_lines_of_code_count_total", "claude_code.lines_of_code.count", ""),
    ("claude_code_pull_request_count_total", "claude_code.pull_request.count", ""),
    ("claude_code_commit_count_total", "claude_code.commit.count", ""),
    ("claude_code_cost_usage_USD_total", "claude_code.cost.usage", "USD"),
    ("claude_code_token_usage_tokens_total", "claude_code.token.usage", "tokens"),
    ("claude_code_code_edit_tool_decision_total", "claude_code.code_edit_tool.decision", ""),
    ("claude_code_active_time_seconds_total", "claude_code.active_time.total", "s"),
];

/// `(label, attribute)`.
const ATTRIBUTES: [(&str, &str); 10] = [
    ("user_email", "user.email"),
    ("user_account_uuid", "user.account_uuid"),
    ("organization_id", "organization.id"),
    ("agent_name", "agent.name"),
    ("skill_name", "skill.name"),
    ("plugin_name", "plugin.name"),
    ("marketplace_name", "marketplace.name"),
    ("mcp_server_name", "mcp_server.name"),
    ("mcp_tool_name", "mcp_tool.name"),
    ("app_entrypoint", "app.entrypoint"),
];

/// The export of these series: one resource a `job` and `instance`, one metric a name.
pub fn encode(series: &[SeriesSamples], install_id: &str) -> Encoded {
    let mut resources: BTreeMap<(&str, &str), BTreeMap<&str, Vec<NumberDataPoint>>> =
        BTreeMap::new();
    for one in series {
        let service = label(one, "job").unwrap_or("claude-code");
        let instance = label(one, "instance").unwrap_or(install_id);
        let name = label(one, "__name__").unwrap_or_default();
        let metrics = resources.entry((service, instance)).or_default();
        metrics.entry(name).or_default().extend(data_points(one));
    }
    let resource_metrics = resources
        .into_iter()
        .map(|((service, instance), metrics)| {
            let scope_metrics = ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: SCOPE.to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics: metrics.into_iter().map(|(name, points)| metric(name, points)).collect(),
                ..ScopeMetrics::default()
            };
            ResourceMetrics {
                resource: Some(resource(service, instance, &[])),
                scope_metrics: vec![scope_metrics],
                ..ResourceMetrics::default()
            }
        })
        .collect();
    encoded(Wire::OtlpMetrics, &ExportMetricsServiceRequest { resource_metrics })
}

fn label<'a>(series: &'a SeriesSamples, wanted: &str) -> Option<&'a str> {
    series.labels.iter().find(|(name, _)| &**name == wanted).map(|(_, value)| &**value)
}

fn metric(prometheus_name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let (name, unit) = METRICS
        .iter()
        .find(|(known, ..)| *known == prometheus_name)
        .map_or((prometheus_name, ""), |(_, name, unit)| (*name, *unit));
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(metric::Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        })),
        ..Metric::default()
    }
}

fn data_points(series: &SeriesSamples) -> impl Iterator<Item = NumberDataPoint> {
    let attributes: Vec<KeyValue> = series
        .labels
        .iter()
        .filter(|(name, value)| {
            !matches!(&**name, "__name__" | "job" | "instance") && !value.is_empty()
        })
        .map(|(name, value)| text_attribute(attribute_name(name), value))
        .collect();
    let start_time_unix_nano = nanos(series.start_ms);
    series.samples.iter().map(move |&(time_ms, value)| NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano,
        time_unix_nano: nanos(time_ms),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

fn attribute_name(label: &str) -> &str {
    ATTRIBUTES.iter().find(|(known, _)| *known == label).map_or(label, |(_, attribute)| attribute)
}

fn nanos(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or(0).saturating_mul(1_000_000)
}
