//! Loki's native push: `logproto.PushRequest`, snappy block format.
//!
//! Declared by hand from Loki's `pkg/push/push.proto`. The client chooses the stream labels, which
//! is why this is the default: `service_name`, `service_instance_id`, `team` and `project`, and
//! every other fact is structured metadata. Same events, same bytes: Loki drops an entry whose
//! stream, time, line and metadata it has already, and so a push may be repeated.

use std::collections::BTreeMap;
use std::fmt::Write;

use prost::Message;

use super::event_limits::{LINE_BYTES_MAX, cut, fit, text_of};
use super::remote_write_v1::snappy;
use super::wire::{Encoded, Wire};
use crate::record::Event;

#[derive(Clone, PartialEq, Message)]
pub struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    pub streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Stream {
    /// `{name="value", …}`
    #[prost(string, tag = "1")]
    pub labels: String,
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    pub line: String,
    #[prost(message, repeated, tag = "3")]
    pub structured_metadata: Vec<LabelPair>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LabelPair {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// The tags that are stream labels, where set; the others are structured metadata. A gateway's senders
/// have streams of their own: what one sends late is not behind what another has sent.
pub const STREAM_TAGS: [&str; 3] = ["project", "sender", "team"];

/// The push of these events. `install_id` is `service_instance_id`.
pub fn encode(events: &[Event], install_id: &str) -> Encoded {
    let mut streams: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in events {
        streams.entry(stream_labels(event, install_id)).or_default().push(event);
    }
    let streams = streams
        .into_iter()
        .map(|(labels, mut events)| {
            // Stable: what came at one time stays in its order.
            events.sort_by_key(|event| event.time_ns);
            Stream { labels, entries: events.into_iter().map(entry).collect() }
        })
        .collect();
    Encoded {
        wire: Wire::LokiPush,
        headers: Wire::LokiPush.headers(),
        body: snappy(&PushRequest { streams }.encode_to_vec()),
    }
}

/// `{project="…", service_instance_id="…", service_name="…", team="…"}`, in this order.
fn stream_labels(event: &Event, install_id: &str) -> String {
    let fixed = [("service_instance_id", install_id), ("service_name", &*event.service)];
    let tags = event
        .tags
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .filter(|(name, _)| STREAM_TAGS.contains(name));
    let mut labels: Vec<_> = tags.chain(fixed).filter(|(_, value)| !value.is_empty()).collect();
    labels.sort_unstable();
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", labels.join(", "))
}

/// A string literal as Loki's label parser reads it, which is Go's.
fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                write!(quoted, "\\u{:04x}", u32::from(control)).expect("a String takes everything");
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn entry(event: &Event) -> Entry {
    let timestamp = Timestamp {
        seconds: i64::try_from(event.time_ns / 1_000_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(event.time_ns % 1_000_000_000).unwrap_or(0),
    };
    Entry {
        timestamp: Some(timestamp),
        line: cut(&event.body, LINE_BYTES_MAX),
        structured_metadata: metadata(event)
            .into_iter()
            .map(|(name, value)| LabelPair { name, value })
            .collect(),
    }
}

/// Event name and id first, then the tags that are no stream labels, then the attributes in the
/// order received: what is left out at the limit is the least known.
fn metadata(event: &Event) -> Vec<(String, String)> {
    let own = [
        ("event_name".to_owned(), event.name.to_string()),
        ("ccotel_event_id".to_owned(), format!("{:032x}", event.id)),
    ];
    let tags = event
        .tags
        .iter()
        .filter(|(name, _)| !STREAM_TAGS.contains(&&**name))
        .map(|(name, value)| (label_name(name), value.to_string()));
    let attributes =
        event.attributes.iter().map(|(name, value)| (label_name(name), text_of(value)));
    let mut entries: Vec<(String, String)> = Vec::new();
    for (name, value) in own.into_iter().chain(tags).chain(attributes) {
        // Loki takes an empty value for an absent one. A name that is taken is kept under another,
        // unless it says the same.
        match entries.iter().find(|(taken, _)| *taken == name) {
            _ if value.is_empty() => {}
            None => entries.push((name, value)),
            Some((_, same)) if *same == value => {}
            Some(_) => entries.push((free_name(&entries, &name), value)),
        }
    }
    fit(&mut entries);
    entries
}

fn free_name(entries: &[(String, String)], name: &str) -> String {
    (2..=entries.len() + 2)
        .map(|number| format!("{name}_{number}"))
        .find(|candidate| entries.iter().all(|(taken, _)| taken != candidate))
        .expect("there are more candidates than entries")
}

/// `session.id` → `session_id`: letters, digits and `_`, not beginning with a digit.
fn label_name(name: &str) -> String {
    let mut label: String = name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character } else { '_' })
        .collect();
    if label.is_empty() || label.starts_with(|first: char| first.is_ascii_digit()) {
        label.insert(0, '_');
    }
    label
}

#[cfg(test)]
mod tests;
