//! `OTEL_RESOURCE_ATTRIBUTES`: `k=v,k2=v2`, values percent-encoded (OpenTelemetry resource SDK;
//! W3C baggage octets).
//!
//! Claude Code drops **all** attributes, without a word, when one entry is malformed: a raw space,
//! `;`, `\`, anything outside ASCII, a bad `%` sequence, a value over 255 bytes. So what is written
//! here uses letters, digits and a few marks only. What is read is taken as it was meant: an entry
//! that Claude Code would have stumbled over is mended.

use std::fmt::Write as _;

/// Longest key and value that Claude Code takes.
pub const ATTRIBUTE_BYTES_MAX: usize = 255;

/// Percent-encodes a value. What comes out holds `A-Z a-z 0-9 - . _ ~ : / @ +` and `%XX` only.
pub fn value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/@+".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes every write");
        }
    }
    encoded
}

/// Undoes percent-encoding; a `%` that begins no `%XX` stands for itself.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let (byte, length) = digits.and_then(hexadecimal).map_or((bytes[at], 1), |byte| (byte, 3));
        decoded.push(byte);
        at += length;
    }
    String::from_utf8(decoded)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The entries of a variable, in order, decoded. An entry without `=` or without a key is skipped,
/// as Claude Code does; quotes around a value are stripped.
pub fn entries(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), decode(unquoted(value.trim()))))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// The whole variable.
pub fn join<'e>(entries: impl IntoIterator<Item = (&'e str, &'e str)>) -> String {
    let mut joined = String::new();
    for (key, text) in entries {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(key);
        joined.push('=');
        joined.push_str(&value(text));
    }
    joined
}

/// Whether Claude Code would take this entry (and, with it, all the others).
pub fn is_attribute(key: &str, text: &str) -> bool {
    let mark = |byte: u8| matches!(byte, b',' | b';' | b'\\' | b'=' | b'"' | b'%');
    let fits = |length: usize| (1..=ATTRIBUTE_BYTES_MAX).contains(&length);
    fits(key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic() && !mark(byte))
        && fits(value(text).len())
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(digits[0])? * 16 + digit(digits[1])?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_safe_and_reads_back(
            texts in proptest::collection::vec("\\PC{1,20}|[ -~]{1,20}|[%;,=\\\\\" ]{1,8}", 1..6),
        ) {
            let keyed: Vec<(String, String)> =
                texts.into_iter().enumerate().map(|(i, text)| (format!("k{i}"), text)).collect();
            let joined = join(keyed.iter().map(|(key, text)| (key.as_str(), text.as_str())));
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@+%=,".contains(&byte);
            prop_assert!(joined.bytes().all(safe), "{joined}");
            prop_assert_eq!(entries(&joined), keyed);
        }

        #[test]
        fn decoding_never_fails(text in "\\PC{0,40}|(%[0-9a-zA-Z]{0,2}){0,8}") {
            let _ = decode(&text);
        }
    }

    #[test]
    fn what_claude_code_would_stumble_over_is_mended() {
        let read = entries("team=a b, cost=50%,x=\"quoted\",none,=y,eq=a=b,é=ü");
        let expected =
            [("team", "a b"), ("cost", "50%"), ("x", "quoted"), ("eq", "a=b"), ("é", "ü")];
        let expected: Vec<(String, String)> =
            expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(read, expected);
        assert!(!is_attribute("é", "ü"), "a key cannot be encoded");
        assert_eq!(join([("team", "a b"), ("cost", "50%")]), "team=a%20b,cost=50%25");
    }
}
