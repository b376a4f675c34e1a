//! The variables that Claude Code is given, from what the user has and from where the agent is.
//!
//! | variable | value | why |
//! | --- | --- | --- |
//! | `CLAUDE_CODE_ENABLE_TELEMETRY` | `1` | the master switch |
//! | `OTEL_{METRICS,LOGS}_EXPORTER` | the user's, and `otlp` | `OTEL_TRACES_EXPORTER` only if the user turned traces on |
//! | `OTEL_EXPORTER_OTLP_[…_]PROTOCOL` | `http/protobuf` | without one Claude Code exports nothing, silently |
//! | `OTEL_EXPORTER_OTLP_[…_]ENDPOINT` | the agent, with the token in the path | headers can be replaced by the user's helper, a path cannot |
//! | `…_TEMPORALITY_PREFERENCE` | `cumulative` | a failed export heals at the next one |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_LOGS_EXPORT_INTERVAL` | 10000, 1000 ms | a killed session loses what it has not sent |
//! | `OTEL_METRICS_INCLUDE_{SESSION_ID,RESOURCE_ATTRIBUTES}` | `true` | with `false` the events lose them too |
//! | `OTEL_RESOURCE_ATTRIBUTES` | the user's, the tags, launch id, privacy level | a higher layer would erase them, so they are merged |
//!
//! Where no `--settings` can be given (a command that takes none in front, settings of the user's that
//! cannot be merged, a full disk), the environment alone carries these, and a repository's
//! `.claude/settings.json` outranks it: it can switch content on and send the telemetry elsewhere.
//! Against the former the level that is sent becomes `standard` at most, and the agent drops the
//! content. A hole remains: a repository that also sets `OTEL_RESOURCE_ATTRIBUTES` takes that level
//! (and the tags) away, and then the machine's `[privacy] level` alone decides; with `full` there,
//! the content of such a session is kept.
//!
//! A per-signal variable in any layer outranks a generic one, so each is set in all its forms.

use super::layers::{ENABLE_TELEMETRY, LAUNCH_ATTRIBUTE, Layers, RESOURCE_ATTRIBUTES};
use crate::agent::ensure::Endpoint;
use crate::config::shape::privacy_word;
use crate::record::PrivacyLevel;
use crate::tags::{Attribute, Resolved, Source, encode, rules};

/// Carries the level to the agent: what tightens must not depend on a message that may get lost.
pub const PRIVACY_ATTRIBUTE: &str = "ccotel.privacy";
/// Resource attributes of the user's that are passed on, beside the tags.
const ATTRIBUTES_MAX: usize = 128;

const SIGNALS: [&str; 3] = ["METRICS", "LOGS", "TRACES"];

/// What a repository must not turn on: content (Claude Code's monitoring documentation).
const CONTENT_SWITCHES: [&str; 5] = [
    "OTEL_LOG_USER_PROMPTS",
    "OTEL_LOG_ASSISTANT_RESPONSES",
    "OTEL_LOG_TOOL_DETAILS",
    "OTEL_LOG_TOOL_CONTENT",
    "OTEL_LOG_RAW_API_BODIES",
];

/// The variables, in a fixed order.
pub type Variables = Vec<(String, String)>;

/// Everything for a launch whose telemetry comes to the agent.
pub fn for_agent(
    layers: &Layers,
    endpoint: &Endpoint,
    resolved: &Resolved,
    attributes: &[Attribute],
    launch: &str,
    level: PrivacyLevel,
) -> Variables {
    let mut variables = vec![(ENABLE_TELEMETRY.to_owned(), "1".to_owned())];
    let mut set = |name: String, value: &str| variables.push((name, value.to_owned()));
    for (signal, exporters) in exporters(layers) {
        set(format!("OTEL_{signal}_EXPORTER"), &exporters);
    }
    let base = format!("http://{}/{}", endpoint.address, endpoint.token);
    set("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "http/protobuf");
    set("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), &base);
    for signal in SIGNALS {
        set(format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"), "http/protobuf");
        let path = signal.to_ascii_lowercase();
        set(format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), &format!("{base}/v1/{path}"));
    }
    set("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE".to_owned(), "cumulative");
    set("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "10000");
    set("OTEL_LOGS_EXPORT_INTERVAL".to_owned(), "1000");
    set("OTEL_METRICS_INCLUDE_SESSION_ID".to_owned(), "true");
    set("OTEL_METRICS_INCLUDE_RESOURCE_ATTRIBUTES".to_owned(), "true");
    for (name, value) in content_switches(layers) {
        set(name.to_owned(), value);
    }
    let private = [(LAUNCH_ATTRIBUTE, launch), (PRIVACY_ATTRIBUTE, privacy_word(level))];
    set(RESOURCE_ATTRIBUTES.to_owned(), &resource_attributes(resolved, attributes, &private));
    variables
}

/// For a launch whose telemetry an organisation has claimed: the tags, and nothing else.
pub fn for_managed_feed(resolved: &Resolved, attributes: &[Attribute]) -> Variables {
    vec![(RESOURCE_ATTRIBUTES.to_owned(), resource_attributes(resolved, attributes, &[]))]
}

/// The resource attributes of every layer, lowest first. Ours of an outer launch are none of the
/// user's, and nobody else can speak for us.
pub fn user_attributes(layers: &Layers) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for layer in &layers.layers {
        let Some(text) = layer.env.get(RESOURCE_ATTRIBUTES) else { continue };
        for (key, value) in encode::entries(text) {
            if key.starts_with("ccotel.") || key.starts_with("ccotel_") {
                continue;
            }
            attributes.retain(|known| known.key != key);
            let source = Source::named(format!("{RESOURCE_ATTRIBUTES} of {}", layer.source));
            attributes.push(Attribute { key, value, source });
        }
    }
    attributes
}

/// Whether the user has telemetry on without us.
pub fn is_enabled(layers: &Layers) -> bool {
    layers.of_user(ENABLE_TELEMETRY).is_some_and(is_true)
}

/// As Claude Code reads a switch.
pub fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

fn exporters(layers: &Layers) -> Vec<(&'static str, String)> {
    let enabled = is_enabled(layers);
    let mut found = Vec::new();
    for signal in SIGNALS {
        let text = layers.of_user(&format!("OTEL_{signal}_EXPORTER")).filter(|_| enabled);
        // A name that Claude Code does not know would switch everything off.
        let known = |name: &&str| match *name {
            "otlp" | "console" => true,
            "prometheus" => signal == "METRICS",
            _ => false,
        };
        let mut names: Vec<&str> =
            text.unwrap_or_default().split(',').map(str::trim).filter(known).collect();
        if signal == "TRACES" && names.is_empty() {
            continue;
        }
        if !names.contains(&"otlp") {
            names.push("otlp");
        }
        found.push((signal, names.join(",")));
    }
    found
}

/// The first switch that a repository turned on and the user did not.
pub fn content_opened(layers: &Layers) -> Option<&'static str> {
    content_switches(layers).into_iter().find(|(_, user)| is_off(user)).map(|(name, _)| name)
}

/// The user's word on every switch that a repository turned on.
fn content_switches(layers: &Layers) -> Vec<(&'static str, &str)> {
    CONTENT_SWITCHES
        .into_iter()
        .filter(|name| layers.of_repository(name).is_some_and(|text| !is_off(text)))
        .map(|name| (name, layers.of_user(name).unwrap_or("0")))
        .collect()
}

/// As Claude Code reads a content switch: any other word turns it on.
fn is_off(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

/// The user's attributes that are no tags, the tags over them, and ours.
fn resource_attributes(
    resolved: &Resolved,
    attributes: &[Attribute],
    private: &[(&str, &str)],
) -> String {
    let others = attributes
        .iter()
        // What can be a tag is one, or was left out as one too many.
        .filter(|attribute| rules::check(&attribute.key, &attribute.value).is_err())
        .filter(|attribute| encode::is_attribute(&attribute.key, &attribute.value))
        .filter(|attribute| !resolved.tags.keys().any(|tag| rules::same_key(tag, &attribute.key)))
        .take(ATTRIBUTES_MAX)
        .map(|attribute| (attribute.key.as_str(), attribute.value.as_str()));
    let tags = resolved.tags.iter().map(|(key, tag)| (key.as_str(), tag.value.as_str()));
    encode::join(others.chain(tags).chain(private.iter().copied()))
}

#[cfg(test)]
mod tests;
