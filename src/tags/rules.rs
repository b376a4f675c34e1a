//! What a tag may be called and what it may say.
//!
//! A tag becomes an OpenTelemetry resource attribute, a Prometheus label and Loki metadata, so its
//! name must be acceptable to all three, and must be no name that one of them, Claude Code or the
//! report already uses. `.` becomes `_` in Prometheus, so both are the same letter here.

use std::collections::BTreeMap;

use super::encode;
use crate::config::table::At;

/// Longest name: `[a-z][a-z0-9_.]{0,62}`.
pub const KEY_BYTES_MAX: usize = 63;
/// Longest value after percent-encoding: Claude Code drops every attribute when one is longer.
pub const VALUE_BYTES_MAX: usize = 255;

/// Why a tag is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub what: String,
    pub remedy: String,
}

/// Name, line and reason of a tag that is left out.
pub type RefusedTag = (String, u32, Refusal);

/// Whether `key = value` can be a tag.
pub fn check(key: &str, value: &str) -> Result<(), Refusal> {
    let refuse = |what: String, remedy: &str| Err(Refusal { what, remedy: remedy.to_owned() });
    let shown: String = key.chars().take(KEY_BYTES_MAX).map(printable).collect();
    if !is_key(key) {
        let remedy = "a tag's name is a letter a-z, then up to 62 of a-z 0-9 _ .";
        return refuse(format!("`{shown}` cannot be a tag's name"), remedy);
    }
    if let Some(owner) = owner(key) {
        let remedy = "give the tag another name";
        return refuse(format!("`{shown}` is a name that {owner} owns"), remedy);
    }
    if value.is_empty() {
        return refuse(format!("the tag `{shown}` has no value"), "remove it, or say something");
    }
    if value.chars().any(char::is_control) {
        return refuse(format!("the tag `{shown}` holds a control character"), "remove it");
    }
    if encode::value(value).len() > VALUE_BYTES_MAX {
        let what = format!("the value of `{shown}` is longer than {VALUE_BYTES_MAX} bytes");
        return refuse(what, "shorten it (outside ASCII a letter takes 6 or more)");
    }
    Ok(())
}

/// Parts a file's tags into those that hold and those that do not. Of `a.b` beside `a_b`, neither
/// does: no rule says which was meant.
pub fn screen(
    found: BTreeMap<String, At<String>>,
) -> (BTreeMap<String, At<String>>, Vec<RefusedTag>) {
    let mut spellings: BTreeMap<String, usize> = BTreeMap::new();
    for key in found.keys() {
        *spellings.entry(canonical(key)).or_default() += 1;
    }
    let mut kept = BTreeMap::new();
    let mut refused = Vec::new();
    for (key, value) in found {
        let verdict = if spellings.get(&canonical(&key)).is_some_and(|count| *count > 1) {
            let what = format!("`{key}` stands beside `{}`", other_spelling(&key));
            let remedy = "`.` and `_` are the same letter in a tag's name: keep one".to_owned();
            Err(Refusal { what, remedy })
        } else {
            check(&key, &value.value)
        };
        match verdict {
            Ok(()) => {
                kept.insert(key, value);
            }
            Err(refusal) => refused.push((key, value.line, refusal)),
        }
    }
    (kept, refused)
}

/// Whether two names become the same label.
pub fn same_key(left: &str, right: &str) -> bool {
    canonical(left) == canonical(right)
}

pub fn canonical(key: &str) -> String {
    key.replace('.', "_")
}

fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
    };
    key.len() <= KEY_BYTES_MAX
        && key.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && key.bytes().all(allowed)
}

fn other_spelling(key: &str) -> String {
    if key.contains('.') { canonical(key) } else { key.replace('_', ".") }
}

fn printable(char: char) -> char {
    if char.is_control() { '?' } else { char }
}

/// Who owns a name already, in words.
fn owner(key: &str) -> Option<&'static str> {
    let key = canonical(key);
    let among = |names: &[&str]| names.contains(&key.as_str());
    let under = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    if among(PROMETHEUS) {
        Some("Prometheus")
    } else if among(CLAUDE_CODE) || under(CLAUDE_CODE_PREFIXES) {
        Some("Claude Code")
    } else if under(OPEN_TELEMETRY_PREFIXES) {
        Some("OpenTelemetry")
    } else if among(LOKI) {
        Some("Loki")
    } else if among(OURS) || under(&["ccotel_"]) {
        Some("ccotel")
    } else {
        None
    }
}

/// `__*` cannot begin a tag's name as it is.
const PROMETHEUS: &[&str] = &["job", "instance", "le", "quantile"];

/// Attributes of Claude Code's data points and events (monitoring-usage in its documentation).
const CLAUDE_CODE: &[&str] = &[
    "attempt",
    "body",
    "body_length",
    "body_ref",
    "body_truncated",
    "cache_creation_tokens",
    "cache_read_tokens",
    "client_request_id",
    "command_name",
    "command_source",
    "context",
    "cost_usd",
    "cost_usd_micros",
    "decision",
    "decision_source",
    "decision_type",
    "duration_ms",
    "effort",
    "error",
    "error_type",
    "input_tokens",
    "language",
    "model",
    "output_tokens",
    "prompt",
    "prompt_length",
    "query_source",
    "request_id",
    "response",
    "response_length",
    "source",
    "speed",
    "start_type",
    "status",
    "status_code",
    "success",
    "tool_input",
    "tool_name",
    "tool_parameters",
    "tool_source",
    "tool_use_id",
    "total_attempts",
    "trigger",
    "type",
];

const CLAUDE_CODE_PREFIXES: &[&str] = &[
    "agent_",
    "anthropic_",
    "app_",
    "ccr_",
    "claude_code_",
    "event_",
    "hook_",
    "identity_",
    "managed_settings_",
    "marketplace_",
    "mcp_",
    "organization_",
    "plugin_",
    "prompt_",
    "session_",
    "skill_",
    "terminal_",
    "user_",
    "workflow_",
    "workspace_",
    "wsl_",
];

/// Resource attributes with a meaning of their own (OpenTelemetry semantic conventions).
const OPEN_TELEMETRY_PREFIXES: &[&str] =
    &["host_", "os_", "otel_", "process_", "service_", "telemetry_", "vcs_"];

const LOKI: &[&str] = &["detected_level", "level", "severity_number", "severity_text"];

/// Columns and dimensions of `ccotel report`: a tag's key there is its name.
const OURS: &[&str] = &[
    "active_seconds",
    "branch",
    "commits",
    "day",
    "directory",
    "errors",
    "hour",
    "lines_added",
    "lines_removed",
    "month",
    "prompts",
    "pull_requests",
    "repo",
    "requests",
    "sender",
    "session",
    "sessions",
    "tokens",
    "tool",
    "user",
    "week",
    "worktree",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_own_are_refused() {
        for key in [
            "job",
            "instance",
            "le",
            "quantile",
            "model",
            "type",
            "session_id",
            "session.id",
            "user.email",
            "organization.id",
            "service.name",
            "os.type",
            "host.arch",
            "terminal.type",
            "ccotel.privacy",
            "ccotel_launch_id",
            "mcp_server.name",
            "app.version",
            "event.name",
            "query_source",
        ] {
            let refusal = check(key, "x").unwrap_err();
            assert!(refusal.what.contains("owns"), "{key}: {}", refusal.what);
        }
        for key in ["team", "project", "cost_center", "cost.center", "env", "jobs", "modelled"] {
            assert_eq!(check(key, "x"), Ok(()), "{key}");
        }
    }

    #[test]
    fn names_and_values_have_a_shape() {
        for key in ["", "Team", "1st", "_x", "__name__", "a-b", "a b", "é", &"a".repeat(64)] {
            assert!(check(key, "x").is_err(), "{key}");
        }
        assert_eq!(check(&"a".repeat(63), "x"), Ok(()));
        assert!(check("team", "").is_err());
        assert!(check("team", "a\nb").is_err());
        assert!(check("team", "a\u{85}b").is_err());
        assert_eq!(check("team", "a b;c,d=e\\\"%é"), Ok(()));
        assert_eq!(check("team", &"a".repeat(255)), Ok(()));
        assert!(check("team", &"a".repeat(256)).is_err());
        assert!(check("team", &"é".repeat(43)).is_err(), "6 bytes each once encoded");
    }

    #[test]
    fn a_dot_beside_an_underscore_leaves_both_out() {
        let at = |value: &str| At { value: value.to_owned(), line: 1 };
        let found = BTreeMap::from([
            ("a.b".to_owned(), at("1")),
            ("a_b".to_owned(), at("2")),
            ("c".to_owned(), at("3")),
        ]);
        let (kept, refused) = screen(found);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["c"]);
        assert_eq!(refused.len(), 2);
    }
}
