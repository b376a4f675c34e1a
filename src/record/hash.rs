//! Keyed 128-bit hashes: of streams, of records, and of ids that must not be read.
//!
//! The key is the install's, so nobody can try out what a hash was made of. Values are written in one
//! form whatever they came as, so a record is the same in JSON and in protobuf: a whole double is the
//! integer that it equals.

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// Nested deeper than this, a value counts as absent. Prost stops decoding at 100.
pub const DEPTH_MAX: usize = 32;

/// The bytes to be hashed. Texts are written with their lengths, so no two records read alike.
#[derive(Default)]
pub struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins anew; `domain` keeps hashes of different things apart.
    pub fn begin(&mut self, domain: u8) {
        self.0.clear();
        self.0.push(domain);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// In one byte where it is short, as nearly all are: hashing is most of what recording costs.
    fn length(&mut self, length: usize) {
        match u8::try_from(length) {
            Ok(short) if short < u8::MAX => self.0.push(short),
            _ => {
                self.0.push(u8::MAX);
                self.number(length as u64);
            }
        }
    }

    pub fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub fn hash_of(&mut self, hash: u128) {
        self.0.extend_from_slice(&hash.to_le_bytes());
    }

    /// Attributes in the order given.
    pub fn attributes<'a>(&mut self, attributes: impl ExactSizeIterator<Item = &'a KeyValue>) {
        self.length(attributes.len());
        for attribute in attributes {
            self.text(&attribute.key);
            self.value(attribute.value.as_ref(), 0);
        }
    }

    /// Attributes sorted by key; of one key twice, the order stays.
    pub fn sorted(&mut self, attributes: &[KeyValue]) {
        let mut sorted: Vec<&KeyValue> = attributes.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        self.attributes(sorted.into_iter());
    }

    pub fn value(&mut self, value: Option<&AnyValue>, depth: usize) {
        match value.and_then(|value| value.value.as_ref()).filter(|_| depth < DEPTH_MAX) {
            Some(AnyKind::StringValue(text)) => {
                self.0.push(1);
                self.text(text);
            }
            Some(AnyKind::BoolValue(flag)) => self.0.extend_from_slice(&[2, u8::from(*flag)]),
            Some(AnyKind::IntValue(number)) => self.integer(*number),
            Some(AnyKind::DoubleValue(number)) => self.double(*number),
            Some(AnyKind::BytesValue(bytes)) => {
                self.0.push(5);
                self.bytes(bytes);
            }
            Some(AnyKind::ArrayValue(array)) => {
                self.0.push(6);
                self.length(array.values.len());
                for value in &array.values {
                    self.value(Some(value), depth + 1);
                }
            }
            Some(AnyKind::KvlistValue(list)) => {
                self.0.push(7);
                self.length(list.values.len());
                for pair in &list.values {
                    self.text(&pair.key);
                    self.value(pair.value.as_ref(), depth + 1);
                }
            }
            // String table references belong to profiles.
            _ => self.0.push(0),
        }
    }

    fn integer(&mut self, number: i64) {
        self.0.push(3);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn double(&mut self, number: f64) {
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0; // 2^53: beyond it, doubles skip integers
        if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within ±2^53")]
            return self.integer(number as i64);
        }
        self.0.push(4);
        self.number(number.to_bits());
    }

    pub fn finish(&self, key: &[u8; 32]) -> u128 {
        keyed(key, &self.0)
    }
}

fn keyed(key: &[u8; 32], bytes: &[u8]) -> u128 {
    let hash = blake3::keyed_hash(key, bytes);
    let (half, _) = hash.as_bytes().split_first_chunk::<16>().expect("a hash has 32 bytes");
    u128::from_le_bytes(*half)
}

/// An id that joins records and tells nothing: 32 hex digits.
///
/// The last eight are a check of the others, so that a hashed id is known as one and stays as it is.
pub fn pseudonym(key: &[u8; 32], id: &str) -> String {
    if is_pseudonym(key, id) {
        return id.to_owned();
    }
    let mut input = Canonical::default();
    input.begin(b'i');
    input.text(id);
    let head = format!("{:032x}", input.finish(key));
    let (head, _) = head.split_at(24);
    format!("{head}{}", check_digits(key, head))
}

fn is_pseudonym(key: &[u8; 32], id: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.len() == 32 && id.bytes().all(hex) && {
        let (head, check) = id.split_at(24);
        check == check_digits(key, head)
    }
}

fn check_digits(key: &[u8; 32], head: &str) -> String {
    let mut input = Canonical::default();
    input.begin(b'c');
    input.text(head);
    format!("{:08x}", input.finish(key) >> 96)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(key: &str, value: AnyKind) -> KeyValue {
        KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    fn sorted(attributes: &[KeyValue]) -> u128 {
        let mut input = Canonical::default();
        input.begin(0);
        input.sorted(attributes);
        input.finish(&[7; 32])
    }

    #[test]
    fn a_number_is_hashed_by_value() {
        let five = sorted(&[pair("n", AnyKind::IntValue(5))]);
        assert_eq!(five, sorted(&[pair("n", AnyKind::DoubleValue(5.0))]));
        assert_ne!(five, sorted(&[pair("n", AnyKind::DoubleValue(5.5))]));
        assert_ne!(five, sorted(&[pair("n", AnyKind::StringValue("5".into()))]));
    }

    #[test]
    fn lengths_keep_neighbours_apart() {
        let text = |text: &str| AnyKind::StringValue(text.into());
        assert_ne!(sorted(&[pair("ab", text("c"))]), sorted(&[pair("a", text("bc"))]));
    }

    #[test]
    fn a_pseudonym_stays_as_it_is_for_its_own_key_only() {
        let once = pseudonym(&[1; 32], "session");
        assert_eq!(once.len(), 32);
        assert_eq!(pseudonym(&[1; 32], &once), once);
        assert_ne!(pseudonym(&[2; 32], &once), once);
        assert_ne!(pseudonym(&[1; 32], "other"), once);
    }

    proptest! {
        #[test]
        fn the_order_of_attributes_does_not_matter(
            texts in proptest::collection::btree_map("[a-z.]{1,8}", "\\PC{0,8}", 0..12),
            rotation in 0..12_usize,
        ) {
            let mut attributes: Vec<KeyValue> =
                texts.iter().map(|(key, text)| pair(key, AnyKind::StringValue(text.clone()))).collect();
            let expect = sorted(&attributes);
            if !attributes.is_empty() {
                let middle = rotation % attributes.len();
                attributes.rotate_left(middle);
            }
            prop_assert_eq!(sorted(&attributes), expect);
            attributes.reverse();
            prop_assert_eq!(sorted(&attributes), expect);
        }
    }
}
