//! OTLP/JSON, as Claude Code sends it and as the specification writes it.
//!
//! The `serde` of `opentelemetry-proto` (0.33.1) does not do here: a sum whose temporality is given
//! by name comes out as a metric without data and without an error, `severityNumber` by name and
//! `"arrayValue": {}` fail the whole request, and so does a single odd record. So this reads the
//! JSON tree itself, into the same messages that protobuf gives:
//!
//! - 64-bit integers as numbers or strings, enums as numbers or names, ids in hex, `null` and absent
//!   as default, unknown fields ignored;
//! - a record (log record, data point, span) that cannot be read is counted and left out, and the
//!   others stay.
//!
//! Nesting is limited by `serde_json` (128 levels).

mod attributes;
#[expect(
    clippy::needless_pass_by_value,
    reason = "all readers have one shape, some keep the value"
)]
mod fields;
mod logs;
mod metrics;
mod traces;

#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use serde_json::Value;

pub use fields::Unreadable;
use fields::{Fields, Read, text};

/// A request, and what of it could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<T> {
    pub request: T,
    /// Records left out.
    pub unreadable: u64,
    /// Why the first of them was.
    pub reason: Option<String>,
}

/// Decodes `ExportLogsServiceRequest`. Fails only where no record could be told from another.
pub fn logs(body: &[u8]) -> Result<Decoded<ExportLogsServiceRequest>, Unreadable> {
    let names = Names { groups: "resourceLogs", scopes: "scopeLogs", records: "logRecords" };
    let mut losses = Losses::default();
    let groups = groups(body, &names, |_| 1, |value, _| logs::record(value), &mut losses)?;
    let resource_logs = groups.into_iter().map(|group| ResourceLogs {
        resource: group.resource,
        schema_url: group.schema_url,
        scope_logs: (group.scopes.into_iter())
            .map(|Scope { instrumentation, schema_url, records }| ScopeLogs {
                scope: instrumentation,
                schema_url,
                log_records: records,
            })
            .collect(),
    });
    Ok(losses.with(ExportLogsServiceRequest { resource_logs: resource_logs.collect() }))
}

/// Decodes `ExportMetricsServiceRequest`; its records are data points.
pub fn metrics(body: &[u8]) -> Result<Decoded<ExportMetricsServiceRequest>, Unreadable> {
    let names = Names { groups: "resourceMetrics", scopes: "scopeMetrics", records: "metrics" };
    let mut losses = Losses::default();
    let groups = groups(body, &names, metrics::points_in, metrics::metric, &mut losses)?;
    let resource_metrics = groups.into_iter().map(|group| ResourceMetrics {
        resource: group.resource,
        schema_url: group.schema_url,
        scope_metrics: (group.scopes.into_iter())
            .map(|Scope { instrumentation, schema_url, records }| ScopeMetrics {
                scope: instrumentation,
                schema_url,
                metrics: records,
            })
            .collect(),
    });
    Ok(losses.with(ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }))
}

/// Decodes `ExportTraceServiceRequest`.
pub fn traces(body: &[u8]) -> Result<Decoded<ExportTraceServiceRequest>, Unreadable> {
    let names = Names { groups: "resourceSpans", scopes: "scopeSpans", records: "spans" };
    let mut losses = Losses::default();
    let groups = groups(body, &names, |_| 1, |value, _| traces::span(value), &mut losses)?;
    let resource_spans = groups.into_iter().map(|group| ResourceSpans {
        resource: group.resource,
        schema_url: group.schema_url,
        scope_spans: (group.scopes.into_iter())
            .map(|Scope { instrumentation, schema_url, records }| ScopeSpans {
                scope: instrumentation,
                schema_url,
                spans: records,
            })
            .collect(),
    });
    Ok(losses.with(ExportTraceServiceRequest { resource_spans: resource_spans.collect() }))
}

/// Records that were left out.
#[derive(Debug, Default)]
struct Losses {
    records: u64,
    reason: Option<String>,
}

impl Losses {
    fn add(&mut self, records: u64, why: &Unreadable) {
        self.records += records;
        self.reason.get_or_insert_with(|| why.to_string());
    }

    fn with<T>(self, request: T) -> Decoded<T> {
        Decoded { request, unreadable: self.records, reason: self.reason }
    }
}

/// What the three signals call the levels they share.
struct Names {
    groups: &'static str,
    scopes: &'static str,
    records: &'static str,
}

struct Group<R> {
    resource: Option<Resource>,
    schema_url: String,
    scopes: Vec<Scope<R>>,
}

struct Scope<R> {
    instrumentation: Option<InstrumentationScope>,
    schema_url: String,
    records: Vec<R>,
}

/// Reads the levels above the records. `weight` says how many records one of the lowest level is.
fn groups<R>(
    body: &[u8],
    names: &Names,
    weight: impl Fn(&Value) -> u64,
    read: impl Fn(Value, &mut Losses) -> Read<R>,
    losses: &mut Losses,
) -> Read<Vec<Group<R>>> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| Unreadable::new(error.to_string()))?;
    let mut groups = Vec::new();
    for group in Fields::of(body)?.list(names.groups)? {
        let inside = |group: &Value| {
            listed(group, names.scopes)
                .flat_map(|scope| listed(scope, names.records))
                .map(&weight)
                .sum()
        };
        let lost = inside(&group);
        if let Some(group) =
            kept(losses, lost, |losses| read_group(group, names, &weight, &read, losses))
        {
            groups.push(group);
        }
    }
    Ok(groups)
}

fn read_group<R>(
    group: Value,
    names: &Names,
    weight: &impl Fn(&Value) -> u64,
    read: &impl Fn(Value, &mut Losses) -> Read<R>,
    losses: &mut Losses,
) -> Read<Group<R>> {
    let mut group = Fields::of(group)?;
    let resource = group.maybe("resource", attributes::resource)?;
    let schema_url = group.get("schemaUrl", text)?;
    let mut scopes = Vec::new();
    for scope in group.list(names.scopes)? {
        let lost = listed(&scope, names.records).map(weight).sum();
        if let Some(scope) =
            kept(losses, lost, |losses| read_scope(scope, names, weight, read, losses))
        {
            scopes.push(scope);
        }
    }
    Ok(Group { resource, schema_url, scopes })
}

fn read_scope<R>(
    scope: Value,
    names: &Names,
    weight: &impl Fn(&Value) -> u64,
    read: &impl Fn(Value, &mut Losses) -> Read<R>,
    losses: &mut Losses,
) -> Read<Scope<R>> {
    let mut fields = Fields::of(scope)?;
    let instrumentation = fields.maybe("scope", attributes::scope)?;
    let schema_url = fields.get("schemaUrl", text)?;
    let mut records = Vec::new();
    for record in fields.list(names.records)? {
        let lost = weight(&record);
        if let Some(record) = kept(losses, lost, |losses| read(record, losses)) {
            records.push(record);
        }
    }
    Ok(Scope { instrumentation, schema_url, records })
}

/// What was read, or else its records among the losses.
fn kept<T>(
    losses: &mut Losses,
    records: u64,
    read: impl FnOnce(&mut Losses) -> Read<T>,
) -> Option<T> {
    read(losses).map_err(|error| losses.add(records, &error)).ok()
}

fn listed<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
