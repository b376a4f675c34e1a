//! Log records.

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use serde_json::Value;

use super::attributes::{any, attribute};
use super::fields::{Fields, Read, enumeration, hex, integer, text};

pub(super) fn record(value: Value) -> Read<LogRecord> {
    let mut fields = Fields::of(value)?;
    let severity =
        enumeration(|name| SeverityNumber::from_str_name(name).map(|severity| severity as i32));
    Ok(LogRecord {
        time_unix_nano: fields.get("timeUnixNano", integer)?,
        observed_time_unix_nano: fields.get("observedTimeUnixNano", integer)?,
        severity_number: fields.get("severityNumber", severity)?,
        severity_text: fields.get("severityText", text)?,
        body: fields.maybe("body", any)?,
        attributes: fields.all("attributes", attribute)?,
        dropped_attributes_count: fields.get("droppedAttributesCount", integer)?,
        flags: fields.get("flags", integer)?,
        trace_id: fields.get("traceId", hex)?,
        span_id: fields.get("spanId", hex)?,
        event_name: fields.get("eventName", text)?,
    })
}
