//! OTLP logs as Loki takes them: which attributes are stream labels, and what becomes of the others.
//!
//! <https://grafana.com/docs/loki/latest/send-data/otel/#format-considerations>: of the resource,
//! the service's name and instance (among others) are labels; the rest, the scope's name and all
//! attributes of a record are structured metadata, with `_` for what is no letter or digit.

use std::io::Read;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use super::loki_rules::{EntryProto, LabelPair, PushRequest, StreamProto, Timestamp};

/// Of the default `otlp_config`, those that ccotel could send.
const LABELS: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

pub fn decode(is_gzip: bool, body: &[u8]) -> Result<PushRequest, String> {
    let mut plain = Vec::new();
    if is_gzip {
        GzDecoder::new(body).read_to_end(&mut plain).map_err(|error| format!("gzip: {error}"))?;
    } else {
        plain.extend_from_slice(body);
    }
    let request = ExportLogsServiceRequest::decode(plain.as_slice())
        .map_err(|error| format!("protobuf: {error}"))?;
    let mut streams = Vec::new();
    for resource_logs in request.resource_logs {
        let attributes = resource_logs.resource.unwrap_or_default().attributes;
        let (labels, metadata): (Vec<KeyValue>, Vec<KeyValue>) =
            attributes.into_iter().partition(|one| LABELS.contains(&one.key.as_str()));
        let labels: Vec<String> = pairs(&labels)
            .map(|pair| format!("{}={}", pair.name, serde_json::Value::from(pair.value)))
            .collect();
        let records = resource_logs.scope_logs.iter().flat_map(|scope| &scope.log_records);
        let entries = records.map(|record| entry(record, &metadata)).collect();
        streams.push(StreamProto { labels: format!("{{{}}}", labels.join(", ")), entries });
    }
    Ok(PushRequest { streams })
}

fn entry(record: &LogRecord, resource: &[KeyValue]) -> EntryProto {
    let seconds = i64::try_from(record.time_unix_nano / 1_000_000_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(record.time_unix_nano % 1_000_000_000).unwrap_or(0);
    EntryProto {
        timestamp: Some(Timestamp { seconds, nanos }),
        line: text(record.body.as_ref()),
        structured_metadata: pairs(resource).chain(pairs(&record.attributes)).collect(),
    }
}

fn pairs(attributes: &[KeyValue]) -> impl Iterator<Item = LabelPair> {
    attributes.iter().map(|attribute| LabelPair {
        name: attribute
            .key
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
            .collect(),
        value: text(attribute.value.as_ref()),
    })
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}
