use proptest::prelude::*;

use super::*;
use crate::deliver::event_limits::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX};
use crate::deliver::samples::{event, labels};
use crate::record::Value;

fn decode(encoded: &Encoded) -> PushRequest {
    let plain = snap::raw::Decoder::new().decompress_vec(&encoded.body).unwrap();
    PushRequest::decode(plain.as_slice()).unwrap()
}

fn pairs(entry: &Entry) -> Vec<(&str, &str)> {
    entry.structured_metadata.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect()
}

#[test]
fn bytes_are_as_push_proto_says() {
    let mut event = event(1_700_000_000_000_000_007, &[]);
    event.tags = labels(&[("team", "a")]);
    event.id = 0xab;
    let plain = snap::raw::Decoder::new().decompress_vec(&encode(&[event], "i").body).unwrap();
    let stream = br#"{service_instance_id="i", service_name="claude-code", team="a"}"#;
    let metadata: Vec<u8> = [
        &[0x1a, 0x19, 0x0a, 0x0a][..],
        b"event_name",
        &[0x12, 0x0b],
        b"api_request",
        &[0x1a, 0x33, 0x0a, 0x0f],
        b"ccotel_event_id",
        &[0x12, 0x20],
        b"000000000000000000000000000000ab",
    ]
    .concat();
    let entry: Vec<u8> = [
        &[0x0a, 0x08, 0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x10, 0x07][..],
        &[0x12, 0x17],
        b"claude_code.api_request",
        &metadata,
    ]
    .concat();
    let framed = |tag: u8, bytes: &[u8]| [&[tag][..], &varint(bytes.len()), bytes].concat();
    let expected = framed(0x0a, &[framed(0x0a, stream), framed(0x12, &entry)].concat());
    assert_eq!(plain, expected);
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(u8::try_from(value & 127).unwrap() | 128);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

#[test]
fn a_stream_holds_its_entries_in_order_of_time() {
    let mut other = event(5, &[]);
    other.tags = labels(&[("cost_center", "cc-42"), ("project", "a \"b\"\\\n")]);
    let push = decode(&encode(&[event(3, &[]), other, event(1, &[]), event(2, &[])], "install"));
    let streams: Vec<_> = push.streams.iter().map(|stream| stream.labels.as_str()).collect();
    assert_eq!(
        streams,
        [
            r#"{project="a \"b\"\\\n", service_instance_id="install", service_name="claude-code"}"#,
            r#"{project="checkout", service_instance_id="install", service_name="claude-code", team="payments"}"#,
        ]
    );
    let nanos: Vec<_> =
        push.streams[1].entries.iter().map(|entry| entry.timestamp.unwrap().nanos).collect();
    assert_eq!(nanos, [1, 2, 3]);
    assert!(pairs(&push.streams[0].entries[0]).contains(&("cost_center", "cc-42")));
}

#[test]
fn attributes_become_structured_metadata() {
    let mut event = event(1, &[("session.id", "s"), ("event.name", "api_request"), ("empty", "")]);
    event.attributes.push(("cost_usd".into(), Value::Double(0.25)));
    event.attributes.push(("input_tokens".into(), Value::Int(12)));
    event.attributes.push(("fast".into(), Value::Bool(true)));
    event.attributes.push(("session_id".into(), Value::Text("another".into())));
    event.attributes.push(("1st".into(), Value::Json("[1]".into())));
    let push = decode(&encode(&[event], "install"));
    assert_eq!(
        pairs(&push.streams[0].entries[0]),
        [
            ("event_name", "api_request"),
            ("ccotel_event_id", "00000000000000000000000000000001"),
            ("session_id", "s"),
            ("cost_usd", "0.25"),
            ("input_tokens", "12"),
            ("fast", "true"),
            ("session_id_2", "another"),
            ("_1st", "[1]"),
        ]
    );
}

#[test]
fn an_entry_keeps_within_lokis_limits() {
    let mut large = event(1, &[("prompt", &"x".repeat(90_000)), ("model", "opus")]);
    large.body = "y".repeat(300_000).into();
    let many: Vec<_> = (0..200).map(|index| (format!("name{index}"), "v")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let push = decode(&encode(&[large, event(2, &many)], "install"));
    let entries = &push.streams[0].entries;
    assert!(entries[0].line.len() <= LINE_BYTES_MAX);
    assert!(entries[0].line.ends_with("[cut by ccotel: 300000 bytes]"));
    let first = pairs(&entries[0]);
    assert!(
        first.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            <= METADATA_BYTES_MAX
    );
    assert!(first.contains(&("model", "opus")));
    assert!(
        first
            .iter()
            .any(|(name, value)| *name == "prompt"
                && value.ends_with("[cut by ccotel: 90000 bytes]"))
    );
    let second = pairs(&entries[1]);
    assert_eq!(second.len(), METADATA_ENTRIES_MAX);
    assert_eq!(second.last().unwrap(), &("ccotel_attributes_left_out", "75"));
}

proptest! {
    #[test]
    fn any_label_value_is_one_closed_literal(value in any::<String>()) {
        let literal = quoted(&value);
        prop_assert!(literal.starts_with('"') && literal.ends_with('"') && literal.len() >= 2);
        prop_assert!(!literal.chars().any(char::is_control));
        // Read back as Go's strconv.Unquote does.
        let mut read = String::new();
        let mut characters = literal[1..literal.len() - 1].chars();
        while let Some(character) = characters.next() {
            prop_assert!(character != '"');
            let next = if character == '\\' { characters.next() } else { None };
            read.push(match next {
                None => character,
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('u') => {
                    let code: String = characters.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap()
                }
                Some(escaped) => escaped,
            });
        }
        prop_assert_eq!(read, value);
    }

    #[test]
    fn the_same_events_are_the_same_bytes(times in prop::collection::vec(0_u64..u64::MAX, 0..20)) {
        let events: Vec<_> = times.iter().map(|time| event(*time, &[("session.id", "s")])).collect();
        prop_assert_eq!(encode(&events, "install"), encode(&events, "install"));
        let sent: usize = decode(&encode(&events, "install")).streams.iter().map(|stream| stream.entries.len()).sum();
        prop_assert_eq!(sent, events.len());
    }
}
