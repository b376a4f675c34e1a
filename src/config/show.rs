//! The effective configuration as a list of `key = value`, each with where it came from.
//!
//! Secrets are not in the configuration (it names files and commands); the values of headers may
//! be, and are masked.

use serde_json::{Value, json};

use super::destination::{Credentials, DestinationConfig, DestinationType};
use super::limits::{LIMITS, Limit};
use super::shape::privacy_word;
use super::{Accept, Loaded};
use crate::store::handle::Since;

/// One line of `ccotel config show`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Entry {
    pub key: String,
    pub value: Value,
    /// A file, a variable, or `built-in`.
    pub source: String,
    pub line: Option<u32>,
}

/// Shown in the place of a header's value.
const MASK: &str = "********";

/// Every value in effect.
pub fn entries(loaded: &Loaded) -> Vec<Entry> {
    let config = &loaded.config;
    let listen: Vec<String> = config.agent.listen.iter().map(ToString::to_string).collect();
    let accept = match config.agent.accept {
        Accept::ClaudeCode => "claude-code",
        Accept::Any => "any",
    };
    let email = if config.privacy.email_hashed { "hash" } else { "keep" };
    let mut entries = vec![
        entry(loaded, "agent.listen", json!(listen)),
        entry(loaded, "agent.accept", json!(accept)),
        entry(loaded, "agent.allowed_hosts", json!(config.agent.allowed_hosts)),
        entry(loaded, "agent.max_disk", json!(size(config.agent.max_disk_bytes))),
        entry(loaded, "agent.history_days", json!(config.agent.history_days)),
        entry(loaded, "privacy.level", json!(privacy_word(config.privacy.level))),
        entry(loaded, "privacy.email", json!(email)),
    ];
    for (key, value) in &config.tags {
        entries.push(entry(loaded, &format!("tags.{key}"), json!(value)));
    }
    entries.extend(gateway_entries(loaded));
    entries.push(entry(loaded, "budget.notify", json!(config.budgets.notify)));
    for budget in &config.budgets.all {
        entries.push(entry(loaded, &budget.key(), json!(budget.usd)));
    }
    for destination in &config.destinations {
        entries.extend(destination_entries(loaded, destination));
    }
    entries
}

/// The built-in limits, which are no settings.
pub fn limits() -> &'static [Limit] {
    LIMITS
}

/// What is set of `[gateway]`: most machines have none.
fn gateway_entries(loaded: &Loaded) -> Vec<Entry> {
    let gateway = &loaded.config.gateway;
    let listen: Vec<String> = gateway.listen.iter().map(ToString::to_string).collect();
    let values = [
        ("listen", json!(listen)),
        ("tls.cert", json!(gateway.tls.as_ref().map(|tls| &tls.cert))),
        ("tls.key", json!(gateway.tls.as_ref().map(|tls| &tls.key))),
        ("client_ca", json!(gateway.client_ca)),
        ("tls_ended_by_proxy", json!(gateway.tls_ended_by_proxy)),
        ("tokens", json!(gateway.tokens)),
        ("metrics_token_file", json!(gateway.metrics_token_file)),
        ("url", json!(gateway.url)),
    ];
    let set = |key: &str| loaded.origins.contains_key(&format!("gateway.{key}"));
    let mut entries: Vec<Entry> = values
        .into_iter()
        .filter(|(key, _)| set(key))
        .map(|(key, value)| entry(loaded, &format!("gateway.{key}"), value))
        .collect();
    for sender in &gateway.senders {
        let mut value = serde_json::Map::new();
        if let Some(certificate) = &sender.certificate {
            value.insert("certificate".into(), json!(certificate));
        }
        if let Some(level) = sender.privacy {
            value.insert("privacy".into(), json!(privacy_word(level)));
        }
        if !sender.tags.is_empty() {
            value.insert("tags".into(), json!(sender.tags));
        }
        let key = format!("gateway.sender.{}", sender.name);
        entries.push(entry(loaded, &key, Value::Object(value)));
    }
    entries
}

fn destination_entries(loaded: &Loaded, destination: &DestinationConfig) -> Vec<Entry> {
    let mut values = vec![
        ("type", json!(destination.kind)),
        ("url", json!(destination.url)),
        ("protocol", json!(destination.protocol)),
    ];
    match &destination.credentials {
        Credentials::None => {}
        Credentials::BearerFile(file) => values.push(("bearer_token_file", json!(file))),
        Credentials::BearerCommand(command) => values.push(("token_command", json!(command))),
        Credentials::Basic { username, password_file } => values
            .push(("basic_auth", json!({"username": username, "password_file": password_file}))),
    }
    if !destination.headers.is_empty() {
        let names = destination.headers.iter().map(|(name, _)| (name.clone(), json!(MASK)));
        values.push(("headers", Value::Object(names.collect())));
    }
    if let Some(tenant) = &destination.tenant {
        values.push(("tenant", json!(tenant)));
    }
    if destination.kind == DestinationType::Otlp {
        values.push(("signals", json!(destination.signals.names())));
    }
    let tls = &destination.tls;
    let files = [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)];
    let files: serde_json::Map<String, Value> = files
        .into_iter()
        .filter_map(|(name, file)| Some((name.to_owned(), json!(file.as_ref()?))))
        .collect();
    if !files.is_empty() {
        values.push(("tls", Value::Object(files)));
    }
    values.push(("privacy", json!(privacy_word(destination.privacy))));
    values.push(("since", since(destination.since)));
    values
        .into_iter()
        .map(|(key, value)| {
            entry(loaded, &format!("destination.{}.{key}", destination.name), value)
        })
        .collect()
}

fn since(since: Since) -> Value {
    match since {
        Since::Now => json!("now"),
        Since::All => json!("all"),
        Since::Time(ms) => jiff::Timestamp::from_millisecond(ms)
            .map_or_else(|_| json!(ms), |time| json!(time.to_string())),
    }
}

fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

fn entry(loaded: &Loaded, key: &str, value: Value) -> Entry {
    let origin = loaded.origin(key);
    Entry { key: key.to_owned(), value, source: origin.source(), line: origin.line() }
}
