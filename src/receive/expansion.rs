//! What a request would grow to in memory, counted before it is decoded.
//!
//! An empty log record is two bytes in protobuf and three in JSON, and some two hundred as a
//! structure: a body within the limits could become a hundred times its size. So the values of a
//! request (messages in protobuf; objects, arrays and what stands in them in JSON) are counted on
//! its bytes first. That needs no memory, and beyond [`VALUES_MAX`] nothing is decoded.
//!
//! ```text
//! protobuf: message = field…    field = key:varint · (varint | 8 bytes | length:varint · bytes | 4 bytes)
//! ```
//!
//! Which lengths are messages and not texts, the shapes below know
//! (<https://github.com/open-telemetry/opentelemetry-proto>). What cannot
//! be read is left to the decoder, which says what is wrong with it.

/// Values of one request. A log record of Claude Code has about 60, its largest batch 31,000.
pub const VALUES_MAX: usize = 1 << 20;
/// Messages within messages. Prost refuses deeper ones than 100.
const DEPTH_MAX: usize = 128;

/// A message type: its fields that are messages, or other things to count (those have no fields).
pub struct Shape(&'static [(u32, &'static Shape)]);

static LEAF: Shape = Shape(&[]);
static ANY: Shape = Shape(&[(5, &ARRAY), (6, &KEY_VALUES)]);
static ARRAY: Shape = Shape(&[(1, &ANY)]);
static KEY_VALUES: Shape = Shape(&[(1, &ATTRIBUTE)]);
static ATTRIBUTE: Shape = Shape(&[(2, &ANY)]);
static ENTITY_REF: Shape = Shape(&[(3, &LEAF), (4, &LEAF)]);
static RESOURCE: Shape = Shape(&[(1, &ATTRIBUTE), (3, &ENTITY_REF)]);
static SCOPE: Shape = Shape(&[(3, &ATTRIBUTE)]);

/// `ExportLogsServiceRequest`.
pub static LOGS: Shape = Shape(&[(1, &RESOURCE_LOGS)]);
static RESOURCE_LOGS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
static SCOPE_LOGS: Shape = Shape(&[(1, &SCOPE), (2, &LOG_RECORD)]);
static LOG_RECORD: Shape = Shape(&[(5, &ANY), (6, &ATTRIBUTE)]);

/// `ExportMetricsServiceRequest`.
pub static METRICS: Shape = Shape(&[(1, &RESOURCE_METRICS)]);
static RESOURCE_METRICS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
static SCOPE_METRICS: Shape = Shape(&[(1, &SCOPE), (2, &METRIC)]);
static METRIC: Shape = Shape(&[
    (5, &NUMBERS),
    (7, &NUMBERS),
    (9, &HISTOGRAM),
    (10, &EXPONENTIAL_HISTOGRAM),
    (11, &SUMMARY),
    (12, &ATTRIBUTE),
]);
static NUMBERS: Shape = Shape(&[(1, &NUMBER_POINT)]);
static NUMBER_POINT: Shape = Shape(&[(5, &EXEMPLAR), (7, &ATTRIBUTE)]);
static EXEMPLAR: Shape = Shape(&[(7, &ATTRIBUTE)]);
static HISTOGRAM: Shape = Shape(&[(1, &HISTOGRAM_POINT)]);
static HISTOGRAM_POINT: Shape = Shape(&[(8, &EXEMPLAR), (9, &ATTRIBUTE)]);
static EXPONENTIAL_HISTOGRAM: Shape = Shape(&[(1, &EXPONENTIAL_POINT)]);
static EXPONENTIAL_POINT: Shape =
    Shape(&[(1, &ATTRIBUTE), (8, &LEAF), (9, &LEAF), (11, &EXEMPLAR)]);
static SUMMARY: Shape = Shape(&[(1, &SUMMARY_POINT)]);
static SUMMARY_POINT: Shape = Shape(&[(6, &LEAF), (7, &ATTRIBUTE)]);

/// `ExportTraceServiceRequest`.
pub static TRACES: Shape = Shape(&[(1, &RESOURCE_SPANS)]);
static RESOURCE_SPANS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
static SCOPE_SPANS: Shape = Shape(&[(1, &SCOPE), (2, &SPAN)]);
static SPAN: Shape = Shape(&[(9, &ATTRIBUTE), (11, &SPAN_EVENT), (13, &SPAN_LINK), (15, &LEAF)]);
static SPAN_EVENT: Shape = Shape(&[(3, &ATTRIBUTE)]);
static SPAN_LINK: Shape = Shape(&[(4, &ATTRIBUTE)]);

/// Messages in a protobuf request, counted up to one more than `max`.
pub fn protobuf_values(body: &[u8], shape: &Shape, max: usize) -> usize {
    let mut count = 0;
    // Broken bytes end the count; the decoder says where.
    let _ = count_messages(body, shape, DEPTH_MAX, max, &mut count);
    count
}

/// Values in a JSON request, counted up to one more than `max`.
pub fn json_values(body: &[u8], max: usize) -> usize {
    let (mut count, mut in_text, mut escaped) = (0, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[' | b',') => count += 1,
            _ => {}
        }
        if count > max {
            break;
        }
    }
    count
}

/// `None` at the end of what can be read, or of what need be.
fn count_messages(
    mut bytes: &[u8],
    shape: &Shape,
    depth: usize,
    max: usize,
    count: &mut usize,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            5 => 4,
            // The ends of a group. OTLP has none and a decoder skips them; what is inside counts.
            3 | 4 => continue,
            _ => return None,
        };
        let (content, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        let Some((_, inner)) = shape.0.iter().find(|(field, _)| u64::from(*field) == key >> 3)
        else {
            continue;
        };
        *count += 1;
        if *count > max {
            return None;
        }
        if !inner.0.is_empty() {
            count_messages(content, inner, depth, max, count)?;
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, EntityRef, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message as _;

    use super::*;

    fn request() -> ExportLogsServiceRequest {
        let array = ArrayValue { values: vec![AnyValue::default(); 5] };
        let value = AnyValue { value: Some(Value::ArrayValue(array)) };
        let attribute = KeyValue { value: Some(value), ..KeyValue::default() };
        let record = LogRecord { attributes: vec![attribute], ..LogRecord::default() };
        let entity = EntityRef { id_keys: vec!["\x12\u{7f}".to_owned(); 3], ..Default::default() };
        let resource = Resource { entity_refs: vec![entity], ..Resource::default() };
        let scope = ScopeLogs { log_records: vec![record; 2], ..ScopeLogs::default() };
        let resource_logs = ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope],
            ..ResourceLogs::default()
        };
        ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
    }

    /// Group, resource, entity, its 3 keys, scope; a record, its attribute, the value, the array and 5 in it.
    const MESSAGES: usize = 7 + 2 * 9;

    #[test]
    fn everything_that_becomes_a_structure_is_counted() {
        let body = request().encode_to_vec();
        assert_eq!(protobuf_values(&body, &LOGS, 1000), MESSAGES);
        assert_eq!(protobuf_values(&body, &LOGS, 10), 11, "no further than it must");
        assert_eq!(protobuf_values(b"\xff\xff", &LOGS, 10), 0, "the decoder says what is wrong");
    }

    #[test]
    fn a_field_that_decoders_skip_hides_nothing() {
        let body = request().encode_to_vec();
        // A group of number 9, empty, and a fixed64 of number 3.
        let before = b"\x4b\x4c\x19\0\0\0\0\0\0\0\0";
        let hidden = [before, body.as_slice()].concat();
        assert_eq!(ExportLogsServiceRequest::decode(hidden.as_slice()), Ok(request()));
        assert_eq!(protobuf_values(&hidden, &LOGS, 1000), MESSAGES);
    }

    #[test]
    fn texts_hide_nothing_in_json_and_are_not_counted() {
        assert_eq!(json_values(br#"{"a":["{[,\"{",1,{}]}"#, 1000), 5);
        assert_eq!(json_values(br#""\\",[,,"#, 1000), 4);
        assert_eq!(json_values(&b"[".repeat(100), 10), 11);
    }
}
