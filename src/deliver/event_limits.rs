//! Event limits: what Loki refuses an entry for is put right, or left out and counted, before it is
//! sent; one entry that is too old or too large would make its whole push a 400.
//!
//! Limits are Loki's defaults (<https://grafana.com/docs/loki/latest/configure/#limits_config>).

use std::sync::Arc;

use crate::record::{Event, Value};

/// `max_line_size`.
pub const LINE_BYTES_MAX: usize = 256 * 1000;
/// `max_structured_metadata_size`, for all names and values of an entry.
pub const METADATA_BYTES_MAX: usize = 64 * 1000;
/// `max_structured_metadata_entries_count`.
pub const METADATA_ENTRIES_MAX: usize = 128;
/// Of both, what attributes may take where at most 16 tags of 255 bytes come beside them.
const OTLP_ATTRIBUTES_MAX: usize = METADATA_ENTRIES_MAX - 24;
const OTLP_ATTRIBUTES_BYTES_MAX: usize = METADATA_BYTES_MAX - 8_000;
/// `reject_old_samples_max_age` is a week; an hour is for the way there.
const AGE_NS_MAX: u64 = (7 * 24 - 1) * 3600 * 1_000_000_000;
/// `creation_grace_period` is 10 min.
const FUTURE_NS_MAX: u64 = 5 * 60 * 1_000_000_000;

/// Takes away the events that are older than 6 d 23 h, and says how many.
pub fn expire(events: &mut Vec<Event>, now_ms: i64) -> u64 {
    let oldest_ns = ns(now_ms).saturating_sub(AGE_NS_MAX);
    let before = events.len();
    events.retain(|event| event.time_ns >= oldest_ns);
    (before - events.len()) as u64
}

/// Moves times beyond now + 5 min back to there. `now_ms` is the batch's own, so that sending it
/// again sends the same bytes.
pub fn clamp_future(events: &mut [Event], now_ms: i64) {
    let latest_ns = ns(now_ms).saturating_add(FUTURE_NS_MAX);
    for event in events {
        event.time_ns = event.time_ns.min(latest_ns);
    }
}

fn ns(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or(0).saturating_mul(1_000_000)
}

/// At most `bytes_max` of a text; a text that was cut ends with its original length.
pub fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let marker = format!("[cut by ccotel: {} bytes]", text.len());
    let kept = text.floor_char_boundary(bytes_max.saturating_sub(marker.len()));
    format!("{}{marker}", &text[..kept])
}

/// Makes a list of names and values fit: the longest values are cut to one length, and entries
/// beyond the 128th are replaced by their number.
pub fn fit(entries: &mut Vec<(String, String)>) {
    if entries.len() > METADATA_ENTRIES_MAX {
        let left_out = entries.len() - (METADATA_ENTRIES_MAX - 1);
        entries.truncate(METADATA_ENTRIES_MAX - 1);
        entries.push(("ccotel_attributes_left_out".to_owned(), left_out.to_string()));
    }
    let names: usize = entries.iter().map(|(name, _)| name.len()).sum();
    let values: usize = entries.iter().map(|(_, value)| value.len()).sum();
    if names + values > METADATA_BYTES_MAX {
        let length = value_bytes_max(entries, METADATA_BYTES_MAX.saturating_sub(names));
        for (_, value) in entries {
            *value = cut(value, length);
        }
    }
}

/// The same for the attributes of an event sent to Loki as OTLP, whose values have types: only text
/// is cut. Tags and what we add are beside them, and have room.
pub fn fit_attributes(attributes: &mut Vec<(Arc<str>, Value)>) {
    if attributes.len() > OTLP_ATTRIBUTES_MAX {
        let left_out = attributes.len() - (OTLP_ATTRIBUTES_MAX - 1);
        attributes.truncate(OTLP_ATTRIBUTES_MAX - 1);
        let left_out = Value::Text(left_out.to_string().into());
        attributes.push(("ccotel.attributes_left_out".into(), left_out));
    }
    let texts: Vec<(String, String)> =
        attributes.iter().map(|(name, value)| (name.to_string(), text_of(value))).collect();
    let names: usize = texts.iter().map(|(name, _)| name.len()).sum();
    let values: usize = texts.iter().map(|(_, value)| value.len()).sum();
    if names + values > OTLP_ATTRIBUTES_BYTES_MAX {
        let length = value_bytes_max(&texts, OTLP_ATTRIBUTES_BYTES_MAX.saturating_sub(names));
        for ((_, value), (_, text)) in attributes.iter_mut().zip(&texts) {
            if text.len() > length && matches!(value, Value::Text(_) | Value::Json(_)) {
                *value = Value::Text(cut(text, length).into());
            }
        }
    }
}

/// The greatest length to which all longer values have to be cut so that the sum is within `room`.
fn value_bytes_max(entries: &[(String, String)], room: usize) -> usize {
    let mut lengths: Vec<usize> = entries.iter().map(|(_, value)| value.len()).collect();
    lengths.sort_unstable();
    let mut room = room;
    for (index, length) in lengths.iter().enumerate() {
        let share = room / (lengths.len() - index);
        if *length > share {
            return share;
        }
        room -= length;
    }
    usize::MAX
}

/// A value as text, as Prometheus labels and structured metadata have it.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Json(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::samples::event;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_795_262_400_000;
    const HOUR_NS: u64 = 3600 * 1_000_000_000;

    #[test]
    fn what_is_too_old_is_taken_away_and_counted() {
        let limit = ns(NOW_MS) - 167 * HOUR_NS;
        let mut events = vec![event(limit - 1, &[]), event(limit, &[]), event(ns(NOW_MS), &[])];
        assert_eq!(expire(&mut events, NOW_MS), 1);
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].time_ns, limit);
    }

    #[test]
    fn the_future_ends_in_five_minutes() {
        let mut events = vec![event(ns(NOW_MS) + HOUR_NS, &[]), event(ns(NOW_MS) + 1, &[])];
        clamp_future(&mut events, NOW_MS);
        assert_eq!(events[0].time_ns, ns(NOW_MS) + HOUR_NS / 12);
        assert_eq!(events[1].time_ns, ns(NOW_MS) + 1);
    }

    #[test]
    fn a_cut_text_tells_its_length() {
        assert_eq!(cut("short", 10), "short");
        let text = "é".repeat(100);
        let short = cut(&text, 50);
        assert!(short.len() <= 50 && short.ends_with("[cut by ccotel: 200 bytes]"), "{short}");
    }

    #[test]
    fn attributes_keep_their_types_where_they_fit() {
        let mut attributes: Vec<(Arc<str>, Value)> =
            (0..200).map(|index| (format!("number{index}").into(), Value::Int(index))).collect();
        attributes[0].1 = Value::Text("x".repeat(100_000).into());
        fit_attributes(&mut attributes);
        assert_eq!(attributes.len(), OTLP_ATTRIBUTES_MAX);
        assert_eq!(attributes[1].1, Value::Int(1));
        assert_eq!(attributes.last().unwrap().1, Value::Text("97".into()));
        let bytes: usize =
            attributes.iter().map(|(name, value)| name.len() + text_of(value).len()).sum();
        assert!(bytes <= OTLP_ATTRIBUTES_BYTES_MAX, "{bytes}");
        assert!(text_of(&attributes[0].1).ends_with("[cut by ccotel: 100000 bytes]"));
    }

    proptest! {
        #[test]
        fn everything_fits_and_short_values_stay(
            lengths in prop::collection::vec(0_usize..40_000, 0..200)
        ) {
            let mut entries: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(index, length)| (format!("name_{index}"), "x".repeat(*length)))
                .collect();
            let before = entries.clone();
            fit(&mut entries);
            let bytes: usize = entries.iter().map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(bytes <= METADATA_BYTES_MAX, "{}", bytes);
            prop_assert!(entries.len() <= METADATA_ENTRIES_MAX);
            for (fitted, given) in entries.iter().zip(&before).take(METADATA_ENTRIES_MAX - 1) {
                prop_assert!(given.1.len() > 400 || fitted == given);
            }
        }
    }
}
