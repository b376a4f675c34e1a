//! Preview: what each level keeps of a record, attribute by attribute, for `ccotel privacy preview`.
//!
//! Nothing here decides: the outcome is read off what the recorder makes of the record, or what
//! [`tighten_event`] leaves of a stored one.

mod sample;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use sample::sample;

use super::attributes::{self, Class};
use super::values::is_digits;
use super::{Event, Labels, PrivacyLevel, Value, privacy, tighten_event, tighten_labels};

pub const LEVELS: [PrivacyLevel; 3] =
    [PrivacyLevel::Minimal, PrivacyLevel::Standard, PrivacyLevel::Full];
/// Longest value that is shown.
const VALUE_BYTES_MAX: usize = 1024;

/// One record. Keys are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// `event` or `series`.
    pub kind: String,
    pub name: String,
    pub attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    /// What it tells, and so at which level it is kept.
    pub class: String,
    pub value: String,
    /// `null` for a level that is wider than the one it was stored at.
    pub minimal: Option<Left>,
    pub standard: Option<Left>,
    pub full: Option<Left>,
}

/// What a level leaves of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub outcome: Outcome,
    pub value: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Kept,
    /// With the install's key.
    Hashed,
    /// A secret, a path, a name of one's own, or what is too long, is not there any more.
    Masked,
    /// How long it was.
    Length,
    Dropped,
}

impl Attribute {
    pub fn at(&self, level: PrivacyLevel) -> Option<&Left> {
        match level {
            PrivacyLevel::Minimal => self.minimal.as_ref(),
            PrivacyLevel::Standard => self.standard.as_ref(),
            PrivacyLevel::Full => self.full.as_ref(),
        }
    }
}

/// A stored event; levels wider than `stored` could not be told any more.
pub fn of_event(event: &Event, stored: PrivacyLevel, install_key: &[u8; 32]) -> Preview {
    let original: Vec<_> =
        event.attributes.iter().map(|(key, value)| (key.clone(), text(value))).collect();
    let at =
        LEVELS.map(|level| (level <= stored).then(|| tighten_event(event, level, install_key)));
    of_attributes(&event.name, &original, &at)
}

/// A stored series.
pub fn of_series(labels: &Labels, stored: PrivacyLevel) -> Preview {
    let name = labels.iter().find(|(name, _)| &**name == "__name__");
    let name = name.map(|(_, name)| name.to_string()).unwrap_or_default();
    let at = LEVELS.map(|level| (level <= stored).then(|| tighten_labels(labels, level)));
    let attribute = |(label, value): &(Arc<str>, Arc<str>)| {
        let left = |labels: &Option<Labels>| {
            let kept = labels.as_ref()?.iter().find(|(name, _)| name == label);
            Some(compare(value, kept.map(|(_, value)| value.to_string()), None, Class::Kept))
        };
        Attribute {
            name: label.to_string(),
            class: class_name(Some(attributes::class_of_label(label))).to_owned(),
            value: shown(value),
            minimal: left(&at[0]),
            standard: left(&at[1]),
            full: left(&at[2]),
        }
    };
    let others = labels.iter().filter(|(name, _)| &**name != "__name__");
    Preview { kind: "series".to_owned(), name, attributes: others.map(attribute).collect() }
}

/// What is left of the original's attributes in the same event at each level.
fn of_attributes(event: &str, original: &[(Arc<str>, String)], at: &[Option<Event>; 3]) -> Preview {
    let attribute = |(key, value): &(Arc<str>, String)| {
        let class = attributes::class(event, key, is_digits(value));
        let left = |event: &Option<Event>| {
            let kept = &event.as_ref()?.attributes;
            let find = |name: &str| kept.iter().find(|(key, _)| **key == *name);
            let tag = event.as_ref()?.tags.iter().find(|(name, _)| **name == **key);
            let tag = tag.map(|(_, value)| value.to_string());
            let found = find(key).map(|(_, value)| text(value)).or(tag);
            let length = find(&format!("{key}_length")).map(|(_, value)| text(value));
            Some(compare(value, found, length, class.unwrap_or(Class::Content)))
        };
        Attribute {
            name: key.to_string(),
            class: class_name(class).to_owned(),
            value: shown(value),
            minimal: left(&at[0]),
            standard: left(&at[1]),
            full: left(&at[2]),
        }
    };
    Preview {
        kind: "event".to_owned(),
        name: event.to_owned(),
        attributes: original.iter().map(attribute).collect(),
    }
}

fn compare(original: &str, kept: Option<String>, length: Option<String>, class: Class) -> Left {
    let (outcome, value) = match (kept, length) {
        (Some(kept), _) if kept == original => (Outcome::Kept, Some(kept)),
        (Some(kept), _) if class == Class::Id || class == Class::Identity => {
            (Outcome::Hashed, Some(kept))
        }
        (Some(kept), _) => (Outcome::Masked, Some(kept)),
        (None, Some(length)) => (Outcome::Length, Some(length)),
        (None, None) => (Outcome::Dropped, None),
    };
    Left { outcome, value: value.map(|value| shown(&value)) }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Json(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
    }
}

fn shown(text: &str) -> String {
    privacy::cut(text, VALUE_BYTES_MAX).into_owned()
}

fn class_name(class: Option<Class>) -> &'static str {
    match class {
        Some(Class::Kept) => "measure",
        Some(Class::OwnPart) => "own_part",
        Some(Class::Id) => "id",
        Some(Class::Identity) => "identity",
        Some(Class::Place) => "place",
        Some(Class::OwnName) => "own_name",
        Some(Class::ErrorText) => "error_text",
        Some(Class::Content) => "content",
        None => "unknown",
    }
}
