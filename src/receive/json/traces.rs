//! Spans.

use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::Value;

use super::attributes::attribute;
use super::fields::{Fields, Read, enumeration, hex, integer, text};

pub(super) fn span(value: Value) -> Read<Span> {
    let mut fields = Fields::of(value)?;
    let kind = enumeration(|name| SpanKind::from_str_name(name).map(|kind| kind as i32));
    Ok(Span {
        trace_id: fields.get("traceId", hex)?,
        span_id: fields.get("spanId", hex)?,
        trace_state: fields.get("traceState", text)?,
        parent_span_id: fields.get("parentSpanId", hex)?,
        flags: fields.get("flags", integer)?,
        name: fields.get("name", text)?,
        kind: fields.get("kind", kind)?,
        start_time_unix_nano: fields.get("startTimeUnixNano", integer)?,
        end_time_unix_nano: fields.get("endTimeUnixNano", integer)?,
        attributes: fields.all("attributes", attribute)?,
        dropped_attributes_count: fields.get("droppedAttributesCount", integer)?,
        events: fields.all("events", event)?,
        dropped_events_count: fields.get("droppedEventsCount", integer)?,
        links: fields.all("links", link)?,
        dropped_links_count: fields.get("droppedLinksCount", integer)?,
        status: fields.maybe("status", status)?,
    })
}

fn event(value: Value) -> Read<Event> {
    let mut fields = Fields::of(value)?;
    Ok(Event {
        time_unix_nano: fields.get("timeUnixNano", integer)?,
        name: fields.get("name", text)?,
        attributes: fields.all("attributes", attribute)?,
        dropped_attributes_count: fields.get("droppedAttributesCount", integer)?,
    })
}

fn link(value: Value) -> Read<Link> {
    let mut fields = Fields::of(value)?;
    Ok(Link {
        trace_id: fields.get("traceId", hex)?,
        span_id: fields.get("spanId", hex)?,
        trace_state: fields.get("traceState", text)?,
        attributes: fields.all("attributes", attribute)?,
        dropped_attributes_count: fields.get("droppedAttributesCount", integer)?,
        flags: fields.get("flags", integer)?,
    })
}

fn status(value: Value) -> Read<Status> {
    let mut fields = Fields::of(value)?;
    let code = enumeration(|name| StatusCode::from_str_name(name).map(|code| code as i32));
    Ok(Status { message: fields.get("message", text)?, code: fields.get("code", code)? })
}
