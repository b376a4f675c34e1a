//! Names as Prometheus has them, and the model name without its suffix.
//!
//! The rules are those of OTLP → Prometheus translation with suffixes
//! (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>): every run of
//! other characters becomes one `_`, the unit is appended unless the name holds it, `total` goes last.

/// Metric names are cut here, in bytes, before they are translated.
const METRIC_NAME_BYTES_MAX: usize = 200;
/// Label names are cut here, in bytes.
const LABEL_NAME_BYTES_MAX: usize = 64;

/// The name in Prometheus of a monotonic sum: `claude_code.cost.usage`, `USD` →
/// `claude_code_cost_usage_USD_total`.
pub fn metric_name(name: &str, unit: &str) -> String {
    let name = &name[..name.floor_char_boundary(METRIC_NAME_BYTES_MAX)];
    let unit = &unit[..unit.floor_char_boundary(METRIC_NAME_BYTES_MAX)];
    let mut words: Vec<&str> = words(name).collect();
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let (main, per) = (unit_words(main, MAIN_UNITS), unit_words(per, PER_UNITS));
    for word in main {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    for (index, word) in per.into_iter().enumerate() {
        if index == 0 {
            words.push("per");
        }
        words.push(word);
    }
    words.retain(|word| *word != "total");
    words.push("total");
    let joined = words.join("_");
    if joined.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("_{joined}");
    }
    joined
}

/// The name of a label: `mcp_server.name` → `mcp_server_name`. Empty if nothing of it can be used.
pub fn label_name(key: &str) -> String {
    let key = &key[..key.floor_char_boundary(LABEL_NAME_BYTES_MAX)];
    if key.chars().all(|c| !c.is_ascii_alphanumeric()) {
        return String::new();
    }
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(letter).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("key_{}", &name[..name.len().min(LABEL_NAME_BYTES_MAX - 4)]);
    }
    name
}

/// A model's name and the suffix that metrics carry: `claude-opus-4-8[1m]` →
/// `("claude-opus-4-8", Some("1m"))`.
pub fn split_model(model: &str) -> (&str, Option<&str>) {
    let parts = model.strip_suffix(']').and_then(|model| model.rsplit_once('['));
    match parts {
        Some((base, suffix)) if !base.is_empty() && is_suffix(suffix) => (base, Some(suffix)),
        _ => (model, None),
    }
}

/// Whether a text is a plain name, as event names and bodies of Claude Code are.
pub fn is_plain(text: &str) -> bool {
    const PLAIN_BYTES_MAX: usize = 96;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    !text.is_empty() && text.len() <= PLAIN_BYTES_MAX && text.bytes().all(plain)
}

fn is_suffix(suffix: &str) -> bool {
    !suffix.is_empty()
        && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|word| !word.is_empty())
}

/// Annotations such as `{request}` are no units.
fn unit_words<'a>(unit: &'a str, spelled: &[(&str, &'static str)]) -> Vec<&'a str> {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return Vec::new();
    }
    match spelled.iter().find(|(short, _)| *short == unit) {
        Some((_, long)) => words(long).collect(),
        None => words(unit).collect(),
    }
}

const MAIN_UNITS: &[(&str, &str)] = &[
    ("1", ""),
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("%", "percent"),
];

const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metrics_are_named_as_the_translation_with_suffixes_names_them() {
        let check = |name, unit, expect| assert_eq!(metric_name(name, unit), expect);
        check("claude_code.session.count", "", "claude_code_session_count_total");
        check("claude_code.lines_of_code.count", "", "claude_code_lines_of_code_count_total");
        check("claude_code.pull_request.count", "", "claude_code_pull_request_count_total");
        check("claude_code.commit.count", "", "claude_code_commit_count_total");
        check("claude_code.cost.usage", "USD", "claude_code_cost_usage_USD_total");
        check("claude_code.token.usage", "tokens", "claude_code_token_usage_tokens_total");
        check(
            "claude_code.code_edit_tool.decision",
            "",
            "claude_code_code_edit_tool_decision_total",
        );
        check("claude_code.active_time.total", "s", "claude_code_active_time_seconds_total");
        // Unknown ones, by the same rules.
        check("claude_code.cache.saved", "By", "claude_code_cache_saved_bytes_total");
        check("claude_code.io", "By/s", "claude_code_io_bytes_per_second_total");
        check("claude_code.requests", "{request}", "claude_code_requests_total");
        check("claude_code.requests", "1", "claude_code_requests_total");
        check("claude_code.wait.seconds", "s", "claude_code_wait_seconds_total");
        check("2nd metric", "", "_2nd_metric_total");
        check("", "", "total");
    }

    #[test]
    fn labels_are_named_as_prometheus_allows() {
        let check = |key, expect| assert_eq!(label_name(key), expect);
        check("mcp_server.name", "mcp_server_name");
        check("cost-center", "cost_center");
        check("2fa", "key_2fa");
        check("…", "");
        check("", "");
    }

    #[test]
    fn a_model_is_split_from_its_suffix() {
        let check = |model, base, suffix| assert_eq!(split_model(model), (base, suffix));
        check("claude-opus-4-8[1m]", "claude-opus-4-8", Some("1m"));
        check("claude-opus-4-8", "claude-opus-4-8", None);
        check("claude-opus-4-8[]", "claude-opus-4-8[]", None);
        check("[1m]", "[1m]", None);
        check("us.anthropic.claude-v1:0[1m]", "us.anthropic.claude-v1:0", Some("1m"));
        check("a[b c]", "a[b c]", None);
        check("", "", None);
    }

    proptest! {
        #[test]
        fn a_suffix_comes_off_and_goes_back(base in "[a-z0-9.:@-]{1,40}", suffix in "[a-z0-9]{1,6}") {
            let model = format!("{base}[{suffix}]");
            prop_assert_eq!(split_model(&model), (base.as_str(), Some(suffix.as_str())));
            prop_assert_eq!(split_model(&base), (base.as_str(), None));
        }

        #[test]
        fn any_name_becomes_a_valid_one(name in "\\PC{0,60}", unit in "\\PC{0,12}") {
            let metric = metric_name(&name, &unit);
            prop_assert!(metric.ends_with("total"));
            prop_assert!(metric.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':'));
            prop_assert!(!metric.starts_with(|c: char| c.is_ascii_digit()));
            let label = label_name(&name);
            prop_assert!(label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            prop_assert!(!label.starts_with(|c: char| c.is_ascii_digit()));
            prop_assert_eq!(label_name(&label), label);
        }
    }
}
