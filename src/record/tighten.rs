//! Records as they are kept, reduced to what a tighter destination may have.
//!
//! The result is what a recorder at that level would have made of the original, and tightening twice
//! changes nothing.

use std::sync::Arc;

use super::attributes::{self, Class};
use super::logs::push;
use super::privacy::{self, Outcome};
use super::values::is_digits;
use super::{Event, Labels, PrivacyLevel, Value, names, traces};

/// An event at a level. A wider level than it was recorded at changes nothing.
#[must_use]
pub fn tighten_event(event: &Event, level: PrivacyLevel, install_key: &[u8; 32]) -> Event {
    let mut attributes = Vec::with_capacity(event.attributes.len());
    let has = |key: &str| event.attributes.iter().any(|(other, _)| **other == *key);
    let body = if level == PrivacyLevel::Full || names::is_plain(&event.body) {
        event.body.clone()
    } else {
        let length = match &*event.body {
            "" => Outcome::Drop,
            body => Outcome::Length(privacy::length(body)),
        };
        let empty = length == Outcome::Drop;
        push(&mut attributes, Arc::from("body"), length, has);
        if empty { event.body.clone() } else { event.name.clone() }
    };
    for (key, value) in &event.attributes {
        let class = attributes::class(&event.name, key, is_number(value));
        let class = class.unwrap_or(Class::Content);
        let outcome = privacy::apply(class, key, value.clone(), level, install_key);
        push(&mut attributes, key.clone(), outcome, has);
    }
    Event { body, attributes, ..event.clone() }
}

/// A series' labels at a level: `minimal` takes identity and own names away. What is left may be the
/// same for several series, which are then to be summed.
#[must_use]
pub fn tighten_labels(labels: &Labels, level: PrivacyLevel) -> Labels {
    let tightened =
        labels.iter().filter_map(|(name, value)| match attributes::class_of_label(name) {
            Class::Kept => Some((name.clone(), value.clone())),
            Class::OwnPart => {
                let left = privacy::without_own_part(name, value, level);
                let same = *left == **value;
                Some((name.clone(), if same { value.clone() } else { left.into() }))
            }
            _ => (level > PrivacyLevel::Minimal).then(|| (name.clone(), value.clone())),
        });
    tightened.collect()
}

/// Encoded `ResourceSpans` at a level; `None` if they cannot be read.
pub fn tighten_spans(
    encoded: &[u8],
    level: PrivacyLevel,
    install_key: &[u8; 32],
) -> Option<Vec<u8>> {
    traces::tighten(encoded, level, install_key)
}

fn is_number(value: &Value) -> bool {
    match value {
        Value::Int(_) | Value::Double(_) | Value::Bool(_) => true,
        Value::Text(text) => is_digits(text),
        Value::Json(_) => false,
    }
}
