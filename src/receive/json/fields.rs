//! One JSON object, field by field, as the proto3 JSON mapping allows it to be written
//! (<https://protobuf.dev/programming-guides/json/>) and as OTLP changes that mapping
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
//!
//! A field that is absent or `null` has its default. A field nobody asks for is ignored.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

/// Why a value could not be read: `where: what`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

pub(super) type Read<T> = Result<T, Unreadable>;

/// Longest value that is repeated in an error.
const SHOWN_BYTES_MAX: usize = 64;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl Unreadable {
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    fn within(self, name: &str) -> Self {
        Self(format!("{name}: {}", self.0))
    }

    fn wanted(wanted: &str, found: &Value) -> Self {
        let mut found = found.to_string();
        found.truncate(found.floor_char_boundary(SHOWN_BYTES_MAX));
        Self(format!("{wanted} expected, found {found}"))
    }
}

/// Takes the fields out of an object.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub fn of(value: Value) -> Read<Self> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(Unreadable::wanted("an object", &other)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.swap_remove(name).filter(|value| !value.is_null())
    }

    /// A field with its reader, if it is there.
    pub fn maybe<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Read<T>) -> Read<Option<T>> {
        self.take(name).map(read).transpose().map_err(|error| error.within(name))
    }

    /// A field with its reader, or its default.
    pub fn get<T: Default>(&mut self, name: &str, read: impl FnOnce(Value) -> Read<T>) -> Read<T> {
        Ok(self.maybe(name, read)?.unwrap_or_default())
    }

    /// A repeated field: one item that cannot be read fails them all.
    pub fn all<T>(&mut self, name: &str, read: impl Fn(Value) -> Read<T>) -> Read<Vec<T>> {
        self.get(name, |value| items(value)?.into_iter().map(read).collect())
    }

    /// A repeated field whose items are judged one by one.
    pub fn list(&mut self, name: &str) -> Read<Vec<Value>> {
        self.get(name, items)
    }
}

pub(super) fn items(value: Value) -> Read<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(Unreadable::wanted("an array", &other)),
    }
}

pub(super) fn text(value: Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Unreadable::wanted("a string", &other)),
    }
}

pub(super) fn boolean(value: Value) -> Read<bool> {
    value.as_bool().ok_or_else(|| Unreadable::wanted("true or false", &value))
}

/// Any integer field: as a number, as the specification's string, or as a whole double.
pub(super) fn integer<T: TryFrom<i128>>(value: Value) -> Read<T> {
    let number = match &value {
        Value::Number(number) => number.as_i128().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.parse().ok().or_else(|| text.parse().ok().and_then(whole)),
        _ => None,
    };
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Unreadable::wanted("an integer in range", &value))
}

/// A double that is an integer and small enough for every double to be exact.
fn whole(number: f64) -> Option<i128> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i128)
}

/// A double: as a number, or as a string where JSON has no number for it.
pub(super) fn double(value: Value) -> Read<f64> {
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok().filter(|number: &f64| number.is_finite()),
        },
        _ => None,
    };
    number.ok_or_else(|| Unreadable::wanted("a number", &value))
}

/// An enum's value: OTLP says integers only, the proto3 mapping says names, senders do both.
pub(super) fn enumeration(
    by_name: impl FnOnce(&str) -> Option<i32>,
) -> impl FnOnce(Value) -> Read<i32> {
    move |value| match &value {
        Value::String(name) => match by_name(name) {
            Some(number) => Ok(number),
            None => integer(value),
        },
        _ => integer(value),
    }
}

/// Trace and span ids.
pub(super) fn hex(value: Value) -> Read<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let decode = |text: &str| {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        rest.is_empty().then(|| bytes.collect::<Option<Vec<u8>>>()).flatten()
    };
    value.as_str().and_then(decode).ok_or_else(|| Unreadable::wanted("hexadecimal digits", &value))
}

/// `bytesValue`, in either alphabet.
pub(super) fn base64(value: Value) -> Read<Vec<u8>> {
    let decode = |text: &str| STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok();
    value.as_str().and_then(decode).ok_or_else(|| Unreadable::wanted("base64", &value))
}
