//! A destination as `config.toml` states it, parsed and proven.

use std::path::PathBuf;

use crate::record::PrivacyLevel;
use crate::store::handle::Since;

pub mod read;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationType {
    Prometheus,
    Loki,
    VictoriaLogs,
    Otlp,
}

/// `prometheus`: `auto`, `1.0`, `2.0`. `loki`: `auto` (native push), `otlp`. `otlp`: `auto` (http/protobuf).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Protocol {
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "1.0")]
    RemoteWrite1,
    #[serde(rename = "2.0")]
    RemoteWrite2,
    #[serde(rename = "otlp")]
    Otlp,
}

/// Where credentials come from. Never in the store, in logs or in `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    #[default]
    None,
    /// `bearer_token_file`, read again before each use when it changed.
    BearerFile(PathBuf),
    /// `token_command`, run through `sh -c`; its first line is the bearer token, kept for 5 minutes.
    BearerCommand(String),
    /// `basic_auth = { username, password_file }`.
    Basic { username: String, password_file: PathBuf },
}

/// `tls = { ca, cert, key }`, PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// `signals = ["metrics", "logs", "traces"]`: what an `otlp` destination gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    pub metrics: bool,
    pub logs: bool,
    pub traces: bool,
}

impl Signals {
    pub const ALL: Self = Self { metrics: true, logs: true, traces: true };

    /// As they are named in a file.
    pub fn names(self) -> Vec<&'static str> {
        [(self.metrics, "metrics"), (self.logs, "logs"), (self.traces, "traces")]
            .into_iter()
            .filter_map(|(there, name)| there.then_some(name))
            .collect()
    }
}

/// One `[[destination]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationConfig {
    pub name: String,
    pub kind: DestinationType,
    /// Complete: `https://prom.example.com/api/v1/write`, `http://127.0.0.1:3100/loki/api/v1/push`;
    /// for `otlp` the base, to which `/v1/metrics` and so on are added.
    pub url: String,
    pub protocol: Protocol,
    pub credentials: Credentials,
    /// Extra headers; cannot be those that a protocol sets itself.
    pub headers: Vec<(String, String)>,
    /// Value of `X-Scope-OrgID`.
    pub tenant: Option<String>,
    pub tls: Tls,
    /// Of an `otlp`; the others take one thing anyway.
    pub signals: Signals,
    /// Only tighter than `[privacy] level`.
    pub privacy: PrivacyLevel,
    /// `since = "now" | "all" | RFC 3339`, written by `connect`: where a new destination begins.
    pub since: Since,
}

impl DestinationConfig {
    /// With nothing set but where it is.
    pub fn new(name: impl Into<String>, kind: DestinationType, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            url: url.into(),
            protocol: Protocol::Auto,
            credentials: Credentials::None,
            headers: Vec::new(),
            tenant: None,
            tls: Tls::default(),
            signals: Signals::ALL,
            privacy: PrivacyLevel::default(),
            since: Since::Now,
        }
    }
}
