//! OTLP messages written as JSON, the ways senders write them.

#[path = "dialect/metrics.rs"] // found from the fuzz targets as well
mod metrics;

use base64::Engine as _;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// 64-bit integers as strings.
    wide_as_text: bool,
    /// Enums by name, where there is one.
    enums_by_name: bool,
    defaults: Defaults,
}

/// How a field is written that has its default.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defaults {
    Written,
    /// Also where that leaves `"arrayValue": {}`.
    LeftOut,
    Null,
}

impl Dialect {
    pub const SPECIFICATION: Self =
        Self { wide_as_text: true, enums_by_name: false, defaults: Defaults::LeftOut };
    pub const CLAUDE_CODE: Self =
        Self { wide_as_text: false, enums_by_name: false, defaults: Defaults::Written };
    pub const PROTO3_WITH_NAMES: Self =
        Self { wide_as_text: true, enums_by_name: true, defaults: Defaults::Null };

    pub fn logs(self, request: &ExportLogsServiceRequest) -> Value {
        let groups = request.resource_logs.iter().map(|group| {
            let scopes = group.scope_logs.iter().map(|scope| {
                let records = scope.log_records.iter().map(|record| self.record(record));
                self.scope(scope.scope.as_ref(), &scope.schema_url, "logRecords", records)
            });
            self.group(group.resource.as_ref(), &group.schema_url, "scopeLogs", scopes)
        });
        self.object(json!({ "resourceLogs": groups.collect::<Vec<_>>() }))
    }

    pub fn metrics(self, request: &ExportMetricsServiceRequest) -> Value {
        let groups = request.resource_metrics.iter().map(|group| {
            let scopes = group.scope_metrics.iter().map(|scope| {
                let metrics = scope.metrics.iter().map(|metric| self.metric(metric));
                self.scope(scope.scope.as_ref(), &scope.schema_url, "metrics", metrics)
            });
            self.group(group.resource.as_ref(), &group.schema_url, "scopeMetrics", scopes)
        });
        self.object(json!({ "resourceMetrics": groups.collect::<Vec<_>>() }))
    }

    pub fn traces(self, request: &ExportTraceServiceRequest) -> Value {
        let groups = request.resource_spans.iter().map(|group| {
            let scopes = group.scope_spans.iter().map(|scope| {
                let spans = scope.spans.iter().map(|span| self.span(span));
                self.scope(scope.scope.as_ref(), &scope.schema_url, "spans", spans)
            });
            self.group(group.resource.as_ref(), &group.schema_url, "scopeSpans", scopes)
        });
        self.object(json!({ "resourceSpans": groups.collect::<Vec<_>>() }))
    }

    /// An object as this dialect writes it, with a field that nobody knows.
    fn object(self, value: Value) -> Value {
        let Value::Object(fields) = value else { panic!("an object") };
        let mut written = Map::new();
        written.insert("somethingNew".to_owned(), json!({ "of": ["the", 4, "th", null] }));
        for (name, value) in fields {
            let default = matches!(&value, Value::Null)
                || value == ""
                || value == 0
                || value == false
                || value.as_array().is_some_and(Vec::is_empty);
            match self.defaults {
                Defaults::Null if default => written.insert(name, Value::Null),
                Defaults::LeftOut if default => None,
                Defaults::Written if value.is_null() => None,
                _ => written.insert(name, value),
            };
        }
        Value::Object(written)
    }

    /// The fields of a oneof, and optional ones: there when they are set, whatever their value.
    fn present(fields: &[(&str, Option<Value>)]) -> Vec<(String, Value)> {
        let there =
            fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
        there.collect()
    }

    fn with(object: Value, fields: &[(&str, Option<Value>)]) -> Value {
        let Value::Object(mut object) = object else { panic!("an object") };
        object.extend(Self::present(fields));
        Value::Object(object)
    }

    fn wide(self, number: impl Into<i128>) -> Value {
        let number: i128 = number.into();
        if self.wide_as_text {
            json!(number.to_string())
        } else {
            serde_json::from_str(&number.to_string()).expect("digits are a number")
        }
    }

    /// A field of its own, so that its default may be left out.
    fn wide_field(self, number: u64) -> Value {
        let left_out = number == 0 && self.defaults != Defaults::Written;
        if left_out { Value::Null } else { self.wide(number) }
    }

    fn wides(self, numbers: &[u64]) -> Vec<Value> {
        numbers.iter().map(|number| self.wide(*number)).collect()
    }

    fn name(self, number: i32, name: Option<&str>) -> Value {
        match name {
            Some(name) if self.enums_by_name => json!(name),
            _ => json!(number),
        }
    }

    fn double(number: f64) -> Value {
        match number {
            number if number.is_nan() => json!("NaN"),
            f64::INFINITY => json!("Infinity"),
            f64::NEG_INFINITY => json!("-Infinity"),
            number => json!(number),
        }
    }

    fn hex(bytes: &[u8]) -> Value {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        json!(
            digits
                .map(|digit| char::from_digit(digit.into(), 16).expect("below 16"))
                .collect::<String>()
        )
    }

    fn any(self, value: &AnyValue) -> Value {
        let Some(value) = &value.value else { return json!({}) };
        let (name, value) = match value {
            Any::StringValue(text) => ("stringValue", json!(text)),
            Any::BoolValue(value) => ("boolValue", json!(value)),
            Any::IntValue(value) => ("intValue", self.wide(*value)),
            Any::DoubleValue(value) => ("doubleValue", Self::double(*value)),
            Any::ArrayValue(array) => {
                let values: Vec<_> = array.values.iter().map(|value| self.any(value)).collect();
                ("arrayValue", self.object(json!({ "values": values })))
            }
            Any::KvlistValue(list) => {
                ("kvlistValue", self.object(json!({ "values": self.attributes(&list.values) })))
            }
            Any::BytesValue(bytes) => {
                ("bytesValue", json!(base64::engine::general_purpose::STANDARD.encode(bytes)))
            }
            Any::StringValueStrindex(_) => panic!("of profiles only"),
        };
        json!({ name: value })
    }

    fn attributes(self, attributes: &[KeyValue]) -> Vec<Value> {
        let written = attributes.iter().map(|attribute| {
            let value = attribute.value.as_ref().map(|value| self.any(value));
            self.object(json!({ "key": attribute.key, "value": value }))
        });
        written.collect()
    }

    fn group(
        self,
        resource: Option<&Resource>,
        schema: &str,
        name: &str,
        scopes: impl Iterator<Item = Value>,
    ) -> Value {
        let resource = resource.map(|resource| {
            self.object(json!({
                "attributes": self.attributes(&resource.attributes),
                "droppedAttributesCount": resource.dropped_attributes_count,
            }))
        });
        self.object(
            json!({ "resource": resource, name: scopes.collect::<Vec<_>>(), "schemaUrl": schema }),
        )
    }

    fn scope(
        self,
        scope: Option<&InstrumentationScope>,
        schema: &str,
        name: &str,
        records: impl Iterator<Item = Value>,
    ) -> Value {
        let scope = scope.map(|scope| {
            self.object(json!({
                "name": scope.name,
                "version": scope.version,
                "attributes": self.attributes(&scope.attributes),
                "droppedAttributesCount": scope.dropped_attributes_count,
            }))
        });
        self.object(
            json!({ "scope": scope, name: records.collect::<Vec<_>>(), "schemaUrl": schema }),
        )
    }

    fn record(self, record: &LogRecord) -> Value {
        let severity = SeverityNumber::try_from(record.severity_number);
        let severity = severity.ok().map(|severity| severity.as_str_name());
        self.object(json!({
            "timeUnixNano": self.wide_field(record.time_unix_nano),
            "observedTimeUnixNano": self.wide_field(record.observed_time_unix_nano),
            "severityNumber": self.name(record.severity_number, severity),
            "severityText": record.severity_text,
            "body": record.body.as_ref().map(|body| self.any(body)),
            "attributes": self.attributes(&record.attributes),
            "droppedAttributesCount": record.dropped_attributes_count,
            "flags": record.flags,
            "traceId": Self::hex(&record.trace_id),
            "spanId": Self::hex(&record.span_id),
            "eventName": record.event_name,
        }))
    }

    fn span(self, span: &Span) -> Value {
        let kind = SpanKind::try_from(span.kind).ok().map(|kind| kind.as_str_name());
        let events = span.events.iter().map(|event| {
            self.object(json!({
                "timeUnixNano": self.wide_field(event.time_unix_nano),
                "name": event.name,
                "attributes": self.attributes(&event.attributes),
                "droppedAttributesCount": event.dropped_attributes_count,
            }))
        });
        let links = span.links.iter().map(|link| {
            self.object(json!({
                "traceId": Self::hex(&link.trace_id),
                "spanId": Self::hex(&link.span_id),
                "traceState": link.trace_state,
                "attributes": self.attributes(&link.attributes),
                "droppedAttributesCount": link.dropped_attributes_count,
                "flags": link.flags,
            }))
        });
        let status = span.status.as_ref().map(|status| {
            let code = StatusCode::try_from(status.code).ok().map(|code| code.as_str_name());
            self.object(json!({ "message": status.message, "code": self.name(status.code, code) }))
        });
        self.object(json!({
            "traceId": Self::hex(&span.trace_id),
            "spanId": Self::hex(&span.span_id),
            "traceState": span.trace_state,
            "parentSpanId": Self::hex(&span.parent_span_id),
            "flags": span.flags,
            "name": span.name,
            "kind": self.name(span.kind, kind),
            "startTimeUnixNano": self.wide_field(span.start_time_unix_nano),
            "endTimeUnixNano": self.wide_field(span.end_time_unix_nano),
            "attributes": self.attributes(&span.attributes),
            "droppedAttributesCount": span.dropped_attributes_count,
            "events": events.collect::<Vec<_>>(),
            "droppedEventsCount": span.dropped_events_count,
            "links": links.collect::<Vec<_>>(),
            "droppedLinksCount": span.dropped_links_count,
            "status": status,
        }))
    }
}
