//! OTLP attribute values, read, masked, and remembered.

use std::fmt::Write;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::attributes::{self, Class, Known};
use super::hash::{self, DEPTH_MAX};
use super::privacy::{self, Outcome};
use super::{PrivacyLevel, Value, secrets};

/// Texts remembered for each attribute that repeats.
const TEXTS_MAX: usize = 4;
/// Longer texts are not remembered.
const TEXT_BYTES_MAX: usize = 128;

/// An attribute's value with its secrets masked; `None` if it has none.
pub fn value_of(value: &AnyValue) -> Option<Value> {
    Some(match value.value.as_ref()? {
        AnyKind::StringValue(text) => Value::Text(secrets::mask(text).into()),
        AnyKind::IntValue(number) => Value::Int(*number),
        AnyKind::DoubleValue(number) => Value::Double(*number),
        AnyKind::BoolValue(flag) => Value::Bool(*flag),
        AnyKind::BytesValue(bytes) => Value::Text(hex(bytes).into()),
        AnyKind::ArrayValue(_) | AnyKind::KvlistValue(_) => {
            // Each text by itself, and the whole for names beside their values.
            let json = json_of(value, 0).to_string();
            Value::Json(secrets::mask(&json).into())
        }
        AnyKind::StringValueStrindex(_) => return None,
    })
}

/// A value that is no nested one, as text.
pub fn text_of(value: &AnyValue) -> Option<String> {
    match value.value.as_ref()? {
        AnyKind::StringValue(text) => Some(text.clone()),
        AnyKind::IntValue(number) => Some(number.to_string()),
        AnyKind::DoubleValue(number) => Some(number.to_string()),
        AnyKind::BoolValue(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A number, a flag, or a text of digits.
pub fn is_number(value: Option<&AnyValue>) -> bool {
    match value.and_then(|value| value.value.as_ref()) {
        Some(AnyKind::IntValue(_) | AnyKind::DoubleValue(_) | AnyKind::BoolValue(_)) => true,
        Some(AnyKind::StringValue(text)) => is_digits(text),
        _ => false,
    }
}

/// Numbers that Claude Code sends as text.
pub fn is_digits(text: &str) -> bool {
    const DIGITS_MAX: usize = 20;
    !text.is_empty() && text.len() <= DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes all");
    }
    text
}

fn json_of(value: &AnyValue, depth: usize) -> serde_json::Value {
    use serde_json::Value as Json;
    let nested =
        |value: Option<&AnyValue>| value.map_or(Json::Null, |value| json_of(value, depth + 1));
    match value.value.as_ref().filter(|_| depth < DEPTH_MAX) {
        Some(AnyKind::StringValue(text)) => Json::from(secrets::mask(text)),
        Some(AnyKind::BoolValue(flag)) => Json::from(*flag),
        Some(AnyKind::IntValue(number)) => Json::from(*number),
        Some(AnyKind::DoubleValue(number)) => Json::from(*number),
        Some(AnyKind::BytesValue(bytes)) => Json::from(hex(bytes)),
        Some(AnyKind::ArrayValue(array)) => {
            array.values.iter().map(|value| nested(Some(value))).collect()
        }
        Some(AnyKind::KvlistValue(list)) => {
            let pairs = list.values.iter().map(|pair| {
                let secret = pair.value.is_some() && secrets::is_named(&pair.key);
                let value =
                    if secret { Json::from(secrets::MASK) } else { nested(pair.value.as_ref()) };
                (pair.key.clone(), value)
            });
            Json::Object(pairs.collect())
        }
        _ => Json::Null,
    }
}

/// How attributes are reduced in one resource.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub level: PrivacyLevel,
    pub email_hashed: bool,
    pub install_key: &'a [u8; 32],
}

/// The last texts of each attribute that repeats, as they were kept. Masking, hashing and allocation
/// are done once for them.
#[derive(Default)]
pub struct Texts(Vec<Remembered>);

#[derive(Default)]
struct Remembered {
    texts: [Option<Text>; TEXTS_MAX],
    next: usize,
}

struct Text {
    level: PrivacyLevel,
    received: Box<str>,
    kept: Arc<str>,
}

impl Texts {
    /// What a level leaves of an attribute whose class is `class`.
    pub fn reduce(
        &mut self,
        attribute: &KeyValue,
        known: Option<&Known>,
        class: Class,
        rules: Rules<'_>,
    ) -> Outcome {
        let value = attribute.value.as_ref();
        let text = match value.and_then(|value| value.value.as_ref()) {
            Some(AnyKind::StringValue(text)) => Some(text.as_str()),
            _ => None,
        };
        let remembered = known.zip(text).filter(|(known, text)| {
            known.repeats && known.class == class && text.len() <= TEXT_BYTES_MAX
        });
        if let Some((known, text)) = remembered
            && let Some(kept) = self.recall(known, text, rules.level)
        {
            return Outcome::Keep(Value::Text(kept));
        }
        let Some(value) = value.and_then(value_of) else { return Outcome::Drop };
        let value = if rules.email_hashed && attribute.key == "user.email" {
            hashed(value, rules.install_key)
        } else {
            value
        };
        let outcome = privacy::apply(class, &attribute.key, value, rules.level, rules.install_key);
        if let (Some((known, text)), Outcome::Keep(Value::Text(kept))) = (remembered, &outcome) {
            self.remember(known, text, rules.level, kept);
        }
        outcome
    }

    fn recall(&self, known: &Known, text: &str, level: PrivacyLevel) -> Option<Arc<str>> {
        let texts = self.0.get(known.index)?.texts.iter().flatten();
        let mut same = texts.filter(|last| last.level == level && *last.received == *text);
        same.next().map(|last| last.kept.clone())
    }

    fn remember(&mut self, known: &Known, text: &str, level: PrivacyLevel, kept: &Arc<str>) {
        if self.0.is_empty() {
            self.0.resize_with(attributes::known_count(), Remembered::default);
        }
        let remembered = &mut self.0[known.index];
        remembered.texts[remembered.next] =
            Some(Text { level, received: text.into(), kept: kept.clone() });
        remembered.next = (remembered.next + 1) % TEXTS_MAX;
    }
}

fn hashed(value: Value, install_key: &[u8; 32]) -> Value {
    match value {
        Value::Text(text) if !text.is_empty() => {
            Value::Text(hash::pseudonym(install_key, &text).into())
        }
        value => value,
    }
}

/// A value as a label has it; nested ones have no place there.
pub fn label_text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string().into()),
        Value::Double(number) => Some(number.to_string().into()),
        Value::Bool(flag) => Some(flag.to_string().into()),
        Value::Json(_) => None,
    }
}
