//! What a privacy level leaves of a value.
//!
//! | class | `minimal` | `standard` | `full` |
//! | --- | --- | --- | --- |
//! | kept | kept | kept | kept |
//! | id | pseudonym | kept | kept |
//! | identity, place, own name | dropped | kept | kept |
//! | own part | the part goes | kept | kept |
//! | error text | dropped | first line, paths masked, 256 bytes | kept |
//! | content | length | length | kept |
//!
//! Secrets are masked before, at every level. Applying a level to what it left changes nothing, and
//! applying a tighter one gives what that one would have left of the original.

use std::borrow::Cow;
use std::sync::Arc;

use super::attributes::Class;
use super::{PrivacyLevel, Value, hash};

/// Longest text at `minimal` and `standard`.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Longest text at `full`; Claude Code itself cuts at 60 KB.
pub const FULL_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Longest error message at `standard`.
const ERROR_BYTES_MAX: usize = 256;
/// So much is read of a line in which paths are masked.
const LINE_BYTES_MAX: usize = 4096;
/// What Claude Code sends where it was not told to send content.
pub const REDACTED: &str = "<REDACTED>";
/// Ends a text that was cut. Its original length is in `<key>_length`.
const CUT: &str = "…[cut]";
const PATH: &str = "[path]";

/// What is left of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Keep(Value),
    /// Kept, but shorter than its original, which had so many characters (UTF-16 units, as Claude
    /// Code counts).
    Cut(Value, i64),
    /// Content: only its length stays.
    Length(i64),
    Drop,
}

/// Applies a level to a value whose secrets are masked.
pub fn apply(
    class: Class,
    key: &str,
    value: Value,
    level: PrivacyLevel,
    install_key: &[u8; 32],
) -> Outcome {
    use PrivacyLevel::{Full, Minimal, Standard};
    if level < Full && matches!(&value, Value::Text(text) if &**text == REDACTED) {
        return Outcome::Drop;
    }
    match (class, level) {
        (Class::Identity | Class::Place | Class::OwnName | Class::ErrorText, Minimal) => {
            Outcome::Drop
        }
        (Class::Id, Minimal) => {
            text_of(&value).map_or(Outcome::Drop, |id| keep(hash::pseudonym(install_key, &id)))
        }
        (Class::OwnPart, Minimal | Standard) => match value {
            Value::Text(text) => keep(without_own_part(key, &text, level)),
            _ => Outcome::Drop,
        },
        (Class::ErrorText, Standard) => match value {
            Value::Text(text) => error_text(&text),
            Value::Json(_) => Outcome::Drop,
            number => Outcome::Keep(number),
        },
        (Class::Content, Minimal | Standard) => match value {
            Value::Text(text) | Value::Json(text) => Outcome::Length(length(&text)),
            _ => Outcome::Drop,
        },
        (_, Full) => bounded(value, FULL_TEXT_BYTES_MAX),
        _ => bounded(value, TEXT_BYTES_MAX),
    }
}

/// Characters of a text, counted as Claude Code counts them.
pub fn length(text: &str) -> i64 {
    let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    i64::try_from(units).unwrap_or(i64::MAX)
}

/// A text of at most so many bytes, with a mark if it was cut.
pub fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(CUT.len()));
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

/// `mcp__server__tool` → `mcp_tool`, as Claude Code itself says; `agent:custom:x` → `agent:custom`;
/// `SubagentStop:x` → `SubagentStop`.
pub fn without_own_part<'a>(key: &str, text: &'a str, level: PrivacyLevel) -> Cow<'a, str> {
    const BUILT_IN_AGENT: &str = "agent:builtin:";
    if level == PrivacyLevel::Full {
        return Cow::Borrowed(text);
    }
    let text = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
    if has_slash(text) {
        let masked = mask_paths(text); // leaves no slash
        return Cow::Owned(without_own_part(key, &masked, level).into_owned());
    }
    if level == PrivacyLevel::Standard {
        return Cow::Borrowed(text);
    }
    if text.starts_with("mcp__") {
        return Cow::Borrowed("mcp_tool");
    }
    if key == "hook_name" {
        return Cow::Borrowed(text.split_once(':').map_or(text, |(event, _)| event));
    }
    if text.starts_with("agent:") && !text.starts_with(BUILT_IN_AGENT) {
        return Cow::Borrowed("agent:custom");
    }
    Cow::Borrowed(text)
}

fn keep(text: impl AsRef<str>) -> Outcome {
    bounded(Value::Text(Arc::from(text.as_ref())), TEXT_BYTES_MAX)
}

fn bounded(value: Value, bytes_max: usize) -> Outcome {
    match &value {
        Value::Text(text) | Value::Json(text) if text.len() > bytes_max => {
            // Half a JSON document is none.
            Outcome::Cut(Value::Text(cut(text, bytes_max).into()), length(text))
        }
        _ => Outcome::Keep(value),
    }
}

fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) | Value::Json(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(number.to_string().into()),
        Value::Double(number) => Some(number.to_string().into()),
        Value::Bool(_) => None,
    }
}

fn error_text(text: &str) -> Outcome {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let line = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
    if line.is_empty() {
        return Outcome::Drop;
    }
    let masked = mask_paths(line);
    Outcome::Keep(Value::Text(cut(&masked, ERROR_BYTES_MAX).into()))
}

/// Replaces every quoted or blank-separated part of a line that holds a slash. Too much is masked
/// rather than too little: `and/or` goes as well.
fn mask_paths(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    let mut opens = true; // a quote begins a part only where a word could begin
    while let Some(first) = rest.chars().next() {
        if opens && let Some((inside, after)) = quoted(rest, first) {
            masked.push(first);
            masked.push_str(if has_slash(inside) { PATH } else { inside });
            masked.push(first);
            rest = after;
            opens = false;
        } else if is_separator(first) {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
            opens = true;
        } else {
            let end = rest.find(is_separator).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            masked.push_str(if has_slash(word) { PATH } else { word });
            rest = after;
            opens = false;
        }
    }
    masked
}

/// The inside of a quoted part at the beginning of the text, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(&str, &str)> {
    if !matches!(quote, '"' | '\'' | '`') {
        return None;
    }
    text[1..].split_once(quote)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | ',' | ';' | '=' | '"' | '\'' | '`')
}

fn has_slash(word: &str) -> bool {
    word.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [3; 32];
    const LEVELS: [PrivacyLevel; 3] =
        [PrivacyLevel::Minimal, PrivacyLevel::Standard, PrivacyLevel::Full];

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn kept(class: Class, key: &str, value: &str, level: PrivacyLevel) -> Option<String> {
        match apply(class, key, text(value), level, &KEY) {
            Outcome::Keep(Value::Text(text)) => Some(text.to_string()),
            _ => None,
        }
    }

    #[test]
    fn paths_are_masked_in_error_texts() {
        let check = |line: &str, expect: &str| assert_eq!(mask_paths(line), expect);
        check(
            "ENOENT: no such file, open '/home/a b/c d.txt'",
            "ENOENT: no such file, open '[path]'",
        );
        check("cannot read /etc/passwd: denied", "cannot read [path] denied");
        check(r#"at "C:\Users\me\x y" now"#, r#"at "[path]" now"#);
        check("don't know ~/x and can't", "don't know [path] and can't");
        check("see https://host/a?b (src/main.rs)", "see [path] ([path])");
        check("messages: mock invalid request", "messages: mock invalid request");
        check("a 'quoted name' stays", "a 'quoted name' stays");
    }

    #[test]
    fn an_error_keeps_one_short_line_at_standard() {
        let error = |value: &str| kept(Class::ErrorText, "error", value, PrivacyLevel::Standard);
        assert_eq!(error("overloaded\n/home/me/secret"), Some("overloaded".into()));
        assert_eq!(error("<REDACTED>"), None);
        assert_eq!(error(&"é".repeat(400)).map(|text| text.len() <= 256), Some(true));
        assert_eq!(kept(Class::ErrorText, "error", "overloaded", PrivacyLevel::Minimal), None);
    }

    #[test]
    fn own_parts_go_at_minimal() {
        let check = |key: &str, value: &str, expect: &str| {
            let left = kept(Class::OwnPart, key, value, PrivacyLevel::Minimal);
            assert_eq!(left.as_deref(), Some(expect));
        };
        check("tool_name", "Bash", "Bash");
        check("tool_name", "mcp__payroll__salaries", "mcp_tool");
        check("hook_name", "SubagentStop:payroll-auditor", "SubagentStop");
        check("query_source", "agent:builtin:general-purpose", "agent:builtin:general-purpose");
        check("query_source", "agent:custom:payroll-auditor", "agent:custom");
        check("query_source", "repl_main_thread", "repl_main_thread");
    }

    fn reduce(class: Class, value: Value, level: PrivacyLevel) -> Outcome {
        apply(class, "hook_name", value, level, &KEY)
    }

    proptest! {
        #[test]
        fn a_level_applied_twice_or_through_a_wider_one_is_the_same(
            class in proptest::sample::select(vec![
                Class::Kept, Class::OwnPart, Class::Id, Class::Identity, Class::Place,
                Class::OwnName, Class::ErrorText,
            ]),
            value in "(mcp__|agent:|PreToolUse:|/|'|\"| |\\\\|\\n|é|[a-z]{1,9}){0,40}",
        ) {
            for level in LEVELS {
                let direct = reduce(class, text(&value), level);
                for wider in LEVELS.into_iter().filter(|wider| *wider >= level) {
                    let through = match reduce(class, text(&value), wider) {
                        Outcome::Keep(left) => reduce(class, left, level),
                        other => other,
                    };
                    prop_assert_eq!(&through, &direct, "{:?} through {:?}", level, wider);
                }
            }
        }
    }
}
