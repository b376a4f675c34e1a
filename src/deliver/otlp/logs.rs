//! Events as OTLP log records.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::{attribute, encoded, resource, text_attribute};
use crate::config::destination::DestinationType;
use crate::deliver::event_limits::{LINE_BYTES_MAX, cut, fit_attributes};
use crate::deliver::loki::STREAM_TAGS;
use crate::deliver::wire::{Encoded, Wire};
use crate::record::{Event, Value};

/// As Claude Code names it.
const SCOPE: &str = "com.anthropic.claude_code.events";

/// Service name and tags: what one resource stands for.
type Origin<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// The export of these events: one resource a service and set of tags, records in order of time.
///
/// Body and attributes are as Claude Code sends them, with `ccotel.event_id` beside them for
/// backends that do not recognise a record they have already.
pub fn encode(events: &[Event], install_id: &str, kind: DestinationType) -> Encoded {
    let mut groups: BTreeMap<Origin<'_>, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let tags = event.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
        groups.entry((&event.service, tags)).or_default().push(event);
    }
    let resource_logs = groups
        .into_iter()
        .map(|((service, tags), mut events)| {
            events.sort_by_key(|event| event.time_ns);
            let scope_logs = ScopeLogs {
                scope: Some(InstrumentationScope {
                    name: SCOPE.to_owned(),
                    ..InstrumentationScope::default()
                }),
                log_records: events.into_iter().map(|event| log_record(event, kind)).collect(),
                ..ScopeLogs::default()
            };
            ResourceLogs {
                resource: Some(resource(service, install_id, &tags)),
                scope_logs: vec![scope_logs],
                ..ResourceLogs::default()
            }
        })
        .collect();
    let mut encoded = encoded(Wire::OtlpLogs, &ExportLogsServiceRequest { resource_logs });
    encoded.headers.extend(header_of(kind));
    encoded
}

/// What a backend of this type wants to be told besides.
pub fn header_of(kind: DestinationType) -> Option<(&'static str, String)> {
    // By default every resource attribute would become a stream field in VictoriaLogs.
    let fields = ["service.name", "service.instance.id"].into_iter().chain(STREAM_TAGS);
    (kind == DestinationType::VictoriaLogs)
        .then(|| ("vl-stream-fields", fields.collect::<Vec<_>>().join(",")))
}

fn log_record(event: &Event, kind: DestinationType) -> LogRecord {
    let (body, kept) = if kind == DestinationType::Loki {
        let mut attributes = event.attributes.clone();
        fit_attributes(&mut attributes);
        (cut(&event.body, LINE_BYTES_MAX), attributes)
    } else {
        (event.body.to_string(), event.attributes.clone())
    };
    let mut attributes: Vec<KeyValue> =
        vec![text_attribute("ccotel.event_id", &format!("{:032x}", event.id))];
    if event.attributes.iter().all(|(name, _)| &**name != "event.name") {
        attributes.push(text_attribute("event.name", &event.name));
    }
    attributes.extend(kept.iter().map(|(name, value)| attribute(name, any_value(value))));
    LogRecord {
        time_unix_nano: event.time_ns,
        observed_time_unix_nano: event.time_ns,
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body)) }),
        attributes,
        ..LogRecord::default()
    }
}

fn any_value(value: &Value) -> any_value::Value {
    match value {
        Value::Text(text) | Value::Json(text) => any_value::Value::StringValue(text.to_string()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Double(number) => any_value::Value::DoubleValue(*number),
        Value::Bool(truth) => any_value::Value::BoolValue(*truth),
    }
}
